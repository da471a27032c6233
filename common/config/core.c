/*
 * The options of the core, as rows like those of any module.
 */
#include <stdlib.h>

#include "config.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/suggest.h"
#include "common/config/build.h"

#define CORE(member)   .offset = offsetof(struct conf_core, member)
#define SERVER(member) .offset = offsetof(struct conf_server_opts, member)
#define LISTEN(member) .offset = offsetof(struct conf_listen_opts, member)

enum { DAY = 86400000, HOUR = 3600000, MINUTE = 60000, SECOND = 1000 };

static const struct cfg_opt error_page_opts[] = {
	{ "status", CFG_INT, CFG_NONEMPTY, offsetof(struct conf_error_page, status), 400, 599, NULL,
	    .help = "The status code that the page is for." },
	{ "path", CFG_STR, CFG_NONEMPTY, offsetof(struct conf_error_page, path),
	    .help = "The URL path of the page in the same site. It is answered like a request for "
		    "that path, with the status kept." },
	{ 0 },
};
static const struct cfg_record error_page_record = { error_page_opts,
	sizeof(struct conf_error_page) };

static const struct cfg_opt core_opts[] = {
	{ "timeout.header", CFG_TIME, CFG_ANY, CORE(timeout_header), SECOND, HOUR, "15s",
	    .help = "How long the head of a request may take, from its first byte to its end. The "
		    "site is not known before the head is complete: the value in server counts." },
	{ "timeout.body", CFG_TIME, CFG_ANY, CORE(timeout_body), SECOND, DAY, "30s",
	    .help = "How long a request body may pause between two bytes." },
	{ "timeout.write", CFG_TIME, CFG_ANY, CORE(timeout_write), SECOND, DAY, "60s",
	    .help = "How long a client may take no byte of a response that waits for it." },
	{ "timeout.keepalive", CFG_TIME, CFG_ANY, CORE(timeout_keepalive), 0, DAY, "75s",
	    .help = "How long an idle connection is kept for another request; 0 closes at once." },
	{ "timeout.linger", CFG_TIME, CFG_ANY, CORE(timeout_linger), 0, 5 * MINUTE, "5s",
	    .help =
		"How long to wait for more bytes, to discard them, after an answer that ends "
		"the connection, so that a client that is still sending gets to see the answer; "
		"six times as long in all." },
	{ "keepalive_requests", CFG_INT, CFG_ANY, CORE(keepalive_requests), 1, INT32_MAX, "10000",
	    .help = "How many requests one connection may carry." },
	{ "min_rate", CFG_SIZE, CFG_ANY, CORE(min_rate), 0, 1 << 30, "240",
	    .help = "Bytes per second that a request body must arrive with, and a response be "
		    "taken with, on average; slower connections are closed. 0 turns it off." },
	{ "min_rate_grace", CFG_TIME, CFG_ANY, CORE(min_rate_grace), 0, HOUR, "20s",
	    .help = "How long a transfer may go on before min_rate is asked for." },
	{ "max_head", CFG_SIZE, CFG_ANY, CORE(max_head), 1024, 1 << 20, "32k",
	    .help = "The largest head of a request, its line and all fields together; 431 beyond. "
		    "The value in server counts." },
	{ "max_line", CFG_SIZE, CFG_ANY, CORE(max_line), 512, 1 << 20, "8k",
	    .help = "The longest request line; 414 beyond. The value in server counts." },
	{ "max_fields", CFG_INT, CFG_ANY, CORE(max_fields), 8, 254, "200",
	    .help = "How many header fields a request may have; 431 beyond. The value in server "
		    "counts." },
	{ "max_body", CFG_SIZE, CFG_ANY, CORE(max_body), 0, INT64_MAX, "1G",
	    .help = "The largest request body; 413 beyond." },
	{ "server_header", CFG_BOOL, CFG_ANY, CORE(server_header), .def = "true",
	    .help = "Whether responses carry the Server field." },
	{ "debug", CFG_BOOL, CFG_ANY, CORE(debug), .def = "false",
	    .help = "Whether error pages show clients on this machine why the request failed; see "
		    "Who is on this machine." },
	{ "error_pages", CFG_RECORDS, CFG_ANY | CFG_MERGE, CORE(error_pages),
	    .record = &error_page_record,
	    .help =
		"Pages of the site's own for error responses. The first that is for the status "
		"is taken. It is asked for with GET (HEAD for HEAD), without the client's body, "
		"conditions and ranges, and shown also where access or auth would refuse its "
		"path. What it leads to in turn (an index file, a try list, a local redirect "
		"of its application) is shown to those only who may ask for that.",
	    .example = "error_pages = ( { status = 404; path = \"/errors/404.html\"; } );" },
	{ 0 },
};

static const struct cfg_opt listen_opts[] = {
	{ "address", CFG_STR, CFG_SHORT | CFG_NONEMPTY, LISTEN(address),
	    .help =
		"\"127.0.0.1:8080\", \"[::1]:8080\", \"*:8080\" or \"8080\" (every address, IPv4 "
		"and IPv6), \"unix:/path\"." },
	{ "backlog", CFG_INT, 0, LISTEN(backlog), 1, 65535, "1024",
	    .help = "How many connections may wait to be accepted, for each socket; the kernel "
		    "bounds it by net.core.somaxconn." },
	{ "defer", CFG_BOOL, 0, LISTEN(defer), .def = "true",
	    .help = "Whether the kernel keeps a TCP connection to itself until its first bytes "
		    "have come, for a second at most (TCP_DEFER_ACCEPT). It saves a connection "
		    "that brings its request a quarter of its cost." },
	{ "mode", CFG_STR, 0, LISTEN(mode), .def = "0660",
	    .help = "The file mode of a Unix socket, in octal." },
	{ "user", CFG_STR, 0, LISTEN(user), .help = "The owner of a Unix socket's file." },
	{ "group", CFG_STR, 0, LISTEN(group), .help = "The group of a Unix socket's file." },
	{ "proxy_protocol", CFG_BOOL, 0, LISTEN(proxy_protocol), .def = "false",
	    .help = "Whether connections begin with a PROXY protocol header (version 1 or 2). It "
		    "is believed from trusted_proxies only; others are closed." },
	{ "site", CFG_STR, 0, LISTEN(site),
	    .help = "The host of the site that answers here for names that no site has. Default: "
		    "the site with host \"*\", else the first one." },
	{ 0 },
};
static const struct cfg_record listen_record = { listen_opts, sizeof(struct conf_listen_opts) };

static const char *const log_level_names[] = { "fatal", "error", "warn", "notice", "info", "debug",
	NULL };

static const struct cfg_opt server_opts[] = {
	{ "listen", CFG_RECORDS, CFG_SERVER | CFG_NONEMPTY, SERVER(listens),
	    .record = &listen_record,
	    .help = "Where to accept connections: an address, a list of addresses, or groups. "
		    "Default: \"*:80\".",
	    .example = "listen = [ \"*:80\", \"unix:/run/argand/http.sock\" ];\n"
		       "listen = ( { address = \"10.0.0.1:8080\"; proxy_protocol = true; } );" },
	{ "user", CFG_STR, CFG_SERVER, SERVER(process.user),
	    .help = "The user that workers run as. Default: as the server was started." },
	{ "group", CFG_STR, CFG_SERVER, SERVER(process.group),
	    .help = "The group that workers run as. Default: the user's own." },
	{ "workers", CFG_INT, CFG_SERVER | CFG_AUTO, SERVER(process.workers), 1, 128, "auto",
	    .help =
		"How many worker processes serve; \"auto\": one for each CPU that the server may "
		"use, affinity and control group quota considered." },
	{ "slots", CFG_INT, CFG_SERVER | CFG_AUTO, SERVER(process.slots), 1, 256, "auto",
	    .help = "Listening sockets for each address, at least as many as there will ever be "
		    "workers; \"auto\": twice the workers, at least 16. A change of this number "
		    "needs a restart." },
	{ "max_connections", CFG_INT, CFG_SERVER, SERVER(process.max_connections), 16, 10000000,
	    "50000",
	    .help = "Connections that one worker holds at most; beyond, it stops accepting." },
	{ "max_files", CFG_INT, CFG_SERVER | CFG_AUTO, SERVER(process.max_files), 64, 100000000,
	    "auto",
	    .help = "The limit of open files wished for (RLIMIT_NOFILE); \"auto\": what "
		    "max_connections needs, as far as the hard limit lets." },
	{ "splice", CFG_BOOL, CFG_SERVER, SERVER(process.splice), .def = "true",
	    .help =
		"Whether large bodies between clients and backends that nobody looks into on "
		"the way are passed on by the kernel (splice(2)) where neither side is "
		"encrypted, through at most 64 pipes in a worker and 512 in all. Where there is "
		"none to be had, they are read and written." },
	{ "drain_timeout", CFG_TIME, CFG_SERVER | CFG_LIVE, SERVER(process.drain_timeout), SECOND,
	    30 * (int64_t)DAY, "1h",
	    .help = "How long workers of an older configuration may take to finish their "
		    "requests after a reload." },
	{ "stop_timeout", CFG_TIME, CFG_SERVER | CFG_LIVE, SERVER(process.stop_timeout), 0, DAY,
	    "30s", .help = "How long a graceful stop waits for requests in flight." },
	{ "max_generations", CFG_INT, CFG_SERVER | CFG_LIVE, SERVER(process.max_generations), 1, 64,
	    "8",
	    .help =
		"How many older configurations may be draining at a time; beyond, the oldest is "
		"cut short." },
	{ "control", CFG_PATH, CFG_SERVER | CFG_NONEMPTY, SERVER(process.control),
	    .def = ARGAND_RUNSTATEDIR "/control.sock",
	    .help = "The socket through which argand reload, status and stop reach the running "
		    "server." },
	{ "pid_file", CFG_PATH, CFG_SERVER, SERVER(process.pid_file),
	    .help = "A file to write the master's process id to. Default: none." },
	{ "error_log", CFG_STR, CFG_SERVER, SERVER(process.error_log), .def = "stderr",
	    .help = "Where messages for the operator go: \"stderr\" or a file. How bytes are "
		    "written that "
		    "do not belong into a log: see LOGGING." },
	{ "log_level", CFG_ENUM, CFG_SERVER | CFG_LIVE, SERVER(process.log_level), .def = "notice",
	    .names = log_level_names, .help = "How much is written to the error log." },
	{ "trusted_proxies", CFG_STRS, CFG_SERVER, SERVER(process.trusted_proxies),
	    .help = "Addresses and networks of proxies that are believed when they give a client's "
		    "address: in PROXY protocol headers, and in header fields. \"private\", "
		    "\"loopback\" and \"unix\" are accepted too.",
	    .example = "trusted_proxies = [ \"10.0.0.0/8\", \"unix\" ];" },
	{ "name", CFG_STR, CFG_SERVER, SERVER(process.name), .def = "Argand",
	    .help = "The value of the Server field in responses." },
	{ "spool.directories", CFG_PATHS, CFG_SERVER | CFG_SHORT | CFG_NONEMPTY,
	    SERVER(process.spool_directories), .def = "/var/tmp",
	    .help = "Where bodies wait that are too large for memory, in files without a name. The "
		    "next one is taken when one is full. Workers must be able to write there.",
	    .example =
		"spool: { directories = [ \"/srv/spool\", \"/var/tmp\" ]; max = \"20G\"; };" },
	{ "spool.max", CFG_SIZE, CFG_SERVER | CFG_SHARE, SERVER(process.spool_max), 0, INT64_MAX,
	    "25%",
	    .help = "Bytes that all bodies of all workers may have there together, requests' and "
		    "responses': a size, or a share of the file systems of the directories. In "
		    "any case 5 % of a file system stay free. Beyond, bodies wait where they come "
		    "from (as with \"stream\"); a request whose body has to be complete gets 507; "
		    "responses leave it a quarter. The error log and the status report it. "
		    "\"none\" or 0: "
		    "as much as there is room for.",
	    .example = "spool: { directories = \"/srv/spool\"; max = \"50%\"; };" },
	{ "resolver", CFG_STRS, CFG_SERVER, SERVER(process.resolvers),
	    .help = "DNS servers to ask for the names of backends, numeric, with or without port. "
		    "Default: those of /etc/resolv.conf. /etc/hosts is read in any case.",
	    .example = "resolver = [ \"127.0.0.1:5353\", \"[2001:db8::53]\" ];" },
	{ 0 },
};

static const struct cfg_opt site_opts[] = {
	{ "host", CFG_STRS, CFG_SITE | CFG_NONEMPTY, offsetof(struct conf_site_opts, hosts),
	    .def = "*",
	    .help =
		"The host names of the site: \"example.org\", \"*.example.org\" (every name below "
		"it), \"*\" (names that no site has).",
	    .example = "host = [ \"example.org\", \"*.example.org\" ];" },
	{ 0 },
};

static const struct cfg_opt route_opts[] = {
	{ "path", CFG_STR, CFG_ROUTE | CFG_NONEMPTY, offsetof(struct conf_route_opts, path),
	    .help =
		"The route is for this path and everything below it: \"/static\" is for /static "
		"and /static/x, not for /statics." },
	{ "exact", CFG_STR, CFG_ROUTE | CFG_NONEMPTY, offsetof(struct conf_route_opts, exact),
	    .help = "The route is for this very path." },
	{ "regex", CFG_REGEX, CFG_ROUTE | CFG_NONEMPTY, offsetof(struct conf_route_opts, regex),
	    .help = "The route is for paths in which this expression (PCRE2) matches.",
	    .example = "regex = \"\\\\.php$\";" },
	{ "methods", CFG_STRS, CFG_ROUTE | CFG_NONEMPTY, offsetof(struct conf_route_opts, methods),
	    .help = "The route is for these methods only; other requests go on to the routes after "
		    "it. GET includes HEAD. Default: all.",
	    .example = "methods = [ \"GET\", \"POST\" ];" },
	{ 0 },
};

const char *const core_top_names[] = { "server", "backends", "sites", "include", NULL };
const char *const core_site_names[] = { "routes", NULL };

const struct module *const *core_modules = modules;
size_t core_modules_n;
static struct opt_table *tables;

void
core_use_modules(const struct module *const *v, size_t n)
{
	core_modules = v;
	core_modules_n = n;
	free(tables);
	tables = NULL;
}

const struct opt_table *
core_tables(size_t *n)
{
	size_t i;

	if (!core_modules_n && core_modules == modules)
		core_modules_n = modules_n;
	*n = core_modules_n + CORE_TABLES;
	if (tables)
		return tables;
	tables = must_calloc(*n, sizeof(*tables));
	for (i = 0; i < core_modules_n; i++)
		tables[i] = (struct opt_table){ core_modules[i]->name, core_modules[i]->opts,
			core_modules[i]->conf_size };
	tables[core_id(CORE_OPTIONS)] =
	    (struct opt_table){ "core", core_opts, sizeof(struct conf_core) };
	tables[core_id(CORE_SERVER)] =
	    (struct opt_table){ "server", server_opts, sizeof(struct conf_server_opts) };
	tables[core_id(CORE_SITE)] =
	    (struct opt_table){ "site", site_opts, sizeof(struct conf_site_opts) };
	tables[core_id(CORE_ROUTE)] =
	    (struct opt_table){ "route", route_opts, sizeof(struct conf_route_opts) };
	return tables;
}

const char *
core_scopes_text(struct cfg_errors *e, unsigned where)
{
	static const char *const names[] = { "server: { }", "a site", "a route" };
	const char *text = "";
	unsigned i, left = where & CFG_ANY;

	for (i = 0; i < 3; i++) {
		if (!(left & (1u << i)))
			continue;
		left &= ~(1u << i);
		text = cfg_errors_printf(e, "%s%s%s", text,
		    !*text ? ""
		    : left ? ", "
			   : " or ",
		    names[i]);
	}
	return text;
}

/* A member of records of one kind; a name that several kinds have says nothing. */
static const char *
core_elsewhere_record(struct cfg_errors *e, struct str name)
{
	const struct cfg_opt *o, *member, *found = NULL;
	const struct opt_table *v;
	size_t i, n, hits = 0;

	v = core_tables(&n);
	for (i = 0; i < n; i++)
		for (o = v[i].opts; o && o->type != CFG_END; o++)
			for (member = o->type == CFG_RECORDS ? o->record->opts : NULL;
			     member && member->type != CFG_END; member++)
				if (str_eq(str_of(member->name), name)) {
					found = o;
					hits++;
				}
	return hits == 1
		   ? cfg_errors_printf(e, "'%.*s' belongs in '%s: { }'", STR_FMT(name), found->name)
		   : NULL;
}

/* An option of pools, and not what others call one of ours. */
static bool
core_is_of_pool(struct str name)
{
	const struct cfg_opt *o;

	for (o = pool_opts; o->type != CFG_END; o++)
		if (str_eq(str_of(o->name), name) || opt_name_after(o, name))
			return !suggest_synonym(name, 0);
	return false;
}

const char *
core_elsewhere(struct cfg_errors *e, struct str name)
{
	const struct opt_table *v;
	const struct cfg_opt *o;
	size_t i, n;

	for (i = 0; core_top_names[i]; i++)
		if (str_eq(str_of(core_top_names[i]), name))
			return cfg_errors_printf(
			    e, "'%s' belongs at the top of the file", core_top_names[i]);
	if (str_eq(name, STR("routes")))
		return "'routes' belongs in a site";
	v = core_tables(&n);
	for (i = 0; i < n; i++)
		for (o = v[i].opts; o && o->type != CFG_END; o++)
			if (str_eq(str_of(o->name), name) || opt_name_after(o, name))
				return cfg_errors_printf(e, "'%.*s' belongs in %s", STR_FMT(name),
				    core_scopes_text(e, o->where));
	if (core_is_of_pool(name))
		return cfg_errors_printf(
		    e, "'%.*s' belongs in a pool: backends: { app: { ... }; };", STR_FMT(name));
	return core_elsewhere_record(e, name);
}
