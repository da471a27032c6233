/*
 * The variables of access log formats, a row each: a function that writes the value, or one that
 * fetches text to be escaped. Invariants: a writer finds LOGVAR_ROOM octets of room, which is
 * enough for every value of bounded length; texts of any length ask for their worst case themselves
 * and give NULL when it is not there; whatever a client sends comes out escaped, so that no value
 * holds a newline or an octet outside 0x20..0x7e (in JSON: anything but valid UTF-8 without
 * controls).
 *
 * Texts that were made once are kept: the time of the present second, decimal octets of IPv4
 * addresses, the text of recent IPv6 addresses. These are statics: one worker is one process.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/json.h"
#include "modules/logformat.h"
#include "modules/logvar.h"
#include "worker/request.h"

enum { LOGVAR_PEERS = 64 };

/* --- texts --- */

typedef unsigned char octets16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Whether any of 16 octets must be escaped: outside 0x20..0x7e, a quote or a backslash. */
static inline bool
logvar_is_dirty16(const char *s)
{
	octets16 x;
	words2 bad;

	memcpy(&x, s, sizeof(x));
	bad = (words2)((octets16)(x - 0x20) > 0x5e) | (words2)(x == '"') | (words2)(x == '\\');
	return (bad[0] | bad[1]) != 0;
}

static inline bool
logvar_is_dirty(unsigned char c)
{
	return (unsigned char)(c - 0x20) > 0x5e || c == '"' || c == '\\';
}

static char *
logvar_escape(char *p, struct str s)
{
	static const char hex[16] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!logvar_is_dirty(c)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = hex[c >> 4];
		*p++ = hex[c & 15];
	}
	return p;
}

/* Copies while all is clean, 16 octets at a time; the last 16 overlap those before. Returns false
   when something must be escaped; p has room for 16 more than s. */
static inline bool
logvar_copy(char *p, struct str s)
{
	bool dirty = false;

	if (s.n < 16) {
		for (size_t i = 0; i < s.n; i++) {
			dirty |= logvar_is_dirty((unsigned char)s.p[i]);
			p[i] = s.p[i];
		}
		return !dirty;
	}
	for (size_t i = 0; i + 16 <= s.n; i += 16) {
		dirty |= logvar_is_dirty16(s.p + i);
		memcpy(p + i, s.p + i, 16);
	}
	dirty |= logvar_is_dirty16(s.p + s.n - 16);
	memcpy(p + s.n - 16, s.p + s.n - 16, 16);
	return !dirty;
}

/* NULL: not enough room for the worst case. */
static char *
logvar_text(char *p, const struct logline *l, struct str s, bool is_json)
{
	if (s.n == 0) {
		*p = '-';
		return is_json ? p : p + 1;
	}
	if (s.n > (size_t)(l->end - p) / 6 || (size_t)(l->end - p) < s.n * 6 + LOGVAR_ROOM)
		return NULL;
	if (logvar_copy(p, s))
		return p + s.n;
	return is_json ? p + json_escape(p, s) : logvar_escape(p, s);
}

char *
logvar_put_text(char *p, const struct logline *l, const struct logstep *step)
{
	return logvar_text(p, l, step->get(l->r, step), step->is_json);
}

/* --- numbers and times --- */

static char *
logvar_u64(char *p, int64_t v)
{
	return p + str_from_u64(p, v < 0 ? 0 : (uint64_t)v);
}

/* Two decimal digits. */
static char *
logvar_2(char *p, int v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
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
	int status = l->r->status;

	(void)step;
	*p++ = (char)('0' + status / 100 % 10);
	return logvar_2(p, status % 100);
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
	uint8_t n;
} logvar_octets[256]; /* "0." .. "255." */

static struct {
	uint8_t addr[16];
	uint8_t n; /* 0: unused */
	char s[INET6_ADDRSTRLEN];
} logvar_peers[LOGVAR_PEERS];

void
logvar_init(void)
{
	char tmp[8];

	for (int i = 0; i < 256; i++) {
		logvar_octets[i].n = (uint8_t)snprintf(tmp, sizeof(tmp), "%d.", i);
		memcpy(logvar_octets[i].s, tmp, 4);
	}
}

static char *
logvar_inet(char *p, const uint8_t addr[4])
{
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

static const struct str logvar_protocols[] = {
	[HTTP_10] = STR_INIT("HTTP/1.0"),
	[HTTP_11] = STR_INIT("HTTP/1.1"),
	[HTTP_2] = STR_INIT("HTTP/2.0"),
};

static struct str
logvar_protocol(const struct request *r)
{
	return r->version <= HTTP_2 ? logvar_protocols[r->version] : STR("");
}

/* "GET /path HTTP/1.1"; what could not be read is missing from its end. */
static char *
logvar_put_request(char *p, const struct logline *l, const struct logstep *step)
{
	const struct request *r = l->r;
	struct str protocol = logvar_protocol(r);

	p = logvar_text(p, l, r->method_name, step->is_json);
	if (!p || r->target.n == 0)
		return p;
	*p++ = ' ';
	p = logvar_text(p, l, r->target, step->is_json);
	if (!p || protocol.n == 0)
		return p;
	*p = ' ';
	memcpy(p + 1, protocol.p, 8);
	return p + 9;
}

#define LOGVAR_TEXT(which, expr)                                                                   \
	static struct str logvar_get_##which(const struct request *r, const struct logstep *step)  \
	{                                                                                          \
		(void)step;                                                                        \
		return expr;                                                                       \
	}
LOGVAR_TEXT(user, r->user)
LOGVAR_TEXT(method, r->method_name)
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

static struct str
logvar_get_in(const struct request *r, const struct logstep *step)
{
	return step->field ? req_field(r, step->field) : req_field_named(r, step->name);
}

static struct str
logvar_get_out(const struct request *r, const struct logstep *step)
{
	for (unsigned i = 0; i < r->fields.n; i++) {
		const struct field *f = &r->fields.v[i];

		if (step->field ? f->id == step->field : str_caseeq(f->name, step->name))
			return f->value;
	}
	return STR("");
}

const struct logvar logvars[] = {
	{ "client", .put = logvar_put_client },
	{ "via", .put = logvar_put_via },
	{ "user", .get = logvar_get_user },
	{ "time", .put = logvar_put_clf },
	{ "time_iso", .put = logvar_put_iso },
	{ "clock", .put = logvar_put_clock },
	{ "request", .put = logvar_put_request },
	{ "method", .get = logvar_get_method },
	{ "target", .get = logvar_get_target },
	{ "path", .get = logvar_get_path },
	{ "raw_path", .get = logvar_get_raw_path },
	{ "query", .get = logvar_get_query },
	{ "protocol", .get = logvar_get_protocol },
	{ "scheme", .get = logvar_get_scheme },
	{ "host", .get = logvar_get_host },
	{ "port", .put = logvar_put_port },
	{ "status", .put = logvar_put_status },
	{ "bytes", .put = logvar_put_bytes },
	{ "bytes_total", .put = logvar_put_bytes_total },
	{ "received", .put = logvar_put_received },
	{ "referer", .get = logvar_get_referer },
	{ "user_agent", .get = logvar_get_user_agent },
	{ "duration_ms", .put = logvar_put_duration_ms },
	{ "duration_us", .put = logvar_put_duration_us },
	{ "request_id", .put = logvar_put_request_id },
	{ "handler", .get = logvar_get_handler },
	{ "site", .get = logvar_get_site },
	{ "route", .get = logvar_get_route },
	{ "worker", .put = logvar_put_worker },
	{ "end", .get = logvar_get_end },
	{ "why", .get = logvar_get_why },
	{ "size", .put = logvar_put_size },
	{ "took", .put = logvar_put_took },
	{ "colour", .put = logvar_put_colour },
	{ "plain", .put = logvar_put_plain },
	{ "syslog_time", .put = logvar_put_syslog },
	{ "in:", .get = logvar_get_in },
	{ "out:", .get = logvar_get_out },
	{ NULL, NULL, NULL },
};
