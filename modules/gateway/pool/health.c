/*
 * Probes and active checks in one worker. A list of the hosts of this worker and one timer, which
 * is set while the list has any: each tick looks at two words per host in the segment and does
 * nothing else when all is well. What is to be done and was won by this worker is a run: a
 * connection of its own, what is said on it (healthcheck.c), and a report. Bounded: HEALTH_RUNS at
 * a time, each by a timeout, the lease in the segment longer than that.
 *
 * A run never ends inside the call that began it: what connect() says at once is posted. Reports
 * are made after the run is gone, because the owner may stop the host when it hears of a change.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "modules/gateway/pool/health.h"
#include "modules/gateway/pool/healthcheck.h"
#include "modules/gateway/pool/tls.h"

enum {
	HEALTH_TICK = 100,    /* ms */
	HEALTH_RUNS = 64,     /* at the same time in one worker */
	HEALTH_SLACK = 1000,  /* ms that a lease is longer than the run */
	HEALTH_BLOCK = 16384, /* octets of a read */
	HEALTH_READS = 8,     /* per turn */
};

enum health_state { HEALTH_CONNECTING, HEALTH_SHAKING, HEALTH_ASKING };

struct health_run {
	struct health_host *host;
	bool is_trial; /* a probe under the host's trial, else an active check */
	enum health_state state;
	int fd, err; /* err: what connect() said at once */
	uint64_t begun;
	size_t sent; /* of check.out */
	struct tls *tls;
	struct event ev;
	struct timer timer;
	struct post post;
	struct healthcheck check;
};

/* How a run ended. */
struct health_result {
	bool is_good;
	enum backend_cause cause;
	char why[192];
};

static struct {
	struct link hosts;
	struct timer tick;
	unsigned nruns;
} health = { .hosts = { &health.hosts, &health.hosts } };

/* Hosts that are out for anything else come back by requests, or by their checks. */
static bool
health_is_probed(const struct health_host *h)
{
	enum backend_cause cause = backend_cause_of(worker_shm(h->w), h->row);

	return cause == CAUSE_REFUSED || cause == CAUSE_UNREACHABLE ||
	       (cause == CAUSE_CHECK && !h->pool->health.is_on);
}

/* --- the end of a run --- */

static void
health_run_free(struct health_run *run)
{
	run->host->run = NULL;
	health.nruns--;
	event_del(&run->ev);
	timer_del(&run->timer);
	post_cancel(&run->post);
	if (run->tls)
		tls_free(run->tls);
	if (run->fd >= 0)
		close(run->fd);
	healthcheck_fini(&run->check);
	free(run);
}

/* The interval, a tenth more or less, so that hosts checked at once do not stay so. */
static uint64_t
health_interval(const struct health_host *h)
{
	uint64_t mixed = (clock_ns() ^ h->row) * 0x9e3779b97f4a7c15ULL >> 40;
	uint64_t interval = (uint64_t)h->pool->health.interval;

	return interval - interval / 10 + interval / 5 * (mixed & 1023) / 1023;
}

static void
health_report(
    struct health_host *h, bool is_trial, uint64_t begun, const struct health_result *result)
{
	struct shm *shm = worker_shm(h->w);
	unsigned me = worker_row_index(h->w);
	struct backend_at at = { .row = h->row, .conf = h->pool, .trial = is_trial ? (int)me : -1 };
	bool has_changed;

	if (!is_trial) {
		has_changed = backend_checked(shm, &at, result->is_good, worker_now(h->w));
		backend_check_next(shm, h->row, me, begun + health_interval(h));
	} else if (result->is_good) {
		has_changed = backend_succeeded(shm, &at, 0, worker_now(h->w));
	} else {
		has_changed = backend_failed(shm, &at, result->cause, 0, worker_now(h->w));
	}
	if (!has_changed)
		return;
	backend_log(shm, &at, result->is_good ? NULL : result->why);
	if (h->changed)
		h->changed(h->arg);
}

static void
health_end(struct health_run *run, const struct health_result *result)
{
	struct health_host *h = run->host;
	bool is_trial = run->is_trial;
	uint64_t begun = run->begun;

	health_run_free(run);
	health_report(h, is_trial, begun, result);
}

static void
health_good(struct health_run *run)
{
	health_end(run, &(struct health_result){ .is_good = true });
}

static void __attribute__((format(printf, 3, 4)))
health_bad(struct health_run *run, enum backend_cause cause, const char *fmt, ...)
{
	struct health_result result = { .cause = cause };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(result.why, sizeof(result.why), fmt, ap);
	va_end(ap);
	health_end(run, &result);
}

static enum backend_cause
health_cause(int err)
{
	static const struct {
		int err;
		enum backend_cause cause;
	} causes[] = { { ECONNREFUSED, CAUSE_REFUSED }, { ENOENT, CAUSE_REFUSED },
		{ EHOSTDOWN, CAUSE_REFUSED }, { EAGAIN, CAUSE_OVERLOAD } };

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		if (causes[i].err == err)
			return causes[i].cause;
	return CAUSE_UNREACHABLE;
}

static void
health_broken(struct health_run *run, int err)
{
	health_bad(run, health_cause(err), "%s",
	    err == EAGAIN ? "the listen queue is full" : strerror(err));
}

static void
health_verdict(struct health_run *run, enum healthcheck_verdict verdict)
{
	if (verdict == HEALTHCHECK_GOOD)
		health_good(run);
	else
		health_bad(
		    run, run->is_trial ? CAUSE_UNREACHABLE : CAUSE_CHECK, "%s", run->check.why);
}

/* --- its steps --- */

static void health_step(void *arg);

static void
health_event(evutil_socket_t fd, short what, void *arg)
{
	struct health_run *run = arg;

	(void)fd;
	(void)what;
	worker_woken(run->host->w);
	health_step(run);
}

static void
health_wait(struct health_run *run, short what)
{
	event_del(&run->ev); /* a notice may have come first */
	event_assign(&run->ev, worker_base(run->host->w), run->fd, what, health_event, run);
	must(event_add(&run->ev, NULL) == 0);
}

static void
health_late(void *arg)
{
	struct health_run *run = arg;

	if (run->state == HEALTH_ASKING)
		health_verdict(run, healthcheck_silence(&run->check));
	else
		health_broken(run, ETIMEDOUT);
}

static ssize_t
health_write(struct health_run *run)
{
	struct text *out = &run->check.out;
	struct iovec iov = { out->p + run->sent, out->n - run->sent };

	if (run->tls)
		return tls_writev(run->tls, &iov, 1);
	return send(run->fd, iov.iov_base, iov.iov_len, MSG_NOSIGNAL);
}

/* True when all is sent. A failure is not reported here: reading will find it. */
static bool
health_send(struct health_run *run)
{
	while (run->sent < run->check.out.n) {
		ssize_t n = health_write(run);

		if (n < 0)
			return errno != EAGAIN && errno != EINTR;
		run->sent += (size_t)n;
	}
	return true;
}

static void
health_ask(struct health_run *run)
{
	bool is_sent = health_send(run);
	char block[HEALTH_BLOCK];

	for (int i = 0; i < HEALTH_READS; i++) {
		ssize_t n = run->tls ? tls_read(run->tls, block, sizeof(block))
				     : recv(run->fd, block, sizeof(block), 0);
		enum healthcheck_verdict verdict;

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0) {
			health_broken(run, errno);
			return;
		}
		verdict = n ? healthcheck_input(&run->check, block, (size_t)n)
			    : healthcheck_eof(&run->check);
		if (verdict != HEALTHCHECK_MORE) {
			health_verdict(run, verdict);
			return;
		}
	}
	if (run->tls && tls_pending(run->tls))
		worker_post(run->host->w, &run->post);
	health_wait(run, (short)(EV_READ | (is_sent ? 0 : EV_WRITE)));
}

static void
health_begin_ask(struct health_run *run)
{
	run->state = HEALTH_ASKING;
	if (run->check.kind == HEALTHCHECK_CONNECT)
		health_good(run);
	else
		health_ask(run);
}

static void
health_shake(struct health_run *run)
{
	int progress = tls_handshake(run->tls);

	if (progress == TLS_DONE)
		health_begin_ask(run);
	else if (progress == TLS_FAILED)
		health_bad(run, CAUSE_UNREACHABLE, "TLS: %s", tls_why(run->tls));
	else
		health_wait(run, progress == TLS_WANTS_WRITE ? EV_WRITE : EV_READ);
}

static void
health_connected(struct health_run *run)
{
	struct health_host *h = run->host;
	socklen_t len = sizeof(run->err);

	if (run->err == 0)
		getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &run->err, &len);
	if (run->err) {
		health_broken(run, run->err);
		return;
	}
	if (!h->tls) {
		health_begin_ask(run);
		return;
	}
	run->tls = tls_new(h->tls, h->conf, run->fd);
	run->state = HEALTH_SHAKING;
	if (run->tls)
		health_shake(run);
	else
		health_bad(run, CAUSE_UNREACHABLE, "TLS: the name cannot be used");
}

static void
health_step(void *arg)
{
	static void (*const steps[])(struct health_run *) = {
		[HEALTH_CONNECTING] = health_connected,
		[HEALTH_SHAKING] = health_shake,
		[HEALTH_ASKING] = health_ask,
	};
	struct health_run *run = arg;

	steps[run->state](run);
}

/* --- its beginning --- */

/* How long a run may take. */
static int64_t
health_timeout(const struct conf_pool *pool)
{
	return pool->health.is_on ? pool->health.timeout : pool->timeout.connect;
}

/* False: not even begun, for want of something here. */
static bool
health_run(struct health_host *h, bool is_trial)
{
	int fd = socket(h->addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct health_run *run;

	if (fd < 0)
		return false;
	run = must_calloc(1, sizeof(*run));
	run->host = h;
	run->is_trial = is_trial;
	run->begun = worker_now(h->w);
	run->fd = fd;
	run->timer.fn = health_late;
	run->post.fn = health_step;
	run->timer.arg = run->post.arg = run;
	h->run = run;
	health.nruns++;
	healthcheck_init(&run->check, h->w, h->pool, h->conf);
	event_assign(&run->ev, worker_base(h->w), fd, EV_WRITE, health_event, run);
	timer_set(h->w, &run->timer, timer_class(h->w, health_timeout(h->pool)));
	if (connect(fd, h->addr, h->addr_len) < 0)
		run->err = errno;
	if (run->err != EINPROGRESS) {
		worker_post(h->w, &run->post);
		return true;
	}
	run->err = 0;
	health_wait(run, EV_WRITE);
	return true;
}

/* How long nobody else checks if this worker dies meanwhile: longer than a check and the time to
   the next one, which its end makes of it. */
static uint64_t
health_check_lease(const struct health_host *h)
{
	const struct conf_pool_health *c = &h->pool->health;

	return (uint64_t)(c->interval + c->interval / 10 + c->timeout + HEALTH_SLACK);
}

static void
health_probe(struct health_host *h, uint64_t now)
{
	struct shm *shm = worker_shm(h->w);
	unsigned me = worker_row_index(h->w);
	uint64_t lease = (uint64_t)health_timeout(h->pool) + HEALTH_SLACK;

	if (backend_try(shm, h->row, me, lease, now) && !health_run(h, true))
		backend_untry(shm, h->row, me, now);
}

static bool
health_is_disabled(const struct health_host *h)
{
	return backend_admin_of(worker_shm(h->w), h->row) == ADMIN_DISABLE;
}

static void
health_look(struct health_host *h, uint64_t now)
{
	struct shm *shm = worker_shm(h->w);
	unsigned me = worker_row_index(h->w);
	enum backend_state state;
	uint64_t until;

	if (h->run || health.nruns >= HEALTH_RUNS)
		return;
	state = backend_state_of(shm, h->row, &until);
	if (state != BACKEND_UP && state != BACKEND_SUSPECT && until <= now &&
	    health_is_probed(h)) {
		if (!health_is_disabled(h))
			health_probe(h, now);
		return;
	}
	/* A worker that drains may have another opinion of how to check. */
	if (h->pool->health.is_on && !worker_is_draining(h->w) && !health_is_disabled(h) &&
	    backend_check_take(shm, h->row, me, now, health_check_lease(h)) &&
	    !health_run(h, false))
		backend_check_next(shm, h->row, me, now + health_interval(h));
}

static void
health_tick(void *arg)
{
	struct worker *w = arg;

	LIST_EACH(l, &health.hosts)
	health_look(container_of(l, struct health_host, link), worker_now(w));
	timer_set(w, &health.tick, timer_class(w, HEALTH_TICK));
}

void
health_start(struct health_host *h)
{
	h->run = NULL;
	if (list_is_empty(&health.hosts)) {
		health.tick.fn = health_tick;
		health.tick.arg = h->w;
		timer_set(h->w, &health.tick, timer_class(h->w, HEALTH_TICK));
	}
	list_add_tail(&health.hosts, &h->link);
}

/* For another worker to make. */
static void
health_give_back(struct health_run *run)
{
	struct health_host *h = run->host;
	void (*give)(struct shm *, unsigned, unsigned, uint64_t) =
	    run->is_trial ? backend_untry : backend_check_next;

	health_run_free(run);
	give(worker_shm(h->w), h->row, worker_row_index(h->w), worker_now(h->w));
}

void
health_stop(struct health_host *h)
{
	if (!link_is_on(&h->link))
		return;
	if (h->run)
		health_give_back(h->run);
	list_del(&h->link);
	if (list_is_empty(&health.hosts))
		timer_del(&health.tick);
}
