/*
 * The cache: what it keeps, when it looks again, and that nothing goes while a request uses it.
 * Entries are asked for with times of the test's own making.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/segment/shm.h"
#include "modules/files/cache.h"
#include "test/unit/filetree.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"

static struct loopback *lo;
static const struct files_route *fr;
static uint64_t now;

static void
open_cache(const char *limits)
{
	char conf[1024];

	snprintf(conf, sizeof(conf),
	    "server: { listen = \"127.0.0.1:8080\"; file_cache: { valid = \"1s\"; %s }; };\n"
	    "sites = ( { host = \"*\"; root = \"%s/now\"; mime_types = \"/dev/null\"; } );\n",
	    limits, tree_path());
	lo = lo_open(conf);
	fr = files_route_get(0);
	ck_assert_ptr_nonnull(fr);
	now = 1000000;
}

static void
setup(void)
{
	tree_make();
	tree_text("one/a", "aaaa");
	tree_text("one/b", "bbbb");
	tree_text("two/a", "AAAA");
	tree_link("now", "one");
}

static void
teardown(void)
{
	lo_close(lo);
	tree_remove();
}

static struct files_entry *
get(const char *path)
{
	return files_cache_get(fr, str_of(path), now);
}

static void
expect(const char *path, const char *text)
{
	struct files_entry *e = get(path);

	if (!text) {
		ck_assert_int_eq(e->kind, FILES_ERROR);
		ck_assert_int_eq(e->status, 404);
		return;
	}
	ck_assert_int_eq(e->kind, FILES_FILE);
	unit_str_eq(str_n(e->reps[0]->file.body, (size_t)e->reps[0]->file.size), text);
}

static uint64_t
counted(enum counter c)
{
	return ctr_get(worker_row(lo_worker(lo)), c);
}

START_TEST(test_hit)
{
	open_cache("");
	expect("/a", "aaaa");
	expect("/a", "aaaa");
	expect("/b", "bbbb");
	expect("/a", "aaaa");
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 2);
	ck_assert_uint_eq(counted(CTR_CACHE_HITS), 2);
	ck_assert_uint_eq(counted(CTR_CACHE_FILES), 2);
	ck_assert_uint_gt(counted(CTR_CACHE_BYTES), 8);
}
END_TEST

/* Changes are seen when valid is over, and not looked for before. */
START_TEST(test_replaced)
{
	open_cache("");
	expect("/a", "aaaa");
	tree_file("one/a", "new", 3, TREE_TIME + 1);
	now += 999;
	expect("/a", "aaaa");
	now += 1;
	expect("/a", "new");
	tree_unlink("one/a");
	now += 1000;
	expect("/a", NULL);
	tree_text("one/a", "back");
	expect("/a", NULL);
	now += 1000;
	expect("/a", "back");
}
END_TEST

/* The same size and time of modification: what lets the change be noticed is the inode's change. */
START_TEST(test_replaced_in_disguise)
{
	open_cache("");
	expect("/a", "aaaa");
	tree_file("one/a", "bbbb", 4, TREE_TIME);
	now += 1000;
	expect("/a", "bbbb");
}
END_TEST

/* Just written: its times may not tell the next change, so it is read again. Later it is not. */
START_TEST(test_young)
{
	open_cache("");
	ck_assert(get("/b")->is_young);
	now += 1000;
	expect("/b", "bbbb");
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 2);
	get("/b")->is_young = false;
	now += 1000;
	expect("/b", "bbbb");
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 2);
}
END_TEST

START_TEST(test_current_switch)
{
	open_cache("");
	expect("/a", "aaaa");
	expect("/b", "bbbb");
	tree_unlink("now");
	tree_link("now", "two");
	now += 1000;
	expect("/a", "AAAA");
	expect("/b", NULL);
	tree_unlink("now");
	now += 1000;
	expect("/a", NULL);
	tree_link("now", "one");
	now += 1000;
	expect("/a", "aaaa");
}
END_TEST

/* A root that was looked at for another file must not make an entry live longer. */
START_TEST(test_switch_is_seen_in_time)
{
	open_cache("");
	expect("/a", "aaaa");
	now += 600;
	expect("/b", "bbbb");
	tree_unlink("now");
	tree_link("now", "two");
	now += 400;
	expect("/b", NULL);
	expect("/a", "AAAA");
}
END_TEST

START_TEST(test_pinned)
{
	struct files_entry *e;

	open_cache("max_files = 1;");
	e = get("/a");
	files_cache_pin(e);
	tree_file("one/a", "changed", 7, TREE_TIME + 1);
	now += 1000;
	expect("/a", "changed");
	for (int i = 0; i < 10; i++)
		expect("/b", "bbbb");
	unit_str_eq(str_n(e->reps[0]->file.body, 4), "aaaa");
	files_cache_unpin(e);
}
END_TEST

START_TEST(test_bounds)
{
	char name[32];

	open_cache("max_files = 40;");
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "one/f%d", i);
		tree_text(name, "x");
		snprintf(name, sizeof(name), "/f%d", i);
		expect(name, "x");
		expect("/a", "aaaa");
		ck_assert_uint_le(counted(CTR_CACHE_FILES), 40);
	}
	/* What was in demand all the time was read once. */
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 401);
	/* Names that do not exist do not push out files. */
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "/nothing%d", i);
		expect(name, NULL);
	}
	ck_assert_uint_eq(counted(CTR_CACHE_FILES), 40);
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 801);
	expect("/a", "aaaa");
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 801);
}
END_TEST

START_TEST(test_octets)
{
	static char big[50000];
	char name[32];

	open_cache("max_size = \"200k\"; max_file = \"64k\";");
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "one/f%d", i);
		tree_file(name, big, sizeof(big), TREE_TIME);
		get(name + 3);
		ck_assert_uint_le(counted(CTR_CACHE_BYTES), 200 * 1024);
	}
	ck_assert_uint_ge(counted(CTR_CACHE_FILES), 3);
}
END_TEST

START_TEST(test_off)
{
	struct files_entry *e;

	open_cache("max_size = \"0\";");
	expect("/a", "aaaa");
	expect("/a", "aaaa");
	expect("/b", "bbbb");
	ck_assert_uint_eq(counted(CTR_CACHE_MISSES), 3);
	ck_assert_uint_eq(counted(CTR_CACHE_FILES), 0);
	e = get("/a");
	files_cache_pin(e);
	expect("/b", "bbbb");
	unit_str_eq(str_n(e->reps[0]->file.body, 4), "aaaa");
	files_cache_unpin(e);
}
END_TEST

START_TEST(test_large_is_open)
{
	static char big[100000];
	struct files_entry *e;

	open_cache("");
	tree_file("one/big", big, sizeof(big), TREE_TIME);
	e = get("/big");
	ck_assert_ptr_null(e->reps[0]->file.body);
	ck_assert_int_ge(e->reps[0]->file.fd, 0);
	ck_assert_ptr_eq(get("/big"), e);
	ck_assert_uint_lt(counted(CTR_CACHE_BYTES), 5000);
}
END_TEST

/* The same inode is not enough: the way to it must still be allowed. */
START_TEST(test_moved_out)
{
	open_cache("");
	tree_text("one/d/f", "ffff");
	expect("/d/f", "ffff");
	get("/d/f")->is_young = false;
	tree_rename("one/d", "elsewhere");
	tree_link("one/d", "../elsewhere");
	expect("/d/f", "ffff");
	now += 1000;
	ck_assert_int_eq(get("/d/f")->kind, FILES_ERROR);
	ck_assert_int_eq(get("/d/f")->status, 403);
}
END_TEST

/* A new sibling is noticed after ten seconds, a changed one after one. */
START_TEST(test_siblings)
{
	struct files_entry *e;

	open_cache("");
	ck_assert_uint_eq(get("/a")->nreps, 1);
	get("/a")->is_young = false;
	tree_text("one/a.gz", "z");
	now += 1000;
	ck_assert_uint_eq(get("/a")->nreps, 1);
	now += 10000;
	e = get("/a");
	ck_assert_uint_eq(e->nreps, 2);
	unit_str_eq(str_n(e->reps[1]->file.body, 1), "z");
	e->is_young = false;
	tree_file("one/a.gz", "zz", 2, TREE_TIME + 1);
	now += 1000;
	unit_str_eq(str_n(get("/a")->reps[1]->file.body, 2), "zz");
	tree_unlink("one/a.gz");
	now += 1000;
	ck_assert_uint_eq(get("/a")->nreps, 1);
}
END_TEST

/* The lowest descriptor that is free: with it as the limit, nothing more can be opened. */
static struct rlimit
forbid_open(void)
{
	struct rlimit was, low;
	int next = dup(0);

	close(next);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = (rlim_t)next;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	return was;
}

/* Without descriptors the answer is 503, which is not kept; those of idle large files are given
   back first. */
START_TEST(test_no_descriptors)
{
	static char big[100000];
	struct rlimit was;
	struct files_entry *e;

	open_cache("");
	expect("/a", "aaaa");
	was = forbid_open();
	e = get("/b");
	ck_assert_int_eq(e->kind, FILES_ERROR);
	ck_assert_int_eq(e->status, 503);
	ck_assert(!e->is_kept);
	get("/a")->is_young = false;
	now += 1000;
	expect("/a", "aaaa");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	expect("/b", "bbbb");
	tree_file("one/big", big, sizeof(big), TREE_TIME);
	get("/big");
	tree_text("one/c", "cccc");
	forbid_open();
	expect("/c", "cccc");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
}
END_TEST

/* Long names that do not exist cannot fill the memory that files are for. */
START_TEST(test_long_names)
{
	char name[4000], number[16];

	open_cache("max_size = \"100k\";");
	expect("/a", "aaaa");
	for (int i = 0; i < 200; i++) {
		memset(name, 'x', sizeof(name));
		name[0] = '/';
		snprintf(number, sizeof(number), "%d", 1000 + i);
		memcpy(name + sizeof(name) - 5, number, 5);
		expect(name, NULL);
		ck_assert_uint_le(counted(CTR_CACHE_BYTES), 100 * 1024);
	}
	ck_assert_uint_eq(counted(CTR_CACHE_FILES), 1);
}
END_TEST

Suite *
suite_files_cache(void)
{
	Suite *s = suite_create("files_cache");
	TCase *tc = tcase_create("files_cache");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_hit);
	tcase_add_test(tc, test_replaced);
	tcase_add_test(tc, test_replaced_in_disguise);
	tcase_add_test(tc, test_young);
	tcase_add_test(tc, test_current_switch);
	tcase_add_test(tc, test_switch_is_seen_in_time);
	tcase_add_test(tc, test_pinned);
	tcase_add_test(tc, test_bounds);
	tcase_add_test(tc, test_octets);
	tcase_add_test(tc, test_off);
	tcase_add_test(tc, test_large_is_open);
	tcase_add_test(tc, test_moved_out);
	tcase_add_test(tc, test_siblings);
	tcase_add_test(tc, test_no_descriptors);
	tcase_add_test(tc, test_long_names);
	suite_add_tcase(s, tc);
	return s;
}
