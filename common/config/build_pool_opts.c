/*
 * The options of a backend pool and of its hosts, as rows like those of any module.
 */
#include "common/config/build.h"

#define POOL(member)  .offset = offsetof(struct conf_pool, member)
#define HOST(member)  offsetof(struct conf_host, member)
#define SPAWN(member) POOL(spawn.member)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

const char *const pool_protocol_names[] = {
	[POOL_FASTCGI] = "fastcgi",
	[POOL_SCGI] = "scgi",
	[POOL_UWSGI] = "uwsgi",
	[POOL_HTTP] = "http",
	[POOL_AJP] = "ajp",
	[POOL_CGI] = "cgi",
	NULL,
};

const char *const pool_balance_names[] = {
	[BALANCE_TWO_CHOICES] = "two-choices",
	[BALANCE_ROUND_ROBIN] = "round-robin",
	[BALANCE_LEAST_CONNECTIONS] = "least-connections",
	[BALANCE_STATIC] = "static",
	[BALANCE_HASH] = "hash",
	NULL,
};

static const struct cfg_opt host_opts[] = {
	{ "address", CFG_STR, CFG_SHORT | CFG_NONEMPTY, HOST(address),
	    .help =
		"\"10.0.0.3:8080\", \"[2001:db8::3]:8080\", \"unix:/run/app.sock\", or a name: "
		"\"app.example:8080\". A name stands for all addresses that it resolves to; it is "
		"looked up again when its lifetime (TTL) ends and after failures to connect, and "
		"the server starts although it does not resolve. A URL, \"http://10.0.0.3:8080\", "
		"says the protocol too." },
	{ "weight", CFG_INT, 0, HOST(weight), 1, 1000, "1",
	    .help = "Its part of the load, in relation to the other hosts' weights. An operator "
		    "may change it while the server runs: argand backend POOL weight HOST N." },
	{ "backup", CFG_BOOL, 0, HOST(backup), .def = "false",
	    .help = "Whether it is used only when none of the others can be." },
	{ "max_requests", CFG_INT, 0, HOST(max_requests), 0, 1000000, "0",
	    .help =
		"How many requests it gets at the same time, those of all workers counted; more "
		"wait in the queue of the pool. For PHP: what pm.max_children says. 0: no limit." },
	{ 0 },
};
static const struct cfg_record host_record = { host_opts, sizeof(struct conf_host) };

const struct cfg_opt pool_opts[] = {
	{ "protocol", CFG_ENUM, CFG_NONEMPTY, POOL(protocol), .names = pool_protocol_names,
	    .help = "What the backends speak. May be left out where hosts are URLs. \"cgi\": "
		    "scripts that are started for each request, by a process of their own." },
	{ "hosts", CFG_RECORDS, 0, POOL(host_records), .record = &host_record,
	    .help = "Where the backends are: addresses, or groups. Left out for \"cgi\" and where "
		    "spawned processes are given their socket.",
	    .example = "hosts = [ \"10.0.0.3:9000\", \"unix:/run/php/php8.2-fpm.sock\" ];\n"
		       "hosts = ( { address = \"app.example:8080\"; weight = 3; },\n"
		       "          { address = \"10.0.0.9:8080\"; backup = true; } );" },
	{ "balance", CFG_ENUM, 0, POOL(balance), .names = pool_balance_names,
	    .help =
		"Which host gets a request; one decision of all workers. \"two-choices\": of two "
		"taken at random the one with fewer requests and shorter answers; "
		"\"round-robin\": one after the other, by weight; \"least-connections\": the one "
		"with the fewest requests for its weight; \"static\": the first that is well, the "
		"others only when it is not; \"hash\": by what hash.by says, so that like goes to "
		"like." },
	{ "hash.by", CFG_STR, CFG_SHORT | CFG_NONEMPTY, POOL(hash_text), .def = "uri",
	    .help = "For balance = \"hash\": \"uri\" (path and query), \"path\", \"client\" (its "
		    "address), \"header:NAME\" or \"cookie:NAME\". When a host comes or goes, "
		    "only its own share moves.",
	    .example = "hash = \"header:X-Tenant\";" },
	{ "hash.load", CFG_INT, 0, POOL(hash_load), 0, 1000, "150",
	    .help = "A host that has more than this percentage of the mean load is passed over. "
		    "0: none is." },
	{ "sticky.cookie", CFG_STR, CFG_SHORT, POOL(sticky),
	    .help = "The name of a cookie that keeps a visitor at the host that answered first, "
		    "over reloads too, for as long as that host is well. Default: none.",
	    .example = "sticky = \"backend\";" },
	{ "sticky.max_age", CFG_TIME, 0, POOL(sticky_max_age), 0, 365 * (int64_t)DAY, "0",
	    .help = "How long browsers keep the cookie; 0: until they are closed." },
	{ "keepalive", CFG_INT, 0, POOL(keepalive), 0, 10000, .def = "32",
	    .help =
		"Idle connections that a worker keeps open to a host for the next requests; 0: "
		"one connection for each request. For \"fastcgi\" it is 0 unless set: a PHP "
		"process is kept busy by each connection. \"scgi\", \"uwsgi\" and \"cgi\" have no "
		"way of keeping one." },
	{ "keepalive_requests", CFG_INT, 0, POOL(keepalive_requests), 0, INT32_MAX, "0",
	    .help = "How many requests one connection carries; 0: no limit." },
	{ "max_queue", CFG_INT, 0, POOL(max_queue), 0, 1000000, "1024",
	    .help =
		"Requests that may wait for a host while all are full or down, those of all "
		"workers counted; beyond, and after timeout.queue, they are answered with 503." },
	{ "max_head", CFG_SIZE, 0, POOL(max_head), 1024, 1 << 20, "64k",
	    .help = "The largest head of a response that is taken; 502 beyond." },
	{ "secret", CFG_STR, CFG_SECRET, POOL(secret),
	    .help = "For \"ajp\": what the connector's \"secret\" says." },
	{ "packet_size", CFG_SIZE, 0, POOL(packet_size), 8192, 65536, "8k",
	    .help = "For \"ajp\": the size of packets; the connector's \"packetSize\" must be the "
		    "same." },

	{ "timeout.connect", CFG_TIME, 0, POOL(timeout.connect), 10, HOUR, "3s",
	    .help = "How long a connection, TLS included, may take to be made. Another host is "
		    "tried then." },
	{ "timeout.send", CFG_TIME, 0, POOL(timeout.send), 100, DAY, "60s",
	    .help = "How long a backend may take no byte of a request." },
	{ "timeout.first_byte", CFG_TIME, 0, POOL(timeout.first_byte), 100, DAY, "60s",
	    .help = "How long a backend may take from the end of a request to the first byte of "
		    "its response; 504 then." },
	{ "timeout.between_bytes", CFG_TIME, 0, POOL(timeout.between_bytes), 100, DAY, "60s",
	    .help = "How long a response may pause." },
	{ "timeout.total", CFG_TIME, 0, POOL(timeout.total), 0, DAY, "0",
	    .help = "How long a request may take in all, queue and retries included; 0: no "
		    "limit." },
	{ "timeout.queue", CFG_TIME, 0, POOL(timeout.queue), 0, HOUR, "10s",
	    .help = "How long a request may wait for a host; 503 with Retry-After then. See "
		    "failover.grace." },
	{ "timeout.keepalive", CFG_TIME, 0, POOL(timeout.keepalive), 100, DAY, "60s",
	    .help =
		"How long an idle connection to a backend is kept. It should be shorter than the "
		"backend's own; therefore it is 4 s for \"http\" unless set, as Node.js closes "
		"after 5." },
	{ "timeout.tunnel", CFG_TIME, 0, POOL(timeout.tunnel), SECOND, 30 * (int64_t)DAY, "1h",
	    .help = "How long an upgraded connection (a WebSocket) may be silent." },
	{ "timeout.resolve", CFG_TIME, 0, POOL(timeout.resolve), 100, MINUTE, "5s",
	    .help = "How long one lookup of a host's name may take." },

	{ "failover.threshold", CFG_INT, 0, POOL(failover.threshold), 1, 1000, "3",
	    .help = "So many failures one after the other take a host out, seen by whichever "
		    "workers." },
	{ "failover.window", CFG_TIME, 0, POOL(failover.window), 100, HOUR, "10s",
	    .help = "Failures that are further apart than this are not counted together." },
	{ "failover.refused", CFG_TIME, 0, POOL(failover.refused), 10, HOUR, "1s",
	    .help = "How long a host is left out that refuses connections. Doubled at each "
		    "repetition, as the next ones are, up to failover.max; then one worker tries "
		    "it." },
	{ "failover.unreachable", CFG_TIME, 0, POOL(failover.unreachable), 10, HOUR, "5s",
	    .help = "How long, when it cannot be reached or does not accept in time." },
	{ "failover.overload", CFG_TIME, 0, POOL(failover.overload), 10, HOUR, "1s",
	    .help = "How long, when it says that it has too much to do: its queue is full, or it "
		    "answers 503 with Retry-After, which counts then." },
	{ "failover.errors", CFG_TIME, 0, POOL(failover.errors), 10, HOUR, "10s",
	    .help = "How long, when it answers with errors (5xx), breaks off, or is silent." },
	{ "failover.max", CFG_TIME, 0, POOL(failover.max), 100, DAY, "60s",
	    .help = "The longest that a host is left out before it is tried again." },
	{ "failover.eject", CFG_INT, 0, POOL(failover.eject), 0, 100, "50",
	    .help = "The largest part of a pool, in percent, that may be left out for errors in "
		    "its answers: an application that fails everywhere is not a host that fails." },
	{ "failover.slow_start", CFG_TIME, 0, POOL(failover.slow_start), 0, HOUR, "0",
	    .help = "The weight of a host that came back grows from a tenth for so long; 0: it "
		    "has all of it at once." },
	{ "failover.grace", CFG_TIME, 0, POOL(failover.grace), 0, DAY, "10s",
	    .help = "Requests wait for a host, for timeout.queue at most, while all have been down "
		    "for less than this: a hiccup, an application that starts again. In an outage "
		    "that lasts longer they are answered with 503 at once, and the hosts go on "
		    "being tried. 0: nobody waits for hosts that are down. Hosts that are only "
		    "full are waited for in any case." },

	{ "retry.attempts", CFG_INT, 0, POOL(retry.attempts), 1, 16, "3",
	    .help =
		"How many hosts are tried for one request, the first included. A request that may "
		"have reached an application is tried again only when that is safe: its method is "
		"idempotent, its body is still there (complete with request_body \"buffer\", up to "
		"64 KiB of it while it is streamed), and another host, or another spawned process, "
		"can take it." },
	{ "retry.budget", CFG_INT, 0, POOL(retry.budget), 0, 100, "20",
	    .help = "Retries in percent of the pool's requests, so that a pool in trouble does not "
		    "get more work; three a second are always allowed." },
	{ "retry.status", CFG_STRS, 0, POOL(retry.statuses), .def = "502 503 504",
	    .help = "Answers that are taken as failures where another host can be tried. An empty "
		    "list, [ ]: none.",
	    .example = "retry: { attempts = 2; status = [ 502, 503 ]; };" },

	{ "health.path", CFG_STR, CFG_SHORT, POOL(health.path),
	    .help = "What to ask each host for, now and then, to see whether it is well: one "
		    "worker does it for all. Default: hosts are judged by their answers alone.",
	    .example = "health = \"/healthz\";" },
	{ "health.enabled", CFG_BOOL, 0, POOL(health.is_on), .def = "false",
	    .help = "Checks without a path: a connection is made, AJP and FastCGI are asked for a "
		    "sign of life. With a path they are on in any case." },
	{ "health.method", CFG_STR, CFG_NONEMPTY, POOL(health.method), .def = "GET",
	    .help = "The method of a check." },
	{ "health.host", CFG_STR, 0, POOL(health.host),
	    .help = "The Host of a check. Default: the address of the backend." },
	{ "health.status", CFG_STRS, CFG_NONEMPTY, POOL(health.statuses), .def = "200-399",
	    .help = "Statuses that are good: \"200\", \"2xx\", \"200-399\"." },
	{ "health.body", CFG_STR, 0, POOL(health.body),
	    .help = "A text that the first 64 KiB of the answer must hold. Default: any will do." },
	{ "health.interval", CFG_TIME, 0, POOL(health.interval), 100, DAY, "5s",
	    .help = "From one check of a host to the next, give or take a tenth." },
	{ "health.timeout", CFG_TIME, 0, POOL(health.timeout), 10, HOUR, "2s",
	    .help = "How long a check may take." },
	{ "health.rise", CFG_INT, 0, POOL(health.rise), 1, 100, "2",
	    .help = "So many good checks in a row bring a host back." },
	{ "health.fall", CFG_INT, 0, POOL(health.fall), 1, 100, "3",
	    .help = "So many bad checks in a row take it out." },

	{ "tls.enabled", CFG_BOOL, CFG_SHORT, POOL(tls.on), .def = "false",
	    .help = "Whether connections to hosts are encrypted, for \"http\". A host "
		    "\"https://…\" turns it on.",
	    .example = "tls: { enabled = true; name = \"app.example\"; ca = \"ca.pem\"; };" },
	{ "tls.verify", CFG_BOOL, 0, POOL(tls.verify), .def = "true",
	    .help = "Whether a host must show a certificate for its name." },
	{ "tls.name", CFG_STR, 0, POOL(tls.name),
	    .help = "The name that is asked for and verified. Default: the host's own." },
	{ "tls.ca", CFG_PATH, 0, POOL(tls.ca_file),
	    .help = "A file with the certificates that are trusted. Default: the system's." },
	{ "tls.certificate", CFG_PATH, 0, POOL(tls.certificate),
	    .help = "A certificate, with its chain, to show to hosts. Default: none." },
	{ "tls.key", CFG_PATH, 0, POOL(tls.key), .help = "The key of that certificate." },

	{ "spawn.command", CFG_STRS, CFG_SHORT, SPAWN(command),
	    .help =
		"A program and its arguments, started and watched by the server. For \"fastcgi\", "
		"\"scgi\" and \"uwsgi\" it gets a listening socket as its standard input; for "
		"\"http\" too, and as the service manager would (LISTEN_FDS), or it listens at the "
		"address that \"hosts\" says. For \"cgi\": an interpreter that scripts are given "
		"to; default: they are executed themselves.",
	    .example = "spawn: { command = [ \"/usr/bin/php-cgi\" ]; processes = \"2..8\"; "
		       "user = \"app\"; };" },
	{ "spawn.processes", CFG_STR, CFG_NONEMPTY, SPAWN(processes), .def = "4",
	    .help = "How many: a number, or \"2..8\" for as many as the load asks for. For "
		    "\"cgi\": how many scripts run at the same time; default 32." },
	{ "spawn.user", CFG_STR, 0, SPAWN(user),
	    .help = "The user that they run as. Default: the workers' user." },
	{ "spawn.group", CFG_STR, 0, SPAWN(group),
	    .help = "The group that they run as. Default: the user's own." },
	{ "spawn.chroot", CFG_PATH, 0, SPAWN(chroot),
	    .help = "The directory that is the root of the file system for them." },
	{ "spawn.directory", CFG_STR, 0, SPAWN(directory),
	    .help = "The directory that they are started in, below chroot. Default: \"/\"." },
	{ "spawn.environment", CFG_STRS, 0, SPAWN(environment),
	    .help = "Their environment, as \"NAME=value\". They get nothing else but PATH and what "
		    "keep_environment names." },
	{ "spawn.keep_environment", CFG_STRS, 0, SPAWN(keep_environment),
	    .help = "Names of variables that they get from the server's own environment." },
	{ "spawn.load", CFG_INT, 0, SPAWN(requests_per_process), 1, 10000, "1",
	    .help = "One more process is started, up to the number allowed, when there are more "
		    "requests than this for each." },
	{ "spawn.idle", CFG_TIME, 0, SPAWN(idle), SECOND, DAY, "30s",
	    .help = "A process more than needed is stopped after so long." },
	{ "spawn.stop_timeout", CFG_TIME, 0, SPAWN(stop_timeout), 100, DAY, "10s",
	    .help = "How long a process may take to end when it is asked to; then it is killed." },
	{ "spawn.limits.memory", CFG_SIZE, 0, SPAWN(max_memory), 0, INT64_MAX, "0",
	    .help = "The address space that each may have. 0, here and in the next: as the server "
		    "has it." },
	{ "spawn.limits.files", CFG_INT, 0, SPAWN(max_files), 0, 100000000, "0",
	    .help = "How many files each may have open. 0: 1024, and up to what the server may." },
	{ "spawn.limits.cpu", CFG_TIME, 0, SPAWN(max_cpu), 0, 365 * (int64_t)DAY, "0",
	    .help = "The CPU time that each may use, in whole seconds." },
	{ "spawn.limits.processes", CFG_INT, 0, SPAWN(max_processes), 0, 10000000, "0",
	    .help = "How many processes their user may have." },
	{ "spawn.umask", CFG_STR, CFG_NONEMPTY, SPAWN(umask_text), .def = "0022",
	    .help = "The permissions that files they make do not get, in octal." },
	{ 0 },
};
