/*
 * Sending a file. The common case (no conditions, no range) copies the prepared fields and hands
 * the octets on by reference; everything else goes the long way from resfile_careful.
 */
#include "worker/resfile.h"

#include <stdio.h>
#include <sys/random.h>
#include "common/base/must.h"
#include "worker/cond.h"
#include "worker/request.h"

enum { RESFILE_BOUNDARY = 32 };

static void
resfile_octets(struct request *r, const struct resfile *f, int64_t first, int64_t len)
{
	if (len == 0)
		return;
	if (f->body)
		body_put_ref(&r->out_body, f->body + first, (size_t)len);
	else
		body_put_file(&r->out_body, f->fd, first, len, false);
}

/* A page for an error: what is known of the page's file says nothing about what was asked for. */
static void
resfile_unnamed(struct request *r)
{
	res_field_del(r, HF_ETAG);
	res_field_del(r, HF_LAST_MODIFIED);
	res_field_del(r, HF_ACCEPT_RANGES);
}

static inline void
resfile_whole(struct request *r, const struct resfile *f, int status)
{
	res_fields_prepared(r, &f->whole);
	if (unlikely(r->is_error_page))
		resfile_unnamed(r);
	res_begin(r, status, f->size);
	if (r->method != M_HEAD)
		resfile_octets(r, f, 0, f->size);
	body_end(&r->out_body);
}

/* --- ranges --- */

static struct str
resfile_content_range(struct request *r, const struct resfile *f, const struct range *range)
{
	return arena_printf(&r->arena, "bytes %lld-%lld/%lld", (long long)range->first,
	    (long long)(range->first + range->len - 1), (long long)f->size);
}

static void
resfile_range(struct request *r, const struct resfile *f, const struct range *range)
{
	res_fields_prepared(r, &f->whole);
	res_field(r, HF_CONTENT_RANGE, resfile_content_range(r, f, range));
	res_begin(r, 206, range->len);
	resfile_octets(r, f, range->first, range->len);
	body_end(&r->out_body);
}

/* Unpredictable, so that no file can be written to contain it. */
static void
resfile_boundary(char text[RESFILE_BOUNDARY])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[RESFILE_BOUNDARY / 2];

	must(getrandom(raw, sizeof(raw), 0) == sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++) {
		text[2 * i] = hex[raw[i] >> 4];
		text[2 * i + 1] = hex[raw[i] & 15];
	}
}

/* RFC 9110 14.6 */
static void
resfile_multipart(struct request *r, const struct resfile *f, const struct range *v, int n)
{
	char b[RESFILE_BOUNDARY];
	struct str parts[RANGE_MAX], last;
	int64_t length = 0;

	resfile_boundary(b);
	for (int i = 0; i < n; i++) {
		parts[i] = arena_printf(&r->arena,
		    "%s--%.*s\r\nContent-Type: %.*s\r\nContent-Range: %.*s\r\n\r\n",
		    i ? "\r\n" : "", RESFILE_BOUNDARY, b, STR_FMT(f->type),
		    STR_FMT(resfile_content_range(r, f, &v[i])));
		length += (int64_t)parts[i].n + v[i].len;
	}
	last = arena_printf(&r->arena, "\r\n--%.*s--\r\n", RESFILE_BOUNDARY, b);
	res_fields_prepared(r, &f->whole);
	res_field_set(r, HF_CONTENT_TYPE,
	    arena_printf(&r->arena, "multipart/byteranges; boundary=%.*s", RESFILE_BOUNDARY, b));
	res_begin(r, 206, length + (int64_t)last.n);
	for (int i = 0; i < n; i++) {
		body_put_ref(&r->out_body, parts[i].p, parts[i].n);
		resfile_octets(r, f, v[i].first, v[i].len);
	}
	body_put_ref(&r->out_body, last.p, last.n);
	body_end(&r->out_body);
}

static void
resfile_unsatisfiable(struct request *r, const struct resfile *f)
{
	res_field(r, HF_CONTENT_RANGE, arena_printf(&r->arena, "bytes */%lld", (long long)f->size));
	res_error(r, 416, "no octet of the file is in the ranges asked for");
}

/* --- conditions --- */

/* Of the fields that came along what a 304 does not repeat (RFC 9110 15.4.5). */
static void
resfile_forget_content(struct request *r, const struct resfile *f)
{
	res_field_del(r, HF_CONTENT_TYPE);
	res_field_del(r, HF_CONTENT_LANGUAGE);
	res_field_del(r, HF_CONTENT_DISPOSITION);
	res_field_del(r, HF_ACCEPT_RANGES);
	if (f->etag.n)
		res_field_del(r, HF_LAST_MODIFIED);
}

static void
resfile_not_modified(struct request *r, const struct resfile *f)
{
	if (r->fields.n)
		resfile_forget_content(r, f);
	res_fields_prepared(r, &f->unchanged);
	res_begin(r, 304, 0);
	body_end(&r->out_body);
}

static struct conditions
resfile_conditions(struct request *r)
{
	return (struct conditions){
		.if_match = req_field_all(r, HF_IF_MATCH),
		.if_none_match = req_field_all(r, HF_IF_NONE_MATCH),
		.if_modified_since = req_field(r, HF_IF_MODIFIED_SINCE),
		.if_unmodified_since = req_field(r, HF_IF_UNMODIFIED_SINCE),
		.if_range = req_field(r, HF_IF_RANGE),
		.range = req_field_all(r, HF_RANGE),
	};
}

/* Ranges are defined for GET only (RFC 9110 14.2). Returns how many, 0: the whole file, -1: 416. */
static int
resfile_ranges(const struct request *r, const struct resfile *f, const struct conditions *c,
    const struct validators *known, struct range v[RANGE_MAX])
{
	int n;

	if (r->method != M_GET || !c->range.p || !f->max_ranges || !cond_if_range(c, known))
		return 0;
	n = range_parse(c->range, f->size, v);
	return n > f->max_ranges ? 0 : n;
}

static void
resfile_careful(struct request *r, const struct resfile *f)
{
	struct validators known = { .etag = f->etag, .modified = f->modified, .exists = true };
	struct conditions c = resfile_conditions(r);
	struct range v[RANGE_MAX];
	int status = cond_check(&c, &known, (enum http_method)r->method), n;

	if (status == 304) {
		resfile_not_modified(r, f);
		return;
	}
	if (status) {
		res_error(r, status, "a precondition of the request does not hold");
		return;
	}
	n = resfile_ranges(r, f, &c, &known, v);
	if (n < 0)
		resfile_unsatisfiable(r, f);
	else if (n == 0)
		resfile_whole(r, f, 200);
	else if (n == 1)
		resfile_range(r, f, v);
	else
		resfile_multipart(r, f, v, n);
}

static bool
resfile_has_conditions(const struct request *r)
{
	return r->known[HF_IF_NONE_MATCH] | r->known[HF_IF_MODIFIED_SINCE] | r->known[HF_RANGE] |
	       r->known[HF_IF_MATCH] | r->known[HF_IF_UNMODIFIED_SINCE];
}

void
resfile_send(struct request *r, const struct resfile *f)
{
	if (likely(!resfile_has_conditions(r)))
		resfile_whole(r, f, 200);
	else
		resfile_careful(r, f);
}

void
resfile_send_as(struct request *r, const struct resfile *f, int status)
{
	resfile_whole(r, f, status);
}

void
resfile_etag(char text[RESFILE_ETAG], const struct stat *st, struct str coding)
{
	/* Hexadecimal: "seconds.nanoseconds-size". */
	snprintf(text, RESFILE_ETAG, "\"%llx%s%.0lx-%llx%s%.*s\"",
	    (unsigned long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec ? "." : "",
	    (unsigned long)st->st_mtim.tv_nsec, (unsigned long long)st->st_size,
	    coding.n ? "-" : "", coding.n < 16 ? (int)coding.n : 16, coding.p);
}
