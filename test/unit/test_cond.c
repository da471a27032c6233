#include <stdio.h>
#include "test/unit/unit.h"
#include "worker/cond.h"

Suite *suite_cond(void);

/* --- entity tags (RFC 9110 8.8.3.2, with its own table first) --- */

static const struct {
	const char *a, *b;
	bool strong, weak;
} etag_rows[] = {
	{ "W/\"1\"", "W/\"1\"", false, true },
	{ "W/\"1\"", "W/\"2\"", false, false },
	{ "W/\"1\"", "\"1\"", false, true },
	{ "\"1\"", "\"1\"", true, true },
	{ "\"\"", "\"\"", true, true },
	{ "W/\"\"", "\"\"", false, true },
	{ "\"a\"", "\"A\"", false, false },
	{ "\"a\\\"", "\"a\\\"", true, true },
	{ "\"a,b\"", "\"a,b\"", true, true },
	{ "\"\xc3\xa9\"", "\"\xc3\xa9\"", true, true },
	/* what is no entity tag equals nothing */
	{ "", "", false, false },
	{ "a", "a", false, false },
	{ "\"a", "\"a", false, false },
	{ "a\"", "a\"", false, false },
	{ "\"a\"b", "\"a\"b", false, false },
	{ "\"a b\"", "\"a b\"", false, false },
	{ "w/\"a\"", "w/\"a\"", false, false },
	{ "W/", "W/", false, false },
	{ "W/a", "W/a", false, false },
	{ "*", "*", false, false },
	{ "\"", "\"", false, false },
};

START_TEST(etags)
{
	struct str a = str_of(etag_rows[_i].a), b = str_of(etag_rows[_i].b);

	ck_assert_int_eq(etag_strong_eq(a, b), etag_rows[_i].strong);
	ck_assert_int_eq(etag_strong_eq(b, a), etag_rows[_i].strong);
	ck_assert_int_eq(etag_weak_eq(a, b), etag_rows[_i].weak);
	ck_assert_int_eq(etag_weak_eq(b, a), etag_rows[_i].weak);
}
END_TEST

/* --- preconditions --- */

#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define DATE   "Sun, 06 Nov 1994 08:49:37 GMT" /* 784111777 */
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"
#define TAG    "\"a\""

static const struct validators file = { STR_INIT(TAG), 784111777, true };
static const struct validators weak = { STR_INIT("W/\"a\""), 784111777, true };
static const struct validators dated = { { NULL, 0 }, 784111777, true };
static const struct validators tagged = { STR_INIT(TAG), 0, true };
static const struct validators bare = { { NULL, 0 }, 0, true };
static const struct validators nothing = { { NULL, 0 }, 0, false };

static const struct cond_row {
	const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since;
	const struct validators *v;
	int get, put; /* the verdicts for GET (and HEAD) and for PUT */
} cond_rows[] = {
	{ NULL, NULL, NULL, NULL, &file, 0, 0 },
	{ NULL, NULL, NULL, NULL, &nothing, 0, 0 },
	/* If-Match (13.1.1): strong comparison */
	{ TAG, NULL, NULL, NULL, &file, 0, 0 },
	{ "\"b\"", NULL, NULL, NULL, &file, 412, 412 },
	{ "\"b\", " TAG, NULL, NULL, NULL, &file, 0, 0 },
	{ "\"b\"," TAG ",", NULL, NULL, NULL, &file, 0, 0 },
	{ " ,, " TAG, NULL, NULL, NULL, &file, 0, 0 },
	{ "W/" TAG, NULL, NULL, NULL, &file, 412, 412 },
	{ TAG, NULL, NULL, NULL, &weak, 412, 412 },
	{ "W/" TAG, NULL, NULL, NULL, &weak, 412, 412 },
	{ TAG, NULL, NULL, NULL, &dated, 412, 412 },
	{ TAG, NULL, NULL, NULL, &nothing, 412, 412 },
	{ "*", NULL, NULL, NULL, &file, 0, 0 },
	{ "*", NULL, NULL, NULL, &bare, 0, 0 },
	{ "*", NULL, NULL, NULL, &nothing, 412, 412 },
	{ "", NULL, NULL, NULL, &file, 412, 412 },
	{ "a", NULL, NULL, NULL, &file, 412, 412 },
	{ "\"b,\\\", " TAG, NULL, NULL, NULL, &file, 0, 0 },
	{ "b, " TAG, NULL, NULL, NULL, &file, 0, 0 },
	{ TAG "x", NULL, NULL, NULL, &file, 412, 412 },
	/* If-Unmodified-Since (13.1.4) */
	{ NULL, DATE, NULL, NULL, &file, 0, 0 },
	{ NULL, AFTER, NULL, NULL, &file, 0, 0 },
	{ NULL, BEFORE, NULL, NULL, &file, 412, 412 },
	{ NULL, BEFORE, NULL, NULL, &tagged, 0, 0 },
	{ NULL, BEFORE, NULL, NULL, &nothing, 0, 0 },
	{ NULL, "yesterday", NULL, NULL, &file, 0, 0 },
	{ NULL, "", NULL, NULL, &file, 0, 0 },
	{ NULL, BEFORE ", " BEFORE, NULL, NULL, &file, 0, 0 },
	/* not evaluated with If-Match */
	{ TAG, BEFORE, NULL, NULL, &file, 0, 0 },
	{ "\"b\"", AFTER, NULL, NULL, &file, 412, 412 },
	/* If-None-Match (13.1.2): weak comparison */
	{ NULL, NULL, TAG, NULL, &file, 304, 412 },
	{ NULL, NULL, "W/" TAG, NULL, &file, 304, 412 },
	{ NULL, NULL, TAG, NULL, &weak, 304, 412 },
	{ NULL, NULL, "\"b\"", NULL, &file, 0, 0 },
	{ NULL, NULL, "\"b\", \"c\" , W/" TAG, NULL, &file, 304, 412 },
	{ NULL, NULL, "*", NULL, &file, 304, 412 },
	{ NULL, NULL, "*", NULL, &bare, 304, 412 },
	{ NULL, NULL, "*", NULL, &nothing, 0, 0 },
	{ NULL, NULL, TAG, NULL, &nothing, 0, 0 },
	{ NULL, NULL, TAG, NULL, &dated, 0, 0 },
	{ NULL, NULL, "", NULL, &file, 0, 0 },
	{ NULL, NULL, "a", NULL, &file, 0, 0 },
	{ NULL, NULL, "\"a", NULL, &file, 0, 0 },
	/* If-Modified-Since (13.1.3): GET and HEAD only */
	{ NULL, NULL, NULL, DATE, &file, 304, 0 },
	{ NULL, NULL, NULL, AFTER, &file, 304, 0 },
	{ NULL, NULL, NULL, BEFORE, &file, 0, 0 },
	{ NULL, NULL, NULL, DATE, &tagged, 0, 0 },
	{ NULL, NULL, NULL, DATE, &nothing, 0, 0 },
	{ NULL, NULL, NULL, "0", &file, 0, 0 },
	{ NULL, NULL, NULL, "Sunday, 06-Nov-94 08:49:37 GMT", &file, 304, 0 },
	{ NULL, NULL, NULL, "Sun Nov  6 08:49:37 1994", &file, 304, 0 },
	/* not evaluated with If-None-Match */
	{ NULL, NULL, "\"b\"", AFTER, &file, 0, 0 },
	{ NULL, NULL, TAG, BEFORE, &file, 304, 412 },
	{ NULL, NULL, "", AFTER, &file, 0, 0 },
	/* the order of 13.2.2: 412 of the first two comes before 304 */
	{ "\"b\"", NULL, TAG, NULL, &file, 412, 412 },
	{ NULL, BEFORE, TAG, NULL, &file, 412, 412 },
	{ NULL, BEFORE, NULL, AFTER, &file, 412, 412 },
	{ TAG, NULL, TAG, NULL, &file, 304, 412 },
	{ TAG, NULL, "\"b\"", AFTER, &file, 0, 0 },
	{ NULL, AFTER, NULL, AFTER, &file, 304, 0 },
	{ "*", BEFORE, "*", BEFORE, &file, 304, 412 },
};

START_TEST(conditions)
{
	const struct cond_row *row = &cond_rows[_i];
	const struct validators *v = row->v;
	struct conditions c = {
		.if_match = str_of(row->if_match),
		.if_unmodified_since = str_of(row->if_unmodified_since),
		.if_none_match = str_of(row->if_none_match),
		.if_modified_since = str_of(row->if_modified_since),
	};

	ck_assert_int_eq(cond_check(&c, v, M_GET), row->get);
	ck_assert_int_eq(cond_check(&c, v, M_HEAD), row->get);
	ck_assert_int_eq(cond_check(&c, v, M_PUT), row->put);
	ck_assert_int_eq(cond_check(&c, v, M_DELETE), row->put);
	ck_assert_int_eq(cond_check(&c, v, M_OTHER), row->put);
	/* 13.2.1 */
	ck_assert_int_eq(cond_check(&c, v, M_OPTIONS), 0);
	ck_assert_int_eq(cond_check(&c, v, M_TRACE), 0);
	ck_assert_int_eq(cond_check(&c, v, M_CONNECT), 0);
}
END_TEST

/* If-Range (13.1.5) */
static const struct {
	const char *value;
	const struct validators *v;
	bool stands;
} if_range_rows[] = {
	{ NULL, &file, true },
	{ NULL, &nothing, true },
	{ TAG, &file, true },
	{ "\"b\"", &file, false },
	{ "W/" TAG, &file, false },
	{ TAG, &weak, false },
	{ "W/" TAG, &weak, false },
	{ TAG, &dated, false },
	{ DATE, &file, true },
	{ BEFORE, &file, false },
	{ AFTER, &file, false }, /* the very same date, not a later one */
	{ DATE, &tagged, false },
	{ DATE, &nothing, false },
	{ "Sunday, 06-Nov-94 08:49:37 GMT", &file, true },
	{ "", &file, false },
	{ "*", &file, false },
	{ "a", &file, false },
	{ TAG ", " TAG, &file, false },
};

START_TEST(if_range)
{
	struct conditions c = { .if_range = str_of(if_range_rows[_i].value) };

	ck_assert_int_eq(cond_if_range(&c, if_range_rows[_i].v), if_range_rows[_i].stands);
}
END_TEST

/* --- ranges --- */

static const struct {
	const char *value;
	int64_t size;
	int n;
	struct range want[4];
} range_rows[] = {
	/* RFC 9110 14.1.2 */
	{ "bytes=0-499", 10000, 1, { { 0, 500 } } },
	{ "bytes=500-999", 10000, 1, { { 500, 500 } } },
	{ "bytes=-500", 10000, 1, { { 9500, 500 } } },
	{ "bytes=9500-", 10000, 1, { { 9500, 500 } } },
	{ "bytes=0-0,-1", 10000, 2, { { 0, 1 }, { 9999, 1 } } },
	{ "bytes= 0-999, 4500-5499, -1000", 10000, 3,
	    { { 0, 1000 }, { 4500, 1000 }, { 9000, 1000 } } },
	{ "bytes=0-", 10, 1, { { 0, 10 } } },
	{ "bytes=0-9", 10, 1, { { 0, 10 } } },
	{ "bytes=0-10", 10, 1, { { 0, 10 } } },
	{ "bytes=9-9", 10, 1, { { 9, 1 } } },
	{ "bytes=9-", 10, 1, { { 9, 1 } } },
	{ "bytes=-10", 10, 1, { { 0, 10 } } },
	{ "bytes=-11", 10, 1, { { 0, 10 } } },
	{ "bytes=5-5", 10, 1, { { 5, 1 } } },
	{ "BYTES=5-5", 10, 1, { { 5, 1 } } },
	{ "bytes=5-99999999999999999999999", 10, 1, { { 5, 5 } } },
	{ "bytes=-99999999999999999999999", 10, 1, { { 0, 10 } } },
	{ "bytes=0-9223372036854775807", 10, 1, { { 0, 10 } } },
	{ "bytes=0-9223372036854775806", INT64_MAX, 1, { { 0, INT64_MAX } } },
	{ "bytes=9223372036854775806-", INT64_MAX, 1, { { INT64_MAX - 1, 1 } } },
	{ "bytes=00001-00002", 10, 1, { { 1, 2 } } },
	/* lists (5.6.1): white space and empty elements */
	{ "bytes=,0-0 ,\t2-2,", 10, 2, { { 0, 1 }, { 2, 1 } } },
	/* in the order asked */
	{ "bytes=5-5,0-0", 10, 2, { { 5, 1 }, { 0, 1 } } },
	{ "bytes=8-8,4-4,0-0", 10, 3, { { 8, 1 }, { 4, 1 }, { 0, 1 } } },
	/* what cannot be satisfied is left out */
	{ "bytes=0-0,10-", 10, 1, { { 0, 1 } } },
	{ "bytes=20-30,-0,5-", 10, 1, { { 5, 5 } } },
	{ "bytes=10-", 10, -1, { { 0, 0 } } },
	{ "bytes=10-10", 10, -1, { { 0, 0 } } },
	{ "bytes=-0", 10, -1, { { 0, 0 } } },
	{ "bytes=99999999999999999999-", 10, -1, { { 0, 0 } } },
	{ "bytes=99999999999999999998-99999999999999999999", 10, -1, { { 0, 0 } } },
	{ "bytes=9223372036854775807-", INT64_MAX, -1, { { 0, 0 } } },
	{ "bytes=10-,20-30,-0", 10, -1, { { 0, 0 } } },
	/* an empty representation */
	{ "bytes=0-", 0, 0, { { 0, 0 } } },
	{ "bytes=0-0", 0, 0, { { 0, 0 } } },
	{ "bytes=-1", 0, 0, { { 0, 0 } } },
	/* two may overlap, but together not exceed the whole */
	{ "bytes=0-5,4-6", 10, 2, { { 0, 6 }, { 4, 3 } } },
	{ "bytes=0-9,0-0", 10, 0, { { 0, 0 } } },
	{ "bytes=0-,0-", 10, 0, { { 0, 0 } } },
	/* more than two: overlapping and adjacent ones are joined, in the place of the first */
	{ "bytes=0-1,2-3,4-5", 10, 1, { { 0, 6 } } },
	{ "bytes=0-3,2-5,9-9", 10, 2, { { 0, 6 }, { 9, 1 } } },
	{ "bytes=4-5,0-1,2-3", 10, 1, { { 0, 6 } } },
	{ "bytes=8-8,0-1,1-2", 10, 2, { { 8, 1 }, { 0, 3 } } },
	{ "bytes=0-0,2-2,1-1", 10, 1, { { 0, 3 } } },
	{ "bytes=0-0,4-4,8-8,1-7", 10, 1, { { 0, 9 } } },
	{ "bytes=0-,0-,0-", 10, 1, { { 0, 10 } } },
	/* malformed: as if there were none */
	{ NULL, 10, 0, { { 0, 0 } } },
	{ "", 10, 0, { { 0, 0 } } },
	{ "bytes", 10, 0, { { 0, 0 } } },
	{ "bytes=", 10, 0, { { 0, 0 } } },
	{ "bytes=,", 10, 0, { { 0, 0 } } },
	{ "bytes=-", 10, 0, { { 0, 0 } } },
	{ "bytes=--1", 10, 0, { { 0, 0 } } },
	{ "bytes=1", 10, 0, { { 0, 0 } } },
	{ "bytes=a-b", 10, 0, { { 0, 0 } } },
	{ "bytes=1-b", 10, 0, { { 0, 0 } } },
	{ "bytes=1-2-3", 10, 0, { { 0, 0 } } },
	{ "bytes=2-1", 10, 0, { { 0, 0 } } },
	{ "bytes=0-0,2-1", 10, 0, { { 0, 0 } } },
	{ "bytes=0-0,x", 10, 0, { { 0, 0 } } },
	{ "bytes=0 - 1", 10, 0, { { 0, 0 } } },
	{ "bytes=+1-2", 10, 0, { { 0, 0 } } },
	{ "bytes=0x1-2", 10, 0, { { 0, 0 } } },
	{ "bytes =0-1", 10, 0, { { 0, 0 } } },
	{ " bytes=0-1", 10, 0, { { 0, 0 } } },
	{ "bytes:0-1", 10, 0, { { 0, 0 } } },
	{ "bytes 0-1/10", 10, 0, { { 0, 0 } } },
	{ "bytes=\"0-1\"", 10, 0, { { 0, 0 } } },
	/* other units (14.2) */
	{ "seconds=0-1", 10, 0, { { 0, 0 } } },
	{ "byte=0-1", 10, 0, { { 0, 0 } } },
	{ "=0-1", 10, 0, { { 0, 0 } } },
};

START_TEST(ranges)
{
	struct range r[RANGE_MAX];
	int n = range_parse(str_of(range_rows[_i].value), range_rows[_i].size, r);

	ck_assert_msg(n == range_rows[_i].n, "\"%s\": %d", range_rows[_i].value, n);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(r[i].first, range_rows[_i].want[i].first);
		ck_assert_int_eq(r[i].len, range_rows[_i].want[i].len);
	}
}
END_TEST

/* "bytes=0-0,step-step,…" of count ranges. */
static int
flood(int count, int step, int64_t size)
{
	char text[4000];
	size_t n = (size_t)sprintf(text, "bytes=");
	struct range r[RANGE_MAX];

	for (int i = 0; i < count; i++)
		n += (size_t)sprintf(text + n, "%d-%d,", i * step, i * step);
	return range_parse(str_n(text, n), size, r);
}

START_TEST(floods)
{
	ck_assert_int_eq(flood(RANGE_MAX, 2, 10000), RANGE_MAX);
	ck_assert_int_eq(flood(RANGE_MAX + 1, 2, 10000), 0);
	ck_assert_int_eq(flood(100, 1, 10000), 1); /* adjacent: joined */
	ck_assert_int_eq(flood(300, 1, 10000), 0); /* too many to be looked at */
	ck_assert_int_eq(flood(100, 0, 10000), 1);
	ck_assert_int_eq(flood(100, 1000, 10), 1); /* all but one cannot be satisfied */
}
END_TEST

/* --- preferences --- */

static const struct {
	const char *value, *coding;
	int q;
} encoding_rows[] = {
	{ NULL, "gzip", 1000 },
	{ NULL, "identity", 1000 },
	{ "", "gzip", 0 },
	{ "", "identity", 1 },
	{ "gzip", "gzip", 1000 },
	{ "GZip", "gzip", 1000 },
	{ "gzip", "br", 0 },
	{ "gzip", "identity", 1 },
	{ "gzip, deflate, br", "br", 1000 },
	{ "gzip;q=0.5, br;q=1", "gzip", 500 },
	{ "gzip;q=0", "gzip", 0 },
	{ "gzip;q=0.000", "gzip", 0 },
	{ "gzip;q=0.001", "gzip", 1 },
	{ "gzip;q=0.", "gzip", 0 },
	{ "gzip;q=1.000", "gzip", 1000 },
	{ "gzip;q=0.25", "gzip", 250 },
	{ "gzip ; q=0.5", "gzip", 500 },
	{ "gzip\t;\tQ=0.5", "gzip", 500 },
	{ "*", "gzip", 1000 },
	{ "*;q=0.3", "gzip", 300 },
	{ "*;q=0.3, gzip;q=0.7", "gzip", 700 },
	{ "gzip;q=0, *", "gzip", 0 },
	{ "*;q=0", "identity", 0 },
	{ "*;q=0, identity;q=0.1", "identity", 100 },
	{ "identity;q=0", "identity", 0 },
	{ "identity;q=0.5, gzip", "identity", 500 },
	{ "*", "identity", 1000 },
	/* RFC 9110 8.4.1 */
	{ "x-gzip", "gzip", 1000 },
	{ "gzip", "x-gzip", 1000 },
	{ "x-compress;q=0.5", "compress", 500 },
	/* an invalid weight: the element counts for nothing */
	{ "gzip;q=2", "gzip", 0 },
	{ "gzip;q=1.001", "gzip", 0 },
	{ "gzip;q=-1", "gzip", 0 },
	{ "gzip;q=0.0001", "gzip", 0 },
	{ "gzip;q=", "gzip", 0 },
	{ "gzip;q=a", "gzip", 0 },
	{ "gzip;q=0,5", "gzip", 0 },
	{ "gzip;q=.5", "gzip", 0 },
	{ "gzip;q=2, *;q=0.5", "gzip", 500 },
	{ "gzipx", "gzip", 0 },
	{ "gzip x", "gzip", 0 },
};

START_TEST(encodings)
{
	ck_assert_msg(accept_encoding_q(str_of(encoding_rows[_i].value),
			  str_of(encoding_rows[_i].coding)) == encoding_rows[_i].q,
	    "\"%s\" %s", encoding_rows[_i].value, encoding_rows[_i].coding);
}
END_TEST

static const struct {
	const char *value, *type;
	int q;
} accept_rows[] = {
	{ NULL, "text/html", 1000 },
	{ "", "text/html", 1000 },
	{ "text/html", "text/html", 1000 },
	{ "TEXT/HTML", "text/html", 1000 },
	{ "text/html", "text/plain", 0 },
	{ "text/*", "text/plain", 1000 },
	{ "text/*;q=0.2", "text/plain", 200 },
	{ "*/*;q=0.1", "text/plain", 100 },
	{ "text/*", "image/png", 0 },
	{ "te/*", "text/html", 0 },
	{ "*", "text/html", 0 },
	/* RFC 9110 12.5.1: the more specific counts */
	{ "*/*;q=0.1, text/*;q=0.2, text/html;q=0.3", "text/html", 300 },
	{ "text/html;q=0.3, text/*;q=0.2, */*;q=0.1", "text/html", 300 },
	{ "text/html;q=0, */*", "text/html", 0 },
	{ "text/html;q=0, */*", "text/plain", 1000 },
	/* the example of 12.5.1 */
	{ "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
	  "text/plain;format=fixed;q=0.4, */*;q=0.5",
	    "text/plain;format=flowed", 1000 },
	{ "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
	  "text/plain;format=fixed;q=0.4, */*;q=0.5",
	    "text/plain", 700 },
	{ "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
	  "text/plain;format=fixed;q=0.4, */*;q=0.5",
	    "text/html", 300 },
	{ "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
	  "text/plain;format=fixed;q=0.4, */*;q=0.5",
	    "image/jpeg", 500 },
	{ "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
	  "text/plain;format=fixed;q=0.4, */*;q=0.5",
	    "text/plain;format=fixed", 400 },
	/* what browsers send */
	{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/xml",
	    900 },
	{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json",
	    800 },
	{ "application/json", "application/json; charset=utf-8", 1000 },
	{ "application/json;charset=utf-8", "application/json", 0 },
	{ "application/json ; charset=UTF-8 ; q=0.5", "application/json;charset=utf-8", 500 },
	/* what older clients put behind the weight */
	{ "text/html;q=0.5;level=1", "text/html", 500 },
	{ "text/html;q=5", "text/html", 0 },
};

START_TEST(accepts)
{
	ck_assert_msg(accept_q(str_of(accept_rows[_i].value), str_of(accept_rows[_i].type)) ==
			  accept_rows[_i].q,
	    "\"%s\" %s: %d", accept_rows[_i].value, accept_rows[_i].type,
	    accept_q(str_of(accept_rows[_i].value), str_of(accept_rows[_i].type)));
}
END_TEST

/* Lists are looked at up to a length; what is cut there is no half element. */
START_TEST(long_lists)
{
	struct validators v = { .etag = STR("\"x\""), .exists = true };
	struct conditions c = { 0 };
	static char text[4000];
	size_t n = 0;

	while (n < 500)
		n += (size_t)sprintf(text + n, "a/b,");
	strcpy(text + n, "text/html,gzip, br");
	ck_assert_int_eq(accept_q(str_of(text), STR("text/html")), 1000);
	ck_assert_int_eq(accept_encoding_q(str_of(text), STR("gzip")), 0);
	ck_assert_int_eq(accept_encoding_q(str_of(text), STR("gz")), 0);
	unit_str_eq(accept_some(str_n(text, 4)), "a/b,");
	ck_assert_uint_eq(accept_some(str_of(text)).n, n + 9);
	memset(text, 'a', sizeof(text));
	ck_assert_uint_eq(accept_some(str_n(text, sizeof(text))).n, 0);
	ck_assert_int_eq(accept_encoding_q(str_n(text, sizeof(text)), STR("gzip")), 0);
	for (n = 0; n < 3900; n += 4)
		memcpy(text + n, n == 2000 ? "\"x\"," : "\"y\",", 4);
	c.if_none_match = str_n(text, n);
	ck_assert_int_eq(cond_check(&c, &v, M_GET), 304);
	memcpy(text + 2000, "\"y\",", 4);
	memcpy(text + 3000, "\"x\",", 4);
	ck_assert_int_eq(cond_check(&c, &v, M_GET), 0);
}
END_TEST

Suite *
suite_cond(void)
{
	Suite *s = suite_create("cond");
	TCase *c = tcase_create("cond");

	tcase_add_loop_test(c, etags, 0, UNIT_COUNT(etag_rows));
	tcase_add_loop_test(c, conditions, 0, UNIT_COUNT(cond_rows));
	tcase_add_loop_test(c, if_range, 0, UNIT_COUNT(if_range_rows));
	tcase_add_loop_test(c, ranges, 0, UNIT_COUNT(range_rows));
	tcase_add_test(c, floods);
	tcase_add_loop_test(c, encodings, 0, UNIT_COUNT(encoding_rows));
	tcase_add_loop_test(c, accepts, 0, UNIT_COUNT(accept_rows));
	tcase_add_test(c, long_lists);
	suite_add_tcase(s, c);
	return s;
}
