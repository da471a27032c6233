#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/errpage.h"
#include "worker/reqlife.h"

Suite *suite_errpage(void);

#define HTML "text/html; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/problem+json"

static const struct {
	const char *accept, *type;
} type_rows[] = {
	{ NULL, TEXT },
	{ "Accept: */*", TEXT },
	{ "Accept: image/avif,image/webp,*/*;q=0.8", TEXT },
	{ "Accept: text/plain", TEXT },
	{ "Accept: text/html", HTML },
	{ "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML },
	{ "Accept: application/json", JSON },
	{ "Accept: application/problem+json", JSON },
	{ "Accept: application/json, text/plain, */*", JSON },
	{ "Accept: application/json, text/javascript, */*; q=0.01", JSON },
	{ "Accept: text/html;q=0.5, application/json", JSON },
	{ "Accept: text/html, application/json;q=0.5", HTML },
	{ "Accept: text/html;q=0, */*", TEXT },
	{ "Accept: Application/JSON;q=0.5", JSON },
	{ "Accept: ", TEXT },
};

START_TEST(form)
{
	struct loopback *lo = rows_open(NULL, "access: { deny = \"all\"; };");
	struct lo_response *s = lo_get(lo, "/", type_rows[_i].accept, NULL);

	ck_assert_int_eq(s->status, 403);
	unit_str_eq(lo_field(s, "Content-Type"), type_rows[_i].type);
	ck_assert_int_eq(s->length, (int64_t)s->body.n);
	ck_assert_ptr_nonnull(memmem(s->body.p, s->body.n, "403", 3));
	lo_close(lo);
}
END_TEST

/* A reason from outside is text in every form. */
START_TEST(escape)
{
	static const char *const accepts[] = { "Accept: text/html", "Accept: application/json",
		"Accept: */*" };
	static const char *const want[] = { "<pre>&lt;b>&quot;x\\y&amp;  </pre>",
		"\"detail\":\"<b>\\\"x\\\\y&  \",\"request_id\":\"", "<b>\"x\\y&  \nrequest " };
	struct loopback *lo = rows_open(NULL, "respond = \"x\";");
	struct request *r = request_new(lo_worker(lo), NULL, NULL);
	struct field *f = fields_add(&r->in, &r->arena);
	struct str type, text;

	*f = (struct field){ STR("Accept"), str_of(accepts[_i] + 8), HF_ACCEPT };
	r->known[HF_ACCEPT] = 1;
	errpage_make(r, 500, "<b>\"x\\y&\n\xff", &type, &text);
	ck_assert_msg(memmem(text.p, text.n, want[_i], strlen(want[_i])) != NULL, "%s", text.p);
	request_end(r, true);
	lo_close(lo);
}
END_TEST

/* The reason is told to clients on this machine, where debug is on, and to nobody else. */
START_TEST(why)
{
	static const struct {
		const char *conf, *peer, *field;
		bool told;
	} rows[] = {
		{ "debug = true; access: { deny = \"all\"; };", "127.0.0.1", NULL, true },
		{ "debug = true; access: { deny = \"all\"; };", "::1", NULL, true },
		{ "debug = true; access: { deny = \"all\"; };", "192.0.2.1", NULL, false },
		{ "debug = true; access: { deny = \"all\"; };", "unix:", NULL, false },
		{ "debug = true; access: { deny = \"all\"; };", "127.0.0.1",
		    "X-Forwarded-For: 192.0.2.1", false },
		{ "debug = true; access: { deny = \"all\"; };", "127.0.0.1", "Via: 1.1 p", false },
		{ "debug = false; access: { deny = \"all\"; };", "127.0.0.1", NULL, false },
	};
	struct loopback *lo = rows_open(NULL, rows[_i].conf);
	const char *const fields[] = { rows[_i].field, NULL };
	struct lo_request q = { .target = "/", .peer = rows[_i].peer, .fields = fields };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_int_eq(
	    memmem(s->body.p, s->body.n, "not allowed here", 16) != NULL, rows[_i].told);
	unit_str_eq(s->why, "the client's address is not allowed here");
	lo_close(lo);
}
END_TEST

Suite *
suite_errpage(void)
{
	Suite *s = suite_create("errpage");
	TCase *t = tcase_create("errpage");

	tcase_add_loop_test(t, form, 0, UNIT_COUNT(type_rows));
	tcase_add_loop_test(t, escape, 0, 3);
	tcase_add_loop_test(t, why, 0, 7);
	suite_add_tcase(s, t);
	return s;
}
