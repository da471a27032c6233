/*
 * Seats and their states. A state says whether there is a process, which states may follow, and
 * what happens when the worker stays in it for too long. Invariants: seat->row is claimed, and the
 * ledger names the process, exactly while the state has one. Nothing that a worker can write says
 * which process that is, which rows are free, or whom to signal.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/plain.h"
#include "common/segment/heritage.h"
#include "common/segment/shm_keep.h"
#include "master/base/chronicle.h"
#include "master/generation.h"
#include "master/ledger.h"
#include "master/master.h"
#include "master/spawn.h"

/* All times of the supervision, ms. */
enum {
	SEAT_START_MS = 30000, /* from fork to ready */
	SEAT_GRACE_MS = 2000,  /* from a deadly signal to SIGKILL */
	SEAT_YOUNG_MS = 1000,  /* dying younger than this is a crash loop's sign */
	SEAT_BACKOFF_MS = 100, /* after the second such death, doubled for each */
	SEAT_BACKOFF_MAX_MS = 5000,
	SEAT_HUNG_MS = 2000,      /* without a heartbeat: reported */
	SEAT_HOPELESS_MS = 30000, /* … killed */
};

static void seat_expired(void *arg);
static void seat_due(void *arg);

#define FROM(s) (1u << SEAT_##s)

static const struct {
	const char *name;
	bool has_process;
	unsigned from;    /* states that may come before */
	unsigned timeout; /* ms; 0: none, or set by whoever enters */
	void (*expired)(void *arg);
} seat_states[SEAT_STATES] = {
	[SEAT_EMPTY] = { "empty", false, 0, 0, NULL },
	[SEAT_WAITING] = { "waiting", false,
	    FROM(EMPTY) | FROM(WAITING) | FROM(STARTING) | FROM(SERVING) | FROM(DYING), 0,
	    seat_due },
	[SEAT_STARTING] = { "starting", true, FROM(EMPTY) | FROM(WAITING), SEAT_START_MS,
	    seat_expired },
	[SEAT_SERVING] = { "serving", true, FROM(STARTING) | FROM(EMPTY), 0, NULL },
	[SEAT_LEAVING] = { "leaving", true, FROM(STARTING) | FROM(SERVING) | FROM(EMPTY), 0, NULL },
	[SEAT_DYING] = { "dying", true,
	    FROM(STARTING) | FROM(SERVING) | FROM(LEAVING) | FROM(DYING), SEAT_GRACE_MS,
	    seat_expired },
	[SEAT_GONE] = { "gone", false, ~0u, 0, NULL },
};

#undef FROM

static void
seat_enter(struct seat *s, enum seat_state state)
{
	must(seat_states[state].from & 1u << s->state);
	log_debug("seat %u of generation %u: %s -> %s", s->index, s->gen->number,
	    seat_states[s->state].name, seat_states[state].name);
	s->state = state;
	s->since = clock_ms();
	alarm_del(&s->alarm);
	if (seat_states[state].timeout)
		alarm_set(&s->alarm, seat_states[state].timeout, seat_states[state].expired, s);
}

void
seat_init(struct seat *s, struct generation *g, unsigned index, struct shm *shm)
{
	*s = (struct seat){
		.gen = g, .index = index, .shm = shm, .row = -1, .chan = -1, .pidfd = -1
	};
}

bool
seat_has_process(const struct seat *s)
{
	return seat_states[s->state].has_process;
}

const char *
seat_state_name(const struct seat *s)
{
	return seat_states[s->state].name;
}

/* ---- birth ---- */

static void
seat_heard(void *arg, short revents)
{
	struct seat *s = arg;
	char what = 0;
	ssize_t n = recv(s->chan, &what, 1, MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Once it has said the only thing that it can say, nobody listens: it could say it for
	   ever. SIGCHLD or the pidfd reports its end. */
	watch_del(&s->chan_watch);
	if (n > 0 && what == CHAN_READY && s->state == SEAT_STARTING) {
		seat_enter(s, SEAT_SERVING);
		generation_seat_ready(s);
	}
}

static void
seat_open_chan(struct seat *s, int fd)
{
	s->chan = fd;
	watch_add(&s->chan_watch, fd, POLLIN, seat_heard, s);
}

/* What a process leaves behind in its seat. */
static void
seat_clear(struct seat *s)
{
	if (s->chan >= 0) {
		watch_del(&s->chan_watch);
		close(s->chan);
	}
	if (s->pidfd >= 0) {
		watch_del(&s->pid_watch);
		close(s->pidfd);
	}
	if (s->row >= 0) {
		shm_worker_bury(s->shm, (unsigned)s->row);
		ledger_del(shm_id(s->shm), (unsigned)s->row);
	}
	s->chan = s->pidfd = s->row = -1;
	s->pid = 0;
	s->hung_since = s->beat_at = 0;
}

/* The child waits for CHAN_GO. If we are killed before we send it, the child ends by itself,
   whether the ledger names it or not. */
static void
seat_note(struct seat *s)
{
	struct ledger_entry e = { .row = (unsigned)s->row,
		.generation = s->gen->number,
		.seat = s->index,
		.segment = shm_id(s->shm) };

	procid_note(&e.who, s->pid, s->gen->uid);
	must(ledger_add(&e));
	seat_send(s, CHAN_GO);
}

/* Claims a row, makes the channel, forks. False: it failed, and all of that was undone. */
static bool
seat_fork(struct seat *s)
{
	bool taken[SHM_WORKERS];
	int ends[2];

	s->shm = master.shm;
	ledger_taken(shm_id(s->shm), taken);
	s->row = shm_worker_claim(s->shm, taken, s->gen->number, s->index, clock_ms());
	if (s->row < 0) {
		log_errorx("no free worker row: too many generations are draining");
		return false;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("socketpair");
		seat_clear(s);
		return false;
	}
	seat_open_chan(s, ends[0]);
	s->pid = spawn_worker(s, ends[1]);
	close(ends[1]);
	if (s->pid < 0) {
		log_error("fork");
		seat_clear(s);
		return false;
	}
	s->is_child = true;
	s->pidfd = procid_open_child(s->pid);
	shm_worker_enter(s->shm, (unsigned)s->row, s->pid); /* the child does the same */
	seat_note(s);
	s->born = clock_ms();
	return true;
}

static void
seat_wait(struct seat *s, uint64_t ms)
{
	seat_enter(s, SEAT_WAITING);
	alarm_set(&s->alarm, ms, seat_due, s);
}

void
seat_start(struct seat *s)
{
	if (seat_fork(s))
		seat_enter(s, SEAT_STARTING);
	else if (generation_seat_lost(s, "it could not be started"))
		seat_wait(s, SEAT_YOUNG_MS);
}

static void
seat_due(void *arg)
{
	seat_start(arg);
}

static void
seat_pidfd(void *arg, short revents)
{
	(void)revents;
	seat_reap(arg, -1);
}

void
seat_adopt(struct seat *s, unsigned row, pid_t pid, int chan, int pidfd, bool is_child)
{
	must(is_child || pidfd >= 0);
	s->row = (int)row;
	s->pid = pid;
	s->pidfd = pidfd;
	s->is_child = is_child;
	s->born = clock_ms();
	if (chan >= 0)
		seat_open_chan(s, chan);
	if (!is_child)
		watch_add(&s->pid_watch, pidfd, POLLIN, seat_pidfd, s);
	seat_enter(s, s->gen->state == GEN_SERVING ? SEAT_SERVING : SEAT_LEAVING);
}

/* ---- life ---- */

void
seat_send(struct seat *s, char what)
{
	if (s->chan >= 0 && send(s->chan, &what, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EPIPE && errno != ECONNRESET)
		log_warn("cannot tell worker %u (pid %d) '%c'", s->index, (int)s->pid, what);
}

void
seat_send_index(struct seat *s, char what, unsigned index)
{
	unsigned char text[2] = { (unsigned char)what, (unsigned char)index };

	if (s->chan >= 0 && send(s->chan, text, sizeof(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EPIPE && errno != ECONNRESET)
		log_warn("cannot tell worker %u (pid %d) '%c'", s->index, (int)s->pid, what);
}

void
seat_send_reopen(struct seat *s, unsigned index, int fd)
{
	unsigned char text[2] = { CHAN_REOPEN, (unsigned char)index };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { text, sizeof(text) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };

	if (s->chan < 0)
		return;
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	if (sendmsg(s->chan, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EPIPE)
		log_warn("cannot hand worker %u (pid %d) a log file", s->index, (int)s->pid);
}

/* Through the pidfd, which can never reach another process. Where no pidfd could be had for a
   child, its pid will do: no other process gets it before we have waited for the child. */
static void
seat_signal(struct seat *s, int signal)
{
	if (s->pidfd >= 0)
		procid_signal(s->pidfd, signal);
	else if (s->is_child && s->pid > 1)
		kill(s->pid, signal);
}

void
seat_stop(struct seat *s)
{
	if (s->chan >= 0)
		seat_send(s, CHAN_STOP);
	else
		seat_signal(s, SIGQUIT);
}

void
seat_leave(struct seat *s)
{
	if (s->state == SEAT_STARTING || s->state == SEAT_SERVING)
		seat_enter(s, SEAT_LEAVING);
	else if (!seat_has_process(s))
		seat_enter(s, SEAT_GONE);
}

void
seat_end(struct seat *s)
{
	seat_enter(s, SEAT_GONE);
}

void
seat_kill(struct seat *s, int signal)
{
	if (!seat_has_process(s)) {
		seat_leave(s);
		return;
	}
	seat_enter(s, SEAT_DYING);
	seat_signal(s, signal);
}

static void
seat_expired(void *arg)
{
	struct seat *s = arg;

	if (s->state == SEAT_STARTING)
		log_errorx("worker %u (pid %d) was not ready in %d s", s->index, (int)s->pid,
		    SEAT_START_MS / 1000);
	seat_kill(s, SIGKILL);
}

/* ---- death ---- */

/* "killed by SIGSEGV (core dumped): file.c:12: must(x)" */
static void
seat_obituary(struct seat *s, int status, char *text, size_t len)
{
	struct shm_worker *w = s->shm == master.shm ? shm_worker(s->shm, (unsigned)s->row) : NULL;
	char words[SHM_WORDS] = "";
	size_t n;

	if (w)
		plain_copy(words, w->words, sizeof(words));
	if (status == -1)
		snprintf(text, len, "ended");
	else if (WIFSIGNALED(status))
		snprintf(text, len, "killed by SIG%s%s", sigabbrev_np(WTERMSIG(status)),
		    WCOREDUMP(status) ? " (core dumped)" : "");
	else
		snprintf(text, len, "ended with status %d", WEXITSTATUS(status));
	n = strlen(text);
	if (words[0])
		snprintf(text + n, len - n, ": %s", words);
}

/* Whether it ended because it was asked to, or by itself without an error (or nobody knows how). */
static bool
seat_died_well(const struct seat *s, int status)
{
	return status == -1 || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
	       (s->state == SEAT_DYING && s->gen->state != GEN_SERVING);
}

/* 0, then 100 ms, doubled for each further death in youth. */
static uint64_t
seat_backoff(struct seat *s)
{
	uint64_t ms = 0;

	if (clock_ms() - s->born >= SEAT_YOUNG_MS)
		s->young = 0;
	else
		s->young++;
	if (s->young > 1)
		ms = (uint64_t)SEAT_BACKOFF_MS << (s->young < 10 ? s->young - 2 : 8);
	return ms < SEAT_BACKOFF_MAX_MS ? ms : SEAT_BACKOFF_MAX_MS;
}

void
seat_reap(struct seat *s, int status)
{
	pid_t pid = s->pid;
	uint64_t backoff;
	char why[SHM_WORDS + 96];

	seat_obituary(s, status, why, sizeof(why));
	if (seat_died_well(s, status)) {
		log_info("worker %u (pid %d) of generation %u %s", s->index, (int)pid,
		    s->gen->number, why);
	} else {
		atomic_fetch_add(&shm_master(master.shm)->deaths, 1);
		log_errorx("worker %u (pid %d) of generation %u %s", s->index, (int)pid,
		    s->gen->number, why);
		chronicle_add(HISTORY_WORKER_DEATH, pid, (int)s->index, "%s", why);
	}
	seat_clear(s);
	if (!generation_seat_lost(s, why))
		return;
	backoff = seat_backoff(s);
	atomic_fetch_add(&shm_master(master.shm)->restarts, 1);
	if (backoff == 0) {
		seat_enter(s, SEAT_WAITING);
		seat_start(s);
		return;
	}
	log_warnx("worker %u died %u times in a row soon after its start: next try in %llu ms; "
		  "the others serve its connections",
	    s->index, s->young, (unsigned long long)backoff);
	seat_wait(s, backoff);
}

/* ---- watching ---- */

/* Since when its heartbeat has not changed. What it says is nobody's clock: another worker could
   make it say that this one has been dead for years. */
static uint64_t
seat_silence(struct seat *s, uint64_t now)
{
	struct shm_worker *w = s->row >= 0 ? shm_worker(s->shm, (unsigned)s->row) : NULL;
	uint64_t beat = w ? atomic_load(&w->heartbeat) : now;

	if (beat != s->beat || !s->beat_at) {
		s->beat = beat;
		s->beat_at = now;
	}
	return now - s->beat_at;
}

bool
seat_is_fresh(struct seat *s, uint64_t now)
{
	return s->state == SEAT_SERVING && seat_silence(s, now) < SEAT_HUNG_MS;
}

static void
seat_publish_hung(struct seat *s)
{
	struct shm_master *m = shm_master(master.shm);

	atomic_store(&m->hung, s->hung_since ? (uint64_t)s->row + 1 : 0);
}

void
seat_check(struct seat *s, uint64_t now)
{
	uint64_t silence = seat_silence(s, now);

	if (s->state != SEAT_SERVING && s->state != SEAT_LEAVING)
		return;
	if (silence < SEAT_HUNG_MS) {
		if (s->hung_since) {
			log_notice("worker %u (pid %d) is alive again after %llu ms", s->index,
			    (int)s->pid, (unsigned long long)(now - s->hung_since));
			chronicle_add(HISTORY_WORKER_ALIVE, s->pid, (int)s->index,
			    "is alive again after %llu s",
			    (unsigned long long)(now - s->hung_since) / 1000);
			s->hung_since = 0;
			seat_publish_hung(s);
		}
		return;
	}
	if (!s->hung_since) {
		s->hung_since = now - silence;
		seat_publish_hung(s);
		log_warnx("worker %u (pid %d) hangs: no heartbeat for %llu ms", s->index,
		    (int)s->pid, (unsigned long long)silence);
		chronicle_add(HISTORY_WORKER_HANG, s->pid, (int)s->index, "hangs: no sign of life");
	}
	if (silence >= SEAT_HOPELESS_MS) {
		log_errorx("worker %u (pid %d) has hung for %d s: killing it", s->index,
		    (int)s->pid, SEAT_HOPELESS_MS / 1000);
		chronicle_add(HISTORY_WORKER_HANG, s->pid, (int)s->index,
		    "has hung for %d s: it is killed", SEAT_HOPELESS_MS / 1000);
		seat_kill(s, SIGABRT);
	}
}

void
seat_fini(struct seat *s)
{
	alarm_del(&s->alarm);
	if (s->chan >= 0)
		watch_del(&s->chan_watch);
	if (s->pidfd >= 0)
		watch_del(&s->pid_watch);
}
