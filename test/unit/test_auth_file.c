#include <stdio.h>
#include "modules/auth/file.h"
#include "test/unit/filetree.h"
#include "test/unit/unit.h"

Suite *suite_auth_file(void);

static struct arena arena;
static struct cfg_check check;
static char path[4096];

static void
setup(void)
{
	tree_make();
	tree_text("users", "ann:{SHA}1\n");
	snprintf(path, sizeof(path), "%s/users", tree_path());
	arena_init(&arena, NULL, 0);
	check = (struct cfg_check){ .arena = &arena };
}

static void
teardown(void)
{
	arena_fini(&arena);
	tree_remove();
}

static bool
has(struct auth_file *f, uint64_t now, const char *name)
{
	return htpasswd_find(auth_file_users(f, now), str_of(name)) != NULL;
}

/* One file, however many scopes name it; another configuration reads it anew. */
START_TEST(shared)
{
	struct auth_file *f = auth_file_load(&check, "auth.users", str_of(path));
	struct arena other;
	struct cfg_check second = { .arena = &other };
	struct auth_file *g;

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_eq(auth_file_load(&check, "auth.users", str_of(path)), f);
	arena_init(&other, NULL, 0);
	g = auth_file_load(&second, "auth.users", str_of(path));
	ck_assert_ptr_nonnull(g);
	ck_assert_ptr_ne(g, f);
	ck_assert_uint_ne(auth_file_version(g), auth_file_version(f));
	arena_fini(&other);
	ck_assert(has(f, 0, "ann"));
}
END_TEST

/* A change counts after a second at most, and not before it is looked for. */
START_TEST(changed)
{
	struct auth_file *f = auth_file_load(&check, "auth.users", str_of(path));
	uint64_t version = auth_file_version(f);

	ck_assert(has(f, 5000, "ann"));
	tree_text("users", "bob:{SHA}1\nzoe:{SHA}2\n");
	ck_assert(has(f, 5999, "ann"));
	ck_assert_uint_eq(auth_file_version(f), version);
	ck_assert(!has(f, 6000, "ann"));
	ck_assert(has(f, 6000, "zoe"));
	ck_assert_uint_ne(auth_file_version(f), version);
	version = auth_file_version(f);
	ck_assert(has(f, 9000, "zoe"));
	ck_assert_uint_eq(auth_file_version(f), version);
}
END_TEST

/* What is gone or wrong takes nobody's access, but for lines that are wrong. */
START_TEST(unreadable)
{
	struct auth_file *f = auth_file_load(&check, "auth.users", str_of(path));

	tree_unlink("users");
	ck_assert(has(f, 1000, "ann"));
	ck_assert(has(f, 2000, "ann"));
	tree_fifo("users");
	ck_assert(has(f, 4000, "ann"));
	tree_unlink("users");
	tree_text("users", "bob:{SHA}1\nzoe:in the clear\n");
	ck_assert(!has(f, 5000, "ann"));
	ck_assert(has(f, 5000, "bob"));
	ck_assert(!has(f, 5000, "zoe"));
}
END_TEST

Suite *
suite_auth_file(void)
{
	Suite *s = suite_create("auth_file");
	TCase *t = tcase_create("auth_file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, shared);
	tcase_add_test(t, changed);
	tcase_add_test(t, unreadable);
	suite_add_tcase(s, t);
	return s;
}
