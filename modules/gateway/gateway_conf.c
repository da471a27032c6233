/*
 * The options of gateways, what follows from them, and what cannot work. What scripts are called by
 * (root, split, index, prefix, check) has defaults that depend on the pool's protocol and on the
 * route, so that the common cases are one line: see gateway_check_scripts().
 */
#include "common/base/fold.h"
#include "common/base/http.h"
#include "common/config/conf.h"
#include "modules/gateway/codec/claim.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/pool/tls.h"
#include "modules/gateway/scripts.h"
#include "modules/gateway/sendfile.h"
#include "modules/gateway/uploadconf.h"

#define GATEWAY(member) offsetof(struct gateway_conf, member)

enum { KIB = 1 << 10, GIB = 1 << 30 };

static const char *const gateway_requests[] = { "auto", "buffer", "spool", "stream", NULL };
static const char *const gateway_responses[] = { "spool", "stream", "buffer", NULL };
static const char *const gateway_field_names[] = { "plain", "any", NULL };

const struct cfg_opt gateway_opts[] = {
	{ "gateway.backend", CFG_STR, CFG_ANY | CFG_SHORT, GATEWAY(backend),
	    .help = "The pool that requests go to: its name, or a URL for a pool of one host: "
		    "\"http://127.0.0.1:3000\", \"https://app.example\", "
		    "\"fastcgi://unix:/run/php/php8.2-fpm.sock\", \"scgi://…\", \"uwsgi://…\", "
		    "\"ajp://…\". \"off\": none, in a route of a site that has one.",
	    .example = "gateway = \"http://127.0.0.1:3000\";\n"
		       "{ regex = \"\\\\.php(/|$)\"; gateway = \"php\"; }\n"
		       "gateway: { backend = \"php\"; front = \"/index.php\"; };" },
	{ "gateway.authorizer", CFG_STR, CFG_ANY, GATEWAY(authorizer),
	    .help =
		"A FastCGI pool that is asked before anything answers, files too: with status 200 "
		"the request goes on, and what the application says in fields "
		"\"Variable-NAME\" is in the environment; any other answer is the client's. "
		"\"off\": none." },
	{ "gateway.request_body", CFG_ENUM, CFG_ANY, GATEWAY(request_body), .def = "auto",
	    .names = gateway_requests,
	    .help =
		"\"buffer\": the backend is contacted when the body is complete; \"spool\": at "
		"once, and what it cannot take yet goes to disk; \"stream\": at once, and the "
		"client waits for the backend. \"auto\": the body is looked at while its first "
		"256 KiB arrive, for at most 0.1 s, and once more a second later; the backend is "
		"contacted, and the rest passes the disk by, when the rest is due within a second "
		"at "
		"the rate seen or the rate is at least 8 MiB/s; else it is waited for as with "
		"\"buffer\". Up to 64 KiB of a body stay in memory; one that is waited for longer "
		"than 0.1 s goes to disk unless it is below 4 KiB." },
	{ "gateway.upload.directory", CFG_STR, CFG_ANY | CFG_SHORT, GATEWAY(upload.directory),
	    .help = "Uploads are handed to the application as files: the body of a request is "
		    "stored in this directory, whatever request_body says, and the application "
		    "is told of path, size, name, type and SHA-256 in place of the bytes (see "
		    "UPLOADS AS FILES). It renames a file to keep it; what it leaves is removed "
		    "when the request ends. \"off\": not here.",
	    .example = "gateway: { backend = \"php\"; upload = \"/var/lib/app/uploads\"; };" },
	{ "gateway.upload.mode", CFG_STR, CFG_ANY, GATEWAY(upload.mode_text), .def = "0640",
	    .help = "The mode of such files, in octal." },
	{ "gateway.upload.group", CFG_STR, CFG_ANY | CFG_NONEMPTY, GATEWAY(upload.group_text),
	    .help = "Their group; the server's user must be in it. Default: the server's own, or "
		    "that of a directory with the set-group-id bit." },
	{ "gateway.upload.max_file", CFG_SIZE, CFG_ANY, GATEWAY(upload.max_file), 1, INT64_MAX,
	    "1G", .help = "The largest file; beyond: 413. All of a body is bounded by max_body." },
	{ "gateway.upload.max_parts", CFG_INT, CFG_ANY, GATEWAY(upload.max_parts), 1, 10000, "100",
	    .help = "How many parts a form may have, files and other fields; beyond: 413." },
	{ "gateway.upload.max_fields", CFG_SIZE, CFG_ANY, GATEWAY(upload.max_fields), KIB,
	    64 * KIB *KIB, "1M",
	    .help = "How large the fields that are no files may be together, percent-encoded; "
		    "they are kept in memory; beyond: 413." },
	{ "gateway.upload.max_head", CFG_SIZE, CFG_ANY, GATEWAY(upload.max_head), 256, KIB *KIB,
	    "8k", .help = "The largest head of a part of a form; beyond: 413." },
	{ "gateway.upload.max_name", CFG_INT, CFG_ANY, GATEWAY(upload.max_name), 8, 4096, "255",
	    .help = "Bytes of the name of a field or a file; beyond: 400." },
	{ "gateway.response_body", CFG_ENUM, CFG_ANY, GATEWAY(response_body),
	    .names = gateway_responses,
	    .help =
		"Every byte goes to the client at once. When the client is slower than the "
		"backend, bytes wait: \"spool\" in memory, then on disk, so that the backend is "
		"soon free; \"stream\" in memory, then the backend waits too. \"buffer\": the "
		"response is sent when it is complete. \"X-Accel-Buffering: no\" of an answer "
		"means \"stream\"." },
	{ "gateway.response_memory", CFG_SIZE, CFG_ANY, GATEWAY(response_memory), 4 * KIB, GIB,
	    "64k", .help = "How much of a response waits in memory." },
	{ "gateway.response_disk", CFG_SIZE, CFG_ANY, GATEWAY(response_disk), 0, INT64_MAX, "256M",
	    .help = "How much of a response waits on disk; then the backend waits." },
	{ "gateway.ignore_client_abort", CFG_BOOL, CFG_ANY, GATEWAY(ignore_client_abort),
	    .def = "false",
	    .help = "Whether the backend may finish its work when the client is gone; else the "
		    "request is ended there, too. A client that closes its sending side before the "
		    "answer begins counts as gone, unless it had announced that this is its last "
		    "request (\"Connection: close\", or HTTP/1.0): then it may still be waiting." },
	{ "gateway.upgrade", CFG_STRS, CFG_ANY, GATEWAY(upgrade), .def = "websocket",
	    .help = "The protocols that a client may change its connection to when the backend "
		    "agrees; from then on bytes pass both ways unseen. \"[ ]\": none. The "
		    "first protocol of the client's Upgrade field that is in the list is asked of "
		    "the backend; a request without one in it is an ordinary request. HTTP "
		    "(\"h2c\") and TLS cannot stand here: requests inside would pass all rules "
		    "by. For \"http\", \"scgi\", \"uwsgi\" and \"cgi\".",
	    .example =
		"gateway: { backend = \"app\"; upgrade = [ \"websocket\", \"my-protocol\" ]; "
		"};" },
	{ "gateway.intercept_errors", CFG_BOOL, CFG_ANY, GATEWAY(intercept_errors), .def = "false",
	    .help = "Whether answers of 400 and above are replaced by the site's own error "
		    "pages." },

	{ "gateway.sendfile.directories", CFG_PATHS, CFG_ANY | CFG_SHORT,
	    GATEWAY(sendfile.directories),
	    .help =
		"The directories below which an application may name a file that the server sends "
		"in place of its answer, in fields such as X-Sendfile: see FILES THAT "
		"APPLICATIONS SEND. Nothing outside of them is ever sent, by no symbolic link. "
		"Default: none, and nothing is obeyed.",
	    .example = "gateway: { backend = \"php\"; sendfile = \"/srv/files\"; };" },
	{ "gateway.sendfile.headers", CFG_STRS, CFG_ANY, GATEWAY(sendfile.headers),
	    .help = "Which fields are obeyed: X-Sendfile, X-Sendfile2, X-LIGHTTPD-send-file, "
		    "X-Send-Response-Body, X-LIGHTTPD-send-tempfile, X-Accel-Redirect. Default: "
		    "the first four where directories are set, the fifth where temp_directories "
		    "are. X-Accel-Redirect, which names a path of a route that is internal, is "
		    "obeyed only where it stands here.",
	    .example = "gateway: { backend = \"app\"; sendfile: { headers = "
		       "\"X-Accel-Redirect\"; }; };" },
	{ "gateway.sendfile.base", CFG_PATH, CFG_ANY, GATEWAY(sendfile.base),
	    .help = "What a name without a slash in front is taken from; in one of the "
		    "directories. Default: such names are refused." },
	{ "gateway.sendfile.encoded", CFG_BOOL, CFG_ANY, GATEWAY(sendfile.encoded), .def = "true",
	    .help = "Whether names in X-Sendfile and X-LIGHTTPD-send-file are percent-decoded, as "
		    "lighttpd and Apache do. False: they are taken as they stand. Those in "
		    "X-Sendfile2 and X-Accel-Redirect are always decoded, those in the others "
		    "never." },
	{ "gateway.sendfile.temp_directories", CFG_PATHS, CFG_ANY,
	    GATEWAY(sendfile.temp_directories),
	    .help = "The directories of files that are removed as they are sent "
		    "(X-LIGHTTPD-send-tempfile). Workers must be able to write there." },
	{ "gateway.sendfile.variable", CFG_STR, CFG_ANY, GATEWAY(sendfile.variable),
	    .def = "X_SEND_RESPONSE_BODY_SUPPORTED",
	    .help = "The variable, with the value 1, by which the application sees that files are "
		    "sent for it; for \"http\" a request field, X-Send-Response-Body-Supported. "
		    "\"\": none." },
	{ "gateway.sendfile.type", CFG_STR, CFG_ANY, GATEWAY(sendfile.type),
	    .help = "The value of the request field X-Sendfile-Type, by which Rack (Rails) and "
		    "Symfony know which field to send: one of headers. Default: X-Accel-Redirect "
		    "where mapping is set, else the application is not told so.",
	    .example =
		"gateway: { backend = \"rails\"; sendfile: { directories = \"/srv/files\"; type "
		"= \"X-Sendfile\"; }; };" },
	{ "gateway.sendfile.mapping", CFG_STRS, CFG_ANY, GATEWAY(sendfile.mapping),
	    .help = "The value of the request field X-Accel-Mapping: \"/directory=/path\" says "
		    "by which path of an internal route what is in a directory can be asked for.",
	    .example = "gateway: { backend = \"rails\"; sendfile: { headers = "
		       "\"X-Accel-Redirect\"; mapping = \"/srv/files/=/protected/\"; }; };" },

	{ "gateway.environment", CFG_STRS, CFG_ANY | CFG_MERGE, GATEWAY(environment_lines),
	    .help = "For all but \"http\": \"NAME=value\", added to the variables that the "
		    "application gets of a request, in place of one of that name. Values may hold "
		    "variables, as in headers.set.",
	    .example =
		"gateway: { environment = [ \"APP_ENV=production\", \"TENANT=$host\" ]; };" },
	{ "gateway.root", CFG_PATH, CFG_ANY, GATEWAY(root),
	    .help = "The document root as the backend sees it, \"$host\" in it as for files. "
		    "Default: the "
		    "site's root." },
	{ "gateway.split", CFG_STRS, CFG_ANY, GATEWAY(split),
	    .help =
		"Suffixes of scripts: the first segment of a path that has one is the end of "
		"SCRIPT_NAME, the rest is PATH_INFO. Default: \".php\" for \"fastcgi\" where the "
		"route's path, front, index, or the pool's name, address or command has \"php\" "
		"in it; for \"cgi\" the first segment that is a file." },
	{ "gateway.prefix", CFG_STR, CFG_ANY | CFG_NONEMPTY, GATEWAY(prefix),
	    .help = "SCRIPT_NAME of an application that is no file; the rest of the path is "
		    "PATH_INFO. Default where there is no split: the route's path." },
	{ "gateway.index", CFG_STRS, CFG_ANY, GATEWAY(index),
	    .help = "Names of scripts that answer for paths that end in \"/\". Default "
		    "where split is \".php\": the site's index, and \"index.php\" if no "
		    "script is among them; a file that comes first is sent." },
	{ "gateway.front", CFG_STR, CFG_ANY, GATEWAY(front),
	    .help = "The script that answers for every path that is neither a script nor a file "
		    "(which the server sends itself)." },
	{ "gateway.check", CFG_BOOL, CFG_ANY, GATEWAY(check), .def = "false",
	    .help = "Whether a script must be there, below root, before the backend is asked. "
		    "Default: true for scripts of pools on this machine, else false: then the "
		    "backend must refuse what is no script." },

	{ "gateway.host", CFG_STR, CFG_ANY | CFG_NONEMPTY, GATEWAY(host_text), .def = "client",
	    .help = "The Host that an \"http\" or \"ajp\" backend gets: \"client\" (what the "
		    "client asked "
		    "for), \"backend\" (the host as the pool has it), or a text with variables.",
	    .example = "gateway: { backend = \"https://app.example\"; host = \"backend\"; };" },
	{ "gateway.path.to", CFG_STR, CFG_ANY | CFG_SHORT, GATEWAY(path_to),
	    .help =
		"For \"http\" and \"ajp\": takes the place of path.from at the front of the path; "
		"redirects and cookies of the answer are changed back.",
	    .example = "{ path = \"/shop\"; gateway: { backend = \"shop\"; path = \"/\"; }; }" },
	{ "gateway.path.from", CFG_STR, CFG_ANY, GATEWAY(path_from),
	    .help = "What path.to takes the place of. Default: the route's path." },
	{ "gateway.set", CFG_STRS, CFG_ANY | CFG_MERGE, GATEWAY(set_lines),
	    .help =
		"\"Name: value\" lines that a backend gets in place of what the client sends, "
		"however the client spells the name: X_Name, X.Name and X-NAME are X-Name. Values "
		"may hold variables, as in headers.set; an empty value removes the field. Where "
		"the protocol has variables in place of fields, the variable is HTTP_X_NAME.",
	    .example = "gateway: { set = [ \"X-Real-IP: $client\", \"Authorization:\" ]; };" },
	{ "gateway.remove", CFG_STRS, CFG_ANY | CFG_MERGE, GATEWAY(remove),
	    .help = "Names of request fields that a backend does not get, however they are "
		    "spelt.",
	    .example = "gateway: { remove = \"X-Remote-User\"; };" },
	{ "gateway.field_names", CFG_ENUM, CFG_ANY, GATEWAY(field_names), .def = "plain",
	    .names = gateway_field_names,
	    .help = "Which names of request fields a backend gets: \"plain\", those of letters, "
		    "digits and \"-\" alone; or \"any\". Most applications take X_Name for "
		    "X-Name. So also with \"any\" a name is dropped that could be taken for one "
		    "that the server or the route sets or removes, for one of its own "
		    "vocabulary (Content_Length), or for another one of the same request." },
	{ "gateway.pass", CFG_STRS, CFG_ANY | CFG_MERGE, GATEWAY(pass),
	    .help = "Names of request fields that a backend gets from everybody though they are "
		    "for a proxy to say who the client is or what it asked for, and so kept from "
		    "trusted_proxies only: X-Forwarded-*, Forwarded, X-Real-IP, Client-IP, "
		    "True-Client-IP, CF-Connecting-IP, X-Original-URL, X-Rewrite-URL, X-Scheme, "
		    "Front-End-Https, Client-Cert and their like (the whole list is in the section "
		    "WHO MAY SPEAK FOR A CLIENT). Fields that the server writes itself stay its "
		    "own.",
	    .example = "gateway: { pass = \"X-Original-URL\"; };" },
	{ "gateway.hide", CFG_STRS, CFG_ANY | CFG_MERGE, GATEWAY(hide),
	    .help = "Names of response fields that clients do not get.",
	    .example = "gateway: { hide = \"X-Powered-By\"; };" },
	{ "gateway.x_forwarded", CFG_BOOL, CFG_ANY, GATEWAY(x_forwarded), .def = "true",
	    .help = "Whether a backend gets X-Forwarded-For, -Proto and -Host, over every "
		    "protocol (HTTP_X_FORWARDED_FOR …). What clients send of them, and of other "
		    "fields with such a meaning, is kept from trusted_proxies only: see "
		    "gateway.pass." },
	{ "gateway.forwarded", CFG_BOOL, CFG_ANY, GATEWAY(forwarded), .def = "false",
	    .help = "Whether it gets the Forwarded field (RFC 7239)." },
	{ "gateway.via", CFG_BOOL, CFG_ANY, GATEWAY(via), .def = "false",
	    .help = "Whether requests and answers carry a Via field. Off, since many applications "
		    "do not compress for proxies." },
	{ 0 },
};

const char *const gateway_uses[] = { "root", "alias", "index", "types", "mime_types", "charset",
	NULL };

/* --- lists --- */

/* Fields that belong to each connection, or that an option is for. */
static const struct gateway_refused {
	struct str name;
	const char *hint;
} gateway_refused[] = {
	{ STR_INIT("Connection"), "it belongs to each connection" },
	{ STR_INIT("Content-Length"), "the server counts" },
	{ STR_INIT("Expect"), "it belongs to each connection" },
	{ STR_INIT("Host"), "see gateway.host" },
	{ STR_INIT("Keep-Alive"), "it belongs to each connection" },
	{ STR_INIT("Proxy"), "applications take it for HTTP_PROXY" },
	{ STR_INIT("Proxy-Connection"), "it belongs to each connection" },
	{ STR_INIT("TE"), "it belongs to each connection" },
	{ STR_INIT("Trailer"), "it belongs to each connection" },
	{ STR_INIT("Transfer-Encoding"), "it belongs to each connection" },
	{ STR_INIT("Upgrade"), "see gateway.upgrade" },
	{ STR_INIT("HTTP2-Settings"), "it belongs to each connection" },
};

static bool
gateway_check_field(struct cfg_check *check, const char *option, int i, struct str name)
{
	const char *hint = NULL;

	for (size_t k = 0; k < sizeof(gateway_refused) / sizeof(*gateway_refused); k++)
		if (fold_eq(name, gateway_refused[k].name))
			hint = gateway_refused[k].hint;
	if (!http_is_token(name))
		cfg_error(check, option, i, NULL, "\"%.*s\" is not a field name", STR_FMT(name));
	else if (hint)
		cfg_error(
		    check, option, i, hint, "the field \"%.*s\" cannot be changed", STR_FMT(name));
	else
		return true;
	return false;
}

static bool
gateway_is_variable(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];

		if ((unsigned)str_lower(c) - 'a' >= 26 && c != '_' &&
		    (i == 0 || (unsigned)c - '0' >= 10))
			return false;
	}
	return name.n > 0;
}

/* Lines of inner scopes come first: for one name the first one counts. */
static bool
gateway_has_pair(const struct cfg_records *pairs, struct str name, bool is_field)
{
	const struct gateway_pair *v = pairs->v;

	for (size_t i = 0; i < pairs->n; i++)
		if (is_field ? fold_eq(v[i].name, name) : str_eq(v[i].name, name))
			return true;
	return false;
}

/* "NAME=value" (fields: "Name: value") to pairs. */
static void
gateway_check_pairs(struct cfg_check *check, const char *option, const struct cfg_strs *lines,
    struct cfg_records *pairs, bool is_field)
{
	struct gateway_pair *v = arena_calloc(check->arena, lines->n * sizeof(*v) + 1);
	const char *why, *hint;

	*pairs = (struct cfg_records){ v, 0 };
	for (size_t i = 0; i < lines->n; i++) {
		struct str value = lines->v[i], name = str_split(&value, is_field ? ':' : '=');
		struct gateway_pair *p = &v[pairs->n];
		int at = (int)i;

		p->name = is_field ? str_trim(name) : name;
		p->value = value.p && is_field ? str_trim(value) : value;
		if (!value.p)
			cfg_error(check, option, at,
			    is_field ? "write \"Name: value\"" : "write \"NAME=value\"",
			    "no \"%c\" in \"%.*s\"", is_field ? ':' : '=', STR_FMT(name));
		else if (is_field ? !gateway_check_field(check, option, at, p->name) : false)
			continue;
		else if (!is_field && !gateway_is_variable(p->name))
			cfg_error(check, option, at, NULL, "\"%.*s\" is not a name of a variable",
			    STR_FMT(p->name));
		else if (!http_is_field_value(p->value))
			cfg_error(check, option, at, NULL, "control characters in the value");
		else if (!template_compile(&p->text, check->arena, p->value, 0, &why, &hint))
			cfg_error(check, option, at, hint, "%s", why);
		else if (!gateway_has_pair(pairs, p->name, is_field))
			pairs->n++;
	}
}

static void
gateway_check_names(struct cfg_check *check, const char *option, const struct cfg_strs *names)
{
	for (size_t i = 0; i < names->n; i++)
		gateway_check_field(check, option, (int)i, names->v[i]);
}

/* A name that is no claim may be misspelt. */
static void
gateway_check_pass(const struct gateway_conf *c, struct cfg_check *check)
{
	for (size_t i = 0; i < c->pass.n; i++) {
		struct str name = c->pass.v[i];

		if (gateway_check_field(check, "gateway.pass", (int)i, name) &&
		    claim_of(name) != CLAIM_FRONT)
			cfg_error(check, "gateway.pass", (int)i,
			    "what is kept from trusted_proxies only is listed at gateway.pass in "
			    "argand.conf(5)",
			    "the field \"%.*s\" is passed on anyway", STR_FMT(name));
	}
}

/* Protocols that carry requests: through a tunnel they would reach the backend past every rule. */
static bool
gateway_carries_http(struct str protocol)
{
	static const struct str begins[] = { STR_INIT("h2"), STR_INIT("h3"), STR_INIT("http"),
		STR_INIT("tls") };

	for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++)
		if (protocol.n >= begins[i].n &&
		    str_caseeq(str_n(protocol.p, begins[i].n), begins[i]))
			return true;
	return false;
}

/* RFC 9110 7.8: protocol-name ["/" protocol-version] */
static void
gateway_check_upgrade(const struct gateway_conf *c, struct cfg_check *check)
{
	for (size_t i = 0; i < c->upgrade.n; i++) {
		struct str version = c->upgrade.v[i], name = str_split(&version, '/');
		bool is_protocol = http_is_token(name) && (!version.p || http_is_token(version));

		if (!is_protocol)
			cfg_error(check, "gateway.upgrade", (int)i,
			    "upgrade = [ \"websocket\" ]; or, for none, upgrade = [ ];",
			    "\"%.*s\" is not the name of a protocol", STR_FMT(c->upgrade.v[i]));
		else if (gateway_carries_http(name))
			cfg_error(check, "gateway.upgrade", (int)i, "take it out of the list",
			    "\"%.*s\" carries requests, which would reach the backend past every "
			    "rule of the server",
			    STR_FMT(c->upgrade.v[i]));
	}
}

/* --- HTTP --- */

static void
gateway_check_host(struct gateway_conf *c, struct cfg_check *check)
{
	const char *why, *hint;

	c->host = str_eq(c->host_text, STR("client"))    ? HOST_CLIENT
		  : str_eq(c->host_text, STR("backend")) ? HOST_BACKEND
							 : HOST_TEXT;
	if (c->host != HOST_TEXT)
		return;
	if (!http_is_field_value(c->host_text) || str_find(c->host_text, ' ') >= 0 ||
	    str_find(c->host_text, '/') >= 0)
		cfg_error(check, "gateway.host", -1, "\"client\", \"backend\" or \"app.example\"",
		    "\"%.*s\" is not a host", STR_FMT(c->host_text));
	else if (!template_compile(&c->host_template, check->arena, c->host_text, 0, &why, &hint))
		cfg_error(check, "gateway.host", -1, hint, "%s", why);
}

/* A URL path as routes have it: decoded, normalised. */
static bool
gateway_is_path(struct str path)
{
	struct str rest = path;

	if (path.n == 0 || path.p[0] != '/' || !http_is_field_value(path) ||
	    str_find(path, '?') >= 0 || str_find(path, '#') >= 0)
		return false;
	while (rest.p) {
		struct str segment = str_split(&rest, '/');

		if (str_eq(segment, STR("..")) || str_eq(segment, STR(".")))
			return false;
	}
	return true;
}

static void
gateway_check_path(struct cfg_check *check, const char *option, struct str path)
{
	if (path.n > 0 && !gateway_is_path(path))
		cfg_error(check, option, -1, NULL,
		    "'%s' wants a path that begins with \"/\", not \"%.*s\"", option,
		    STR_FMT(path));
}

/* The path of the route in which the pool is named; "/" for a site's and for expressions. */
static struct str
gateway_route_path(const struct cfg_check *check, const char *option)
{
	const struct route *r = cfg_is_own(check, option) ? cfg_route(check) : NULL;

	return r && r->kind != ROUTE_REGEX ? r->path : STR("/");
}

static void
gateway_check_mapping(struct gateway_conf *c, struct cfg_check *check)
{
	gateway_check_path(check, "gateway.path.to", c->path_to);
	gateway_check_path(check, "gateway.path.from", c->path_from);
	if (c->path_from.n > 0 && c->path_to.n == 0)
		cfg_error(check, "gateway.path.from", -1, "path: { from = \"/app\"; to = \"/\"; }",
		    "'gateway.path.to' is missing");
	if (c->path_to.n > 0 && c->path_from.n == 0)
		c->path_from = gateway_route_path(check, "gateway.path.to");
}

/* --- scripts --- */

static bool
gateway_has_php(struct str s)
{
	for (size_t i = 0; i + 3 <= s.n; i++)
		if (str_caseeq(str_n(s.p + i, 3), STR("php")))
			return true;
	return false;
}

static bool
gateway_is_php(const struct gateway_conf *c, const struct cfg_check *check)
{
	const struct conf_pool *p = c->pool;
	const struct route *r = cfg_route(check);
	bool is = gateway_has_php(p->name) || gateway_has_php(c->front) ||
		  (r && gateway_has_php(r->path));

	for (size_t i = 0; i < c->index.n; i++)
		is |= gateway_has_php(c->index.v[i]);
	for (size_t i = 0; i < p->nhosts; i++)
		is |= gateway_has_php(p->hosts[i].address);
	for (size_t i = 0; i < p->spawn.command.n; i++)
		is |= gateway_has_php(p->spawn.command.v[i]);
	return is;
}

/* Whether all hosts are processes of this machine that see its files. */
static bool
gateway_is_here(const struct conf_pool *p)
{
	for (size_t i = 0; i < p->nhosts; i++) {
		const struct conf_host *h = &p->hosts[i];

		if (!h->is_unix && !str_has_prefix(h->name, STR("127.")) &&
		    !str_eq(h->name, STR("::1")) && !str_eq(h->name, STR("localhost")))
			return false;
	}
	return p->spawn.chroot.n == 0;
}

static bool
gateway_has(const struct cfg_strs *list, struct str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], s))
			return true;
	return false;
}

static struct cfg_strs
gateway_one(struct arena *a, struct str s)
{
	struct cfg_strs list = { arena_alloc(a, sizeof(s)), 1 };

	list.v[0] = s;
	return list;
}

/* Files and scripts of a route are in the same place. */
static void
gateway_derive_root(struct gateway_conf *c, struct cfg_check *check)
{
	const struct route *r = cfg_route(check);

	c->root = cfg_text_of(check, "root");
	c->alias = cfg_text_of(check, "alias");
	c->alias_n = r && r->kind != ROUTE_REGEX && r->path.n > 1 ? r->path.n : 0;
	if (c->root.n == 0)
		c->root = c->alias;
	if (r && c->alias.n > 0 && c->front.n > 0 &&
	    !(str_has_prefix(c->front, str_n(r->path.p, c->alias_n)) &&
		(c->alias_n == 0 || c->front.p[c->alias_n] == '/')))
		cfg_error(check, "gateway.front", -1, "it is a path as in a URL",
		    "'gateway.front' lies outside of what 'alias' is for");
}

/* As for files: a root for each host name, and no other variable. */
static void
gateway_derive_root_of_host(struct gateway_conf *c, struct cfg_check *check)
{
	const char *why, *hint;

	c->root_of_host = (struct template){ 0 };
	if (c->root.n == 0 || str_find(c->root, '$') < 0)
		return;
	if (!template_compile(&c->root_of_host, check->arena, c->root, 0, &why, &hint))
		cfg_error(check, "gateway.root", -1, hint, "%s", why);
	else if (c->root_of_host.vars & ~(1u << VAR_HOST))
		cfg_error(check, "gateway.root", -1, NULL, "only $host can stand here");
}

/* The site's index files in their order, and "index.php" when no script is among them: whether a
   script or a file answers for a directory is one decision. Where files cannot be seen, scripts
   only. */
static void
gateway_derive_index(struct gateway_conf *c, struct cfg_check *check)
{
	struct cfg_strs names = cfg_texts_of(check, "index");
	bool has_script = false;

	c->index =
	    (struct cfg_strs){ arena_alloc(check->arena, (names.n + 1) * sizeof(*names.v)), 0 };
	for (size_t i = 0; i < names.n; i++) {
		bool is_script = false;

		for (size_t k = 0; k < c->split.n; k++)
			is_script |= str_has_suffix(names.v[i], c->split.v[k]);
		has_script |= is_script;
		if (is_script || c->check)
			c->index.v[c->index.n++] = names.v[i];
	}
	if (!has_script)
		c->index.v[c->index.n++] = STR("index.php");
}

/* FastCGI runs files when it looks like PHP, CGI always; all others are applications at a
   prefix. */
static void
gateway_derive_scripts(struct gateway_conf *c, struct cfg_check *check)
{
	bool is_set = cfg_is_set(check, "gateway.split");

	if (!is_set && c->prefix.n == 0 && c->pool->protocol == POOL_FASTCGI &&
	    gateway_is_php(c, check))
		c->split = gateway_one(check->arena, STR(".php"));
	if (!is_set && c->prefix.n == 0 && c->pool->protocol == POOL_CGI)
		c->split = gateway_one(check->arena, STR("")); /* any name, if it is a file */
	if (!is_set && c->split.n == 0 && c->prefix.n == 0 && c->front.n == 0)
		c->prefix = gateway_route_path(check, "gateway.backend");
	if (!cfg_is_set(check, "gateway.check"))
		c->check = c->split.n > 0 && gateway_is_here(c->pool);
	if (!cfg_is_set(check, "gateway.index") && gateway_has(&c->split, STR(".php")))
		gateway_derive_index(c, check);
	if (c->root.n == 0)
		gateway_derive_root(c, check);
	gateway_derive_root_of_host(c, check);
	if (c->split.n > 0 && c->root.n == 0)
		cfg_error(check, "gateway.backend", -1, "gateway: { root = \"/srv/www\"; ... }",
		    "where scripts are is not known: neither 'root' nor 'gateway.root' is set");
}

static void
gateway_check_scripts(struct gateway_conf *c, struct cfg_check *check)
{
	gateway_check_path(check, "gateway.prefix", c->prefix);
	gateway_check_path(check, "gateway.front", c->front);
	for (size_t i = 0; i < c->index.n; i++)
		if (c->index.v[i].n == 0 || str_find(c->index.v[i], '/') >= 0)
			cfg_error(check, "gateway.index", (int)i, NULL,
			    "an index is a name without \"/\", not \"%.*s\"",
			    STR_FMT(c->index.v[i]));
	for (size_t i = 0; i < c->split.n; i++)
		if (str_find(c->split.v[i], '/') >= 0)
			cfg_error(check, "gateway.split", (int)i, "such as \".php\"",
			    "a suffix has no \"/\"");
	if (!c->pool || c->pool->protocol == POOL_HTTP || c->pool->protocol == POOL_AJP)
		return;
	gateway_derive_scripts(c, check);
	if (c->front.n > 0 && c->split.n == 0)
		cfg_warning(check, "gateway.front", -1, "gateway: { split = \".php\"; ... }",
		    "without 'gateway.split' every file that is there is taken for a script");
}

/* --- pools --- */

/* A URL is replaced by the name of its pool, which is the URL in one form. */
static const struct conf_pool *
gateway_pool(struct cfg_check *check, const char *option, struct str *name)
{
	const struct conf_pool *p;

	if (name->n == 0 || str_eq(*name, STR("off")))
		return NULL;
	p = conf_pool_named(check, option, *name);
	if (p)
		*name = p->name;
	return p;
}

/* Options that have no effect, where both they and the pool are set in one scope. */
static void
gateway_warn_needless(const struct gateway_conf *c, struct cfg_check *check)
{
	enum {
		SCRIPTS = 1 << POOL_FASTCGI | 1 << POOL_SCGI | 1 << POOL_UWSGI | 1 << POOL_CGI,
		HTTP = 1 << POOL_HTTP,
		AJP = 1 << POOL_AJP,
	};
	static const struct {
		const char *option;
		unsigned protocols;
	} rows[] = { { "gateway.host", HTTP | AJP }, { "gateway.path.to", HTTP | AJP },
		{ "gateway.via", HTTP }, { "gateway.environment", SCRIPTS | AJP },
		{ "gateway.split", SCRIPTS }, { "gateway.prefix", SCRIPTS },
		{ "gateway.index", SCRIPTS }, { "gateway.front", SCRIPTS } };

	if (!c->pool || !cfg_is_own(check, "gateway.backend"))
		return;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (cfg_is_own(check, rows[i].option) &&
		    !(rows[i].protocols & 1u << c->pool->protocol))
			cfg_warning(check, rows[i].option, -1, NULL,
			    "'%s' means nothing to the protocol \"%s\"", rows[i].option,
			    pool_protocol_names[c->pool->protocol]);
}

/* The files that a pool names are read once, so that a mistake in them is said here. */
static void
gateway_check_tls(const struct gateway_conf *c, struct cfg_check *check)
{
	const struct conf_pool *p = c->pool;
	struct tls_pool *tls;
	const char *why;

	if (!p || !p->tls.on || !(p->tls.ca_file.n || p->tls.certificate.n) ||
	    !cfg_is_own(check, "gateway.backend"))
		return;
	tls = tls_pool_new(p, &why);
	if (!tls)
		cfg_error(check, "gateway.backend", -1, NULL, "pool \"%.*s\": TLS: %s",
		    STR_FMT(p->name), why);
	else
		tls_pool_free(tls);
}

void
gateway_check(void *conf, struct cfg_check *check)
{
	struct gateway_conf *c = conf;

	c->pool = gateway_pool(check, "gateway.backend", &c->backend);
	c->authorizer_pool = gateway_pool(check, "gateway.authorizer", &c->authorizer);
	if (c->authorizer_pool && c->authorizer_pool->protocol != POOL_FASTCGI)
		cfg_error(check, "gateway.authorizer", -1, NULL,
		    "an authorizer speaks \"fastcgi\", and the pool \"%.*s\" speaks \"%s\"",
		    STR_FMT(c->authorizer_pool->name),
		    pool_protocol_names[c->authorizer_pool->protocol]);
	gateway_check_pairs(
	    check, "gateway.environment", &c->environment_lines, &c->environment, false);
	gateway_check_pairs(check, "gateway.set", &c->set_lines, &c->set, true);
	sendfile_check(c, check);
	uploadconf_check(c, check);
	gateway_check_names(check, "gateway.remove", &c->remove);
	gateway_check_names(check, "gateway.hide", &c->hide);
	gateway_check_pass(c, check);
	gateway_check_upgrade(c, check);
	gateway_check_host(c, check);
	gateway_check_mapping(c, check);
	gateway_check_scripts(c, check);
	scripts_derive(c, check);
	gateway_check_tls(c, check);
	gateway_warn_needless(c, check);
}
