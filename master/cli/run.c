#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/cli/cli_conf.h"
#include "master/cli/run.h"
#include "master/master.h"

static char *
run_absolute(const char *path)
{
	char *cwd, *full;

	if (path[0] == '/')
		return must_strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return must_strdup(path);
	must(asprintf(&full, "%s/%s", cwd, path) > 0);
	free(cwd);
	return full;
}

/* The file that the shell found in $PATH. */
static char *
run_search(const char *name)
{
	const char *path = getenv("PATH");
	char *copy = must_strdup(path ? path : "/usr/sbin:/usr/bin"), *rest = copy, *dir;
	char *full = NULL;

	while (!full && (dir = strsep(&rest, ":")) != NULL) {
		must(asprintf(&full, "%s/%s", *dir ? dir : ".", name) > 0);
		if (access(full, X_OK) == 0)
			break;
		free(full);
		full = NULL;
	}
	free(copy);
	return full;
}

/* Symbolic links are left as they are: an upgrade that moves one is found. */
void
run_remember(char **argv)
{
	char *found = strchr(argv[0], '/') ? must_strdup(argv[0]) : run_search(argv[0]);

	if (!found)
		found = realpath("/proc/self/exe", NULL);
	master.argv = argv;
	master.exe = run_absolute(found ? found : argv[0]);
	free(found);
}

int
run_main(int argc, char **argv)
{
	static const struct option longs[] = { { "config", required_argument, NULL, 'c' },
		{ "no-color", no_argument, NULL, 'n' }, { "quiet", no_argument, NULL, 'q' },
		{ NULL, 0, NULL, 0 } };
	const char *file = cli_default_file;
	int opt;

	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "c:f:Dq", longs, NULL)) != -1) {
		if (opt == 'c' || opt == 'f')
			file = optarg;
		else if (opt == 'n')
			setenv("NO_COLOR", "1", 1);
		else if (opt == '?')
			break;
	}
	if (opt != -1 || optind != argc) {
		fprintf(stderr, "usage: argand run [-c FILE] [--no-color]\n");
		return CLI_USAGE;
	}
	master.file = run_absolute(file);
	return master_run();
}
