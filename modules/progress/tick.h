/*
 * The clock of uploads and live reports: it runs only while a worker has some.
 */
#ifndef PROGRESS_TICK_H
#define PROGRESS_TICK_H

struct worker;

enum { TICK_EVERY_MS = 20 };

void tick_start(struct worker *);
void tick_stop(void);
/* There is something to look at. */
void tick_want(void);

#endif
