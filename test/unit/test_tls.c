/*
 * TLS to backends, over a socket pair: the other end is the library's server over memory, to which
 * the test carries octets, all at once or one by one. Certificates are made here.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/gateway/pool/tls.h"
#include "test/unit/unit.h"

Suite *suite_tls(void);

static EVP_PKEY *key;
static X509 *cert;
static char cert_file[] = "/tmp/argand-tls-cert-XXXXXX", key_file[] = "/tmp/argand-tls-key-XXXXXX",
	    other_file[] = "/tmp/argand-tls-key-XXXXXX";
static struct conf_host host;
static struct conf_pool conf;
static struct tls_pool *pool;

/* The server. */
static SSL_CTX *ctx;
static SSL *ssl;
static BIO *to_server, *from_server;
static struct tls *t;
static int sv[2];
static size_t step; /* octets carried at a time */

/* --- certificates --- */

static X509 *
make_cert(EVP_PKEY *k, const char *names)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	X509V3_CTX v3;
	const char *const extensions[][2] = { { "subjectAltName", names },
		{ "basicConstraints", "critical,CA:TRUE" } };

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, k);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"argand test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
	for (int i = 0; i < 2; i++) {
		X509_EXTENSION *e = X509V3_EXT_conf(
		    NULL, &v3, extensions[i][0], (char *)(uintptr_t)extensions[i][1]);

		ck_assert_ptr_nonnull(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	ck_assert_int_gt(X509_sign(x, k, EVP_sha256()), 0);
	return x;
}

/* As the configuration has it. */
static struct str
text_of(const char *name)
{
	static char texts[8][4096];
	static unsigned next;
	char *text = texts[next++ % 8];
	FILE *f = name ? fopen(name, "r") : NULL;
	size_t n = f ? fread(text, 1, 4096, f) : 0;

	if (f)
		fclose(f);
	return str_n(text, n);
}

static FILE *
make_file(char *name)
{
	return fdopen(mkstemp(name), "w");
}

static void
setup_once(void)
{
	EVP_PKEY *other = EVP_EC_gen("P-256");
	FILE *f;

	key = EVP_EC_gen("P-256");
	cert = make_cert(key, "DNS:app.example,IP:10.0.0.3");
	f = make_file(cert_file);
	PEM_write_X509(f, cert);
	fclose(f);
	f = make_file(key_file);
	PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	f = make_file(other_file);
	PEM_write_PrivateKey(f, other, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	EVP_PKEY_free(other);
}

static void
teardown_once(void)
{
	unlink(cert_file);
	unlink(key_file);
	unlink(other_file);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
setup(void)
{
	host = (struct conf_host){ .name = STR("app.example") };
	conf = (struct conf_pool){ .hosts = &host, .nhosts = 1 };
	conf.tls.on = conf.tls.verify = true;
	conf.tls.ca_file = str_of(cert_file);
	conf.tls.ca_text = text_of(cert_file);
	step = 1 << 20;
	ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(ctx, cert);
	SSL_CTX_use_PrivateKey(ctx, key);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"x", 1);
	pool = NULL;
	ssl = NULL;
	t = NULL;
}

/* --- a connection --- */

static void
begin(void)
{
	const char *why = NULL;
	int small = 8192;

	if (!pool)
		pool = tls_pool_new(&conf, &why);
	ck_assert_msg(pool != NULL, "%s", why);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv), 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	ssl = SSL_new(ctx);
	to_server = BIO_new(BIO_s_mem());
	from_server = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(to_server, -1);
	SSL_set_bio(ssl, to_server, from_server);
	SSL_set_accept_state(ssl);
	t = tls_new(pool, &host, sv[0]);
	ck_assert_ptr_nonnull(t);
}

static void
end(void)
{
	tls_free(t);
	SSL_free(ssl);
	t = NULL;
	ssl = NULL;
	close(sv[0]);
	if (sv[1] >= 0)
		close(sv[1]);
}

static void
teardown(void)
{
	if (t)
		end();
	tls_pool_free(pool);
	SSL_CTX_free(ctx);
}

/* Carries octets both ways, at most step each way. */
static void
carry(void)
{
	char buf[32768];
	size_t max = step < sizeof(buf) ? step : sizeof(buf);
	ssize_t n = read(sv[1], buf, max);
	int m;

	if (n > 0)
		ck_assert_int_eq(BIO_write(to_server, buf, (int)n), n);
	m = BIO_read(from_server, buf, (int)max);
	if (m > 0)
		ck_assert_int_eq(write(sv[1], buf, (size_t)m), m);
}

/* The handshake, to its end; its result. */
static int
shake(void)
{
	int progress = TLS_WANTS_READ;

	for (int i = 0; i < 20000; i++) {
		progress = tls_handshake(t);
		if (progress == TLS_DONE || progress == TLS_FAILED)
			break;
		ck_assert_int_eq(progress, TLS_WANTS_READ);
		carry();
		SSL_do_handshake(ssl);
	}
	while (progress == TLS_DONE && !SSL_is_init_finished(ssl)) {
		carry();
		ck_assert_int_ge(SSL_do_handshake(ssl), -1);
	}
	return progress;
}

static void
shaken(void)
{
	begin();
	ck_assert_msg(shake() == TLS_DONE, "%s", tls_why(t));
}

static void
fails(const char *why)
{
	begin();
	ck_assert_int_eq(shake(), TLS_FAILED);
	ck_assert_msg(strstr(tls_why(t), why), "\"%s\" has no \"%s\"", tls_why(t), why);
}

/* What the client reads; NULL: an error, see errno. */
static const char *
reads(void)
{
	static char buf[100];
	ssize_t n = -1;

	for (int i = 0; i < 2000; i++) {
		n = tls_read(t, buf, sizeof(buf) - 1);
		if (n >= 0 || errno != EAGAIN)
			break;
		ck_assert(!tls_wants_write(t));
		carry();
	}
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return buf;
}

/* --- tests --- */

static const size_t steps[] = { 1 << 20, 1, 7 };

START_TEST(both_ways)
{
	struct iovec iov[] = { { (char[]){ "GET " }, 4 }, { (char[]){ "" }, 0 },
		{ (char[]){ "/" }, 1 } };
	char buf[10];
	int n = -1;

	step = steps[_i];
	shaken();
	ck_assert_int_eq(tls_writev(t, iov, 3), 5);
	for (int i = 0; i < 2000 && n < 0; i++) {
		carry();
		n = SSL_read(ssl, buf, sizeof(buf));
	}
	ck_assert_int_eq(n, 5);
	ck_assert_mem_eq(buf, "GET /", 5);
	ck_assert_int_eq(SSL_write(ssl, "hello", 5), 5);
	ck_assert_str_eq(reads(), "hello");
	ck_assert(!tls_pending(t));
	ck_assert_str_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "app.example");
}
END_TEST

/* A record larger than the reader's room. */
START_TEST(pending)
{
	char buf[4];

	shaken();
	ck_assert_int_eq(SSL_write(ssl, "hello", 5), 5);
	carry();
	carry();
	ck_assert_int_eq(tls_read(t, buf, 4), 4);
	ck_assert(tls_pending(t));
	ck_assert_int_eq(tls_read(t, buf, 4), 1);
	ck_assert(!tls_pending(t));
	ck_assert_int_eq(tls_read(t, buf, 4), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

/* Much more than the socket takes, in pieces of all sizes: every octet once and in order. */
START_TEST(much)
{
	enum { SIZE = 300000, PIECES = 5 };
	static const size_t cuts[PIECES] = { 1, 700, 16384, 40000, SIZE };
	static unsigned char data[SIZE], got[SIZE];
	size_t sent = 0, n = 0;
	int stops = 0;

	for (size_t i = 0; i < SIZE; i++)
		data[i] = (unsigned char)(i * 31 + i / 256);
	shaken();
	while (n < SIZE) {
		struct iovec iov[PIECES];
		size_t at = sent;
		ssize_t w;
		int m, count = 0;

		for (; count < PIECES && at < SIZE; count++) {
			size_t part = cuts[(count + (int)(sent % 3)) % PIECES];

			part = part < SIZE - at ? part : SIZE - at;
			/* As the queue of a body, it has each time what is left. */
			iov[count] = (struct iovec){ malloc(part), part };
			memcpy(iov[count].iov_base, data + at, part);
			at += part;
		}
		w = tls_writev(t, iov, count);
		for (int i = 0; i < count; i++)
			free(iov[i].iov_base);
		ck_assert(w >= 0 || errno == EAGAIN);
		stops += w < 0;
		sent += w > 0 ? (size_t)w : 0;
		carry();
		while (n < SIZE && (m = SSL_read(ssl, got + n, (int)(SIZE - n))) > 0)
			n += (size_t)m;
	}
	ck_assert_uint_eq(sent, SIZE);
	ck_assert_mem_eq(data, got, SIZE);
	ck_assert_int_gt(stops, 0);
}
END_TEST

START_TEST(names)
{
	host.name = STR("other.example");
	fails("not trusted");
	end();
	tls_pool_free(pool);
	pool = NULL;
	conf.tls.name = STR("app.example"); /* what is asked for instead */
	shaken();
	ck_assert_str_eq(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "app.example");
	end();
	tls_pool_free(pool);
	pool = NULL;
	conf.tls.name = STR("10.0.0.3");
	shaken();
	ck_assert_ptr_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	end();
	tls_pool_free(pool);
	pool = NULL;
	conf.tls.name = STR("10.0.0.4");
	fails("not trusted");
}
END_TEST

START_TEST(unknown_authority)
{
	conf.tls.ca_file = STR("");
	fails("not trusted");
	end();
	tls_pool_free(pool);
	pool = NULL;
	conf.tls.verify = false;
	host.name = STR("other.example");
	shaken();
}
END_TEST

static int
accept_client(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

START_TEST(client_certificate)
{
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_client);
	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	shaken();
	ck_assert_ptr_null(SSL_get0_peer_certificate(ssl));
	end();
	tls_pool_free(pool);
	pool = NULL;
	conf.tls.certificate = str_of(cert_file);
	conf.tls.certificate_text = text_of(cert_file);
	conf.tls.key = str_of(key_file);
	conf.tls.key_text = text_of(key_file);
	shaken();
	ck_assert_ptr_nonnull(SSL_get0_peer_certificate(ssl));
}
END_TEST

START_TEST(sessions)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	SSL_CTX_set_max_proto_version(ctx, versions[_i]);
	for (int i = 0; i < 4; i++) {
		shaken();
		ck_assert_int_eq(SSL_session_reused(ssl), i > 0);
		ck_assert_int_eq(SSL_write(ssl, "x", 1), 1);
		ck_assert_str_eq(reads(), "x"); /* with the ticket of TLS 1.3 before it */
		if (i == 2) {                   /* cut off: no fault of the session */
			close(sv[1]);
			sv[1] = -1;
			ck_assert_int_eq(tls_read(t, (char[1]){ 0 }, 1), -1);
		}
		end();
	}
}
END_TEST

START_TEST(ends)
{
	shaken();
	SSL_shutdown(ssl);
	ck_assert_str_eq(reads(), "");
	end();
	/* Without close_notify: cut off. */
	shaken();
	ck_assert_int_eq(SSL_write(ssl, "x", 1), 1);
	ck_assert_str_eq(reads(), "x");
	close(sv[1]);
	sv[1] = open("/dev/null", O_RDONLY);
	ck_assert_ptr_null(reads());
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_str_eq(tls_why(t), "closed without close_notify");
}
END_TEST

/* The goodbye is sent. */
START_TEST(goodbye)
{
	char c;

	shaken();
	tls_free(t);
	carry();
	ck_assert_int_eq(SSL_read(ssl, &c, 1), 0);
	ck_assert_int_eq(SSL_get_error(ssl, 0), SSL_ERROR_ZERO_RETURN);
	t = tls_new(pool, &host, sv[0]); /* for the teardown */
}
END_TEST

START_TEST(broken_pipe)
{
	struct iovec iov = { (char[]){ "x" }, 1 };
	ssize_t n = 0;

	shaken();
	close(sv[1]);
	sv[1] = -1;
	for (int i = 0; i < 3 && n >= 0; i++)
		n = tls_writev(t, &iov, 1);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(tls_writev(t, &iov, 1), -1);
	ck_assert_int_eq(errno, EPROTO);
}
END_TEST

START_TEST(garbage)
{
	begin();
	ck_assert_int_eq(tls_handshake(t), TLS_WANTS_READ);
	ck_assert_int_eq(write(sv[1], "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
	ck_assert_int_eq(tls_handshake(t), TLS_FAILED);
	ck_assert_msg(strstr(tls_why(t), "wrong version number"), "%s", tls_why(t));
	end();
	begin();
	close(sv[1]);
	sv[1] = -1;
	ck_assert_int_eq(tls_handshake(t), TLS_FAILED);
	ck_assert_int_gt(strlen(tls_why(t)), 0);
}
END_TEST

/* A pool outlived by a connection. */
START_TEST(order_of_ends)
{
	shaken();
	tls_pool_free(pool);
	pool = NULL;
	ck_assert_int_eq(SSL_write(ssl, "x", 1), 1);
	ck_assert_str_eq(reads(), "x");
}
END_TEST

static const struct file_row {
	const char *ca, *certificate, *key, *why;
	bool is_unix;
} file_rows[] = {
	{ .ca = key_file, .why = key_file }, /* without any certificate */
	{ .ca = cert_file, .certificate = key_file, .key = key_file, .why = key_file },
	{ .ca = cert_file, .certificate = cert_file, .key = cert_file, .why = cert_file },
	{ .ca = cert_file, .certificate = cert_file, .key = other_file, .why = other_file },
	{ .ca = cert_file, .is_unix = true, .why = "tls.name" },
};

START_TEST(files)
{
	const struct file_row *row = &file_rows[_i];
	const char *why = NULL;

	conf.tls.ca_file = str_of(row->ca);
	conf.tls.certificate = str_of(row->certificate);
	conf.tls.key = str_of(row->key);
	conf.tls.ca_text = text_of(row->ca);
	conf.tls.certificate_text = text_of(row->certificate);
	conf.tls.key_text = text_of(row->key);
	host.is_unix = row->is_unix;
	ck_assert_ptr_null(tls_pool_new(&conf, &why));
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, row->why), "\"%s\" has no \"%s\"", why, row->why);
}
END_TEST

Suite *
suite_tls(void)
{
	Suite *s = suite_create("tls");
	TCase *c = tcase_create("tls");

	tcase_add_unchecked_fixture(c, setup_once, teardown_once);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, both_ways, 0, UNIT_COUNT(steps));
	tcase_add_test(c, pending);
	tcase_add_test(c, much);
	tcase_add_test(c, names);
	tcase_add_test(c, unknown_authority);
	tcase_add_test(c, client_certificate);
	tcase_add_loop_test(c, sessions, 0, 2);
	tcase_add_test(c, ends);
	tcase_add_test(c, goodbye);
	tcase_add_test(c, broken_pipe);
	tcase_add_test(c, garbage);
	tcase_add_test(c, order_of_ends);
	tcase_add_loop_test(c, files, 0, UNIT_COUNT(file_rows));
	suite_add_tcase(s, c);
	return s;
}
