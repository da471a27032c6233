/* HTTP/1 connections without a socket: interim responses, trailers, tunnels, a client that takes an
   octet at a time. The transport is memory; the descriptor is one that never becomes readable. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "common/base/must.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/h1.h"

Suite *suite_h1(void);

static struct loopback *lo;
static struct worker *w;
static struct conn *c;
static struct request *r; /* that the handler was called with */

/* The client: what it sends, what it got. */
static struct client {
	char sends[200000], got[200000];
	size_t send_n, send_at, got_n;
	size_t takes; /* octets at a time */
	bool is_eof, is_shut;
} cl;

static ssize_t
fake_read(struct conn *of, void *dst, size_t max)
{
	size_t n = cl.send_n - cl.send_at;

	(void)of;
	if (n == 0 && !cl.is_eof) {
		errno = EAGAIN;
		return -1;
	}
	n = n < max ? n : max;
	memcpy(dst, cl.sends + cl.send_at, n);
	cl.send_at += n;
	return (ssize_t)n;
}

static ssize_t
fake_writev(struct conn *of, const struct iovec *iov, int niov, bool more)
{
	size_t n = 0;

	(void)of;
	(void)more;
	for (int i = 0; i < niov && n < cl.takes; i++) {
		size_t part = iov[i].iov_len < cl.takes - n ? iov[i].iov_len : cl.takes - n;

		ck_assert_uint_lt(cl.got_n + part, sizeof(cl.got));
		memcpy(cl.got + cl.got_n, iov[i].iov_base, part);
		cl.got_n += part;
		n += part;
	}
	return (ssize_t)n;
}

static void
fake_shutdown(struct conn *of)
{
	(void)of;
	cl.is_shut = true;
}

static const struct transport transport_fake = {
	.name = "fake",
	.read = fake_read,
	.writev = fake_writev,
	.shutdown = fake_shutdown,
};

static void
turns(int n)
{
	while (n-- > 0)
		worker_turn(w, false);
}

/* The client sends; the worker sees it if it looks. */
static void
feed(const char *p, size_t n)
{
	ck_assert_uint_le(cl.send_n + n, sizeof(cl.sends));
	memcpy(cl.sends + cl.send_n, p, n);
	cl.send_n += n;
	while (cl.send_at < cl.send_n && c->state != CONN_DEAD && c->is_reading) {
		size_t at = cl.send_at;

		c->proto->input(c);
		turns(2);
		if (cl.send_at == at)
			break;
	}
	turns(2);
}

static void
feed_text(const char *text)
{
	feed(text, strlen(text));
}

static void
feed_eof(void)
{
	cl.is_eof = true;
	c->proto->input(c);
	worker_run_posts(w);
}

static bool
is_over(void)
{
	return c->state == CONN_DEAD;
}

/* What the client has from its at-th octet on. */
static void
got(size_t at, const char *text)
{
	unit_str_eq(str_n(cl.got + at, cl.got_n - at), text);
}

static bool
got_has(const char *text)
{
	cl.got[cl.got_n] = '\0';
	return strstr(cl.got, text) != NULL;
}

/* One connection whose requests all go to a handler. */
static void begin(enum verdict (*handle)(struct request *, const void *))
{
	static struct module module = { .name = "test" };
	const struct peer peer = { .family = 2, .addr = { 127, 0, 0, 1 } };
	struct conf_hook *hook;

	lo = rows_open(NULL, "respond = \"x\"; timeout: { body = \"1s\"; }; min_rate = \"1000\";");
	w = lo_worker(lo);
	worker_touch(w);
	module.handle = handle;
	hook = (struct conf_hook *)(uintptr_t)worker_conf(w)
		   ->listens[0]
		   .default_site->routes[0]
		   .handle.v;
	hook->module = &module;
	memset(&cl, 0, sizeof(cl));
	cl.takes = 1 << 20;
	c = conn_open(
	    w, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), &worker_conf(w)->listens[0], &peer);
	c->transport = &transport_fake;
}

static void
end(void)
{
	lo_close(lo);
}

/* --- interim responses --- */

static enum verdict
handle_interim(struct request *of, const void *conf)
{
	struct field link = { .name = STR_INIT("Link"), .value = STR_INIT("</a.css>") };
	struct fields fields = { .v = &link, .n = 1 };

	(void)conf;
	r = of;
	res_interim(of, 103, &fields);
	res_interim(of, 102, NULL);
	res_text(of, 200, STR("text/plain"), STR("hello"));
	return MINE;
}

START_TEST(interim)
{
	static const char want[] = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
				   "HTTP/1.1 102 Informational\r\n\r\nHTTP/1.1 200 OK\r\n";

	begin(handle_interim);
	cl.takes = _i ? 1 : 1 << 20;
	feed_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	turns(_i ? 500 : 1);
	ck_assert_mem_eq(cl.got, want, strlen(want));
	ck_assert(got_has("\r\n\r\nhello"));
	feed_text("GET / HTTP/1.0\r\n\r\n");
	ck_assert(!got_has("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK"));
	end();
}
END_TEST

/* A backend that hints without end takes no memory without end. */
static enum verdict
handle_hints(struct request *of, const void *conf)
{
	static char text[1000];
	struct field link = { .name = STR_INIT("Link") };
	struct fields fields = { .v = &link, .n = 1 };

	(void)conf;
	memset(text, 'x', sizeof(text));
	link.value = str_n(text, sizeof(text));
	for (int i = 0; i < 1000; i++)
		res_interim(of, 103, &fields);
	res_text(of, 200, STR("text/plain"), STR("hello"));
	return MINE;
}

START_TEST(interim_is_bounded)
{
	begin(handle_hints);
	feed_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_uint_lt(cl.got_n, BUF_SIZE + 1000);
	ck_assert_uint_gt(cl.got_n, 10000);
	ck_assert(got_has("\r\n\r\nhello"));
	end();
}
END_TEST

/* --- trailers --- */

static struct field trailer_v[] = { { .name = STR_INIT("X-Sum"), .value = STR_INIT("42") },
	{ .name = STR_INIT("X-Two"), .value = STR_INIT("2") } };
static const struct fields trailers = { .v = trailer_v, .n = 2 };

static enum verdict
handle_open(struct request *of, const void *conf)
{
	(void)conf;
	r = of;
	res_begin(of, 200, -1);
	return MINE;
}

/* Empty or not, in one piece with the end or before it, taken at once or octet by octet. */
START_TEST(with_trailers)
{
	bool has_body = _i & 1, ends_later = _i & 2, is_slow = _i & 4;
	const char *at;

	begin(handle_open);
	cl.takes = is_slow ? 1 : 1 << 20;
	feed_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	if (has_body)
		body_put(&r->out_body, "hello", 5);
	if (ends_later)
		turns(500);
	r->out_trailers = &trailers;
	body_end(&r->out_body);
	turns(500);
	cl.got[cl.got_n] = '\0';
	at = strstr(cl.got, "\r\n\r\n");
	ck_assert_ptr_nonnull(at);
	ck_assert_str_eq(at + 4, has_body ? "5\r\nhello\r\n0\r\nX-Sum: 42\r\nX-Two: 2\r\n\r\n"
					  : "0\r\nX-Sum: 42\r\nX-Two: 2\r\n\r\n");
	ck_assert(!is_over());
	feed_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	body_end(&r->out_body);
	turns(500);
	ck_assert_str_eq(cl.got + cl.got_n - 7, "\r\n0\r\n\r\n");
	end();
}
END_TEST

/* A chunk is complete as soon as its octets are, whatever comes later. */
START_TEST(chunks)
{
	begin(handle_open);
	cl.takes = _i ? 1 : 1 << 20;
	feed_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	body_put(&r->out_body, "one", 3);
	turns(500);
	cl.got[cl.got_n] = '\0';
	ck_assert_str_eq(strstr(cl.got, "\r\n\r\n") + 4, "3\r\none\r\n");
	body_put(&r->out_body, "three", 5);
	turns(50);
	body_end(&r->out_body);
	turns(50);
	cl.got[cl.got_n] = '\0';
	ck_assert_str_eq(strstr(cl.got, "\r\n\r\n") + 4, "3\r\none\r\n5\r\nthree\r\n0\r\n\r\n");
	end();
}
END_TEST

/* --- the end before the end --- */

/* A client that still sends its body gets what there was of the answer, and no end of it. */
START_TEST(cut_while_the_client_sends)
{
	begin(handle_open);
	feed_text("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome");
	request_want_body(r);
	body_put(&r->out_body, "hello", 5);
	body_fail(&r->out_body, ECONNRESET);
	turns(2);
	ck_assert_str_eq(cl.got + cl.got_n - 12, "\r\n5\r\nhello\r\n");
	ck_assert(cl.is_shut);
	ck_assert_int_eq(c->state, CONN_LINGER);
	end();
}
END_TEST

/* --- tunnels --- */

static void
echo(void *arg)
{
	struct request *of = arg;

	while (!body_is_full(&of->out_body) && body_move(&of->out_body, &of->body, BODY_LOW) > 0)
		;
	if (body_is_done(&of->body))
		body_end(&of->out_body);
}

static enum verdict
handle_tunnel(struct request *of, const void *conf)
{
	(void)conf;
	r = of;
	if (!req_can_tunnel(of)) {
		res_text(of, 200, STR("text/plain"), STR("no"));
		return MINE;
	}
	res_field(of, HF_UPGRADE, STR("echo"));
	res_begin_tunnel(of);
	return MINE;
}

static enum verdict
handle_echo(struct request *of, const void *conf)
{
	handle_tunnel(of, conf);
	if (of->is_tunnel) {
		body_on_data(&of->body, echo, of);
		body_on_space(&of->out_body, echo, of);
	}
	return MINE;
}

#define UPGRADE                                                                                    \
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n"

static size_t
tunnel_head(void)
{
	const char *end_of_head;

	cl.got[cl.got_n] = '\0';
	ck_assert(got_has("HTTP/1.1 101 Switching Protocols\r\n"));
	ck_assert(got_has("Upgrade: echo\r\n"));
	ck_assert(got_has("Connection: upgrade\r\n"));
	ck_assert(!got_has("Content-Length") && !got_has("Transfer-Encoding"));
	end_of_head = strstr(cl.got, "\r\n\r\n");
	return (size_t)(end_of_head + 4 - cl.got);
}

START_TEST(tunnel)
{
	size_t at;

	begin(handle_echo);
	feed_text(UPGRADE "early");
	at = tunnel_head();
	got(at, "early");
	feed_text(" and late");
	got(at, "early and late");
	feed_eof();
	got(at, "early and late");
	ck_assert(is_over());
	ck_assert_int_eq(c->reason, CONN_BY_DONE);
	end();
}
END_TEST

/* Our side ends first: the client is told, and may go on. */
START_TEST(tunnel_half_closed)
{
	char text[16];

	begin(handle_tunnel);
	feed_text(UPGRADE);
	tunnel_head();
	body_put(&r->out_body, "bye", 3);
	body_end(&r->out_body);
	turns(2);
	ck_assert(got_has("\r\n\r\nbye"));
	ck_assert(cl.is_shut);
	ck_assert(!is_over());
	feed_text("still here");
	ck_assert_int_eq(body_take(&r->body, text, sizeof(text)), 10);
	feed_eof();
	ck_assert(is_over());
	end();
}
END_TEST

START_TEST(tunnel_nobody_takes)
{
	begin(handle_tunnel);
	feed_text(UPGRADE);
	body_cancel(&r->body);
	feed_text("for nobody");
	ck_assert(!is_over());
	body_end(&r->out_body);
	turns(2);
	ck_assert(cl.is_shut);
	ck_assert_int_eq(c->state, CONN_LINGER);
	end();
}
END_TEST

START_TEST(tunnel_broken)
{
	begin(handle_tunnel);
	feed_text(UPGRADE);
	body_put(&r->out_body, "some", 4);
	body_fail(&r->out_body, ECONNRESET);
	worker_run_posts(w);
	ck_assert(got_has("\r\n\r\nsome"));
	ck_assert(is_over());
	ck_assert_int_eq(c->reason, CONN_BY_CUT);
	end();
}
END_TEST

/* What nobody takes stops the client, and goes on when somebody does; both ways. */
START_TEST(tunnel_pressure)
{
	static char text[150000];
	size_t at, read, n = 0;
	ssize_t part;
	char *back = must_malloc(sizeof(text));

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i * 7 % 23);
	begin(handle_tunnel);
	feed_text(UPGRADE);
	feed(text, sizeof(text));
	read = cl.send_at;
	ck_assert_uint_lt(read, BODY_HIGH + 2 * BUF_BULK_ROOM);
	while (n < sizeof(text)) {
		part = body_take(&r->body, back + n, 30000);
		n += (size_t)part;
		turns(2);
		feed("", 0);
	}
	ck_assert_mem_eq(back, text, sizeof(text));
	at = tunnel_head();
	cl.takes = 1000;
	body_put(&r->out_body, text, sizeof(text));
	ck_assert(body_is_full(&r->out_body));
	turns(400);
	ck_assert_uint_eq(cl.got_n - at, sizeof(text));
	ck_assert_mem_eq(cl.got + at, text, sizeof(text));
	free(back);
	end();
}
END_TEST

/* The core's times for bodies are not a tunnel's. */
START_TEST(tunnel_in_silence)
{
	begin(handle_tunnel);
	feed_text(UPGRADE);
	w->is_fresh = true;
	w->now += 3600 * 1000;
	timer_run(w);
	feed_text("x");
	ck_assert(!is_over());
	ck_assert_int_eq(r->body.queued, 1);
	end();
}
END_TEST

START_TEST(no_tunnel)
{
	static const char *const heads[] = {
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nUpgrade: echo\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n"
		"Content-Length: 1\r\n\r\nx",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	};

	begin(handle_tunnel);
	feed_text(heads[_i]);
	turns(2);
	ck_assert(got_has("HTTP/1.1 200 OK"));
	end();
}
END_TEST

Suite *
suite_h1(void)
{
	Suite *suite = suite_create("h1");
	TCase *t = tcase_create("h1");

	tcase_add_loop_test(t, interim, 0, 2);
	tcase_add_test(t, interim_is_bounded);
	tcase_add_loop_test(t, with_trailers, 0, 8);
	tcase_add_loop_test(t, chunks, 0, 2);
	tcase_add_test(t, cut_while_the_client_sends);
	tcase_add_test(t, tunnel);
	tcase_add_test(t, tunnel_half_closed);
	tcase_add_test(t, tunnel_nobody_takes);
	tcase_add_test(t, tunnel_broken);
	tcase_add_test(t, tunnel_pressure);
	tcase_add_test(t, tunnel_in_silence);
	tcase_add_loop_test(t, no_tunnel, 0, 5);
	suite_add_tcase(suite, t);
	return suite;
}
