/*
 * FastCGI: what is sent, taken apart again by the specification; and responses, each row whole,
 * octet by octet, and split at every position. In rows, records are written by a small language.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "test/unit/codec_fake.h"
#include "test/unit/unit.h"
#include "worker/pipe.h"

Suite *suite_fastcgi(void);

/* --- responses --- */

/* Records as text, one by one: a letter for the type (O stdout, E stderr, X end, M values result, U
   unknown type, Q type 99), "@" and a request id unless it is 1, "+" and octets of padding, then
   the content in <>. X's content: its protocol status as a digit, and the application's. */
static size_t
compose(const char *text, unsigned char *out)
{
	unsigned char *p = out;

	while (*text) {
		static const char letters[] = "OEXMUQ";
		static const unsigned char types[] = { 6, 7, 3, 10, 11, 99 };
		unsigned type = types[strchr(letters, *text++) - letters];
		unsigned id = 1, padding = 0;
		const char *begin, *end;
		size_t n;

		if (*text == '@')
			id = (unsigned)strtoul(text + 1, (char **)&text, 10);
		if (*text == '+')
			padding = (unsigned)strtoul(text + 1, (char **)&text, 10);
		ck_assert_int_eq(*text, '<');
		begin = text + 1;
		end = strchr(begin, '>');
		n = type == 3 ? 8 : (size_t)(end - begin);
		memcpy(p,
		    (unsigned char[]){ 1, (unsigned char)type, (unsigned char)(id >> 8),
			(unsigned char)id, (unsigned char)(n >> 8), (unsigned char)n,
			(unsigned char)padding, 7 },
		    8);
		p += 8;
		if (type == 3) {
			memset(p, 0, 8);
			p[3] = (unsigned char)(begin[1] ? begin[1] - '0' : 0);
			p[4] = (unsigned char)(begin[0] - '0');
		} else {
			memcpy(p, begin, n);
		}
		p += n;
		memset(p, '*', padding);
		p += padding;
		text = end + 1;
	}
	return (size_t)(p - out);
}

enum { HEAD = 1, OPEN = 2, KEEP = 4, UNSENT = 8 };
#define HELLO "O<A: b\n\nhello>"

static const struct row {
	const char *in, *want;
	int flags;
} rows[] = {
#define ROW(text, ...)                                                                             \
	{                                                                                          \
		.in = (text), .want = __VA_ARGS__                                                  \
	}
	ROW(HELLO "O<>X<00>", "200 (A=b) \"hello\" end", OPEN),
	ROW(HELLO "X<00>", "200 (A=b) \"hello\" end", OPEN),
	ROW(HELLO "O<>X<00>", "200 (A=b) \"hello\" end keep", OPEN | KEEP),
	ROW(HELLO "O<>X+9<00>", "200 (A=b) \"hello\" end keep", OPEN | KEEP),
	ROW(HELLO "O<>X<00>", "200 (A=b) \"hello\" end", OPEN | KEEP | UNSENT),
	ROW("O<A:>O< b>O<\r\n>O<\r\nhe>O<llo>X<00>", "200 (A=b) \"hello\" end", OPEN),
	ROW("O+3<A: b\n\nhe>O+255<llo>O+1<>X+8<00>", "200 (A=b) \"hello\" end keep", OPEN | KEEP),
	ROW("E<oh>O<A: b\n>E<no>O<\nx>E+5<!>O<y>E<>X<00>",
	    "stderr \"ohno\" 200 (A=b) \"x\" stderr \"!\" \"y\" end", OPEN),
	/* the application's own status says nothing about the response */
	ROW(HELLO "X<07>", "200 (A=b) \"hello\" end", OPEN),
	/* what is not for this request */
	ROW("O@2<nonsense>E@513<x>X@2<00>" HELLO "O@2<y>X@256<30>X<00>",
	    "200 (A=b) \"hello\" end keep", OPEN | KEEP),
	ROW("M@0+3<\17\1FCGI_MPXS_CONNS0>U@0<\11       >Q<x>" HELLO "X<00>",
	    "200 (A=b) \"hello\" end keep", OPEN | KEEP),
	/* protocol status */
	ROW("X<10>", "overloaded: refused: the application takes one request at a time", OPEN),
	ROW("X<20>", "overloaded: refused: the application is overloaded", OPEN),
	ROW("X<30>", "error: refused: the application does not know this role", OPEN),
	ROW("X<40>", "error: refused: an unknown protocol status", OPEN),
	ROW(HELLO "X<20>", "200 (A=b) \"hello\" overloaded: refused: the application is overloaded",
	    OPEN),
	/* broken off */
	ROW("", "error: ended without a response"),
	ROW("E<x>", "stderr \"x\" error: ended without a response"),
	ROW("O<A: b\n>", "error: ended within the response head"),
	ROW("O<A: b\n>X<00>", "error: ended within the response head", OPEN),
	ROW("X<00>", "error: ended without a response", OPEN),
	ROW("O<>X<00>", "error: ended without a response", OPEN),
	ROW(HELLO, "200 (A=b) \"hello\" error: closed without END_REQUEST"),
	ROW(HELLO "O<>", "200 (A=b) \"hello\" end", KEEP),
	ROW("O<Content-Length: 5\n\nhello>", "200 () length 5 \"hello\" end", KEEP),
	ROW("O<Content-Length: 6\n\nhello>O<>",
	    "200 () length 6 \"hello\" error: ended before its Content-Length was reached"),
	ROW("O<Content-Length: 6\n\nhello>X<00>",
	    "200 () length 6 \"hello\" error: ended before its Content-Length was reached", OPEN),
	ROW("O<oops\n\n>X<00>", "error: a field line without a colon", OPEN),
	/* more than is wanted */
	ROW("O<Content-Length: 3\n\nhello>O<more>X<00>", "200 () length 3 \"hel\" end keep",
	    OPEN | KEEP),
	ROW("O<A: b\n\nhello>O<more>E<x>X<00>", "200 (A=b) stderr \"x\" end keep",
	    OPEN | KEEP | HEAD),
	ROW("O<Status: 304\n\nhello>X<00>", "304 () end keep", OPEN | KEEP),
	ROW("O<A: b\n\n>", "200 (A=b) end", HEAD),
	ROW("O<Transfer-Encoding: chunked\n\n3\r\nabc\r\n0>O<\r\n\r\n>X<00>",
	    "200 () \"abc\" end keep", OPEN | KEEP),
	ROW("O<Transfer-Encoding: chunked\n\n3\r\nabc\r\n>X<00>",
	    "200 () \"abc\" error: ended before the last chunk", OPEN),
	ROW("O<Status: 103\nLink: x\n\n>O<Status: 200\n\n>X<00>", "interim 103 (Link=x) 200 () end",
	    OPEN),
};

/* A state as head() leaves it. */
static void
begin(void *state, int flags)
{
	static struct codec_fake k;
	const char *why;

	codec_fake_init(&k, "/", NULL);
	k.q.keep = flags & KEEP;
	memset(state, 0, CODEC_STATE);
	if (flags & UNSENT) {
		codec_fake_body(&k, "x", 1);
		ck_assert_int_eq(codec_fastcgi.head(state, &k.q, &k.out, &why), 0);
	} else {
		ck_assert_int_eq(codec_fake_send(&k, &codec_fastcgi, state, &why), 0);
	}
	codec_fake_fini(&k);
}

START_TEST(responses)
{
	const struct row *row = &rows[_i];
	unsigned char wire[4096];
	size_t n = compose(row->in, wire);

	SPLIT_EACH(way, n)
	{
		_Alignas(16) char state[CODEC_STATE];
		const struct codec_fake_in in = { .codec = &codec_fastcgi,
			.state = state,
			.is_head = row->flags & HEAD,
			.is_open = row->flags & OPEN };
		char text[400];

		begin(state, row->flags);
		codec_fake_read(&in, (char *)wire, n, &way, text, sizeof(text));
		ck_assert_msg(strcmp(text, row->want) == 0, "%s (%zu, %zu): [%s], not [%s]",
		    row->in, way.first, way.step, text, row->want);
	}
}
END_TEST

/* Records that are wrong in themselves. */
static const struct {
	struct str in;
	const char *want;
} broken[] = {
	{ STR_INIT("HTTP/1.1 400 Bad Request\r\n\r\n"),
	    "error: not FastCGI: the version is not 1" },
	{ STR_INIT("\2\6\0\1\0\0\0\0"), "error: not FastCGI: the version is not 1" },
	{ STR_INIT("\1\3\0\1\0\7\0\0\0\0\0\0\0\0\0"), "error: a short END_REQUEST record" },
	{ STR_INIT("\1\3\0\1\0\0\0\0"), "error: a short END_REQUEST record" },
	{ STR_INIT("\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0"), "error: ended without a response" },
	{ STR_INIT("\1\6\0\1\0"), "error: ended without a response" },
};

START_TEST(broken_records)
{
	SPLIT_EACH(way, broken[_i].in.n)
	{
		_Alignas(16) char state[CODEC_STATE] = { 0 };
		const struct codec_fake_in in = { .codec = &codec_fastcgi, .state = state };
		char text[200];

		codec_fake_read(&in, broken[_i].in.p, broken[_i].in.n, &way, text, sizeof(text));
		ck_assert_str_eq(text, broken[_i].want);
	}
}
END_TEST

/* END_REQUEST is there, its padding is not: the end, but not for another request. */
START_TEST(end_without_padding)
{
	unsigned char wire[400];
	size_t n = compose(HELLO "X+9<00>", wire);
	const struct split whole = { 0, 0 };
	_Alignas(16) char state[CODEC_STATE];
	const struct codec_fake_in in = { .codec = &codec_fastcgi, .state = state };
	char text[200];

	begin(state, KEEP);
	codec_fake_read(&in, (char *)wire, n - 3, &whole, text, sizeof(text));
	ck_assert_str_eq(text, "200 (A=b) \"hello\" end");
}
END_TEST

/* Content that nobody wants is not waited for without end. */
START_TEST(endless_surplus)
{
	enum { N = 40000 };
	unsigned char *wire = calloc(3, N + 100), *p = wire;
	const struct split whole = { 0, 0 };
	_Alignas(16) char state[CODEC_STATE];
	const struct codec_fake_in in = {
		.codec = &codec_fastcgi, .state = state, .is_head = true, .is_open = true
	};
	char text[200];

	begin(state, KEEP);
	p += compose("O<A: b\n\n>", wire);
	for (int i = 0; i < 2; i++) {
		memcpy(p, (unsigned char[]){ 1, 6, 0, 1, N >> 8, N & 255, 0, 0 }, 8);
		p += 8 + N;
	}
	codec_fake_read(&in, (char *)wire, (size_t)(p - wire), &whole, text, sizeof(text));
	ck_assert_str_eq(text, "200 (A=b) end");
	free(wire);
}
END_TEST

/* --- requests --- */

static struct codec_fake k;
static _Alignas(16) char state[CODEC_STATE];

static void
setup(void)
{
	memset(state, 0, sizeof(state));
}

static void
teardown(void)
{
	codec_fake_fini(&k);
}

/* What was sent, by type: contents of the streams one after the other, and how they are cut. */
struct sent {
	unsigned char begin[8], params[600000], in[300000];
	size_t params_n, in_n;
	unsigned records, params_records, in_records, largest;
	bool params_ended, in_ended, is_aborted;
};

static void
take_record(struct sent *s, const unsigned char *head, const unsigned char *content, size_t n)
{
	unsigned type = head[1];

	ck_assert_int_eq(head[0], 1);
	ck_assert_int_eq(head[2] << 8 | head[3], 1);
	s->records++;
	if (n > s->largest)
		s->largest = (unsigned)n;
	if (type == 1) {
		ck_assert_uint_eq(s->records, 1);
		ck_assert_uint_eq(n, 8);
		memcpy(s->begin, content, 8);
	} else if (type == 4) {
		ck_assert(!s->params_ended);
		memcpy(s->params + s->params_n, content, n);
		s->params_n += n;
		s->params_records++;
		s->params_ended = n == 0;
	} else if (type == 5) {
		ck_assert(s->params_ended && !s->in_ended);
		memcpy(s->in + s->in_n, content, n);
		s->in_n += n;
		s->in_records++;
		s->in_ended = n == 0;
	} else {
		ck_assert_uint_eq(type, 2);
		s->is_aborted = true;
	}
}

static struct sent *
take_sent(void)
{
	static struct sent s;
	const unsigned char *p = (unsigned char *)k.sent, *end = p + k.sent_n;

	memset(&s, 0, sizeof(s));
	while (p < end) {
		size_t n = (size_t)(p[4] << 8 | p[5]), padding = p[6];

		ck_assert_uint_le(8 + n + padding, (size_t)(end - p));
		take_record(&s, p, p + 8, n);
		p += 8 + n + padding;
	}
	return &s;
}

static size_t
take_length(const unsigned char **p)
{
	size_t n = *(*p)++;

	if (n < 128)
		return n;
	n = (n & 127) << 24 | (size_t)(*p)[0] << 16 | (size_t)(*p)[1] << 8 | (*p)[2];
	*p += 3;
	return n;
}

/* The value of a parameter; p NULL: there is none. There must be one of a name at most. */
static struct str
param(const struct sent *s, const char *want)
{
	const unsigned char *p = s->params, *end = p + s->params_n;
	struct str found = { NULL, 0 };

	while (p < end) {
		size_t name = take_length(&p), value = take_length(&p);

		ck_assert_uint_le(name + value, (size_t)(end - p));
		if (str_eq(str_n((const char *)p, name), str_of(want))) {
			ck_assert_ptr_null(found.p);
			found = str_n((const char *)p + name, value);
		}
		p += name + value;
	}
	return found;
}

static void
put_request(const char *target, const char *fields)
{
	const char *why;

	codec_fake_init(&k, target, fields);
	ck_assert_int_eq(codec_fake_send(&k, &codec_fastcgi, state, &why), 0);
}

START_TEST(no_body)
{
	struct sent *s;

	put_request("/a?b", "X-A: b\nAccept: */*");
	s = take_sent();
	ck_assert_int_eq(memcmp(s->begin, "\0\1\0\0\0\0\0\0", 8), 0);
	ck_assert_uint_eq(s->records, 4); /* BEGIN, PARAMS twice, STDIN */
	ck_assert(s->in_ended && s->in_n == 0);
	unit_str_eq(param(s, "SCRIPT_FILENAME"), "/srv/i.php");
	unit_str_eq(param(s, "HTTP_X_A"), "b");
	unit_str_eq(param(s, "QUERY_STRING"), "b");
}
END_TEST

/* All of it in one piece of memory: one write. */
START_TEST(one_chunk)
{
	const char *why;
	struct iovec iov[8];
	size_t n;

	codec_fake_init(&k, "/", NULL);
	k.q.keep = true;
	ck_assert_int_eq(codec_fastcgi.head(state, &k.q, &k.out, &why), 0);
	ck_assert(codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	ck_assert(codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	ck_assert_int_eq(body_iov(&k.out, iov, 8, &n), 1);
	ck_assert_int_eq(((char *)iov[0].iov_base)[10], 1); /* FCGI_KEEP_CONN */
}
END_TEST

START_TEST(authorizer)
{
	struct sent *s;
	const char *why;

	codec_fake_init(&k, "/a", NULL);
	codec_fake_body(&k, "hello", 5);
	k.q.is_authorizer = true;
	ck_assert_int_eq(codec_fake_send(&k, &codec_fastcgi, state, &why), 0);
	s = take_sent();
	ck_assert_int_eq(s->begin[1], 2);
	ck_assert(s->in_ended && s->in_n == 0);
	ck_assert_ptr_null(param(s, "CONTENT_LENGTH").p);
	ck_assert_ptr_null(param(s, "SCRIPT_NAME").p);
	unit_str_eq(param(s, "SCRIPT_FILENAME"), "/srv/i.php");
}
END_TEST

/* Bodies around the sizes where records end. */
static const size_t body_sizes[] = { 1, 8, 65527, 65528, 65529, 65535, 65536, 131056, 131057,
	250000 };

START_TEST(bodies)
{
	size_t n = body_sizes[_i];
	char *octets = malloc(n), length[20];
	struct sent *s;
	const char *why;

	for (size_t i = 0; i < n; i++)
		octets[i] = (char)(i * 31 + i / 251);
	codec_fake_init(&k, "/", NULL);
	codec_fake_body(&k, octets, n);
	ck_assert_int_eq(codec_fake_send(&k, &codec_fastcgi, state, &why), 0);
	s = take_sent();
	ck_assert_uint_eq(s->in_n, n);
	ck_assert_int_eq(memcmp(s->in, octets, n), 0);
	ck_assert(s->in_ended);
	snprintf(length, sizeof(length), "%zu", n);
	unit_str_eq(param(s, "CONTENT_LENGTH"), length);
	free(octets);
}
END_TEST

static void
take_some(void)
{
	k.sent_n += (size_t)body_take(&k.out, k.sent + k.sent_n, sizeof(k.sent) - k.sent_n);
}

/* A pipe is a record of its own, and not divided, whatever stands before and behind it. */
START_TEST(body_in_pipes)
{
	static const size_t parts[] = { 1000, 65535, 30000, 10, 65535, 70000 };
	static char octets[300000];
	struct sent *s;
	const char *why;
	size_t at = 0;

	pipe_limit(4);
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(i * 31 + i / 251);
	codec_fake_init(&k, "/", NULL);
	k.r.body.state = BODY_OPEN;
	for (size_t i = 0; i < UNIT_COUNT(parts); i++) {
		if (i == 1 || i == 2 || i == 4) {
			struct pipe *p = pipe_get();

			ck_assert_int_eq(write(p->wr, octets + at, parts[i]), (ssize_t)parts[i]);
			p->used = parts[i];
			body_put_pipe(&k.r.body, p);
		} else {
			body_put(&k.r.body, octets + at, parts[i]);
		}
		at += parts[i];
	}
	k.q.length = (int64_t)at;
	body_end(&k.r.body);
	ck_assert_int_eq(codec_fastcgi.head(state, &k.q, &k.out, &why), 0);
	ck_assert(!codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH)); /* 1000 octets */
	ck_assert_ptr_nonnull(body_pipe(&k.r.body));
	take_some();
	ck_assert(!codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	ck_assert_int_eq(k.out.queued, 8 + 65535);
	take_some();
	while (!codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH))
		take_some();
	take_some();
	s = take_sent();
	ck_assert_uint_eq(s->in_n, at);
	ck_assert_int_eq(memcmp(s->in, octets, at), 0);
	ck_assert(s->in_ended);
	pipe_limit(0);
}
END_TEST

/* A body that comes piece by piece; the end mark once, after all of it. */
START_TEST(body_in_pieces)
{
	const char *why;
	struct sent *s;

	codec_fake_init(&k, "/", NULL);
	k.r.body.state = BODY_OPEN;
	k.q.length = 6;
	ck_assert_int_eq(codec_fastcgi.head(state, &k.q, &k.out, &why), 0);
	ck_assert(!codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	body_put(&k.r.body, "abc", 3);
	ck_assert(!codec_fastcgi.body(state, &k.out, &k.r.body, 2));
	ck_assert(!codec_fastcgi.body(state, &k.out, &k.r.body, 2));
	body_put(&k.r.body, "def", 3);
	body_end(&k.r.body);
	ck_assert(codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	ck_assert(codec_fastcgi.body(state, &k.out, &k.r.body, BODY_HIGH));
	codec_fastcgi.abort(state, &k.out);
	k.sent_n = (size_t)body_take(&k.out, k.sent, sizeof(k.sent));
	s = take_sent();
	ck_assert_uint_eq(s->in_n, 6);
	ck_assert_int_eq(memcmp(s->in, "abcdef", 6), 0);
	ck_assert_uint_eq(s->in_records, 4);
	ck_assert(s->in_ended && s->is_aborted);
}
END_TEST

/* Large parameters: whole pairs in a record wherever one can hold them. */
static const size_t param_sizes[][3] = {
	{ 127, 128, 129 },
	{ 30000, 30000, 30000 },
	{ 65000, 400, 65000 },
	{ 65500, 65535, 65536 },
	{ 100000, 1, 70000 },
	{ 65520, 131070, 131080 },
};

START_TEST(large_params)
{
	struct gateway_pair pairs[3];
	static const char *const names[] = { "ONE", "TWO", "THREE" };
	const char *why, *hint;
	struct sent *s;

	codec_fake_init(&k, "/", NULL);
	for (int i = 0; i < 3; i++) {
		size_t n = param_sizes[_i][i];
		char *value = arena_alloc(&k.r.arena, n + 1);

		memset(value, 'a' + i, n);
		value[n] = '\0';
		pairs[i] =
		    (struct gateway_pair){ .name = str_of(names[i]), .value = str_of(value) };
		ck_assert(
		    template_compile(&pairs[i].text, &k.r.arena, pairs[i].value, 0, &why, &hint));
	}
	k.conf.environment = (struct cfg_records){ .v = pairs, .n = 3 };
	ck_assert_int_eq(codec_fake_send(&k, &codec_fastcgi, state, &why), 0);
	s = take_sent();
	ck_assert(s->params_ended);
	for (int i = 0; i < 3; i++) {
		struct str got = param(s, names[i]);

		ck_assert_uint_eq(got.n, pairs[i].value.n);
		ck_assert(str_eq(got, pairs[i].value));
	}
	unit_str_eq(param(s, "REQUEST_METHOD"), "GET");
	if (_i == 1)
		ck_assert_uint_eq(s->params_records, 3);
}
END_TEST

/* --- health --- */

START_TEST(ping)
{
	static const char pong[] = "\1\12\0\0\0\22\3\0\17\1FCGI_MPXS_CONNS0***";
	size_t n = sizeof(pong) - 1;

	codec_fake_init(&k, "/", NULL);
	codec_fastcgi.ping(&k.out);
	k.sent_n = (size_t)body_take(&k.out, k.sent, sizeof(k.sent));
	ck_assert_int_eq(memcmp(k.sent, "\1\11\0\0\0", 5), 0);
	ck_assert_uint_eq(k.sent_n, 8 + (size_t)k.sent[5]);
	for (size_t i = 0; i < n; i++)
		ck_assert_int_eq(codec_fastcgi.pong(pong, i), 0);
	ck_assert_int_eq(codec_fastcgi.pong(pong, n), 1);
	ck_assert_int_eq(codec_fastcgi.pong("\1\13\0\0\0\0\0\0", 8), 1);
	ck_assert_int_eq(codec_fastcgi.pong("H", 1), -1);
	ck_assert_int_eq(codec_fastcgi.pong("\1\6\0\0\0\0\0\0", 8), -1);
	ck_assert_int_eq(codec_fastcgi.pong("\1\12\0\1\0\0\0\0", 8), -1);
}
END_TEST

Suite *
suite_fastcgi(void)
{
	Suite *s = suite_create("fastcgi");
	TCase *c = tcase_create("responses");

	tcase_add_loop_test(c, responses, 0, UNIT_COUNT(rows));
	tcase_add_loop_test(c, broken_records, 0, UNIT_COUNT(broken));
	tcase_add_test(c, end_without_padding);
	tcase_add_test(c, endless_surplus);
	suite_add_tcase(s, c);
	c = tcase_create("requests");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, no_body);
	tcase_add_test(c, one_chunk);
	tcase_add_test(c, authorizer);
	tcase_add_loop_test(c, bodies, 0, UNIT_COUNT(body_sizes));
	tcase_add_test(c, body_in_pieces);
	tcase_add_test(c, body_in_pipes);
	tcase_add_loop_test(c, large_params, 0, UNIT_COUNT(param_sizes));
	tcase_add_test(c, ping);
	suite_add_tcase(s, c);
	return s;
}
