/* The page as it is before any script runs: all parts filled in, hostile text escaped, small. */
#include <stdio.h>
#include <stdlib.h>
#include "modules/status/html.h"
#include "test/unit/unit.h"

Suite *suite_status_html(void);

static struct text out;
static struct statussnap *s;

static void
setup(void)
{
	s = calloc(1, sizeof(*s));
	s->state = "serving";
	s->log_level = "notice";
	s->generation = 7;
	s->workers_wanted = s->nworkers = s->ready = 1;
	s->slots = 2;
	s->owners[0] = 4;
	s->workers[0] = (struct statussnap_worker){
		.row = 3, .seat = 5, .generation = 7, .pid = 4242, .state = ROW_READY, .slots = 1
	};
	s->workers[0].counters[CTR_REQUESTS] = 12345;
	s->totals[CTR_BYTES_OUT] = 3 << 20;
	s->generations[0] = (struct statussnap_generation){ 7, 1, "serving", 2, 1 };
	s->ngenerations = 1;
}

static void
teardown(void)
{
	free(s);
	text_free(&out);
}

static bool
has(const char *needle)
{
	return memmem(out.p, out.n, needle, strlen(needle)) != NULL;
}

START_TEST(test_filled)
{
	status_html(s, "n0nce", &out);
	ck_assert_uint_lt(out.n, 60 * 1024);
	ck_assert(!has("@@"));
	ck_assert(has("<style nonce=\"n0nce\">"));
	ck_assert(has("<script nonce=\"n0nce\">"));
	ck_assert(has("<td data-k=\"pid\">4242<"));
	ck_assert(has("<td data-k=\"requests\">12k<"));
	ck_assert(has("3.0MB sent in all"));
	ck_assert(has("<span>5</span><span class=\"none\">"));
	ck_assert(has("role=\"status\" hidden></div>"));
	ck_assert_int_eq(memcmp(out.p + out.n - 8, "</html>\n", 8), 0);
}
END_TEST

/* Each id that the script looks up is there without it. */
START_TEST(test_ids)
{
	char id[64];
	const char *p;
	int n = 0;

	status_html(s, "x", &out);
	text_add(&out, "", 1);
	for (p = out.p; (p = strstr(p, "$(\"")) != NULL; p++, n++) {
		snprintf(id, sizeof(id), "id=\"%.*s\"", (int)strcspn(p + 3, "\""), p + 3);
		ck_assert_msg(strstr(out.p, id) != NULL, "%s is missing", id);
	}
	ck_assert_int_gt(n, 20);
}
END_TEST

/* Nothing is fetched from elsewhere, and no inline style or handler that the policy would refuse.
 */
START_TEST(test_self_contained)
{
	status_html(s, "x", &out);
	ck_assert(!has("http://") && !has("https://") && !has("src=") && !has("@import"));
	ck_assert(!has("style=\"") && !has("onclick") && !has("onload") && !has("innerHTML"));
}
END_TEST

START_TEST(test_error_escaped)
{
	strcpy(s->reload_error, "<script>alert(\"x\")</script>&");
	status_html(s, "x", &out);
	ck_assert(!has("<script>alert"));
	ck_assert(has("&#60;script&#62;alert(&#34;x&#34;)"));
	ck_assert(has("role=\"status\" >The last reload failed"));
}
END_TEST

/* Without pools nothing is shown of them; with some, each host has its row and its reason. */
START_TEST(test_pools)
{
	struct backend_view hosts[] = {
		{ .host = "10.0.0.3:80", .state = BACKEND_UP, .in_flight = 4 },
		{ .host = "unix:/<x>",
		    .state = BACKEND_DOWN,
		    .cause = CAUSE_REFUSED,
		    .failures = 3 },
	};
	struct statussnap_pool pool = {
		.view = { .pool = "a&b", .queued = 2 }, .hosts = hosts, .nhosts = 2, .usable = 1
	};

	status_html(s, "x", &out);
	ck_assert(has("id=\"backends\" hidden>"));
	ck_assert(has("<tbody></tbody>"));
	out.n = 0;
	hosts[0].counters[BACKEND_REQUESTS] = 1500;
	hosts[0].counters[BACKEND_CONNECTS] = 1;
	hosts[0].counters[BACKEND_REUSES] = 3;
	hosts[0].latency_us[2] = 2500;
	s->pools = &pool;
	s->npools = 1;
	status_html(s, "x", &out);
	ck_assert(has("id=\"backends\">"));
	ck_assert(has("<b>a&#38;b</b><span class=\"few\">1 of 2 hosts usable</span>"));
	ck_assert(has("2 waiting"));
	ck_assert(!has("not made to wait for hosts long down</tr>"));
	ck_assert(
	    has("data-k=\"host\">10.0.0.3:80<td class=\"l\" data-k=\"state\"><span class=\"s\" "
		"data-s=\"up\">up</span>"));
	ck_assert(has("data-k=\"requests\">1.5k<"));
	ck_assert(has("data-k=\"kept\">75 %<"));
	ck_assert(has("data-k=\"p99\">2.5ms</tr>"));
	ck_assert(has(">unix:/&#60;x&#62;<td"));
	ck_assert(has("<tr class=\"why\"><td colspan=\"12\">refused (3 failures)</tr>"));
	out.n = 0;
	pool.usable = 0;
	pool.view.down_ms = 72000;
	pool.view.queue_down = 5;
	status_html(s, "x", &out);
	ck_assert(has("0 of 2 hosts usable, down for 1m 12s</span>"));
	ck_assert(has("5 not made to wait for hosts long down</tr>"));
}
END_TEST

Suite *
suite_status_html(void)
{
	Suite *suite = suite_create("status_html");
	TCase *t = tcase_create("status_html");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_filled);
	tcase_add_test(t, test_pools);
	tcase_add_test(t, test_ids);
	tcase_add_test(t, test_self_contained);
	tcase_add_test(t, test_error_escaped);
	suite_add_tcase(suite, t);
	return suite;
}
