/*
 * Chunked bodies: each row whole, octet by octet, and split at every position. A row says what
 * content and trailers come out and how many octets are used, or the status.
 */
#include <stdio.h>
#include <stdlib.h>
#include "test/unit/split.h"
#include "test/unit/unit.h"
#include "worker/chunked.h"

Suite *suite_chunked(void);

struct outcome {
	char
	    text[200]; /* "content|Name=value|" and "+left" octets not used, or "more", or "-400" */
	size_t n;
};

static void
add(struct outcome *o, struct str s)
{
	ck_assert_uint_lt(o->n + s.n, sizeof(o->text) - 20);
	memcpy(o->text + o->n, s.p ? s.p : "", s.n);
	o->n += s.n;
}

/* Feeds one buffer; how many of its octets were used, or minus a status. */
static ssize_t
feed(struct chunked *c, struct arena *a, struct fields *trailers, struct str in, struct outcome *o,
    bool *done)
{
	size_t at = 0;

	while (at < in.n && !*done) {
		struct str data;
		ssize_t used = chunked_decode(c, a, trailers, in.p + at, in.n - at, &data, done);

		if (used < 0)
			return used;
		ck_assert_int_gt(used, 0);
		ck_assert(
		    data.n == 0 || (data.p >= in.p + at && data.p + data.n <= in.p + at + used));
		add(o, data);
		at += (size_t)used;
	}
	return (ssize_t)at;
}

static void
finish(struct outcome *o, const struct fields *trailers, size_t left)
{
	add(o, STR("|"));
	for (unsigned i = 0; i < trailers->n; i++) {
		add(o, trailers->v[i].name);
		add(o, STR("="));
		add(o, trailers->v[i].value);
		add(o, STR("|"));
	}
	snprintf(o->text + o->n, sizeof(o->text) - o->n, "+%zu", left);
}

static void
decode(struct outcome *o, struct str in, const struct split *way)
{
	struct chunked c = { 0 };
	struct fields trailers = { 0 };
	struct arena a;
	size_t at = 0;
	bool done = false;
	ssize_t used = 0;

	*o = (struct outcome){ .n = 0 };
	arena_init(&a, NULL, 0);
	while (at < in.n && used >= 0 && !done) {
		size_t next = split_next(way, at, in.n);
		char *buf = malloc(next - at);

		memcpy(buf, in.p + at, next - at);
		used = feed(&c, &a, &trailers, str_n(buf, next - at), o, &done);
		free(buf);
		at = done ? at + (size_t)used : next;
	}
	if (used < 0)
		snprintf(o->text, sizeof(o->text), "%zd", used);
	else if (!done)
		snprintf(o->text, sizeof(o->text), "more");
	else
		finish(o, &trailers, in.n - at);
	arena_fini(&a);
}

struct row {
	struct str in;
	const char *want;
};
#define ROW(text, result)                                                                          \
	{                                                                                          \
		STR_INIT(text), (result)                                                           \
	}

static const struct row rows[] = {
	ROW("0\r\n\r\n", "|+0"),
	ROW("5\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\n\r\n", "hello, world|+0"),
	ROW("a\r\n0123456789\r\n0\r\n\r\n", "0123456789|+0"),
	ROW("A\r\n0123456789\r\n0\r\n\r\n", "0123456789|+0"),
	ROW("00005\r\nhello\r\n000\r\n\r\n", "hello|+0"),
	ROW("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello|+0"),
	ROW("2\r\n\r\n\r\n0\r\n\r\n", "\r\n|+0"),
	ROW("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n|+0"),
	/* what follows is not ours */
	ROW("0\r\n\r\nGET / HTTP/1.1\r\n", "|+16"),
	ROW("1\r\na\r\n0\r\n\r\n\r\n", "a|+2"),
	/* RFC 9112 7.1.1: extensions are skipped */
	ROW("5;a\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello|+0"),
	ROW("5;a=b;c;d=e\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5;a=\"b\"\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5;a=\"\"\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5;a=\"b;c=d, \t\xc3\xa9\";e\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5;a=\"\\\"\\\\\"\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	/* BWS, which a recipient must parse (RFC 9110 5.6.3) */
	ROW("a; comment\r\n0123456789\r\n0\r\n\r\n", "0123456789|+0"),
	ROW("5 ; a = b\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	ROW("5\t ;\t a\t =\t \"b\" \t; c\r\nhello\r\n0 ;d\r\n\r\n", "hello|+0"),
	ROW("5;a ;b= c ;d\r\nhello\r\n0\r\n\r\n", "hello|+0"),
	/* RFC 9112 7.1.2: trailers */
	ROW("0\r\nA: b\r\n\r\n", "|A=b|+0"),
	ROW("0\r\nA: b\r\nC:d \r\nA:\r\n\r\n", "|A=b|C=d|A=|+0"),
	ROW("0\r\nETag: \"x\"\r\n\r\nX", "|ETag=\"x\"|+1"),
	ROW("0\r\nA: b\tc\r\n\r\n", "|A=b\tc|+0"),
	/* RFC 9110 6.5.1: what has no business there */
	ROW("0\r\nContent-Length: 5\r\nA: b\r\ntransfer-encoding: chunked\r\nHost: x\r\n"
	    "Authorization: y\r\nTrailer: A\r\nCookie: c\r\nContent-Type: t\r\nX-Forwarded-For: "
	    "z\r\n\r\n",
	    "|A=b|+0"),
	/* not complete */
	ROW("5", "more"),
	ROW("5\r", "more"),
	ROW("5\r\nhell", "more"),
	ROW("5\r\nhello", "more"),
	ROW("5\r\nhello\r", "more"),
	ROW("5\r\nhello\r\n", "more"),
	ROW("0\r\n", "more"),
	ROW("0\r\n\r", "more"),
	ROW("0\r\nA: b\r\n", "more"),
	ROW("7fffffffffffffff\r\nx", "more"),
	/* sizes */
	ROW("\r\n", "-400"),
	ROW("\r\nhello\r\n", "-400"),
	ROW("g\r\n", "-400"),
	ROW("-1\r\n", "-400"),
	ROW("+5\r\nhello\r\n", "-400"),
	ROW("0x5\r\nhello\r\n", "-400"),
	ROW("5h\r\nhello\r\n", "-400"),
	ROW(" 5\r\nhello\r\n", "-400"),
	ROW("5 \r\nhello\r\n", "-400"),
	ROW("5\t\r\nhello\r\n", "-400"),
	ROW("5,\r\nhello\r\n", "-400"),
	ROW("5.0\r\nhello\r\n", "-400"),
	ROW("5_0\r\nhello\r\n", "-400"),
	ROW("5\0\r\nhello\r\n", "-400"),
	ROW("\"5\"\r\nhello\r\n", "-400"),
	ROW("00000000000000005\r\nhello\r\n0\r\n\r\n", "-400"),
	ROW("10000000000000005\r\nhello\r\n0\r\n\r\n", "-400"),
	ROW("8000000000000000\r\n", "-413"),
	ROW("ffffffffffffffff\r\n", "-413"),
	ROW("fffffffffffffffff\r\n", "-413"),
	/* line ends: RFC 9112 2.2's leniency for LF is for others */
	ROW("5\nhello\r\n0\r\n\r\n", "-400"),
	ROW("5\rhello\r\n0\r\n\r\n", "-400"),
	ROW("5\r\r\nhello\r\n0\r\n\r\n", "-400"),
	ROW("5\r\nhello\n0\r\n\r\n", "-400"),
	ROW("5\r\nhello\r0\r\n\r\n", "-400"),
	ROW("5\r\nhello0\r\n\r\n", "-400"),
	ROW("5\r\nhelloXX0\r\n\r\n", "-400"),
	ROW("5\r\nhello\r\n\r\n0\r\n\r\n", "-400"),
	ROW("5\r\nhello!\r\n0\r\n\r\n", "-400"),
	ROW("4\r\nhello\r\n0\r\n\r\n", "-400"),
	ROW("0\n\r\n", "-400"),
	ROW("0\r\n\n", "-400"),
	ROW("0\r\n\rX", "-400"),
	ROW("0\r\rX", "-400"),
	/* extensions: white space (BWS) included */
	ROW("5;\r\nhello\r\n", "-400"),
	ROW("5;;a\r\nhello\r\n", "-400"),
	ROW("5;=b\r\nhello\r\n", "-400"),
	ROW("5;a=\r\nhello\r\n", "-400"),
	ROW("5;a==b\r\nhello\r\n", "-400"),
	ROW("5;a=b=c\r\nhello\r\n", "-400"),
	/* blanks right before the line's end are no BWS */
	ROW("5;a=b \r\nhello\r\n", "-400"),
	ROW("5;a \r\nhello\r\n", "-400"),
	ROW("5; \r\nhello\r\n", "-400"),
	ROW("5;a=\"b\"\t\r\nhello\r\n", "-400"),
	ROW("5;a b\r\nhello\r\n", "-400"),
	ROW("5;a=b c\r\nhello\r\n", "-400"),
	ROW("5;a= \r\nhello\r\n", "-400"),
	ROW("5 a\r\nhello\r\n", "-400"),
	ROW("5 =a\r\nhello\r\n", "-400"),
	ROW("5;a\nhello\r\n", "-400"),
	ROW("5;a=\"b\r\nhello\r\n", "-400"),
	ROW("5;a=\"b\nc\"\r\nhello\r\n", "-400"),
	ROW("5;a=\"b\\\nc\"\r\nhello\r\n", "-400"),
	ROW("5;a=\"b\\\r\nhello\r\n", "-400"),
	ROW("5;a=\"b\"c\r\nhello\r\n", "-400"),
	ROW("5;a=b\"c\"\r\nhello\r\n", "-400"),
	ROW("5;a=\"\x7f\"\r\nhello\r\n", "-400"),
	ROW("5;a=\"\0\"\r\nhello\r\n", "-400"),
	ROW("5;\"a\"\r\nhello\r\n", "-400"),
	ROW("5;a\0\r\nhello\r\n", "-400"),
	ROW("5;\xc3\xa9\r\nhello\r\n", "-400"),
	ROW("5;a\rX\nhello\r\n", "-400"),
	/* trailers */
	ROW("0\r\nA\r\n\r\n", "-400"),
	ROW("0\r\nA : b\r\n\r\n", "-400"),
	ROW("0\r\n A: b\r\n\r\n", "-400"),
	ROW("0\r\nA: b\r\n c\r\n\r\n", "-400"),
	ROW("0\r\n: b\r\n\r\n", "-400"),
	ROW("0\r\nA: b\nC: d\r\n\r\n", "-400"),
	ROW("0\r\nA: b\rC: d\r\n\r\n", "-400"),
	ROW("0\r\nA: \0\r\n\r\n", "-400"),
	ROW("0\r\nA: \x7f\r\n\r\n", "-400"),
	ROW("0\r\nGET / HTTP/1.1\r\n\r\n", "-400"),
	ROW("0\r\nContent-Length : 5\r\n\r\n", "-400"),
	ROW("0\r\nA: b\r\n\rX", "-400"),
};

START_TEST(table)
{
	SPLIT_EACH(way, rows[_i].in.n)
	{
		struct outcome o;

		decode(&o, rows[_i].in, &way);
		ck_assert_msg(strcmp(o.text, rows[_i].want) == 0, "\"%.*s\" (%zu, %zu): %s, not %s",
		    STR_FMT(rows[_i].in), way.first, way.step, o.text, rows[_i].want);
	}
}
END_TEST

/* --- limits --- */

/* The verdict on before, n times repeated, after. */
static int
verdict(const char *before, const char *repeated, size_t n, const char *after)
{
	size_t len = strlen(repeated), total = strlen(before) + n * len + strlen(after), at = 0;
	char *buf = malloc(total + 1), *p = stpcpy(buf, before);
	struct chunked c = { 0 };
	struct fields trailers = { 0 };
	struct arena a;
	bool done = false;
	ssize_t used = 0;

	for (size_t i = 0; i < n; i++)
		p = stpcpy(p, repeated);
	stpcpy(p, after);
	arena_init(&a, NULL, 0);
	while (at < total && used >= 0 && !done) {
		struct str data;

		used = chunked_decode(&c, &a, &trailers, buf + at, total - at, &data, &done);
		at += used > 0 ? (size_t)used : 0;
	}
	arena_fini(&a);
	free(buf);
	return used < 0 ? (int)used : done;
}

START_TEST(limits)
{
	/* ";a" takes the octets after the ';': its "a", and the CR or ';' that ends it */
	ck_assert_int_eq(verdict("1;", "x", CHUNKED_MAX_EXT - 1, "\r\na\r\n0\r\n\r\n"), 1);
	ck_assert_int_eq(verdict("1;", "x", CHUNKED_MAX_EXT, "\r\na\r\n0\r\n\r\n"), -413);
	ck_assert_int_eq(verdict("1;", "x", 10 * CHUNKED_MAX_EXT, ""), -413);
	ck_assert_int_eq(verdict("1;a=\"", " ", 10 * CHUNKED_MAX_EXT, ""), -413);
	/* over the whole body, not chunk by chunk */
	ck_assert_int_eq(verdict("", "1;abc\r\na\r\n", CHUNKED_MAX_EXT / 4, "0\r\n\r\n"), 1);
	ck_assert_int_eq(verdict("", "1;abc\r\na\r\n", CHUNKED_MAX_EXT / 4 + 1, "0\r\n\r\n"), -413);
	/* without extensions there is no limit of chunks */
	ck_assert_int_eq(verdict("", "1\r\na\r\n", 100000, "0\r\n\r\n"), 1);
	/* trailers: octets, and fields */
	ck_assert_int_eq(verdict("0\r\nA:", "x", CHUNKED_MAX_TRAILER - 2, "\r\n\r\n"), 1);
	ck_assert_int_eq(verdict("0\r\nA:", "x", CHUNKED_MAX_TRAILER - 1, "\r\n\r\n"), -431);
	ck_assert_int_eq(verdict("0\r\n", "A:\r\n", CHUNKED_MAX_TRAILERS, "\r\n"), 1);
	ck_assert_int_eq(verdict("0\r\n", "A:\r\n", CHUNKED_MAX_TRAILERS + 1, "\r\n"), -431);
	ck_assert_int_eq(verdict("0\r\n", "Host:\r\n", CHUNKED_MAX_TRAILERS + 1, "\r\n"), -431);
}
END_TEST

/* After the end nothing is taken; after a fault the fault stays. */
START_TEST(after_the_end)
{
	struct chunked c = { 0 };
	struct fields trailers = { 0 };
	struct str data;
	bool done;

	ck_assert_int_eq(chunked_decode(&c, NULL, &trailers, "0\r\n\r\nX", 6, &data, &done), 5);
	ck_assert(done);
	ck_assert_int_eq(chunked_decode(&c, NULL, &trailers, "X", 1, &data, &done), 0);
	ck_assert(done);
	c = (struct chunked){ 0 };
	ck_assert_int_eq(chunked_decode(&c, NULL, &trailers, "X", 1, &data, &done), -400);
	ck_assert_int_eq(chunked_decode(&c, NULL, &trailers, "0\r\n\r\n", 5, &data, &done), -400);
	ck_assert(!done);
}
END_TEST

/* --- encoding --- */

static const struct {
	uint64_t n;
	const char *want;
} head_rows[] = {
	{ 0, "0\r\n" },
	{ 1, "1\r\n" },
	{ 15, "f\r\n" },
	{ 16, "10\r\n" },
	{ 255, "ff\r\n" },
	{ 256, "100\r\n" },
	{ 16384, "4000\r\n" },
	{ 0x123456789abcdef, "123456789abcdef\r\n" },
	{ UINT64_MAX, "ffffffffffffffff\r\n" },
};

START_TEST(heads)
{
	char dst[18];

	unit_str_eq(str_n(dst, chunked_head(dst, head_rows[_i].n)), head_rows[_i].want);
}
END_TEST

Suite *
suite_chunked(void)
{
	Suite *s = suite_create("chunked");
	TCase *c = tcase_create("chunked");

	tcase_add_loop_test(c, table, 0, UNIT_COUNT(rows));
	tcase_add_test(c, limits);
	tcase_add_test(c, after_the_end);
	tcase_add_loop_test(c, heads, 0, UNIT_COUNT(head_rows));
	suite_add_tcase(s, c);
	return s;
}
