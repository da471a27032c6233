/*
 * What is never passed on: what the server says itself (Date, Server), what commands it (X-Accel-…,
 * X-Sendfile…), what is the connection's or frames the message (RFC 9110 7.6.1; the codecs have
 * read it), and what the route hides. Besides, in interim heads (RFC 9110 15.2), what only a final
 * answer may decide: cookies, authentication. And in trailers (RFC 9110 6.5.1) everything that a
 * reader may only act on before the content: of the kinds with a row three are harmless.
 */
#include "common/base/fold.h"
#include "modules/gateway/codec/hmap.h"
#include "modules/gateway/codec/sieve.h"

enum { SIEVE_ALL = SIEVE_HEAD | SIEVE_INTERIM | SIEVE_TRAILERS };

/* In which parts a kind is taken out; trailers are sieve_trailers' to say. */
static const uint8_t sieve_marks[HF_MAX] = {
	[HF_CONNECTION] = SIEVE_ALL,
	[HF_CONTENT_LENGTH] = SIEVE_ALL,
	[HF_DATE] = SIEVE_ALL,
	[HF_KEEP_ALIVE] = SIEVE_ALL,
	[HF_PROXY_CONNECTION] = SIEVE_ALL,
	[HF_SERVER] = SIEVE_ALL,
	[HF_SET_COOKIE] = SIEVE_INTERIM,
	[HF_TE] = SIEVE_ALL,
	[HF_TRAILER] = SIEVE_INTERIM,
	[HF_TRANSFER_ENCODING] = SIEVE_ALL,
	[HF_UPGRADE] = SIEVE_INTERIM,
	[HF_WWW_AUTHENTICATE] = SIEVE_INTERIM,
	[HF_X_ACCEL_BUFFERING] = SIEVE_ALL,
	[HF_X_SENDFILE] = SIEVE_ALL,
};

/* RFC 9110 8.8.3, 14.3 allow them. */
static const bool sieve_trailers[HF_MAX] = {
	[HF_OTHER] = true,
	[HF_ACCEPT_RANGES] = true,
	[HF_ETAG] = true,
	[HF_X_REQUEST_ID] = true,
};

/* Kinds without a row that change how a message is read, cached, trusted or answered; a name that
   ends in "-" stands for all that begin so. */
static const struct str sieve_not_trailers[] = {
	STR_INIT("Access-Control-"),
	STR_INIT("Alt-Svc"),
	STR_INIT("Clear-Site-Data"),
	STR_INIT("Content-Security-Policy-Report-Only"),
	STR_INIT("Cookie2"),
	STR_INIT("Cross-Origin-"),
	STR_INIT("If-"),
	STR_INIT("Link"),
	STR_INIT("Max-Forwards"),
	STR_INIT("Pragma"),
	STR_INIT("Proxy-"),
	STR_INIT("Refresh"),
	STR_INIT("Set-Cookie2"),
	STR_INIT("Status"),
	STR_INIT("Strict-Transport-Security"),
	STR_INIT("Surrogate-Control"),
	STR_INIT("Warning"),
	STR_INIT("X-Frame-Options"),
	STR_INIT("X-HTTP-Method-Override"),
};

static bool
sieve_begins(struct str name, const struct str *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].p[list[i].n - 1] == '-' ? fold_has_prefix(name, list[i])
						    : fold_eq(name, list[i]))
			return true;
	}
	return false;
}

#define SIEVE_COUNT(list) (sizeof(list) / sizeof((list)[0]))

bool
sieve_is_command(struct str name)
{
	/* nginx and those who read the same; lighttpd; Apache's mod_xsendfile; Perlbal. */
	static const struct str begins[] = {
		STR_INIT("X-Accel-"),
		STR_INIT("X-LIGHTTPD-"),
		STR_INIT("X-Reproxy-"),
		STR_INIT("X-Send-"),
		STR_INIT("X-Sendfile"),
	};

	if (name.n <= 7 || (name.p[0] | 0x20) != 'x')
		return false;
	for (size_t i = 0; i < SIEVE_COUNT(begins); i++) {
		if (fold_has_prefix(name, begins[i]))
			return true;
	}
	return false;
}

bool
sieve_is_trailer(const struct field *f)
{
	return sieve_trailers[f->id] &&
	       (f->id != HF_OTHER ||
		   !sieve_begins(f->name, sieve_not_trailers, SIEVE_COUNT(sieve_not_trailers)));
}

static bool
sieve_is_hidden(const struct gateway_conf *conf, struct str name)
{
	for (size_t i = 0; i < conf->hide.n; i++) {
		if (fold_eq(conf->hide.v[i], name))
			return true;
	}
	return false;
}

static inline bool
sieve_lets(const struct gateway_conf *conf, const struct field *f, enum sieve_part part)
{
	if (sieve_marks[f->id] & part)
		return false;
	if (f->id == HF_OTHER && sieve_is_command(f->name))
		return false;
	if (part == SIEVE_TRAILERS && !sieve_is_trailer(f))
		return false;
	return conf->hide.n == 0 || !sieve_is_hidden(conf, f->name);
}

void
sieve_response(
    struct request *r, const struct codec_request *q, struct fields *fields, enum sieve_part part)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fields->n; i++) {
		if (!sieve_lets(q->conf, &fields->v[i], part))
			continue;
		if (n != i)
			fields->v[n] = fields->v[i];
		n++;
	}
	fields->n = n;
	if (part != SIEVE_TRAILERS)
		hmap_response(r, q, fields);
}
