/*
 * A process that works is RUNNING. One that is asked to end goes through TERM to KILL. One that
 * could be spared goes through QUIET when it has no handler for SIGTERM, and back when it has
 * something to do: it is stopped for a moment, because a process that does not run takes no
 * connection, so when it has none it can be ended without anybody noticing. Each process leads a
 * group of its own.
 *
 * What a process writes to its standard error comes through a pipe, at most LOCALPROC_RATE bytes
 * in a second: then it waits, and not the master.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/chronicle.h"
#include "master/local/busy.h"
#include "master/local/exec.h"
#include "master/local/local.h"
#include "master/local/sock.h"

enum {
	LOCALPROC_READ = 16384,
	LOCALPROC_RATE = 1 << 20,
	LOCALPROC_LAST = 64, /* reads after its death: what fits into a pipe */
	LOCALPROC_FREEZE_MS = 2,
	LOCALPROC_FREEZES = 20, /* looks whether it has stopped */
	LOCALPROC_KILL_MS = 5000,
};

static void localproc_quiet(void *arg);
static void localproc_term_over(void *arg);
static void localproc_kill_over(void *arg);

static const struct {
	const char *name;
	void (*expired)(void *arg);
} localproc_states[PROC_STATES] = {
	[PROC_RUNNING] = { "running", NULL },
	[PROC_QUIET] = { "looked at", localproc_quiet },
	[PROC_TERM] = { "terminated", localproc_term_over },
	[PROC_KILL] = { "killed", localproc_kill_over },
};

static void
localproc_enter(struct localproc *p, enum localproc_state state, uint64_t ms)
{
	log_debug("backend %s: process %d: %s -> %s", p->local->name, (int)p->pid,
	    localproc_states[p->state].name, localproc_states[state].name);
	p->state = state;
	p->since = clock_ms();
	alarm_del(&p->alarm);
	if (localproc_states[state].expired)
		alarm_set(&p->alarm, ms, localproc_states[state].expired, p);
}

/* ---- what it says ---- */

static void
localproc_line(void *arg, struct str line)
{
	struct localproc *p = arg;

	if (lines_may(&p->local->rate, clock_ms()))
		log_notice("backend %s[%d]: %.*s", p->local->name, (int)p->pid, STR_FMT(line));
}

static void
localproc_close_log(struct localproc *p)
{
	if (p->log < 0)
		return;
	watch_del(&p->watch);
	alarm_del(&p->pause);
	close(p->log);
	p->log = -1;
	lines_flush(&p->lines, localproc_line, p);
}

/* False: nothing more is there now. */
static bool
localproc_read_once(struct localproc *p)
{
	char room[LOCALPROC_READ];
	ssize_t n = p->log >= 0 ? read(p->log, room, sizeof(room)) : 0;

	if (n > 0) {
		lines_feed(&p->lines, room, (size_t)n, localproc_line, p);
		p->log_bytes += (size_t)n;
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		localproc_close_log(p);
	}
	return n > 0;
}

static void localproc_listen(void *arg);

static void
localproc_readable(void *arg, short revents)
{
	struct localproc *p = arg;
	uint64_t now = clock_ms();

	(void)revents;
	if (now - p->log_since >= 1000) {
		p->log_since = now;
		p->log_bytes = 0;
	}
	if (localproc_read_once(p) && p->log_bytes > LOCALPROC_RATE) {
		watch_del(&p->watch);
		alarm_set(&p->pause, 1000 - (now - p->log_since), localproc_listen, p);
	}
}

static void
localproc_listen(void *arg)
{
	struct localproc *p = arg;

	watch_add(&p->watch, p->log, POLLIN, localproc_readable, p);
}

void
localproc_flush(struct localproc *p)
{
	lines_flush(&p->lines, localproc_line, p);
}

/* ---- birth ---- */

struct localproc *
localproc_adopt(struct local_pool *l, enum localproc_state state, pid_t pid, uint64_t digest,
    uint64_t born, int log)
{
	struct localproc *p = must_calloc(1, sizeof(*p));

	p->local = l;
	p->pid = pid;
	p->digest = digest;
	p->born = p->since = born;
	p->log = log;
	list_add_tail(&l->procs, &p->link);
	if (log >= 0)
		localproc_listen(p);
	if (state == PROC_RUNNING)
		return p;
	kill(pid, SIGCONT);
	p->stop_ms = LOCALPROC_KILL_MS;
	localproc_enter(p, state == PROC_QUIET ? PROC_RUNNING : state, LOCALPROC_KILL_MS);
	return p;
}

struct localproc *
localproc_start(struct local_pool *l, const struct localspec *spec, int sock)
{
	struct localproc *p;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_error("backend %s: pipe", l->name);
		return NULL;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	pid = localexec_start(spec, sock, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		log_error("backend %s: fork", l->name);
		close(ends[0]);
		return NULL;
	}
	setpgid(pid, pid); /* the child does the same; whoever is first */
	p = localproc_adopt(l, PROC_RUNNING, pid, spec->digest, clock_ms(), ends[0]);
	p->served = local_served(l);
	chronicle_add(HISTORY_PROCESS_START, pid, -1, "backend %s was started", l->name);
	return p;
}

/* ---- the end ---- */

static void
localproc_term(struct localproc *p)
{
	kill(p->pid, SIGTERM);
	kill(p->pid, SIGCONT);
	localproc_enter(p, PROC_TERM, p->stop_ms);
}

bool
localproc_is_idle(const struct localproc *p)
{
	char path[128];
	int n;

	if (p->local->sock < 0)
		return true;
	localsock_bound(p->local->sock, path, sizeof(path));
	n = localbusy_connections(p->pid, path);
	return n == 0 || (n < 0 && localbusy_catches_term(p->pid));
}

/* It was sent SIGSTOP; when it has stopped, what has it got? */
static void
localproc_quiet(void *arg)
{
	struct localproc *p = arg;
	bool is_frozen = localbusy_is_frozen(p->pid);

	if (!is_frozen && clock_ms() - p->since < LOCALPROC_FREEZES * LOCALPROC_FREEZE_MS) {
		alarm_set(&p->alarm, LOCALPROC_FREEZE_MS, localproc_quiet, p);
		return;
	}
	if (is_frozen && localproc_is_idle(p)) {
		localproc_term(p);
		return;
	}
	kill(p->pid, SIGCONT);
	localproc_enter(p, PROC_RUNNING, 0);
}

void
localproc_spare(struct localproc *p, uint64_t ms)
{
	p->stop_ms = ms;
	if (p->local->sock < 0 || localbusy_catches_term(p->pid)) {
		localproc_term(p);
		return;
	}
	kill(p->pid, SIGSTOP);
	localproc_enter(p, PROC_QUIET, LOCALPROC_FREEZE_MS);
}

void
localproc_stop(struct localproc *p, uint64_t ms)
{
	if (p->state == PROC_KILL || (p->state == PROC_TERM && ms >= p->stop_ms))
		return;
	p->stop_ms = ms;
	localproc_term(p);
}

void
localproc_kill(struct localproc *p)
{
	kill(-p->pid, SIGKILL);
	kill(p->pid, SIGKILL);
	localproc_enter(p, PROC_KILL, LOCALPROC_KILL_MS);
}

static void
localproc_term_over(void *arg)
{
	struct localproc *p = arg;

	log_warnx("backend %s: process %d did not end on SIGTERM: killing it", p->local->name,
	    (int)p->pid);
	chronicle_add(HISTORY_PROCESS_KILLED, p->pid, -1, "backend %s did not end on SIGTERM",
	    p->local->name);
	localproc_kill(p);
}

static void
localproc_kill_over(void *arg)
{
	localproc_kill(arg);
}

/* ---- the obituary ---- */

static void
localproc_how(int status, char *text, size_t len)
{
	if (WIFSIGNALED(status))
		snprintf(text, len, "was killed by SIG%s%s", sigabbrev_np(WTERMSIG(status)),
		    WCOREDUMP(status) ? " (core dumped)" : "");
	else
		snprintf(text, len, "ended with status %d", WEXITSTATUS(status));
}

void
localproc_reap(struct localproc *p, int status)
{
	uint64_t age = clock_ms() - p->born;
	bool was_told = p->state == PROC_TERM || p->state == PROC_KILL;
	bool is_well = was_told || local_is_well(p->local, p, status);
	char how[80];

	/* Those that it has started itself are nobody's now. */
	kill(-p->pid, p->state == PROC_KILL ? SIGKILL : SIGTERM);
	for (int i = 0; i < LOCALPROC_LAST && localproc_read_once(p); i++)
		continue;
	localproc_close_log(p);
	localproc_how(status, how, sizeof(how));
	log_at(is_well ? LOG_INFO_ : LOG_ERROR_, NULL, false,
	    "backend %s: process %d %s after %llu.%03u s", p->local->name, (int)p->pid, how,
	    (unsigned long long)(age / 1000), (unsigned)(age % 1000));
	if (!is_well)
		chronicle_add(
		    HISTORY_PROCESS_DEATH, p->pid, -1, "backend %s %s", p->local->name, how);
	alarm_del(&p->alarm);
	list_del(&p->link);
	local_died(p->local, p, status, is_well);
	free(p);
}
