/*
 * The server's events (common/segment/history.h) in the forms of the status. They are listed in the
 * order of time, the latest last; what a worker reports is marked as such.
 */
#ifndef STATUS_EVENTS_H
#define STATUS_EVENTS_H

#include "common/base/json.h"
#include "common/segment/history.h"
#include "common/status/style.h"

enum { STATUSEVENTS_FEW = 10 }; /* that `argand status` shows */

/* A member "events" of an open object. */
void statusevents_json(struct json *, const struct history_entry *, unsigned n);
/* The last `most`, a line for each. */
void statusevents_text(struct text *, struct shm *, unsigned most, const struct statusstyle *);

/* The last time of it, local time. */
const char *statusevents_date(char dst[32], int64_t wall_ms);
/* The rest of the line: "worker 1 (pid 4711) killed by SIGKILL, 3 times since …". Plain text. */
void statusevents_words(struct text *, const struct history_entry *);
/* "good", "plain", "warn", "bad" */
const char *statusevents_tone(const struct history_entry *);

/* Documents with nothing else: `argand events`. */
void statusevents_doc(struct shm *, bool colour, struct text *);
void statusevents_doc_json(struct shm *, struct text *);

#endif
