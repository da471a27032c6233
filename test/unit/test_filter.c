/*
 * Body filters: two filters of the test's own stand in the array of modules, each takes the body
 * that the handler made and gives it on. Their order, the end, failure, cancel, and back-pressure
 * in both directions.
 */
#include <stdlib.h>
#include "common/base/must.h"
#include "common/config/core.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_filter(void);

enum { MAX_MODULES = 64 };

static const struct module *list[MAX_MODULES];
static struct loopback *lo;
static size_t most; /* octets of memory that waited between both filters */

/* What one filter has in hand: the body that it takes from and the one that it gives. */
struct identity {
	struct body *in;
	struct body out;
};

static void
identity_pump(void *arg)
{
	struct identity *f = arg;

	if (f->out.state == BODY_CANCELLED) {
		body_cancel(f->in);
		return;
	}
	if (f->out.state != BODY_OPEN)
		return;
	while (!body_is_full(&f->out) && body_move(&f->out, f->in, BODY_LOW) > 0)
		;
	most = f->in->memory > most ? f->in->memory : most;
	if (body_is_done(f->in))
		body_end(&f->out);
	else if (f->in->state == BODY_FAILED && body_is_empty(f->in))
		body_fail(&f->out, f->in->err);
}

static void
identity_fini(void *arg)
{
	struct identity *f = arg;

	body_fini(&f->out);
}

static void
identity_wrap(struct request *r)
{
	struct identity *f = arena_calloc(&r->arena, sizeof(*f));

	f->in = r->out;
	body_init(&f->out, r->w);
	r->out = &f->out;
	arena_defer(&r->arena, identity_fini, f);
	body_on_data(f->in, identity_pump, f);
	body_on_space(&f->out, identity_pump, f);
}

/* Notes in a field who was there, and whom it has found before itself. */
static void
identity_note(struct request *r, const char *name)
{
	struct str before = res_field_get(r, HF_CONTENT_LANGUAGE);

	res_field_set(
	    r, HF_CONTENT_LANGUAGE, arena_printf(&r->arena, "%.*s%s", STR_FMT(before), name));
	identity_wrap(r);
}

static void
first_filter(struct request *r, const void *conf)
{
	(void)conf;
	identity_note(r, "first");
}

static void
second_filter(struct request *r, const void *conf)
{
	(void)conf;
	identity_note(r, "second-");
}

static const struct module first = { .name = "first", .filter = first_filter };
static const struct module second = { .name = "second", .filter = second_filter };

static void
setup(void)
{
	ck_assert_uint_lt(modules_n + 2, MAX_MODULES);
	memcpy(list, modules, modules_n * sizeof(*modules));
	list[modules_n] = &first; /* a module knows its own index: the others keep theirs */
	list[modules_n + 1] = &second;
	core_use_modules(list, modules_n + 2);
	lo = rows_open(NULL, "echo = true;");
	most = 0;
}

static void
teardown(void)
{
	lo_close(lo);
	core_use_modules(modules, modules_n);
}

/* From the handler outward: what stands first in the array has the last word. */
START_TEST(order)
{
	struct lo_response *s = lo_get(lo, "/x", NULL);

	ck_assert(s->is_complete);
	unit_str_eq(lo_field(s, "Content-Language"), "second-first");
	unit_str_eq(s->body, "GET /x HTTP/1.1\n\n");
}
END_TEST

/* A megabyte through both, at any pace of the reader, and never much of it between them. */
START_TEST(whole)
{
	static const size_t takes[] = { 0, 1000, 4096, 100000 };
	static const char line[] = "POST /x HTTP/1.1\n\n";
	size_t n = 1 << 20;
	char *text = must_malloc(n + 1);
	struct lo_request q = { .method = "POST",
		.target = "/x",
		.body = text,
		.take = takes[_i],
		.body_chunked = _i % 2 };
	struct lo_response *s;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + i * 7 % 23);
	text[n] = '\0';
	s = lo_send(lo, &q);
	ck_assert(s->is_complete);
	ck_assert_uint_eq(s->body.n, strlen(line) + n);
	ck_assert_int_eq(memcmp(s->body.p + strlen(line), text, n), 0);
	ck_assert_uint_le(most, 2 * BODY_HIGH);
	free(text);
}
END_TEST

START_TEST(fails)
{
	struct lo_request q = {
		.method = "POST", .target = "/x", .body = "half", .body_fails = true
	};
	struct lo_response *s = lo_send(lo, &q);

	ck_assert(s->is_aborted);
	ck_assert(!s->is_complete);
}
END_TEST

/* The client leaves: nothing of what the filters hold outlives the request. */
START_TEST(leaves)
{
	size_t n = 300000;
	char *text = must_malloc(n + 1);
	struct lo_request q = {
		.method = "POST", .target = "/x", .body = text, .take = 1000, .leave_after = 5000
	};

	memset(text, 'x', n);
	text[n] = '\0';
	ck_assert(lo_send(lo, &q)->is_aborted);
	ck_assert(lo_get(lo, "/y", NULL)->is_complete);
	free(text);
}
END_TEST

/* HEAD: the protocol cancels the outermost body, and the handler is told through both. */
START_TEST(cancelled)
{
	struct lo_request q = { .method = "HEAD", .target = "/x" };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert(s->is_complete);
	ck_assert_int_eq(s->status, 200);
	ck_assert_uint_eq(s->body.n, 0);
}
END_TEST

Suite *
suite_filter(void)
{
	Suite *s = suite_create("filter");
	TCase *t = tcase_create("filter");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, order);
	tcase_add_loop_test(t, whole, 0, 4);
	tcase_add_test(t, fails);
	tcase_add_test(t, leaves);
	tcase_add_test(t, cancelled);
	suite_add_tcase(s, t);
	return s;
}
