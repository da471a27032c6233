#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "common/must.h"
#include "modules/auth_cache.h"

enum { AUTH_BLOCK = 64 /* of SHA-256 */ };

struct auth_entry {
	uint8_t mac[AUTH_MAC];
	uint64_t until;
};

static struct auth_entry auth_entries[AUTH_CACHE_SETS][AUTH_CACHE_WAYS];
static uint8_t auth_inner[AUTH_BLOCK], auth_outer[AUTH_BLOCK]; /* the key, padded */
static EVP_MD *auth_sha256;
static EVP_MD_CTX *auth_md;

int
auth_cache_init(void)
{
	uint8_t key[AUTH_BLOCK] = { 0 };

	auth_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	auth_md = EVP_MD_CTX_new();
	if (!auth_sha256 || !auth_md || RAND_bytes(key, AUTH_MAC) != 1)
		return -1;
	for (size_t i = 0; i < AUTH_BLOCK; i++) {
		auth_inner[i] = key[i] ^ 0x36;
		auth_outer[i] = key[i] ^ 0x5c;
	}
	explicit_bzero(key, sizeof(key));
	return 0;
}

void
auth_cache_fini(void)
{
	EVP_MD_CTX_free(auth_md);
	EVP_MD_free(auth_sha256);
	auth_md = NULL;
	auth_sha256 = NULL;
	explicit_bzero(auth_entries, sizeof(auth_entries));
}

void
auth_cache_mac(uint8_t mac[AUTH_MAC], uint64_t version, struct str credentials)
{
	bool ok = EVP_DigestInit_ex(auth_md, auth_sha256, NULL) &&
		  EVP_DigestUpdate(auth_md, auth_inner, AUTH_BLOCK) &&
		  EVP_DigestUpdate(auth_md, &version, sizeof(version)) &&
		  EVP_DigestUpdate(auth_md, credentials.p, credentials.n) &&
		  EVP_DigestFinal_ex(auth_md, mac, NULL) &&
		  EVP_DigestInit_ex(auth_md, auth_sha256, NULL) &&
		  EVP_DigestUpdate(auth_md, auth_outer, AUTH_BLOCK) &&
		  EVP_DigestUpdate(auth_md, mac, AUTH_MAC) &&
		  EVP_DigestFinal_ex(auth_md, mac, NULL);

	must(ok); /* a hash that is not one would let anybody in */
}

bool
auth_cache_has(const uint8_t mac[AUTH_MAC], uint64_t now)
{
	const struct auth_entry *set = auth_entries[mac[0]];
	bool found = false;

	for (int i = 0; i < AUTH_CACHE_WAYS; i++)
		found |= set[i].until > now && CRYPTO_memcmp(set[i].mac, mac, AUTH_MAC) == 0;
	return found;
}

void
auth_cache_put(const uint8_t mac[AUTH_MAC], uint64_t now, uint64_t until)
{
	struct auth_entry *set = auth_entries[mac[0]], *e = set;

	if (until <= now)
		return;
	for (int i = 0; i < AUTH_CACHE_WAYS; i++) {
		if (CRYPTO_memcmp(set[i].mac, mac, AUTH_MAC) == 0) {
			e = &set[i];
			break;
		}
		if (set[i].until < e->until)
			e = &set[i];
	}
	memcpy(e->mac, mac, AUTH_MAC);
	e->until = until;
}
