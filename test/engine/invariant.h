/*
 * What holds between any two events, for every request that is at a gateway: the invariants that
 * exchange.c, upstream.c and bpool.c begin with.
 */
#ifndef TEST_ENGINE_INVARIANT_H
#define TEST_ENGINE_INVARIANT_H

void invariant_check(void);

#endif
