#include <stdlib.h>
#include "common/base/arena.h"
#include "common/base/must.h"
#include "test/unit/unit.h"

Suite *suite_arena(void);

static bool
is_aligned(const void *p)
{
	return (uintptr_t)p % 16 == 0;
}

/* Every size, with and without a first room, however that is aligned: aligned, and apart. */
START_TEST(sizes)
{
	static char room[1024 + 16];
	struct arena a;
	unsigned char *last = NULL;
	size_t last_n = 0;

	arena_init(&a, _i ? room + _i : NULL, _i ? 1024 : 0);
	for (size_t n = 1; n < 9000; n = n * 3 / 2 + 1) {
		unsigned char *p = arena_alloc(&a, n);

		ck_assert(is_aligned(p));
		memset(p, (int)(n & 0xff), n);
		for (size_t i = 0; i < last_n; i++)
			ck_assert_uint_eq(last[i], last_n & 0xff);
		last = p;
		last_n = n;
	}
	arena_fini(&a);
}
END_TEST

/* The first room is used first, and again after a reset; what does not fit goes elsewhere. */
START_TEST(first_room)
{
	_Alignas(16) char room[256];
	struct arena a;

	arena_init(&a, room, sizeof(room));
	for (int i = 0; i < 3; i++) {
		char *p = arena_alloc(&a, 200), *q = arena_alloc(&a, 100), *r = arena_alloc(&a, 40);

		ck_assert_ptr_eq(p, room);
		ck_assert(q < room || q >= room + sizeof(room));
		ck_assert(r < room || r >= room + sizeof(room));
		arena_reset(&a);
	}
	ck_assert_ptr_null(a.blocks);
	arena_fini(&a);
}
END_TEST

/* A room that is too small to be aligned, or is not there, is no room. */
START_TEST(no_room)
{
	_Alignas(16) char room[16];
	struct arena a;

	arena_init(&a, room + 1, 3);
	ck_assert_ptr_null(a.first);
	ck_assert(is_aligned(arena_alloc(&a, 1)));
	arena_fini(&a);
	arena_init(&a, room, 0);
	ck_assert(is_aligned(arena_alloc(&a, 1)));
	arena_fini(&a);
}
END_TEST

/* A large piece does not waste the rest of the current block. */
START_TEST(large)
{
	struct arena a;
	char *p, *q;

	arena_init(&a, NULL, 0);
	p = arena_alloc(&a, 16);
	memset(arena_alloc(&a, 100000), 1, 100000);
	q = arena_alloc(&a, 16);
	ck_assert_ptr_eq(q, p + 16);
	arena_fini(&a);
}
END_TEST

START_TEST(copies)
{
	struct arena a;
	struct str s;
	char *z;

	arena_init(&a, NULL, 0);
	s = arena_str(&a, str_n("abcdef", 3));
	unit_str_eq(s, "abc");
	ck_assert_int_eq(s.p[3], '\0');
	s = arena_str(&a, (struct str){ NULL, 0 });
	ck_assert(s.p && s.n == 0 && *s.p == '\0');
	z = arena_strdup(&a, "abc");
	ck_assert_str_eq(z, "abc");
	unit_str_eq(arena_printf(&a, "%s-%d", "abc", 42), "abc-42");
	unit_str_eq(arena_printf(&a, "%s", ""), "");
	s = arena_printf(&a, "%5000d", 1);
	ck_assert_uint_eq(s.n, 5000);
	ck_assert_int_eq(s.p[5000], '\0');
	z = arena_calloc(&a, 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(z[i], 0);
	arena_fini(&a);
}
END_TEST

static struct arena shared;
static char order[20];

static void
note(void *arg)
{
	strcat(order, arg);
}

static void
note_and_defer(void *arg)
{
	note(arg);
	memset(arena_alloc(&shared, 5000), 1, 5000);
	arena_defer(&shared, note, "z");
}

/* Last deferred first; a deferred call may allocate and defer; none runs twice. */
START_TEST(defers)
{
	arena_init(&shared, NULL, 0);
	order[0] = '\0';
	arena_defer(&shared, note, "a");
	arena_defer(&shared, note_and_defer, "b");
	arena_defer(&shared, note, "c");
	arena_reset(&shared);
	ck_assert_str_eq(order, "cbza");
	arena_reset(&shared);
	ck_assert_str_eq(order, "cbza");
	arena_defer(&shared, note, "d");
	arena_fini(&shared);
	ck_assert_str_eq(order, "cbzad");
}
END_TEST

/* --- must.c --- */

START_TEST(must_allocates)
{
	char *p = must_malloc(0), *q = must_calloc(0, 0), *z = must_strdup("abc");

	ck_assert(p && q);
	p = must_realloc(p, 100);
	memset(p, 1, 100);
	ck_assert_str_eq(z, "abc");
	free(p);
	free(q);
	free(z);
}
END_TEST

START_TEST(must_holds)
{
	int n = 0;

	must(++n == 1);
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(must_aborts)
{
	static char words[40];

	must_words(words, sizeof(words));
	must(words[0] == 'x');
}
END_TEST

Suite *
suite_arena(void)
{
	Suite *s = suite_create("arena");
	TCase *c = tcase_create("arena");

	tcase_add_loop_test(c, sizes, 0, 17);
	tcase_add_test(c, first_room);
	tcase_add_test(c, no_room);
	tcase_add_test(c, large);
	tcase_add_test(c, copies);
	tcase_add_test(c, defers);
	tcase_add_test(c, must_allocates);
	tcase_add_test(c, must_holds);
	tcase_add_test_raise_signal(c, must_aborts, 6);
	suite_add_tcase(s, c);
	return s;
}
