/*
 * Connections: see conn.h. Invariants: a connection is on exactly one list, that of its state; its
 * timer belongs to its state, except in ACTIVE, where its proto sets it; during a loop turn
 * connections only enter DEAD, conn_reap() frees them at its end.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cidr.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "worker/conn.h"
#include "worker/proxyproto.h"
#include "worker/state.h"

/* What the timeout column of a state means. */
enum { NO_TIMEOUT };
static const size_t conn_timeouts[] = {
	[1] = offsetof(struct conf_core, timeout_header),
	[2] = offsetof(struct conf_core, timeout_keepalive),
	[3] = offsetof(struct conf_core, timeout_linger),
};

static void conn_linger_read(struct conn *);
static void conn_nothing(struct conn *);
static void conn_preface(struct conn *);

static const struct conn_row {
	struct fsm_row fsm;
	uint8_t timeout, expires;
	void (*readable)(struct conn *);
} conn_rows[] = {
#define STATE(id, name, timeout, expires, readable, from)                                          \
	[CONN_##id] = { { name, (from) }, timeout, CONN_BY_##expires, readable },
	CONN_STATES(STATE)
#undef STATE
};

static void
conn_name(const void *object, char *text, size_t max)
{
	const struct conn *c = object;

	snprintf(text, max, "conn %llu", (unsigned long long)c->id);
}

const struct fsm conn_fsm = { conn_rows, sizeof(conn_rows[0]),
	sizeof(conn_rows) / sizeof(conn_rows[0]), conn_name };

static const struct conn_reason_row {
	const char *text;
	bool is_error;
	enum counter counter;
} conn_reasons[] = {
#define REASON(id, text, is_error, counter) [CONN_BY_##id] = { text, is_error, counter },
	CONN_REASONS(REASON)
#undef REASON
};

enum { CONN_SLAB = 64, CONN_BATCH = 16, LINGER_MAX = 1 << 30, LINGER_TIMES = 6 };

const char *
conn_reason_text(enum conn_reason reason)
{
	return conn_reasons[reason].text;
}

const struct conf_core *
conn_core(const struct conn *c)
{
	const struct site *s = c->listen->default_site;

	return s->routes[s->nroutes - 1].core;
}

static struct timer_class *
conn_timer_class(const struct conn *c, uint8_t which, const struct conf_core *core)
{
	struct worker *w = c->w;
	int64_t ms;

	if (!core)
		core = conn_core(c);
	ms = *(const int64_t *)((const char *)core + conn_timeouts[which]);
	/* Mostly the keep-alive time is the same as the one before. */
	if (likely(w->last_class && w->last_class->ms == ms))
		return w->last_class;
	return w->last_class = timer_class(w, ms);
}

void
conn_enter(struct conn *c, enum conn_state state, const struct conf_core *core)
{
	const struct conn_row *row = &conn_rows[state];
	struct worker *w = c->w;

	if (!fsm_pass(&conn_fsm, c, c->state, state))
		return;
	if (c->state == CONN_IDLE || state == CONN_IDLE)
		ctr_add(w->row, CTR_IDLE, state == CONN_IDLE ? 1 : -1);
	c->state = (uint8_t)state;
	list_del(&c->link);
	list_add_tail(state == CONN_DEAD ? &w->dead : &w->conns[state], &c->link);
	if (row->timeout == NO_TIMEOUT)
		timer_del(&c->timer);
	else
		timer_set(w, &c->timer, conn_timer_class(c, row->timeout, core));
}

void
conn_idle(struct conn *c)
{
	struct worker *w = c->w;

	if (unlikely(w->is_stopping)) {
		conn_close(c, CONN_BY_DRAIN);
		return;
	}
	if (c->state != CONN_IDLE) {
		conn_enter(c, CONN_IDLE, NULL);
		return;
	}
	list_del(&c->link);
	list_add_tail(&w->conns[CONN_IDLE], &c->link);
	timer_set(w, &c->timer, c->timer.class);
}

/* The timer of a state struck. In ACTIVE the proto has set its own function. */
static void
conn_expired(void *arg)
{
	struct conn *c = arg;

	if (conn_rows[c->state].expires != CONN_BY_OPEN)
		conn_close(c, conn_rows[c->state].expires);
	else if (c->proto->expired)
		c->proto->expired(c);
	else
		conn_close(c, CONN_BY_HEAD_TIMEOUT);
}

static void
conn_free(struct conn *c)
{
	struct worker *w = c->w;

	if (c->is_reading)
		event_del(&c->rd);
	timer_del(&c->timer);
	conn_drop_in(c);
	close(c->fd);
	list_del(&c->link);
	pool_push(&w->free_conns, &c->link);
	w->nconns--;
	ctr_add(w->row, CTR_CONNECTIONS, -1);
	if (w->is_paused)
		accept_resume(w);
}

void
conn_reap(struct worker *w)
{
	struct link *l;

	while ((l = list_first(&w->dead)) != NULL)
		conn_free(container_of(l, struct conn, link));
}

void
conn_close(struct conn *c, enum conn_reason reason)
{
	const struct conn_reason_row *row = &conn_reasons[reason];

	if (c->state == CONN_DEAD)
		return;
	c->reason = (uint8_t)reason;
	log_at(LOG_DEBUG_, NULL, false, "conn %llu ends: %s", (unsigned long long)c->id, row->text);
	if (row->counter != CTR_MAX)
		ctr_add(c->w->row, row->counter, 1);
	conn_enter(c, CONN_DEAD, NULL);
	c->proto->close(c);
	if (c->is_reading) {
		event_del(&c->rd);
		c->is_reading = false;
	}
}

void
conn_drop_in(struct conn *c)
{
	if (!c->in)
		return;
	buf_put(c->in);
	c->in = NULL;
	c->in_at = 0;
}

void
conn_used(struct conn *c, size_t n)
{
	c->in_at += (uint32_t)n;
	must(c->in_at <= c->in->used);
	if (c->in_at == c->in->used)
		conn_drop_in(c);
}

/* Room for at least one more byte at the end of c->in. */
static void
conn_room(struct conn *c)
{
	struct buf *b = c->in;

	if (!b) {
		c->in = unlikely(c->is_fast) ? buf_get_bulk() : buf_get();
		c->in_at = 0;
		return;
	}
	/* A block may be moved or appended to only while nobody else points into it. */
	if (b->refs == 1 && b->used < b->room)
		return;
	if (b->refs == 1 && c->in_at > 0) {
		memmove(b->data, b->data + c->in_at, b->used - c->in_at);
	} else {
		size_t n = b->used - c->in_at;
		struct buf *next = n < BUF_ROOM ? buf_get() : buf_get_big(n * 2);

		memcpy(next->data, b->data + c->in_at, n);
		next->used = b->used;
		c->in = next;
		buf_put(b);
		b = next;
	}
	b->used -= c->in_at;
	c->in_at = 0;
}

/* Nothing was read: n as from the transport. */
static ssize_t
conn_unfilled(struct conn *c, ssize_t n)
{
	if (n == 0) {
		c->is_eof = true;
		return 0;
	}
	if (errno == EAGAIN)
		return 0;
	conn_close(c, CONN_BY_ERROR);
	return -1;
}

ssize_t
conn_fill(struct conn *c)
{
	ssize_t n;

	conn_room(c);
	n = c->transport->read(c, c->in->data + c->in->used, c->in->room - c->in->used);
	if (likely(n > 0)) {
		c->in->used += (unsigned)n;
		ctr_add(c->w->row, CTR_BYTES_IN, n);
		return n;
	}
	if (c->in->used == c->in_at)
		conn_drop_in(c);
	return conn_unfilled(c, n);
}

ssize_t
conn_fill_pipe(struct conn *c, struct pipe *p, size_t max)
{
	ssize_t n = c->transport->fill(c, p, max);

	if (n <= 0)
		return conn_unfilled(c, n);
	ctr_add(c->w->row, CTR_BYTES_IN, n);
	ctr_add(c->w->row, CTR_SPLICED, n);
	return n;
}

void
conn_read_on(struct conn *c)
{
	if (c->is_reading || c->state == CONN_DEAD)
		return;
	must(event_add(&c->rd, NULL) == 0);
	c->is_reading = true;
}

void
conn_read_off(struct conn *c)
{
	if (!c->is_reading)
		return;
	event_del(&c->rd);
	c->is_reading = false;
}

/* Lingering: everything that still comes is read and forgotten, within bounds of time and size. */
static void
conn_linger_read(struct conn *c)
{
	struct buf *b = buf_get();
	ssize_t n;

	n = c->transport->read(c, b->data, b->room);
	buf_put(b);
	if (n > 0) {
		c->lingered += (uint32_t)n;
		if (c->lingered > LINGER_MAX || c->w->now / 1000 >= c->linger_until)
			conn_close(c, CONN_BY_LINGERED);
		else
			timer_set(c->w, &c->timer, c->timer.class);
	} else if (n == 0) {
		conn_close(c, CONN_BY_LINGERED);
	} else if (errno != EAGAIN) {
		conn_close(c, CONN_BY_ERROR);
	}
}

void
conn_linger(struct conn *c)
{
	if (c->is_eof) {
		conn_close(c, CONN_BY_DONE);
		return;
	}
	conn_drop_in(c);
	conn_enter(c, CONN_LINGER, NULL);
	if (c->state != CONN_LINGER)
		return;
	c->lingered = 0;
	c->linger_until =
	    (uint32_t)((c->w->now + (uint64_t)(LINGER_TIMES * c->timer.class->ms)) / 1000);
	c->transport->shutdown(c);
	conn_read_on(c);
}

/* What the PROXY header says replaces the addresses; the rest of the input is the client's. */
static void
conn_preface(struct conn *c)
{
	struct proxyproto pp;
	ssize_t n;

	if (conn_fill(c) < 0)
		return;
	n = c->in ? proxyproto_parse(c->in->data + c->in_at, c->in->used - c->in_at, &pp) : 0;
	if (n == 0 && !c->is_eof)
		return;
	if (n <= 0) {
		conn_close(c, c->in ? CONN_BY_PREFACE : CONN_BY_CLIENT);
		return;
	}
	if (!pp.is_local) {
		c->peer = pp.client;
		c->is_tls = pp.is_tls;
	}
	conn_used(c, (size_t)n);
	conn_enter(c, CONN_IDLE, NULL);
	if (c->in)
		c->proto->input(c);
}

static void
conn_nothing(struct conn *c)
{
	(void)c;
}

static void
conn_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	const struct conn_row *row = &conn_rows[c->state];

	(void)fd;
	(void)what;
	worker_touch(c->w);
	if (likely(!row->readable))
		c->proto->input(c);
	else
		row->readable(c);
	/* After every sixteen connections the notices run, before more connections are read: so few
	   blocks of memory are in use at a time, and they stay in the CPU's caches. */
	if (++c->w->nreads % CONN_BATCH == 0)
		worker_run_posts(c->w);
}

/* Connections in one block of memory. */
struct conn_slab {
	struct conn_slab *next;
	struct conn v[CONN_SLAB];
};
static struct conn_slab *conn_slabs;

/* A connection's memory, from slabs that are never given back: the peak is the price. */
static struct conn *
conn_alloc(struct worker *w)
{
	struct link *l = pool_pop(&w->free_conns);

	if (!l) {
		struct conn_slab *slab = must_calloc(1, sizeof(*slab));

		slab->next = conn_slabs;
		conn_slabs = slab;
		for (unsigned i = CONN_SLAB; i-- > 0;)
			pool_push(&w->free_conns, &slab->v[i].link);
		l = pool_pop(&w->free_conns);
	}
	return container_of(l, struct conn, link);
}

struct conn *
conn_open(struct worker *w, int fd, const struct conf_listen *listen, const struct peer *peer)
{
	struct conn *c = conn_alloc(w);

	memset(c, 0, sizeof(*c));
	c->w = w;
	c->fd = fd;
	c->listen = listen;
	c->transport = &transport_plain;
	c->proto = &proto_h1;
	c->peer = c->via = *peer;
	c->id = ++w->next_conn;
	c->is_draining = w->state == WORKER_DRAINING;
	c->timer.fn = conn_expired;
	c->timer.arg = c;
	event_assign(&c->rd, w->base, fd, EV_READ | EV_PERSIST, conn_readable, c);
	list_add_tail(&w->conns[CONN_NEW], &c->link);
	w->nconns++;
	ctr_add(w->row, CTR_CONNECTIONS, 1);
	ctr_add(w->row, CTR_ACCEPTED, 1);
	if (listen->proxy_protocol) {
		if (!cidr_match(&w->conf->trusted, peer->family, peer->addr)) {
			conn_close(c, CONN_BY_PREFACE);
			return c;
		}
		conn_enter(c, CONN_PREFACE, NULL);
		conn_read_on(c);
		return c;
	}
	c->proto->open(c);
	return c;
}

unsigned
conn_close_idle(struct worker *w, bool all, enum conn_reason reason)
{
	unsigned n = 0;

	LIST_EACH(l, &w->conns[CONN_IDLE])
	{
		conn_close(container_of(l, struct conn, link), reason);
		n++;
		if (!all)
			break;
	}
	return n;
}

unsigned
conn_close_silent(struct worker *w)
{
	unsigned n = 0;

	LIST_EACH(l, &w->conns[CONN_HEAD])
	{
		struct conn *c = container_of(l, struct conn, link);

		if (c->in)
			continue;
		conn_close(c, CONN_BY_DRAIN);
		n++;
	}
	return n;
}

const struct peer *
conn_local(struct conn *c)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	socklen_t len = sizeof(ss);

	if (c->local.family)
		return &c->local;
	getsockname(c->fd, (struct sockaddr *)&ss, &len);
	peer_of(&c->local, &ss);
	return &c->local;
}
