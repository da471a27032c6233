#include "common/base/fold.h"
#include "modules/gateway/codec/claim.h"

static const struct claim_row {
	struct str name;
	uint8_t claim;
} claim_rows[] = {
	/* the client's address */
	{ STR_INIT("CF-Connecting-IP"), CLAIM_FRONT },
	{ STR_INIT("CF-Connecting-IPv6"), CLAIM_FRONT },
	{ STR_INIT("CF-Pseudo-IPv4"), CLAIM_FRONT },
	{ STR_INIT("Client-IP"), CLAIM_FRONT },
	{ STR_INIT("CloudFront-Viewer-Address"), CLAIM_FRONT },
	{ STR_INIT("Fastly-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("Fly-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("Forwarded-For"), CLAIM_FRONT },
	{ STR_INIT("Forwarded-For-IP"), CLAIM_FRONT },
	{ STR_INIT("Remote-Addr"), CLAIM_FRONT },
	{ STR_INIT("True-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("WL-Proxy-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("X-AppEngine-User-IP"), CLAIM_FRONT },
	{ STR_INIT("X-Azure-ClientIP"), CLAIM_FRONT },
	{ STR_INIT("X-Azure-SocketIP"), CLAIM_FRONT },
	{ STR_INIT("X-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("X-Cluster-Client-IP"), CLAIM_FRONT },
	{ STR_INIT("X-Envoy-External-Address"), CLAIM_FRONT },
	{ STR_INIT("X-Forwarded"), CLAIM_FRONT },
	{ STR_INIT("X-Original-Forwarded-For"), CLAIM_FRONT },
	{ STR_INIT("X-Originating-IP"), CLAIM_FRONT },
	{ STR_INIT("X-ProxyUser-IP"), CLAIM_FRONT },
	{ STR_INIT("X-Remote-Addr"), CLAIM_FRONT },
	{ STR_INIT("X-Remote-IP"), CLAIM_FRONT },
	/* the scheme */
	{ STR_INIT("CF-Visitor"), CLAIM_FRONT },
	{ STR_INIT("CloudFront-Forwarded-Proto"), CLAIM_FRONT },
	{ STR_INIT("Front-End-Https"), CLAIM_FRONT },
	{ STR_INIT("Https"), CLAIM_FRONT },
	{ STR_INIT("X-Scheme"), CLAIM_FRONT },
	{ STR_INIT("X-Url-Scheme"), CLAIM_FRONT },
	/* the host, the prefix, the URL, the method */
	{ STR_INIT("X-Envoy-Original-Path"), CLAIM_FRONT },
	{ STR_INIT("X-Host"), CLAIM_FRONT },
	{ STR_INIT("X-HTTP-Host-Override"), CLAIM_FRONT },
	{ STR_INIT("X-Original-Host"), CLAIM_FRONT },
	{ STR_INIT("X-Original-Method"), CLAIM_FRONT },
	{ STR_INIT("X-Original-URI"), CLAIM_FRONT },
	{ STR_INIT("X-Original-URL"), CLAIM_FRONT },
	{ STR_INIT("X-Rewrite-URL"), CLAIM_FRONT },
	{ STR_INIT("X-Script-Name"), CLAIM_FRONT },
	/* the client's certificate (RFC 9440 2.4: to be taken out by who terminates TLS) */
	{ STR_INIT("Client-Cert"), CLAIM_FRONT },
	{ STR_INIT("Client-Cert-Chain"), CLAIM_FRONT },
	{ STR_INIT("SSL-Client-Cert"), CLAIM_FRONT },
	{ STR_INIT("SSL-Client-Verify"), CLAIM_FRONT },
	{ STR_INIT("X-ARR-ClientCert"), CLAIM_FRONT },
	{ STR_INIT("X-Client-Cert"), CLAIM_FRONT },
	{ STR_INIT("X-SSL-Cert"), CLAIM_FRONT },
	{ STR_INIT("X-SSL-Client-Cert"), CLAIM_FRONT },
	{ STR_INIT("X-SSL-Client-Verify"), CLAIM_FRONT },
	/* how the server in front sends files that an application names */
	{ STR_INIT("X-Accel-Mapping"), CLAIM_FRONT },
	{ STR_INIT("X-Send-Response-Body-Supported"), CLAIM_FRONT },
	{ STR_INIT("X-Sendfile-Type"), CLAIM_FRONT },
	/* RFC 9113 3.1 */
	{ STR_INIT("HTTP2-Settings"), CLAIM_NEVER },
};

/* Kinds with a row. */
static const uint8_t claim_kinds[HF_MAX] = {
	[HF_FORWARDED] = CLAIM_FRONT,
	[HF_X_FORWARDED_FOR] = CLAIM_FRONT,
	[HF_X_FORWARDED_HOST] = CLAIM_FRONT,
	[HF_X_FORWARDED_PROTO] = CLAIM_FRONT,
	[HF_X_REAL_IP] = CLAIM_FRONT,
};

/* Names that begin so. "Proxy-…" is for the next proxy, of whom the client cannot know. */
static const struct claim_row claim_prefixes[] = {
	{ STR_INIT("X-Forwarded-"), CLAIM_FRONT },
	{ STR_INIT("Proxy-"), CLAIM_NEVER },
};

enum {
	CLAIM_ROWS = sizeof(claim_rows) / sizeof(claim_rows[0]),
	CLAIM_PLACES = 256,
};

/* Rows of both kinds, by hash; n 0: free. */
static struct claim_row claim_places[CLAIM_PLACES];

uint32_t claim_lengths[32];

/* Both ends of a name, folded; everybody may know it. */
static inline unsigned
claim_hash(struct str s)
{
	octets_pair w = (octets_pair)fold_vec(fold_load(s.p, s.n));
	uint64_t h = (w[0] ^ s.n) * 0x9e3779b97f4a7c15 + w[1] * 0xc2b2ae3d27d4eb4f;

	return (unsigned)(h >> 32) % CLAIM_PLACES;
}

enum claim
claim_of(struct str name)
{
	if (name.n == 0)
		return CLAIM_NONE;
	for (unsigned h = claim_hash(name); claim_places[h].name.n > 0;
	     h = (h + 1) % CLAIM_PLACES) {
		if (claim_places[h].name.n == name.n && fold_eq(claim_places[h].name, name))
			return claim_places[h].claim;
	}
	for (size_t i = 0; i < sizeof(claim_prefixes) / sizeof(claim_prefixes[0]); i++) {
		struct str prefix = claim_prefixes[i].name;

		/* Nearly all names differ in the third octet. */
		if (name.n >= prefix.n && (name.p[2] | 0x20) == (prefix.p[2] | 0x20) &&
		    fold_has_prefix(name, prefix))
			return claim_prefixes[i].claim;
	}
	return CLAIM_NONE;
}

enum claim
claim_of_kind(enum http_field id)
{
	return claim_kinds[id];
}

static void
claim_add(struct str name, enum claim claim)
{
	unsigned h = claim_hash(name);

	while (claim_places[h].name.n > 0)
		h = (h + 1) % CLAIM_PLACES;
	claim_places[h] = (struct claim_row){ name, (uint8_t)claim };
}

#define METHOD(id, name, flags)
#define STATUS(code, reason)
#define FIELD(id, name) claim_add(STR(name), claim_kinds[HF_##id] ? CLAIM_FRONT : CLAIM_KNOWN);

__attribute__((constructor)) static void
claim_fill(void)
{
	for (unsigned i = 0; i < CLAIM_ROWS; i++) {
		struct str name = claim_rows[i].name;

		claim_add(name, claim_rows[i].claim);
		claim_lengths[name.p[0] & 31] |= 1u << name.n;
	}
	for (size_t i = 0; i < sizeof(claim_prefixes) / sizeof(claim_prefixes[0]); i++) {
		struct str name = claim_prefixes[i].name;

		claim_lengths[name.p[0] & 31] |= ~0u << name.n;
	}
#include "common/base/http.def"
}

_Static_assert(CLAIM_ROWS + HF_MAX < CLAIM_PLACES / 2, "the hash table is at most half full");
