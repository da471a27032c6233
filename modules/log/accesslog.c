/*
 * The access log. Formats are compiled in check() (format.c); the log hook writes a line into
 * the open batch of its destination (sink.c), one sink per destination and worker, shared by all
 * routes that log there. At most one second of lines (access_log.flush) and one batch are only in
 * memory: that is what a worker killed by signal 9 takes with it. A reload or a stop loses none.
 */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "common/base/str.h"
#include "common/config/conf.h"
#include "common/segment/heritage.h"
#include "modules/log/format.h"
#include "modules/log/sink.h"
#include "worker/request.h"

enum { ACCESSLOG_LINE = 2048, ACCESSLOG_STOP = 3000, ACCESSLOG_LANE = 32 };

struct accesslog_conf {
	struct str file, format, tag;
	int facility, severity;
	struct cfg_strs skip;
	int64_t buffer, flush;

	/* derived */
	bool is_on;
	unsigned index; /* of the destination in conf->log_files */
	const struct logformat *line;
	uint64_t skip_statuses[16]; /* bit per status, 0..1023 */
};

static const char *const accesslog_facilities[] = { "kern", "user", "mail", "daemon", "auth",
	"syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert",
	"clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	NULL };
static const char *const accesslog_severities[] = { "emerg", "alert", "crit", "err", "warning",
	"notice", "info", "debug", NULL };

#define ACCESSLOG_AT(member) offsetof(struct accesslog_conf, member)

static const struct cfg_opt accesslog_opts[] = {
	{ .name = "access_log.file",
	    .type = CFG_STR,
	    .where = CFG_ANY | CFG_SHORT,
	    .offset = ACCESSLOG_AT(file),
	    .def = "off",
	    .help =
		"Where a line per request goes: a file (its directory must exist), \"stdout\", "
		"\"stderr\", \"|command\" (started by the shell as the user that started the "
		"server; it reads lines from its standard input), \"syslog\" or "
		"\"syslog:/path/of/socket\", or \"off\". Lines are written in batches beside the "
		"event loop, so that a slow disk or reader delays no request; up to 8 MiB wait for "
		"it in each worker, lines beyond are dropped, counted, and reported in the error "
		"log. A reload, an upgrade or a graceful stop loses no line; a worker killed by "
		"signal 9 takes its last batch with it. After moving a file away, send the master "
		"the signal USR1: it opens the file anew.",
	    .example = "access_log = \"/var/log/argand/access.log\";" },
	{ .name = "access_log.format",
	    .type = CFG_STR,
	    .where = CFG_ANY | CFG_NONEMPTY,
	    .offset = ACCESSLOG_AT(format),
	    .def = "combined",
	    .help =
		"\"common\", \"combined\", \"gateway\" (common, and what there is to say of "
		"backends), \"json\", \"short\" (for terminals), or a text with variables: "
		"$client (address) $via (address of the connection's other end) $user $time "
		"$time_iso $clock $request (method, target and protocol) $method $target $path "
		"$raw_path $query $protocol $scheme $host $port $status $bytes (of the body sent) "
		"$bytes_total (with head and framing) $received (body bytes read) $referer "
		"$user_agent $duration_ms $duration_us $request_id $handler $site $route $worker "
		"(process id) $end (ok or aborted) $why (reason of an error) ${in:NAME} (a request "
		"field) ${out:NAME} (a response field) $size and $took (with units) $colour and "
		"$plain (on a terminal) $syslog_time; of requests to backends $backend (the last "
		"host tried) $backend_pool $backend_tries (hosts tried) $backend_failures (why "
		"each attempt but the last failed) $backend_queue_us (waiting for a host) "
		"$backend_connect_us and $backend_first_us (until connected, until the first byte "
		"of the answer, from the start of the last attempt) $backend_total_us "
		"$backend_term (two letters: who ended it and where, see LOGGING) "
		"$backend_reused (1: over a kept connection) $backend_json (all of these as an "
		"object, or null); \"$$\" is a dollar. What is absent is \"-\". "
		"Control characters, quotes, backslashes and bytes above 126 are written as "
		"\\xNN (see LOGGING). A text that begins with \"{\" is taken for JSON: values are "
		"escaped for JSON strings, what is absent is empty (numbers of backends: null). "
		"Fields that "
		"hold secrets "
		"(Authorization, Cookie, Set-Cookie) are refused.",
	    .example = "access_log: { file = \"/var/log/argand/access.log\"; format = \"$client "
		       "$status $duration_ms $request\"; };" },
	{ .name = "access_log.skip",
	    .type = CFG_STRS,
	    .where = CFG_ANY,
	    .offset = ACCESSLOG_AT(skip),
	    .help = "Statuses that are not logged: \"304\", or a class such as \"2xx\".",
	    .example = "access_log: { file = \"/var/log/argand/errors.log\"; skip = [ \"2xx\", "
		       "\"3xx\" ]; };" },
	{ .name = "access_log.facility",
	    .type = CFG_ENUM,
	    .where = CFG_ANY,
	    .offset = ACCESSLOG_AT(facility),
	    .def = "local7",
	    .names = accesslog_facilities,
	    .help = "The facility of lines to syslog." },
	{ .name = "access_log.severity",
	    .type = CFG_ENUM,
	    .where = CFG_ANY,
	    .offset = ACCESSLOG_AT(severity),
	    .def = "info",
	    .names = accesslog_severities,
	    .help = "The severity of lines to syslog." },
	{ .name = "access_log.tag",
	    .type = CFG_STR,
	    .where = CFG_ANY | CFG_NONEMPTY,
	    .offset = ACCESSLOG_AT(tag),
	    .def = "argand",
	    .help = "The name of the program in lines to syslog." },
	{ .name = "access_log.buffer",
	    .type = CFG_SIZE,
	    .where = CFG_SERVER,
	    .offset = ACCESSLOG_AT(buffer),
	    .min = 4096,
	    .max = 4 << 20,
	    .def = "64k",
	    .help = "Bytes of a batch, per destination and worker." },
	{ .name = "access_log.flush",
	    .type = CFG_TIME,
	    .where = CFG_SERVER,
	    .offset = ACCESSLOG_AT(flush),
	    .max = 60000,
	    .def = "1s",
	    .help =
		"How long a line may wait for its batch to fill up. A terminal gets its lines at "
		"once.",
	    .example = "access_log: { file = \"|/usr/local/bin/count\"; flush = \"100ms\"; };" },
	{ .type = CFG_END },
};

/* --- when the configuration is loaded --- */

static bool
accesslog_is_destination(struct str file)
{
	struct str rest = file, word = str_split(&rest, ':');

	if (file.n == 0)
		return false;
	if (str_eq(word, STR("syslog")))
		return !rest.p || rest.n == 0 || (rest.p[0] == '/' && rest.n < 100);
	return file.p[0] == '/' || (file.p[0] == '|' && file.n > 1) ||
	       str_eq(file, STR("stdout")) || str_eq(file, STR("stderr"));
}

/* "304" or "3xx"; false when it is neither. */
static bool
accesslog_skip(struct accesslog_conf *c, struct str word)
{
	bool is_class = word.n == 3 && str_eq(str_n(word.p + 1, 2), STR("xx"));
	uint64_t first, last;

	if (!str_to_u64(is_class ? str_n(word.p, 1) : word, 999, &first))
		return false;
	if (is_class ? first < 1 || first > 5 : first < 100)
		return false;
	first *= is_class ? 100 : 1;
	last = first + (is_class ? 99 : 0);
	for (; first <= last; first++)
		c->skip_statuses[first / 64] |= 1ULL << first % 64;
	return true;
}

/* RFC 3164 4.1 without the host name, as local sockets want it. */
static struct str
accesslog_prefix(const struct accesslog_conf *c, struct arena *a)
{
	if (!str_has_prefix(c->file, STR("syslog")))
		return STR("");
	return arena_printf(
	    a, "<%d>$syslog_time %.*s: ", c->facility * 8 + c->severity, STR_FMT(c->tag));
}

static void
accesslog_check(void *conf, struct cfg_check *check)
{
	struct accesslog_conf *c = conf;
	const char *why = NULL;

	memset(c->skip_statuses, 0, sizeof(c->skip_statuses));
	c->is_on = !str_eq(c->file, STR("off"));
	if (c->is_on && !accesslog_is_destination(c->file)) {
		cfg_error(check, "access_log.file", -1,
		    "write \"/path/of/file\", \"stdout\", \"stderr\", \"|command\", \"syslog\" or "
		    "\"off\"",
		    "\"%.*s\" is no destination for a log", STR_FMT(c->file));
		c->is_on = false;
	}
	if (!http_is_token(c->tag) || str_find(c->tag, '$') >= 0)
		cfg_error(
		    check, "access_log.tag", -1, NULL, "a tag is letters, digits, '-' and '_'");
	c->line =
	    logformat_compile(check->arena, accesslog_prefix(c, check->arena), c->format, &why);
	if (!c->line)
		cfg_error(check, "access_log.format", -1, NULL, "%s", why);
	for (size_t i = 0; i < c->skip.n; i++)
		if (!accesslog_skip(c, c->skip.v[i]))
			cfg_error(check, "access_log.skip", (int)i, "write \"304\" or \"3xx\"",
			    "\"%.*s\" is no status", STR_FMT(c->skip.v[i]));
	if (c->is_on)
		c->index = cfg_log_file(check, c->file);
}

static bool
accesslog_active(const void *conf)
{
	const struct accesslog_conf *c = conf;

	return c->is_on;
}

/* --- in the worker --- */

extern const struct module module_accesslog;

static struct {
	struct logsink **sinks; /* one per destination */
	size_t n;
	unsigned pid;
} accesslog;

/* The settings of the server scope. */
static const struct accesslog_conf *
accesslog_server(const struct conf *conf)
{
	for (size_t i = 0; i < modules_n; i++)
		if (modules[i] == &module_accesslog)
			return conf->server_conf[i];
	must(!"accesslog is in the array of modules");
	return NULL;
}

static int
accesslog_start(const struct conf *conf, struct worker *w)
{
	const struct accesslog_conf *c = accesslog_server(conf);
	const struct heritage *h = worker_heritage(w);

	accesslog.pid = (unsigned)getpid();
	accesslog.n = conf->log_files.n;
	accesslog.sinks = must_calloc(accesslog.n + 1, sizeof(*accesslog.sinks));
	for (size_t i = 0; i < accesslog.n; i++)
		accesslog.sinks[i] = logsink_new(w, conf->log_files.v[i], h->log_fds[i],
		    (size_t)c->buffer, c->flush, ACCESSLOG_LANE + (unsigned)i % ACCESSLOG_LANE);
	return 0;
}

static void
accesslog_stop(struct worker *w)
{
	uint64_t deadline = clock_ms() + ACCESSLOG_STOP;

	(void)w;
	for (size_t i = 0; i < accesslog.n; i++)
		logsink_close(accesslog.sinks[i], deadline);
	free(accesslog.sinks);
	accesslog.sinks = NULL;
	accesslog.n = 0;
}

static void
accesslog_log(struct request *r, const void *conf)
{
	const struct accesslog_conf *c = conf;
	struct logsink *s = accesslog.sinks[c->index];
	struct logformat_now now = { worker_wall(r->w), accesslog.pid, logsink_has_colour(s) };
	unsigned status = (unsigned)r->status;

	if (c->skip_statuses[status / 64 % 16] >> status % 64 & 1)
		return;
	for (size_t want = ACCESSLOG_LINE; want <= LOGSINK_LINE_MAX; want *= 4) {
		size_t room, n;
		char *p = logsink_room(s, want, &room);

		if (!p)
			break;
		n = logformat_put(c->line, r, &now, p, room);
		if (n) {
			logsink_put(s, n);
			return;
		}
	}
	logsink_lose(s);
}

const struct module module_accesslog = {
	.name = "accesslog",
	.help =
	    "Writes a line per request. Options inherit from server to site to route, so a route "
	    "may log elsewhere or not at all.",
	.opts = accesslog_opts,
	.conf_size = sizeof(struct accesslog_conf),
	.check = accesslog_check,
	.active = accesslog_active,
	.start = accesslog_start,
	.stop = accesslog_stop,
	.log = accesslog_log,
};
