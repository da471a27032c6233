/*
 * Conditional requests, ranges and preferences. What a client sends that is malformed counts as not
 * sent wherever the RFC lets it; entity tags are compared octet by octet as they were sent.
 */
#include "common/base/clock.h"
#include "worker/cond.h"

enum { COND_ACCEPT = 512, COND_ETAGS = 2048 }; /* octets of lists that are looked at */

/* The elements of a list that lie within max octets. */
static struct str
cond_some(struct str list, size_t max)
{
	if (list.n <= max)
		return list;
	while (max > 0 && list.p[max] != ',')
		max--;
	return str_n(list.p, max);
}

/* --- entity tags (RFC 9110 8.8.3) --- */

static bool
cond_is_weak(struct str etag)
{
	return str_has_prefix(etag, STR("W/"));
}

/* etagc: %x21, %x23-7E, obs-text. */
static bool
cond_is_etagc(unsigned char c)
{
	return c > 0x20 && c != '"' && c != 0x7f;
}

/* Length of the entity tag at the beginning of s; 0 when there is none. */
static size_t
cond_etag_len(struct str s)
{
	size_t i = cond_is_weak(s) ? 2 : 0;

	if (i >= s.n || s.p[i] != '"')
		return 0;
	for (i++; i < s.n && cond_is_etagc((unsigned char)s.p[i]); i++)
		;
	return i < s.n && s.p[i] == '"' ? i + 1 : 0;
}

static bool
cond_is_etag(struct str s)
{
	return s.n > 0 && cond_etag_len(s) == s.n;
}

bool
etag_strong_eq(struct str a, struct str b)
{
	return cond_is_etag(a) && !cond_is_weak(a) && str_eq(a, b);
}

bool
etag_weak_eq(struct str a, struct str b)
{
	if (!cond_is_etag(a) || !cond_is_etag(b))
		return false;
	if (cond_is_weak(a))
		a = str_n(a.p + 2, a.n - 2);
	if (cond_is_weak(b))
		b = str_n(b.p + 2, b.n - 2);
	return str_eq(a, b);
}

/* Next element of a list of entity tags; what is none comes out as it is, up to the next comma. An
   entity tag may hold commas, and a backslash in it is an octet like others, so this is not
   str_list_next. */
static bool
cond_etag_next(struct str *rest, struct str *item)
{
	size_t n;

	while (rest->n > 0 && (*rest->p == ' ' || *rest->p == '\t' || *rest->p == ',')) {
		rest->p++;
		rest->n--;
	}
	if (rest->n == 0)
		return false;
	n = cond_etag_len(*rest);
	while (n < rest->n && rest->p[n] != ',')
		n++;
	*item = str_trim(str_n(rest->p, n));
	rest->p += n;
	rest->n -= n;
	return true;
}

static bool
cond_has_etag(struct str list, struct str etag, bool (*eq)(struct str, struct str))
{
	struct str item;

	/* A tag further behind is not found, as if the client did not have it: the whole is sent
	   (If-None-Match), or nothing is done (If-Match). */
	list = cond_some(list, COND_ETAGS);
	while (cond_etag_next(&list, &item)) {
		if (eq(item, etag))
			return true;
	}
	return false;
}

/* --- preconditions (RFC 9110 13.1), each true or false --- */

static bool
cond_if_match(struct str value, const struct validators *v)
{
	if (str_eq(value, STR("*")))
		return v->exists;
	return v->exists && cond_has_etag(value, v->etag, etag_strong_eq);
}

static bool
cond_if_none_match(struct str value, const struct validators *v)
{
	if (str_eq(value, STR("*")))
		return !v->exists;
	return !v->exists || !cond_has_etag(value, v->etag, etag_weak_eq);
}

/* The date of a field that counts: there is one, it is valid, and the representation has one. */
static bool
cond_date(struct str value, const struct validators *v, time_t *date)
{
	return value.p && v->exists && v->modified != 0 && clock_parse_http_date(value, date);
}

int
cond_check(const struct conditions *c, const struct validators *v, enum http_method method)
{
	bool is_read = method == M_GET || method == M_HEAD;
	time_t date;

	/* RFC 9110 13.2.1: not for methods that neither select nor change a representation. */
	if (method == M_CONNECT || method == M_OPTIONS || method == M_TRACE)
		return 0;
	/* The steps of RFC 9110 13.2.2; the fifth, If-Range, is cond_if_range(). */
	if (c->if_match.p) {
		if (!cond_if_match(c->if_match, v))
			return 412;
	} else if (cond_date(c->if_unmodified_since, v, &date) && v->modified > date) {
		return 412;
	}
	if (c->if_none_match.p) {
		if (!cond_if_none_match(c->if_none_match, v))
			return is_read ? 304 : 412;
	} else if (is_read && cond_date(c->if_modified_since, v, &date) && v->modified <= date) {
		return 304;
	}
	return 0;
}

bool
cond_if_range(const struct conditions *c, const struct validators *v)
{
	struct str value = c->if_range;
	time_t date;

	if (!value.p)
		return true;
	/* RFC 9110 13.1.5: an entity tag is known by its first three octets; compared strongly. */
	if (str_has_prefix(value, STR("\"")) || cond_is_weak(value))
		return etag_strong_eq(value, v->etag);
	/* A date must be the very same, not merely later. */
	return cond_date(value, v, &date) && date == v->modified;
}

/* --- ranges (RFC 9110 14) --- */

/* How many ranges of a field are looked at; more is a flood before anything is joined. */
enum { COND_RANGES_ASKED = 128 };

struct cond_ranges {
	struct range v[COND_RANGES_ASKED];
	int n;
};

/* Digits as a position; what is too large for one is as good as the largest. */
static bool
cond_position(struct str s, int64_t *out)
{
	uint64_t v;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	}
	if (s.n == 0)
		return false;
	*out = str_to_u64(s, INT64_MAX, &v) ? (int64_t)v : INT64_MAX;
	return true;
}

/* One range-spec (RFC 9110 14.1.1) of a representation of size octets: false when it is malformed;
   out->len 0 when it cannot be satisfied. */
static bool
cond_range_spec(struct str spec, int64_t size, struct range *out)
{
	struct str first = str_split(&spec, '-');
	int64_t from, to = INT64_MAX;

	*out = (struct range){ 0, 0 };
	if (!spec.p)
		return false;
	if (first.n == 0) { /* suffix-range: the last to octets */
		if (!cond_position(spec, &to))
			return false;
		out->len = to < size ? to : size;
		out->first = size - out->len;
		return true;
	}
	if (!cond_position(first, &from) || (spec.n > 0 && !cond_position(spec, &to)))
		return false;
	/* RFC 9110 14.1.1: last before first is invalid. Two positions that are both beyond
	   int64_t count as equal. */
	if (to < from)
		return false;
	if (from < size) {
		out->first = from;
		out->len = (to < size ? to + 1 : size) - from;
	}
	return true;
}

/* Whether two ranges overlap or touch. */
static bool
cond_touches(const struct range *a, const struct range *b)
{
	return a->first <= b->first + b->len && b->first <= a->first + a->len;
}

static void
cond_join(struct range *a, const struct range *b)
{
	int64_t end = a->first + a->len, b_end = b->first + b->len;

	a->first = a->first < b->first ? a->first : b->first;
	a->len = (end > b_end ? end : b_end) - a->first;
}

/* Joins what overlaps or touches (RFC 9110 15.3.7.2); a joined range stands where its first part
 * was. */
static void
cond_join_all(struct cond_ranges *r)
{
	for (int i = 0; i < r->n; i++) {
		int k = i + 1;

		while (k < r->n) {
			if (!cond_touches(&r->v[i], &r->v[k])) {
				k++;
				continue;
			}
			cond_join(&r->v[i], &r->v[k]);
			r->n--;
			memmove(&r->v[k], &r->v[k + 1], (size_t)(r->n - k) * sizeof(r->v[0]));
			k = i + 1; /* it has grown: those passed over may touch it now */
		}
	}
}

/* All satisfiable ranges of a set; false when it is malformed, or a flood. */
static bool
cond_range_set(struct str set, int64_t size, struct cond_ranges *r)
{
	struct str item;
	bool is_any = false;

	for (r->n = 0; str_list_next(&set, &item);) {
		struct range one;

		if (r->n == COND_RANGES_ASKED || !cond_range_spec(item, size, &one))
			return false;
		is_any = true;
		if (one.len > 0)
			r->v[r->n++] = one;
	}
	return is_any;
}

/* Hands the ranges out, unless they are not worth it (RFC 9110 14.2, 17.15). */
static int
cond_ranges_put(const struct cond_ranges *r, int64_t size, struct range out[RANGE_MAX])
{
	int64_t left = size;

	if (r->n > RANGE_MAX)
		return 0;
	for (int i = 0; i < r->n; i++) {
		if (r->v[i].len > left)
			return 0;
		left -= r->v[i].len;
		out[i] = r->v[i];
	}
	return r->n;
}

int
range_parse(struct str value, int64_t size, struct range out[RANGE_MAX])
{
	struct str unit;
	struct cond_ranges r;

	if (!value.p)
		return 0;
	unit = str_split(&value, '=');
	/* RFC 9110 14.1: unit names are case-insensitive; 14.2: unknown ones are ignored. An empty
	   representation has no part to send: its whole is the answer. */
	if (!value.p || !str_caseeq(unit, STR("bytes")) || size <= 0)
		return 0;
	if (!cond_range_set(value, size, &r))
		return 0;
	if (r.n == 0)
		return -1;
	if (r.n > 2)
		cond_join_all(&r);
	return cond_ranges_put(&r, size, out);
}

/* --- preferences (RFC 9110 12) --- */

/* qvalue (RFC 9110 12.4.2) in thousandths; -1 when it is none. */
static int
cond_qvalue(struct str s)
{
	static const int worth[] = { 100, 10, 1 };
	int q;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return -1;
	q = (s.p[0] - '0') * 1000;
	for (size_t i = 2; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		q += (s.p[i] - '0') * worth[i - 2];
	}
	return q <= 1000 ? q : -1;
}

/* Splits an element: what it names, and its parameters; returns its weight, -1 when that is
 *invalid. params holds what stands between name and weight, n 0 when nothing does. */
static int
cond_weigh(struct str item, struct str *name, struct str *params)
{
	*name = str_trim(str_split(&item, ';'));
	*params = (struct str){ item.p, 0 };
	while (item.p) {
		struct str param = str_trim(str_split(&item, ';'));

		/* "q" ends the parameters of the type (RFC 9110 12.5.1); what older clients put
		   behind it means nothing. */
		if (param.n >= 2 && str_lower((unsigned char)param.p[0]) == 'q' &&
		    param.p[1] == '=')
			return cond_qvalue(str_n(param.p + 2, param.n - 2));
		params->n = (size_t)(param.p + param.n - params->p);
	}
	return 1000;
}

/* RFC 9110 8.4.1.3: "x-gzip" is "gzip"; so with compress. */
static struct str
cond_coding(struct str name)
{
	if (str_caseeq(name, STR("x-gzip")) || str_caseeq(name, STR("x-compress")))
		return str_n(name.p + 2, name.n - 2);
	return name;
}

struct str
accept_some(struct str value)
{
	return cond_some(value, COND_ACCEPT);
}

int
accept_encoding_q(struct str value, struct str coding)
{
	bool is_identity = str_caseeq(coding, STR("identity"));
	struct str item, name, params;
	int any = -1;

	if (!value.p)
		return 1000;
	value = accept_some(value);
	while (str_list_next(&value, &item)) {
		int q = cond_weigh(item, &name, &params);

		if (q < 0)
			continue;
		if (str_caseeq(cond_coding(name), cond_coding(coding)))
			return q;
		if (str_eq(name, STR("*")))
			any = q;
	}
	/* RFC 9110 12.5.3: "*" stands for what is not named; without it only identity is left, as
	   the last resort. */
	if (any >= 0)
		return any;
	return is_identity ? 1 : 0;
}

/* Whether each parameter of params (a media range's) is among those of the type. */
static int
cond_params_in(struct str params, struct str own)
{
	int n = 0;

	while (params.n > 0 && params.p) {
		struct str param = str_trim(str_split(&params, ';')), rest = own;
		bool is_found = param.n == 0;

		while (rest.p && !is_found)
			is_found = str_caseeq(str_trim(str_split(&rest, ';')), param);
		if (!is_found)
			return -1;
		n += param.n > 0;
	}
	return n;
}

/* How specific a media range is about a type: 0 not at all, then by RFC 9110 12.5.1. */
static int
cond_specific(struct str range, struct str params, struct str type)
{
	struct str name = type, own = type, major;
	int n;

	name = str_trim(str_split(&own, ';'));
	n = cond_params_in(params, own);
	if (n < 0)
		return 0;
	if (str_caseeq(range, name))
		return 3 + n;
	if (str_eq(range, STR("*/*")))
		return 1;
	major = str_split(&name, '/');
	if (range.n == major.n + 2 && str_has_suffix(range, STR("/*")) &&
	    str_caseeq(str_n(range.p, major.n), major))
		return 2;
	return 0;
}

int
accept_q(struct str value, struct str media_type)
{
	struct str item, name, params;
	int best = 0, q_best = 0;
	bool is_any = false;

	if (!value.p)
		return 1000;
	value = accept_some(value);
	while (str_list_next(&value, &item)) {
		int q = cond_weigh(item, &name, &params);
		int specific = q < 0 ? 0 : cond_specific(name, params, media_type);

		is_any = true;
		if (specific > best) {
			best = specific;
			q_best = q;
		}
	}
	/* An empty field says nothing, like an absent one. */
	return is_any ? q_best : 1000;
}
