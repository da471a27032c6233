/* Files through the loopback: what a client is answered, by table. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/filetree.h"
#include "test/unit/loopback.h"
#include "test/unit/unit.h"

#define DATE "Sun, 09 Sep 2001 01:46:40 GMT" /* TREE_TIME */
#define ETAG "\"3b9aca00-a\""                /* of ten octets then */

static struct loopback *lo;
static char conf[4096];
static char big[200000];

/* A site on the directory "root" of the tree, with more options and routes. */
static void
open_site(const char *options, const char *routes)
{
	snprintf(conf, sizeof(conf),
	    "server: { listen = \"127.0.0.1:8080\"; };\n"
	    "sites = ( { host = \"*\"; root = \"%s/root\"; mime_types = \"/dev/null\"; %s\n"
	    "routes = ( %s ); } );\n",
	    tree_path(), options, routes);
	lo = lo_open(conf);
}

static void
setup(void)
{
	tree_make();
	tree_text("root/ten.txt", "0123456789");
	tree_text("root/index.html", "<home>");
	tree_text("root/docs/index.html", "<docs>");
	tree_text("root/docs/page.html", "<page>");
	tree_text("root/app/index.php", "<?php");
	tree_dir("root/empty");
	tree_text("root/.secret", "no");
	tree_text("root/.well-known/x", "known");
	tree_text("root/a b#?.css", "odd");
	tree_text("root/zero", "");
	tree_text("outside", "outside");
	tree_link("root/out", "../outside");
	tree_fifo("root/fifo");
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)('a' + i % 26);
	tree_file("root/big.bin", big, sizeof(big), TREE_TIME);
}

static void
teardown(void)
{
	if (lo)
		lo_close(lo);
	lo = NULL;
	tree_remove();
}

/* One exchange. Expected fields: NULL for one that must not be there, ANY for one that must. */
#define ANY "*"

struct row {
	const char *method, *target;
	const char *field[3]; /* of the request */
	int status;
	const char *body; /* NULL: whatever */
	struct {
		const char *name, *value;
	} want[4];
};

static void
check_row(const struct row *row)
{
	const char *fields[4] = { row->field[0], row->field[1], row->field[2], NULL };
	struct lo_request q = { .method = row->method, .target = row->target, .fields = fields };
	struct lo_response *s = lo_send(lo, &q);

	ck_assert_msg(s->status == row->status, "%s %s: %d in place of %d (%.*s)",
	    row->method ? row->method : "GET", row->target, s->status, row->status,
	    STR_FMT(s->why));
	ck_assert(s->is_complete);
	if (row->body)
		unit_str_eq(s->body, row->body);
	for (int i = 0; i < 4 && row->want[i].name; i++) {
		struct str v = lo_field(s, row->want[i].name);

		if (!row->want[i].value)
			ck_assert_msg(!v.p, "%s: %s is there", row->target, row->want[i].name);
		else if (strcmp(row->want[i].value, ANY) == 0)
			ck_assert_msg(v.p != NULL, "%s: no %s", row->target, row->want[i].name);
		else
			unit_str_eq(v, row->want[i].value);
	}
}

static const struct row plain[] = {
	{ NULL, "/ten.txt", { NULL }, 200, "0123456789",
	    { { "Content-Type", "text/plain; charset=utf-8" }, { "Last-Modified", DATE },
		{ "ETag", ETAG }, { "Accept-Ranges", "bytes" } } },
	{ "HEAD", "/ten.txt", { NULL }, 200, "",
	    { { "ETag", ETAG }, { "Content-Type", "text/plain; charset=utf-8" } } },
	{ NULL, "/", { NULL }, 200, "<home>", { { "Content-Type", "text/html; charset=utf-8" } } },
	{ NULL, "/?q", { NULL }, 200, "<home>", { { NULL, NULL } } },
	{ NULL, "/docs/", { NULL }, 200, "<docs>", { { "Vary", NULL } } },
	{ NULL, "/docs", { NULL }, 301, NULL, { { "Location", "/docs/" } } },
	{ NULL, "/docs?a=b&c", { NULL }, 301, NULL, { { "Location", "/docs/?a=b&c" } } },
	{ NULL, "//docs", { NULL }, 301, NULL, { { "Location", "/docs/" } } },
	{ NULL, "/x/../docs", { NULL }, 301, NULL, { { "Location", "/docs/" } } },
	{ "POST", "/docs", { NULL }, 405, NULL, { { "Allow", "GET, HEAD, OPTIONS" } } },
	{ NULL, "/empty/", { NULL }, 403, NULL, { { "ETag", NULL } } },
	{ NULL, "/nothing", { NULL }, 404, NULL, { { "ETag", NULL } } },
	{ NULL, "/nothing/", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/ten.txt/", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/ten.txt/x", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/.secret", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/%2esecret", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/.well-known/x", { NULL }, 200, "known", { { NULL, NULL } } },
	{ NULL, "/out", { NULL }, 403, NULL, { { NULL, NULL } } },
	{ NULL, "/fifo", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/a%20b%23%3f.css", { NULL }, 200, "odd",
	    { { "Content-Type", "text/css; charset=utf-8" } } },
	{ NULL, "/docs%2Findex.html", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/zero", { NULL }, 200, "",
	    { { "Content-Type", "application/octet-stream" }, { "ETag", "\"3b9aca00-0\"" } } },
	{ "POST", "/ten.txt", { NULL }, 405, NULL, { { "Allow", "GET, HEAD, OPTIONS" } } },
	{ "PUT", "/ten.txt", { NULL }, 405, NULL, { { "Allow", "GET, HEAD, OPTIONS" } } },
	{ "DELETE", "/nothing", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ "BREW", "/ten.txt", { NULL }, 501, NULL, { { "Allow", NULL } } },
	{ "OPTIONS", "/ten.txt", { NULL }, 204, "", { { "Allow", "GET, HEAD, OPTIONS" } } },
	{ "OPTIONS", "/nothing", { NULL }, 404, NULL, { { NULL, NULL } } },
};

START_TEST(test_plain)
{
	open_site("", "");
	check_row(&plain[_i]);
	check_row(&plain[_i]); /* the same from the cache */
}
END_TEST

#define OLD "Sat, 08 Sep 2001 01:46:40 GMT"
#define NEW "Mon, 10 Sep 2001 01:46:40 GMT"
#define COND(...)                                                                                  \
	NULL, "/ten.txt",                                                                          \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

/* RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; If-None-Match, else If-Modified-Since. */
static const struct row conditions[] = {
	{ COND("If-None-Match: " ETAG), 304, "",
	    { { "ETag", ETAG }, { "Last-Modified", NULL }, { "Content-Type", NULL } } },
	{ COND("If-None-Match: W/" ETAG), 304, "", { { NULL, NULL } } },
	{ COND("If-None-Match: \"x\", " ETAG), 304, "", { { NULL, NULL } } },
	{ COND("If-None-Match: \"x\"", "If-None-Match: " ETAG), 304, "", { { NULL, NULL } } },
	{ COND("If-None-Match: *"), 304, "", { { NULL, NULL } } },
	{ COND("If-None-Match: \"x\""), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-Modified-Since: " DATE), 304, "", { { NULL, NULL } } },
	{ COND("If-Modified-Since: " NEW), 304, "", { { NULL, NULL } } },
	{ COND("If-Modified-Since: " OLD), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-Modified-Since: yesterday"), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-None-Match: \"x\"", "If-Modified-Since: " NEW), 200, "0123456789",
	    { { NULL, NULL } } },
	{ COND("If-None-Match: " ETAG, "If-Modified-Since: " OLD), 304, "", { { NULL, NULL } } },
	{ COND("If-Match: " ETAG), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-Match: *"), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-Match: \"x\""), 412, NULL, { { NULL, NULL } } },
	{ COND("If-Match: W/" ETAG), 412, NULL, { { NULL, NULL } } },
	{ COND("If-Match: " ETAG, "If-Unmodified-Since: " OLD), 200, "0123456789",
	    { { NULL, NULL } } },
	{ COND("If-Unmodified-Since: " OLD), 412, NULL, { { NULL, NULL } } },
	{ COND("If-Unmodified-Since: " DATE), 200, "0123456789", { { NULL, NULL } } },
	{ COND("If-Match: " ETAG, "If-None-Match: " ETAG), 304, "", { { NULL, NULL } } },
	{ COND("If-Match: \"x\"", "If-None-Match: " ETAG), 412, NULL, { { NULL, NULL } } },
	{ COND("If-None-Match: " ETAG, "Range: bytes=0-1"), 304, "", { { NULL, NULL } } },
	{ "HEAD", "/ten.txt", { "If-None-Match: " ETAG }, 304, "", { { "ETag", ETAG } } },
	{ "POST", "/ten.txt", { "If-None-Match: " ETAG }, 405, NULL, { { NULL, NULL } } },
};

START_TEST(test_conditions)
{
	open_site("", "");
	check_row(&conditions[_i]);
	check_row(&conditions[_i]);
}
END_TEST

static const struct row ranges[] = {
	{ COND("Range: bytes=2-4"), 206, "234",
	    { { "Content-Range", "bytes 2-4/10" }, { "ETag", ETAG },
		{ "Content-Type", "text/plain; charset=utf-8" } } },
	{ COND("Range: bytes=7-"), 206, "789", { { "Content-Range", "bytes 7-9/10" } } },
	{ COND("Range: bytes=-3"), 206, "789", { { "Content-Range", "bytes 7-9/10" } } },
	{ COND("Range: bytes=-30"), 206, "0123456789", { { "Content-Range", "bytes 0-9/10" } } },
	{ COND("Range: bytes=0-99"), 206, "0123456789", { { "Content-Range", "bytes 0-9/10" } } },
	{ COND("Range: bytes=10-"), 416, NULL,
	    { { "Content-Range", "bytes */10" }, { "ETag", NULL } } },
	{ COND("Range: bytes=-0"), 416, NULL, { { "Content-Range", "bytes */10" } } },
	{ COND("Range: bytes=4-2"), 200, "0123456789", { { "Content-Range", NULL } } },
	{ COND("Range: lines=1-2"), 200, "0123456789", { { "Content-Range", NULL } } },
	{ COND("Range: bytes=0-,0-,0-"), 206, "0123456789",
	    { { "Content-Range", "bytes 0-9/10" } } },
	{ COND("Range: bytes=2-4", "If-Range: " ETAG), 206, "234", { { NULL, NULL } } },
	{ COND("Range: bytes=2-4", "If-Range: W/" ETAG), 200, "0123456789", { { NULL, NULL } } },
	{ COND("Range: bytes=2-4", "If-Range: \"x\""), 200, "0123456789", { { NULL, NULL } } },
	{ COND("Range: bytes=2-4", "If-Range: " DATE), 206, "234", { { NULL, NULL } } },
	{ COND("Range: bytes=2-4", "If-Range: " NEW), 200, "0123456789", { { NULL, NULL } } },
	{ COND("Range: bytes=20-", "If-Range: \"x\""), 200, "0123456789", { { NULL, NULL } } },
	{ "HEAD", "/ten.txt", { "Range: bytes=2-4" }, 200, "", { { "Content-Range", NULL } } },
	{ NULL, "/zero", { "Range: bytes=0-1" }, 200, "", { { "Content-Range", NULL } } },
};

START_TEST(test_ranges)
{
	open_site("", "");
	check_row(&ranges[_i]);
	check_row(&ranges[_i]);
}
END_TEST

static const struct row no_ranges[] = {
	{ COND("Range: bytes=2-4"), 200, "0123456789", { { "Accept-Ranges", "none" } } },
	{ COND("If-None-Match: " ETAG), 200, "0123456789", { { "ETag", NULL } } },
	{ COND("If-Modified-Since: " DATE), 304, "",
	    { { "ETag", NULL }, { "Last-Modified", DATE } } },
	{ NULL, "/docs/page.html", { NULL }, 200, "<page>", { { "Content-Type", "text/html" } } },
	{ NULL, "/big.bin", { NULL }, 200, NULL, { { "Content-Type", "x/y" } } },
	{ NULL, "/zero", { NULL }, 200, "", { { "Content-Type", "text/plain" } } },
	{ NULL, "/.secret", { NULL }, 200, "no", { { NULL, NULL } } },
	{ NULL, "/out", { NULL }, 200, "outside", { { NULL, NULL } } },
};

START_TEST(test_options)
{
	open_site("max_ranges = 0; etag = false; charset = \"\"; hidden = true; symlinks = \"all\";"
		  "types = [\"bin x/y\", \"* text/plain\"];",
	    "");
	check_row(&no_ranges[_i]);
}
END_TEST

/* The part of a multipart body after its head; checks boundary, type and Content-Range. */
static struct str
part(struct str *rest, struct str boundary, const char *content_range, size_t len)
{
	char head[512];
	struct str body;
	int n = snprintf(head, sizeof(head),
	    "--%.*s\r\nContent-Type: application/octet-stream\r\nContent-Range: %s\r\n\r\n",
	    STR_FMT(boundary), content_range);

	ck_assert_int_ge(rest->n, (size_t)n + len + 2);
	unit_str_eq(str_n(rest->p, (size_t)n), head);
	body = str_n(rest->p + n, len);
	ck_assert_int_eq(memcmp(body.p + len, "\r\n", 2), 0);
	*rest = str_n(body.p + len + 2, rest->n - (size_t)n - len - 2);
	return body;
}

START_TEST(test_multipart)
{
	static const struct str type = STR_INIT("multipart/byteranges; boundary=");
	struct lo_response *s;
	struct str rest, boundary, last, v;

	open_site("", "");
	s = lo_get(lo, "/big.bin", "Range: bytes=0-9,100000-100009, -5", NULL);
	ck_assert_int_eq(s->status, 206);
	ck_assert_int_eq(s->length, (int64_t)s->body.n);
	ck_assert_ptr_null(lo_field(s, "Content-Range").p);
	v = lo_field(s, "Content-Type");
	ck_assert(str_has_prefix(v, type));
	boundary = str_n(v.p + type.n, v.n - type.n);
	ck_assert_int_eq(boundary.n, 32);
	rest = s->body;
	v = part(&rest, boundary, "bytes 0-9/200000", 10);
	ck_assert_int_eq(memcmp(v.p, big, 10), 0);
	v = part(&rest, boundary, "bytes 100000-100009/200000", 10);
	ck_assert_int_eq(memcmp(v.p, big + 100000, 10), 0);
	v = part(&rest, boundary, "bytes 199995-199999/200000", 5);
	ck_assert_int_eq(memcmp(v.p, big + 199995, 5), 0);
	last = arena_printf(&s->arena, "--%.*s--\r\n", STR_FMT(boundary));
	ck_assert(str_eq(rest, last));
}
END_TEST

/* Many disjoint ranges: within max_ranges parts, beyond it the whole. */
START_TEST(test_range_flood)
{
	struct lo_response *s;

	open_site("max_ranges = 3;", "");
	s = lo_get(lo, "/big.bin", "Range: bytes=0-0,100-100,200-200", NULL);
	ck_assert_int_eq(s->status, 206);
	s = lo_get(lo, "/big.bin", "Range: bytes=0-0,100-100,200-200,300-300", NULL);
	ck_assert_int_eq(s->status, 200);
	ck_assert_int_eq(s->body.n, sizeof(big));
}
END_TEST

START_TEST(test_big_file)
{
	struct lo_request q = { .target = "/big.bin", .take = 1000 };
	struct lo_response *s;

	open_site("", "");
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->length, sizeof(big));
	ck_assert_int_eq(s->body.n, sizeof(big));
	ck_assert_int_eq(memcmp(s->body.p, big, sizeof(big)), 0);
	q.leave_after = 5000;
	s = lo_send(lo, &q);
	ck_assert(s->is_aborted);
	s = lo_get(lo, "/big.bin", "Range: bytes=199990-", NULL);
	ck_assert_int_eq(memcmp(s->body.p, big + 199990, 10), 0);
}
END_TEST

/* The file shrinks behind the cache's back: the answer fails, it is not filled up. */
START_TEST(test_truncated)
{
	char path[128];
	struct lo_response *s;

	open_site("", "");
	s = lo_get(lo, "/big.bin", NULL);
	ck_assert(s->is_complete);
	snprintf(path, sizeof(path), "%s/root/big.bin", tree_path());
	ck_assert_int_eq(truncate(path, 5000), 0);
	s = lo_get(lo, "/big.bin", NULL);
	ck_assert_int_eq(s->status, 200);
	ck_assert_int_eq(s->length, sizeof(big));
	ck_assert(!s->is_complete);
	ck_assert_int_le(s->body.n, 5000);
}
END_TEST

#define ACCEPT(value)                                                                              \
	NULL, "/x.js",                                                                             \
	{                                                                                          \
		value                                                                              \
	}
#define SENT(name)                                                                                 \
	200, name,                                                                                 \
	{                                                                                          \
		{ "Content-Encoding", name }, { "Vary", "Accept-Encoding" },                       \
		{                                                                                  \
			"ETag", "\"3b9aca00-" name "\""                                            \
		}                                                                                  \
	}

static const struct row encodings[] = {
	{ ACCEPT(NULL), 200, "plain",
	    { { "Content-Encoding", NULL }, { "Vary", "Accept-Encoding" } } },
	{ ACCEPT("Accept-Encoding:"), 200, "plain", { { "Content-Encoding", NULL } } },
	{ ACCEPT("Accept-Encoding: gzip"), 200, "gz",
	    { { "Content-Encoding", "gzip" }, { "ETag", "\"3b9aca00-2-gzip\"" },
		{ "Vary", "Accept-Encoding" },
		{ "Content-Type", "text/javascript; charset=utf-8" } } },
	{ ACCEPT("Accept-Encoding: gzip, deflate, br, zstd"), 200, "br!",
	    { { "Content-Encoding", "br" }, { "ETag", "\"3b9aca00-3-br\"" } } },
	{ ACCEPT("Accept-Encoding: gzip;q=0.9, br;q=0.5"), 200, "gz",
	    { { "Content-Encoding", "gzip" } } },
	{ ACCEPT("Accept-Encoding: br;q=0, *"), 200, "zstd", { { "Content-Encoding", "zstd" } } },
	{ ACCEPT("Accept-Encoding: gzip;q=0.5, identity"), 200, "plain",
	    { { "Content-Encoding", NULL } } },
	{ ACCEPT("Accept-Encoding: gzip;q=0.5, identity;q=0.1"), 200, "gz",
	    { { "Content-Encoding", "gzip" } } },
	{ ACCEPT("Accept-Encoding: identity"), 200, "plain", { { "Content-Encoding", NULL } } },
	{ ACCEPT("Accept-Encoding: nonsense"), 200, "plain", { { "Content-Encoding", NULL } } },
	{ NULL, "/x.js", { "Accept-Encoding: gzip", "If-None-Match: \"3b9aca00-2-gzip\"" }, 304, "",
	    { { "Vary", "Accept-Encoding" }, { "ETag", "\"3b9aca00-2-gzip\"" } } },
	{ NULL, "/x.js", { "Accept-Encoding: gzip", "If-None-Match: \"3b9aca00-5\"" }, 200, "gz",
	    { { NULL, NULL } } },
	{ NULL, "/x.js", { "Accept-Encoding: gzip", "Range: bytes=1-" }, 206, "z",
	    { { "Content-Range", "bytes 1-1/2" }, { "Content-Encoding", "gzip" } } },
	{ NULL, "/old.js", { "Accept-Encoding: gzip" }, 200, "newer",
	    { { "Content-Encoding", NULL }, { "Vary", NULL } } },
	{ NULL, "/dir.js", { "Accept-Encoding: gzip" }, 200, "file",
	    { { "Content-Encoding", NULL }, { "Vary", NULL } } },
	{ NULL, "/x.js.gz", { NULL }, 200, "gz",
	    { { "Content-Type", "application/gzip" }, { "Content-Encoding", NULL } } },
};

START_TEST(test_encodings)
{
	tree_text("root/x.js", "plain");
	tree_text("root/x.js.gz", "gz");
	tree_text("root/x.js.br", "br!");
	tree_text("root/x.js.zst", "zstd");
	tree_text("root/old.js", "newer");
	tree_file("root/old.js.gz", "older", 5, TREE_TIME - 10);
	tree_text("root/dir.js", "file");
	tree_dir("root/dir.js.gz");
	open_site("", "");
	check_row(&encodings[_i]);
	check_row(&encodings[_i]);
}
END_TEST

START_TEST(test_encodings_off)
{
	static const struct row row = { ACCEPT("Accept-Encoding: gzip"), 200, "plain",
		{ { "Content-Encoding", NULL }, { "Vary", NULL } } };

	tree_text("root/x.js", "plain");
	tree_text("root/x.js.gz", "gz");
	open_site("precompressed = [];", "");
	check_row(&row);
}
END_TEST

static const struct row tries[] = {
	{ NULL, "/ten.txt", { NULL }, 200, "0123456789", { { NULL, NULL } } },
	{ NULL, "/docs", { NULL }, 200, "<docs>", { { "Location", NULL } } },
	{ NULL, "/docs/", { NULL }, 200, "<docs>", { { NULL, NULL } } },
	{ NULL, "/", { NULL }, 200, "<home>", { { NULL, NULL } } },
	{ NULL, "/nothing/at/all?x=1", { NULL }, 302, NULL,
	    { { "Location", "/app/front.php?x=1" } } },
	{ "POST", "/nothing", { NULL }, 302, NULL, { { "Location", "/app/front.php" } } },
	{ "BREW", "/nothing", { NULL }, 302, NULL, { { "Location", "/app/front.php" } } },
	{ "POST", "/ten.txt", { NULL }, 405, NULL, { { "Allow", ANY } } },
	{ NULL, "/.secret", { NULL }, 302, NULL, { { "Location", "/app/front.php" } } },
	{ NULL, "/empty", { NULL }, 302, NULL, { { "Location", "/app/front.php" } } },
	{ NULL, "/own/x%20y?x=1", { NULL }, 302, NULL,
	    { { "Location", "/app/front.php?p=/own/x%20y&x=1" } } },
	{ NULL, "/gone/x", { NULL }, 410, NULL, { { NULL, NULL } } },
	{ NULL, "/gone/../ten.txt", { NULL }, 200, "0123456789", { { NULL, NULL } } },
	{ NULL, "/circle/x", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/slash/docs", { NULL }, 301, NULL, { { "Location", "/slash/docs/" } } },
	{ NULL, "/slash/docs/", { NULL }, 200, "<slash>", { { NULL, NULL } } },
	{ NULL, "/app/", { NULL }, 302, NULL, { { "Location", "/app/app/index.php" } } },
	{ "POST", "/app/?x", { NULL }, 302, NULL, { { "Location", "/app/app/index.php?x" } } },
};

START_TEST(test_try)
{
	tree_text("root/slash/docs/index.html", "<slash>");
	open_site("try = [\"$path\", \"$path/index.html\", \"/front.php\"];"
		  "index = [\"index.php\", \"index.html\"];",
	    "{ regex = \"\\\\.php$\"; redirect: { to = \"/app$path?$query\"; status = 302; }; },"
	    "{ path = \"/own\"; try = [\"$path\", \"/front.php?p=$path&$query\"]; },"
	    "{ path = \"/gone\"; try = [\"$path\", \"=410\"]; },"
	    "{ path = \"/circle\"; try = [\"$path\", \"/circle/y\"]; },"
	    "{ path = \"/slash\"; try = [\"$path\", \"$path/\", \"=404\"]; }");
	check_row(&tries[_i]);
	check_row(&tries[_i]);
}
END_TEST

static const struct row aliases[] = {
	{ NULL, "/d/page.html", { NULL }, 200, "<page>", { { NULL, NULL } } },
	{ NULL, "/d/", { NULL }, 200, "<docs>", { { NULL, NULL } } },
	{ NULL, "/d", { NULL }, 301, NULL, { { "Location", "/d/" } } },
	{ NULL, "/d/nothing", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/dx", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/icon", { NULL }, 200, "0123456789",
	    { { "Content-Type", "text/plain; charset=utf-8" } } },
	{ NULL, "/.dot/page.html", { NULL }, 200, "<page>", { { NULL, NULL } } },
	{ NULL, "/.dot/.x", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/missing/x", { NULL }, 404, NULL, { { NULL, NULL } } },
	{ NULL, "/ten.txt", { NULL }, 200, "0123456789", { { NULL, NULL } } },
};

START_TEST(test_alias)
{
	char routes[1024];

	tree_text("root/docs/.x", "no");
	snprintf(routes, sizeof(routes),
	    "{ path = \"/d\"; alias = \"%1$s/root/docs\"; },"
	    "{ exact = \"/icon\"; alias = \"%1$s/root/ten.txt\"; },"
	    "{ path = \"/.dot/\"; alias = \"%1$s/root/docs\"; },"
	    "{ path = \"/missing\"; alias = \"%1$s/nowhere\"; }",
	    tree_path());
	open_site("", routes);
	check_row(&aliases[_i]);
}
END_TEST

START_TEST(test_listing)
{
	struct lo_request q = { .target = "/list/", .turn_ms = 1 };
	struct lo_response *s;

	tree_text("root/list/b.txt", "bb");
	tree_text("root/list/a<b>.txt", "a");
	tree_text("root/list/x.bak", "hidden by pattern");
	tree_text("root/list/.dot", "hidden");
	tree_dir("root/list/sub");
	tree_touch("root/list/sub");
	tree_link("root/list/out", "../../outside");
	tree_link("root/list/in", "b.txt");
	tree_fifo("root/list/fifo");
	open_site("listing: { enabled = true; hide = [\"*.bak\"]; };", "");
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->status, 200);
	ck_assert_int_eq(s->length, (int64_t)s->body.n);
	unit_str_eq(lo_field(s, "Content-Type"), "text/html; charset=utf-8");
	unit_str_eq(lo_field(s, "Vary"), "Accept");
	ck_assert_ptr_nonnull(memmem(s->body.p, s->body.n, "a&lt;b&gt;.txt", 14));
	ck_assert_ptr_null(memmem(s->body.p, s->body.n, "x.bak", 5));
	q.target = "/list/?format=json&sort=size";
	s = lo_send(lo, &q);
	unit_str_eq(lo_field(s, "Content-Type"), "application/json");
	unit_str_eq(s->body,
	    "{\"path\":\"/list/\",\"truncated\":false,\"entries\":["
	    "{\"name\":\"sub\",\"type\":\"directory\",\"modified\":\"2001-09-09T01:46:40Z\","
	    "\"href\":\"sub/\"},"
	    "{\"name\":\"b.txt\",\"type\":\"file\",\"size\":2,\"modified\":\"2001-09-09T01:46:"
	    "40Z\","
	    "\"href\":\"b.txt\"},"
	    "{\"name\":\"in\",\"type\":\"file\",\"size\":2,\"modified\":\"2001-09-09T01:46:40Z\","
	    "\"href\":\"in\"},"
	    "{\"name\":\"a<b>.txt\",\"type\":\"file\",\"size\":1,"
	    "\"modified\":\"2001-09-09T01:46:40Z\",\"href\":\"a%3Cb%3E.txt\"}]}\n");
}
END_TEST

/* The form by Accept, a bound on entries, and a client that leaves before the work is done. */
START_TEST(test_listing_more)
{
	const char *fields[] = { "Accept: application/json", NULL };
	struct lo_request q = { .target = "/list/", .turn_ms = 1, .fields = fields };
	struct lo_response *s;
	char name[64];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "root/list/%d", i);
		tree_text(name, "x");
	}
	open_site("listing: { enabled = true; max = 25; };", "");
	s = lo_send(lo, &q);
	unit_str_eq(lo_field(s, "Content-Type"), "application/json");
	ck_assert_ptr_nonnull(memmem(s->body.p, s->body.n, "\"truncated\":true", 16));
	fields[0] = "Accept: text/html, application/json;q=0.5";
	q.method = "HEAD";
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->status, 200);
	unit_str_eq(lo_field(s, "Content-Type"), "text/html; charset=utf-8");
	q.turn_ms = 0;
	q.max_turns = 1;
	lo_send(lo, &q);
	lo_turns(lo, 100, 1);
	q.method = "POST";
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->status, 405);
}
END_TEST

/* A page of the site's own for an error, whatever the conditions of the request were. */
START_TEST(test_error_page)
{
	static const struct row rows[] = {
		{ NULL, "/nothing", { "If-None-Match: *", "Range: bytes=0-0" }, 404, "<docs>",
		    { { "ETag", NULL }, { "Last-Modified", NULL }, { "Accept-Ranges", NULL },
			{ "Content-Type", "text/html; charset=utf-8" } } },
		{ "HEAD", "/nothing", { NULL }, 404, "", { { "ETag", NULL } } },
		{ "POST", "/ten.txt", { NULL }, 405, "<page>",
		    { { "Allow", "GET, HEAD, OPTIONS" } } },
		{ NULL, "/ten.txt", { "Range: bytes=99-" }, 416, "<page>",
		    { { "Content-Range", "bytes */10" } } },
		{ NULL, "/ten.txt", { "If-Match: \"x\"" }, 412, NULL, { { "ETag", NULL } } },
	};

	open_site("error_pages = ( { status = 404; path = \"/docs/\"; },"
		  "{ status = 405; path = \"/docs/page.html\"; },"
		  "{ status = 416; path = \"/docs/page.html\"; } );",
	    "");
	check_row(&rows[_i]);
	check_row(&rows[_i]);
}
END_TEST

/* A listing is made once for all who ask within file_cache.valid, but not beyond. */
START_TEST(test_listing_shared)
{
	static const struct {
		const char *valid, *target;
		bool sees_new;
	} rows[] = {
		{ "1m", "/list/", false },
		{ "1m", "/list/?sort=size", true },
		{ "1m", "/list/?format=json", true },
		{ "0", "/list/", true },
	};
	struct lo_request q = { .target = "/list/", .turn_ms = 1 };
	struct lo_response *s;

	tree_text("root/list/one", "x");
	snprintf(conf, sizeof(conf),
	    "server: { listen = \"127.0.0.1:8080\"; file_cache: { valid = \"%s\"; }; };\n"
	    "sites = ( { host = \"*\"; root = \"%s/root\"; listing = true; } );\n",
	    rows[_i].valid, tree_path());
	lo = lo_open(conf);
	s = lo_send(lo, &q);
	ck_assert_ptr_nonnull(memmem(s->body.p, s->body.n, ">one<", 5));
	tree_text("root/list/two", "x");
	q.target = rows[_i].target;
	s = lo_send(lo, &q);
	ck_assert_int_eq(s->status, 200);
	ck_assert_int_eq(memmem(s->body.p, s->body.n, "two", 3) != NULL, rows[_i].sees_new);
}
END_TEST

/* What the server may not read is 403; a directory that may only be passed through works but for
   its listing. */
START_TEST(test_permissions)
{
	static const struct row rows[] = {
		{ NULL, "/locked", { NULL }, 403, NULL, { { "ETag", NULL } } },
		{ NULL, "/through", { NULL }, 301, NULL, { { "Location", "/through/" } } },
		{ NULL, "/through/", { NULL }, 403, NULL, { { NULL, NULL } } },
		{ NULL, "/through/x", { NULL }, 200, "x", { { NULL, NULL } } },
		{ NULL, "/closed/x", { NULL }, 403, NULL, { { NULL, NULL } } },
	};

	if (geteuid() != 0)
		return; /* not even root is refused by modes, so it must change */
	tree_text("root/locked", "x");
	tree_text("root/through/x", "x");
	tree_text("root/closed/x", "x");
	ck_assert_int_eq(fchmodat(tree_fd(), "root/locked", 0600, 0), 0);
	ck_assert_int_eq(fchmodat(tree_fd(), "root/through", 0711, 0), 0);
	ck_assert_int_eq(fchmodat(tree_fd(), "root/closed", 0700, 0), 0);
	open_site("listing = true;", "");
	ck_assert_int_eq(seteuid(65534), 0);
	for (int i = 0; i < UNIT_COUNT(rows); i++)
		check_row(&rows[i]);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

Suite *
suite_files(void)
{
	Suite *s = suite_create("files");
	TCase *tc = tcase_create("files");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, test_plain, 0, UNIT_COUNT(plain));
	tcase_add_loop_test(tc, test_conditions, 0, UNIT_COUNT(conditions));
	tcase_add_loop_test(tc, test_ranges, 0, UNIT_COUNT(ranges));
	tcase_add_loop_test(tc, test_options, 0, UNIT_COUNT(no_ranges));
	tcase_add_loop_test(tc, test_encodings, 0, UNIT_COUNT(encodings));
	tcase_add_loop_test(tc, test_try, 0, UNIT_COUNT(tries));
	tcase_add_loop_test(tc, test_alias, 0, UNIT_COUNT(aliases));
	tcase_add_test(tc, test_encodings_off);
	tcase_add_test(tc, test_multipart);
	tcase_add_test(tc, test_range_flood);
	tcase_add_test(tc, test_big_file);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_listing);
	tcase_add_test(tc, test_listing_more);
	tcase_add_loop_test(tc, test_error_page, 0, 5);
	tcase_add_loop_test(tc, test_listing_shared, 0, 4);
	tcase_add_test(tc, test_permissions);
	suite_add_tcase(s, tc);
	return s;
}
