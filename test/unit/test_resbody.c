/* Response bodies on their way to the client: what waits where, when the backend pauses, the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/must.h"
#include "modules/gateway/resbody.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/pipe.h"
#include "worker/proto.h"
#include "worker/reqlife.h"
#include "worker/state.h"

Suite *suite_resbody(void);

enum { PERIOD = 65536, MEMORY = 256 << 10, DISK = 4 << 20 };

static struct loopback *lo;
static struct worker *w;
static struct request *r;
static struct resbody s;
static struct body *out;
static int resumes, heads, aborts;
static size_t came, went;
static char pattern[2 * PERIOD];

static void
head(struct request *of)
{
	heads++;
	if (of->method == M_HEAD)
		body_cancel(of->out);
}

static void
cut(struct request *of)
{
	(void)of;
	aborts++;
}

static const struct proto proto_fake = { .name = "fake", .head = head, .abort = cut };

static void
resume(void *arg)
{
	(*(int *)arg)++;
}

static void
run_posts(void)
{
	struct link *l;

	while ((l = list_pop(&w->posts)) != NULL) {
		struct post *p = container_of(l, struct post, link);

		p->fn(p->arg);
	}
}

static void
begin_in(const char *spool, enum gateway_response policy, int method, int64_t length)
{
	const struct gateway_conf conf = { .response_memory = MEMORY, .response_disk = DISK };
	char text[256];

	snprintf(text, sizeof(text), "server: { spool: { %s }; };", spool);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i % PERIOD * 31 + (i % PERIOD >> 8) * 7);
	lo = rows_open(text, "respond = \"x\";");
	w = lo_worker(lo);
	worker_touch(w);
	resumes = heads = aborts = 0;
	came = went = 0;
	r = request_new(w, &proto_fake, NULL);
	r->method = (uint8_t)method;
	r->site = worker_conf(w)->listens[0].default_site;
	r->route = &r->site->routes[0];
	out = &r->out_body;
	resbody_start(&s, r, &conf, policy, 200, length, resume, &resumes);
}

static void
begin(enum gateway_response policy, int64_t length)
{
	begin_in("", policy, M_GET, length);
}

static void
end(void)
{
	resbody_fini(&s);
	resbody_fini(&s);
	request_end(r, false);
	ck_assert_int_eq(spool_total(), 0);
	lo_close(lo);
}

static void
pass(uint64_t ms)
{
	w->is_fresh = true;
	w->now += ms;
	timer_run(w);
	run_posts();
}

/* Octets from the backend, in pieces, until all have come or it is to pause. */
static size_t
give(size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t part = n - done < 16000 ? n - done : 16000;
		struct buf *b;

		if (resbody_is_paused(&s))
			pass(100);
		if (resbody_is_paused(&s))
			break;
		b = buf_get();
		memcpy(b->data, pattern + came % PERIOD, part);
		b->used = (unsigned)part;
		resbody_put(&s, b, b->data, part);
		buf_put(b);
		came += part;
		done += part;
		run_posts();
	}
	return done;
}

/* The client takes at most so many. */
static size_t
take(size_t max)
{
	size_t done = 0;
	char got[PERIOD];

	while (done < max) {
		size_t want = max - done < PERIOD ? max - done : PERIOD;
		ssize_t n = body_take(out, got, want);

		if (n <= 0)
			break;
		ck_assert_mem_eq(got, pattern + went % PERIOD, (size_t)n);
		went += (size_t)n;
		done += (size_t)n;
		run_posts();
	}
	return done;
}

static void
memory_is_bounded(void)
{
	ck_assert_uint_le(s.held.memory + out->memory, MEMORY + 2 * BUF_SIZE);
}

START_TEST(first_octet_at_once)
{
	begin(_i ? RESPONSE_STREAM : RESPONSE_SPOOL, -1);
	ck_assert_int_eq(heads, 1);
	ck_assert_int_eq(r->out_length, -1);
	give(1);
	ck_assert_int_eq(out->queued, 1);
	take(1);
	resbody_end(&s);
	ck_assert(body_is_done(out));
	ck_assert_int_eq(resumes, 0);
	end();
}
END_TEST

START_TEST(streamed)
{
	size_t n;

	begin(RESPONSE_STREAM, 3 << 20);
	n = give(3 << 20);
	ck_assert_uint_ge(n, MEMORY / 2);
	memory_is_bounded();
	ck_assert_int_eq(resumes, 0);
	take(n);
	ck_assert_int_eq(resumes, 1);
	while (came < 3 << 20) {
		give((3 << 20) - came);
		memory_is_bounded();
		take(50000);
	}
	resbody_end(&s);
	take(3 << 20);
	ck_assert_uint_eq(went, came);
	ck_assert(body_is_done(out));
	ck_assert_int_eq(s.disk.written, 0);
	end();
}
END_TEST

/* The backend is free long before the client has all. */
START_TEST(spooled)
{
	begin(RESPONSE_SPOOL, -1);
	ck_assert_uint_eq(give(3 << 20), 3 << 20);
	memory_is_bounded();
	ck_assert_int_gt(s.disk.on_disk, 2 << 20);
	resbody_end(&s);
	ck_assert_int_eq(out->state, BODY_OPEN);
	ck_assert_uint_eq(take(4 << 20), 3 << 20);
	ck_assert(body_is_done(out));
	spool_seal(&s.disk);
	ck_assert_int_eq(s.disk.on_disk, 0);
	end();
}
END_TEST

/* A client that stalls stops the backend at the limit, and one that goes on lets it go on. */
START_TEST(limited)
{
	begin(RESPONSE_SPOOL, -1);
	give(100 << 20);
	ck_assert_uint_le(came, MEMORY + DISK + 3 * BUF_SIZE);
	ck_assert_uint_ge(came, DISK);
	ck_assert_int_le(s.disk.on_disk, DISK);
	memory_is_bounded();
	ck_assert_uint_eq(give(1), 0);
	resumes = 0;
	take(3 << 20);
	ck_assert_int_eq(resumes, 1);
	ck_assert_uint_gt(give(1 << 20), 0);
	while (came < 20 << 20) {
		ck_assert_uint_gt(take(100000), 0);
		give((20 << 20) - came);
		ck_assert_int_le(s.disk.on_disk, DISK);
		memory_is_bounded();
	}
	resbody_end(&s);
	take(20 << 20);
	ck_assert_uint_eq(went, 20 << 20);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

/* A client that takes what there is, if only after a moment, needs no disk. */
START_TEST(fast_client)
{
	begin(RESPONSE_SPOOL, -1);
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 100 && !resbody_is_paused(&s); k++) {
			struct buf *b = buf_get();

			memcpy(b->data, pattern + came % PERIOD, 16000);
			resbody_put(&s, b, b->data, 16000);
			buf_put(b);
			came += 16000;
		}
		ck_assert(resbody_is_paused(&s));
		w->now += 60;
		timer_run(w);
		resumes = 0;
		take(1 << 20);
		ck_assert_int_eq(resumes, 1);
	}
	ck_assert_int_eq(s.disk.written, 0);
	ck_assert_uint_gt(came, 10 << 20);
	resbody_end(&s);
	take(1 << 20);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

START_TEST(no_disk)
{
	begin_in("directories = [ \"/proc\" ];", RESPONSE_SPOOL, M_GET, -1);
	give(10 << 20);
	memory_is_bounded();
	ck_assert_uint_lt(came, MEMORY + 3 * BUF_SIZE);
	while (came < 10 << 20) {
		ck_assert_uint_gt(take(100000), 0);
		give((10 << 20) - came);
	}
	resbody_end(&s);
	take(10 << 20);
	ck_assert_uint_eq(went, came);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

START_TEST(buffered)
{
	begin(RESPONSE_BUFFER, -1);
	ck_assert_uint_eq(give(2 << 20), 2 << 20);
	ck_assert_int_eq(heads, 0);
	memory_is_bounded();
	resbody_end(&s);
	ck_assert_int_eq(heads, 1);
	ck_assert_int_eq(r->out_length, 2 << 20);
	take(4 << 20);
	ck_assert_uint_eq(went, came);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

START_TEST(buffered_nothing)
{
	begin(RESPONSE_BUFFER, -1);
	resbody_end(&s);
	ck_assert_int_eq(r->out_length, 0);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

/* Larger than what may wait: it begins before it is complete. */
START_TEST(buffered_too_large)
{
	begin(RESPONSE_BUFFER, -1);
	give(100 << 20);
	ck_assert_int_eq(heads, 1);
	ck_assert_int_eq(r->out_length, -1);
	memory_is_bounded();
	take(2 << 20);
	ck_assert_uint_gt(give(1 << 20), 0);
	resbody_end(&s);
	take(200 << 20);
	ck_assert_uint_eq(went, came);
	ck_assert(body_is_done(out));
	end();
}
END_TEST

START_TEST(to_a_head_request)
{
	begin_in("", (enum gateway_response)_i, M_HEAD, 12345);
	if (_i == RESPONSE_BUFFER)
		resbody_end(&s);
	ck_assert_int_eq(heads, 1);
	ck_assert_int_eq(r->out_length, 12345);
	ck_assert_uint_eq(give(10 << 20), 10 << 20);
	ck_assert_int_eq(s.disk.written, 0);
	ck_assert_int_eq(out->queued, 0);
	end();
}
END_TEST

/* What came before the failure is delivered. */
START_TEST(failed)
{
	size_t n = _i ? 3 << 20 : 1000;

	begin(RESPONSE_SPOOL, -1);
	give(n);
	ck_assert(resbody_fail(&s, "reset"));
	ck_assert_uint_eq(take(n + 1), n);
	ck_assert_int_eq(out->state, BODY_FAILED);
	ck_assert_str_eq(r->why, "reset");
	end();
}
END_TEST

START_TEST(failed_before_it_began)
{
	begin(RESPONSE_BUFFER, -1);
	give(1000);
	ck_assert(!resbody_fail(&s, "reset"));
	ck_assert_int_eq(heads, 0);
	resbody_fini(&s);
	r->status = 502;
	end();
}
END_TEST

static struct pipe *
piped(size_t n)
{
	struct pipe *p = pipe_get();

	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(write(p->wr, pattern + came % PERIOD, n), (ssize_t)n);
	p->used = n;
	came += n;
	return p;
}

/* Pipes count as memory, pause as memory does, and go to disk in their place for a slow client, who
   is given no more of them. */
START_TEST(in_pipes)
{
	pipe_limit(32);
	begin(RESPONSE_SPOOL, 3 << 20);
	ck_assert(!resbody_takes_pipes(&s));
	out->pipes = PIPE_ROOM;
	while (!resbody_is_paused(&s)) {
		ck_assert(resbody_takes_pipes(&s));
		resbody_put_pipe(&s, piped(50000));
		if (!resbody_is_paused(&s))
			give(1000);
	}
	ck_assert_uint_le(s.held.memory + out->memory, MEMORY + 2 * PIPE_ROOM);
	ck_assert_ptr_nonnull(body_pipe(out));
	pass(100);
	ck_assert(!resbody_takes_pipes(&s));
	ck_assert(!resbody_is_paused(&s));
	ck_assert_int_gt(s.disk.on_disk, 0);
	give((3 << 20) - came);
	resbody_end(&s);
	take(3 << 20);
	ck_assert_uint_eq(went, 3 << 20);
	ck_assert(body_is_done(out));
	end();
	pipe_limit(0);
}
END_TEST

START_TEST(not_in_pipes)
{
	begin(RESPONSE_BUFFER, 1 << 20);
	out->pipes = PIPE_ROOM;
	ck_assert(!resbody_takes_pipes(&s)); /* it is kept back */
	resbody_end(&s);
	body_cancel(out);
	ck_assert(!resbody_takes_pipes(&s));
	end();
	ck_assert(!resbody_takes_pipes(&s));
}
END_TEST

Suite *
suite_resbody(void)
{
	Suite *suite = suite_create("resbody");
	TCase *t = tcase_create("resbody");

	tcase_add_loop_test(t, first_octet_at_once, 0, 2);
	tcase_add_test(t, streamed);
	tcase_add_test(t, spooled);
	tcase_add_test(t, limited);
	tcase_add_test(t, fast_client);
	tcase_add_test(t, no_disk);
	tcase_add_test(t, buffered);
	tcase_add_test(t, buffered_nothing);
	tcase_add_test(t, buffered_too_large);
	tcase_add_loop_test(t, to_a_head_request, RESPONSE_SPOOL, RESPONSE_BUFFER + 1);
	tcase_add_loop_test(t, failed, 0, 2);
	tcase_add_test(t, failed_before_it_began);
	tcase_add_test(t, in_pipes);
	tcase_add_test(t, not_in_pipes);
	suite_add_tcase(suite, t);
	return suite;
}
