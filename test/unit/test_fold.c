/* Names folded: each pair of octets at each place of names of all short lengths, and sets. */
#include <stdio.h>
#include "modules/gateway/codec/claim.h"
#include "modules/gateway/codec/nameset.h"
#include "test/unit/unit.h"

Suite *suite_fold(void);

static bool
is_alnum(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static int
lower(int c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* Names of _i + 1 octets. */
START_TEST(octets)
{
	char one[20] = "abcdefghijklmnopqrs", other[20] = "ABCDEFGHIJKLMNOPQRS";
	size_t n = (size_t)_i + 1;
	struct str a = { one, n }, b = { other, n };

	for (size_t at = 0; at < n; at++) {
		char before = one[at];

		for (int c = 0; c < 256; c++) {
			one[at] = (char)c;
			ck_assert_int_eq(fold_is_plain(a), is_alnum(c) || c == '-');
			for (int d = c % 5; d < 256; d += 5) {
				bool is = is_alnum(c) && is_alnum(d) ? lower(c) == lower(d)
								     : !is_alnum(c) && !is_alnum(d);

				other[at] = (char)d;
				if (is && c < 128 && d < 128 &&
				    (is_alnum(c) || c == d) != fold_is_alike(a, b))
					ck_abort_msg("%d alike %d at %zu of %zu", c, d, at, n);
				if (fold_eq(a, b) != is || (fold_hash(a) == fold_hash(b)) != is)
					ck_abort_msg("%d and %d at %zu of %zu", c, d, at, n);
			}
		}
		one[at] = before;
		other[at] = (char)(before - 32);
	}
}
END_TEST

START_TEST(prefixes)
{
	ck_assert(fold_has_prefix(STR("x_forwarded.for"), STR("X-Forwarded-")));
	ck_assert(!fold_has_prefix(STR("X-Forwarded"), STR("X-Forwarded-")));
	ck_assert(fold_has_prefix(STR("X"), STR("")));
	ck_assert(!fold_eq(STR("X-A"), STR("XA")));
	ck_assert(fold_eq(STR(""), STR("")));
}
END_TEST

/* As many names as a head can have, and each of them again in another spelling. */
START_TEST(set)
{
	char names[NAMESET_MAX][2][12];
	struct nameset s;
	struct arena arena;

	arena_init(&arena, NULL, 0);
	nameset_init(&s, &arena, NAMESET_MAX);
	ck_assert(!nameset_has(&s, STR("X-0")));
	for (unsigned i = 0; i < NAMESET_MAX; i++) {
		snprintf(names[i][0], sizeof(names[i][0]), "X-%u", i);
		snprintf(names[i][1], sizeof(names[i][1]), "x_%u", i);
		ck_assert(!nameset_has(&s, str_of(names[i][1])));
		ck_assert_uint_eq(nameset_put(&s, str_of(names[i][0])), i);
		ck_assert_uint_eq(nameset_put(&s, str_of(names[i][1])), i);
	}
	ck_assert_uint_eq(s.n, NAMESET_MAX);
	for (unsigned i = 0; i < NAMESET_MAX; i++) {
		ck_assert(nameset_has(&s, str_of(names[i][1])));
		unit_str_eq(s.names[i], names[i][0]);
	}
	arena_fini(&arena);
}
END_TEST

static const struct {
	const char *name;
	enum claim claim;
} claims[] = {
	{ "X-Forwarded-For", CLAIM_FRONT },
	{ "x_forwarded_anything", CLAIM_FRONT },
	{ "X-Forwarded", CLAIM_FRONT },
	{ "X-ForwardedX", CLAIM_NONE },
	{ "forwarded", CLAIM_FRONT },
	{ "X.Real.IP", CLAIM_FRONT },
	{ "TRUE-CLIENT-IP", CLAIM_FRONT },
	{ "X-Original_URL", CLAIM_FRONT },
	{ "Https", CLAIM_FRONT },
	{ "HTTP2-Settings", CLAIM_NEVER },
	{ "proxy-x", CLAIM_NEVER },
	{ "Content_Length", CLAIM_KNOWN },
	{ "accept", CLAIM_KNOWN },
	{ "", CLAIM_NONE },
	{ "Sec-Fetch-Site", CLAIM_NONE },
	{ "X-Requested-With", CLAIM_NONE },
};

START_TEST(claim)
{
	struct str name = str_of(claims[_i].name);

	ck_assert_int_eq(claim_of(name), claims[_i].claim);
	/* Of plain names without a row, which is all that it is asked of. */
	if ((claims[_i].claim == CLAIM_FRONT || claims[_i].claim == CLAIM_NEVER) &&
	    fold_is_plain(name) && http_field_of(name) == HF_OTHER)
		ck_assert(claim_is_possible(name));
}
END_TEST

/* Every name of the vocabulary is known in every spelling, as itself. */
START_TEST(vocabulary)
{
	for (unsigned id = HF_OTHER + 1; id < HF_MAX; id++) {
		struct str name = http_field_name((enum http_field)id);
		char odd[64];

		for (size_t i = 0; i < name.n; i++)
			odd[i] = name.p[i] == '-' ? '_' : name.p[i];
		ck_assert_int_ne(claim_of(str_n(odd, name.n)), CLAIM_NONE);
		ck_assert_int_eq(claim_of(name) == CLAIM_FRONT,
		    claim_of_kind((enum http_field)id) == CLAIM_FRONT);
	}
}
END_TEST

Suite *
suite_fold(void)
{
	Suite *s = suite_create("fold");
	TCase *c = tcase_create("fold");

	tcase_add_loop_test(c, octets, 0, 19);
	tcase_add_test(c, prefixes);
	tcase_add_test(c, set);
	tcase_add_loop_test(c, claim, 0, UNIT_COUNT(claims));
	tcase_add_test(c, vocabulary);
	suite_add_tcase(s, c);
	return s;
}
