/*
 * The worker process: its loop, its time, its notices, its life from fork to the last answer.
 *
 * One turn of the loop is: wait for events and run them, and after every sixteen connections that
 * were read also notices; run notices until none is left; free the dead. The states are those of
 * enum worker_state; a worker serves when the segment says that its generation does, and drains
 * when it says that another one does. It never exits because its master died.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/procself.h"
#include "common/segment/history.h"
#include "worker/body.h"
#include "worker/conn.h"
#include "worker/pipe.h"
#include "worker/reqlife.h"
#include "worker/spool.h"
#include "worker/spoolroom.h"
#include "worker/state.h"

enum {
	WAITING_TICK_MS = 10,
	POST_ROUNDS = 16,
	SILENT_MS = 1000,    /* when stopping, for connections that have sent nothing */
	WORKER_PIPES = 64,   /* of one worker, */
	WORKERS_PIPES = 512, /* of all: half of the pages that the kernel gives a user by default */
};

static struct worker *worker_the;

struct worker *
worker_self(void)
{
	return worker_the;
}

const struct conf *
worker_conf(const struct worker *w)
{
	return w->conf;
}

struct shm *
worker_shm(const struct worker *w)
{
	return w->shm;
}

struct shm_worker *
worker_row(const struct worker *w)
{
	return w->row;
}

unsigned
worker_row_index(const struct worker *w)
{
	return w->h->row;
}

struct event_base *
worker_base(const struct worker *w)
{
	return w->base;
}

const struct heritage *
worker_heritage(const struct worker *w)
{
	return w->h;
}

bool
worker_is_draining(const struct worker *w)
{
	return w->state >= WORKER_DRAINING;
}

uint64_t
worker_now(const struct worker *w)
{
	return w->now;
}

time_t
worker_wall(const struct worker *w)
{
	return w->wall;
}

const char *
worker_date(const struct worker *w)
{
	return w->stamp + STAMP_LINE + sizeof("Date: ") - 1;
}

/* --- time --- */

static void
worker_stamp(struct worker *w)
{
	const struct str name = w->conf->process.name;
	char *p = mempcpy(w->stamp, WORKER_OK, STAMP_LINE);
	int n;

	memcpy(p, "Date: ", 6);
	clock_http_date(p + 6, w->wall);
	memcpy(p + 35, "\r\n", 2);
	w->stamp_date_n = 37;
	n = snprintf(p + 37, sizeof(w->stamp) - STAMP_LINE - 37, "Server: %.*s\r\n",
	    name.n < 128 ? (int)name.n : 128, name.p ? name.p : "");
	w->stamp_n = w->stamp_date_n + (name.n ? (size_t)n : 0);
}

void
worker_touch_slow(struct worker *w)
{
	time_t wall;

	w->now_ns = clock_ns();
	w->now = w->now_ns / 1000000;
	w->is_fresh = true;
	wall = (time_t)(((int64_t)w->now + w->wall_ms_off) / 1000);
	if (unlikely(wall != w->wall)) {
		w->wall = wall;
		worker_stamp(w);
	}
}

uint64_t
worker_now_ns(const struct worker *w)
{
	return w->now_ns;
}

void
worker_woken(struct worker *w)
{
	worker_touch(w);
}

/* The wall clock may be set while we run. */
static void
worker_sync_wall(struct worker *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	w->wall_ms_off = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 - (int64_t)w->now;
}

/* --- notices --- */

void
worker_post(struct worker *w, struct post *p)
{
	if (!link_is_on(&p->link))
		list_add_tail(&w->posts, &p->link);
}

/* Notices that notices post run in the next round; after so many rounds events have their turn. */
void
worker_run_posts(struct worker *w)
{
	for (int i = 0; i < POST_ROUNDS && !list_is_empty(&w->posts); i++) {
		struct link *l;

		while ((l = list_pop(&w->posts)) != NULL)
			list_add_tail(&w->posts_running, l);
		while ((l = list_pop(&w->posts_running)) != NULL) {
			struct post *p = container_of(l, struct post, link);

			p->fn(p->arg);
		}
	}
}

void
worker_turn(struct worker *w, bool wait)
{
	bool has_posts = !list_is_empty(&w->posts);

	w->is_fresh = false;
	w->nreads = 0;
	event_base_loop(w->base, EVLOOP_ONCE | (wait && !has_posts ? 0 : EVLOOP_NONBLOCK));
	worker_touch(w);
	worker_run_posts(w);
	conn_reap(w);
	atomic_store_explicit(&w->row->heartbeat, w->now, memory_order_relaxed);
	ctr_add(w->row, CTR_LOOPS, 1);
}

/* --- life --- */

static void
worker_claim(struct worker *w)
{
	uint32_t serving = atomic_load(&shm_master(w->shm)->generation);

	if (w->state == WORKER_WAITING && serving == w->h->generation) {
		w->state = WORKER_SERVING;
		w->serving_since = w->now;
		accept_claim(w);
	} else if (w->state == WORKER_SERVING && serving != w->h->generation) {
		worker_drain(w);
	}
}

static void
worker_second(struct worker *w)
{
	worker_sync_wall(w);
	ctr_set(w->row, CTR_LAG_MS, w->lag_max);
	ctr_set(w->row, CTR_CPU_MS, procself_cpu_ms());
	ctr_set(w->row, CTR_RSS, procself_rss());
	spoolroom_tick(w, spool_total());
	buf_trim();
	pipe_trim();
	ctr_set(w->row, CTR_PIPES, pipe_count());
	request_trim();
	w->lag_max = 0;
	w->second_due = w->now + 1000;
	log_level = (enum log_level)atomic_load(&shm_master(w->shm)->log_level);
}

static void
worker_arm_tick(struct worker *w)
{
	int64_t ms = w->state == WORKER_WAITING ? WAITING_TICK_MS : TICK_MS;
	struct timeval tv = { 0, (suseconds_t)(ms * 1000) };

	w->tick_due = w->now + (uint64_t)ms;
	event_add(&w->tick, &tv);
}

/* The time to drain is over: reports the requests that are ended by that. */
static void
worker_cut(struct worker *w)
{
	unsigned n = (unsigned)ctr_get(w->row, CTR_ACTIVE);

	if (n == 0)
		return;
	log_warnx("%u request%s in progress after the time to drain: ended", n, n == 1 ? "" : "s");
	history_say(w->shm, HISTORY_DRAIN_CUT, w->h->generation,
	    "generation %u: %u request%s not finished in time", w->h->generation, n,
	    n == 1 ? "" : "s");
}

static void
worker_tick(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	worker_touch(w);
	if (w->now > w->tick_due && w->now - w->tick_due > w->lag_max)
		w->lag_max = w->now - w->tick_due;
	worker_claim(w);
	accept_tick(w);
	timer_run(w);
	if (w->now >= w->second_due)
		worker_second(w);
	if (w->is_stopping && w->now - w->drain_since >= SILENT_MS)
		conn_close_silent(w);
	if (w->state == WORKER_DRAINING && (w->nconns == 0 || w->now >= w->drain_until) &&
	    (w->is_stopping || (w->now - w->drain_since > 1200 && !accept_is_leaving(w)))) {
		worker_cut(w);
		w->state = WORKER_DONE;
	}
	worker_arm_tick(w);
}

void
worker_drain(struct worker *w)
{
	if (w->state >= WORKER_DRAINING)
		return;
	w->state = WORKER_DRAINING;
	shm_worker_move(w->row, ROW_READY, ROW_DRAINING);
	w->drain_since = w->now;
	w->drain_until = w->now + (uint64_t)w->conf->process.drain_timeout;
	for (int s = 0; s < CONN_STATES_MAX; s++)
		LIST_EACH(l, &w->conns[s])
		{
			struct conn *c = container_of(l, struct conn, link);

			if (c->proto->drain)
				c->proto->drain(c);
		}
	log_info("draining %u connections", w->nconns);
}

/* The server stops: idle connections end now, requests in flight may finish. */
static void
worker_stop(struct worker *w)
{
	w->is_stopping = true;
	worker_drain(w);
	w->drain_until = w->now + (uint64_t)w->conf->process.stop_timeout;
	accept_tick(w);
	conn_close_idle(w, true, CONN_BY_DRAIN);
	if (w->nconns == 0)
		w->state = WORKER_DONE;
}

static void
worker_sigquit(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	worker_touch(arg);
	worker_stop(arg);
}

static void
worker_sigterm(evutil_socket_t sig, short what, void *arg)
{
	struct worker *w = arg;

	(void)sig;
	(void)what;
	w->state = WORKER_DONE;
}

/* --- the channel --- */

/* A log file was opened anew: the new descriptor takes the number of the old one. */
static void
worker_reopen(struct worker *w, unsigned index, int fd)
{
	int old = index < w->conf->log_files.n ? w->h->log_fds[index]
		  : index == 255               ? log_fd()
					       : -1;

	if (fd < 0)
		return;
	if (old >= 0 && dup3(fd, old, old > 2 ? O_CLOEXEC : 0) < 0)
		log_warn("reopen: dup3");
	close(fd);
}

static void
worker_told(struct worker *w, const unsigned char *msg, ssize_t n, int fd)
{
	switch (msg[0]) {
	case CHAN_REOPEN:
		worker_reopen(w, n > 1 ? msg[1] : 255, fd);
		return;
	case CHAN_STOP:
		worker_stop(w);
		break;
	case CHAN_QUIT:
		w->state = WORKER_DONE;
		break;
	case CHAN_LEAVE:
		accept_leave(w, n > 1 ? msg[1] : 255);
		break;
	case CHAN_CUT:
		if (w->state == WORKER_DRAINING)
			conn_close_idle(w, true, CONN_BY_DRAIN);
		break;
	}
	if (fd >= 0)
		close(fd);
}

static void
worker_chan(evutil_socket_t chan, short what, void *arg)
{
	struct worker *w = arg;
	unsigned char msg[16];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { msg, sizeof(msg) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *cm;
	int fd = -1;
	ssize_t n;

	(void)what;
	worker_touch(w);
	n = recvmsg(chan, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* the master is gone: go on serving until another's generation does */
		event_del(&w->chan);
		worker_claim(w);
		if (w->state == WORKER_WAITING)
			w->state = WORKER_DONE; /* nobody will make it serve */
		else
			log_warnx("the master is gone; serving on without it");
		return;
	}
	cm = CMSG_FIRSTHDR(&m);
	if (cm && cm->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cm), sizeof(fd));
	worker_told(w, msg, n, fd);
}

/* --- beginning and end --- */

static struct event_base *
worker_new_base(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base;

	must(cfg != NULL);
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	must(base != NULL);
	event_base_priority_init(base, 2);
	return base;
}

struct worker *
worker_new(const struct heritage *h)
{
	struct worker *w = must_calloc(1, sizeof(*w));

	worker_the = w;
	w->h = h;
	w->conf = h->conf;
	w->shm = h->shm;
	w->row = shm_worker(h->shm, h->row);
	must(w->row != NULL);
	str_hash_seed();
	spool_start();
	w->next_id = str_hash(str_n((const char *)&w, sizeof(w))) << 20;
	w->next_conn = (uint64_t)h->row * 1000000000;
	list_init(&w->posts);
	list_init(&w->posts_running);
	list_init(&w->dead);
	for (int s = 0; s < CONN_STATES_MAX; s++)
		list_init(&w->conns[s]);
	w->base = worker_new_base();
	worker_touch_slow(w);
	worker_sync_wall(w);
	w->wall = 0;
	worker_touch_slow(w);
	event_assign(&w->tick, w->base, -1, 0, worker_tick, w);
	return w;
}

void
worker_free(struct worker *w)
{
	for (int s = 0; s < CONN_STATES_MAX; s++)
		LIST_EACH(k, &w->conns[s])
	conn_close(container_of(k, struct conn, link), CONN_BY_DRAIN);
	conn_reap(w);
	offload_fini(w);
	accept_close(w);
	event_del(&w->tick);
	event_base_free(w->base);
	timer_fini(w);
	free(w);
	worker_the = NULL;
}

static void
worker_start_modules(struct worker *w)
{
	for (size_t i = 0; i < modules_n; i++) {
		if (modules[i]->start && modules[i]->start(w->conf, w) != 0) {
			log_errorx("module %s did not start", modules[i]->name);
			_exit(1);
		}
	}
}

static void
worker_events(struct worker *w)
{
	evsignal_assign(&w->sigterm, w->base, SIGTERM, worker_sigterm, w);
	evsignal_assign(&w->sigquit, w->base, SIGQUIT, worker_sigquit, w);
	evsignal_add(&w->sigterm, NULL);
	evsignal_add(&w->sigquit, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C reaches all of us: the master decides */
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	if (w->h->chan >= 0) {
		event_assign(&w->chan, w->base, w->h->chan, EV_READ | EV_PERSIST, worker_chan, w);
		event_priority_set(&w->chan, 0);
		event_add(&w->chan, NULL);
	}
	event_priority_set(&w->tick, 0);
	worker_arm_tick(w);
}

static unsigned
worker_pipes(const struct conf_process *p)
{
	unsigned share = WORKERS_PIPES / (unsigned)p->workers;

	if (!p->splice)
		return 0;
	return share < WORKER_PIPES ? share : WORKER_PIPES;
}

_Noreturn void
worker_run(const struct heritage *h)
{
	char ready = CHAN_READY;
	struct worker *w;
	sigset_t none;

	shm_worker_enter(h->shm, h->row, getpid());
	w = worker_new(h);
	must_words(w->row->words, sizeof(w->row->words));
	pipe_limit(worker_pipes(&w->conf->process));
	log_who("worker %u", h->seat);
	worker_start_modules(w);
	accept_open(w);
	worker_events(w);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	atomic_store(&w->row->state, ROW_READY); /* whatever others wrote there */
	worker_claim(w);
	if (h->chan >= 0 && send(h->chan, &ready, 1, MSG_NOSIGNAL) < 0)
		log_warn("cannot tell the master that this worker is ready");
	while (w->state != WORKER_DONE)
		worker_turn(w, true);
	for (int s = 0; s < CONN_STATES_MAX; s++)
		LIST_EACH(k, &w->conns[s])
	conn_close(container_of(k, struct conn, link), CONN_BY_DRAIN);
	conn_reap(w);
	for (size_t i = modules_n; i-- > 0;)
		if (modules[i]->stop)
			modules[i]->stop(w);
	offload_fini(w);
	_exit(0);
}
