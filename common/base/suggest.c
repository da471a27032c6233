/*
 * Likeness of words, and the table of foreign ones. Which of our names exist is the caller's to
 * know.
 */
#include "common/base/suggest.h"

enum { SUGGEST_MAX = 40 }; /* bytes of a word that is compared */

/* Several rows for one word: the first that exists as an option in this build is shown. */
static const struct {
	const char *foreign, *ours;
} synonyms[] = {
	{ "server_name", "host" },
	{ "servername", "host" },
	{ "serveralias", "host" },
	{ "hostname", "host" },
	{ "hosts", "host" },
	{ "vhost", "host" },
	{ "domain", "host" },
	{ "document_root", "root" },
	{ "documentroot", "root" },
	{ "docroot", "root" },
	{ "directory", "root" },
	{ "bind", "listen" },
	{ "address", "listen" },
	{ "port", "listen" },
	{ "location", "routes" },
	{ "locations", "routes" },
	{ "route", "routes" },
	{ "site", "sites" },
	{ "virtual_host", "sites" },
	{ "vhosts", "sites" },
	{ "servers", "sites" },
	{ "includes", "include" },
	{ "prefix", "path" },
	{ "url", "path" },
	{ "match", "regex" },
	{ "path_regex", "regex" },
	{ "method", "methods" },
	{ "worker_processes", "workers" },
	{ "max_worker", "workers" },
	{ "processes", "workers" },
	{ "threads", "workers" },
	{ "worker_connections", "max_connections" },
	{ "max_connection", "max_connections" },
	{ "maxconn", "max_connections" },
	{ "worker_rlimit_nofile", "max_files" },
	{ "max_fds", "max_files" },
	{ "username", "user" },
	{ "groupname", "group" },
	{ "errorlog", "error_log" },
	{ "loglevel", "log_level" },
	{ "pid", "pid_file" },
	{ "pidfile", "pid_file" },
	{ "client_max_body_size", "max_body" },
	{ "max_request_size", "max_body" },
	{ "limitrequestbody", "max_body" },
	{ "large_client_header_buffers", "max_head" },
	{ "limitrequestfields", "max_fields" },
	{ "keepalive_timeout", "timeout.keepalive" },
	{ "client_header_timeout", "timeout.header" },
	{ "client_body_timeout", "timeout.body" },
	{ "send_timeout", "timeout.write" },
	{ "lingering_timeout", "timeout.linger" },
	{ "server_tokens", "server_header" },
	{ "server_tag", "name" },
	{ "error_page", "error_pages" },
	{ "errordocument", "error_pages" },
	{ "try_files", "try" },
	{ "fallback", "try" },
	{ "index_file", "index" },
	{ "index_files", "index" },
	{ "directoryindex", "index" },
	{ "index_file_names", "index" },
	{ "autoindex", "listing" },
	{ "dirlisting", "listing" },
	{ "dir_listing", "listing" },
	{ "browse", "listing" },
	{ "add_header", "headers" },
	{ "header", "headers" },
	{ "setenv", "headers" },
	{ "return", "redirect" },
	{ "redir", "redirect" },
	{ "auth_basic", "auth" },
	{ "basic_auth", "auth" },
	{ "htpasswd", "auth.users" },
	{ "auth_basic_user_file", "auth.users" },
	{ "expires", "expire" },
	{ "cache", "expire" },
	{ "cache_control", "expire" },
	{ "gzip_static", "precompressed" },
	{ "gzip", "compress" },
	{ "deflate", "compress" },
	{ "encode", "compress" },
	{ "proxy_pass", "gateway" },
	{ "reverse_proxy", "gateway" },
	{ "fastcgi_pass", "gateway" },
	{ "scgi_pass", "gateway" },
	{ "uwsgi_pass", "gateway" },
	{ "php_fastcgi", "gateway" },
	{ "php", "gateway" },
	{ "proxy", "gateway" },
	{ "proxypass", "gateway" },
	{ "backend", "gateway" },
	{ "upstream", "backends" },
	{ "upstreams", "backends" },
	{ "pools", "backends" },
	{ "servers", "hosts" },
	{ "address", "hosts" },
	{ "url", "hosts" },
	{ "lb_policy", "balance" },
	{ "load_balancing", "balance" },
	{ "algorithm", "balance" },
	{ "type", "protocol" },
	{ "proto", "protocol" },
	{ "max_conns", "max_requests" },
	{ "max_connections", "max_requests" },
	{ "health_check", "health" },
	{ "healthcheck", "health" },
	{ "check", "health" },
	{ "health_uri", "health.path" },
	{ "max_fails", "failover.threshold" },
	{ "fail_timeout", "failover.errors" },
	{ "proxy_connect_timeout", "timeout.connect" },
	{ "proxy_send_timeout", "timeout.send" },
	{ "proxy_read_timeout", "timeout.between_bytes" },
	{ "connect_timeout", "timeout.connect" },
	{ "read_timeout", "timeout.between_bytes" },
	{ "read", "timeout.between_bytes" },
	{ "ssl", "tls" },
	{ "bin_path", "spawn.command" },
	{ "exec", "spawn.command" },
	{ "command", "spawn.command" },
	{ "bin_environment", "spawn.environment" },
	{ "max_procs", "spawn.processes" },
	{ "docroot", "gateway.root" },
	{ "fastcgi_param", "gateway.environment" },
	{ "fastcgi_index", "gateway.index" },
	{ "proxy_set_header", "gateway.set" },
	{ "header_up", "gateway.set" },
	{ "proxy_hide_header", "gateway.hide" },
	{ "proxy_request_buffering", "gateway.request_body" },
	{ "stream_request_body", "gateway.request_body" },
	{ "proxy_buffering", "gateway.response_body" },
	{ "stream_response_body", "gateway.response_body" },
	{ "real_ip_header", "real_ip" },
	{ "set_real_ip_from", "trusted_proxies" },
	{ "log", "access_log" },
	{ "customlog", "access_log" },
	{ "accesslog", "access_log" },
	{ "log", "error_log" },
	{ "types", "mime_types" },
	{ "mimetypes", "mime_types" },
	{ "allow", "access" },
	{ "deny", "access" },
};

const char *
suggest_synonym(struct str foreign, unsigned i)
{
	size_t k;

	for (k = 0; k < sizeof(synonyms) / sizeof(*synonyms); k++)
		if (str_caseeq(foreign, str_of(synonyms[k].foreign)) && i-- == 0)
			return synonyms[k].ours;
	return NULL;
}

static unsigned
suggest_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned
suggest_distance(struct str a, struct str b, unsigned limit)
{
	unsigned d[3][SUGGEST_MAX + 1], *before = d[0], *last = d[1], *row = d[2], *spare;
	size_t i, j;

	if (a.n > SUGGEST_MAX || b.n > SUGGEST_MAX)
		return limit + 1;
	for (j = 0; j <= b.n; j++)
		last[j] = (unsigned)j;
	for (i = 1; i <= a.n; i++) {
		unsigned char x = str_lower((unsigned char)a.p[i - 1]);

		row[0] = (unsigned)i;
		for (j = 1; j <= b.n; j++) {
			unsigned char y = str_lower((unsigned char)b.p[j - 1]);

			row[j] = suggest_min(
			    suggest_min(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == str_lower((unsigned char)b.p[j - 2]) &&
			    y == str_lower((unsigned char)a.p[i - 2]))
				row[j] = suggest_min(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return suggest_min(last[b.n], limit + 1);
}

void
suggest_init(struct suggest *s, struct str wanted)
{
	*s = (struct suggest){ .wanted = wanted };
	s->distance = (unsigned)(wanted.n / 3 > 1 ? wanted.n / 3 : 1) + 1;
}

void
suggest_offer(struct suggest *s, struct str word)
{
	unsigned d = suggest_distance(s->wanted, word, s->distance);

	/* All of a short word replaced is no likeness. */
	if (d >= s->distance || d >= word.n)
		return;
	s->best = word;
	s->distance = d;
}
