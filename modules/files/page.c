/*
 * Listings as documents. Names come from whoever can write to the directory: in HTML everything
 * that is not a letter of plain text is escaped, links are percent-encoded down to the unreserved
 * characters (so that no name becomes a scheme), what is not UTF-8 or is a control character shows
 * as U+FFFD. A name with a control character gets no link, for the server refuses such paths.
 */
#include "modules/files/page.h"

#include <stdlib.h>
#include "common/base/json.h"
#include "common/base/utf8.h"

static int
files_page_cmp(const void *a, const void *b, void *arg)
{
	const struct listing_item *x = a, *y = b;
	const struct listing *l = arg;
	int cmp = 0;

	if (x->is_dir != y->is_dir)
		return x->is_dir ? -1 : 1;
	if (l->sort == SORT_SIZE && !x->is_dir)
		cmp = (x->size < y->size) - (x->size > y->size);
	else if (l->sort == SORT_TIME)
		cmp = (x->modified < y->modified) - (x->modified > y->modified);
	if (cmp == 0)
		cmp = strcasecmp(x->name, y->name);
	if (cmp == 0)
		cmp = strcmp(x->name, y->name);
	return l->is_descending ? -cmp : cmp;
}

void
files_page_sort(struct listing *l)
{
	if (l->n)
		qsort_r(l->v, l->n, sizeof(*l->v), files_page_cmp, l);
}

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n<title>";

static const char page_style[] =
    "</title>\n<style>\n"
    ":root{color-scheme:light "
    "dark;--fg:#1d2228;--bg:#fff;--dim:#65707c;--line:#e3e7eb;--on:#f4f6f8;"
    "--link:#0b5cad}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#dde3e9;--bg:#15181c;--dim:#8f9aa6;"
    "--line:#2a3037;--on:#1d2228;--link:#79b8ff}}\n"
    "body{margin:0 auto;max-width:60rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;"
    "color:var(--fg);background:var(--bg)}\n"
    "h1{font-size:1.2rem;overflow-wrap:anywhere}\n"
    "table{width:100%;border-collapse:collapse}\n"
    "th{text-align:left;font-weight:600;white-space:nowrap}\n"
    "th,td{padding:.35rem .5rem;border-bottom:1px solid var(--line)}\n"
    "td:first-child{overflow-wrap:anywhere;width:100%}\n"
    "td+td,th+th{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "td+td{color:var(--dim)}\ntr:hover td{background:var(--on)}\n"
    "a{color:var(--link);text-decoration:none}\na:hover{text-decoration:underline}\n"
    ".d{font-weight:600}\np{color:var(--dim)}\n"
    "@media(max-width:34rem){td:nth-child(3),th:nth-child(3){display:none}}\n"
    "</style>\n";

/* Escapes text for HTML, also inside quotes. */
static void
files_page_text(struct text *out, struct str s)
{
	static const char *const escapes[128] = {
		['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['"'] = "&quot;",
		['\''] = "&#39;",
	};
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;

	while (p < end) {
		unsigned n = utf8_plain(p, end);

		if (n == 0) {
			text_add(out, "\xef\xbf\xbd", 3);
			n = utf8_len(p, end);
			n = n > 0 ? n : 1;
		} else if (*p < 128 && escapes[*p]) {
			text_add_str(out, str_of(escapes[*p]));
		} else {
			text_add(out, p, n);
		}
		p += n;
	}
}

/* RFC 3986 2.3 */
static bool
files_page_is_unreserved(unsigned char c)
{
	return (str_lower(c) >= 'a' && str_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '.' || c == '_' || c == '~';
}

/* Percent-encodes one component of a path. */
static void
files_page_link(struct text *out, const char *name)
{
	static const char hex[] = "0123456789ABCDEF";

	for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
		char enc[3] = { '%', hex[*p >> 4], hex[*p & 15] };

		if (files_page_is_unreserved(*p))
			text_add(out, p, 1);
		else
			text_add(out, enc, sizeof(enc));
	}
}

static bool
files_page_has_link(const char *name)
{
	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		if (*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

/* "1.4 KiB" */
static void
files_page_size(struct text *out, int64_t size)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double v = (double)size;
	unsigned u = 0;

	while (v >= 1023.95 && u + 1 < sizeof(units) / sizeof(*units)) {
		v /= 1024;
		u++;
	}
	text_printf(out, u ? "%.1f&nbsp;%s" : "%.0f&nbsp;%s", v, units[u]);
}

static void
files_page_time(struct text *out, time_t t, const char *format)
{
	char at[40];
	struct tm tm;

	if (gmtime_r(&t, &tm))
		text_add(out, at, strftime(at, sizeof(at), format, &tm));
}

/* A column's head: a link that sorts by it, or turns the order round. */
static void
files_page_column(const struct listing *l, struct text *out, enum files_sort sort, const char *key,
    const char *title)
{
	bool is_key = l->sort == sort;
	bool is_up = l->is_descending != (sort != SORT_NAME);

	text_printf(out, "<th%s><a href=\"?sort=%s%s\">%s%s</a>",
	    is_key ? is_up ? " aria-sort=\"descending\"" : " aria-sort=\"ascending\"" : "", key,
	    is_key && !l->is_descending ? "&amp;order=desc" : "", title,
	    is_key ? is_up ? "&nbsp;&darr;" : "&nbsp;&uarr;" : "");
}

static void
files_page_row(struct text *out, const struct listing_item *it)
{
	bool has_link = files_page_has_link(it->name);

	text_add_str(out, STR("<tr><td>"));
	if (has_link) {
		text_printf(out, "<a%s href=\"", it->is_dir ? " class=\"d\"" : "");
		files_page_link(out, it->name);
		text_printf(out, "%s\">", it->is_dir ? "/" : "");
	}
	text_add_str(out, STR("<bdi>"));
	files_page_text(out, str_of(it->name));
	text_printf(out, "%s</bdi>%s", it->is_dir ? "/" : "", has_link ? "</a>" : "");
	text_add_str(out, STR("<td"));
	if (it->is_dir) {
		text_add_str(out, STR(">"));
	} else {
		text_printf(out, " title=\"%lld bytes\">", (long long)it->size);
		files_page_size(out, it->size);
	}
	text_add_str(out, STR("<td><time datetime=\""));
	files_page_time(out, it->modified, "%Y-%m-%dT%H:%M:%SZ");
	text_add_str(out, STR("\">"));
	files_page_time(out, it->modified, "%Y-%m-%d %H:%M");
	text_add_str(out, STR("</time>\n"));
}

void
files_page_html(const struct listing *l, struct text *out)
{
	text_add(out, page_head, sizeof(page_head) - 1);
	files_page_text(out, l->path);
	text_add(out, page_style, sizeof(page_style) - 1);
	text_add_str(out, STR("<h1><bdi>"));
	files_page_text(out, l->path);
	text_add_str(out, STR("</bdi></h1>\n"));
	if (l->is_cut)
		text_printf(
		    out, "<p>There is more here than this page shows: %zu entries.</p>\n", l->n);
	text_add_str(out, STR("<table>\n<tr>"));
	files_page_column(l, out, SORT_NAME, "name", "Name");
	files_page_column(l, out, SORT_SIZE, "size", "Size");
	files_page_column(l, out, SORT_TIME, "time", "Modified (UTC)");
	text_add_str(out, STR("\n"));
	if (!str_eq(l->path, STR("/")))
		text_add_str(out, STR("<tr><td><a class=\"d\" href=\"../\">../</a><td><td>\n"));
	for (size_t i = 0; i < l->n; i++)
		files_page_row(out, &l->v[i]);
	text_add_str(out, STR("</table>\n"));
	if (l->n == 0)
		text_add_str(out, STR("<p>Nothing is here.</p>\n"));
}

static void
files_page_json_item(struct json *j, const struct listing_item *it)
{
	struct text t = { 0 };

	json_object(j, NULL);
	json_str(j, "name", str_of(it->name));
	json_str(j, "type", it->is_dir ? STR("directory") : STR("file"));
	if (!it->is_dir)
		json_i64(j, "size", it->size);
	files_page_time(&t, it->modified, "%Y-%m-%dT%H:%M:%SZ");
	json_str(j, "modified", text_str(&t));
	t.n = 0;
	files_page_link(&t, it->name);
	if (it->is_dir)
		text_add_str(&t, STR("/"));
	if (files_page_has_link(it->name))
		json_str(j, "href", text_str(&t));
	json_object_end(j);
	text_free(&t);
}

void
files_page_json(const struct listing *l, struct text *out)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_str(&j, "path", l->path);
	json_bool(&j, "truncated", l->is_cut);
	json_array(&j, "entries");
	for (size_t i = 0; i < l->n; i++)
		files_page_json_item(&j, &l->v[i]);
	json_array_end(&j);
	json_object_end(&j);
	text_add_str(out, STR("\n"));
}
