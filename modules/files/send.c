/*
 * Sending a file. The common case (no conditions, no range) copies the prepared fields and hands
 * the octets on by reference; everything else goes the long way from files_send_choice.
 */
#include "modules/files/send.h"

#include <stdio.h>
#include <sys/random.h>
#include "common/base/must.h"
#include "worker/cond.h"

enum { SEND_BOUNDARY = 32 };

static void
files_send_octets(struct request *r, const struct files_rep *rep, int64_t first, int64_t len)
{
	if (len == 0)
		return;
	if (rep->body)
		body_put_ref(&r->out_body, rep->body + first, (size_t)len);
	else
		body_put_file(&r->out_body, rep->fd, first, len, false);
}

/* A page for an error: what is known of the page's file says nothing about what was asked for. */
static void
files_send_unnamed(struct request *r)
{
	res_field_del(r, HF_ETAG);
	res_field_del(r, HF_LAST_MODIFIED);
	res_field_del(r, HF_ACCEPT_RANGES);
}

static void
files_send_whole(struct request *r, const struct files_rep *rep)
{
	res_fields_prepared(r, &rep->whole);
	if (unlikely(r->is_error_page))
		files_send_unnamed(r);
	res_begin(r, 200, rep->size);
	if (r->method != M_HEAD)
		files_send_octets(r, rep, 0, rep->size);
	body_end(&r->out_body);
}

/* --- content negotiation --- */

/* Whether the client says something about "identity" (RFC 9110 12.5.3): left out, it is acceptable
   but not preferred to what is listed. */
static bool
files_send_names_identity(struct str accept)
{
	static const struct str identity = STR_INIT("identity");
	struct str item;

	while (str_list_next(&accept, &item)) {
		ptrdiff_t semicolon = str_find(item, ';');

		if (semicolon >= 0)
			item = str_trim(str_n(item.p, (size_t)semicolon));
		if (str_caseeq(item, identity))
			return true;
	}
	return false;
}

const struct files_rep *
files_send_choose(const struct files_entry *e, struct str accept)
{
	const struct files_rep *best = e->reps[0];
	int best_q = 0;

	if (!accept.p)
		return best;
	accept = accept_some(accept);
	for (unsigned i = 1; i < e->nreps; i++) {
		int q = accept_encoding_q(accept, files_codings[e->reps[i]->coding].name);

		if (q <= best_q)
			continue;
		best_q = q;
		best = e->reps[i];
	}
	if (best_q && files_send_names_identity(accept) &&
	    accept_encoding_q(accept, files_codings[CODING_IDENTITY].name) > best_q)
		best = e->reps[0];
	return best;
}

/* --- ranges --- */

static struct str
files_send_content_range(struct request *r, const struct files_rep *rep, const struct range *range)
{
	return arena_printf(&r->arena, "bytes %lld-%lld/%lld", (long long)range->first,
	    (long long)(range->first + range->len - 1), (long long)rep->size);
}

static void
files_send_range(struct request *r, const struct files_rep *rep, const struct range *range)
{
	res_fields_prepared(r, &rep->whole);
	res_field(r, HF_CONTENT_RANGE, files_send_content_range(r, rep, range));
	res_begin(r, 206, range->len);
	files_send_octets(r, rep, range->first, range->len);
	body_end(&r->out_body);
}

/* Unpredictable, so that no file can be written to contain it. */
static void
files_send_boundary(char text[SEND_BOUNDARY])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[SEND_BOUNDARY / 2];

	must(getrandom(raw, sizeof(raw), 0) == sizeof(raw));
	for (size_t i = 0; i < sizeof(raw); i++) {
		text[2 * i] = hex[raw[i] >> 4];
		text[2 * i + 1] = hex[raw[i] & 15];
	}
}

/* RFC 9110 14.6 */
static void
files_send_multipart(struct request *r, const struct files_rep *rep, const struct range *v, int n)
{
	char b[SEND_BOUNDARY];
	struct str parts[RANGE_MAX], last;
	int64_t length = 0;

	files_send_boundary(b);
	for (int i = 0; i < n; i++) {
		parts[i] = arena_printf(&r->arena,
		    "%s--%.*s\r\nContent-Type: %.*s\r\nContent-Range: %.*s\r\n\r\n",
		    i ? "\r\n" : "", SEND_BOUNDARY, b, STR_FMT(rep->type),
		    STR_FMT(files_send_content_range(r, rep, &v[i])));
		length += (int64_t)parts[i].n + v[i].len;
	}
	last = arena_printf(&r->arena, "\r\n--%.*s--\r\n", SEND_BOUNDARY, b);
	res_fields_prepared(r, &rep->whole);
	res_field_set(r, HF_CONTENT_TYPE,
	    arena_printf(&r->arena, "multipart/byteranges; boundary=%.*s", SEND_BOUNDARY, b));
	res_begin(r, 206, length + (int64_t)last.n);
	for (int i = 0; i < n; i++) {
		body_put_ref(&r->out_body, parts[i].p, parts[i].n);
		files_send_octets(r, rep, v[i].first, v[i].len);
	}
	body_put_ref(&r->out_body, last.p, last.n);
	body_end(&r->out_body);
}

static void
files_send_unsatisfiable(struct request *r, const struct files_rep *rep)
{
	res_field(
	    r, HF_CONTENT_RANGE, arena_printf(&r->arena, "bytes */%lld", (long long)rep->size));
	res_error(r, 416, "no octet of the file is in the ranges asked for");
}

/* --- conditions --- */

static void
files_send_not_modified(struct request *r, const struct files_rep *rep)
{
	res_fields_prepared(r, &rep->unchanged);
	res_begin(r, 304, 0);
	body_end(&r->out_body);
}

static struct conditions
files_send_conditions(struct request *r)
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
files_send_ranges(const struct request *r, const struct files_entry *e, const struct conditions *c,
    const struct validators *known, int64_t size, struct range v[RANGE_MAX])
{
	int n;

	if (r->method != M_GET || !c->range.p || !e->fr->conf->max_ranges ||
	    !cond_if_range(c, known))
		return 0;
	n = range_parse(c->range, size, v);
	return n > e->fr->conf->max_ranges ? 0 : n;
}

static void
files_send_careful(struct request *r, const struct files_entry *e, const struct files_rep *rep)
{
	struct validators known = { .etag = rep->etag, .modified = rep->modified, .exists = true };
	struct conditions c = files_send_conditions(r);
	struct range v[RANGE_MAX];
	int status = cond_check(&c, &known, (enum http_method)r->method), n;

	if (status == 304) {
		files_send_not_modified(r, rep);
		return;
	}
	if (status) {
		res_error(r, status, "a precondition of the request does not hold");
		return;
	}
	n = files_send_ranges(r, e, &c, &known, rep->size, v);
	if (n < 0)
		files_send_unsatisfiable(r, rep);
	else if (n == 0)
		files_send_whole(r, rep);
	else if (n == 1)
		files_send_range(r, rep, v);
	else
		files_send_multipart(r, rep, v, n);
}

static bool
files_send_has_conditions(const struct request *r)
{
	return r->known[HF_IF_NONE_MATCH] | r->known[HF_IF_MODIFIED_SINCE] | r->known[HF_RANGE] |
	       r->known[HF_IF_MATCH] | r->known[HF_IF_UNMODIFIED_SINCE];
}

void
files_send(struct request *r, const struct files_entry *e)
{
	const struct files_rep *rep = e->reps[0];

	if (e->nreps > 1)
		rep = files_send_choose(e, req_field_all(r, HF_ACCEPT_ENCODING));
	if (likely(!files_send_has_conditions(r)))
		files_send_whole(r, rep);
	else
		files_send_careful(r, e, rep);
}
