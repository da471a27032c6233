/*
 * Pools at work in one worker: see bpool.h. Owns the list of hosts of each pool, which is made anew
 * when a name resolves otherwise, and the queue of waiting requests. Invariants: hosts[i] and
 * balance.hosts[i] are the same host; a host that is no longer listed lives on until the last of
 * its connections is closed; waiters are served in order, and only from wake-ups, never inside a
 * call.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/un.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/conf.h"
#include "modules/gateway/pool/bpool.h"
#include "modules/gateway/pool/resolver.h"
#include "modules/gateway/pool/upstream.h"

/* A waiting queue is looked at so often for what other workers gave back, ms. */
enum { BPOOL_POLL = 10, BPOOL_TOUCH = 1000, BPOOL_LOG_MS = 1000 };

/* A configured host: one address, or those that its name has now. */
struct bpool_entry {
	struct bpool *pool;
	const struct conf_host *conf;
	struct resolver_name *name; /* NULL: numeric or a Unix socket */
	struct bhost **hosts;
	unsigned n;
};

struct bpool {
	const struct conf_pool *conf;
	struct worker *w;
	unsigned row;
	struct balance balance;
	struct bhost **hosts; /* of all entries, in order */
	unsigned n;
	struct bpool_entry *entries;
	struct tls_pool *tls;
	struct link waiting;
	unsigned nwaiting;
	struct post wake;
	struct event poll; /* while requests wait */
	uint64_t logged;   /* worker_now() of the last line about a request that met a lost pool */
	unsigned long unlogged; /* such requests since */
};

static struct bpool *bpools;
static size_t bpools_n;
static struct timer bpool_touching;

struct bpool *
bpool_of(const struct conf_pool *conf)
{
	must(conf->index < bpools_n);
	return &bpools[conf->index];
}

const struct conf_pool *
bpool_conf(const struct bpool *p)
{
	return p->conf;
}

unsigned
bpool_row(const struct bpool *p)
{
	return p->row;
}

struct tls_pool *
bpool_tls(const struct bpool *p)
{
	return p->tls;
}

uint64_t
bpool_hash(struct str s, uint64_t seed)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93u;
	h ^= h >> 32;
	return h ? h : 1;
}

/* --- hosts --- */

void
bhost_ref(struct bhost *h)
{
	h->refs++;
}

void
bhost_unref(struct bhost *h)
{
	must(h->refs > 0);
	if (--h->refs > 0)
		return;
	free((void *)(uintptr_t)h->name.p);
	free(h);
}

static void
bhost_changed(void *arg)
{
	struct bhost *h = arg;

	worker_post(h->pool->w, &h->pool->wake);
}

/* An address as text: what a name's addresses are called. */
static struct str
bhost_text(const struct bpool_entry *e, const struct sockaddr_storage *a)
{
	char ip[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN + 16];
	const struct sockaddr_in *in = (const void *)a;
	const struct sockaddr_in6 *in6 = (const void *)a;

	if (!e->name)
		return str_of(must_strdup(e->conf->address.p));
	if (a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "[%s]:%u", ip, ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:%u", ip, ntohs(in->sin_port));
	}
	return str_of(must_strdup(text));
}

static socklen_t
bhost_addr_len(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET    ? sizeof(struct sockaddr_in)
	       : a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					  : sizeof(struct sockaddr_un);
}

static struct str
bhost_authority(const struct conf_pool *pool, const struct conf_host *conf)
{
	struct str port = pool->tls.on ? STR(":443") : STR(":80");

	if (conf->is_unix)
		return STR("localhost");
	if (str_has_suffix(conf->address, port))
		return str_n(conf->address.p, conf->address.n - port.n);
	return conf->address;
}

static void
bhost_watch(struct bhost *h)
{
	struct health_host *health = &h->health;

	health->w = h->pool->w;
	health->pool = h->pool->conf;
	health->conf = h->conf;
	health->addr = (const struct sockaddr *)&h->addr;
	health->addr_len = h->addr_len;
	health->row = h->row;
	health->tls = h->pool->tls;
	health->changed = bhost_changed;
	health->arg = h;
	health_start(health);
}

/* NULL: the table in the segment is full. */
static struct bhost *
bhost_new(struct bpool_entry *e, const struct sockaddr_storage *a)
{
	struct bpool *p = e->pool;
	struct str name = bhost_text(e, a);
	int row = backend_row(worker_shm(p->w), p->conf->name, name);
	struct bhost *h;

	if (row < 0) {
		log_errorx("pool %s: no room in the segment for host %s", p->conf->name.p, name.p);
		free((void *)(uintptr_t)name.p);
		return NULL;
	}
	h = must_calloc(1, sizeof(*h));
	h->pool = p;
	h->conf = e->conf;
	h->authority = bhost_authority(p->conf, e->conf);
	h->addr = *a;
	h->addr_len = bhost_addr_len(a);
	h->name = name;
	h->row = (unsigned)row;
	h->hash = bpool_hash(name, bpool_hash(p->conf->name, 0));
	h->refs = 1;
	list_init(&h->idle);
	bhost_watch(h);
	return h;
}

/* The host is no longer of the pool. */
static void
bhost_drop(struct bhost *h)
{
	struct link *l;

	h->is_gone = true;
	health_stop(&h->health);
	while ((l = list_first(&h->idle)) != NULL)
		upstream_close(container_of(l, struct upstream, link));
	bhost_unref(h);
}

/* Makes the flat list of hosts from the entries. */
static void
bpool_list(struct bpool *p)
{
	struct balance_host *v = p->balance.hosts;
	unsigned n = 0;

	for (size_t i = 0; i < p->conf->nhosts; i++) {
		for (unsigned k = 0; k < p->entries[i].n && n < BALANCE_HOSTS; k++, n++) {
			struct bhost *h = p->entries[i].hosts[k];

			p->hosts[n] = h;
			v[n] = (struct balance_host){ h->row, h->conf, h->hash };
		}
	}
	if (n == BALANCE_HOSTS)
		log_warnx("pool %s: only %d hosts are used, names resolve to more", p->conf->name.p,
		    BALANCE_HOSTS);
	p->n = p->balance.n = n;
	balance_changed(&p->balance);
	worker_post(p->w, &p->wake);
}

static bool
bhost_is_at(const struct bhost *h, const struct sockaddr_storage *a)
{
	return h->addr_len == bhost_addr_len(a) && memcmp(&h->addr, a, h->addr_len) == 0;
}

/* The addresses of an entry are these now. Hosts that are not among them any more keep the
   connections that they have. */
static void
bpool_entry_set(struct bpool_entry *e, const struct sockaddr_storage *v, unsigned n)
{
	struct bhost **old = e->hosts, **now = must_calloc(n ? n : 1, sizeof(struct bhost *));
	unsigned nold = e->n, count = 0;

	for (unsigned i = 0; i < n; i++) {
		struct bhost *h = NULL;

		for (unsigned k = 0; k < nold && !h; k++) {
			if (old[k] && bhost_is_at(old[k], &v[i])) {
				h = old[k];
				old[k] = NULL;
			}
		}
		if (!h)
			h = bhost_new(e, &v[i]);
		if (h)
			now[count++] = h;
	}
	for (unsigned k = 0; k < nold; k++)
		if (old[k])
			bhost_drop(old[k]);
	free(old);
	e->hosts = now;
	e->n = count;
}

static void
bpool_resolved(void *arg, const struct sockaddr_storage *v, unsigned n)
{
	struct bpool_entry *e = arg;

	bpool_entry_set(e, v, n);
	bpool_list(e->pool);
}

static void
bpool_address(const struct conf_host *conf, struct sockaddr_storage *a)
{
	struct sockaddr_un *un = (void *)a;
	struct sockaddr_in *in = (void *)a;
	struct sockaddr_in6 *in6 = (void *)a;

	memset(a, 0, sizeof(*a));
	if (conf->is_unix) {
		un->sun_family = AF_UNIX;
		must(conf->name.n < sizeof(un->sun_path));
		memcpy(un->sun_path, conf->name.p, conf->name.n);
	} else if (inet_pton(AF_INET, conf->name.p, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)conf->port);
	} else if (inet_pton(AF_INET6, conf->name.p, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)conf->port);
	}
}

static void
bpool_entry_open(struct bpool *p, struct bpool_entry *e, const struct conf_host *conf)
{
	struct sockaddr_storage a;

	e->pool = p;
	e->conf = conf;
	if (!conf->is_unix && !conf->is_numeric) {
		e->name = resolver_watch(
		    p->w, conf->name, conf->port, p->conf->timeout.resolve, bpool_resolved, e);
		return;
	}
	bpool_address(conf, &a);
	bpool_entry_set(e, &a, 1);
}

/* --- waiting --- */

static void
bpool_poll_on(struct bpool *p, bool on)
{
	struct timeval tv = { .tv_usec = BPOOL_POLL * 1000 };

	if (on)
		must(event_add(&p->poll, &tv) == 0);
	else
		event_del(&p->poll);
}

/* A name that was not answered yet may have addresses: a worker that has just begun knows less than
   the others. */
static bool
bpool_is_new(const struct bpool *p)
{
	for (size_t i = 0; i < p->conf->nhosts; i++)
		if (p->entries[i].name && resolver_is_new(p->entries[i].name))
			return true;
	return false;
}

bool
bpool_is_out(struct bpool *p, uint64_t *ms)
{
	return balance_is_out(&p->balance, worker_now(p->w), ms);
}

bool
bpool_is_lost(struct bpool *p, uint64_t *ms)
{
	return bpool_is_out(p, ms) && *ms >= (uint64_t)p->conf->failover.grace && !bpool_is_new(p);
}

bool
bpool_is_hopeless(struct bpool *p, uint64_t *ms)
{
	return bpool_is_lost(p, ms) && !balance_has_trial(&p->balance, worker_now(p->w));
}

bool
bpool_may_log(struct bpool *p, unsigned long *more)
{
	uint64_t now = worker_now(p->w);

	*more = p->unlogged;
	if (p->logged && now < p->logged + BPOOL_LOG_MS) {
		p->unlogged++;
		return false;
	}
	p->logged = now;
	p->unlogged = 0;
	return true;
}

/* The outage has become too old while they waited. No request joins the queue of a pool that is
   lost, so this loop ends, whatever the waiters do when they are called. */
static void
bpool_dismiss(struct bpool *p)
{
	struct link *l;
	uint64_t ms;

	while ((l = list_first(&p->waiting)) != NULL && bpool_is_lost(p, &ms)) {
		struct bpool_waiter *q = container_of(l, struct bpool_waiter, link);

		bpool_unwait(p, q);
		q->fn(q->arg, NULL, BALANCE_DOWN);
	}
}

/* Hosts may have become free: serves waiters in order, as many as there is room for. */
static void
bpool_wake(void *arg)
{
	struct bpool *p = arg;
	uint64_t now = worker_now(p->w);

	LIST_EACH(l, &p->waiting)
	{
		struct bpool_waiter *q = container_of(l, struct bpool_waiter, link);
		struct bhost *h = NULL;
		enum balance_verdict v;

		if (q->not_before > now)
			continue;
		v = bpool_acquire(p, &q->ask, &h);
		if (!h) {
			if (!q->ask.has_key && !q->ask.sticky)
				break;
			continue;
		}
		bpool_unwait(p, q);
		q->fn(q->arg, h, v);
	}
	bpool_dismiss(p);
}

static void
bpool_polled(evutil_socket_t fd, short what, void *arg)
{
	struct bpool *p = arg;

	(void)fd;
	(void)what;
	worker_woken(p->w);
	bpool_wake(p);
}

bool
bpool_has_queue(const struct bpool *p)
{
	return p->nwaiting > 0;
}

bool
bpool_wait(struct bpool *p, struct bpool_waiter *q)
{
	struct shm *shm = worker_shm(p->w);

	if (backend_queued(shm, p->row) >= (unsigned)p->conf->max_queue) {
		backend_pool_count(shm, p->row, POOL_QUEUE_FULL);
		return false;
	}
	backend_pool_count(shm, p->row, POOL_QUEUED);
	backend_queue(shm, worker_row_index(p->w), p->row, 1);
	list_add_tail(&p->waiting, &q->link);
	if (p->nwaiting++ == 0)
		bpool_poll_on(p, true);
	worker_post(p->w, &p->wake);
	return true;
}

void
bpool_unwait(struct bpool *p, struct bpool_waiter *q)
{
	if (!link_is_on(&q->link))
		return;
	list_del(&q->link);
	backend_queue(worker_shm(p->w), worker_row_index(p->w), p->row, -1);
	if (--p->nwaiting == 0)
		bpool_poll_on(p, false);
}

/* --- taking and giving back --- */

enum balance_verdict
bpool_acquire(struct bpool *p, struct balance_ask *ask, struct bhost **host)
{
	enum balance_verdict v;
	uint64_t when = 0;
	unsigned i = 0;

	*host = NULL;
	ask->now = worker_now(p->w);
	v = balance_pick(&p->balance, ask, &i, &when);
	if (v == BALANCE_TAKEN || v == BALANCE_TRIAL) {
		must(i < p->n);
		*host = p->hosts[i];
		bhost_ref(*host);
	}
	return v;
}

void
bpool_release(struct bhost *h)
{
	struct bpool *p = h->pool;

	balance_release(&p->balance, h->row);
	if (p->nwaiting > 0)
		worker_post(p->w, &p->wake);
	bhost_unref(h);
}

bool
bpool_has_more(const struct bpool *p, unsigned n)
{
	return p->n > n || (conf_pool_is_local(p->conf) && p->conf->protocol != POOL_CGI);
}

int
bpool_index(const struct bpool *p, const struct bhost *h)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->hosts[i] == h)
			return (int)i;
	return -1;
}

static struct backend_at
bpool_at(const struct bhost *h, bool is_trial)
{
	const struct bpool *p = h->pool;

	return (struct backend_at){
		.row = h->row,
		.conf = p->conf,
		.trial = is_trial ? (int)worker_row_index(p->w) : -1,
	};
}

void
bpool_failed(
    struct bhost *h, bool is_trial, enum backend_cause cause, int64_t retry_after, const char *why)
{
	struct bpool *p = h->pool;
	struct shm *shm = worker_shm(p->w);
	struct backend_at at = bpool_at(h, is_trial);

	if (backend_failed(shm, &at, cause, retry_after, worker_now(p->w)))
		backend_log(shm, &at, why);
	if (cause != CAUSE_REFUSED && cause != CAUSE_UNREACHABLE)
		return;
	for (size_t i = 0; i < p->conf->nhosts; i++)
		if (p->entries[i].conf == h->conf && p->entries[i].name)
			resolver_again(p->entries[i].name);
}

void
bpool_succeeded(struct bhost *h, bool is_trial, uint64_t latency_us)
{
	struct bpool *p = h->pool;
	struct shm *shm = worker_shm(p->w);
	struct backend_at at = bpool_at(h, is_trial);

	if (!backend_succeeded(shm, &at, latency_us, worker_now(p->w)))
		return;
	backend_log(shm, &at, NULL);
	worker_post(p->w, &p->wake);
}

void
bpool_untried(struct bhost *h)
{
	struct bpool *p = h->pool;

	backend_untry(worker_shm(p->w), h->row, worker_row_index(p->w), worker_now(p->w));
}

/* --- life --- */

static void
bpool_touch(void *arg)
{
	struct worker *w = arg;
	struct shm *shm = worker_shm(w);
	uint64_t now = worker_now(w);

	for (size_t i = 0; i < bpools_n; i++) {
		backend_pool_touch(shm, bpools[i].row, now);
		for (unsigned k = 0; k < bpools[i].n; k++)
			backend_touch(shm, bpools[i].hosts[k]->row, now);
	}
	timer_set(w, &bpool_touching, timer_class(w, BPOOL_TOUCH));
}

static int
bpool_open(struct bpool *p, struct worker *w, const struct conf_pool *conf)
{
	int row = backend_pool_row(worker_shm(w), conf->name);
	const char *why;

	if (row < 0) {
		log_errorx("pool %s: no room in the segment", conf->name.p);
		return -1;
	}
	if (conf->tls.on) {
		p->tls = tls_pool_new(conf, &why);
		if (!p->tls) {
			log_errorx("pool %s: %s", conf->name.p, why);
			return -1;
		}
	}
	p->conf = conf;
	p->w = w;
	p->row = (unsigned)row;
	list_init(&p->waiting);
	p->wake.fn = bpool_wake;
	p->wake.arg = p;
	event_assign(&p->poll, worker_base(w), -1, EV_PERSIST, bpool_polled, p);
	balance_init(&p->balance, worker_shm(w), worker_row_index(w), conf);
	p->balance.pool_row = p->row;
	p->balance.hosts = must_calloc(BALANCE_HOSTS, sizeof(*p->balance.hosts));
	p->hosts = must_calloc(BALANCE_HOSTS, sizeof(struct bhost *));
	p->entries = must_calloc(conf->nhosts ? conf->nhosts : 1, sizeof(*p->entries));
	for (size_t i = 0; i < conf->nhosts; i++)
		bpool_entry_open(p, &p->entries[i], &conf->hosts[i]);
	bpool_list(p);
	return 0;
}

int
bpool_start(const struct conf *conf, struct worker *w)
{
	bpools_n = conf->npools;
	bpools = must_calloc(bpools_n ? bpools_n : 1, sizeof(*bpools));
	for (size_t i = 0; i < bpools_n; i++)
		if (bpool_open(&bpools[i], w, &conf->pools[i]) != 0)
			return -1;
	bpool_touching.fn = bpool_touch;
	bpool_touching.arg = w;
	if (bpools_n > 0)
		bpool_touch(w);
	return 0;
}

static void
bpool_close(struct bpool *p)
{
	if (!p->conf)
		return;
	for (size_t i = 0; i < p->conf->nhosts; i++) {
		struct bpool_entry *e = &p->entries[i];

		if (e->name)
			resolver_unwatch(e->name);
		for (unsigned k = 0; k < e->n; k++)
			bhost_drop(e->hosts[k]);
		free(e->hosts);
	}
	event_del(&p->poll);
	post_cancel(&p->wake);
	balance_fini(&p->balance);
	free(p->balance.hosts);
	free(p->hosts);
	free(p->entries);
	if (p->tls)
		tls_pool_free(p->tls);
}

void
bpool_stop(void)
{
	for (size_t i = 0; i < bpools_n; i++)
		bpool_close(&bpools[i]);
	timer_del(&bpool_touching);
	free(bpools);
	bpools = NULL;
	bpools_n = 0;
}
