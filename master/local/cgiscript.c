#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/local/cgienv.h"
#include "master/local/cgiscript.h"

extern char **environ;

/* ---- answers instead of the script's ---- */

static const struct {
	int error;
	const char *status, *why; /* why: NULL: what the error means */
} cgiscript_errors[] = {
	{ ENOENT, "404 Not Found", NULL },
	{ ENOTDIR, "404 Not Found", NULL },
	{ EACCES, "403 Forbidden", NULL },
	{ EPERM, "403 Forbidden", NULL },
	{ EXDEV, "403 Forbidden", "it is not below the document root" },
	{ EISDIR, "403 Forbidden", "it is no file" },
	{ EBADMSG, "400 Bad Request", "the environment of the request is not sound" },
	{ ENOEXEC, "500 Internal Server Error", "it is no program, and its first line names none" },
	{ 0, "500 Internal Server Error", NULL },
};

static _Noreturn void
cgiscript_fail(const char *what, const char *script, int error)
{
	unsigned i = 0;

	while (cgiscript_errors[i].error && cgiscript_errors[i].error != error)
		i++;
	dprintf(STDERR_FILENO, "cannot %s %s: %s\n", what, script,
	    cgiscript_errors[i].why ? cgiscript_errors[i].why : strerror(error));
	dprintf(STDOUT_FILENO, "Status: %s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\n",
	    cgiscript_errors[i].status, cgiscript_errors[i].status);
	_exit(EXIT_FAILURE);
}

/* ---- the script ---- */

static bool
cgiscript_is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(path, root, n) == 0 && path[n] == '/';
}

/* What is executed is the file that was looked at, whatever its links say a moment later. */
static void
cgiscript_find(const char *script, const char *root, bool is_direct, char real[PATH_MAX])
{
	char real_root[PATH_MAX];
	struct stat st;

	if (!script || script[0] != '/')
		cgiscript_fail("execute", "a script without SCRIPT_FILENAME", EBADMSG);
	if (!root || !realpath(root, real_root))
		cgiscript_fail("find the document root of", script, root ? errno : EBADMSG);
	if (!realpath(script, real))
		cgiscript_fail("execute", script, errno);
	if (!cgiscript_is_below(real, real_root))
		cgiscript_fail("execute", script, EXDEV);
	if (stat(real, &st) < 0 || access(real, is_direct ? X_OK : R_OK) < 0)
		cgiscript_fail("execute", script, errno);
	if (!S_ISREG(st.st_mode))
		cgiscript_fail("execute", script, EISDIR);
}

static void
cgiscript_chdir(const char *real)
{
	char dir[PATH_MAX];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", real);
	slash = strrchr(dir, '/');
	slash[slash == dir] = '\0';
	if (chdir(dir) < 0)
		cgiscript_fail("enter the directory of", real, errno);
}

/* The interpreter with the script, or the script. Its #! line may name what is not there: that is
   not the client's fault. */
static _Noreturn void
cgiscript_exec(char *const *command, char *real)
{
	char *argv[64];
	int n = 0;

	while (n < 62 && command[n]) {
		argv[n] = command[n];
		n++;
	}
	argv[n] = real;
	argv[n + 1] = NULL;
	if (n > 0)
		execvp(argv[0], argv);
	else
		execv(real, argv);
	cgiscript_fail("execute", n > 0 ? argv[0] : real, errno == ENOENT ? EIO : errno);
}

void
cgiscript_run(int conn, const char *block, size_t n, char *const *command, const struct become *as)
{
	const char *script = cgienv_get(block, n, "SCRIPT_FILENAME");
	char **env = cgienv_make(block, n, environ);
	pid_t starter = getppid();
	char real[PATH_MAX];

	become_fresh();
	dup2(conn, STDIN_FILENO);
	dup2(conn, STDOUT_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != starter)
		_exit(EXIT_FAILURE);
	if (!env)
		cgiscript_fail("read", "a request", EBADMSG);
	cgiscript_find(script, cgienv_get(block, n, "DOCUMENT_ROOT"), !command[0], real);
	cgiscript_chdir(real);
	become_limit(as);
	become_limit_memory(as);
	environ = env;
	cgiscript_exec(command, real);
}
