/*
 * The state of a host: one word, changed by compare-and-swap, by the rules of the table in
 * backend.h. The process whose swap succeeds has made the transition, and it alone acts on it.
 *
 * What takes a host out:
 *  - connect failures (refused, unreachable): `threshold` of them within `window`. Answers do not
 *    make them forgotten: requests that were accepted before end well after the listener is gone;
 *  - errors: as many in a row (an answer makes them forgotten), but never more than `eject` percent
 *    of the pool's hosts at a time, and never the last usable one;
 *  - overload: at once; checks: `fall` in a row.
 * So a pool of one host loses it to connect failures, overload and checks, not to errors: its
 * requests wait in the queue while one worker, not each of them, finds out whether it is back.
 *
 * Times out double with each repetition up to failover.max (the level); a host that stays up for
 * failover.max is forgiven one level, and so on. While no host of a pool is usable nothing is
 * doubled: to find out costs one connection or request, and others wait for the answer. When the
 * last one goes the others' times are cut: see state_hasten().
 */
#include <time.h>

#include "common/balance/backend_cell.h"
#include "common/balance/backend_outage.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/plain.h"

enum { EJECT_MS = 100, ROW_FRESH_MS = 10000, WARM_LEAST = 10, WARM_STEP = 10 };

static bool
state_is_out(enum backend_state s)
{
	return s == BACKEND_DOWN || s == BACKEND_OVERLOADED || s == BACKEND_TRIAL;
}

static enum backend_state
state_out_for(enum backend_cause cause)
{
	return cause == CAUSE_OVERLOAD ? BACKEND_OVERLOADED : BACKEND_DOWN;
}

static bool
state_swap(struct backend_cell *c, uint64_t *seen, struct backend_word w)
{
	bool is_made;

	shm_point("state: before");
	is_made = atomic_compare_exchange_strong(&c->word, seen, backend_word_pack(w));
	shm_point("state: after");
	return is_made;
}

void
backend_changed(struct shm *s, unsigned pool_row)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	if (p)
		atomic_fetch_add(&p->version, 1);
}

/* Completes a transition, which others can already see. A process that is killed before this leaves
   a correct row; only the time of the transition that the status shows is wrong. */
static bool
state_made(struct shm *s, struct backend_cell *c, struct backend_at *at, struct backend_word w)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	atomic_store(&c->since, (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000);
	backend_changed(s, atomic_load(&c->pool_row));
	at->made = backend_word_pack(w);
	shm_point("state: made");
	return true;
}

/* ---- going out ---- */

static int64_t
state_base(const struct conf_pool_failover *f, enum backend_cause cause)
{
	const int64_t base[CAUSE_MAX] = {
		[CAUSE_REFUSED] = f->refused,
		[CAUSE_UNREACHABLE] = f->unreachable,
		[CAUSE_OVERLOAD] = f->overload,
		[CAUSE_ERRORS] = f->errors,
		[CAUSE_CHECK] = f->refused,
	};

	return base[cause] > 0 ? base[cause] : 1;
}

static int64_t
state_limit(const struct conf_pool_failover *f)
{
	return f->max > 0 ? f->max : INT64_MAX >> 16;
}

/* How long it is out at that level. */
static int64_t
state_time_out(const struct conf_pool_failover *f, enum backend_cause cause, unsigned level)
{
	int64_t ms = state_base(f, cause), max = state_limit(f);

	return ms > max >> level ? max : ms << level;
}

/* The level after another time out. It does not grow beyond the one whose time out is failover.max:
   that would only make forgiveness take longer. */
static unsigned
state_next_level(const struct conf_pool_failover *f, enum backend_cause cause, unsigned level)
{
	bool is_longest = state_time_out(f, cause, level) >= state_limit(f);

	return is_longest || level == BACKEND_LEVELS ? level : level + 1;
}

/* The level after the time that the host was up, which lowers it. It decides how long the host will
   be out the next time. */
static unsigned
state_forgiven(
    const struct backend_cell *c, const struct conf_pool_failover *f, unsigned level, uint64_t now)
{
	uint64_t came = atomic_load(&c->came), turns;

	if (level == 0 || now <= came || f->max <= 0)
		return level;
	turns = (now - came) / (uint64_t)f->max;
	return turns >= level ? 0 : level - (unsigned)turns;
}

static bool
state_is_connect(enum backend_cause cause)
{
	return cause == CAUSE_REFUSED || cause == CAUSE_UNREACHABLE;
}

/* The hosts of a pool, counted; `usable` does not count the one that is asked about. */
struct state_pool {
	unsigned hosts, ejected, usable;
};

static struct state_pool
state_pool_of(struct shm *s, unsigned row, uint64_t now)
{
	uint32_t pool_row = atomic_load(&shm_backend(s, row)->pool_row);
	unsigned reach = backend_reach(s);
	struct state_pool p = { 0 };

	for (unsigned i = 0; i < reach; i++) {
		struct backend_cell *c = shm_backend(s, i);
		struct backend_word w;

		if (!c || atomic_load(&c->key) == 0 || atomic_load(&c->pool_row) != pool_row)
			continue;
		if (now > atomic_load(&c->touched) + ROW_FRESH_MS)
			continue;
		w = backend_word_of(atomic_load(&c->word));
		p.hosts++;
		p.ejected += state_is_out(w.state) && w.cause == CAUSE_ERRORS;
		p.usable += i != row && backend_is_usable(s, i);
	}
	return p;
}

/* The word of a host that goes out now. */
static struct backend_word
state_out(struct shm *s, const struct backend_at *at, struct backend_word w,
    enum backend_cause cause, int64_t retry_after, uint64_t now)
{
	const struct conf_pool_failover *f = &at->conf->failover;
	const struct backend_cell *c = shm_backend(s, at->row);
	unsigned level = w.state == BACKEND_TRIAL ? w.level : state_forgiven(c, f, w.level, now);
	bool is_last = state_pool_of(s, at->row, now).usable == 0;
	int64_t ms = state_time_out(f, cause, is_last ? 0 : level), max = state_limit(f);

	if (retry_after > 0)
		ms = retry_after < max ? retry_after : max;
	if (cause == CAUSE_CHECK)
		ms = 2 * (at->conf->health.interval + at->conf->health.timeout);
	return (struct backend_word){
		.state = state_out_for(cause),
		.cause = cause,
		.level =
		    cause == CAUSE_CHECK || is_last ? level : state_next_level(f, cause, level),
		.n = w.n < BACKEND_N_MAX ? w.n : BACKEND_N_MAX,
		.at = now + (uint64_t)(ms > 0 ? ms : 1),
	};
}

/* Whether one more of the pool's hosts may be out for errors. */
static bool
state_may_eject(struct shm *s, unsigned row, const struct conf_pool *conf, uint64_t now)
{
	struct state_pool p = state_pool_of(s, row, now);

	return p.usable > 0 &&
	       (p.ejected + 1) * 100 <= (uint64_t)p.hosts * (uint64_t)conf->failover.eject;
}

/* Only one worker at a time may take a host of a pool out for errors. If two did it at the same
   moment, each would count the hosts that are out without the other's, and together they could
   exceed the limit. `ejecting` says until when the right is taken: a worker that is killed or
   stopped while it has the right loses it by time. */
static bool
state_eject(struct shm *s, unsigned row, const struct conf_pool *conf, uint64_t *seen,
    struct backend_word out, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	struct backend_pool *p = shm_backend_pool(s, atomic_load(&c->pool_row));
	uint64_t until = p ? atomic_load(&p->ejecting) : 0, mine = now + EJECT_MS;
	bool is_out = false;

	if (!p || (until > now && until <= now + EJECT_MS))
		return false;
	if (!atomic_compare_exchange_strong(&p->ejecting, &until, mine))
		return false;
	shm_point("eject: may");
	if (state_may_eject(s, row, conf, now))
		is_out = state_swap(c, seen, out);
	atomic_compare_exchange_strong(&p->ejecting, &mine, 0);
	shm_point("eject: done");
	return is_out;
}

/* The pool's last usable host has gone out. Hosts that would stay out for longer than after a first
   failure are tried sooner; hosts that are out for errors are tried at once, because even one that
   gives errors now and then is better than none. */
static void
state_hasten(struct shm *s, const struct backend_at *at, uint64_t now)
{
	uint32_t pool_row = atomic_load(&shm_backend(s, at->row)->pool_row);
	unsigned reach = backend_reach(s);

	for (unsigned i = 0; i < reach; i++) {
		struct backend_cell *c = shm_backend(s, i);
		uint64_t seen = c ? atomic_load(&c->word) : 0, soon = now;
		struct backend_word w = backend_word_of(seen);

		if (!c || w.state != BACKEND_DOWN || atomic_load(&c->pool_row) != pool_row)
			continue;
		if (state_is_connect(w.cause))
			soon += (uint64_t)state_time_out(&at->conf->failover, w.cause, 0);
		else if (w.cause != CAUSE_ERRORS)
			continue;
		if (w.at <= soon)
			continue;
		w.at = soon;
		state_swap(c, &seen, w);
	}
	backend_changed(s, pool_row);
}

/* ---- a failure ---- */

/* The word after one more failure that does not take the host out. */
static struct backend_word
state_suspect(struct backend_word w, const struct conf_pool_failover *f, enum backend_cause cause,
    uint64_t now)
{
	bool is_new = w.state != BACKEND_SUSPECT || now > w.at + (uint64_t)f->window;

	return (struct backend_word){
		.state = BACKEND_SUSPECT,
		.cause = cause,
		.level = w.level,
		.n = is_new ? 1 : w.n + (w.n < BACKEND_N_MAX),
		.at = is_new ? now : w.at,
	};
}

/* A request failed while the host was up. 1: the host is out now, 0: it is not, -1: somebody else
   has changed the word meanwhile. */
static int
state_fail(struct shm *s, const struct backend_at *at, struct backend_word *w, uint64_t *seen,
    enum backend_cause cause, int64_t retry_after, uint64_t now)
{
	const struct conf_pool_failover *f = &at->conf->failover;
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word suspect = state_suspect(*w, f, cause, now);
	uint64_t before = *seen;

	if (cause == CAUSE_OVERLOAD || suspect.n >= f->threshold) {
		struct backend_word out = state_out(s, at, suspect, cause, retry_after, now);

		*w = out;
		if (cause != CAUSE_ERRORS)
			return state_swap(c, seen, out) ? 1 : -1;
		if (state_eject(s, at->row, at->conf, seen, out, now))
			return 1;
		if (*seen != before)
			return -1;
		/* It may not go: so many more before that is looked at again. It must not draw
		   requests by failing quickly either. */
		backend_latency_failed(s, at->row, now);
		suspect.n = 1;
		suspect.at = now;
	}
	return state_swap(c, seen, suspect) ? 0 : -1;
}

/* The holder of a trial says that it failed. */
static void
state_fail_trial(struct shm *s, const struct backend_at *at, uint64_t seen,
    enum backend_cause cause, int64_t retry_after, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w = backend_word_of(seen), out;
	char pool[BACKEND_POOL_NAME], host[BACKEND_NAME];

	w.n = 1;
	out = state_out(s, at, w, cause, retry_after, now);
	if (!state_swap(c, &seen, out))
		return;
	backend_changed(s, atomic_load(&c->pool_row));
	plain_copy(pool, c->pool, sizeof(pool));
	plain_copy(host, c->host, sizeof(host));
	log_debug("backend %s %s: trial failed: %s", pool, host, backend_cause_name(cause));
}

static bool
state_holds_trial(const struct backend_at *at, struct backend_word w)
{
	return w.state == BACKEND_TRIAL && at->trial >= 0 && w.n == (unsigned)at->trial + 1;
}

/* After the host went out by what this process did. */
static bool
state_went(struct shm *s, struct backend_at *at, struct backend_word out, uint64_t now)
{
	backend_count(s, at->row, BACKEND_EJECTIONS);
	if (state_pool_of(s, at->row, now).usable == 0) {
		state_hasten(s, at, now);
		backend_outage_begin(s, atomic_load(&shm_backend(s, at->row)->pool_row), now);
	}
	return state_made(s, shm_backend(s, at->row), at, out);
}

bool
backend_failed(struct shm *s, struct backend_at *at, enum backend_cause cause, int64_t retry_after,
    uint64_t now)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w;
	uint64_t seen;
	int out = -1;

	if (!c || (unsigned)cause >= CAUSE_MAX)
		return false;
	backend_count(s, at->row, BACKEND_FAILURES);
	seen = atomic_load(&c->word);
	while (out < 0) {
		w = backend_word_of(seen);
		if (state_holds_trial(at, w)) {
			state_fail_trial(s, at, seen, cause, retry_after, now);
			return false;
		}
		if (state_is_out(w.state))
			return false;
		out = state_fail(s, at, &w, &seen, cause, retry_after, now);
	}
	if (!out)
		return false;
	return state_went(s, at, w, now);
}

/* ---- coming back ---- */

static bool
state_up(struct shm *s, struct backend_at *at, uint64_t *seen, struct backend_word w, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word up = { .state = BACKEND_UP, .level = w.level, .at = now };

	/* Before, so that nobody takes it for warm; if the swap fails somebody else did the same,
	   or the host is out and what stands here means nothing. */
	atomic_store(&c->came, now);
	shm_point("state: came");
	if (!state_swap(c, seen, up))
		return false;
	if (atomic_load(&c->admin) == ADMIN_NONE)
		backend_outage_end(s, atomic_load(&c->pool_row));
	return state_made(s, c, at, up);
}

/* An answer while the host is suspected: one of errors, or one whose window is over, is not. */
static void
state_clear(struct backend_cell *c, uint64_t seen, const struct conf_pool *conf, uint64_t now)
{
	struct backend_word w = backend_word_of(seen);
	struct backend_word up = { .state = BACKEND_UP, .level = w.level, .at = now };

	if (w.cause == CAUSE_ERRORS || now > w.at + (uint64_t)conf->failover.window)
		state_swap(c, &seen, up);
}

bool
backend_succeeded(struct shm *s, struct backend_at *at, uint64_t latency_us, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w;
	uint64_t seen;

	if (!c)
		return false;
	if (latency_us > 0)
		backend_latency(s, at->row, latency_us, now);
	seen = atomic_load_explicit(&c->word, memory_order_relaxed);
	w = backend_word_of(seen);
	if (likely(w.state == BACKEND_UP))
		return false;
	if (state_holds_trial(at, w))
		return state_up(s, at, &seen, w, now);
	if (w.state == BACKEND_SUSPECT)
		state_clear(c, seen, at->conf, now);
	return false;
}

/* ---- trials ---- */

bool
backend_try(struct shm *s, unsigned row, unsigned worker_row, uint64_t lease, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen = c ? atomic_load(&c->word) : 0;
	struct backend_word w = backend_word_of(seen);

	if (!c || !state_is_out(w.state) || now < w.at || worker_row >= SHM_WORKERS)
		return false;
	w.state = BACKEND_TRIAL;
	w.n = worker_row + 1;
	w.at = now + lease;
	if (!state_swap(c, &seen, w))
		return false;
	backend_changed(s, atomic_load(&c->pool_row));
	return true;
}

void
backend_untry(struct shm *s, unsigned row, unsigned worker_row, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen = c ? atomic_load(&c->word) : 0;
	struct backend_word w = backend_word_of(seen);

	if (w.state != BACKEND_TRIAL || w.n != worker_row + 1)
		return;
	w.state = state_out_for(w.cause);
	w.n = 0;
	w.at = now;
	if (state_swap(c, &seen, w))
		backend_changed(s, atomic_load(&c->pool_row));
}

/* ---- checks ---- */

bool
backend_check_take(struct shm *s, unsigned row, unsigned worker_row, uint64_t now, uint64_t ms)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen, until;

	if (!c || worker_row >= SHM_WORKERS)
		return false;
	seen = atomic_load(&c->check);
	until = seen >> 8;
	/* Longer than it can be: the interval was longer when it was taken. */
	if (until > now && until <= now + 2 * ms)
		return false;
	return atomic_compare_exchange_strong(&c->check, &seen, (now + ms) << 8 | worker_row);
}

void
backend_check_next(struct shm *s, unsigned row, unsigned worker_row, uint64_t when)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t seen = c ? atomic_load(&c->check) : 0;

	if (c && (seen & 255) == worker_row)
		atomic_compare_exchange_strong(&c->check, &seen, when << 8 | worker_row);
}

/* Only the holder of the lease writes it. */
static int
state_streak(struct backend_cell *c, bool is_good)
{
	enum { MOST = 1 << 20 };
	int n = atomic_load(&c->streak);

	if (is_good)
		n = n < 0 ? 1 : n + (n < MOST);
	else
		n = n > 0 ? -1 : n - (n > -MOST);
	atomic_store(&c->streak, n);
	return n;
}

bool
backend_checked(struct shm *s, struct backend_at *at, bool is_good, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w, out;
	uint64_t seen;
	int n;

	if (!c)
		return false;
	backend_count(s, at->row, BACKEND_CHECKS);
	if (!is_good)
		backend_count(s, at->row, BACKEND_CHECK_FAILURES);
	n = state_streak(c, is_good);
	for (;;) {
		seen = atomic_load(&c->word);
		w = backend_word_of(seen);
		if (w.state == BACKEND_DOWN && w.cause == CAUSE_CHECK) {
			if (n >= at->conf->health.rise)
				return state_up(s, at, &seen, w, now);
			/* While it is checked nobody else has to try it. */
			w.at = now +
			       2 * (uint64_t)(at->conf->health.interval + at->conf->health.timeout);
			if (state_swap(c, &seen, w))
				return false;
			continue;
		}
		if (state_is_out(w.state) || n > -at->conf->health.fall)
			return false;
		w.n = (unsigned)-n;
		out = state_out(s, at, w, CAUSE_CHECK, 0, now);
		if (!state_swap(c, &seen, out))
			continue;
		return state_went(s, at, out, now);
	}
}

/* ---- what it is ---- */

enum backend_state
backend_state_of(struct shm *s, unsigned row, uint64_t *until)
{
	struct backend_cell *c = shm_backend(s, row);
	struct backend_word w = backend_word_of(c ? atomic_load(&c->word) : 0);

	if (until)
		*until = state_is_out(w.state) ? w.at : 0;
	return w.state;
}

enum backend_cause
backend_cause_of(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);

	return backend_word_of(c ? atomic_load(&c->word) : 0).cause;
}

bool
backend_is_usable(struct shm *s, unsigned row)
{
	struct backend_cell *c = shm_backend(s, row);

	return c &&
	       !state_is_out(
		   backend_word_of(atomic_load_explicit(&c->word, memory_order_relaxed)).state) &&
	       atomic_load_explicit(&c->admin, memory_order_relaxed) == ADMIN_NONE;
}

/* In steps, so that what is made from weights need not be made anew with every millisecond. */
unsigned
backend_warmth(struct shm *s, unsigned row, const struct conf_pool *conf, uint64_t now)
{
	struct backend_cell *c = shm_backend(s, row);
	uint64_t came = c ? atomic_load_explicit(&c->came, memory_order_relaxed) : 0;
	uint64_t whole = conf->failover.slow_start > 0 ? (uint64_t)conf->failover.slow_start : 0;
	unsigned part;

	if (came == 0 || now >= came + whole || whole == 0)
		return 100;
	part = (unsigned)((now > came ? now - came : 0) * 100 / whole);
	part -= part % WARM_STEP;
	return part < WARM_LEAST ? WARM_LEAST : part;
}
