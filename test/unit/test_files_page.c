/* Listings as documents: order, escaping, links. */
#include <stdlib.h>

#include "modules/files/page.h"
#include "test/unit/unit.h"

static struct text out;

static void
setup(void)
{
	out = (struct text){ 0 };
}

static void
teardown(void)
{
	text_free(&out);
}

static bool
has(const char *what)
{
	return memmem(out.p, out.n, what, strlen(what)) != NULL;
}

static char names[][8] = { "b", "A", "c", "dir", "B" };

static const struct {
	enum files_sort sort;
	bool is_descending;
	const char *order;
} orders[] = {
	{ SORT_NAME, false, "dir A B b c" },
	{ SORT_NAME, true, "dir c b B A" },
	{ SORT_SIZE, false, "dir b A B c" },
	{ SORT_SIZE, true, "dir c B A b" },
	{ SORT_TIME, false, "dir c A B b" },
	{ SORT_TIME, true, "dir b B A c" },
};

START_TEST(test_sort)
{
	struct listing_item v[] = {
		{ names[0], 900, 10, false },
		{ names[1], 500, 20, false },
		{ names[2], 1, 30, false },
		{ names[3], 4096, 5, true },
		{ names[4], 500, 20, false },
	};
	struct listing l = { .v = v,
		.n = UNIT_COUNT(v),
		.sort = orders[_i].sort,
		.is_descending = orders[_i].is_descending };

	files_page_sort(&l);
	for (size_t i = 0; i < l.n; i++)
		text_printf(&out, "%s%s", i ? " " : "", v[i].name);
	unit_str_eq(text_str(&out), orders[_i].order);
}
END_TEST

static const struct {
	const char *name;
	bool is_dir;
	const char *html, *json; /* what stands in the documents */
} items[] = {
	{ "a.txt", false, "<a href=\"a.txt\"><bdi>a.txt</bdi></a>", "\"href\":\"a.txt\"" },
	{ "sub", true, "<a class=\"d\" href=\"sub/\"><bdi>sub/</bdi></a>",
	    "\"type\":\"directory\"" },
	{ "<script>alert(1)</script>", false, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>",
	    "%3Cscript%3Ealert%281%29%3C%2Fscript%3E" },
	{ "a\"b'c&d", false, "<a href=\"a%22b%27c%26d\"><bdi>a&quot;b&#39;c&amp;d</bdi>",
	    "\"name\":\"a\\\"b'c&d\"" },
	{ "javascript:x", false, "<a href=\"javascript%3Ax\">", "\"href\":\"javascript%3Ax\"" },
	{ "new\nline", false, "<td><bdi>new\xef\xbf\xbdline</bdi><td", "\"name\":\"new\\nline\"" },
	{ "bad\xff", false, "<a href=\"bad%FF\"><bdi>bad\xef\xbf\xbd</bdi>",
	    "\"href\":\"bad%FF\"" },
	{ "\xc3\xbc", false, "<a href=\"%C3%BC\"><bdi>\xc3\xbc</bdi>", "\"name\":\"\xc3\xbc\"" },
	{ "a%2Fb?#", false, "<a href=\"a%252Fb%3F%23\">", "\"href\":\"a%252Fb%3F%23\"" },
};

START_TEST(test_item)
{
	char name[64];
	struct listing_item it = { name, 1434, 1000000000, items[_i].is_dir };
	struct listing l = { .v = &it, .n = 1, .path = STR_INIT("/x/") };

	strcpy(name, items[_i].name);
	files_page_html(&l, &out);
	ck_assert_msg(has(items[_i].html), "%.*s", (int)out.n, out.p);
	out.n = 0;
	files_page_json(&l, &out);
	ck_assert_msg(has(items[_i].json), "%.*s", (int)out.n, out.p);
}
END_TEST

START_TEST(test_page)
{
	char name[] = "f";
	struct listing_item it = { name, 1434, 1000000000, false };
	struct listing l = { .v = &it, .n = 1, .path = STR_INIT("/<b>/"), .sort = SORT_SIZE };

	files_page_html(&l, &out);
	ck_assert(has("<title>/&lt;b&gt;/</title>"));
	ck_assert(has("<h1><bdi>/&lt;b&gt;/</bdi></h1>"));
	ck_assert(has("title=\"1434 bytes\">1.4&nbsp;KiB"));
	ck_assert(has("<time datetime=\"2001-09-09T01:46:40Z\">2001-09-09 01:46</time>"));
	ck_assert(has("href=\"../\""));
	ck_assert(has("<th aria-sort=\"descending\"><a href=\"?sort=size&amp;order=desc\">"));
	ck_assert(has("<th><a href=\"?sort=name\">"));
	ck_assert(!has("There is more"));
}
END_TEST

START_TEST(test_empty_root_and_cut)
{
	struct listing l = { .path = STR_INIT("/"), .is_cut = true };

	files_page_html(&l, &out);
	ck_assert(!has("href=\"../\""));
	ck_assert(has("Nothing is here"));
	ck_assert(has("There is more here"));
	out.n = 0;
	files_page_json(&l, &out);
	unit_str_eq(text_str(&out), "{\"path\":\"/\",\"truncated\":true,\"entries\":[]}\n");
}
END_TEST

Suite *
suite_files_page(void)
{
	Suite *s = suite_create("files_page");
	TCase *tc = tcase_create("files_page");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_sort, 0, UNIT_COUNT(orders));
	tcase_add_loop_test(tc, test_item, 0, UNIT_COUNT(items));
	tcase_add_test(tc, test_page);
	tcase_add_test(tc, test_empty_root_and_cut);
	suite_add_tcase(s, tc);
	return s;
}
