/*
 * The access log through the loopback: which requests have a line where, that batches reach their
 * destination in order, whatever the reader does, and that no line is lost at the end.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "common/base/clock.h"
#include "common/base/log.h"
#include "modules/log/format.h"
#include "test/unit/loopback.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_accesslog(void);

static struct loopback *lo;
static int reader; /* what a destination has taken can be read here */
static char got[1 << 20];

static const char conf[] =
    "server: { access_log: { file = \"stdout\"; format = \"$status $target\"; flush = \"0s\"; }; };"
    "sites = ( { host = \"*\"; respond = \"hi\"; routes = ("
    "  { path = \"/off\"; access_log = \"off\"; },"
    "  { path = \"/skip\"; access_log: { skip = \"2xx\"; }; },"
    "  { path = \"/gone\"; respond: { status = 404; }; access_log: { skip = [ \"304\", \"2xx\" ]; "
    "}; },"
    "  { path = \"/\"; } ); } );";

/* The i-th destination is this descriptor from now on, as after the master's signal. */
static void
redirect(unsigned i, int fd)
{
	ck_assert_int_ge(dup2(fd, worker_heritage(lo_worker(lo))->log_fds[i]), 0);
}

static void
setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	log_level = LOG_FATAL_;
	lo = lo_open(conf);
	reader = memfd_create("log", MFD_CLOEXEC);
	redirect(0, reader);
}

static void
teardown(void)
{
	if (lo)
		lo_close(lo);
	lo = NULL;
	close(reader);
	log_level = LOG_NOTICE_;
}

static const char *
content(void)
{
	ssize_t n = pread(reader, got, sizeof(got) - 1, 0);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

/* Turns the loop until what() is there; false after some seconds. */
static bool
until(const char *text)
{
	for (int i = 0; i < 500; i++) {
		if (strcmp(content(), text) == 0)
			return true;
		lo_turns(lo, 1, 10);
	}
	return false;
}

START_TEST(test_lines)
{
	lo_get(lo, "/a?b", NULL);
	lo_get(lo, "/off/x", NULL);
	lo_get(lo, "/skip", NULL);
	lo_get(lo, "/gone", NULL);
	lo_get(lo, "/last", NULL);
	ck_assert_msg(until("200 /a?b\n404 /gone\n200 /last\n"), "%s", got);
	ck_assert_uint_eq(ctr_get(worker_row(lo_worker(lo)), CTR_LOG_LINES), 3);
}
END_TEST

START_TEST(test_reopened)
{
	int second = memfd_create("second", MFD_CLOEXEC);

	lo_get(lo, "/1", NULL);
	ck_assert(until("200 /1\n"));
	redirect(0, second);
	close(reader);
	reader = second;
	lo_get(lo, "/2", NULL);
	ck_assert(until("200 /2\n"));
}
END_TEST

/* Lines that nobody has asked to be written yet are written at the end. */
START_TEST(test_stop)
{
	lo_close(lo);
	lo = lo_open("server: { access_log: { file = \"stderr\"; format = \"$target\"; flush = "
		     "\"60s\"; }; };"
		     "sites = ( { host = \"*\"; respond = \"hi\"; } );");
	redirect(0, reader);
	for (int i = 0; i < 1000; i++) {
		char target[32];

		snprintf(target, sizeof(target), "/%04d", i);
		lo_get(lo, target, NULL);
	}
	lo_close(lo);
	lo = NULL;
	ck_assert_uint_eq(strlen(content()), 6000);
	for (int i = 0; i < 1000; i++) {
		char target[32];

		snprintf(target, sizeof(target), "/%04d\n", i);
		ck_assert_int_eq(memcmp(got + i * 6, target, 6), 0);
	}
}
END_TEST

/* Errors of a destination keep its lines until it is well again. */
START_TEST(test_no_space)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	redirect(0, full);
	close(full);
	lo_get(lo, "/1", NULL);
	lo_turns(lo, 5, 10);
	lo_get(lo, "/2", NULL);
	lo_turns(lo, 5, 10);
	redirect(0, reader);
	ck_assert_msg(until("200 /1\n200 /2\n"), "%s", got);
	ck_assert_uint_eq(ctr_get(worker_row(lo_worker(lo)), CTR_LOG_LOST), 0);
}
END_TEST

/* All that comes out of a pipe until there has been nothing for a while, one digit per line kept.
 */
static size_t
drain(int fd, char *targets, size_t max)
{
	size_t n = 0, pad = 0;
	int idle = 0;

	while (idle < 60) {
		ssize_t r = read(fd, got, sizeof(got));

		idle = r > 0 ? 0 : idle + 1;
		for (ssize_t i = 0; i < r; i++) {
			if (got[i] == '\n' && n < max)
				targets[n++] = pad > 6000 ? 'l' : 's';
			pad = got[i] == '\n' ? 0 : pad + 1;
		}
		lo_turns(lo, 1, 10);
	}
	return n;
}

/* A reader that stalls: memory is bounded, what is beyond is counted, and what was kept comes whole
   and in order when it reads again. */
START_TEST(test_stalled)
{
	static char target[7001], kinds[4000];
	struct shm_worker *row = worker_row(lo_worker(lo));
	int ends[2];
	size_t n, lost;

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	redirect(0, ends[1]);
	close(ends[1]);
	memset(target, 'x', sizeof(target) - 1);
	target[0] = '/';
	for (int i = 0; i < 1500; i++)
		ck_assert_int_eq(lo_get(lo, target, NULL)->status, 200);
	lost = ctr_get(row, CTR_LOG_LOST);
	ck_assert_uint_gt(lost, 100);
	ck_assert_uint_lt(lost, 500);
	n = drain(ends[0], kinds, sizeof(kinds));
	ck_assert_uint_eq(n + lost, 1500);
	ck_assert_ptr_null(memchr(kinds, 's', n));
	lo_get(lo, "/again", NULL);
	ck_assert_uint_eq(drain(ends[0], kinds, sizeof(kinds)), 1);
	ck_assert_int_eq(kinds[0], 's');
	ck_assert_uint_eq(ctr_get(row, CTR_LOG_LINES), 1501 - lost);
	close(ends[0]);
}
END_TEST

/* A stalled reader does not hold up the end of the worker for long; what is lost is counted. */
START_TEST(test_stalled_stop)
{
	static char target[7001];
	uint64_t start;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	redirect(0, ends[1]);
	close(ends[1]);
	memset(target, 'x', sizeof(target) - 1);
	target[0] = '/';
	for (int i = 0; i < 30; i++)
		lo_get(lo, target, NULL);
	start = clock_ms();
	lo_close(lo);
	lo = NULL;
	ck_assert_uint_lt(clock_ms() - start, 10000);
	close(ends[0]);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "access_log = \"access.log\";", "no destination", "|command" },
	{ "access_log = \"|\";", "no destination", NULL },
	{ "access_log = \"syslogd\";", "no destination", NULL },
	{ "access_log = \"syslog:dev/log\";", "no destination", NULL },
	{ "access_log: { file = \"/x\"; format = \"$x\"; };", "no variable", "$x" },
	{ "access_log: { file = \"/x\"; format = \"${in:Cookie}\"; };", "secrets", "Cookie" },
	{ "access_log: { file = \"/x\"; skip = [ \"2xx\", \"6xx\" ]; };", "no status", "6xx" },
	{ "access_log: { file = \"/x\"; skip = \"20\"; };", "no status", "20" },
	{ "access_log: { file = \"/x\"; tag = \"a b\"; };", "tag", NULL },
	{ "access_log: { file = \"/x\"; facility = \"local8\"; };", "local", NULL },
};

START_TEST(test_refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

/* Every variable stands in the manual. */
START_TEST(test_manual)
{
	extern const struct module module_accesslog;
	const struct cfg_opt *o = module_accesslog.opts;
	const char *name;
	char text[64];

	while (strcmp(o->name, "access_log.format") != 0)
		o++;
	for (size_t i = 0; (name = logformat_variable(i)) != NULL; i++) {
		snprintf(text, sizeof(text), strchr(name, ':') ? "${%s" : "$%s", name);
		ck_assert_msg(strstr(o->help, text) != NULL, "%s is not in the manual", text);
	}
}
END_TEST

Suite *
suite_accesslog(void)
{
	Suite *s = suite_create("accesslog");
	TCase *t = tcase_create("accesslog");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_lines);
	tcase_add_test(t, test_reopened);
	tcase_add_test(t, test_stop);
	tcase_add_test(t, test_no_space);
	tcase_add_test(t, test_stalled);
	tcase_add_test(t, test_stalled_stop);
	tcase_add_loop_test(t, test_refused, 0, UNIT_COUNT(refused_rows));
	tcase_add_test(t, test_manual);
	suite_add_tcase(s, t);
	return s;
}
