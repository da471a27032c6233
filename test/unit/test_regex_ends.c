#include <stdlib.h>

#include "common/config/regex.h"
#include "test/unit/unit.h"

static const struct {
	const char *source, *lead, *tail;
} ends[] = {
	{ "\\.php$", "", ".php" },
	{ "^/api/", "/api/", "" },
	{ "^/index\\.html$", "/index.html", "/index.html" },
	{ "^/a/very/long/path\\.html$", "/a/very/lon", "g/path.html" },
	{ "^/v[0-9]+/x$", "/v", "/x" },
	{ "^/(?:a|b)/(.*)\\.php$", "/", ".php" },
	{ "^/ab?c$", "/a", "c" },
	{ "^/ab{2,3}c$", "/a", "c" },
	{ "^/ab*+c+$", "/a", "" },
	{ "^/a{,2}x", "/", "" },
	{ "x$y$", "", "y" },
	{ "x\\$$", "", "x$" },
	{ "x\\$", "", "" },
	{ "[$x]y$", "", "y" },
	{ "[]a\\]b]y$", "", "y" },
	{ "[^]a]y$", "", "y" },
	{ "a\\dc$", "", "c" },
	{ "a.c$", "", "c" },
	{ "^/a(b$)", "/a", "" },
	{ "\xe9$", "", "\xe9" },
	{ "", "", "" },
	{ "$", "", "" },
	{ "^", "", "" },
	{ "^$", "", "" },
	/* not understood */
	{ "^/a|b$", "", "" },
	{ "(?i)\\.php$", "", "" },
	{ "^/a(?i:b)c$", "", "" },
	{ "^/a(?m)b$", "", "" },
	{ "^/a(?=b)b$", "", "" },
	{ "^/a(*ACCEPT)b$", "", "" },
	{ "^/a(b|(*ACCEPT))c$", "", "" },
	{ "^/a\\Qb?\\E$", "", "" },
	{ "^/a[\\Q]b\\E]c$", "", "" },
	{ "^/a[[:digit:]]c$", "", "" },
	{ "^(a)\\1$", "", "" },
	{ "^/a\\x62$", "", "" },
	{ "^/a\\Kb$", "", "" },
	{ "^/a{b$", "", "" },
	{ "\\Aa\\z", "", "" },
};

START_TEST(test_ends)
{
	struct regex_ends e = regex_ends_of(str_of(ends[_i].source));

	unit_str_eq(str_n(e.lead, e.lead_n), ends[_i].lead);
	unit_str_eq(str_n(e.tail, e.tail_n), ends[_i].tail);
}
END_TEST

/* Pieces of which expressions are made at random: each kind of element, and what changes the
   meaning of what stands around it. */
static const char *const pieces[] = { "a", "b", "a", "b", "/", "\\.", "\\$", "\\^", "\\\\", ".",
	"^", "$", "|", "(", ")", "(", ")", "(?:", "(?i)", "(?i:", "(?m)", "(?s)", "(?x)", "(?-i)",
	"(?=", "(?!", "(?<=", "(?>", "(?|", "(?#", "(?<n>", "(*ACCEPT)", "(*COMMIT)", "(*SKIP)",
	"(*CRLF)", "*", "+", "?", "{", "}", "{0}", "{2}", "{1,}", "{,2}", "{0,1}", "{,}", "{1,a}",
	"[", "]", "[ab]", "[^a]", "[]a]", "[^]a]", "[a\\]b]", "[[:alpha:]]", "[\\Q]\\E]", "\\Q",
	"\\E", "\\d", "\\w", "\\b", "\\B", "\\R", "\\K", "\\A", "\\z", "\\Z", "\\G", "\\1", "\\x61",
	"\\x{62}", "\\o{141}", "\\141", "\\c]", "\\ca", "\\n", "\\N", "\\p{L}", "\\pL", "\\C", " ",
	"#", "-", "\n", "\xe9", "\\\xe9", "\\ ", "\\-", "\\<" };

enum { ENDS_PATTERNS = 30000, ENDS_SUBJECTS = 24, ENDS_PIECES = 7 };

static size_t
ends_random_source(char *to)
{
	size_t n = 0;

	if (rand() % 3 == 0)
		to[n++] = '^';
	for (int left = rand() % ENDS_PIECES; left >= 0; left--) {
		/* Mostly what is understood, or nearly every expression is given up. */
		const char *piece =
		    pieces[(unsigned)rand() % (rand() % 3 ? 10 : UNIT_COUNT(pieces))];

		memcpy(to + n, piece, strlen(piece));
		n += strlen(piece);
	}
	if (rand() % 2)
		to[n++] = '$';
	return n;
}

/* Octets that expressions speak of; half of the subjects are pieces of this very one. */
static struct str
ends_random_subject(char *to, struct str source)
{
	static const char octets[] = "abAB/.$^\\ \n1]\xe9";
	size_t n = 0;

	for (int left = rand() % 8; left > 0; left--)
		to[n++] = source.n && rand() % 2 ? source.p[(size_t)rand() % source.n]
						 : octets[(size_t)rand() % (sizeof(octets) - 1)];
	return str_n(to, n);
}

/* No end is known that a match could do without. */
START_TEST(test_random)
{
	unsigned compiled = 0, known = 0, refused = 0;

	srand((unsigned)_i + 1);
	regex_is_interpreted = true;
	for (int i = 0; i < ENDS_PATTERNS; i++) {
		char text[128], octets[16];
		struct str source = str_n(text, ends_random_source(text)), subject;
		struct cfg_regex re = { 0 };
		const char *why;
		size_t offset;

		if (!regex_compile(&re, source, &why, &offset))
			continue;
		compiled++;
		known += re.ends.lead_n || re.ends.tail_n;
		for (int k = 0; k < ENDS_SUBJECTS; k++) {
			subject = ends_random_subject(octets, source);
			if (regex_ends_fit(&re.ends, subject))
				continue;
			refused++;
			ck_assert_msg(regex_search(&re, subject, NULL).is != REGEX_MATCH,
			    "\"%.*s\" matches \"%.*s\", which does not begin with \"%.*s\" or "
			    "end with \"%.*s\"",
			    STR_FMT(source), STR_FMT(subject), re.ends.lead_n, re.ends.lead,
			    re.ends.tail_n, re.ends.tail);
		}
		regex_free(&re);
	}
	regex_is_interpreted = false;
	ck_assert_uint_gt(compiled, ENDS_PATTERNS / 2);
	ck_assert_uint_gt(known, ENDS_PATTERNS / 5);
	ck_assert_uint_gt(refused, 5 * ENDS_PATTERNS);
}
END_TEST

Suite *
suite_regex_ends(void)
{
	Suite *s = suite_create("regex_ends");
	TCase *t = tcase_create("regex_ends");

	tcase_add_loop_test(t, test_ends, 0, UNIT_COUNT(ends));
	tcase_add_loop_test(t, test_random, 0, 4);
	suite_add_tcase(s, t);
	return s;
}
