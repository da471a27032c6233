/*
 * AJP13: what is sent for a request, the flow of the body, and what is made of packets: each
 * conversation whole, octet by octet, and split at every position.
 */
#include <stdarg.h>
#include <stdio.h>
#include "test/unit/ask.h"
#include "test/unit/unit.h"

Suite *suite_ajp(void);

static struct ask a;

static void
ask(const char *head)
{
	ask_open(&a, head);
	a.pool.packet_size = 8192;
	a.host.address = STR("10.0.0.3:8009");
}

/* --- packets as text: octets as they are, numbers and NULs in <> --- */

/* "A<2>b" … octets above 0x7e and below 0x20 in hexadecimal. */
static struct str
shown(struct str s)
{
	char *text = arena_alloc(&a.r.arena, 4 * s.n + 1), *p = text;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		p += c >= 0x20 && c < 0x7f ? sprintf(p, "%c", c) : sprintf(p, "<%02x>", c);
	}
	return str_n(text, (size_t)(p - text));
}

/* Builds packets of the container from text: "H" … see the rows. */
struct wire {
	char p[70000];
	size_t n;
};

static void
put(struct wire *w, const void *p, size_t n)
{
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

static void
put_u16(struct wire *w, unsigned v)
{
	put(w, (char[]){ (char)(v >> 8), (char)v }, 2);
}

static void
put_str(struct wire *w, const char *s)
{
	put_u16(w, (unsigned)strlen(s));
	put(w, s, strlen(s) + 1);
}

/* A packet around what was put since at. */
static void
wrap(struct wire *w, size_t at)
{
	size_t n = w->n - at;

	memmove(w->p + at + 4, w->p + at, n);
	memcpy(w->p + at, (char[]){ 'A', 'B', (char)(n >> 8), (char)n }, 4);
	w->n += 4;
}

/* fields: "\1" is the code of Content-Type …, then values; ended by NULL. */
static void
put_headers(struct wire *w, unsigned status, ...)
{
	size_t at = w->n, count;
	const char *name;
	va_list ap;
	unsigned n = 0;

	put(w, "\4", 1);
	put_u16(w, status);
	put_str(w, "text");
	count = w->n;
	put_u16(w, 0);
	va_start(ap, status);
	for (; (name = va_arg(ap, const char *)); n++) {
		if (name[0] < 0x20)
			put_u16(w, 0xa000u | (unsigned char)name[0]);
		else
			put_str(w, name);
		put_str(w, va_arg(ap, const char *));
	}
	va_end(ap);
	w->p[count + 1] = (char)n;
	wrap(w, at);
}

static void
put_chunk(struct wire *w, const char *text, bool has_nul)
{
	size_t at = w->n;

	put(w, "\3", 1);
	put_u16(w, (unsigned)strlen(text));
	put(w, text, strlen(text) + has_nul);
	wrap(w, at);
}

static void
put_raw(struct wire *w, const char *octets, size_t n)
{
	size_t at = w->n;

	put(w, octets, n);
	wrap(w, at);
}

static void
put_end(struct wire *w, bool reuse)
{
	put_raw(w, reuse ? "\5\1" : "\5\0", 2);
}

/* --- heads --- */

#define PEER "<00><09>192.0.2.1<00>"

static const struct head_row {
	const char *head, *sent; /* without magic and length */
	const char *secret, *user, *env, *set, *remove;
	bool is_tls;
	int64_t length;
} head_rows[] = {
	{ .head = "GET /a%2Fb?c=d HTTP/1.1\r\nHost: x.org\r\nAccept: */*\r\nX-A: 1\r\n\r\n",
	    "<02><02><00><08>HTTP/1.1<00><00><06>/a%2Fb<00>" PEER PEER
	    "<00><05>x.org<00><00>P<00><00><03>"
	    "<a0><01><00><03>*/*<00>"
	    "<00><03>X-A<00><00><01>1<00>"
	    "<a0><0b><00><05>x.org<00>"
	    "<05><00><03>c=d<00>"
	    "<0a><00><0f>AJP_REMOTE_PORT<00><00><04>4711<00><ff>" },
	{ .head = "POST / HTTP/1.0\r\nHost: X:81\r\nContent-Length: 5\r\nConnection: x-hop\r\n"
		  "x-hop: 1\r\nTE: x\r\nPragma: p\r\nAccept-Language: l\r\nCookie: c\r\n\r\n",
	    "<02><04><00><08>HTTP/1.0<00><00><01>/<00>" PEER PEER "<00><01>x<00><00>Q<00><00><05>"
	    "<a0><0c><00><01>p<00><a0><04><00><01>l<00><a0><09><00><01>c<00>"
	    "<a0><0b><00><04>X:81<00><a0><08><00><01>5<00>"
	    "<0a><00><0f>AJP_REMOTE_PORT<00><00><04>4711<00><ff>" },
	{ .head = "PATCH / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
		  "Authorization: Digest abc\r\n\r\n",
	    "<02><ff><00><08>HTTP/1.1<00><00><01>/<00>" PEER PEER
	    "<00><01>x<00><01><bb><01><00><03>"
	    "<a0><05><00><0a>Digest abc<00><a0><0b><00><01>x<00><a0><08><00><01>7<00>"
	    "<0d><00><05>PATCH<00><03><00><03>joe<00><04><00><06>Digest<00>"
	    "<0c><00><06>secret<00>"
	    "<0a><00><0f>AJP_REMOTE_PORT<00><00><04>4711<00>"
	    "<0a><00><01>E<00><00><05>PATCH<00><ff>",
	    .secret = "secret",
	    .user = "joe",
	    .env = "$method",
	    .is_tls = true,
	    .length = 7 },
	{ .head = "VERSION-CONTROL /x;a=b HTTP/1.1\r\nHost: x\r\nCookie2: a\r\nReferer: r\r\n\r\n",
	    "<02><11><00><08>HTTP/1.1<00><00><06>/x;a=b<00>" PEER PEER
	    "<00><01>x<00><00>P<00><00><03>"
	    "<a0><0a><00><01>a<00><a0><0e><00><02>me<00><a0><0b><00><01>x<00>"
	    "<0a><00><0f>AJP_REMOTE_PORT<00><00><04>4711<00><ff>",
	    .set = "User-Agent",
	    .remove = "referer" },
};

START_TEST(heads)
{
	const struct head_row *row = &head_rows[_i];
	const char *why = NULL;
	struct str sent;

	ask(row->head);
	a.r.is_tls = row->is_tls;
	a.pool.secret = str_of(row->secret);
	a.r.user = str_of(row->user);
	if (row->length > 0)
		a.q.length = row->length;
	if (row->remove)
		a.gw.remove = ask_names(&a, row->remove);
	if (row->env) {
		ask_set(&a, "E", row->env);
		a.gw.environment = a.gw.set;
		a.gw.set.n = 0;
	}
	if (row->set)
		ask_set(&a, row->set, "me");
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 0);
	sent = ask_sent(&a);
	ck_assert_mem_eq(sent.p, "\x12\x34", 2);
	ck_assert_uint_eq((unsigned char)sent.p[2] * 256u + (unsigned char)sent.p[3], sent.n - 4);
	unit_str_eq(shown(str_n(sent.p + 4, sent.n - 4)), row->sent);
	ask_close(&a);
}
END_TEST

/* What the addresses are that the protocol forgot, and what an authorizer found. */
START_TEST(attributes)
{
	struct field f = { STR("V"), STR("w"), HF_OTHER };
	struct fields variables = { &f, 1, 1 };
	const char *why = NULL;
	struct str sent;

	ask("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n");
	a.listen.host = STR("10.9.9.9");
	a.r.peer = ask_peer("2001:db8::7");
	a.q.variables = &variables;
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 0);
	sent = ask_sent(&a);
	unit_str_eq(shown(str_n(sent.p + 4, sent.n - 4)),
	    "<02><02><00><08>HTTP/1.1<00><00><01>/<00>"
	    "<00><0b>2001:db8::7<00><00><0b>2001:db8::7<00>"
	    "<00><0d>[2001:db8::1]<00><1f><90><00><00><01>"
	    "<a0><0b><00><12>[2001:db8::1]:8080<00>"
	    "<0a><00><0f>AJP_REMOTE_PORT<00><00><04>4711<00>"
	    "<0a><00><0e>AJP_LOCAL_ADDR<00><00><08>10.9.9.9<00>"
	    "<0a><00><01>V<00><00><01>w<00><ff>");
	ask_close(&a);
}
END_TEST

/* A head must fit into a packet: to the octet. */
START_TEST(too_large)
{
	static char head[70000];
	const char *why = NULL;
	size_t n, fits;

	n = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: x\r\nA: ");
	memset(head + n, 'a', 4000);
	memcpy(head + n + 4000, "\r\n\r\n", 5);
	ask(head);
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 0);
	fits = ask_sent(&a).n;
	a.pool.packet_size = (int64_t)fits;
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 0);
	ck_assert_uint_eq(ask_sent(&a).n, fits);
	a.pool.packet_size--;
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 431);
	ck_assert_ptr_nonnull(why);
	ck_assert(body_is_empty(&a.out));
	ask_close(&a);
	/* A length that can be taken for a code. */
	memset(head + n, 'a', 0xa001);
	memcpy(head + n + 0xa001, "\r\n\r\n", 5);
	ask(head);
	a.pool.packet_size = 65536;
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 431);
	ask_close(&a);
}
END_TEST

/* --- the body --- */

static void
begin(const char *head)
{
	const char *why = NULL;

	ask(head);
	if (a.q.length < 0)
		a.q.length = 0;
	ck_assert_int_eq(codec_ajp.head(a.state, &a.q, &a.out, &why), 0);
	ask_sent(&a);
}

static enum codec_event
input(struct codec_response *rsp, const char *in, size_t n)
{
	size_t used = 0;
	enum codec_event event;

	rsp->arena = &a.r.arena;
	rsp->max_head = 4096;
	event = codec_ajp.input(a.state, rsp, in, n, &used);
	ck_assert_uint_eq(used, n);
	return event;
}

START_TEST(body_flow)
{
	struct codec_response rsp = { 0 };

	begin("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n");
	/* The first packet goes unasked, as soon as there is something. */
	ck_assert(!codec_ajp.body(a.state, &a.out, &a.src, 4096));
	ck_assert(body_is_empty(&a.out));
	body_put(&a.src, "0123456789", 10);
	ck_assert(!codec_ajp.body(a.state, &a.out, &a.src, 4));
	unit_str_eq(shown(ask_sent(&a)), "<12>4<00><06><00><04>0123");
	/* Then only what is asked for. */
	ck_assert(!codec_ajp.body(a.state, &a.out, &a.src, 4096));
	ck_assert(body_is_empty(&a.out));
	ck_assert_int_eq(input(&rsp, "AB\0\3\6\0\3", 7), CODEC_WANT);
	ck_assert_int_eq(rsp.want, 3);
	ck_assert(!codec_ajp.body(a.state, &a.out, &a.src, 4096));
	unit_str_eq(shown(ask_sent(&a)), "<12>4<00><05><00><03>456");
	body_put(&a.src, "ab", 2);
	body_end(&a.src);
	ck_assert_int_eq(input(&rsp, "AB\0\3\6\x1f\xfa", 7), CODEC_WANT);
	ck_assert_int_eq(rsp.want, 8186);
	ck_assert(codec_ajp.body(a.state, &a.out, &a.src, 4096));
	unit_str_eq(shown(ask_sent(&a)), "<12>4<00><07><00><05>789ab");
	ck_assert(codec_ajp.body(a.state, &a.out, &a.src, 4096));
	ck_assert(body_is_empty(&a.out));
	/* One that asks on gets an empty packet. */
	ck_assert_int_eq(input(&rsp, "AB\0\3\6\x1f\xfa", 7), CODEC_WANT);
	ck_assert(codec_ajp.body(a.state, &a.out, &a.src, 4096));
	unit_str_eq(shown(ask_sent(&a)), "<12>4<00><00>");
	ask_close(&a);
}
END_TEST

/* Never more in a packet than packet_size allows, whatever is asked for. */
START_TEST(body_packets)
{
	struct codec_response rsp = { 0 };
	static char zeros[30000];
	size_t sizes[] = { 8186, 8186, 8186, 5442 };

	begin("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n");
	body_put(&a.src, zeros, sizeof(zeros));
	body_end(&a.src);
	for (int i = 0; i < 4; i++) {
		bool is_last = codec_ajp.body(a.state, &a.out, &a.src, 1 << 20);

		ck_assert_int_eq(is_last, i == 3);
		ck_assert_uint_eq(ask_sent(&a).n, sizes[i] + 6);
		ck_assert_int_eq(input(&rsp, "AB\0\3\6\xff\xff", 7), CODEC_WANT);
	}
	ask_close(&a);
}
END_TEST

START_TEST(body_none)
{
	begin("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	body_end(&a.src);
	ck_assert(codec_ajp.body(a.state, &a.out, &a.src, 4096));
	ck_assert(body_is_empty(&a.out));
	ask_close(&a);
}
END_TEST

/* --- responses --- */

static struct wire wire;

static void
answer_simple(void)
{
	put_headers(&wire, 200, "\1", "text/html", "\3", "5", "X-A", " b ", "Connection", "close",
	    "Status", "200", NULL);
	put_chunk(&wire, "hel", true);
	put_chunk(&wire, "", true); /* a flush */
	put_chunk(&wire, "lo", false);
	put_end(&wire, true);
}

static void
answer_no_length(void)
{
	put_headers(&wire, 404, "Set-Cookie", "a=b", "\7", "c=d", "\013", "Basic", NULL);
	put_chunk(&wire, "gone", true);
	put_end(&wire, false);
}

static void
answer_interim(void)
{
	put_headers(&wire, 100, NULL);
	put_headers(&wire, 103, "Link", "x", NULL);
	put_headers(&wire, 204, NULL);
	put_chunk(&wire, "not content", true);
	put_end(&wire, true);
}

static void
answer_head(void)
{
	put_headers(&wire, 200, "\3", "500", NULL);
	put_end(&wire, true);
}

static void
answer_wants(void)
{
	put_raw(&wire, "\6\1\2", 3);
}

static void
answer_short(void)
{
	put_headers(&wire, 200, "\3", "5", NULL);
	put_chunk(&wire, "hel", true);
	put_end(&wire, true);
}

static void
answer_long(void)
{
	put_headers(&wire, 200, "\3", "5", NULL);
	put_chunk(&wire, "hello!", true);
}

static void
answer_cut(void)
{
	put_headers(&wire, 200, NULL);
	put_chunk(&wire, "hel", true);
}

static void
answer_no_head(void)
{
	put_end(&wire, true);
}

static void
answer_content_first(void)
{
	put_chunk(&wire, "hel", true);
}

static void
answer_two_heads(void)
{
	put_headers(&wire, 200, NULL);
	put_headers(&wire, 200, NULL);
}

static void
answer_101(void)
{
	put_headers(&wire, 101, NULL);
}

static void
answer_bad_field(void)
{
	put_headers(&wire, 200, "X-A", "a\r\nSet-Cookie: b", NULL);
}

static void
answer_bad_name(void)
{
	put_headers(&wire, 200, "X A", "a", NULL);
}

static void
answer_bad_code(void)
{
	put_headers(&wire, 200, "\014", "a", NULL);
}

static void
answer_bad_length(void)
{
	put_headers(&wire, 200, "\3", "5x", NULL);
}

static void
answer_two_lengths(void)
{
	put_headers(&wire, 200, "\3", "5", "content-length", "6", NULL);
}

static void
answer_bad_magic(void)
{
	put(&wire, "AC\0\2\5\1", 6);
}

static void
answer_bad_type(void)
{
	put_raw(&wire, "\7", 1);
}

static void
answer_http(void)
{
	put(&wire, "HTTP/1.1 400 ", 13);
}

static void
answer_empty_packet(void)
{
	put_raw(&wire, "", 0);
}

static void
answer_long_end(void)
{
	put_headers(&wire, 200, NULL);
	put_raw(&wire, "\5\1\1", 3);
}

static void
answer_bad_chunk(void)
{
	put_headers(&wire, 200, NULL);
	put_raw(&wire, "\3\0\5hell", 7);
}

static void
answer_cut_fields(void)
{
	put_raw(&wire, "\4\0\xc8\0\0\0\0\1\0\5", 10);
}

static void
answer_spare_fields(void)
{
	put_raw(&wire, "\4\0\xc8\0\0\0\0\0\0", 9);
}

static void
answer_null_strings(void)
{
	put_raw(&wire, "\4\0\xc8\xff\xff\0\1\xa0\1\xff\xff", 11);
	put_end(&wire, true);
}

static void
answer_pong(void)
{
	put_raw(&wire, "\x09", 1);
}

static const struct answer_row {
	void (*make)(void);
	const char *out, *why;
	bool is_head, has_body;
} answer_rows[] = {
	{ answer_simple,
	    .out = "HEAD 200 length 5 [Content-Type: text/html] [X-A: b] DATA hello END keep" },
	{ answer_no_length,
	    .out = "HEAD 404 length -1 [Set-Cookie: a=b] [Set-Cookie: c=d] [WWW-Authenticate: "
		   "Basic] DATA gone END" },
	{ answer_interim, .out = "INTERIM 103 [Link: x] HEAD 204 length 0 END keep" },
	{ answer_head, .out = "HEAD 200 length 500 END keep", .is_head = true },
	{ answer_head, .out = "HEAD 200 length 500 END", .is_head = true, .has_body = true },
	{ answer_null_strings, .out = "HEAD 200 length -1 [Content-Type: ] END keep" },
	{ answer_wants, .out = " WANT 258 ERROR", .why = "closed before the response's head" },
	{ answer_wants, .out = "ERROR", .why = "asks twice", .has_body = true },
	{ answer_short, .out = "HEAD 200 length 5 DATA hel ERROR", .why = "shorter than its" },
	{ answer_long, .out = "HEAD 200 length 5 ERROR", .why = "longer than its" },
	{ answer_cut, .out = "HEAD 200 length -1 DATA hel ERROR", .why = "end of the response" },
	{ answer_no_head, .out = "ERROR", .why = "before the head" },
	{ answer_content_first, .out = "ERROR", .why = "before the head" },
	{ answer_two_heads, .out = "HEAD 200 length -1 ERROR", .why = "second head" },
	{ answer_101, .out = "ERROR", .why = "101" },
	{ answer_bad_field, .out = "ERROR", .why = "malformed" },
	{ answer_bad_name, .out = "ERROR", .why = "malformed" },
	{ answer_bad_code, .out = "ERROR", .why = "unknown code" },
	{ answer_bad_length, .out = "ERROR", .why = "not a number" },
	{ answer_two_lengths, .out = "ERROR", .why = "differ" },
	{ answer_bad_magic, .out = "ERROR", .why = "AB" },
	{ answer_bad_type, .out = "ERROR", .why = "unknown type" },
	{ answer_http, .out = "ERROR", .why = "AB" },
	{ answer_empty_packet, .out = "ERROR", .why = "empty packet" },
	{ answer_long_end, .out = "HEAD 200 length -1 ERROR", .why = "as its type says" },
	{ answer_bad_chunk, .out = "HEAD 200 length -1 ERROR", .why = "as its content" },
	{ answer_cut_fields, .out = "ERROR", .why = "shorter than what" },
	{ answer_spare_fields, .out = "ERROR", .why = "longer than what" },
	{ answer_pong, .out = "ERROR", .why = "CPONG" },
};

START_TEST(answers)
{
	const struct answer_row *row = &answer_rows[_i];

	wire.n = 0;
	row->make();
	SPLIT_EACH(way, wire.n)
	{
		struct codec_response rsp = { .is_head = row->is_head };
		const char *why = NULL;
		struct str out;

		begin(row->has_body ? "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
				    : "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		out = ask_feed(&a, &codec_ajp, &rsp, str_n(wire.p, wire.n), &way, &why);
		ck_assert_msg(out.n == strlen(row->out) && memcmp(out.p, row->out, out.n) == 0,
		    "%zu/%zu: \"%.*s\" is not \"%s\" (%s)", way.first, way.step, STR_FMT(out),
		    row->out, why ? why : "no fault");
		if (row->why)
			ck_assert_msg(
			    why && strstr(why, row->why), "\"%s\" has no \"%s\"", why, row->why);
		ask_close(&a);
	}
}
END_TEST

/* The connection is kept only when nothing of it is left over. */
START_TEST(extra_octets)
{
	static const struct split whole = { 0, 0 };
	struct codec_response rsp = { 0 };

	begin("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	wire.n = 0;
	put_headers(&wire, 200, NULL);
	put_end(&wire, true);
	put(&wire, "A", 1);
	unit_str_eq(ask_feed(&a, &codec_ajp, &rsp, str_n(wire.p, wire.n), &whole, NULL),
	    "HEAD 200 length -1 END");
	ask_close(&a);
}
END_TEST

START_TEST(long_head)
{
	static const struct split whole = { 0, 0 };
	struct codec_response rsp = { 0 };
	static char value[5000];
	const char *why = NULL;

	begin("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	memset(value, 'v', sizeof(value) - 1);
	wire.n = 0;
	put_headers(&wire, 200, "A", value, NULL);
	unit_str_eq(ask_feed(&a, &codec_ajp, &rsp, str_n(wire.p, wire.n), &whole, &why), "ERROR");
	ck_assert_str_eq(why, "the response's head is too long");
	ask_close(&a);
}
END_TEST

START_TEST(ping)
{
	static const char pong[] = { 'A', 'B', 0, 1, 9 };

	begin("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	codec_ajp.ping(&a.out);
	unit_str_eq(shown(ask_sent(&a)), "<12>4<00><01><0a>");
	for (size_t n = 0; n < 5; n++)
		ck_assert_int_eq(codec_ajp.pong(pong, n), 0);
	ck_assert_int_eq(codec_ajp.pong(pong, 5), 1);
	ck_assert_int_eq(codec_ajp.pong("AB\0\1\x0a", 5), -1);
	ck_assert_int_eq(codec_ajp.pong("H", 1), -1);
	ck_assert_int_eq(codec_ajp.pong("AB\0\1\x09!", 6), -1);
	ask_close(&a);
}
END_TEST

Suite *
suite_ajp(void)
{
	Suite *s = suite_create("ajp");
	TCase *t = tcase_create("ajp");

	tcase_add_loop_test(t, heads, 0, UNIT_COUNT(head_rows));
	tcase_add_test(t, attributes);
	tcase_add_test(t, too_large);
	tcase_add_test(t, body_flow);
	tcase_add_test(t, body_packets);
	tcase_add_test(t, body_none);
	tcase_add_loop_test(t, answers, 0, UNIT_COUNT(answer_rows));
	tcase_add_test(t, extra_octets);
	tcase_add_test(t, long_head);
	tcase_add_test(t, ping);
	suite_add_tcase(s, t);
	return s;
}
