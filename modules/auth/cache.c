#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include "common/base/must.h"
#include "modules/auth/cache.h"

struct auth_entry {
	uint8_t mac[AUTH_MAC];
	uint64_t until;
};

static struct auth_entry auth_entries[AUTH_CACHE_SETS][AUTH_CACHE_WAYS];
static uint8_t auth_key[AUTH_MAC];
static EVP_MAC_CTX *auth_mac; /* BLAKE2s and not HMAC: OpenSSL 3 allocates for each HMAC */

int
auth_cache_init(void)
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);

	auth_mac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	return auth_mac && RAND_bytes(auth_key, sizeof(auth_key)) == 1 ? 0 : -1;
}

void
auth_cache_fini(void)
{
	EVP_MAC_CTX_free(auth_mac);
	auth_mac = NULL;
	explicit_bzero(auth_key, sizeof(auth_key));
	explicit_bzero(auth_entries, sizeof(auth_entries));
}

void
auth_cache_mac(uint8_t mac[AUTH_MAC], uint64_t version, struct str credentials)
{
	size_t n = 0;
	bool ok = EVP_MAC_init(auth_mac, auth_key, sizeof(auth_key), NULL) &&
		  EVP_MAC_update(auth_mac, (const uint8_t *)&version, sizeof(version)) &&
		  EVP_MAC_update(auth_mac, (const uint8_t *)credentials.p, credentials.n) &&
		  EVP_MAC_final(auth_mac, mac, &n, AUTH_MAC);

	must(ok && n == AUTH_MAC); /* a hash that is not one would let anybody in */
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
