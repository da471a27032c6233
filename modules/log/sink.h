/*
 * Where a worker's access log lines go: batches of lines for one destination, written beside the
 * loop. The loop never waits for a disk or a reader; at most LOGSINK_MAX bytes and a batch wait in
 * memory, and lines beyond are dropped, counted, and reported in the error log.
 */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include "common/base/str.h"

struct worker;
struct logsink;

enum { LOGSINK_MAX = 8 << 20, LOGSINK_LINE_MAX = 1 << 20 };

/* name: the destination as configured (see common/base/logfile.h). fd is the heritage's, whose
   number stays when the file is opened anew. buffer: bytes of a batch; flush: ms that a line may
   wait, 0: until the next notices run. lane: see worker_offload(). */
struct logsink *logsink_new(
    struct worker *, struct str name, int fd, size_t buffer, int64_t flush, unsigned lane);

/* Room for a line, at least want bytes; NULL: too much waits already (the caller counts the line
   lost). *room is what there is. */
char *logsink_room(struct logsink *, size_t want, size_t *room);
/* A line of n bytes was put there. */
void logsink_put(struct logsink *, size_t n);
void logsink_lose(struct logsink *);

/* Colours may be used: a terminal, and the user has not declined. */
bool logsink_has_colour(const struct logsink *);

/* The worker ends: writes what waits, until the deadline (clock_ms). */
void logsink_close(struct logsink *, uint64_t deadline);

#endif
