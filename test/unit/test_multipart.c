/*
 * Forms with files: each row whole, octet by octet, and cut at every position; what a part is
 * called; names that are made safe; queries that claim to be ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include "modules/gateway/codec/formpart.h"
#include "modules/gateway/codec/multipart.h"
#include "modules/gateway/codec/params.h"
#include "test/unit/unit.h"

Suite *suite_multipart(void);

#define H(name) "Content-Disposition: form-data; name=\"" name "\"\r\n"
#define B70     "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct row {
	const char *boundary;
	struct str in;
	const char *want;
} rows[] = {
#define ROW(boundary, text, want)                                                                  \
	{                                                                                          \
		boundary, STR_INIT(text), want                                                     \
	}
	ROW("b", "--b\r\nA: 1\r\n\r\nhello\r\n--b--\r\n", "<A: 1>hello.end"),
	ROW("b", "--b\r\nA: 1\r\n\r\nhello\r\n--b--", "<A: 1>hello.end"),
	ROW("b", "--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--", "<>x.<>y.end"),
	ROW("b", "--b\r\nA: 1\r\nB: 2\r\n\r\n\r\n--b--epilogue\r\n--b\r\n", "<A: 1|B: 2>.end"),
	/* RFC 2046 5.1.1: preamble, blanks behind a boundary */
	ROW("b", "hi\r\nthere\r\n--b \t\r\n\r\nx\r\n--b--", "<>x.end"),
	ROW("b", "\r\n--b\r\n\r\nx\r\n--b--", "<>x.end"),
	ROW("b", "x--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--", "<>y.end"),
	ROW(B70, "--" B70 "\r\n\r\n\r\n--" B70 "\r\r\n--" B70 "--",
	    "<>.400 the line of a boundary does not end after it"),
	ROW(B70, "--" B70 "\r\n\r\nx\r\n--" B70 "--", "<>x.end"),
	/* content that is nearly a delimiter */
	ROW("b", "--b\r\n\r\n\r\r\n\r\n-\r\n--\r\n--a\r\n--b--", "<>\r\r\n\r\n-\r\n--\r\n--a.end"),
	ROW("ab", "--ab\r\n\r\n\r\n--a\r\n--ab--", "<>\r\n--a.end"),
	ROW("b", "--b\r\n\r\n--b--\n--b\n\r\n--b--", "<>--b--\n--b\n.end"),
	ROW("-", "---\r\n\r\n\r\n--\r\n-----", "<>\r\n--.end"),
	/* what others may read otherwise */
	ROW("b", "--b\nA: 1\n\nx\n--b--", "400 the line of a boundary does not end after it"),
	ROW("b", "--b\r\nA: 1\n\nx\r\n--b--", "400 a line of a head ends with a bare LF"),
	ROW("b", "--b\r\nA: 1\rB: 2\r\n\r\nx\r\n--b--", "400 a bare CR in the head of a part"),
	ROW("b", "--b\r\nA: \0\r\n\r\nx\r\n--b--", "400 a NUL in the head of a part"),
	ROW("b", "--bc\r\n\r\nx\r\n--b--", "400 the line of a boundary does not end after it"),
	ROW("b", "--b\r\n\r\nx\r\n--bc\r\n",
	    "<>x.400 the line of a boundary does not end after it"),
	ROW("b", "--b\r\n\r\nx\r\n--b-\r\n",
	    "<>x.400 the line of a boundary does not end after it"),
	ROW("b", "--b\r\n\r\nx\r\n--b\rx", "<>x.400 the line of a boundary does not end after it"),
	ROW("b", "--b\r\nA: 0123456789012345678901234567890123456789",
	    "413 the head of a part is too large"),
	/* cut off */
	ROW("b", "", "400 it ends before its last boundary"),
	ROW("b", "--b", "400 it ends before its last boundary"),
	ROW("b", "--b\r\nA: 1\r\n", "400 it ends before its last boundary"),
	ROW("b", "--b\r\n\r\nx", "<>x400 it ends before its last boundary"),
	ROW("b", "--b\r\n\r\nx\r\n--b", "<>x.400 it ends before its last boundary"),
	ROW("b", "--b\r\n\r\nx\r\n--b-", "<>x.400 it ends before its last boundary"),
	ROW("b", "--b--", "end"),
#undef ROW
};

static char out[4096];
static size_t nout;

static void
put(const char *p, size_t n)
{
	ck_assert_uint_lt(nout + n, sizeof(out));
	memcpy(out + nout, p, n);
	nout += n;
	out[nout] = '\0';
}

static void
put_head(struct str head)
{
	put("<", 1);
	for (size_t i = 0; i < head.n; i++) {
		if (head.p[i] == '\r' && i + 2 < head.n)
			put("|", 1);
		else if (head.p[i] != '\r' && head.p[i] != '\n')
			put(head.p + i, 1);
	}
	put(">", 1);
}

static void
put_error(const struct multipart *m)
{
	char text[128];
	int n =
	    snprintf(text, sizeof(text), "%d %s", m->status, m->why + sizeof("multipart: ") - 1);

	put(text, (size_t)n);
}

/* False: it is broken. */
static bool
feed(struct multipart *m, const char *in, size_t n)
{
	/* A copy of its own, so that reading beyond it is found. */
	char *copy = malloc(n + 1), *p = copy;
	enum multipart_event ev = MULTIPART_PART;

	memcpy(copy, in, n);
	while (n > 0 || (ev != MULTIPART_MORE && ev != MULTIPART_ERROR)) {
		size_t used = 0;

		ev = multipart_input(m, p, n, &used);
		ck_assert_uint_le(used, n);
		p += used;
		n -= used;
		if (ev == MULTIPART_ERROR)
			break;
		if (ev == MULTIPART_PART)
			put_head(m->head);
		if (ev == MULTIPART_DATA)
			put(m->data.p, m->data.n);
		if (ev == MULTIPART_DONE)
			put(".", 1);
		if (ev == MULTIPART_END)
			put("end", 3);
	}
	free(copy);
	return ev != MULTIPART_ERROR;
}

static void
run(const struct row *row, size_t first, size_t step)
{
	struct multipart m;
	char room[40];
	size_t at = 0, n = first;
	bool is_well = true;

	nout = 0;
	out[0] = '\0';
	multipart_init(&m, str_of(row->boundary), room, sizeof(room));
	while (is_well && at < row->in.n) {
		if (n > row->in.n - at)
			n = row->in.n - at;
		is_well = feed(&m, row->in.p + at, n);
		at += n;
		n = step;
	}
	if (is_well)
		is_well = multipart_eof(&m);
	if (!is_well)
		put_error(&m);
	ck_assert_msg(strcmp(out, row->want) == 0, "%.*s, %zu then %zu: \"%s\", not \"%s\"",
	    STR_FMT(row->in), first, step, out, row->want);
}

START_TEST(every_cut)
{
	const struct row *row = &rows[_i];

	run(row, row->in.n, 1);
	run(row, 1, 1);
	run(row, 3, 2);
	for (size_t cut = 0; cut < row->in.n; cut++)
		run(row, cut, row->in.n);
}
END_TEST

/* A large content without any delimiter passes in few pieces. */
START_TEST(content_is_not_cut_up)
{
	enum { N = 1 << 16 };
	static char big[N];
	struct multipart m;
	char room[64];
	size_t used;

	for (size_t i = 0; i < N; i++)
		big[i] = i % 7 ? 'x' : '\r';
	big[N - 1] = 'x';
	multipart_init(&m, STR("b"), room, sizeof(room));
	ck_assert_int_eq(multipart_input(&m, "--b\r\n\r\n", 7, &used), MULTIPART_PART);
	ck_assert_int_eq(multipart_input(&m, big, N, &used), MULTIPART_DATA);
	ck_assert_uint_eq(m.data.n, N);
	ck_assert_uint_eq(used, N);
}
END_TEST

START_TEST(preamble_and_padding_are_bounded)
{
	char big[MULTIPART_PREAMBLE + 8], room[64];
	struct multipart m;
	size_t used;

	memset(big, ' ', sizeof(big));
	multipart_init(&m, STR("b"), room, sizeof(room));
	ck_assert_int_eq(multipart_input(&m, big, sizeof(big), &used), MULTIPART_ERROR);
	multipart_init(&m, STR("b"), room, sizeof(room));
	ck_assert_int_eq(multipart_input(&m, "--b", 3, &used), MULTIPART_MORE);
	ck_assert_int_eq(multipart_input(&m, big, MULTIPART_PADDING + 1, &used), MULTIPART_ERROR);
}
END_TEST

static const struct {
	const char *type, *want; /* NULL: none */
} boundaries[] = {
	{ "multipart/form-data; boundary=abc", "abc" },
	{ "Multipart/Form-Data ;charset=x; Boundary=\"a b\"", "a b" },
	{ "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk",
	    "----WebKitFormBoundary7MA4YWxk" },
	{ "multipart/form-data; boundary=" B70, B70 },
	{ "multipart/form-data; boundary=" B70 "x", NULL },
	{ "multipart/form-data; boundary=", NULL },
	{ "multipart/form-data; boundary=\"\"", NULL },
	{ "multipart/form-data; boundary=\"a \"", NULL },
	{ "multipart/form-data; boundary=\"a\\\"b\"", NULL },
	{ "multipart/form-data; boundary=a; boundary=b", NULL },
	{ "multipart/form-data; boundary=a;boundary=a", NULL },
	{ "multipart/form-data; boundary=a b", NULL },
	{ "multipart/form-data; boundary=\"a", NULL },
	{ "multipart/form-data; boundary=a\xe4", NULL },
	{ "multipart/form-data", NULL },
};

START_TEST(boundary)
{
	const char *why = NULL;
	struct str got = multipart_boundary(str_of(boundaries[_i].type), &why);

	ck_assert(multipart_is(str_of(boundaries[_i].type)));
	if (!boundaries[_i].want)
		ck_assert_msg(!got.p && why, "%s", boundaries[_i].type);
	else
		ck_assert_msg(str_eq(got, str_of(boundaries[_i].want)), "%s: %.*s",
		    boundaries[_i].type, STR_FMT(got));
}
END_TEST

START_TEST(other_types)
{
	ck_assert(!multipart_is(STR("multipart/mixed; boundary=a")));
	ck_assert(!multipart_is(STR("application/x-www-form-urlencoded")));
	ck_assert(!multipart_is(STR("x multipart/form-data; boundary=a")));
}
END_TEST

#define D "Content-Disposition: form-data; "
static const struct {
	struct str head;
	const char *want; /* "name|filename|type"; without a file "name"; else why not */
} heads[] = {
#define ROW(text, want)                                                                            \
	{                                                                                          \
		STR_INIT(text), want                                                               \
	}
	ROW(D "name=\"a\"\r\n", "a"),
	ROW(D "name=a\r\n", "a"),
	ROW("content-disposition:FORM-DATA;NAME=a\r\n", "a"),
	ROW(D "name=\"a\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n",
	    "a|x.txt|text/plain"),
	ROW(D "name=\"a\"; filename=\"\"\r\n", "a||"),
	ROW(D "name=\"a%22b\"; filename=\"x%22y\"\r\n", "a\"b|x\"y|"),
	ROW(D "name=\"a\\\"b\\\\\"; filename=\"x\\y\"\r\n", "a\"b\\|y|"),
	ROW(D "name=\"a\"; filename=\"x\\\"\r\n", "a||"),
	ROW(D "name=\"a;b=c\"; filename=\"x;y\"\r\n", "a;b=c|x;y|"),
	ROW(D "name=\"a\"; filename=\"C:\\dir\\x.txt\"\r\n", "a|x.txt|"),
	ROW(D "name=\"a\"; filename=\"../../etc/passwd\"\r\n", "a|passwd|"),
	ROW(D "name=\"a\"; filename=\"..\"\r\n", "a|_.|"),
	ROW(D "name=\"a\"; filename=\".htaccess\"\r\n", "a|_htaccess|"),
	ROW(D "name=\"a\"; filename=\"a\xff\xc3\xa4.txt\"\r\n", "a|a_\xc3\xa4.txt|"),
	ROW(D "name=\"a\"; filename=\"a\xe2\x80\xae.txt\"\r\n", "a|a___.txt|"),
	ROW(D "name=\"a\"; filename=\"x\"; filename*=UTF-8''%e2%82%ac.txt\r\n",
	    "a|\xe2\x82\xac.txt|"),
	ROW(D "name=\"a\"; filename*=utf-8'en'%2e%2e%2fx\r\n", "a|x|"),
	ROW(D "name=\"a\"; filename*=UTF-8''a%00b\r\n", "a|a_b|"),
	ROW(D "name=\"a\"; filename*=ISO-8859-1''%e4\r\n", "filename* is not UTF-8 (RFC 8187)"),
	ROW(D "name=\"a\"; filename*=UTF-8''%e4\r\n", "filename* is not UTF-8 (RFC 8187)"),
	ROW(D "name=\"a\"; filename*=UTF-8''%4\r\n", "filename* is not UTF-8 (RFC 8187)"),
	ROW(D "name=\"a\"; name=\"b\"\r\n", "a parameter twice in Content-Disposition"),
	ROW(D "name=\"a\"; filename=x; FileName=y\r\n", "a parameter twice in Content-Disposition"),
	ROW(D "name=\"a\r\n", "Content-Disposition is malformed"),
	ROW(D "name=\"a\" filename=x\r\n", "Content-Disposition is malformed"),
	ROW(D "filename=\"x\"\r\n", "a part without a name"),
	ROW(D "name=\"\"\r\n", "a part without a name"),
	ROW(D "name*=UTF-8''a\r\n", "a part without a name"),
	ROW("Content-Disposition: attachment; name=a\r\n",
	    "a part without Content-Disposition: form-data"),
	ROW("Content-Type: text/plain\r\n", "a part without Content-Disposition: form-data"),
	ROW("", "a part without Content-Disposition: form-data"),
	ROW(D "name=a\r\n" D "name=b\r\n", "a field twice in the head of a part"),
	ROW(D "name=a\r\n x\r\n", "a malformed line in the head of a part"),
	ROW(D "name=a;\r\n filename=x\r\n", "a malformed line in the head of a part"),
	ROW("Content-Disposition : form-data; name=a\r\n",
	    "a malformed line in the head of a part"),
	ROW(D "name=\"a\tb\"\r\n", "a control character in the name of a field"),
	ROW(D "name=\"a\1b\"\r\n", "a control character in the head of a part"),
	ROW(D "name=a\r\nContent-Transfer-Encoding: base64\r\n",
	    "a part with a Content-Transfer-Encoding"),
	ROW(D "name=a\r\nContent-Transfer-Encoding: binary\r\n", "a"),
	ROW(D "name=\"12345678901234567890\"\r\n", "a name is too long"),
	ROW(D "name=a; filename=\"12345678901234567890\"\r\n", "a name is too long"),
	ROW(D "name=\"argand_upload\"\r\n", "a field's name is one of the server's own"),
	ROW(D "name=\" .argand.upload[0\"\r\n", "a field's name is one of the server's own"),
	ROW(D "name=\"ARGAND upload\"; filename=x\r\n",
	    "a field's name is one of the server's own"),
#undef ROW
};

START_TEST(part)
{
	struct arena a;
	struct formpart f;
	const char *why = NULL;
	char got[256];
	int status;

	arena_init(&a, NULL, 0);
	status = formpart_read(&f, &a, heads[_i].head, 19, &why);
	if (status)
		snprintf(got, sizeof(got), "%s", why + sizeof("multipart: ") - 1);
	else if (f.is_file)
		snprintf(got, sizeof(got), "%.*s|%.*s|%.*s", STR_FMT(f.name), STR_FMT(f.filename),
		    STR_FMT(f.type));
	else
		snprintf(got, sizeof(got), "%.*s", STR_FMT(f.name));
	ck_assert_msg(strcmp(got, heads[_i].want) == 0, "%.*s: \"%s\", not \"%s\"",
	    STR_FMT(heads[_i].head), got, heads[_i].want);
	arena_fini(&a);
}
END_TEST

static const struct {
	const char *query;
	bool is_ours;
} queries[] = {
	{ "a=b&c", false },
	{ "a=argand_upload", false },
	{ "argand_upload[0][path]=/etc/passwd", true },
	{ "a=b&argand%5fupload%5B0%5D=x", true },
	{ "a=b;argand.upload=x", true },
	{ "+argand+upload=x", true },
	{ "%20ARGAND%5Bupload=x", true },
	{ "argand_upload%00x=1", true },
	{ "xargand_upload=1", false },
	{ "argand=1", false },
	{ "%", false },
	{ "&&;;==", false },
};

START_TEST(query)
{
	struct arena a;

	arena_init(&a, NULL, 0);
	ck_assert_msg(formpart_query_has_ours(&a, str_of(queries[_i].query)) == queries[_i].is_ours,
	    "%s", queries[_i].query);
	arena_fini(&a);
}
END_TEST

#define ROWS(v) (int)(sizeof(v) / sizeof((v)[0]))

Suite *
suite_multipart(void)
{
	Suite *s = suite_create("multipart");
	TCase *t = tcase_create("multipart");

	tcase_add_loop_test(t, every_cut, 0, ROWS(rows));
	tcase_add_test(t, content_is_not_cut_up);
	tcase_add_test(t, preamble_and_padding_are_bounded);
	tcase_add_loop_test(t, boundary, 0, ROWS(boundaries));
	tcase_add_test(t, other_types);
	tcase_add_loop_test(t, part, 0, ROWS(heads));
	tcase_add_loop_test(t, query, 0, ROWS(queries));
	suite_add_tcase(s, t);
	return s;
}
