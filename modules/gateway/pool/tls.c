/*
 * The one file of the gateway that knows OpenSSL. It moves octets between the library and a
 * descriptor through a BIO of its own (no SIGPIPE, errno kept), and turns the library's answers
 * into those of read() and writev().
 *
 * A record that could not be written whole is inside the library, which wants to be given at least
 * its octets again: `owed` says how many. What the engine gives first is the same as before, so
 * nothing is copied to be kept.
 *
 * Sessions: the last one that each host gave is offered to it the next time, until a handshake with
 * it fails.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/base/must.h"
#include "modules/gateway/pool/tls.h"

enum { TLS_RECORD = 16384, TLS_NAME = 256, TLS_WHY = 256 };

struct tls_pool {
	const struct conf_pool *conf;
	SSL_CTX *ctx;
	SSL_SESSION **sessions; /* by index of conf->hosts; NULL: none */
	size_t nsessions;
	unsigned refs; /* the owner and each connection */
};

struct tls {
	struct tls_pool *pool;
	SSL_SESSION **session; /* its host's place in the pool */
	SSL *ssl;
	int fd;
	int err;                   /* errno of the last call to the system; 0: the end was read */
	size_t owed;               /* octets of a record that has to be written again */
	bool is_shaken, is_broken; /* the handshake is done; nothing works any more */
	bool is_faulty;            /* by the protocol, not because the connection is gone */
	bool read_wants_write, write_wants_read;
	char why[TLS_WHY];
};

/* --- faults --- */

/* The oldest fault in the library's queue, and what was tried. */
static const char *
tls_fault(char *dst, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = !code                    ? NULL
			     : ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code))
						      : ERR_reason_error_string(code);

	snprintf(dst, TLS_WHY, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
	ERR_clear_error();
	return dst;
}

/* --- the BIO --- */

static int
tls_bio_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t sent;

	BIO_clear_retry_flags(b);
	do
		sent = send(t->fd, p, (size_t)n, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	t->err = errno;
	if (sent < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	return (int)sent;
}

static int
tls_bio_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got;

	BIO_clear_retry_flags(b);
	do
		got = recv(t->fd, p, (size_t)n, 0);
	while (got < 0 && errno == EINTR);
	t->err = got == 0 ? 0 : errno;
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	return (int)got;
}

static long
tls_bio_ctrl(BIO *b, int command, long number, void *p)
{
	(void)b;
	(void)number;
	(void)p;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static BIO_METHOD *
tls_bio_method(void)
{
	static BIO_METHOD *m;

	if (m)
		return m;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "argand");
	must(m);
	BIO_meth_set_write(m, tls_bio_write);
	BIO_meth_set_read(m, tls_bio_read);
	BIO_meth_set_ctrl(m, tls_bio_ctrl);
	return m;
}

/* --- pools --- */

/* A session came; TLS 1.3 sends it after the handshake. 1: we keep it. */
static int
tls_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = SSL_get_app_data(ssl);

	SSL_SESSION_free(*t->session);
	*t->session = session;
	return 1;
}

/* The next certificate of a text in PEM; NULL: there is none. */
static X509 *
tls_next_cert(BIO *b)
{
	return PEM_read_bio_X509_AUX(b, NULL, NULL, NULL);
}

static BIO *
tls_text(struct str text)
{
	BIO *b = BIO_new_mem_buf(text.n > 0 ? text.p : "", (int)text.n);

	must(b);
	return b;
}

static const char *
tls_pool_authorities(struct tls_pool *p, char *why)
{
	const struct conf_pool_tls *c = &p->conf->tls;
	X509_STORE *store = SSL_CTX_get_cert_store(p->ctx);
	BIO *b;
	X509 *x;
	int n = 0;

	if (!c->verify)
		return NULL;
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
	if (c->ca_file.n == 0)
		return SSL_CTX_set_default_verify_paths(p->ctx) == 1
			   ? NULL
			   : tls_fault(why, "the system's certificate authorities");
	for (b = tls_text(c->ca_text); (x = tls_next_cert(b)); X509_free(x))
		n += X509_STORE_add_cert(store, x) == 1;
	BIO_free(b);
	if (n == 0)
		return tls_fault(why, c->ca_file.p);
	ERR_clear_error(); /* the end of the text is one */
	return NULL;
}

/* The first certificate is ours, those behind it are its issuers. */
static bool
tls_pool_chain(struct tls_pool *p, struct str text)
{
	BIO *b = tls_text(text);
	X509 *x = tls_next_cert(b);
	bool is_good = x && SSL_CTX_use_certificate(p->ctx, x) == 1;

	X509_free(x);
	while (is_good && (x = tls_next_cert(b)))
		is_good = SSL_CTX_add0_chain_cert(p->ctx, x) == 1;
	BIO_free(b);
	if (is_good)
		ERR_clear_error();
	return is_good;
}

/* Nobody is there to be asked. */
static int
tls_no_password(char *dst, int size, int is_write, void *arg)
{
	(void)dst;
	(void)size;
	(void)is_write;
	(void)arg;
	return -1;
}

static bool
tls_pool_key(struct tls_pool *p, struct str text)
{
	BIO *b = tls_text(text);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, tls_no_password, NULL);
	bool is_good = key && SSL_CTX_use_PrivateKey(p->ctx, key) == 1 &&
		       SSL_CTX_check_private_key(p->ctx) == 1;

	EVP_PKEY_free(key);
	BIO_free(b);
	return is_good;
}

static const char *
tls_pool_certificate(struct tls_pool *p, char *why)
{
	const struct conf_pool_tls *c = &p->conf->tls;

	if (c->certificate.n == 0)
		return NULL;
	if (!tls_pool_chain(p, c->certificate_text))
		return tls_fault(why, c->certificate.p);
	return tls_pool_key(p, c->key_text) ? NULL : tls_fault(why, c->key.p);
}

/* What a host's certificate must say: n 0: nothing can be said of it. */
static struct str
tls_name_of(const struct tls_pool *p, const struct conf_host *host)
{
	if (p->conf->tls.name.n > 0)
		return p->conf->tls.name;
	return host->is_unix ? STR("") : host->name;
}

static const char *
tls_pool_names(struct tls_pool *p)
{
	for (size_t i = 0; i < p->conf->nhosts; i++) {
		struct str name = tls_name_of(p, &p->conf->hosts[i]);

		if (name.n >= TLS_NAME)
			return "a host's name is too long";
		if (name.n == 0 && p->conf->tls.verify)
			return "a Unix socket needs tls.name, or tls.verify = false";
	}
	return NULL;
}

static void
tls_pool_set(SSL_CTX *ctx)
{
	static const unsigned char alpn[] = "\x08http/1.1"; /* RFC 7301 6 */

	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION); /* RFC 8996 */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, tls_new_session);
}

static void
tls_pool_put(struct tls_pool *p)
{
	if (--p->refs > 0)
		return;
	for (size_t i = 0; i < p->nsessions; i++)
		SSL_SESSION_free(p->sessions[i]);
	SSL_CTX_free(p->ctx);
	free(p->sessions);
	free(p);
}

struct tls_pool *
tls_pool_new(const struct conf_pool *conf, const char **why)
{
	static __thread char text[TLS_WHY];
	struct tls_pool *p = must_calloc(1, sizeof(*p));

	ERR_clear_error();
	p->conf = conf;
	p->refs = 1;
	p->nsessions = conf->nhosts;
	p->sessions = must_calloc(conf->nhosts + 1, sizeof(SSL_SESSION *));
	p->ctx = SSL_CTX_new(TLS_client_method());
	must(p->ctx);
	tls_pool_set(p->ctx);
	*why = tls_pool_names(p);
	if (!*why)
		*why = tls_pool_authorities(p, text);
	if (!*why)
		*why = tls_pool_certificate(p, text);
	if (!*why)
		return p;
	tls_pool_put(p);
	return NULL;
}

void
tls_pool_free(struct tls_pool *p)
{
	if (p)
		tls_pool_put(p);
}

/* --- connections --- */

/* RFC 6066 3: no address as a server name. RFC 9110 4.3.4: the name that was asked for, or the
   address, is in the certificate. */
static bool
tls_set_name(struct tls *t, struct str name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	unsigned char address[16];
	char z[TLS_NAME];

	if (name.n == 0 || name.n >= sizeof(z))
		return name.n == 0 && !t->pool->conf->tls.verify;
	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	if (inet_pton(AF_INET, z, address) == 1 || inet_pton(AF_INET6, z, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, z) == 1;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(param, z, name.n) == 1 &&
	       SSL_set_tlsext_host_name(t->ssl, z) == 1;
}

struct tls *
tls_new(struct tls_pool *p, const struct conf_host *host, int fd)
{
	struct tls *t = must_calloc(1, sizeof(*t));
	BIO *b = BIO_new(tls_bio_method());

	must(host >= p->conf->hosts && host < p->conf->hosts + p->conf->nhosts);
	must(b);
	t->pool = p;
	p->refs++;
	t->session = &p->sessions[host - p->conf->hosts];
	t->fd = fd;
	t->ssl = SSL_new(p->ctx);
	must(t->ssl);
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	if (!tls_set_name(t, tls_name_of(p, host))) {
		tls_free(t);
		return NULL;
	}
	if (*t->session)
		SSL_set_session(t->ssl, *t->session);
	return t;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	ERR_clear_error();
	if (t->is_shaken && !t->is_broken)
		SSL_shutdown(t->ssl);
	/* The library holds a session for spoilt that did not end with both goodbyes; RFC
	   5246 7.2.1 no longer does. */
	if (t->is_shaken && !t->is_faulty)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	ERR_clear_error();
	tls_pool_put(t->pool);
	free(t);
}

/* --- the handshake --- */

/* The library said no, for good: what errno is then, and why. */
static int
tls_break(struct tls *t, int error)
{
	t->is_broken = true;
	/* RFC 9112 9.8: an end without close_notify may be an attacker's. */
	if (error == SSL_ERROR_SYSCALL && t->err == 0) {
		snprintf(t->why, sizeof(t->why), "closed without close_notify");
		return ECONNRESET;
	}
	if (error == SSL_ERROR_SYSCALL) {
		snprintf(t->why, sizeof(t->why), "%s", strerror(t->err));
		return t->err;
	}
	t->is_faulty = true;
	tls_fault(t->why, "TLS");
	return EPROTO;
}

/* A session that was refused, or belongs to a host that is no longer what it was. */
static void
tls_forget(struct tls *t)
{
	SSL_SESSION_free(*t->session);
	*t->session = NULL;
}

int
tls_handshake(struct tls *t)
{
	long verdict;
	int n, error;

	ERR_clear_error();
	n = SSL_do_handshake(t->ssl);
	if (n == 1) {
		t->is_shaken = true;
		return TLS_DONE;
	}
	error = SSL_get_error(t->ssl, n);
	if (error == SSL_ERROR_WANT_READ)
		return TLS_WANTS_READ;
	if (error == SSL_ERROR_WANT_WRITE)
		return TLS_WANTS_WRITE;
	verdict = SSL_get_verify_result(t->ssl);
	tls_break(t, error);
	tls_forget(t);
	if (verdict != X509_V_OK)
		snprintf(t->why, sizeof(t->why), "the certificate is not trusted: %s",
		    X509_verify_cert_error_string(verdict));
	else if (error == SSL_ERROR_SYSCALL && t->err == 0)
		snprintf(t->why, sizeof(t->why), "closed during the handshake");
	return TLS_FAILED;
}

const char *
tls_why(const struct tls *t)
{
	return t->why;
}

/* --- octets --- */

/* What a read or write that got nothing returns; *other is set when it waits for the other way. */
static ssize_t
tls_result(struct tls *t, int error, int other, bool *waits_other)
{
	if (error == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
		*waits_other = error == other;
		errno = EAGAIN;
		return -1;
	}
	errno = tls_break(t, error);
	return -1;
}

ssize_t
tls_read(struct tls *t, void *dst, size_t max)
{
	size_t n;

	t->read_wants_write = false;
	if (t->is_broken) {
		errno = EPROTO;
		return -1;
	}
	ERR_clear_error();
	if (SSL_read_ex(t->ssl, dst, max, &n) == 1)
		return (ssize_t)n;
	return tls_result(t, SSL_get_error(t->ssl, 0), SSL_ERROR_WANT_WRITE, &t->read_wants_write);
}

/* The octets to be written from *at in the iov on: pointed at where they lie together, or copied to
   room; at most a record. Returns how many. */
static size_t
tls_gather(const struct iovec *iov, int count, size_t at, char *room, const char **p)
{
	size_t n = 0, part;
	int i = 0;

	for (; i < count && at >= iov[i].iov_len; i++)
		at -= iov[i].iov_len;
	if (i == count)
		return 0;
	*p = (const char *)iov[i].iov_base + at;
	if (iov[i].iov_len - at >= TLS_RECORD)
		return TLS_RECORD;
	if (i + 1 == count)
		return iov[i].iov_len - at;
	*p = room;
	for (; i < count && n < TLS_RECORD; i++, at = 0) {
		part = iov[i].iov_len - at;
		if (part > TLS_RECORD - n)
			part = TLS_RECORD - n;
		memcpy(room + n, (const char *)iov[i].iov_base + at, part);
		n += part;
	}
	return n;
}

/* One record; octets, or -1 and errno. */
static ssize_t
tls_write_record(struct tls *t, const char *p, size_t n)
{
	size_t sent;

	if (n < t->owed) { /* the contract: what was begun comes first again */
		t->is_broken = true;
		snprintf(t->why, sizeof(t->why), "a write was not repeated as it was begun");
	}
	if (t->is_broken) {
		errno = EPROTO;
		return -1;
	}
	n = t->owed > 0 ? t->owed : n;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, p, n, &sent) == 1) {
		t->owed = 0;
		return (ssize_t)sent;
	}
	t->owed = n;
	if (tls_result(t, SSL_get_error(t->ssl, 0), SSL_ERROR_WANT_READ, &t->write_wants_read) == 0)
		errno = EPIPE;
	return -1;
}

ssize_t
tls_writev(struct tls *t, const struct iovec *iov, int count)
{
	char room[TLS_RECORD];
	size_t done = 0, n;
	const char *p = NULL;

	t->write_wants_read = false;
	while ((n = tls_gather(iov, count, done, room, &p)) > 0) {
		ssize_t sent = tls_write_record(t, p, n);

		if (sent < 0)
			return done > 0 ? (ssize_t)done : -1;
		done += (size_t)sent;
	}
	return (ssize_t)done;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->read_wants_write;
}

bool
tls_wants_read(const struct tls *t)
{
	return t->write_wants_read;
}

bool
tls_pending(const struct tls *t)
{
	return SSL_pending(t->ssl) > 0;
}
