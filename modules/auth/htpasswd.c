/*
 * Names and password hashes. bcrypt, yescrypt, SHA-512, SHA-256 and MD5 crypt are libcrypt's;
 * $apr1$ and {SHA}, which libcrypt does not know and htpasswd writes, are done here. Passwords in
 * the clear and DES hashes are refused: a line that looks like either is an error, never a login.
 */
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include "common/base/must.h"
#include "modules/auth/htpasswd.h"

struct htpasswd_user {
	struct str name;
	const char *hash;
};

struct htpasswd {
	char *text;
	struct htpasswd_user *users; /* by name */
	size_t n;
};

/* --- verifying --- */

static bool
htpasswd_same(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

static bool
htpasswd_verify_crypt(const char *hash, const char *password)
{
	struct crypt_data *data = must_calloc(1, sizeof(*data));
	const char *got = crypt_r(password, hash, data);
	bool ok = got && *got != '*' && htpasswd_same(got, hash);

	explicit_bzero(data, sizeof(*data));
	free(data);
	return ok;
}

/* {SHA}: base64 of an unsalted SHA-1, 28 characters. */
static bool
htpasswd_verify_sha(const char *hash, const char *password)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[64];
	unsigned n;

	if (!EVP_Digest(password, strlen(password), digest, &n, EVP_sha1(), NULL))
		return false;
	EVP_EncodeBlock((unsigned char *)text, digest, (int)n);
	return htpasswd_same(text, hash + strlen("{SHA}"));
}

enum { APR1_LEN = 16, APR1_SALT = 8, APR1_ROUNDS = 1000, APR1_TEXT = 22 };

struct apr1 {
	EVP_MD_CTX *md;
	struct str password, salt;
	unsigned char digest[APR1_LEN];
};

static void
htpasswd_apr1_add(struct apr1 *c, struct str s)
{
	EVP_DigestUpdate(c->md, s.p, s.n);
}

static struct str
htpasswd_apr1_digest(const struct apr1 *c)
{
	return str_n((const char *)c->digest, sizeof(c->digest));
}

static bool
htpasswd_apr1_first(struct apr1 *c)
{
	struct str pw = c->password;

	if (!EVP_DigestInit_ex(c->md, EVP_md5(), NULL))
		return false;
	htpasswd_apr1_add(c, pw);
	htpasswd_apr1_add(c, c->salt);
	htpasswd_apr1_add(c, pw);
	EVP_DigestFinal_ex(c->md, c->digest, NULL);
	EVP_DigestInit_ex(c->md, EVP_md5(), NULL);
	htpasswd_apr1_add(c, pw);
	htpasswd_apr1_add(c, STR("$apr1$"));
	htpasswd_apr1_add(c, c->salt);
	for (size_t left = pw.n; left > 0; left -= left < APR1_LEN ? left : APR1_LEN)
		htpasswd_apr1_add(c, str_n((char *)c->digest, left < APR1_LEN ? left : APR1_LEN));
	for (size_t bits = pw.n; bits > 0; bits >>= 1)
		htpasswd_apr1_add(c, str_n(bits & 1 ? "" : pw.p, 1));
	return EVP_DigestFinal_ex(c->md, c->digest, NULL);
}

static void
htpasswd_apr1_round(struct apr1 *c, int i)
{
	EVP_DigestInit_ex(c->md, EVP_md5(), NULL);
	htpasswd_apr1_add(c, i & 1 ? c->password : htpasswd_apr1_digest(c));
	if (i % 3)
		htpasswd_apr1_add(c, c->salt);
	if (i % 7)
		htpasswd_apr1_add(c, c->password);
	htpasswd_apr1_add(c, i & 1 ? htpasswd_apr1_digest(c) : c->password);
	EVP_DigestFinal_ex(c->md, c->digest, NULL);
}

/* The digest's bytes in their odd order, six bits to a character, the lowest first. */
static void
htpasswd_apr1_text(const struct apr1 *c, char dst[APR1_TEXT + 1])
{
	static const char digits[] =
	    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	static const uint8_t order[][3] = { { 0, 6, 12 }, { 1, 7, 13 }, { 2, 8, 14 }, { 3, 9, 15 },
		{ 4, 10, 5 } };
	unsigned v;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		v = (unsigned)c->digest[order[i][0]] << 16 | (unsigned)c->digest[order[i][1]] << 8 |
		    c->digest[order[i][2]];
		for (int k = 0; k < 4; k++, v >>= 6)
			*dst++ = digits[v & 63];
	}
	v = c->digest[11];
	*dst++ = digits[v & 63];
	*dst++ = digits[v >> 6];
	*dst = '\0';
}

/* $apr1$salt$text: MD5 crypt under another name. */
static bool
htpasswd_verify_apr1(const char *hash, const char *password)
{
	struct str rest = str_of(hash + strlen("$apr1$"));
	struct apr1 c = { .password = str_of(password), .salt = str_split(&rest, '$') };
	char text[APR1_TEXT + 1];
	bool ok;

	if (!rest.p)
		return false;
	if (c.salt.n > APR1_SALT)
		c.salt.n = APR1_SALT;
	c.md = EVP_MD_CTX_new();
	ok = c.md && htpasswd_apr1_first(&c);
	for (int i = 0; ok && i < APR1_ROUNDS; i++)
		htpasswd_apr1_round(&c, i);
	EVP_MD_CTX_free(c.md);
	if (!ok)
		return false;
	htpasswd_apr1_text(&c, text);
	return htpasswd_same(text, rest.p);
}

static const struct htpasswd_scheme {
	struct str prefix;
	bool (*verify)(const char *hash, const char *password);
} htpasswd_schemes[] = {
	{ STR_INIT("$2y$"), htpasswd_verify_crypt },
	{ STR_INIT("$2b$"), htpasswd_verify_crypt },
	{ STR_INIT("$2a$"), htpasswd_verify_crypt },
	{ STR_INIT("$y$"), htpasswd_verify_crypt },
	{ STR_INIT("$6$"), htpasswd_verify_crypt },
	{ STR_INIT("$5$"), htpasswd_verify_crypt },
	{ STR_INIT("$1$"), htpasswd_verify_crypt },
	{ STR_INIT("$apr1$"), htpasswd_verify_apr1 },
	{ STR_INIT("{SHA}"), htpasswd_verify_sha },
};

static const struct htpasswd_scheme *
htpasswd_scheme(struct str hash)
{
	for (size_t i = 0; i < sizeof(htpasswd_schemes) / sizeof(*htpasswd_schemes); i++)
		if (str_has_prefix(hash, htpasswd_schemes[i].prefix))
			return &htpasswd_schemes[i];
	return NULL;
}

bool
htpasswd_verify(const char *hash, const char *password)
{
	const struct htpasswd_scheme *scheme = htpasswd_scheme(str_of(hash));

	return scheme && scheme->verify(hash, password);
}

/* --- parsing --- */

static int
htpasswd_compare(struct str a, struct str b)
{
	int d = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return d != 0 ? d : (a.n > b.n) - (a.n < b.n);
}

/* By name; lines of one name stay in their order. */
static int
htpasswd_order(const void *a, const void *b)
{
	const struct htpasswd_user *x = a, *y = b;
	int d = htpasswd_compare(x->name, y->name);

	return d != 0 ? d : (x->name.p > y->name.p) - (x->name.p < y->name.p);
}

/* bcrypt of cost 16 takes five seconds; a slip of the finger takes hours. */
static bool
htpasswd_is_bearable(struct str hash)
{
	return hash.p[1] != '2' || hash.n < 6 || memcmp(hash.p + 4, "15", 2) <= 0;
}

/* NULL when the line is good. */
static const char *
htpasswd_judge(struct str name, struct str hash)
{
	if (!hash.p)
		return "no \":\" between name and hash";
	if (name.n == 0 || name.n > HTPASSWD_NAME_MAX)
		return "a name has 1 to 255 characters";
	if (hash.n > HTPASSWD_HASH_MAX)
		return "the hash is too long";
	if (!htpasswd_scheme(hash))
		return "no password hash that is taken here (passwords in the clear and DES are "
		       "not; make "
		       "one with: htpasswd -B)";
	if (!htpasswd_is_bearable(hash))
		return "bcrypt costs beyond 15 take longer than anyone waits";
	return NULL;
}

/* A line without its end, in h->text, which has a byte behind the last line. Columns behind the
   hash are notes. */
static void
htpasswd_line(
    struct htpasswd *h, struct str line, int number, htpasswd_complain *complain, void *arg)
{
	struct str rest, name, hash = { NULL, 0 };
	const char *what;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (str_trim(line).n == 0 || line.p[0] == '#')
		return;
	rest = line;
	name = str_split(&rest, ':');
	if (rest.p)
		hash = str_split(&rest, ':');
	what = htpasswd_judge(name, hash);
	if (what) {
		complain(arg, number, what);
		return;
	}
	h->text[hash.p + hash.n - h->text] = '\0';
	h->users[h->n++] = (struct htpasswd_user){ name, hash.p };
}

struct htpasswd *
htpasswd_parse(struct str text, htpasswd_complain *complain, void *arg)
{
	struct htpasswd *h = must_calloc(1, sizeof(*h));
	struct str rest;
	size_t lines = 1;
	int number = 0;

	h->text = must_malloc(text.n + 1);
	memcpy(h->text, text.p, text.n);
	h->text[text.n] = '\0';
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	h->users = must_calloc(lines, sizeof(*h->users));
	for (rest = str_n(h->text, text.n); rest.p;)
		htpasswd_line(h, str_split(&rest, '\n'), ++number, complain, arg);
	qsort(h->users, h->n, sizeof(*h->users), htpasswd_order);
	return h;
}

void
htpasswd_free(struct htpasswd *h)
{
	if (!h)
		return;
	free(h->users);
	free(h->text);
	free(h);
}

size_t
htpasswd_count(const struct htpasswd *h)
{
	return h->n;
}

const char *
htpasswd_find(const struct htpasswd *h, struct str name)
{
	size_t low = 0, high = h->n;

	while (low < high) { /* the first one that is not before the name */
		size_t mid = low + (high - low) / 2;

		if (htpasswd_compare(h->users[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < h->n && str_eq(h->users[low].name, name) ? h->users[low].hash : NULL;
}

const char *
htpasswd_decoy(const struct htpasswd *h, struct str name)
{
	return h->n > 0 ? h->users[str_hash(name) % h->n].hash : NULL;
}
