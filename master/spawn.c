/*
 * Between fork() and worker_run(). The order matters: descriptors are closed before anything of the
 * worker's runs; limits are raised while we still may; the groups go before the user; then the
 * child waits until the master has noted who it is; and only then is the row entered, so that the
 * master sees a worker that is what it should be.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/heritage.h"
#include "master/generation.h"
#include "master/listener.h"
#include "master/master.h"
#include "master/spawn.h"
#include "worker/worker.h"

enum { SPAWN_FILES_SPARE = 1024 }; /* descriptors beside those of connections */

/* ---- what it keeps ---- */

struct spawn_keep {
	int v[SHM_SLOTS * 64];
	size_t n;
};

static void
spawn_keep_add(struct spawn_keep *k, int fd)
{
	if (fd > STDERR_FILENO) {
		must(k->n < sizeof(k->v) / sizeof(k->v[0]));
		k->v[k->n++] = fd;
	}
}

static int
spawn_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void
spawn_close_range(unsigned first, unsigned last)
{
	if (first > last || close_range(first, last, 0) == 0)
		return;
	if (last > 65536)
		last = 65536;
	for (unsigned fd = first; fd <= last; fd++)
		close((int)fd);
}

/* Everything that is not on the list goes: signal descriptor, other workers' channels, the control
   socket and its clients, the service manager's socket, sockets of addresses not ours. */
static void
spawn_close_others(struct spawn_keep *k)
{
	unsigned next = STDERR_FILENO + 1;

	qsort(k->v, k->n, sizeof(k->v[0]), spawn_compare);
	for (size_t i = 0; i < k->n; i++) {
		if ((unsigned)k->v[i] < next)
			continue; /* the same again: a shared socket */
		spawn_close_range(next, (unsigned)k->v[i] - 1);
		next = (unsigned)k->v[i] + 1;
	}
	spawn_close_range(next, ~0u);
}

static void
spawn_heritage(struct heritage *h, struct seat *s, int chan, struct spawn_keep *keep)
{
	const struct conf *conf = s->gen->conf;
	struct heritage_listen *listens = must_calloc(conf->nlistens, sizeof(*listens));
	int *logs = must_calloc(s->gen->logs.n, sizeof(*logs));
	size_t n = 0;

	for (size_t i = 0; i < conf->nlistens; i++) {
		struct listener *l = listener_find(conf->listens[i].text);

		if (!l)
			continue; /* optional, and not on this machine */
		listens[n++] = (struct heritage_listen){ &conf->listens[i], l->fds, l->slots };
		for (unsigned k = 0; k < l->slots; k++)
			if (!l->is_shared || k == 0)
				spawn_keep_add(keep, l->fds[k]);
	}
	for (size_t i = 0; i < s->gen->logs.n; i++)
		spawn_keep_add(keep, logs[i] = s->gen->logs.v[i]->fd);
	spawn_keep_add(keep, chan);
	spawn_keep_add(keep, shm_fd(s->shm));
	spawn_keep_add(keep, log_fd());
	*h = (struct heritage){ .conf = conf,
		.shm = s->shm,
		.row = (unsigned)s->row,
		.generation = s->gen->number,
		.seat = s->index,
		.workers = s->gen->nseats,
		.listens = listens,
		.nlistens = n,
		.log_fds = logs,
		.chan = chan };
}

/* ---- what it is ---- */

static void
spawn_limits(const struct conf_process *p)
{
	struct rlimit rl;
	rlim_t want = (rlim_t)p->max_files;

	if (want == 0)
		want = (rlim_t)p->max_connections + SPAWN_FILES_SPARE;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	if (want > rl.rlim_max && geteuid() == 0)
		rl.rlim_max = want;
	rl.rlim_cur = want < rl.rlim_max ? want : rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == 0)
		return;
	/* Not ours to raise (a container): all that is allowed. */
	getrlimit(RLIMIT_NOFILE, &rl);
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
}

/* The ids that conf asks for; false when there is no such user or group. */
static bool
spawn_ids(const struct conf_process *p, uid_t *uid, gid_t *gid)
{
	struct passwd *pw = p->user.n ? getpwnam(p->user.p) : NULL;
	struct group *gr = p->group.n ? getgrnam(p->group.p) : NULL;

	if ((p->user.n && !pw) || (p->group.n && !gr))
		return false;
	*uid = pw ? pw->pw_uid : geteuid();
	*gid = gr ? gr->gr_gid : pw ? pw->pw_gid : getegid();
	return true;
}

uid_t
spawn_uid(const struct conf_process *p)
{
	uid_t uid;
	gid_t gid;

	return geteuid() == 0 && spawn_ids(p, &uid, &gid) ? uid : geteuid();
}

bool
spawn_check(const struct conf *conf, struct text *report)
{
	const struct conf_process *p = &conf->process;
	uid_t uid;
	gid_t gid;

	if (!spawn_ids(p, &uid, &gid)) {
		text_printf(report, "no such user or group: \"%.*s\" \"%.*s\"\n", STR_FMT(p->user),
		    STR_FMT(p->group));
		return false;
	}
	if (geteuid() != 0 && (uid != geteuid() || gid != getegid()))
		text_printf(
		    report, "user and group are left as they are: only root can change them\n");
	return true;
}

/* A service manager may have given an unprivileged master the right to bind low ports. Only the
   master binds. Where a system call filter forbids this they stay: nothing is lost by that. */
static void
spawn_shed_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	syscall(SYS_capset, &head, none);
}

static void
spawn_shed(const struct conf_process *p)
{
	uid_t uid;
	gid_t gid;

	/* Once shed, never again to be had: not by a program with the set-user-id bit either. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (geteuid() != 0) {
		spawn_shed_capabilities();
		return;
	}
	if (p->user.n == 0 && p->group.n == 0)
		return;
	if (!spawn_ids(p, &uid, &gid))
		_exit(1);
	if ((p->user.n ? initgroups(p->user.p, gid) : setgroups(0, NULL)) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		log_error("cannot become user \"%.*s\"", STR_FMT(p->user));
		_exit(1);
	}
	must(uid == 0 || setuid(0) < 0);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* a crash shall leave a core where cores are kept */
}

/* As if freshly executed; worker_run() unblocks. */
static void
spawn_signals(void)
{
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			signal(sig, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/* Lines to the journal go through a socket of the log's own, which is not on our list. */
static void
spawn_log(const struct seat *s, struct spawn_keep *keep)
{
	int fd = log_fd();
	bool is_stderr = fd == STDERR_FILENO;

	log_open(fd, LOG_TEXT);
	spawn_close_others(keep);
	if (is_stderr)
		log_open(fd, log_form_for_stderr());
	log_who("worker %u", s->index);
}

/* For the first word of the master. If it was killed before the ledger named us its successor would
   know nothing of us: then there is nothing to wait for any more. */
static bool
spawn_is_noted(int chan)
{
	struct pollfd p = { .fd = chan, .events = POLLIN };
	char what = 0;

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
	return recv(chan, &what, 1, MSG_DONTWAIT) == 1 && what == CHAN_GO;
}

static _Noreturn void
spawn_child(struct seat *s, int chan)
{
	static struct spawn_keep keep;
	struct heritage h;

	spawn_signals();
	spawn_heritage(&h, s, chan, &keep);
	spawn_log(s, &keep);
	spawn_limits(&h.conf->process);
	spawn_shed(&h.conf->process);
	if (!spawn_is_noted(chan) || !shm_worker_enter(s->shm, h.row, getpid()))
		_exit(1);
	must_words(shm_worker(s->shm, h.row)->words, SHM_WORDS);
	worker_run(&h);
}

pid_t
spawn_worker(struct seat *s, int chan)
{
	pid_t pid = fork();

	if (pid == 0)
		spawn_child(s, chan);
	return pid;
}
