/* Request bodies on their way to a backend: when it may be contacted, what waits where, repeating.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/must.h"
#include "modules/gateway/reqbody.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/pipe.h"
#include "worker/proto.h"
#include "worker/reqlife.h"
#include "worker/state.h"

Suite *suite_reqbody(void);

static struct loopback *lo;
static struct worker *w;
static struct request *r;
static struct reqbody q;
static struct body *in, *src;
static int readies, wants;
enum { PERIOD = 65536 };
static char pattern[2 << 20];

static void
want_body(struct request *of)
{
	(void)of;
	wants++;
}

static const struct proto proto_fake = { .name = "fake", .want_body = want_body };

static void
ready(void *arg)
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

/* Time goes by; what is due happens. */
static void
pass(uint64_t ms)
{
	w->is_fresh = true;
	for (uint64_t end = w->now + ms; w->now < end;) {
		w->now += end - w->now < 100 ? end - w->now : 100;
		timer_run(w);
		run_posts();
	}
	run_posts();
}

static void
begin_in(const char *spool, int64_t length, enum gateway_request policy, bool needs_length)
{
	char text[256];

	snprintf(text, sizeof(text), "server: { spool: { %s }; };", spool);
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i % PERIOD * 31 + (i % PERIOD >> 8) * 7);
	lo = rows_open(text, "respond = \"x\";");
	w = lo_worker(lo);
	worker_touch(w);
	readies = wants = 0;
	r = request_new(w, &proto_fake, NULL);
	r->length = length;
	r->status = 200;
	in = &r->body;
	if (length == 0)
		in->state = BODY_ENDED;
	reqbody_start(&q, r, policy, needs_length, ready, &readies);
	src = reqbody_source(&q);
}

static void
begin(int64_t length, enum gateway_request policy, bool needs_length)
{
	begin_in("", length, policy, needs_length);
}

static void
end(void)
{
	reqbody_fini(&q);
	reqbody_fini(&q);
	request_end(r, false);
	ck_assert_int_eq(spool_total(), 0);
	lo_close(lo);
}

/* Octets from the client, in pieces as sockets give them, while it is read from. Returns those that
   were taken. */
static size_t
give(size_t at, size_t n)
{
	size_t done = 0;

	while (done < n && !body_is_full(in)) {
		size_t part = n - done < 16000 ? n - done : 16000;

		body_put(in, pattern + (at + done) % PERIOD, part);
		done += part;
		run_posts();
	}
	return done;
}

/* The codec takes what there is. */
static size_t
take(size_t at, size_t max)
{
	char *got = must_malloc(max);
	ssize_t n = body_take(src, got, max);

	ck_assert_int_ge(n, 0);
	ck_assert_mem_eq(got, pattern + at % PERIOD, (size_t)n);
	free(got);
	run_posts();
	return (size_t)n;
}

START_TEST(none)
{
	begin(0, (enum gateway_request)_i, true);
	ck_assert_int_eq(readies, 0); /* never from inside the call */
	run_posts();
	ck_assert_int_eq(readies, 1);
	ck_assert_int_eq(wants, 0);
	ck_assert(body_is_done(src));
	ck_assert_int_eq(reqbody_length(&q), 0);
	ck_assert(reqbody_is_replayable(&q));
	reqbody_rewind(&q);
	reqbody_commit(&q);
	end();
}
END_TEST

/* What is here with the head is passed on at once, whatever the policy. */
START_TEST(at_once)
{
	begin(100, (enum gateway_request)_i, true);
	ck_assert_int_eq(wants, 1);
	body_put(in, pattern, 100);
	body_end(in);
	run_posts();
	ck_assert_int_eq(readies, 1);
	ck_assert_int_eq(src->state, BODY_ENDED);
	ck_assert_uint_eq(take(0, 1000), 100);
	ck_assert(reqbody_is_replayable(&q));
	reqbody_rewind(&q);
	ck_assert_uint_eq(take(0, 1000), 100);
	ck_assert(body_is_done(src));
	reqbody_commit(&q);
	ck_assert(!reqbody_is_replayable(&q));
	pass(2000);
	ck_assert_int_eq(readies, 1);
	ck_assert_int_eq(q.disk.written, 0);
	end();
}
END_TEST

/* BUFFER, and what must be known whole: memory to 64 KiB, disk beyond, contact at the end. */
START_TEST(buffered)
{
	static const struct {
		enum gateway_request policy;
		bool needs_length;
		int64_t length;
	} rows[] = {
		{ REQUEST_BUFFER, false, 1000000 },
		{ REQUEST_BUFFER, false, -1 },
		{ REQUEST_SPOOL, true, -1 },
		{ REQUEST_STREAM, true, -1 },
		{ REQUEST_AUTO, true, -1 },
	};

	begin(rows[_i].length, rows[_i].policy, rows[_i].needs_length);
	ck_assert_int_eq(reqbody_length(&q), rows[_i].length);
	ck_assert_uint_eq(give(0, 48000), 48000);
	ck_assert_int_eq(q.disk.written, 0);
	ck_assert_uint_eq(give(48000, 952000), 952000);
	ck_assert_int_ge(q.disk.on_disk, 1000000 - 80000);
	ck_assert_uint_le(src->memory, 80000);
	ck_assert_int_eq(readies, 0);
	body_end(in);
	run_posts();
	ck_assert_int_eq(readies, 1);
	ck_assert_int_eq(reqbody_length(&q), 1000000);
	ck_assert_uint_eq(take(0, 320000), 320000);
	ck_assert(reqbody_is_replayable(&q));
	reqbody_rewind(&q);
	ck_assert_int_eq(src->queued, 1000000);
	reqbody_commit(&q);
	ck_assert_uint_eq(take(0, 2000000), 1000000);
	ck_assert(body_is_done(src));
	end();
}
END_TEST

/* A body that is waited for holds no memory. */
START_TEST(slow_goes_to_disk)
{
	begin(1000000, REQUEST_BUFFER, false);
	give(0, 16000);
	ck_assert_uint_eq(src->memory, 16000);
	pass(200);
	ck_assert_uint_eq(src->memory, 0);
	give(16000, 16000);
	ck_assert_uint_eq(src->memory, 0);
	ck_assert_int_eq(src->queued, 32000);
	ck_assert_uint_eq(take(0, 32000), 32000);
	end();
}
END_TEST

START_TEST(slow_and_small_stays)
{
	begin(3000, REQUEST_BUFFER, false);
	give(0, 500);
	pass(200);
	give(500, 500);
	ck_assert_uint_eq(src->memory, 1000);
	ck_assert_int_eq(q.disk.written, 0);
	end();
}
END_TEST

START_TEST(streamed)
{
	size_t sent, at = 0;

	begin(1 << 20, REQUEST_STREAM, false);
	run_posts();
	ck_assert_int_eq(readies, 1);
	sent = give(0, 800000);
	ck_assert_uint_le(sent, 144 * 1024);
	ck_assert_uint_le(src->memory, REQBODY_MEMORY);
	pass(3000);
	ck_assert_uint_eq(give(sent, 1), 0);
	/* the backend takes all: the client is read from again */
	while (at < 800000) {
		size_t n = take(at, 100000);

		at += n;
		if (sent < 800000)
			sent += give(sent, 800000 - sent);
		ck_assert(n > 0);
	}
	ck_assert_int_eq(q.disk.written, 0);
	ck_assert(!reqbody_is_replayable(&q));
	end();
}
END_TEST

START_TEST(spooled)
{
	begin(1 << 20, REQUEST_SPOOL, false);
	run_posts();
	ck_assert_int_eq(readies, 1);
	ck_assert_uint_eq(give(0, 800000), 800000);
	ck_assert_int_ge(q.disk.on_disk, 700000);
	ck_assert_uint_le(src->memory, 80000);
	ck_assert(reqbody_is_replayable(&q)); /* none of it was taken */
	ck_assert_uint_eq(take(0, 400000), 400000);
	ck_assert(!reqbody_is_replayable(&q));
	ck_assert_uint_eq(take(400000, 1000000), 400000);
	spool_seal(&q.disk);
	ck_assert_int_eq(q.disk.on_disk, 0);
	end();
}
END_TEST

/* A short beginning can be sent again while more comes. */
START_TEST(rewound_while_it_comes)
{
	begin(-1, _i ? REQUEST_SPOOL : REQUEST_STREAM, false);
	give(0, 16000);
	ck_assert_uint_eq(take(0, 16000), 16000);
	give(16000, 16000);
	ck_assert_uint_eq(take(16000, 10000), 10000);
	ck_assert(reqbody_is_replayable(&q));
	reqbody_rewind(&q);
	ck_assert_uint_eq(take(0, 32000), 32000);
	give(32000, 16000);
	body_end(in);
	run_posts();
	ck_assert_uint_eq(take(32000, 20000), 16000);
	ck_assert(body_is_done(src));
	reqbody_rewind(&q);
	ck_assert_uint_eq(take(0, 50000), 48000);
	ck_assert(body_is_done(src));
	end();
}
END_TEST

/* AUTO: octets at times, and when the backend is contacted. */
static const struct auto_row {
	int64_t length;
	struct {
		uint64_t ms; /* before them */
		size_t n;
	} comes[4];
	int readies; /* after all of that */
} auto_rows[] = {
	/* the first 64 KiB at once: fast */
	{ 256 << 20, { { 0, 70000 } }, 1 },
	{ -1, { { 0, 70000 } }, 1 },
	/* not at once, but fast before 256 KiB have come */
	{ 256 << 20, { { 10, 70000 }, { 0, 20000 } }, 1 },
	{ 256 << 20, { { 10, 70000 }, { 8, 70000 }, { 20, 100000 } }, 0 },
	/* what came in 0.1 s tells what comes in a second: ten times as much */
	{ 128000, { { 50, 32000 }, { 40, 40000 } }, 1 },
	{ 1 << 20, { { 50, 32000 }, { 50, 33000 } }, 0 },
	{ -1, { { 50, 32000 }, { 50, 33000 } }, 0 },
	/* slow to begin with: nothing, until the second look finds it fast */
	{ 100 << 20, { { 0, 1000 }, { 200, 0 } }, 0 },
	{ 100 << 20, { { 0, 1000 }, { 600, 500000 }, { 700, 0 } }, 0 },
	{ 4 << 20, { { 0, 1000 }, { 300, 900000 }, { 100, 900000 }, { 900, 900000 } }, 0 },
	{ 3 << 20, { { 0, 1000 }, { 300, 900000 }, { 100, 900000 }, { 900, 0 } }, 1 },
	/* there is no third */
	{ 100 << 20, { { 0, 1000 }, { 1300, 1000 }, { 100, 1000000 }, { 5000, 1000000 } }, 0 },
	/* nothing comes */
	{ 1000, { { 5000, 0 } }, 0 },
	{ 1000, { { 5000, 999 } }, 0 },
};

START_TEST(automatic)
{
	const struct auto_row *row = &auto_rows[_i];
	size_t at = 0;

	begin(row->length, REQUEST_AUTO, false);
	for (size_t i = 0; i < 4; i++) {
		pass(row->comes[i].ms);
		at += give(at, row->comes[i].n);
	}
	ck_assert_int_eq(readies, row->readies);
	if (readies)
		ck_assert_uint_le(src->memory, (256 << 10) + 16000);
	end();
}
END_TEST

/* Contacted after some went to disk: the disk's first, the rest without it. */
START_TEST(automatic_goes_on)
{
	int64_t written;

	begin(3 << 20, REQUEST_AUTO, false);
	give(0, 1600);
	pass(300);
	give(1600, 14400);
	give(16000, 1600000);
	pass(1200);
	ck_assert_int_eq(readies, 1);
	written = q.disk.written;
	ck_assert_int_ge(written, 1500000);
	ck_assert_uint_eq(take(0, 1616000), 1616000);
	give(1616000, 1000000);
	ck_assert_int_eq(q.disk.written, written);
	ck_assert_uint_ge(take(1616000, 64000), 64000);
	end();
}
END_TEST

/* A body of ours after the client's: with its own length, as often as it is asked for. */
START_TEST(made)
{
	static const char octets[] = "a=b&c=d";
	char text[16];

	begin(5000, REQUEST_BUFFER, false);
	give(0, 5000);
	body_end(in);
	run_posts();
	reqbody_fini(&q);
	readies = 0;
	reqbody_make(&q, r, STR(octets), ready, &readies);
	ck_assert_int_eq(readies, 0);
	run_posts();
	ck_assert_int_eq(readies, 1);
	src = reqbody_source(&q);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(reqbody_length(&q), (int64_t)sizeof(octets) - 1);
		ck_assert_int_eq(body_take(src, text, sizeof(text)), (ssize_t)sizeof(octets) - 1);
		ck_assert_int_eq(memcmp(text, octets, sizeof(octets) - 1), 0);
		ck_assert(body_is_done(src));
		ck_assert(reqbody_is_replayable(&q));
		reqbody_rewind(&q);
	}
	end();
}
END_TEST

START_TEST(failed)
{
	static const struct {
		int err, status;
	} rows[] = { { EFBIG, 413 }, { EBADMSG, 400 }, { ETIMEDOUT, 408 }, { ECONNRESET, 400 },
		{ EIO, 400 } };
	const char *why = NULL;

	for (int policy = REQUEST_AUTO; policy <= REQUEST_STREAM; policy++) {
		begin(1000, (enum gateway_request)policy, false);
		give(0, 500);
		body_fail(in, rows[_i].err);
		run_posts();
		ck_assert_int_eq(readies, 1);
		ck_assert_int_eq(reqbody_failed(&q, &why), rows[_i].status);
		ck_assert_ptr_nonnull(why);
		ck_assert(!reqbody_is_replayable(&q));
		ck_assert_int_eq(src->state, BODY_FAILED);
		end();
	}
}
END_TEST

START_TEST(no_disk)
{
	const char *why = NULL;
	size_t sent;

	begin_in("directories = [ \"/proc\" ];", 1 << 20, (enum gateway_request)_i, false);
	sent = give(0, 800000);
	if (_i == REQUEST_BUFFER) {
		ck_assert_int_eq(reqbody_failed(&q, &why), 507);
		ck_assert_int_eq(readies, 1);
		ck_assert_int_eq(in->state, BODY_CANCELLED);
	} else { /* the client is slowed down instead */
		ck_assert_int_eq(reqbody_failed(&q, &why), 0);
		ck_assert_int_eq(readies, 1);
		ck_assert_uint_lt(sent, 200000);
		for (size_t at = 0; at < sent;) {
			size_t n = take(at, sent);

			ck_assert_uint_gt(n, 0);
			at += n;
		}
		ck_assert_uint_gt(give(sent, 1000), 0);
	}
	end();
}
END_TEST

/* The client's end takes pipes while nothing of the body is kept for another attempt, and what
   comes in one leaves in it. */
START_TEST(in_pipes)
{
	enum gateway_request policy = (enum gateway_request)_i;
	struct pipe *p;
	size_t at = 0;

	pipe_limit(8);
	begin(1 << 20, policy, false);
	run_posts();
	src->pipes = PIPE_ROOM;
	at += give(at, 30000);
	ck_assert_uint_eq(in->pipes, 0);
	if (policy == REQUEST_STREAM)
		reqbody_commit(&q);
	at += give(at, 16000);
	ck_assert_uint_eq(in->pipes, policy == REQUEST_STREAM ? PIPE_ROOM : 0);
	if (policy == REQUEST_STREAM) {
		ck_assert_uint_eq(take(0, at), at);
		for (int i = 0; i < 2; i++) {
			p = pipe_get();
			ck_assert_int_eq(
			    write(p->wr, pattern + (at + (size_t)i * 60000) % PERIOD, 60000),
			    60000);
			p->used = 60000;
			body_put_pipe(in, p);
		}
		run_posts();
		ck_assert_ptr_nonnull(body_pipe(src));
		ck_assert_int_eq(src->queued, 120000);
		ck_assert_uint_eq(take(at, 120000), 120000);
	}
	end();
	pipe_limit(0);
}
END_TEST

START_TEST(stopped)
{
	begin(1 << 20, (enum gateway_request)_i, false);
	give(0, 100000);
	reqbody_stop(&q);
	ck_assert_int_eq(in->state, BODY_CANCELLED);
	ck_assert_int_eq(src->state, BODY_CANCELLED);
	ck_assert_int_eq(q.disk.on_disk, 0);
	pass(3000);
	end();
}
END_TEST

Suite *
suite_reqbody(void)
{
	Suite *suite = suite_create("reqbody");
	TCase *t = tcase_create("reqbody");

	tcase_add_loop_test(t, none, REQUEST_AUTO, REQUEST_STREAM + 1);
	tcase_add_loop_test(t, at_once, REQUEST_AUTO, REQUEST_STREAM + 1);
	tcase_add_loop_test(t, buffered, 0, 5);
	tcase_add_test(t, slow_goes_to_disk);
	tcase_add_test(t, slow_and_small_stays);
	tcase_add_test(t, streamed);
	tcase_add_test(t, spooled);
	tcase_add_loop_test(t, rewound_while_it_comes, 0, 2);
	tcase_add_loop_test(t, automatic, 0, UNIT_COUNT(auto_rows));
	tcase_add_test(t, automatic_goes_on);
	tcase_add_test(t, made);
	tcase_add_loop_test(t, failed, 0, 5);
	tcase_add_loop_test(t, no_disk, REQUEST_AUTO, REQUEST_STREAM + 1);
	tcase_add_loop_test(t, in_pipes, REQUEST_AUTO, REQUEST_STREAM + 1);
	tcase_add_loop_test(t, stopped, REQUEST_AUTO, REQUEST_STREAM + 1);
	suite_add_tcase(suite, t);
	return suite;
}
