/*
 * Checks as octets. A request is composed here, not by the codec, because there is no request of a
 * client behind it: a request line and three fields, or the few variables without which an
 * application cannot answer. Answers are read by the codecs, as those to clients are. What is
 * looked at is bounded (HEALTHCHECK_LOOK octets).
 */
#include <stdio.h>

#include "modules/gateway/pool/healthcheck.h"

enum { HEALTHCHECK_LOOK = 65536, HEALTHCHECK_BLOCK = 4096 };

static const char healthcheck_agent[] = "argand-check";

/* --- what a request says --- */

struct healthcheck_ask {
	struct str method, path, query, host, port;
	const struct conf_pool *pool;
	struct text vars; /* name, value, each with its NUL */
};

/* Host of the request: as configured, else the host's own. */
static struct str
healthcheck_host(const struct conf_pool *pool, const struct conf_host *host)
{
	if (pool->health.host.n)
		return pool->health.host;
	return host->is_unix ? STR("localhost") : host->name;
}

static void
healthcheck_http(struct text *out, const struct healthcheck_ask *ask)
{
	text_printf(out, "%.*s %.*s HTTP/1.1\r\nHost: %.*s%s%.*s\r\n", STR_FMT(ask->method),
	    STR_FMT(ask->pool->health.path), STR_FMT(ask->host), ask->port.n ? ":" : "",
	    STR_FMT(ask->port));
	text_printf(
	    out, "User-Agent: %s\r\nAccept: */*\r\nConnection: close\r\n\r\n", healthcheck_agent);
}

static void
healthcheck_var(struct text *t, const char *name, struct str value)
{
	text_add(t, name, strlen(name) + 1);
	text_add_str(t, value);
	text_add(t, "", 1);
}

/* What RFC 3875 asks for. A FastCGI server finds its script by SCRIPT_NAME and SCRIPT_FILENAME
   (PHP's ping.path too); all others take what follows an empty SCRIPT_NAME. */
static void
healthcheck_vars(struct healthcheck_ask *ask)
{
	bool is_script = ask->pool->protocol == POOL_FASTCGI || ask->pool->protocol == POOL_CGI;
	struct text *t = &ask->vars;

	healthcheck_var(t, "CONTENT_LENGTH", STR("0"));
	if (ask->pool->protocol == POOL_SCGI || ask->pool->protocol == POOL_CGI)
		healthcheck_var(t, "SCGI", STR("1"));
	healthcheck_var(t, "GATEWAY_INTERFACE", STR("CGI/1.1"));
	healthcheck_var(t, "SERVER_PROTOCOL", STR("HTTP/1.1"));
	healthcheck_var(t, "REQUEST_METHOD", ask->method);
	healthcheck_var(t, "REQUEST_URI", ask->pool->health.path);
	healthcheck_var(t, "SCRIPT_NAME", is_script ? ask->path : STR(""));
	if (is_script)
		healthcheck_var(t, "SCRIPT_FILENAME", ask->path);
	else
		healthcheck_var(t, "PATH_INFO", ask->path);
	healthcheck_var(t, "QUERY_STRING", ask->query);
	healthcheck_var(t, "SERVER_NAME", ask->host);
	healthcheck_var(t, "SERVER_PORT", ask->port.n ? ask->port : STR("80"));
	healthcheck_var(t, "SERVER_SOFTWARE", STR("argand"));
	healthcheck_var(t, "REMOTE_ADDR", STR("127.0.0.1"));
	healthcheck_var(t, "HTTP_HOST", ask->host);
	healthcheck_var(t, "HTTP_USER_AGENT", str_of(healthcheck_agent));
}

/* The next name and its value. */
static bool
healthcheck_next_var(struct str *rest, struct str *name, struct str *value)
{
	if (!rest->p || rest->n == 0)
		return false;
	*name = str_split(rest, '\0');
	*value = str_split(rest, '\0');
	return true;
}

/* A netstring of all variables as they stand. */
static void
healthcheck_scgi(struct text *out, const struct healthcheck_ask *ask)
{
	text_printf(out, "%zu:", ask->vars.n);
	text_add(out, ask->vars.p, ask->vars.n);
	text_add(out, ",", 1);
}

static void
healthcheck_uwsgi(struct text *out, const struct healthcheck_ask *ask)
{
	struct str rest = { ask->vars.p, ask->vars.n }, s[2];
	struct text t = { 0 };

	while (healthcheck_next_var(&rest, &s[0], &s[1]))
		for (int i = 0; i < 2; i++) {
			text_add(&t, (char[]){ (char)s[i].n, (char)(s[i].n >> 8) }, 2);
			text_add_str(&t, s[i]);
		}
	text_add(out, (char[]){ 0, (char)t.n, (char)(t.n >> 8), 0 }, 4);
	text_add(out, t.p, t.n);
	text_free(&t);
}

/* One record of request 1, without padding. */
static void
healthcheck_record(struct text *out, char type, const char *p, size_t n)
{
	text_add(out, (char[]){ 1, type, 0, 1, (char)(n >> 8), (char)n, 0, 0 }, 8);
	text_add(out, p, n);
}

static void
healthcheck_fastcgi(struct text *out, const struct healthcheck_ask *ask)
{
	enum { BEGIN = 1, PARAMS = 4, STDIN = 5 };
	static const char responder[8] = { 0, 1, 0 };
	struct str rest = { ask->vars.p, ask->vars.n }, s[2];
	struct text t = { 0 };

	while (healthcheck_next_var(&rest, &s[0], &s[1])) {
		for (int i = 0; i < 2; i++)
			text_add(&t,
			    (char[]){ (char)(s[i].n >> 24 | 0x80), (char)(s[i].n >> 16),
				(char)(s[i].n >> 8), (char)s[i].n },
			    4);
		text_add_str(&t, s[0]);
		text_add_str(&t, s[1]);
	}
	healthcheck_record(out, BEGIN, responder, sizeof(responder));
	healthcheck_record(out, PARAMS, t.p, t.n);
	healthcheck_record(out, PARAMS, "", 0);
	healthcheck_record(out, STDIN, "", 0);
	text_free(&t);
}

static void
healthcheck_ajp_str(struct text *t, struct str s)
{
	text_add(t, (char[]){ (char)(s.n >> 8), (char)s.n }, 2);
	text_add_str(t, s);
	text_add(t, "", 1);
}

/* A FORWARD_REQUEST with one field, Host. Methods have numbers. */
static void
healthcheck_ajp(struct text *out, const struct healthcheck_ask *ask)
{
	enum { FORWARD = 2, OPTIONS = 1, GET = 2, HEAD = 3, HOST = 0x0b, QUERY = 5, SECRET = 12 };
	struct text t = { 0 };
	uint64_t port = 80;
	char method = str_eq(ask->method, STR("HEAD"))      ? HEAD
		      : str_eq(ask->method, STR("OPTIONS")) ? OPTIONS
							    : GET;

	str_to_u64(ask->port, 65535, &port);
	text_add(&t, (char[]){ FORWARD, method }, 2);
	healthcheck_ajp_str(&t, STR("HTTP/1.1"));
	healthcheck_ajp_str(&t, ask->path);
	healthcheck_ajp_str(&t, STR("127.0.0.1"));
	healthcheck_ajp_str(&t, STR("localhost"));
	healthcheck_ajp_str(&t, ask->host);
	text_add(&t, (char[]){ (char)(port >> 8), (char)port, 0, 0, 1, (char)0xa0, HOST }, 7);
	healthcheck_ajp_str(&t, ask->host);
	if (ask->query.n) {
		text_add(&t, (char[]){ QUERY }, 1);
		healthcheck_ajp_str(&t, ask->query);
	}
	if (ask->pool->secret.n) {
		text_add(&t, (char[]){ SECRET }, 1);
		healthcheck_ajp_str(&t, ask->pool->secret);
	}
	text_add(&t, "\xff", 1);
	text_add(out, (char[]){ 0x12, 0x34, (char)(t.n >> 8), (char)t.n }, 4);
	text_add(out, t.p, t.n);
	text_free(&t);
}

static void (*const healthcheck_put[])(struct text *, const struct healthcheck_ask *) = {
	[POOL_FASTCGI] = healthcheck_fastcgi,
	[POOL_SCGI] = healthcheck_scgi,
	[POOL_UWSGI] = healthcheck_uwsgi,
	[POOL_HTTP] = healthcheck_http,
	[POOL_AJP] = healthcheck_ajp,
	[POOL_CGI] = healthcheck_scgi,
};

static void
healthcheck_request(struct healthcheck *h, const struct conf_host *host)
{
	const struct conf_pool *pool = h->pool;
	struct healthcheck_ask ask = { .method = pool->health.method, .pool = pool };
	struct str rest = pool->health.path;
	char port[20];

	ask.path = str_split(&rest, '?');
	ask.query = rest.p ? rest : STR("");
	if (ask.method.n == 0)
		ask.method = STR("GET");
	ask.host = healthcheck_host(pool, host);
	if (!host->is_unix && !pool->health.host.n)
		ask.port = str_n(port, str_from_u64(port, (uint64_t)host->port));
	h->response = (struct codec_response){ .arena = &h->arena,
		.max_head = (uint32_t)pool->max_head,
		.is_head = str_eq(ask.method, STR("HEAD")) };
	healthcheck_vars(&ask);
	healthcheck_put[pool->protocol](&h->out, &ask);
	text_free(&ask.vars);
}

/* The codec puts its question into a body; a few octets. */
static void
healthcheck_ping(struct healthcheck *h, struct worker *w)
{
	struct body b;
	char *p = text_room(&h->out, HEALTHCHECK_BLOCK);
	ssize_t n;

	body_init(&b, w);
	h->codec->ping(&b);
	n = body_take(&b, p, HEALTHCHECK_BLOCK);
	h->out.n += n > 0 ? (size_t)n : 0;
	body_fini(&b);
}

void
healthcheck_init(struct healthcheck *h, struct worker *w, const struct conf_pool *pool,
    const struct conf_host *host)
{
	*h = (struct healthcheck){ .pool = pool, .codec = codec_of(pool->protocol) };
	arena_init(&h->arena, NULL, 0);
	if (pool->health.path.n) {
		h->kind = HEALTHCHECK_REQUEST;
		healthcheck_request(h, host);
	} else if (h->codec->ping) {
		h->kind = HEALTHCHECK_PING;
		healthcheck_ping(h, w);
	}
}

void
healthcheck_fini(struct healthcheck *h)
{
	text_free(&h->out);
	text_free(&h->in);
	arena_fini(&h->arena);
}

/* --- what comes back --- */

static enum healthcheck_verdict __attribute__((format(printf, 2, 3)))
healthcheck_bad(struct healthcheck *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(h->why, sizeof(h->why), fmt, ap);
	va_end(ap);
	return HEALTHCHECK_BAD;
}

static enum healthcheck_verdict
healthcheck_head(struct healthcheck *h)
{
	unsigned status = (unsigned)h->response.status;
	const uint64_t *bits = h->pool->health.status_bits;

	if (status >= 8 * sizeof(h->pool->health.status_bits) ||
	    !(bits[status / 64] >> status % 64 & 1))
		return healthcheck_bad(h, "status %u", status);
	return h->pool->health.body.n ? HEALTHCHECK_MORE : HEALTHCHECK_GOOD;
}

static enum healthcheck_verdict
healthcheck_data(struct healthcheck *h, struct str data)
{
	struct str wanted = h->pool->health.body;
	size_t room = HEALTHCHECK_LOOK - h->in.n;

	text_add(&h->in, data.p, data.n < room ? data.n : room);
	if (memmem(h->in.p, h->in.n, wanted.p, wanted.n))
		return HEALTHCHECK_GOOD;
	if (h->in.n == HEALTHCHECK_LOOK)
		return healthcheck_bad(
		    h, "the text is not in the first %u octets", HEALTHCHECK_LOOK);
	return HEALTHCHECK_MORE;
}

static enum healthcheck_verdict
healthcheck_event(struct healthcheck *h, enum codec_event event)
{
	switch (event) {
	case CODEC_HEAD:
		return healthcheck_head(h);
	case CODEC_DATA:
		return healthcheck_data(h, h->response.data);
	case CODEC_END:
		return healthcheck_bad(h, "the text is not in the answer");
	case CODEC_ERROR:
		return healthcheck_bad(h, "%s", h->response.why ? h->response.why : "no answer");
	default: /* interim answers, error output, credit for a body: not our business */
		return HEALTHCHECK_MORE;
	}
}

static enum healthcheck_verdict
healthcheck_response(struct healthcheck *h, const char *p, size_t n)
{
	enum healthcheck_verdict verdict;
	enum codec_event event;
	size_t used = 0;

	do {
		event = h->codec->input(h->state, &h->response, p, n, &used);
		p += used;
		n -= used;
		verdict = healthcheck_event(h, event);
	} while (verdict == HEALTHCHECK_MORE && event != CODEC_MORE);
	return verdict;
}

enum healthcheck_verdict
healthcheck_input(struct healthcheck *h, const char *p, size_t n)
{
	int pong;

	if (h->kind == HEALTHCHECK_REQUEST)
		return healthcheck_response(h, p, n);
	if (h->in.n + n > HEALTHCHECK_LOOK)
		return healthcheck_bad(h, "the answer to the ping does not end");
	text_add(&h->in, p, n);
	pong = h->codec->pong(h->in.p, h->in.n);
	if (pong < 0)
		return healthcheck_bad(h, "the answer to the ping is none");
	return pong ? HEALTHCHECK_GOOD : HEALTHCHECK_MORE;
}

enum healthcheck_verdict
healthcheck_eof(struct healthcheck *h)
{
	enum healthcheck_verdict verdict;

	if (h->kind == HEALTHCHECK_PING)
		return healthcheck_bad(h, "the connection was closed without an answer");
	verdict = healthcheck_event(h, h->codec->eof(h->state, &h->response));
	return verdict == HEALTHCHECK_MORE ? healthcheck_bad(h, "the answer was cut") : verdict;
}

enum healthcheck_verdict
healthcheck_silence(struct healthcheck *h)
{
	/* FastCGI applications need not answer questions about themselves, and one that is busy
	   cannot: that it took the connection and kept it has to do. */
	if (h->kind == HEALTHCHECK_PING && h->pool->protocol == POOL_FASTCGI && h->in.n == 0)
		return HEALTHCHECK_GOOD;
	return healthcheck_bad(h, "no answer in time");
}
