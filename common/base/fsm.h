/*
 * States as rows (finite state machines): a kind of object has a table with one row per state,
 * which begins with struct fsm_row, and one function, NOUN_enter(), that alone changes the state.
 * It asks fsm_pass() first, which writes the trace (a debug line for each transition) and says
 * whether the table has the transition.
 *
 * One that it has not is a bug of ours. Tests end at it (fsm_is_strict). In production it is an
 * error in the log, and the object goes on in its new state: one request that went astray is no
 * reason to end thousands. Only out of a last state, which no other may follow, nothing goes: what
 * has ended stays ended.
 */
#ifndef BASE_FSM_H
#define BASE_FSM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/log.h"
#include "common/base/must.h"

struct fsm_row {
	const char *name;
	unsigned from; /* states that may come before, 1 << state; 0: where objects begin */
};

struct fsm {
	const void *rows; /* by state; each begins with a struct fsm_row */
	size_t size;      /* of a row */
	unsigned n;
	/* What the log calls an object: "conn 7". */
	void (*name)(const void *object, char *text, size_t max);
};

/* Whether an illegal transition aborts: in programs with sanitizers and in the unit tests. */
extern bool fsm_is_strict;

static inline const struct fsm_row *
fsm_row(const struct fsm *f, unsigned state)
{
	return (const void *)((const char *)f->rows + state * f->size);
}

/* The object is about to go from one state to the next one: what is seldom needed, the trace and
   the word about a bug. False: it must not. To be called, out of the way, unless fsm_is_plain(). */
bool fsm_note(const struct fsm *, const void *object, unsigned now, unsigned next)
    __attribute__((cold));

/* A legal transition that nobody wants to see. */
static inline bool
fsm_is_plain(const struct fsm *f, unsigned now, unsigned next)
{
	return likely((fsm_row(f, next)->from >> now & 1) && log_level < LOG_DEBUG_);
}

static inline bool
fsm_pass(const struct fsm *f, const void *object, unsigned now, unsigned next)
{
	return fsm_is_plain(f, now, next) || fsm_note(f, object, now, next);
}

#endif
