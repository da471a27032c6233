/*
 * A segment with a pool whose times are round, for tests of what workers know of backends.
 */
#ifndef TEST_UNIT_SCENE_H
#define TEST_UNIT_SCENE_H

#include "common/balance/backend_cell.h"
#include "common/balance/backend_view.h"
#include "test/unit/unit.h"

enum { NOW = 1000000 };

/* The pool "app": threshold 3 within 10 s; out for refused 1 s, unreachable 2 s, overload 0.5 s,
   errors 4 s, at most 16 s. */
extern struct scene {
	struct shm *shm;
	struct conf_pool pool;
} scene;

/* ck_assert_msg() writes a mark for each call: too slow for what is checked a million times. */
#define scene_check(cond, ...) ((cond) ? (void)0 : ck_abort_msg(__VA_ARGS__))

void scene_setup(void);
void scene_teardown(void);
/* The row of host i. */
unsigned scene_host(unsigned i);
struct backend_at scene_at(unsigned row, int trial);
bool scene_fail(unsigned row, enum backend_cause, uint64_t now);
/* By as many failures as it takes. */
void scene_out(unsigned row, enum backend_cause, uint64_t now);

#endif
