#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/config/conf_trust.h"
#include "master/cli/cli_conf.h"
#include "master/cli/serve.h"
#include "master/master.h"

enum { SERVE_PORT = 8000, SERVE_TRIES = 100, SERVE_LISTEN = 256, SERVE_NO_COLOUR, SERVE_WORKERS };

struct serve_args {
	const char *dir, *host;
	unsigned port;
	unsigned workers;
	bool quiet, has_port;
};

static struct serve_args serve_args;

static const char serve_usage[] = "serve [DIR] [--port N] [--listen ADDRESS] [--workers N] [-q]";

static bool
serve_number(const char *text, unsigned most, unsigned *out)
{
	uint64_t n;

	if (!str_to_u64(str_of(text), most, &n) || n == 0) {
		fprintf(stderr, "argand: '%s' is not a number from 1 to %u\n", text, most);
		return false;
	}
	*out = (unsigned)n;
	return true;
}

static bool
serve_option(int opt, struct serve_args *args)
{
	if (opt == 'p')
		return args->has_port = serve_number(optarg, 65535, &args->port);
	if (opt == SERVE_WORKERS)
		return serve_number(optarg, 128, &args->workers);
	if (opt == SERVE_LISTEN)
		args->host = optarg;
	else if (opt == 'q')
		args->quiet = true;
	else if (opt == SERVE_NO_COLOUR)
		setenv("NO_COLOR", "1", 1);
	else
		fprintf(stderr, "usage: argand %s\n", serve_usage);
	return opt != '?';
}

static bool
serve_parse(int argc, char **argv, struct serve_args *args)
{
	static const struct option longs[] = { { "port", required_argument, NULL, 'p' },
		{ "listen", required_argument, NULL, SERVE_LISTEN },
		{ "workers", required_argument, NULL, SERVE_WORKERS },
		{ "quiet", no_argument, NULL, 'q' },
		{ "no-color", no_argument, NULL, SERVE_NO_COLOUR }, { NULL, 0, NULL, 0 } };
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "p:q", longs, NULL)) != -1)
		if (!serve_option(opt, args))
			return false;
	if (optind < argc)
		args->dir = argv[optind++];
	if (optind == argc)
		return true;
	fprintf(stderr, "usage: argand %s\n", serve_usage);
	return false;
}

/* Whether the port can be had: bound without SO_REUSEPORT, as in listener.c. */
static bool
serve_is_free(const char *host, unsigned port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	bool v6 = inet_pton(AF_INET, host, &in.sin_addr) != 1;
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, rc;

	if (v6 && inet_pton(AF_INET6, host, &in6.sin6_addr) != 1)
		in6.sin6_addr = in6addr_any;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	rc = v6 ? bind(fd, (void *)&in6, sizeof(in6)) : bind(fd, (void *)&in, sizeof(in));
	rc = rc < 0 && errno == EADDRINUSE;
	close(fd);
	return !rc;
}

/* A text as libconfig wants it between quotes. */
static void
serve_quote(struct text *t, const char *s)
{
	text_add(t, "\"", 1);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			text_add(t, "\\", 1);
		text_add(t, s, 1);
	}
	text_add(t, "\"", 1);
}

static void
serve_conf(const struct serve_args *a, const char *root, struct text *t)
{
	bool v6 = strchr(a->host, ':') && a->host[0] != '[';
	char address[128];

	snprintf(address, sizeof(address), v6 ? "[%s]:%u" : "%s:%u", a->host, a->port);
	text_printf(t, "server: {\n\tlisten = ");
	serve_quote(t, address);
	text_printf(t, ";\n\tlog_level = \"warn\";\n\tstop_timeout = \"5s\";\n");
	if (a->workers)
		text_printf(t, "\tworkers = %u;\n", a->workers);
	if (!a->quiet)
		text_printf(t, "\taccess_log: { file = \"stdout\"; format = \"short\"; };\n");
	text_printf(t, "};\nsites = ( {\n\thost = \"*\";\n\tlisting = true;\n\troot = ");
	serve_quote(t, root);
	text_printf(t, ";\n} );\n");
	text_add(t, "", 1);
}

static void
serve_url(const char *host, unsigned port)
{
	const char *fmt = strchr(host, ':') ? "http://[%s]:%u/" : "http://%s:%u/";

	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
		host = "127.0.0.1";
	else if (strcmp(host, "::") == 0)
		host = "::1";
	printf(fmt, host, port);
}

static void
serve_ready(const struct conf *conf)
{
	printf("Serving %s with %lld worker%s:  ", serve_args.dir, (long long)conf->process.workers,
	    conf->process.workers == 1 ? "" : "s");
	serve_url(serve_args.host, serve_args.port);
	printf("\nCtrl-C stops.%s\n", serve_args.has_port ? "" : "  (--port N for another port)");
	if (conf_risks(conf))
		printf("Its workers run as root, and so would whoever takes one over: better start "
		       "it as another user.\n");
	fflush(stdout);
}

int
serve_main(int argc, char **argv)
{
	struct serve_args *a = &serve_args;
	struct text conf = { 0 };
	struct stat st;
	char *root;
	int status;

	*a = (struct serve_args){ .dir = ".", .host = "127.0.0.1", .port = SERVE_PORT };
	if (!serve_parse(argc, argv, a))
		return CLI_USAGE;
	root = realpath(a->dir, NULL);
	if (!root || stat(root, &st) < 0 || !S_ISDIR(st.st_mode)) {
		fprintf(
		    stderr, "argand: %s: %s\n", a->dir, root ? "not a directory" : strerror(errno));
		return CLI_FAILED;
	}
	for (unsigned i = 0; !a->has_port && i < SERVE_TRIES; i++) {
		a->port = SERVE_PORT + i;
		if (serve_is_free(a->host, a->port))
			break;
	}
	serve_conf(a, root, &conf);
	master.text = conf.p;
	master.name = "serve";
	master.on_ready = serve_ready;
	status = master_run();
	text_free(&conf);
	free(root);
	return status;
}
