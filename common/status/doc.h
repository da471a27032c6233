/*
 * The status of the whole server as a document, made from the shared segment and the master's
 * events (common/segment/history.h): the same from any worker (modules/status/status.c) and from
 * the master (the control socket, `argand status`). Counters are totals and never fall; rates are
 * the reader's business (two documents, "now_ms").
 */
#ifndef STATUS_DOC_H
#define STATUS_DOC_H

#include "common/base/text.h"
#include "common/segment/shm.h"

/* One JSON object, see argand-status in argand.conf(5). */
void statusdoc_json(struct shm *, struct text *out);
/* For a terminal of at least 80 columns; colour: escape sequences may be used. */
void statusdoc_text(struct shm *, bool colour, struct text *out);
/* Prometheus text format 0.0.4. */
void statusdoc_prometheus(struct shm *, struct text *out);

#endif
