/*
 * A connection is in one state, a row of the table. HEAD: the environment is being read, exactly.
 * RUN: the script has the connection; we hold it too, and only look whether the other side is still
 * there. TERM, KILL: it is not, the script is to end. LINGER: the script has ended; we have ended
 * its answer, whoever of its children still holds the connection, and take what is left of the
 * request, because closing a socket with something unread would look like a failure to the worker.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/base/loop.h"
#include "master/local/cgienv.h"
#include "master/local/cgirun.h"
#include "master/local/cgiscript.h"

enum { CGIRUN_HEAD_MS = 30000, CGIRUN_TERM_MS = 2000, CGIRUN_LINGER_MS = 5000 };

enum cgirun_state {
	CGIRUN_HEAD,
	CGIRUN_RUN,
	CGIRUN_TERM,
	CGIRUN_KILL,
	CGIRUN_LINGER,
	CGIRUN_STATES
};

struct cgirun {
	struct link link;
	enum cgirun_state state;
	int fd;
	pid_t pid;
	char *const *command;
	const struct become *as;
	struct cgienv_length length;
	char *block; /* length.n bytes and a comma */
	size_t have;
	char *script; /* for messages */
	struct watch watch;
	struct alarm alarm;
};

static struct {
	struct link all;
	unsigned busy;
} self;

static void cgirun_head(void *arg, short revents);
static void cgirun_gone(void *arg, short revents);
static void cgirun_linger(void *arg, short revents);
static void cgirun_close(void *arg);
static void cgirun_kill(void *arg);

static const struct {
	bool is_busy;
	short events;
	void (*event)(void *arg, short revents); /* NULL: not watched */
	uint64_t timeout;                        /* 0: none */
	void (*expired)(void *arg);
} cgirun_states[CGIRUN_STATES] = {
	[CGIRUN_HEAD] = { true, POLLIN, cgirun_head, CGIRUN_HEAD_MS, cgirun_close },
	[CGIRUN_RUN] = { true, 0, cgirun_gone, 0, NULL },
	[CGIRUN_TERM] = { true, 0, NULL, CGIRUN_TERM_MS, cgirun_kill },
	[CGIRUN_KILL] = { true, 0, NULL, CGIRUN_TERM_MS, cgirun_kill },
	[CGIRUN_LINGER] = { false, POLLIN, cgirun_linger, CGIRUN_LINGER_MS, cgirun_close },
};

void
cgirun_init(void)
{
	list_init(&self.all);
}

unsigned
cgirun_busy(void)
{
	return self.busy;
}

bool
cgirun_is_empty(void)
{
	return list_is_empty(&self.all);
}

static void
cgirun_enter(struct cgirun *c, enum cgirun_state state)
{
	self.busy += (unsigned)cgirun_states[state].is_busy;
	self.busy -= (unsigned)cgirun_states[c->state].is_busy;
	c->state = state;
	watch_del(&c->watch);
	alarm_del(&c->alarm);
	if (cgirun_states[state].event)
		watch_add(
		    &c->watch, c->fd, cgirun_states[state].events, cgirun_states[state].event, c);
	if (cgirun_states[state].timeout)
		alarm_set(&c->alarm, cgirun_states[state].timeout, cgirun_states[state].expired, c);
}

static void
cgirun_close(void *arg)
{
	struct cgirun *c = arg;

	self.busy -= (unsigned)cgirun_states[c->state].is_busy;
	watch_del(&c->watch);
	alarm_del(&c->alarm);
	list_del(&c->link);
	close(c->fd);
	free(c->block);
	free(c->script);
	free(c);
}

/* ---- the script ---- */

static void
cgirun_start(struct cgirun *c)
{
	const char *script = cgienv_get(c->block, c->length.n, "SCRIPT_FILENAME");

	c->script = must_strdup(script ? script : "");
	c->pid = fork();
	if (c->pid == 0)
		cgiscript_run(c->fd, c->block, c->length.n, c->command, c->as);
	if (c->pid < 0) {
		dprintf(STDERR_FILENO, "cannot start %s: %s\n", c->script, strerror(errno));
		cgirun_close(c);
		return;
	}
	setpgid(c->pid, c->pid);
	free(c->block);
	c->block = NULL;
	cgirun_enter(c, CGIRUN_RUN);
}

static void
cgirun_signal(struct cgirun *c, int signal)
{
	kill(-c->pid, signal);
	kill(c->pid, signal);
}

/* The worker has closed: nobody waits for the answer. */
static void
cgirun_gone(void *arg, short revents)
{
	struct cgirun *c = arg;

	if (!(revents & (POLLHUP | POLLERR)))
		return;
	cgirun_signal(c, SIGTERM);
	cgirun_enter(c, CGIRUN_TERM);
}

static void
cgirun_kill(void *arg)
{
	struct cgirun *c = arg;

	cgirun_signal(c, SIGKILL);
	cgirun_enter(c, CGIRUN_KILL);
}

void
cgirun_reap(pid_t pid, int status)
{
	LIST_EACH(l, &self.all)
	{
		struct cgirun *c = container_of(l, struct cgirun, link);

		if (c->pid != pid)
			continue;
		if (WIFSIGNALED(status) && c->state == CGIRUN_RUN)
			dprintf(STDERR_FILENO, "script %s (pid %d) was killed by SIG%s\n",
			    c->script, (int)pid, sigabbrev_np(WTERMSIG(status)));
		c->pid = 0;
		shutdown(c->fd, SHUT_WR);
		cgirun_enter(c, CGIRUN_LINGER);
		return;
	}
}

static void
cgirun_linger(void *arg, short revents)
{
	struct cgirun *c = arg;
	char room[16384];
	ssize_t n = recv(c->fd, room, sizeof(room), MSG_DONTWAIT);

	(void)revents;
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	cgirun_close(c);
}

/* ---- the environment ---- */

/* One read; -1: nothing more comes, or nothing now (*is_over false). */
static ssize_t
cgirun_read(struct cgirun *c, void *p, size_t n)
{
	ssize_t got = recv(c->fd, p, n, MSG_DONTWAIT);

	if (got > 0)
		return got;
	if (got == 0 || (errno != EAGAIN && errno != EINTR))
		cgirun_close(c);
	return -1;
}

/* Byte by byte up to the colon: what follows may be read only as far as it says. */
static bool
cgirun_length(struct cgirun *c)
{
	enum cgienv_step step = CGIENV_MORE;
	char byte;

	while (step == CGIENV_MORE) {
		if (cgirun_read(c, &byte, 1) < 0)
			return false;
		step = cgienv_length(&c->length, byte);
	}
	if (step == CGIENV_BAD) {
		dprintf(STDERR_FILENO, "not an SCGI request\n");
		cgirun_close(c);
		return false;
	}
	c->block = must_malloc(c->length.n + 1);
	return true;
}

static void
cgirun_head(void *arg, short revents)
{
	struct cgirun *c = arg;

	(void)revents;
	if (!c->block && !cgirun_length(c))
		return;
	while (c->have < c->length.n + 1) {
		ssize_t n = cgirun_read(c, c->block + c->have, c->length.n + 1 - c->have);

		if (n < 0)
			return;
		c->have += (size_t)n;
	}
	if (c->block[c->length.n] == ',') {
		cgirun_start(c);
		return;
	}
	dprintf(STDERR_FILENO, "not an SCGI request\n");
	cgirun_close(c);
}

void
cgirun_open(int fd, char *const *command, const struct become *as)
{
	struct cgirun *c = must_calloc(1, sizeof(*c));

	c->fd = fd;
	c->command = command;
	c->as = as;
	list_add_tail(&self.all, &c->link);
	self.busy++;
	cgirun_enter(c, CGIRUN_HEAD);
}
