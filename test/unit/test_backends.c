/* What `argand backend …` says and does, and what it answers to mistakes. */
#include <stdlib.h>
#include "common/balance/backend_view.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/segment/shm_keep.h"
#include "master/backends.h"
#include "test/unit/unit.h"

Suite *suite_backends(void);

static struct shm *shm;
static struct text out;
static unsigned a, b;

static void
setup(void)
{
	log_level = LOG_ERROR_;
	shm = shm_create();
	ck_assert_ptr_nonnull(shm);
	backend_row(shm, STR("api"), STR("[::1]:9000"));
	a = (unsigned)backend_row(shm, STR("app"), STR("10.0.0.3:80"));
	b = (unsigned)backend_row(shm, STR("app"), STR("10.0.0.4:80"));
	ck_assert_int_ge(shm_worker_claim(shm, NULL, 1, 0, clock_ms()), 0);
	backend_take(shm, 0, a);
}

static void
teardown(void)
{
	text_free(&out);
	shm_close(shm);
}

static int
command(const char *line)
{
	char args[256];

	ck_assert_uint_lt(strlen(line), sizeof(args));
	strcpy(args, line);
	out.n = 0;
	return backends_command(shm, args, &out);
}

static const struct {
	const char *line;
	int status;
	const char *answer; /* how it begins */
} rows[] = {
	{ "app drain 10.0.0.3:80", 0,
	    "app 10.0.0.3:80 is drained: it takes no new requests, 1 request in flight\n" },
	{ "app disable 10.0.0.4:80", 0,
	    "app 10.0.0.4:80 is disabled: neither used nor checked, 0 requests in flight\n" },
	{ "app enable 10.0.0.3:80", 0, "app 10.0.0.3:80 is enabled\n" },
	{ "api drain [::1]:9000", 0,
	    "api [::1]:9000 is drained: it takes no new requests, 0 requests in flight\n"
	    "no host of the pool takes new requests now\n" },
	{ "app weight 10.0.0.3:80 1000", 0, "app 10.0.0.3:80 has weight 1000\n" },
	{ "app weight 10.0.0.3:80 configured", 0, "app 10.0.0.3:80 has weight configured\n" },
	{ "app weight 10.0.0.3:80 0", 2, "a weight is 1 to 1000, or \"configured\"\n" },
	{ "app weight 10.0.0.3:80 1001", 2, "a weight is 1 to 1000" },
	{ "app weight 10.0.0.3:80 1x", 2, "a weight is 1 to 1000" },
	{ "app weight 10.0.0.3:80", 2, "usage: argand backend " },
	{ "app drain", 2, "usage: argand backend " },
	{ "app drain 10.0.0.3:80 now", 2, "usage: argand backend " },
	{ "app drain 10.0.0.3:80 or 10.0.0.4:80", 2, "usage: argand backend " },
	{ "app drian 10.0.0.3:80", 2,
	    "there is no command \"drian\"; did you mean \"drain\"?\nusage: argand backend " },
	{ "app 10.0.0.3:80", 2, "there is no command \"10.0.0.3:80\"\nusage: " },
	{ "appl", 1, "there is no pool \"appl\"; did you mean \"app\"?\npools: api, app\n" },
	{ "shop drain 10.0.0.3:80", 1, "there is no pool \"shop\"\npools: api, app\n" },
	{ "app drain 10.0.0.3:81", 1,
	    "there is no host \"10.0.0.3:81\"; did you mean \"10.0.0.3:80\"?\n"
	    "hosts: 10.0.0.3:80, 10.0.0.4:80\n" },
	{ "app drain [::1]:9000", 1, "there is no host \"[::1]:9000\"\nhosts: 10.0.0.3:80, " },
	{ "  api  ", 0,
	    "pool api  1 of 1 hosts usable, 0 in flight, 0 waiting, 0 retries\n  host" },
	{ "", 0, "pool api  1 of 1 hosts usable" },
	{ "--color app", 0, "\033[1mpool app\033[0m  2 of 2 hosts usable\033[0m, 1 in flight" },
	{ "--color app drain 10.0.0.3:80", 0, "app 10.0.0.3:80 is drained" },
};

START_TEST(test_answer)
{
	int status = command(rows[_i].line);

	ck_assert_msg(str_has_prefix(text_str(&out), str_of(rows[_i].answer)), "%s: %.*s",
	    rows[_i].line, (int)out.n, out.p);
	ck_assert_int_eq(status, rows[_i].status);
	ck_assert_int_eq(out.p[out.n - 1], '\n');
}
END_TEST

START_TEST(test_effect)
{
	ck_assert_int_eq(command("app drain 10.0.0.3:80"), 0);
	ck_assert_int_eq(backend_admin_of(shm, a), ADMIN_DRAIN);
	ck_assert_int_eq(backend_admin_of(shm, b), ADMIN_NONE);
	ck_assert(!backend_is_usable(shm, a));
	ck_assert_int_eq(command("app disable 10.0.0.3:80"), 0);
	ck_assert_int_eq(backend_admin_of(shm, a), ADMIN_DISABLE);
	ck_assert_int_eq(command("app enable 10.0.0.3:80"), 0);
	ck_assert(backend_is_usable(shm, a));
	ck_assert_int_eq(command("app weight 10.0.0.4:80 17"), 0);
	ck_assert_uint_eq(backend_weight(shm, b), 17);
	ck_assert_uint_eq(backend_weight(shm, a), 0);
	ck_assert_int_eq(command("app weight 10.0.0.4:80 configured"), 0);
	ck_assert_uint_eq(backend_weight(shm, b), 0);
}
END_TEST

/* A name that is not known makes no row. */
START_TEST(test_no_row)
{
	struct backend_view v;
	unsigned n = 0;

	command("shop drain 10.9.9.9:80");
	command("app drain 10.9.9.9:80");
	for (unsigned row = 0; row < BACKEND_ROWS; row++)
		n += backend_view(shm, row, &v);
	ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(test_no_pools)
{
	struct shm *fresh = shm_create();

	out.n = 0;
	ck_assert_int_eq(backends_command(fresh, (char[]){ "" }, &out), 0);
	unit_str_eq(text_str(&out), "no pool of backends is configured\n");
	shm_close(fresh);
}
END_TEST

Suite *
suite_backends(void)
{
	Suite *s = suite_create("backends");
	TCase *t = tcase_create("backends");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_answer, 0, UNIT_COUNT(rows));
	tcase_add_test(t, test_effect);
	tcase_add_test(t, test_no_row);
	tcase_add_test(t, test_no_pools);
	suite_add_tcase(s, t);
	return s;
}
