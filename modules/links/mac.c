#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "common/base/must.h"
#include "modules/links/mac.h"

static void
links_mac_hex(struct links_mac *m, const unsigned char *v, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	m->n = 0;
	for (size_t i = 0; i < n; i++) {
		m->text[m->n++] = digits[v[i] >> 4];
		m->text[m->n++] = digits[v[i] & 15];
	}
}

/* RFC 4648 5, without padding. */
static void
links_mac_base64(struct links_mac *m, const unsigned char *v, size_t n)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned bits = 0, have = 0;

	m->n = 0;
	for (size_t i = 0; i < n; i++) {
		bits = (bits << 8 | v[i]) & 0xffff;
		for (have += 8; have >= 6; have -= 6)
			m->text[m->n++] = digits[bits >> (have - 6) & 63];
	}
	if (have > 0)
		m->text[m->n++] = digits[bits << (6 - have) & 63];
}

void
links_mac_md5(struct links_mac *m, struct str text, bool is_hex)
{
	unsigned char v[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	must(EVP_Digest(text.p, text.n, v, &n, EVP_md5(), NULL) == 1 && n == 16);
	if (is_hex)
		links_mac_hex(m, v, n);
	else
		links_mac_base64(m, v, n);
}

void
links_mac_hmac(struct links_mac *m, enum links_hash hash, struct str secret, struct str text)
{
	const EVP_MD *md = hash == LINKS_HMAC_SHA1 ? EVP_sha1() : EVP_sha256();
	unsigned char v[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	must(HMAC(md, secret.p, (int)secret.n, (const unsigned char *)text.p, text.n, v, &n));
	must(n == (hash == LINKS_HMAC_SHA1 ? 20 : 32));
	links_mac_base64(m, v, n);
}

bool
links_mac_is(const struct links_mac *m, struct str sent)
{
	return sent.n == m->n && CRYPTO_memcmp(sent.p, m->text, m->n) == 0;
}
