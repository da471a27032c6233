/*
 * Affinity: see affinity.h.
 */
#include "modules/gateway/pool/affinity.h"

/* The value of a cookie of the request (RFC 6265 5.4); p NULL: there is none. */
static struct str
affinity_cookie(const struct request *r, struct str name)
{
	for (unsigned i = 0; i < r->in.n; i++) {
		struct str rest = r->in.v[i].value;

		if (r->in.v[i].id != HF_COOKIE)
			continue;
		while (rest.p) {
			struct str value = str_trim(str_split(&rest, ';'));
			struct str key = str_split(&value, '=');

			if (value.p && str_eq(key, name))
				return value;
		}
	}
	return (struct str){ NULL, 0 };
}

static struct str
affinity_key_text(const struct conf_pool *conf, struct request *r)
{
	switch ((enum pool_key)conf->hash_by) {
	case KEY_URI:
		return r->target;
	case KEY_PATH:
		return r->path;
	case KEY_CLIENT:
		return peer_text(&r->arena, &r->peer);
	case KEY_HEADER:
		return req_field_named(r, conf->hash_name);
	case KEY_COOKIE:
		return affinity_cookie(r, conf->hash_name);
	}
	return r->target;
}

uint64_t
affinity_key(const struct conf_pool *conf, struct request *r)
{
	struct str key = affinity_key_text(conf, r);

	/* Clients without such a header or cookie are distinguished by their address. */
	if (key.n == 0)
		key = peer_text(&r->arena, &r->peer);
	return bpool_hash(key, conf->hash_by == KEY_CLIENT ? 0 : bpool_hash(r->host, 0));
}

static unsigned
affinity_digit(char c)
{
	return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
	       : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
				      : 16;
}

uint64_t
affinity_host(const struct conf_pool *conf, const struct request *r)
{
	struct str value = affinity_cookie(r, conf->sticky);
	uint64_t hash = 0;

	if (value.n != 16)
		return 0;
	for (size_t i = 0; i < value.n; i++) {
		unsigned d = affinity_digit(value.p[i]);

		if (d == 16)
			return 0;
		hash = hash << 4 | d;
	}
	return hash;
}

void
affinity_set(const struct conf_pool *conf, struct request *r, const struct bhost *host)
{
	struct str age = { "", 0 };

	if (conf->sticky.n == 0 || affinity_host(conf, r) == host->hash)
		return;
	if (conf->sticky_max_age > 0)
		age = arena_printf(
		    &r->arena, "; Max-Age=%lld", (long long)conf->sticky_max_age / 1000);
	res_field(r, HF_SET_COOKIE,
	    arena_printf(&r->arena, "%.*s=%016llx; Path=/; HttpOnly; SameSite=Lax%s%.*s",
		STR_FMT(conf->sticky), (unsigned long long)host->hash, r->is_tls ? "; Secure" : "",
		STR_FMT(age)));
}
