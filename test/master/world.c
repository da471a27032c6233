#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/must.h"
#include "common/segment/heritage.h"
#include "common/segment/shm_keep.h"
#include "master/base/inherit.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/ledger.h"
#include "master/local/exec.h"
#include "master/master.h"
#include "test/master/world.h"

enum {
	WORLD_PID = 5000000, /* above all that the kernel gives out */
	WORLD_FDS = 400,     /* ours are above */
	WORLD_TURNS = 200000,
	WORLD_LOG_TAIL = 8000,
	WORLD_STORE = 64,
	WORLD_READ_MS = 5000, /* jumbled as events are, a line is read by then */
};

struct world world;

static struct {
	int log, stderr_before; /* what the master writes to its standard error */
	bool is_news;           /* the master has said something to somebody since they looked */
	bool is_roused;         /* there is something new to wait for */
	int signals, signalfd;  /* our end and the master's of its signals */
	int next;               /* our end of what the next process is born with; -1 */
	enum proc_kind next_kind;
	int pidfds[WORLD_FDS];    /* which process a pidfd is of */
	bool was_open[WORLD_FDS]; /* before the master ran */
	uint64_t rest;            /* of the generator */
	sigset_t mask;
	void (*abort_before)(int);
	jmp_buf image;
	struct {
		char name[160];
		int fd;
	} stored[WORLD_STORE]; /* by the service manager */
	unsigned nstored;
} self;

int __real_poll(struct pollfd *, nfds_t, int);
pid_t __real_fork(void);
int __real_kill(pid_t, int);
pid_t __real_waitpid(pid_t, int *, int);
int __real_waitid(idtype_t, id_t, siginfo_t *, int);
int __real_execve(const char *, char *const[], char *const[]);
int __real_pipe2(int[2], int);
int __real_socketpair(int, int, int, int[2]);
int __real_signalfd(int, const sigset_t *, int);
uint64_t __real_clock_ms(void);
void __real_inherit_from_manager(void);
ssize_t __real_send(int, const void *, size_t, int);
/* Of a leak sanitizer: memory that goes with a binary, when another one is executed, is no leak. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));
pid_t __real_localexec_start(const struct localspec *, int, int);

/* ---- chance ---- */

static uint64_t
world_random(void)
{
	uint64_t z = self.rest += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void
world_seed(uint64_t seed)
{
	world.seed = self.rest = seed;
}

unsigned
world_any(unsigned n)
{
	return n ? (unsigned)(world_random() % n) : 0;
}

bool
world_chance(unsigned percent)
{
	return world_any(100) < percent;
}

/* ---- failing ---- */

static void
world_print(int to)
{
	char text[WORLD_LOG_TAIL];
	off_t size = lseek(self.log, 0, SEEK_END);
	off_t from = size > (off_t)sizeof(text) ? size - (off_t)sizeof(text) : 0;
	ssize_t n = pread(self.log, text, sizeof(text), from);

	dprintf(to, "--- seed %llu, %llu ms; the end of the master's log:\n",
	    (unsigned long long)world.seed, (unsigned long long)(world.now - WORLD_START));
	if (n > 0 && write(to, text, (size_t)n) != n)
		dprintf(to, "...\n");
	dprintf(to, "---\n");
}

static void
world_restore(void)
{
	world.is_on = false;
	dup2(self.stderr_before, STDERR_FILENO);
	sigprocmask(SIG_SETMASK, &self.mask, NULL);
	signal(SIGABRT, self.abort_before);
}

static void
world_aborted(int sig)
{
	world_print(self.stderr_before);
	signal(sig, SIG_DFL);
	raise(sig);
}

void
world_fail(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	world_print(self.stderr_before);
	world_restore();
	ck_abort_msg("seed %llu: %s", (unsigned long long)world.seed, text);
	abort();
}

unsigned
world_says(const char *text)
{
	off_t size = lseek(self.log, 0, SEEK_END);
	char *log = calloc(1, (size_t)size + 1), *p = log;
	unsigned n = 0;

	if (pread(self.log, log, (size_t)size, 0) != size)
		world_fail("the log cannot be read");
	while ((p = strstr(p, text)) != NULL) {
		n++;
		p++;
	}
	free(log);
	return n;
}

/* ---- processes ---- */

static int
world_own(int fd)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, WORLD_FDS);

	world_must(own >= 0, "no descriptor");
	return own;
}

struct proc *
world_find(pid_t pid)
{
	unsigned i = (unsigned)pid - WORLD_PID;

	return pid >= WORLD_PID && i < world.nprocs ? &world.procs[i] : NULL;
}

unsigned
world_count(enum proc_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world.nprocs; i++)
		n += world.procs[i].is_alive && world.procs[i].kind == kind;
	return n;
}

static void
proc_die(struct proc *p, int status)
{
	uint64_t one = 1;

	if (!p->is_alive)
		return;
	p->is_alive = false;
	p->status = status;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	world_must(write(p->pidfd, &one, sizeof(one)) == sizeof(one), "eventfd");
	if (p->is_child)
		world_signal(SIGCHLD);
	else
		p->is_waited = true;
}

void
world_kill(struct proc *p, int status)
{
	proc_die(p, status);
}

static void proc_signal(struct proc *, int sig);

static struct seat *
proc_seat(const struct proc *p)
{
	LIST_EACH(l, generation_list())
	{
		struct generation *g = container_of(l, struct generation, link);

		for (unsigned i = 0; i < g->nseats; i++)
			if (g->seats[i].pid == p->pid)
				return &g->seats[i];
	}
	return NULL;
}

bool
world_hangs(const struct proc *p)
{
	return p->plan.hangs != NEVER && world.now - p->born >= p->plan.hangs;
}

static void
proc_leave(struct proc *p)
{
	if (p->leaving == NEVER)
		p->leaving = world.now;
}

static void
proc_hear(struct proc *p)
{
	char what;

	while (p->fd >= 0 && recv(p->fd, &what, 1, MSG_DONTWAIT) == 1) {
		if (what == CHAN_GO)
			p->is_noted = true;
		else if (what == CHAN_STOP)
			proc_signal(p, SIGQUIT);
		else if (what == CHAN_CUT && p->plan.drains > 100 && p->plan.drains != NEVER)
			p->plan.drains = 100;
	}
}

/* As worker_run() does it: ready, then serving while its generation is the one that does. */
static void
proc_serve(struct proc *p, const struct seat *s)
{
	struct shm_worker *row = shm_worker(s->shm, (unsigned)s->row);
	unsigned serving = atomic_load(&shm_master(s->shm)->generation);
	char ready = CHAN_READY;

	atomic_store(&row->heartbeat, world.now);
	if (p->is_noted && !p->is_ready && p->plan.ready != NEVER &&
	    world.now - p->born >= p->plan.ready) {
		p->is_ready = true;
		if (p->fd >= 0 && send(p->fd, &ready, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			proc_leave(p);
	}
	if (p->is_ready && !p->has_served && serving == s->gen->number && p->leaving == NEVER) {
		p->has_served = true;
		atomic_store(&row->state, ROW_READY);
	}
	if (p->has_served && serving != s->gen->number)
		proc_leave(p);
	if (p->leaving != NEVER)
		shm_worker_move(row, ROW_READY, ROW_DRAINING);
}

static void
proc_step(struct proc *p)
{
	const struct seat *s = p->kind == PROC_WORKER ? proc_seat(p) : NULL;

	if (!p->is_alive)
		return;
	if (p->plan.dies != NEVER && world.now - p->born >= p->plan.dies) {
		if (p->plan.says && p->fd >= 0 &&
		    write(p->fd, p->plan.says, strlen(p->plan.says)) < 0)
			world_fail("a check cannot say anything");
		proc_die(p, p->plan.status);
		return;
	}
	if (p->kind != PROC_WORKER || world_hangs(p))
		return;
	if (self.is_news)
		proc_hear(p);
	if (s)
		proc_serve(p, s);
	if (p->leaving != NEVER && p->plan.drains != NEVER &&
	    world.now - p->leaving >= p->plan.drains)
		proc_die(p, 0);
}

static uint64_t
proc_due(const struct proc *p)
{
	uint64_t at[4] = { NEVER, NEVER, NEVER, NEVER }, due = NEVER;

	if (!p->is_alive)
		return NEVER;
	if (p->plan.dies != NEVER)
		at[0] = p->born + p->plan.dies;
	if (p->kind == PROC_WORKER && !p->is_ready && p->plan.ready != NEVER)
		at[1] = p->born + p->plan.ready;
	if (p->leaving != NEVER && p->plan.drains != NEVER)
		at[2] = p->leaving + p->plan.drains;
	for (int i = 0; i < 4; i++)
		if (at[i] > world.now && at[i] < due)
			due = at[i];
	return due;
}

/* What it does when the master, or somebody else, sends it that. */
static void
proc_signal(struct proc *p, int sig)
{
	if (!p->is_alive || sig == 0)
		return;
	if (sig == SIGCONT || sig == SIGSTOP) {
		p->is_frozen = sig == SIGSTOP;
		return;
	}
	if (world.struck)
		world.struck(p, sig);
	if (sig == SIGKILL) {
		proc_die(p, SIGKILL);
		return;
	}
	if (p->plan.is_deaf || world_hangs(p))
		return;
	if (p->kind == PROC_WORKER && sig == SIGQUIT)
		proc_leave(p);
	else if (p->kind == PROC_WORKER && sig == SIGTERM)
		proc_die(p, 0);
	else
		proc_die(p, sig);
}

/* What a binary answers that is asked whether it can take over. */
static const char world_version[] = "handover 1\n";

static pid_t
proc_new(enum proc_kind kind, int fd)
{
	struct proc *p = &world.procs[world.nprocs];

	world_must(world.nprocs < WORLD_PROCS, "more than %d processes", WORLD_PROCS);
	*p = (struct proc){ .kind = kind,
		.pid = WORLD_PID + (pid_t)world.nprocs++,
		.is_child = true,
		.is_alive = true,
		.fd = fd,
		.born = world.now,
		.leaving = NEVER,
		.plan = { .ready = 10, .dies = NEVER, .drains = 1200, .hangs = NEVER } };
	p->pidfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fd = world_own(p->pidfd);
	close(p->pidfd);
	p->pidfd = fd;
	if (kind == PROC_POOL)
		p->plan.ready = NEVER;
	if (kind == PROC_CHECK) {
		p->plan.dies = 5;
		p->plan.says = world_version;
	}
	if (world.born)
		world.born(p, kind);
	return p->pid;
}

/* ---- the kernel's calls ---- */

uint64_t __wrap_clock_ms(void);
void __wrap_inherit_from_manager(void);
bool __wrap_notify_is_on(void);
void __wrap_notify_store(const char *, int);
void __wrap_notify_unstore(const char *);
ssize_t __wrap_send(int, const void *, size_t, int);
pid_t __wrap_fork(void);
int __wrap_kill(pid_t, int);
pid_t __wrap_waitpid(pid_t, int *, int);
int __wrap_waitid(idtype_t, id_t, siginfo_t *, int);
int __wrap_execve(const char *, char *const[], char *const[]);
int __wrap_fexecve(int, char *const[], char *const[]);
int __wrap_pipe2(int[2], int);
int __wrap_socketpair(int, int, int, int[2]);
int __wrap_signalfd(int, const sigset_t *, int);
pid_t __wrap_localexec_start(const struct localspec *, int, int);
int __wrap_poll(struct pollfd *, nfds_t, int);
void __wrap_procid_note(struct procid *, pid_t, uid_t);
void __wrap_procid_look(struct procid *, pid_t);
int __wrap_procid_open(const struct procid *);
int __wrap_procid_open_child(pid_t);
bool __wrap_procid_signal(int, int);
uint64_t __wrap_procid_starttime(pid_t);

uint64_t
__wrap_clock_ms(void)
{
	return world.is_on ? world.now : __real_clock_ms();
}

static void
world_bear(enum proc_kind kind, int fd)
{
	if (self.next >= 0)
		close(self.next);
	self.next = world_own(fd);
	self.next_kind = kind;
}

static bool
world_fails(int *n)
{
	if (*n < 0)
		return ++*n == 0;
	return *n > 0 && (*n)-- > 0;
}

pid_t
__wrap_fork(void)
{
	int fd = self.next;

	if (!world.is_on)
		return __real_fork();
	if (world_fails(&world.fails_fork)) {
		errno = EAGAIN;
		return -1;
	}
	self.next = -1;
	return proc_new(self.next_kind, fd);
}

int
__wrap_socketpair(int domain, int type, int protocol, int ends[2])
{
	int rc = __real_socketpair(domain, type, protocol, ends);

	if (world.is_on && rc == 0)
		world_bear(PROC_WORKER, ends[1]);
	return rc;
}

ssize_t
__wrap_send(int fd, const void *data, size_t n, int flags)
{
	self.is_news = true;
	return __real_send(fd, data, n, flags);
}

int
__wrap_pipe2(int ends[2], int flags)
{
	int rc = __real_pipe2(ends, flags);

	if (world.is_on && rc == 0)
		world_bear(PROC_CHECK, ends[1]);
	return rc;
}

/* A number that is nobody's, or another one's by now, is the fault that must not be. */
int
__wrap_kill(pid_t pid, int sig)
{
	bool is_group = pid < 0;
	struct proc *p = world_find(is_group ? -pid : pid);

	if (!world.is_on)
		return __real_kill(pid, sig);
	world_must(p != NULL, "signal %d to %d, whom we do not know", sig, (int)pid);
	world_must(
	    is_group || !p->is_waited, "signal %d to %d, which was waited for", sig, (int)pid);
	proc_signal(p, sig);
	return 0;
}

pid_t
__wrap_waitpid(pid_t pid, int *status, int options)
{
	struct proc *dead[WORLD_PROCS], *p;
	unsigned n = 0, children = 0;

	if (!world.is_on)
		return __real_waitpid(pid, status, options);
	for (unsigned i = 0; i < world.nprocs; i++) {
		p = &world.procs[i];
		children += p->is_child && !p->is_waited;
		if (p->is_child && !p->is_alive && !p->is_waited)
			dead[n++] = p;
	}
	errno = ECHILD;
	if (n == 0)
		return children ? 0 : -1;
	p = dead[world.is_jumbled ? world_any(n) : 0];
	p->is_waited = true;
	*status = p->status;
	return p->pid;
}

int
__wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	struct proc *p = world_find((pid_t)id);

	if (!world.is_on)
		return __real_waitid(type, id, info, options);
	errno = ECHILD;
	return p && p->is_child && !p->is_waited ? 0 : -1;
}

pid_t
__wrap_localexec_start(const struct localspec *spec, int sock, int err)
{
	self.next_kind = PROC_POOL;
	return __real_localexec_start(spec, sock, err);
}

int
__wrap_signalfd(int fd, const sigset_t *set, int flags)
{
	int ends[2];

	if (!world.is_on)
		return __real_signalfd(fd, set, flags);
	world_must(__real_pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
	if (self.signals >= 0)
		close(self.signals);
	self.signals = world_own(ends[1]);
	close(ends[1]);
	return self.signalfd = ends[0];
}

void
world_signal(int sig)
{
	struct signalfd_siginfo info = { .ssi_signo = (uint32_t)sig };

	/* In the moment between two binaries nobody has one; the new one looks for the dead. */
	if (self.signals >= 0 && write(self.signals, &info, sizeof(info)) < 0 && errno != EPIPE &&
	    errno != EAGAIN)
		world_fail("signal");
}

/* ---- who a process is ---- */

uint64_t
__wrap_procid_starttime(pid_t pid)
{
	struct proc *p = world_find(pid);

	return p && p->is_alive ? p->born : 0;
}

void
__wrap_procid_note(struct procid *id, pid_t pid, uid_t uid)
{
	struct proc *p = world_find(pid);

	*id = (struct procid){ .pid = pid, .uid = uid, .started = p ? p->born : 0 };
}

void
__wrap_procid_look(struct procid *id, pid_t pid)
{
	__wrap_procid_note(id, pid, 0);
}

static int
world_pidfd(struct proc *p)
{
	int fd = fcntl(p->pidfd, F_DUPFD_CLOEXEC, 3);

	world_must(fd >= 0 && fd < WORLD_FDS, "more than %d descriptors", WORLD_FDS);
	self.pidfds[fd] = p->pid;
	return fd;
}

int
__wrap_procid_open(const struct procid *id)
{
	struct proc *p = world_find(id->pid);

	return p && p->is_alive && p->born == id->started ? world_pidfd(p) : -1;
}

int
__wrap_procid_open_child(pid_t pid)
{
	struct proc *p = world_find(pid);

	world_must(p && p->is_child && !p->is_waited, "a pidfd of %d", (int)pid);
	return world.is_jumbled && world_chance(10) ? -1 : world_pidfd(p);
}

bool
__wrap_procid_signal(int pidfd, int sig)
{
	struct proc *p = world_find(self.pidfds[pidfd]);

	proc_signal(p, sig);
	return p->is_alive;
}

/* ---- another binary ---- */

/* Which descriptors are open. */
static void
world_list(bool is_open[WORLD_FDS])
{
	struct pollfd fds[WORLD_FDS];

	for (int fd = 0; fd < WORLD_FDS; fd++)
		fds[fd] = (struct pollfd){ .fd = fd };
	__real_poll(fds, WORLD_FDS, 0);
	for (int fd = 0; fd < WORLD_FDS; fd++)
		is_open[fd] = !(fds[fd].revents & POLLNVAL);
}

int
__wrap_execve(const char *path, char *const argv[], char *const envp[])
{
	if (!world.is_on)
		return __real_execve(path, argv, envp);
	errno = ENOENT;
	if (world.fails_exec)
		return -1;
	world_must(world.may_exec, "%s is executed", path);
	longjmp(self.image, 1);
}

int
__wrap_fexecve(int fd, char *const argv[], char *const envp[])
{
	(void)fd;
	return __wrap_execve("", argv, envp);
}

/* What is to be closed on exec goes, and whoever dies just now. */
static void
world_exec(void)
{
	bool is_open[WORLD_FDS];

	world.execs++;
	if (world.passes)
		world.passes();
	world_list(is_open);
	for (int fd = 3; fd < WORLD_FDS; fd++)
		if (!self.was_open[fd] && is_open[fd] && fcntl(fd, F_GETFD) & FD_CLOEXEC)
			close(fd);
}

/* ---- the service manager ---- */

bool
__wrap_notify_is_on(void)
{
	return world.is_managed;
}

void
__wrap_notify_store(const char *name, int fd)
{
	if (!world.is_managed)
		return;
	world_must(self.nstored < WORLD_STORE, "the manager's store is full");
	snprintf(self.stored[self.nstored].name, sizeof(self.stored[0].name), "%s", name);
	self.stored[self.nstored++].fd = world_own(fd);
}

void
__wrap_notify_unstore(const char *name)
{
	for (unsigned i = 0; i < self.nstored; i++) {
		if (strcmp(self.stored[i].name, name) != 0)
			continue;
		close(self.stored[i].fd);
		self.stored[i--] = self.stored[--self.nstored];
	}
}

/* A master that it starts anew has what was stored. */
void
__wrap_inherit_from_manager(void)
{
	for (unsigned i = 0; i < self.nstored && world.crashes; i++) {
		int fd = fcntl(self.stored[i].fd, F_DUPFD_CLOEXEC, 3);

		world_must(fd >= 0 && fd < WORLD_FDS, "too many descriptors");
		inherit_add(fd, self.stored[i].name);
	}
}

static void
world_forget_store(void)
{
	while (self.nstored > 0)
		close(self.stored[--self.nstored].fd);
}

/* Workers serve on without it; what else it had started ends with it. */
static void
proc_orphan(struct proc *p)
{
	if (p->is_child && !p->is_alive)
		p->is_waited = true;
	if (p->kind != PROC_WORKER)
		proc_die(p, SIGTERM);
	p->is_child = false;
	p->is_waited = !p->is_alive;
}

void
world_crash(void)
{
	bool is_open[WORLD_FDS];

	world.crashes++;
	world_list(is_open);
	for (int fd = 3; fd < WORLD_FDS; fd++)
		if (!self.was_open[fd] && is_open[fd])
			close(fd);
	close(self.signals);
	self.signals = -1;
	for (unsigned i = 0; i < world.nprocs; i++)
		proc_orphan(&world.procs[i]);
	for (unsigned i = 0; i < world.nclients; i++) {
		if (world.clients[i] >= 0)
			close(world.clients[i]);
		world.clients[i] = -1;
	}
	world.nanswered = world.nclients;
	longjmp(self.image, 2);
}

/* ---- time ---- */

static void
world_hear(void)
{
	for (unsigned i = 0; i < world.nclients; i++) {
		ssize_t n;

		if (world.clients[i] < 0)
			continue;
		n = recv(world.clients[i], world.answer, sizeof(world.answer) - 1, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			n = 0; /* closed, and its line was not read */
		world.answer[n] = '\0';
		/* Its line may not even have been read when the master ended. */
		if (n == 0 && master_is_stopping() && world.is_jumbled &&
		    world.now - world.asked[i] < WORLD_READ_MS) {
			close(world.clients[i]);
			world.clients[i] = -1;
			continue;
		}
		world_must(n > 0, "a client of the control socket got no answer");
		world_must(strstr(world.answer, "exit "), "half an answer: %s", world.answer);
		world.nanswered++;
		world.nfailed += !strstr(world.answer, "exit 0\n");
		close(world.clients[i]);
		world.clients[i] = -1;
	}
}

void
world_ask(const char *line)
{
	int ends[2];

	world_must(world.nclients < WORLD_CLIENTS, "too many clients");
	world_must(
	    __real_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
	    "socketpair");
	world.clients[world.nclients] = world_own(ends[0]);
	close(ends[0]);
	world.asked[world.nclients] = world.now;
	dprintf(world.clients[world.nclients++], "%s\n", line);
	control_adopt_client(ends[1], CONTROL_REQUEST);
	self.is_roused = true;
}

static void
world_step(void)
{
	for (unsigned i = 0; i < world.nprocs; i++)
		proc_step(&world.procs[i]);
	if (self.is_news)
		world_hear();
	self.is_news = false;
	if (world.act)
		world.act();
}

static uint64_t
world_due(void)
{
	uint64_t due = world.due ? world.due() : NEVER;

	for (unsigned i = 0; i < world.nprocs; i++) {
		uint64_t one = proc_due(&world.procs[i]);

		if (one < due)
			due = one;
	}
	return due;
}

/* Some of what there is to see is seen later. */
static int
world_jumble(struct pollfd *fds, nfds_t n, int ready)
{
	for (nfds_t i = 0; i < n && world.is_jumbled; i++)
		if (fds[i].revents && world_chance(30)) {
			fds[i].revents = 0;
			ready--;
		}
	return ready;
}

int
__wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	uint64_t end, due;
	int ready;

	if (!world.is_on || (n == 1 && fds[0].events == POLLOUT))
		return __real_poll(fds, n, world.is_on ? 0 : timeout);
	end = timeout < 0 ? NEVER : world.now + (uint64_t)timeout;
	self.is_roused = false;
	if (world.look)
		world.look();
	for (;;) {
		world_must(++world.turns < WORLD_TURNS, "the master does not rest");
		world_step();
		ready = __real_poll(fds, n, 0);
		if (ready != 0 || world.now >= end || self.is_roused)
			return world_jumble(fds, n, ready);
		due = world_due();
		if (due > end)
			due = end;
		world_must(due != NEVER, "the master waits for ever");
		if (due > world.now)
			world.now = due;
	}
}

/* ---- running ---- */

static void
world_open(void)
{
	for (unsigned i = 0; i < world.nprocs; i++)
		if (world.procs[i].pidfd > 0)
			close(world.procs[i].pidfd);
	world.nprocs = world.nclients = world.nanswered = world.nfailed = world.turns = 0;
	world.execs = world.crashes = 0;
	world.fails_exec = false;
	world.answer[0] = '\0';
	world.now = WORLD_START;
	self.next = self.signals = -1;
	world_list(self.was_open);
	if (self.log <= 0) {
		int fd = memfd_create("world-log", MFD_CLOEXEC);

		self.log = world_own(fd);
		close(fd);
		self.stderr_before = world_own(STDERR_FILENO);
	}
	world_must(ftruncate(self.log, 0) == 0, "log");
	lseek(self.log, 0, SEEK_SET);
	fcntl(self.log, F_SETFL, O_APPEND);
	fflush(stderr);
	dup2(self.log, STDERR_FILENO);
	sigprocmask(SIG_BLOCK, NULL, &self.mask);
	self.abort_before = signal(SIGABRT, world_aborted);
	world.is_on = true;
}

static void
world_close(void)
{
	bool is_open[WORLD_FDS];

	world_hear();
	world_forget_store();
	world_list(is_open);
	for (int fd = 3; fd < WORLD_FDS; fd++)
		world_must(self.was_open[fd] || !is_open[fd] ||
			       (master.shm && fd == shm_fd(master.shm)) || fd == ledger_fd() ||
			       fd == self.signalfd || handover_is_taken() || world.crashes,
		    "descriptor %d is left", fd);
	for (unsigned i = 0; i < world.nclients; i++)
		world_must(world.clients[i] < 0, "client %u was not answered", i);
	for (unsigned i = 0; i < world.nprocs; i++)
		world_must((!world.procs[i].is_child && world.crashes) ||
			       (!world.procs[i].is_alive &&
				   (world.procs[i].is_waited || world.procs[i].kind == PROC_CHECK)),
		    "process %d is left", (int)world.procs[i].pid);
	close(self.signals);
	close(self.signalfd);
	for (int fd = 3; fd < WORLD_FDS && world.crashes; fd++)
		if (!self.was_open[fd] && is_open[fd] && fd != self.signalfd && fd != ledger_fd() &&
		    !(master.shm && fd == shm_fd(master.shm)) &&
		    !(master.shm_old && fd == shm_fd(master.shm_old)))
			close(fd);
	if (self.next >= 0)
		close(self.next);
	fflush(stderr);
	world_restore();
}

void
world_edit(const char *conf)
{
	master.text = conf;
}

int
world_run(const char *conf)
{
	static char *argv[] = { (char *)(uintptr_t) "argand", NULL };
	static volatile int status;

	world_open();
	master = (struct master){ .text = conf, .name = "world", .argv = argv, .exe = argv[0] };
	if (world.may_exec && __lsan_disable)
		__lsan_disable();
	if (setjmp(self.image) == 1)
		world_exec();
	status = master_run();
	world_close();
	if (world.may_exec && __lsan_enable)
		__lsan_enable();
	if (ledger_fd() >= 0)
		close(ledger_fd());
	if (master.shm)
		shm_close(master.shm);
	if (master.shm_old)
		shm_close(master.shm_old);
	return status;
}
