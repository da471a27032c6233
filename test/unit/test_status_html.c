/* The page as it is before any script runs: all parts filled in, hostile text escaped, small. */
#include <stdio.h>
#include <stdlib.h>
#include "modules/status_html.h"
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

Suite *
suite_status_html(void)
{
	Suite *suite = suite_create("status_html");
	TCase *t = tcase_create("status_html");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_filled);
	tcase_add_test(t, test_ids);
	tcase_add_test(t, test_self_contained);
	tcase_add_test(t, test_error_escaped);
	suite_add_tcase(suite, t);
	return suite;
}
