/* A segment with a pool, see scene.h. */
#include <stdio.h>

#include "common/base/log.h"
#include "test/unit/scene.h"

struct scene scene;

void
scene_setup(void)
{
	log_level = LOG_ERROR_;
	scene.shm = shm_create();
	ck_assert_ptr_nonnull(scene.shm);
	scene.pool = (struct conf_pool){
		.name = STR("app"),
		.failover = { .threshold = 3,
		    .window = 10000,
		    .refused = 1000,
		    .unreachable = 2000,
		    .overload = 500,
		    .errors = 4000,
		    .max = 16000,
		    .eject = 50,
		    .slow_start = 10000 },
		.health = { .interval = 2000, .timeout = 1000, .rise = 2, .fall = 3 },
		.retry = { .budget = 20 },
	};
}

void
scene_teardown(void)
{
	shm_failpoint = NULL;
	shm_close(scene.shm);
}

unsigned
scene_host(unsigned i)
{
	char name[32];
	int row;

	snprintf(name, sizeof(name), "10.0.0.%u:80", i);
	row = backend_row(scene.shm, scene.pool.name, str_of(name));
	ck_assert_int_ge(row, 0);
	return (unsigned)row;
}

struct backend_at
scene_at(unsigned row, int trial)
{
	return (struct backend_at){ .row = row, .conf = &scene.pool, .trial = trial };
}

bool
scene_fail(unsigned row, enum backend_cause cause, uint64_t now)
{
	struct backend_at at = scene_at(row, -1);

	return backend_failed(scene.shm, &at, cause, 0, now);
}

void
scene_out(unsigned row, enum backend_cause cause, uint64_t now)
{
	bool is_out = false;

	for (int i = 0; i < 3 && !is_out; i++)
		is_out = scene_fail(row, cause, now);
	ck_assert(is_out);
}
