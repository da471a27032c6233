/*
 * The variables of access log formats, a row each with the function that writes the value.
 * Invariants: a writer finds LOGVAR_ROOM bytes of room, which is enough for every value of bounded
 * length; texts of any length ask for their worst case themselves and give NULL when it is not
 * there; whatever a client sends comes out escaped, so that no value holds a newline or a byte
 * outside 0x20..0x7e (in JSON: anything but plain UTF-8, see common/base/utf8.h).
 *
 * Texts that were made once are kept: the time of the present second, decimal octets of IPv4
 * addresses, the text of recent IPv6 addresses. These are statics: one worker is one process.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "modules/log/backend.h"
#include "modules/log/format.h"
#include "modules/log/var.h"
#include "worker/request.h"

enum { LOGVAR_PEERS = 64 };

/* --- texts --- */

typedef unsigned char bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* All bits set in each byte that must be escaped: outside 0x20..0x7e, a quote or a backslash. */
static inline bytes16
logvar_dirt(bytes16 x)
{
	return (bytes16)(((bytes16)(x - 0x20) > 0x5e) | (x == '"') | (x == '\\'));
}

static inline bool
logvar_is_dirty(unsigned char c)
{
	return (unsigned char)(c - 0x20) > 0x5e || c == '"' || c == '\\';
}

static char *
logvar_escape(char *p, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (logvar_is_dirty(c))
			p = utf8_escape(p, c);
		else
			*p++ = (char)c;
	}
	return p;
}

/* Copies 16 bytes and collects what must be escaped in them. */
static inline bytes16
logvar_copy16(char *p, const char *s)
{
	bytes16 x;

	memcpy(&x, s, 16);
	memcpy(p, &x, 16);
	return logvar_dirt(x);
}

/* The same for 4 to 15 bytes, as two words that may overlap. */
static inline bytes16
logvar_copy_short(char *p, struct str s)
{
	bytes16 x = { 0 };
	uint64_t words[2];

	if (s.n >= 8) {
		memcpy(&words[0], s.p, 8);
		memcpy(&words[1], s.p + s.n - 8, 8);
		memcpy(p, &words[0], 8);
		memcpy(p + s.n - 8, &words[1], 8);
	} else {
		uint32_t halves[2];

		memcpy(&halves[0], s.p, 4);
		memcpy(&halves[1], s.p + s.n - 4, 4);
		memcpy(p, &halves[0], 4);
		memcpy(p + s.n - 4, &halves[1], 4);
		words[0] = words[1] = (uint64_t)halves[1] << 32 | halves[0];
	}
	memcpy(&x, words, 16);
	return logvar_dirt(x);
}

/* Copies s as it is; returns false when something in it must be escaped instead. The last 16 bytes
   of a longer text overlap those before. */
static inline bool
logvar_copy(char *p, struct str s)
{
	bytes16 dirt = { 0 };
	size_t i;

	if (s.n >= 16) {
		for (i = 0; i < s.n - 16; i += 16)
			dirt |= logvar_copy16(p + i, s.p + i);
		dirt |= logvar_copy16(p + s.n - 16, s.p + s.n - 16);
	} else if (s.n >= 4) {
		dirt = logvar_copy_short(p, s);
	} else {
		for (i = 0; i < s.n; i++) {
			dirt[0] |= logvar_is_dirty((unsigned char)s.p[i]);
			p[i] = s.p[i];
		}
	}
	return (((words2)dirt)[0] | ((words2)dirt)[1]) == 0;
}

static char *
logvar_some_text(char *p, const struct logline *l, struct str s, bool is_json)
{
	size_t room = (size_t)(l->end - p);

	if (s.n > room / 8 || s.n * 6 + LOGVAR_ROOM > room)
		return NULL;
	if (logvar_copy(p, s))
		return p + s.n;
	return is_json ? p + json_escape(p, s) : logvar_escape(p, s);
}

/* Text of any length; "-" or nothing when it is empty. NULL: not enough room for the worst case. */
static inline char *
logvar_text(char *p, const struct logline *l, struct str s, bool is_json)
{
	if (s.n)
		return logvar_some_text(p, l, s, is_json);
	*p = '-';
	return is_json ? p : p + 1;
}

/* --- numbers and times --- */

static char logvar_pairs[100][2]; /* "00" .. "99" */

/* Negative ones as 0. */
static char *
logvar_u64(char *p, int64_t v)
{
	unsigned u = (unsigned)v;
	const char *high = logvar_pairs[u / 100 % 100], *low = logvar_pairs[u % 100];

	if (v < 0 || v > 9999)
		return p + str_from_u64(p, v < 0 ? 0 : (uint64_t)v);
	if (u >= 1000) {
		memcpy(p, high, 2);
		memcpy(p + 2, low, 2);
		return p + 4;
	}
	if (u >= 100)
		*p++ = high[1];
	if (u >= 10)
		*p++ = low[0];
	*p++ = low[1];
	return p;
}

char *
logvar_put_text(char *p, const struct logline *l, struct str s, bool is_json)
{
	return logvar_text(p, l, s, is_json);
}

char *
logvar_put_number(char *p, int64_t v)
{
	return logvar_u64(p, v);
}

static struct {
	time_t second;
	char clf[32], iso[32], syslog[32], clock[16];
	uint8_t clf_n, iso_n, syslog_n, clock_n;
} logvar_time = { .second = -1 };

/* The texts of a new second, in local time. Month names are those of the C locale. */
static void
logvar_tick(time_t t)
{
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec" };
	typeof(logvar_time) *c = &logvar_time;
	int sign, zone, year;
	struct tm tm;

	c->second = t;
	localtime_r(&t, &tm);
	zone = (int)(tm.tm_gmtoff / 60);
	sign = zone < 0 ? '-' : '+';
	zone = zone < 0 ? -zone : zone;
	year = tm.tm_year + 1900;
	c->clf_n = (uint8_t)snprintf(c->clf, sizeof(c->clf),
	    "%02d/%s/%04d:%02d:%02d:%02d %c%02d%02d", tm.tm_mday, months[tm.tm_mon], year,
	    tm.tm_hour, tm.tm_min, tm.tm_sec, sign, zone / 60, zone % 60);
	c->iso_n = (uint8_t)snprintf(c->iso, sizeof(c->iso),
	    "%04d-%02d-%02dT%02d:%02d:%02d%c%02d:%02d", year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, sign, zone / 60, zone % 60);
	c->syslog_n = (uint8_t)snprintf(c->syslog, sizeof(c->syslog), "%s %2d %02d:%02d:%02d",
	    months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	c->clock_n = (uint8_t)snprintf(
	    c->clock, sizeof(c->clock), "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Defines the function that writes one of the texts of the present second. */
#define LOGVAR_TIME(which)                                                                         \
	static char *logvar_put_##which(                                                           \
	    char *p, const struct logline *l, const struct logstep *step)                          \
	{                                                                                          \
		(void)step;                                                                        \
		if (l->now->wall != logvar_time.second)                                            \
			logvar_tick(l->now->wall);                                                 \
		memcpy(p, logvar_time.which, sizeof(logvar_time.which));                           \
		return p + logvar_time.which##_n;                                                  \
	}
LOGVAR_TIME(clf)
LOGVAR_TIME(iso)
LOGVAR_TIME(syslog)
LOGVAR_TIME(clock)

static char *
logvar_put_status(char *p, const struct logline *l, const struct logstep *step)
{
	unsigned status = (unsigned)l->r->status;

	(void)step;
	*p = (char)('0' + status / 100 % 10);
	memcpy(p + 1, logvar_pairs[status % 100], 2);
	return p + 3;
}

static char *
logvar_put_bytes(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, l->r->sent);
}

static char *
logvar_put_bytes_total(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, l->r->sent_total);
}

static char *
logvar_put_received(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, l->r->received);
}

static char *
logvar_put_duration_us(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, (int64_t)(clock_ns() - l->r->started) / 1000);
}

static char *
logvar_put_duration_ms(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, (int64_t)(clock_ns() - l->r->started) / 1000000);
}

static char *
logvar_put_worker(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, l->now->worker);
}

static char *
logvar_put_request_id(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	for (int shift = 60; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[l->r->id >> shift & 15];
	return p;
}

/* --- for eyes: numbers with units, right-aligned; colours --- */

static char *
logvar_put_size(char *p, const struct logline *l, const struct logstep *step)
{
	static const char units[] = "KMGTPE";
	double v = (double)l->r->sent;
	int u = -1;

	(void)step;
	for (; v >= 1000 && u < 5; u++)
		v /= 1024;
	if (u < 0)
		return p + snprintf(p, 16, "%5d  B", (int)v);
	return p + snprintf(p, 16, "%5.1f %cB", v, units[u]);
}

static char *
logvar_put_took(char *p, const struct logline *l, const struct logstep *step)
{
	double ms = (double)(clock_ns() - l->r->started) / 1e6;

	(void)step;
	return p + (ms < 1000 ? snprintf(p, 32, "%6.1f ms", ms)
			      : snprintf(p, 32, "%6.1f s ", ms / 1e3));
}

static char *
logvar_put_colour(char *p, const struct logline *l, const struct logstep *step)
{
	static const char colours[] =
	    "962631"; /* by class: default, cyan, green, cyan, yellow, red */
	unsigned class = (unsigned)l->r->status / 100;

	(void)step;
	if (!l->now->has_colour)
		return p;
	memcpy(p, "\033[30m", 5);
	p[3] = colours[class < 6 ? class : 0];
	return p + 5;
}

static char *
logvar_put_plain(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	memcpy(p, "\033[0m", 4);
	return l->now->has_colour ? p + 4 : p;
}

/* --- addresses --- */

static struct {
	char s[4];
	uint32_t n;
} logvar_octets[256]; /* "0." .. "255." */

static struct {
	uint8_t addr[16];
	uint8_t n; /* 0: unused */
	char s[INET6_ADDRSTRLEN];
} logvar_peers[LOGVAR_PEERS];

static struct {
	char s[16];
	size_t n;
} logvar_methods[M_OTHER]; /* with a blank behind it */

void
logvar_init(void)
{
	char tmp[8];

	for (int i = 0; i < 100; i++) {
		logvar_pairs[i][0] = (char)('0' + i / 10);
		logvar_pairs[i][1] = (char)('0' + i % 10);
	}
	for (int i = 0; i < M_OTHER; i++) {
		struct str name = http_method_name(i);

		logvar_methods[i].n = name.n + 1;
		memcpy(logvar_methods[i].s, name.p, name.n);
		logvar_methods[i].s[name.n] = ' ';
	}
	for (int i = 0; i < 256; i++) {
		logvar_octets[i].n = (uint32_t)snprintf(tmp, sizeof(tmp), "%d.", i);
		memcpy(logvar_octets[i].s, tmp, 4);
	}
}

static char *
logvar_inet(char *p, const uint8_t addr[4])
{
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++) {
		memcpy(p, logvar_octets[addr[i]].s, 4);
		p += logvar_octets[addr[i]].n;
	}
	return p - 1; /* the last dot */
}

static char *
logvar_inet6(char *p, const uint8_t addr[16])
{
	unsigned h = 0;

	for (int i = 0; i < 16; i++)
		h = h * 31 + addr[i];
	h %= LOGVAR_PEERS;
	if (logvar_peers[h].n == 0 || memcmp(logvar_peers[h].addr, addr, 16) != 0) {
		memcpy(logvar_peers[h].addr, addr, 16);
		inet_ntop(AF_INET6, addr, logvar_peers[h].s, sizeof(logvar_peers[h].s));
		logvar_peers[h].n = (uint8_t)strlen(logvar_peers[h].s);
	}
	memcpy(p, logvar_peers[h].s, sizeof(logvar_peers[h].s));
	return p + logvar_peers[h].n;
}

static char *
logvar_peer(char *p, const struct peer *peer)
{
	if (peer->family == AF_INET)
		return logvar_inet(p, peer->addr);
	if (peer->family == AF_INET6)
		return logvar_inet6(p, peer->addr);
	memcpy(p, "unix:", 5);
	return p + 5;
}

static char *
logvar_put_client(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_peer(p, &l->r->peer);
}

static char *
logvar_put_via(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_peer(p, &l->r->via);
}

static char *
logvar_put_port(char *p, const struct logline *l, const struct logstep *step)
{
	(void)step;
	return logvar_u64(p, l->r->port);
}

/* --- texts of the request --- */

/* As long as a word, so that it is copied as one. */
enum { LOGVAR_PROTOCOL = 8 };
static const char *const logvar_protocols[] = {
	[HTTP_10] = "HTTP/1.0",
	[HTTP_11] = "HTTP/1.1",
	[HTTP_2] = "HTTP/2.0",
};

static inline struct str
logvar_protocol(const struct request *r)
{
	const char *z = r->version <= HTTP_2 ? logvar_protocols[r->version] : NULL;

	return z ? str_n(z, LOGVAR_PROTOCOL) : STR("");
}

/* The method and a blank. A method of the table needs no escape. */
static char *
logvar_method(char *p, const struct logline *l, bool is_json)
{
	const struct request *r = l->r;
	unsigned method = r->asked ? r->asked->method : r->method;

	if (method < M_OTHER) {
		memcpy(p, logvar_methods[method].s, sizeof(logvar_methods[0].s));
		return p + logvar_methods[method].n;
	}
	p = logvar_text(p, l, request_asked_method(r), is_json);
	if (p)
		*p++ = ' ';
	return p;
}

/* "GET /path HTTP/1.1"; "-" when the request line could not be read. */
static char *
logvar_put_request(char *p, const struct logline *l, const struct logstep *step)
{
	const struct request *r = l->r;
	struct str protocol = logvar_protocol(r);

	if (r->method_name.n == 0 || r->target.n == 0)
		return logvar_text(p, l, r->method_name, step->is_json);
	p = logvar_method(p, l, step->is_json);
	if (p)
		p = logvar_text(p, l, r->target, step->is_json);
	if (!p || protocol.n == 0)
		return p;
	*p = ' ';
	memcpy(p + 1, protocol.p, LOGVAR_PROTOCOL);
	return p + 1 + LOGVAR_PROTOCOL;
}

static struct str
logvar_out(const struct request *r, const struct logstep *step)
{
	for (unsigned i = 0; i < r->fields.n; i++) {
		const struct field *f = &r->fields.v[i];

		if (step->field ? f->id == step->field : str_caseeq(f->name, step->name))
			return f->value;
	}
	return STR("");
}

/* Defines the function that writes a text of the request. */
#define LOGVAR_TEXT(which, expr)                                                                   \
	static char *logvar_put_##which(                                                           \
	    char *p, const struct logline *l, const struct logstep *step)                          \
	{                                                                                          \
		const struct request *r = l->r;                                                    \
                                                                                                   \
		return logvar_text(p, l, (expr), step->is_json);                                   \
	}
LOGVAR_TEXT(user, r->user)
LOGVAR_TEXT(method, request_asked_method(r))
LOGVAR_TEXT(target, r->target)
LOGVAR_TEXT(path, r->path)
LOGVAR_TEXT(raw_path, r->raw_path)
LOGVAR_TEXT(query, r->query)
LOGVAR_TEXT(host, r->host)
LOGVAR_TEXT(protocol, logvar_protocol(r))
LOGVAR_TEXT(scheme, r->is_tls ? STR("https") : STR("http"))
LOGVAR_TEXT(referer, req_field(r, HF_REFERER))
LOGVAR_TEXT(user_agent, req_field(r, HF_USER_AGENT))
LOGVAR_TEXT(handler, r->handler)
LOGVAR_TEXT(route, str_of(r->route ? r->route->label : NULL))
LOGVAR_TEXT(site, str_of(r->route ? r->route->site->name : NULL))
LOGVAR_TEXT(why, str_of(r->why))
LOGVAR_TEXT(end, r->is_aborted ? STR("aborted") : STR("ok"))
LOGVAR_TEXT(in, request_asked_field(r, step->field, step->name))
LOGVAR_TEXT(out, logvar_out(r, step))

const struct logvar logvars[] = {
	{ "client", logvar_put_client },
	{ "via", logvar_put_via },
	{ "user", logvar_put_user },
	{ "time", logvar_put_clf },
	{ "time_iso", logvar_put_iso },
	{ "clock", logvar_put_clock },
	{ "request", logvar_put_request },
	{ "method", logvar_put_method },
	{ "target", logvar_put_target },
	{ "path", logvar_put_path },
	{ "raw_path", logvar_put_raw_path },
	{ "query", logvar_put_query },
	{ "protocol", logvar_put_protocol },
	{ "scheme", logvar_put_scheme },
	{ "host", logvar_put_host },
	{ "port", logvar_put_port },
	{ "status", logvar_put_status },
	{ "bytes", logvar_put_bytes },
	{ "bytes_total", logvar_put_bytes_total },
	{ "received", logvar_put_received },
	{ "referer", logvar_put_referer },
	{ "user_agent", logvar_put_user_agent },
	{ "duration_ms", logvar_put_duration_ms },
	{ "duration_us", logvar_put_duration_us },
	{ "request_id", logvar_put_request_id },
	{ "handler", logvar_put_handler },
	{ "site", logvar_put_site },
	{ "route", logvar_put_route },
	{ "worker", logvar_put_worker },
	{ "end", logvar_put_end },
	{ "why", logvar_put_why },
	{ "backend", logbackend_put_host },
	{ "backend_pool", logbackend_put_pool },
	{ "backend_tries", logbackend_put_tries },
	{ "backend_failures", logbackend_put_failures },
	{ "backend_queue_us", logbackend_put_queue },
	{ "backend_connect_us", logbackend_put_connect },
	{ "backend_first_us", logbackend_put_first },
	{ "backend_total_us", logbackend_put_total },
	{ "backend_term", logbackend_put_term },
	{ "backend_reused", logbackend_put_reused },
	{ "backend_json", logbackend_put_json },
	{ "size", logvar_put_size },
	{ "took", logvar_put_took },
	{ "colour", logvar_put_colour },
	{ "plain", logvar_put_plain },
	{ "syslog_time", logvar_put_syslog },
	{ "in:", logvar_put_in },
	{ "out:", logvar_put_out },
	{ NULL, NULL },
};

char *
logvar_nothing(char *p, const struct logline *l, const struct logstep *step)
{
	(void)l;
	(void)step;
	return p;
}
