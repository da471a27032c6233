/*
 * Loading the configuration anew: check in a child, load, open sockets, start a generation, switch.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/generation.h"

void reload_init(void);
/* Asks for a reload. Requests that come while one is under way share the next one. why: in the log.
 */
void reload_request(const char *why);
bool reload_is_busy(void);
/* An upgrade is over: reloads that had to wait for it go on. */
void reload_next(void);
/* At start: without the check in a child. Returns 0 when workers are starting
   (with warnings in report), or an exit status with the reasons in report. */
int reload_first(struct text *report);

/* The same where workers of an earlier master or binary serve. When it fails, the earlier binary is
   executed again, or else those workers go on serving. */
void reload_take_over(void);

/* Instead of reload_first(), when the generation that serves is ours already: nothing is to be
   started. */
void reload_resume(void);

/* Reloads soon if something is missing: the generation that serves is still that of another master
   or binary, because ours failed to take its place; or it, or a pool, lacks processes. */
void reload_heal(void);

/* On a timer: puts right what workers follow and any of them can write. */
void reload_keep(void);

/* From generation.c, about the generation that starts. */
void reload_ready(struct generation *);
void reload_failed(struct generation *, const char *why);

#endif
