/* Spool files: order, sharing, disk given back, directories that fail, limits. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/must.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/spool.h"
#include "worker/state.h"

Suite *suite_spool(void);

static struct loopback *lo;
static struct worker *w;
static struct spool s;
static struct body a, b;

/* A worker whose spool stands as told. */
static void
begin(const char *spool)
{
	char text[512];

	snprintf(text, sizeof(text), "server: { spool: { %s }; };", spool);
	lo = rows_open(text, "respond = \"x\";");
	w = lo_worker(lo);
	spool_init(&s, w, 7);
	body_init(&a, w);
	body_init(&b, w);
}

static void
end(void)
{
	body_fini(&a);
	body_fini(&b);
	spool_fini(&s);
	ck_assert_int_eq(spool_total(), 0);
	lo_close(lo);
}

static void
put(struct body *to, char c, size_t n)
{
	char *p = must_malloc(n);

	memset(p, c, n);
	body_put(to, p, n);
	free(p);
}

/* The next n octets are all c. */
static void
took(struct body *from, char c, size_t n)
{
	char *p = must_malloc(n);
	size_t wrong = 0;

	ck_assert_int_eq(body_take(from, p, n), (ssize_t)n);
	for (size_t i = 0; i < n; i++)
		wrong += p[i] != c;
	ck_assert_uint_eq(wrong, 0);
	free(p);
}

START_TEST(keeps_order)
{
	int fd;
	int64_t off, len;

	begin("");
	put(&a, 'a', 100000);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	ck_assert_uint_eq(a.memory, 0);
	ck_assert_int_eq(a.queued, 100000);
	put(&a, 'b', 5000);
	body_put_ref(&a, "cc", 2);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	put(&a, 'd', 10);
	ck_assert_int_eq(a.total, 105012);
	/* what follows each other in a file is one range */
	ck_assert(body_file(&a, &fd, &off, &len));
	ck_assert_int_eq(len, 105002);
	ck_assert_int_eq(s.on_disk, 105002);
	ck_assert_int_eq(spool_total(), 105002);
	took(&a, 'a', 100000);
	took(&a, 'b', 5000);
	took(&a, 'c', 2);
	took(&a, 'd', 10);
	ck_assert(body_is_empty(&a));
	spool_seal(&s);
	ck_assert_int_eq(s.on_disk, 0);
	end();
}
END_TEST

/* A file is gone as soon as its octets are; nothing is visible in the directory. */
START_TEST(gives_back_as_it_goes)
{
	struct stat st;

	begin("");
	put(&a, 'x', 3 * SPOOL_FILE + 5);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	ck_assert_int_eq(s.on_disk, 3 * SPOOL_FILE + 5);
	body_consume(&a, SPOOL_FILE - 1);
	ck_assert_int_eq(s.on_disk, 3 * SPOOL_FILE + 5);
	body_consume(&a, 1);
	ck_assert_int_eq(s.on_disk, 2 * SPOOL_FILE + 5);
	body_consume(&a, 2 * SPOOL_FILE);
	ck_assert_int_eq(s.on_disk, 5);
	ck_assert_int_eq(fstat(s.file->fd, &st), 0);
	ck_assert_int_eq(st.st_nlink, 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	body_consume(&a, 5);
	ck_assert_int_eq(s.on_disk, 5); /* kept for what comes next */
	put(&a, 'y', SPOOL_FILE / 2);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	took(&a, 'y', SPOOL_FILE / 2);
	ck_assert_ptr_null(s.file);
	put(&a, 'z', 10);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	spool_seal(&s);
	ck_assert_int_eq(s.on_disk, 10);
	took(&a, 'z', 10);
	spool_seal(&s);
	ck_assert_int_eq(spool_total(), 0);
	ck_assert_int_eq((int64_t)ctr_get(worker_row(w), CTR_SPOOL_BYTES), 0);
	ck_assert_int_eq((int64_t)ctr_get(worker_row(w), CTR_SPOOL_WRITTEN),
	    3 * SPOOL_FILE + 5 + SPOOL_FILE / 2 + 10);
	end();
}
END_TEST

/* Two queues share a file: it lives until both are done, also without its spool. */
START_TEST(shared)
{
	begin("");
	put(&a, 'x', 3000);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	body_clone(&b, &a);
	ck_assert_int_eq(body_move(&b, &a, 1000), 1000);
	ck_assert_int_eq(b.queued, 4000);
	body_cancel(&a);
	ck_assert_int_eq(spool_total(), 3000);
	took(&b, 'x', 1000);
	spool_fini(&s);
	spool_fini(&s);
	ck_assert_int_eq(spool_total(), 3000);
	took(&b, 'x', 3000);
	ck_assert_int_eq(spool_total(), 0);
	end();
}
END_TEST

START_TEST(next_directory)
{
	begin("directories = [ \"/proc\", \"/sys\", \"/var/tmp\" ];");
	put(&a, 'x', 3000);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	ck_assert_int_eq(s.on_disk, 3000);
	took(&a, 'x', 3000);
	end();
}
END_TEST

/* Nothing is lost when there is no room. */
START_TEST(no_directory)
{
	begin("directories = [ \"/proc\" ];");
	put(&a, 'x', 70000);
	errno = 0;
	ck_assert_int_eq(spool_store(&s, &a), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_uint_eq(a.memory, 70000);
	ck_assert_int_eq(s.on_disk, 0);
	took(&a, 'x', 70000);
	end();
}
END_TEST

START_TEST(limit_of_all)
{
	begin("max = \"1m\";");
	put(&a, 'x', 1000000);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	put(&a, 'y', 100000);
	ck_assert_int_eq(spool_store(&s, &a), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_uint_eq(a.memory, 100000);
	took(&a, 'x', 1000000);
	ck_assert_int_eq(spool_store(&s, &a), 0);
	took(&a, 'y', 100000);
	end();
}
END_TEST

/* The file's size is limited in the middle of a write: what it took is kept, the rest stays. */
START_TEST(short_write)
{
	struct rlimit old, small = { 10000, 10000 };

	begin("");
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	put(&a, 'x', 20000);
	setrlimit(RLIMIT_FSIZE, &small);
	ck_assert_int_eq(spool_store(&s, &a), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	ck_assert_int_eq(s.on_disk, 10000);
	ck_assert_uint_eq(a.memory, 10000);
	ck_assert_int_eq(a.queued, 20000);
	took(&a, 'x', 20000);
	end();
}
END_TEST

START_TEST(compact)
{
	begin("");
	for (int i = 0; i < 40; i++)
		put(&a, 'x', 50);
	body_compact(&a);
	ck_assert_uint_eq(a.memory, 2000);
	ck_assert_int_eq(a.queued, 2000);
	put(&a, 'y', 30);
	body_compact(&a);
	took(&a, 'x', 2000);
	took(&a, 'y', 30);
	body_compact(&a);
	ck_assert(body_is_empty(&a));
	end();
}
END_TEST

Suite *
suite_spool(void)
{
	Suite *suite = suite_create("spool");
	TCase *t = tcase_create("spool");

	tcase_add_test(t, keeps_order);
	tcase_add_test(t, gives_back_as_it_goes);
	tcase_add_test(t, shared);
	tcase_add_test(t, next_directory);
	tcase_add_test(t, no_directory);
	tcase_add_test(t, limit_of_all);
	tcase_add_test(t, short_write);
	tcase_add_test(t, compact);
	suite_add_tcase(suite, t);
	return suite;
}
