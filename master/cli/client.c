#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/text.h"
#include "master/base/ctlpath.h"
#include "master/cli/cli_conf.h"
#include "master/cli/client.h"

enum {
	CLIENT_JSON = 256,
	CLIENT_NO_COLOUR,
	CLIENT_SEGMENT,
	CLIENT_WATCH,
	CLIENT_ANSWER_MAX = 1 << 24,
	CLIENT_LINE = 500
};

struct client_args {
	const char *file;
	bool quiet, json, segment, watch, colour;
};

static bool
client_parse(int argc, char **argv, const char *usage, struct client_args *args)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "json", no_argument, NULL, CLIENT_JSON },
		{ "segment", no_argument, NULL, CLIENT_SEGMENT },
		{ "watch", no_argument, NULL, CLIENT_WATCH }, { "quiet", no_argument, NULL, 'q' },
		{ "no-color", no_argument, NULL, CLIENT_NO_COLOUR }, { NULL, 0, NULL, 0 } };
	int opt;

	*args = (struct client_args){ .file = cli_default_file, .colour = cli_colour(stdout) };
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:f:q", longs, NULL)) != -1) {
		if (opt == 'c' || opt == 'f')
			args->file = optarg;
		else if (opt == 'q')
			args->quiet = true;
		else if (opt == CLIENT_JSON)
			args->json = true;
		else if (opt == CLIENT_SEGMENT)
			args->segment = true;
		else if (opt == CLIENT_WATCH)
			args->watch = true;
		else if (opt == CLIENT_NO_COLOUR)
			args->colour = false;
		else
			break;
	}
	if (opt != -1)
		fprintf(stderr, "usage: argand %s\n", usage);
	return opt == -1;
}

/* ---- the connection ---- */

/* What answers must be run by root or by ourselves: a path in /tmp may be anybody's. */
static bool
client_trusts(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
	       (cred.uid == 0 || cred.uid == geteuid() || geteuid() == 0);
}

static int
client_connect_to(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%.*s", (int)sizeof(a.sun_path) - 1, path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && client_trusts(fd))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
client_connect(struct str configured, const char **why)
{
	static char text[400];
	char path[256], first[256] = "";

	for (unsigned i = 0; ctlpath_candidate(configured, i, path, sizeof(path)); i++) {
		int fd = client_connect_to(path);

		if (fd >= 0)
			return fd;
		if (i == 0) {
			snprintf(first, sizeof(first), "%s", path);
			snprintf(text, sizeof(text), "no server answers at %s: %s", first,
			    errno == EACCES ? "permission denied"
					    : "it is not running, or runs with another file (-c)");
		}
	}
	*why = text;
	return -1;
}

/* Sends a line, reads everything. */
static bool
client_exchange(int fd, const char *request, struct text *answer)
{
	char line[512];
	ssize_t n;

	snprintf(line, sizeof(line), "%s\n", request);
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
		return false;
	while (answer->n < CLIENT_ANSWER_MAX) {
		n = read(fd, text_room(answer, 4096), 4096);
		if (n == 0)
			return true;
		if (n > 0)
			answer->n += (size_t)n;
		else if (errno != EINTR)
			return answer->n > 0;
	}
	return true;
}

/* Takes the last line, "exit N", off the answer; -1: there is none. */
static int
client_status_of(struct text *answer)
{
	struct str s = text_str(answer);
	const char *last;

	if (s.n < 7 || s.p[s.n - 1] != '\n')
		return -1;
	last = memrchr(s.p, '\n', s.n - 1);
	last = last ? last + 1 : s.p;
	if (strncmp(last, "exit ", 5) != 0)
		return -1;
	answer->n = (size_t)(last - s.p);
	return atoi(last + 5);
}

/* One request; its answer to stdout, or to stderr when the status is not 0. */
static int
client_ask(const struct client_args *args, const char *request)
{
	char room[256];
	struct text answer = { 0 };
	const char *why;
	int status, fd = client_connect(ctlpath_configured(args->file, room, sizeof(room)), &why);

	if (fd < 0) {
		fprintf(stderr, "argand: %s\n", why);
		return CLI_FAILED;
	}
	if (!client_exchange(fd, request, &answer))
		fprintf(stderr, "argand: the connection broke: %s\n", strerror(errno));
	close(fd);
	status = client_status_of(&answer);
	if (status != 0 || !args->quiet)
		fwrite(answer.p, 1, answer.n, status == 0 ? stdout : stderr);
	if (status < 0)
		fprintf(stderr, "argand: the server ended before it had answered\n");
	text_free(&answer);
	fflush(stdout);
	return status < 0 ? CLI_FAILED : status;
}

/* ---- commands ---- */

static int
client_simple(int argc, char **argv, const char *usage, const char *request)
{
	struct client_args args;

	if (!client_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind != argc) {
		fprintf(stderr, "usage: argand %s\n", usage);
		return CLI_USAGE;
	}
	return client_ask(&args, request);
}

int
client_reload(int argc, char **argv)
{
	return client_simple(argc, argv, "reload [-c FILE] [-q]", "reload");
}

int
client_upgrade(int argc, char **argv)
{
	return client_simple(argc, argv, "upgrade [-c FILE] [-q]", "upgrade");
}

int
client_reopen(int argc, char **argv)
{
	return client_simple(argc, argv, "reopen [-c FILE] [-q]", "reopen");
}

int
client_config(int argc, char **argv)
{
	return client_simple(argc, argv, "config [-c FILE]", "config");
}

int
client_stop(int argc, char **argv)
{
	static const char usage[] = "stop [-c FILE] [-q] [fast]";
	struct client_args args;

	if (!client_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind == argc)
		return client_ask(&args, "stop");
	if (optind + 1 == argc && strcmp(argv[optind], "fast") == 0)
		return client_ask(&args, "stop fast");
	fprintf(stderr, "usage: argand %s\n", usage);
	return CLI_USAGE;
}

int
client_log_level(int argc, char **argv)
{
	static const char usage[] = "log-level [-c FILE] fatal|error|warn|notice|info|debug";
	struct client_args args;
	char request[64];

	if (!client_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: argand %s\n", usage);
		return CLI_USAGE;
	}
	snprintf(request, sizeof(request), "log-level %.40s", argv[optind]);
	return client_ask(&args, request);
}

/* A request with a form for programs and one for a terminal. */
static int
client_show(int argc, char **argv, const char *usage, const char *what)
{
	struct client_args args;
	char request[64];
	int status;

	if (!client_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	if (optind != argc || (args.segment && !strstr(usage, "--segment"))) {
		fprintf(stderr, "usage: argand %s\n", usage);
		return CLI_USAGE;
	}
	snprintf(request, sizeof(request), "%s%s", what,
	    args.json      ? " --json"
	    : args.segment ? " --segment"
	    : args.colour  ? " --color"
			   : "");
	if (!args.watch)
		return client_ask(&args, request);
	do {
		if (isatty(STDOUT_FILENO))
			printf("\033[H\033[2J");
		status = client_ask(&args, request);
	} while (status == 0 && sleep(1) == 0);
	return status;
}

int
client_status(int argc, char **argv)
{
	static const char usage[] = "status [-c FILE] [--json | --segment] [--watch] [--no-color]";

	return client_show(argc, argv, usage, "status");
}

int
client_events(int argc, char **argv)
{
	return client_show(
	    argc, argv, "events [-c FILE] [--json] [--watch] [--no-color]", "events");
}

/* Adds words to a request line; false: the line is too long, or a word is empty or has a blank in
   it. */
static bool
client_words(struct text *request, char **words, int n)
{
	for (int i = 0; i < n; i++) {
		if (words[i][0] == '\0' || strpbrk(words[i], " \n"))
			return false;
		text_printf(request, " %s", words[i]);
	}
	text_add(request, "", 1);
	return request->n <= CLIENT_LINE;
}

int
client_backend(int argc, char **argv)
{
	static const char usage[] =
	    "backend [-c FILE] [POOL [drain|disable|enable HOST | weight HOST N]]";
	struct client_args args;
	struct text request = { 0 };
	int status = CLI_USAGE;

	if (!client_parse(argc, argv, usage, &args))
		return CLI_USAGE;
	text_add_str(&request, args.colour ? STR("backend --color") : STR("backend"));
	if (argc - optind <= 4 && client_words(&request, argv + optind, argc - optind))
		status = client_ask(&args, request.p);
	else
		fprintf(stderr, "usage: argand %s\n", usage);
	text_free(&request);
	return status;
}

char *
client_dump(const struct conf *conf, const char **why)
{
	struct text answer = { 0 };
	int fd = client_connect(conf->process.control, why), status;

	if (fd < 0)
		return NULL;
	client_exchange(fd, "config", &answer);
	close(fd);
	status = client_status_of(&answer);
	text_add(&answer, "", 1);
	if (status == 0)
		return answer.p;
	text_free(&answer);
	*why = "the running server does not show its configuration";
	return NULL;
}
