/*
 * Connections to backends: see upstream.h. Owns sockets, events and TLS of each. Invariants: the
 * read event is registered from the end of the connecting on, and taken off when octets come
 * while its reader is paused, or the backend has sent its last one; a DEAD one has no descriptor
 * and no events; every one holds a reference of its host.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "common/base/must.h"
#include "modules/gateway/pool/upstream.h"
#include "worker/pipe.h"

enum {
	UPSTREAM_IOV = 32,
	UPSTREAM_KEEP = 128,
	UPSTREAM_READS = 4,        /* reads in one turn: others are to have theirs */
	UPSTREAM_FILE = 256 << 10, /* octets of a file per call */
	UPSTREAM_TURN = 1 << 20,   /* octets written in one turn */
	UPSTREAM_PIPED = 64 << 10, /* of an answer's rest that is worth a pipe */
	UPSTREAM_FULL = 48 << 10,  /* octets of a pipe: there is probably more */
};

static struct pool upstream_pool;
static struct link upstream_dead = { &upstream_dead, &upstream_dead };

/* --- life --- */

static void
upstream_bury(void *arg)
{
	struct link *l;

	(void)arg;
	while ((l = list_pop(&upstream_dead)) != NULL) {
		if (upstream_pool.n >= UPSTREAM_KEEP)
			free(container_of(l, struct upstream, link));
		else
			pool_push(&upstream_pool, l);
	}
}

static struct post upstream_burial = { .fn = upstream_bury };

static void upstream_expired(void *);
static void upstream_go_on(void *);

static struct upstream *
upstream_new(struct bhost *host, int fd)
{
	struct link *l = pool_pop(&upstream_pool);
	struct worker *w = worker_self();
	struct upstream *u = l ? container_of(l, struct upstream, link) : must_malloc(sizeof(*u));

	memset(u, 0, offsetof(struct upstream, codec));
	u->w = w;
	u->host = host;
	u->fd = fd;
	u->opened = worker_now_ns(w);
	u->idle_timer.fn = upstream_expired;
	u->idle_timer.arg = u;
	u->again = (struct post){ .fn = upstream_go_on, .arg = u };
	body_init(&u->out, w);
	bhost_ref(host);
	return u;
}

/* --- states --- */

#define FROM(s) (1u << UPSTREAM_##s)

static void upstream_connected(struct upstream *);
static void upstream_nothing(struct upstream *);
static void upstream_release(struct upstream *);
static void upstream_shake(struct upstream *);
static void upstream_stray(struct upstream *);
static void upstream_list(struct upstream *);
static void upstream_unlist(struct upstream *);
static void upstream_write(struct upstream *);

static const struct upstream_row {
	struct fsm_row fsm;
	bool has_request;                    /* octets of one may be written */
	void (*readable)(struct upstream *); /* NULL: more of an answer is read */
	void (*writable)(struct upstream *);
	void (*expired)(struct upstream *); /* idle_timer; whoever asked has timers of its own */
	void (*enter)(struct upstream *);   /* NULL: nothing more is to be done */
	void (*leave)(struct upstream *);
} upstream_rows[UPSTREAM_STATES] = {
	[UPSTREAM_CONNECTING] = {
	    { "connecting", 0 },
	    .readable = upstream_nothing,
	    .writable = upstream_connected,
	    .expired = upstream_nothing,
	},
	[UPSTREAM_SHAKING] = {
	    { "shaking", FROM(CONNECTING) },
	    .readable = upstream_shake,
	    .writable = upstream_shake,
	    .expired = upstream_nothing,
	},
	[UPSTREAM_BUSY] = {
	    { "busy", FROM(CONNECTING) | FROM(SHAKING) | FROM(IDLE) },
	    .has_request = true,
	    .writable = upstream_write,
	    .expired = upstream_nothing,
	},
	[UPSTREAM_ORPHAN] = {
	    { "orphan", FROM(BUSY) },
	    .has_request = true,
	    .writable = upstream_write,
	    .expired = upstream_close,
	    .leave = upstream_release,
	},
	[UPSTREAM_IDLE] = {
	    { "idle", FROM(BUSY) | FROM(ORPHAN) },
	    .readable = upstream_stray,
	    .writable = upstream_nothing,
	    .expired = upstream_close,
	    .enter = upstream_list,
	    .leave = upstream_unlist,
	},
	[UPSTREAM_DEAD] = {
	    { "dead", ~FROM(DEAD) },
	    .readable = upstream_nothing,
	    .writable = upstream_nothing,
	    .expired = upstream_nothing,
	},
};

#undef FROM

static void
upstream_name(const void *object, char *text, size_t max)
{
	const struct upstream *u = object;

	snprintf(text, max, "upstream %.*s fd %d", STR_FMT(u->host->name), u->fd);
}

const struct fsm upstream_fsm = { upstream_rows, sizeof(upstream_rows[0]), UPSTREAM_STATES,
	upstream_name };

static inline bool
upstream_entered(struct upstream *u, enum upstream_state state)
{
	const struct upstream_row *before = &upstream_rows[u->state], *row = &upstream_rows[state];

	if (before->leave)
		before->leave(u);
	u->state = (uint8_t)state;
	if (row->enter)
		row->enter(u);
	return true;
}

static __attribute__((noinline)) bool
upstream_noted(struct upstream *u, enum upstream_state state)
{
	return fsm_note(&upstream_fsm, u, u->state, state) && upstream_entered(u, state);
}

/* The only way into a state. False: what has ended stays ended. */
static bool
upstream_enter(struct upstream *u, enum upstream_state state)
{
	if (fsm_is_plain(&upstream_fsm, u->state, state))
		return upstream_entered(u, state);
	return upstream_noted(u, state);
}

static void
upstream_nothing(struct upstream *u)
{
	(void)u;
}

static void
upstream_expired(void *arg)
{
	struct upstream *u = arg;

	upstream_rows[u->state].expired(u);
}

/* Among those that its host keeps. */
static void
upstream_list(struct upstream *u)
{
	const struct conf_pool *conf = bpool_conf(u->host->pool);

	u->host->nidle++;
	list_add_head(&u->host->idle, &u->link);
	timer_set(u->w, &u->idle_timer, timer_class(u->w, conf->timeout.keepalive));
}

/* Off its host's list of kept ones. */
static void
upstream_unlist(struct upstream *u)
{
	list_del(&u->link);
	u->host->nidle--;
	timer_del(&u->idle_timer);
}

/* The place at its host, which an orphan has kept. */
static void
upstream_release(struct upstream *u)
{
	timer_del(&u->idle_timer);
	bpool_release(u->host);
}

void
upstream_close(struct upstream *u)
{
	if (!upstream_enter(u, UPSTREAM_DEAD))
		return;
	post_cancel(&u->again);
	if (event_initialized(&u->rd))
		event_del(&u->rd);
	if (u->is_armed)
		event_del(&u->wr);
	if (u->tls)
		tls_free(u->tls);
	u->tls = NULL;
	u->is_armed = false;
	close(u->fd);
	u->fd = -1;
	body_fini(&u->out);
	bhost_unref(u->host);
	list_add_tail(&upstream_dead, &u->link);
	worker_post(u->w, &upstream_burial);
}

/* --- reading --- */

static ssize_t
upstream_recv(struct upstream *u, void *dst, size_t max)
{
	ssize_t n;

	if (u->tls)
		return tls_read(u->tls, dst, max);
	do
		n = recv(u->fd, dst, max, 0);
	while (n < 0 && errno == EINTR);
	return n;
}

static void
upstream_ended(struct upstream *u, ssize_t n)
{
	int err = errno;

	if (n < 0 && err == EAGAIN)
		return;
	if (u->tls && n < 0)
		u->why = tls_why(u->tls);
	u->is_eof = true;
	upstream_read(u, false);
	if (n == 0)
		u->events->eof(u->arg);
	else
		u->events->failed(u->arg, err);
}

/* What TLS has deciphered already makes no descriptor readable. */
static void
upstream_poke(struct upstream *u)
{
	if (u->tls && tls_pending(u->tls))
		event_active(&u->rd, EV_READ, 0);
}

/* A pipe for what comes next, or NULL: it is to be read. */
static struct pipe *
upstream_pipe(const struct upstream *u)
{
	return u->is_fast && u->plain >= UPSTREAM_PIPED && !u->tls ? pipe_get() : NULL;
}

/* False: nothing more now. */
static bool
upstream_input_pipe(struct upstream *u, struct pipe *pipe)
{
	ssize_t n =
	    pipe_fill(pipe, u->fd, u->plain < PIPE_ROOM ? (size_t)u->plain : (size_t)PIPE_ROOM);

	if (n <= 0) {
		pipe_put(pipe);
		upstream_ended(u, n);
		return false;
	}
	ctr_add(worker_row(u->w), CTR_SPLICED, n);
	u->is_fast = n >= UPSTREAM_FULL;
	u->plain = 0;
	u->events->piped(u->arg, pipe);
	return u->is_fast && upstream_rows[u->state].has_request && u->is_reading;
}

/* Reads what is there, a few blocks at most. */
static void
upstream_input(struct upstream *u)
{
	u->is_fast &= u->plain > 0;
	for (int i = 0; i < UPSTREAM_READS; i++) {
		struct pipe *pipe = unlikely(u->is_fast) ? upstream_pipe(u) : NULL;
		struct buf *b;
		ssize_t n;

		if (unlikely(pipe != NULL)) {
			if (upstream_input_pipe(u, pipe))
				continue;
			return;
		}
		b = u->is_fast ? buf_get_bulk() : buf_get();
		n = upstream_recv(u, b->data, b->room);
		if (n <= 0) {
			buf_put(b);
			upstream_ended(u, n);
			return;
		}
		b->used = (unsigned)n;
		u->is_fast = (size_t)n == b->room || (u->tls && tls_pending(u->tls));
		u->plain = 0;
		u->events->input(u->arg, b, b->data, (size_t)n);
		buf_put(b);
		if (!u->is_fast || !upstream_rows[u->state].has_request || !u->is_reading)
			return;
	}
	upstream_poke(u);
}

static void
upstream_listen(struct upstream *u, bool on)
{
	if (u->is_listed == on)
		return;
	u->is_listed = on;
	if (on)
		must(event_add(&u->rd, NULL) == 0);
	else
		event_del(&u->rd);
}

static void
upstream_answer(struct upstream *u)
{
	if (u->tls && u->is_armed && tls_wants_read(u->tls))
		upstream_write(u);
	else if (u->is_reading)
		upstream_input(u);
	else
		upstream_listen(u, false);
}

/* Input on a kept connection without a request: the backend closes it, or sends something that
   cannot be trusted. Either way the connection is not used again. */
static void
upstream_stray(struct upstream *u)
{
	char c;

	if (upstream_recv(u, &c, 1) < 0 && errno == EAGAIN)
		return;
	upstream_close(u);
}

static void
upstream_readable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;
	void (*readable)(struct upstream *) = upstream_rows[u->state].readable;

	(void)fd;
	(void)what;
	worker_woken(u->w);
	if (likely(!readable))
		upstream_answer(u);
	else
		readable(u);
}

static void
upstream_go_on(void *arg)
{
	struct upstream *u = arg;

	if (upstream_rows[u->state].has_request && u->is_reading)
		upstream_input(u);
}

/* A pause is mostly over before octets come: only those take the event off. */
void
upstream_read(struct upstream *u, bool on)
{
	if (u->is_reading == on || (on && u->is_eof))
		return;
	u->is_reading = on;
	if (on)
		upstream_listen(u, true);
	else if (u->is_eof)
		upstream_listen(u, false);
	if (on && unlikely(u->is_fast && u->plain > 0))
		worker_post(u->w, &u->again);
	if (on)
		upstream_poke(u);
}

/* --- writing --- */

static void
upstream_arm(struct upstream *u)
{
	if (u->is_armed)
		return;
	u->is_armed = true;
	must(event_add(&u->wr, NULL) == 0);
}

/* more: what is queued behind it is sent at once. */
static ssize_t
upstream_send_memory(struct upstream *u, const struct iovec *iov, int n, bool more)
{
	struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n };
	ssize_t sent;

	if (u->tls)
		return tls_writev(u->tls, iov, n);
	do
		sent = sendmsg(u->fd, &m, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (sent < 0 && errno == EINTR);
	return sent;
}

/* Octets of a file; with TLS they pass through memory. */
static ssize_t
upstream_send_file(struct upstream *u, int fd, int64_t off, int64_t len)
{
	struct iovec iov;
	struct buf *b;
	ssize_t n;

	if (len > UPSTREAM_FILE)
		len = UPSTREAM_FILE;
	if (!u->tls) {
		off_t at = (off_t)off;

		n = sendfile(u->fd, fd, &at, (size_t)len);
	} else {
		b = buf_get();
		n = pread(fd, b->data, len < BUF_ROOM ? (size_t)len : BUF_ROOM, off);
		iov = (struct iovec){ b->data, n > 0 ? (size_t)n : 0 };
		if (n > 0)
			n = tls_writev(u->tls, &iov, 1);
		buf_put(b);
	}
	if (n == 0) { /* the file is shorter than it was */
		errno = EIO;
		return -1;
	}
	return n;
}

/* Sends once of what is in front. *octets: how many were offered, of which all should go. */
static ssize_t
upstream_send(struct upstream *u, size_t *octets)
{
	struct iovec iov[UPSTREAM_IOV];
	struct pipe *pipe;
	int64_t off, len;
	int fd, n;

	if (unlikely(u->tls && body_pipe(&u->out)) && !body_melt(&u->out)) {
		errno = u->out.err;
		return -1;
	}
	n = body_iov(&u->out, iov, UPSTREAM_IOV, octets);
	if (n > 0)
		return upstream_send_memory(u, iov, n, (int64_t)*octets < u->out.queued);
	if (body_file(&u->out, &fd, &off, &len))
		return upstream_send_file(u, fd, off, len);
	pipe = body_pipe(&u->out);
	*octets = pipe->used;
	return pipe_send(pipe, u->fd, pipe->used);
}

bool
upstream_flush(struct upstream *u)
{
	int64_t turn = 0;

	if (u->is_armed || !upstream_rows[u->state].has_request)
		return true;
	while (!body_is_empty(&u->out)) {
		size_t octets = 0;
		ssize_t sent = upstream_send(u, &octets);

		if (sent < 0 && errno != EAGAIN) {
			if (u->tls)
				u->why = tls_why(u->tls);
			return false;
		}
		if (sent > 0) {
			u->sent += sent;
			turn += sent;
			body_consume(&u->out, sent);
		}
		if (sent < 0 || (size_t)sent < octets || turn > UPSTREAM_TURN) {
			upstream_arm(u);
			break;
		}
	}
	return true;
}

static void
upstream_write(struct upstream *u)
{
	if (u->is_armed)
		event_del(&u->wr);
	u->is_armed = false;
	if (!upstream_flush(u)) {
		u->events->failed(u->arg, errno);
		return;
	}
	if (!u->is_armed)
		u->events->space(u->arg);
}

/* --- connecting --- */

/* The connection stands: from here on it is read, and stays with the loop. */
static void
upstream_ready(struct upstream *u)
{
	upstream_enter(u, UPSTREAM_BUSY);
	if (!u->is_reading)
		upstream_read(u, true);
}

static void
upstream_shake(struct upstream *u)
{
	switch (tls_handshake(u->tls)) {
	case TLS_DONE:
		upstream_ready(u);
		u->events->connected(u->arg);
		return;
	case TLS_WANTS_READ:
		upstream_read(u, true);
		return;
	case TLS_WANTS_WRITE:
		upstream_arm(u);
		return;
	default:
		u->why = tls_why(u->tls);
		u->events->failed(u->arg, EPROTO);
	}
}

static void
upstream_connected(struct upstream *u)
{
	socklen_t n = sizeof(int);
	int err = 0;

	if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	if (err) {
		u->events->failed(u->arg, err);
		return;
	}
	if (u->tls) {
		upstream_enter(u, UPSTREAM_SHAKING);
		upstream_shake(u);
		return;
	}
	upstream_ready(u);
	u->events->connected(u->arg);
}

static void
upstream_writable(evutil_socket_t fd, short what, void *arg)
{
	struct upstream *u = arg;

	(void)fd;
	(void)what;
	worker_woken(u->w);
	u->is_armed = false;
	upstream_rows[u->state].writable(u);
}

/* Has the backend closed a kept connection, or sent what nobody asked for? */
static bool
upstream_is_stale(const struct upstream *u)
{
	char c;

	return recv(u->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

static struct upstream *
upstream_reuse(struct bhost *host, const struct upstream_events *events, void *arg, bool is_checked)
{
	struct link *l;

	while ((l = list_first(&host->idle)) != NULL) {
		struct upstream *u = container_of(l, struct upstream, link);

		if (is_checked && upstream_is_stale(u)) {
			upstream_close(u);
			continue;
		}
		upstream_enter(u, UPSTREAM_BUSY);
		u->is_reused = true;
		u->sent = u->plain = 0;
		u->events = events;
		u->arg = arg;
		return u;
	}
	return NULL;
}

static bool
upstream_tls(struct upstream *u)
{
	struct tls_pool *tls = bpool_tls(u->host->pool);

	if (!tls)
		return true;
	u->tls = tls_new(tls, u->host->conf, u->fd);
	return u->tls != NULL;
}

struct upstream *
upstream_open(struct bhost *host, const struct upstream_events *events, void *arg, bool is_fresh,
    bool is_checked)
{
	struct upstream *u = is_fresh ? NULL : upstream_reuse(host, events, arg, is_checked);
	int fd, one = 1;

	if (u)
		return u;
	fd = socket(host->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	if (host->addr.ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&host->addr, host->addr_len) != 0 &&
	    errno != EINPROGRESS) {
		int err = errno;

		close(fd);
		errno = err;
		return NULL;
	}
	u = upstream_new(host, fd);
	u->events = events;
	u->arg = arg;
	event_assign(&u->rd, worker_base(u->w), fd, EV_READ | EV_PERSIST, upstream_readable, u);
	event_assign(&u->wr, worker_base(u->w), fd, EV_WRITE, upstream_writable, u);
	if (!upstream_tls(u)) {
		upstream_close(u);
		errno = EPROTO;
		return NULL;
	}
	backend_count(worker_shm(u->w), host->row, BACKEND_CONNECTS);
	if (host->addr.ss_family == AF_UNIX && !u->tls)
		upstream_ready(u); /* a Unix socket connects at once or not at all */
	else
		upstream_arm(u);
	return u;
}

void
upstream_acknowledge(struct upstream *u)
{
	int one = 1;

	if (u->host->addr.ss_family != AF_UNIX)
		setsockopt(u->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

/* --- afterwards --- */

void
upstream_keep(struct upstream *u)
{
	const struct conf_pool *conf = bpool_conf(u->host->pool);

	u->nrequests++;
	if (u->host->is_gone || u->host->nidle >= (unsigned)conf->keepalive || u->is_eof ||
	    u->is_armed || !body_is_empty(&u->out) || worker_is_draining(u->w) ||
	    (conf->keepalive_requests > 0 && u->nrequests >= conf->keepalive_requests)) {
		upstream_close(u);
		return;
	}
	upstream_read(u, true);
	upstream_enter(u, UPSTREAM_IDLE);
}

void
upstream_shutdown(struct upstream *u)
{
	if (!u->tls)
		shutdown(u->fd, SHUT_WR);
}

/* --- orphans: nobody waits for the answer --- */

void
upstream_part(struct upstream *u)
{
	upstream_enter(u, UPSTREAM_ORPHAN);
}

static void
orphan_nothing(void *arg)
{
	(void)arg;
}

static void
orphan_input(void *arg, struct buf *b, const char *p, size_t n)
{
	(void)arg;
	(void)b;
	(void)p;
	(void)n;
}

static void
orphan_eof(void *arg)
{
	upstream_close(arg);
}

static void
orphan_failed(void *arg, int err)
{
	(void)err;
	upstream_close(arg);
}

static const struct upstream_events upstream_orphaned = {
	.connected = orphan_nothing,
	.input = orphan_input,
	.eof = orphan_eof,
	.space = orphan_nothing,
	.failed = orphan_failed,
};

void
upstream_orphan(struct upstream *u, uint64_t ms)
{
	struct body copy;
	char part[4096];
	ssize_t n;

	/* What is queued may lie in the memory of the request. */
	body_init(&copy, u->w);
	while ((n = body_take(&u->out, part, sizeof(part))) > 0)
		body_put(&copy, part, (size_t)n);
	body_move(&u->out, &copy, INT64_MAX);
	body_fini(&copy);
	u->events = &upstream_orphaned;
	u->plain = 0;
	u->arg = u;
	upstream_read(u, true);
	timer_set(u->w, &u->idle_timer, timer_class(u->w, (int64_t)ms));
	if (!upstream_flush(u))
		upstream_close(u);
}
