/*
 * The order matters: names are looked up before the root changes, the groups go before the user,
 * the right to have a new root ends with the user; and what watches the parent comes last, because
 * a change of user clears it.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/base/become.h"

enum { BECOME_FILES = 1024 }; /* what programs expect where nobody has said anything */

/* The ids that are asked for; *missing: whose name there is nobody of, or NULL. */
static void
become_ids(const struct become *b, uid_t *uid, gid_t *gid, const char **missing)
{
	struct passwd *pw = b->user[0] ? getpwnam(b->user) : NULL;
	struct group *gr = b->group[0] ? getgrnam(b->group) : NULL;

	*missing = b->user[0] && !pw ? b->user : b->group[0] && !gr ? b->group : NULL;
	*uid = pw ? pw->pw_uid : geteuid();
	*gid = gr ? gr->gr_gid : pw ? pw->pw_gid : getegid();
}

bool
become_check(const struct become *b, char *why, size_t len)
{
	const char *missing;
	struct stat st;
	uid_t uid;
	gid_t gid;

	become_ids(b, &uid, &gid, &missing);
	if (missing)
		snprintf(why, len, "there is no user or group \"%s\"", missing);
	else if (geteuid() != 0 && (uid != geteuid() || gid != getegid()))
		snprintf(why, len, "only root can start processes as user \"%s\" group \"%s\"",
		    b->user, b->group);
	else if (geteuid() != 0 && b->chroot[0])
		snprintf(why, len, "only root can start processes in another root");
	else if (b->chroot[0] && (stat(b->chroot, &st) < 0 || !S_ISDIR(st.st_mode)))
		snprintf(why, len, "there is no directory %s", b->chroot);
	else
		return true;
	return false;
}

static void
become_limit_one(int which, int64_t n)
{
	/* One second of CPU more, so that SIGXCPU comes before SIGKILL and says why. */
	struct rlimit rl = { (rlim_t)n, (rlim_t)n + (which == RLIMIT_CPU) };

	if (n > 0 && setrlimit(which, &rl) < 0) {
		/* Not ours to raise: as much as is allowed. */
		getrlimit(which, &rl);
		rl.rlim_cur = rl.rlim_max;
		setrlimit(which, &rl);
	}
}

/* The master has raised its own limit as far as it may; that is nothing to hand on. */
static void
become_limit_files(int64_t n)
{
	struct rlimit rl;

	if (n > 0 || getrlimit(RLIMIT_NOFILE, &rl) < 0) {
		become_limit_one(RLIMIT_NOFILE, n);
		return;
	}
	if (rl.rlim_cur > BECOME_FILES) {
		rl.rlim_cur = BECOME_FILES;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

void
become_limit(const struct become *b)
{
	become_limit_files(b->max_files);
	become_limit_one(RLIMIT_CPU, b->max_cpu);
	become_limit_one(RLIMIT_NPROC, b->max_processes);
}

void
become_limit_memory(const struct become *b)
{
	become_limit_one(RLIMIT_AS, b->max_memory);
}

/* A service manager may have given the master rights; its children get none of them. */
static void
become_shed(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &head, none);
}

static int
become_user(const struct become *b, uid_t uid, gid_t gid)
{
	if (geteuid() != 0 || (!b->user[0] && !b->group[0])) {
		if (geteuid() != 0)
			become_shed();
		return 0;
	}
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -1;
	must(uid == 0 || setuid(0) < 0);
	return 0;
}

static int
become_root(const struct become *b, const char **what)
{
	*what = b->chroot;
	if (b->chroot[0] && (chroot(b->chroot) < 0 || chdir("/") < 0))
		return -1;
	*what = b->directory[0] ? b->directory : "/";
	return chdir(*what);
}

/* The parent may have died before we asked for a signal at its death. */
static int
become_child(const struct become *b)
{
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return -1;
	if (getppid() == b->parent)
		return 0;
	errno = ESRCH;
	return -1;
}

int
become_be(const struct become *b, const char **what)
{
	const char *missing;
	uid_t uid;
	gid_t gid;

	umask((mode_t)b->umask);
	become_ids(b, &uid, &gid, &missing);
	*what = missing;
	errno = ENOENT;
	if (missing)
		return -1;
	*what = b->user[0] ? b->user : b->group;
	if (geteuid() == 0 && b->user[0] && initgroups(b->user, gid) < 0)
		return -1;
	if (geteuid() == 0 && !b->user[0] && b->group[0] && setgroups(0, NULL) < 0)
		return -1;
	if (become_root(b, what) < 0)
		return -1;
	*what = b->user[0] ? b->user : b->group;
	if (become_user(b, uid, gid) < 0)
		return -1;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	*what = "a child of the master";
	return become_child(b);
}

void
become_fresh(void)
{
	sigset_t none;

	setpgid(0, 0);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
