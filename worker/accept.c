/*
 * Listening slots and new connections. A worker has an acceptor for every socket that it inherited,
 * and reads from those of the slots that it owns (see ARCHITECTURE.md, "Listening slots"). A socket
 * that all slots share (a Unix socket, one handed over by the service manager) is read by every
 * serving worker. No listening socket is ever shut
 * down, and none closed but those of an address that has left the configuration.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "worker/conn.h"
#include "worker/state.h"

enum {
	ACCEPT_BUDGET = 32,     /* connections per event */
	ACCEPT_PAUSE_MS = 100,  /* when descriptors ran out */
	ACCEPT_LEAVE_MS = 3000, /* a removed address; a little longer than the master keeps it */
	ACCEPT_GRACE_MS = 1000, /* a draining worker serves a slot that nobody has taken so long */
};

struct acceptor {
	struct event ev;
	struct worker *w;
	const struct conf_listen *conf;
	int fd;
	unsigned slot;
	bool is_shared; /* one socket for all slots */
	bool is_owned;  /* this worker reads it, unless paused */
	bool is_added;
	unsigned listen;   /* index in heritage.listens */
	uint64_t leave_at; /* its address leaves the configuration: accept until then, 0: stays */
	unsigned streak;   /* events in a row that brought exactly one connection */
};

static void
accept_add(struct acceptor *a, bool add)
{
	if (add == a->is_added)
		return;
	if (add)
		must(event_add(&a->ev, NULL) == 0);
	else
		event_del(&a->ev);
	a->is_added = add;
}

static void
accept_own(struct acceptor *a, bool own)
{
	a->is_owned = own;
	accept_add(a, own && !a->w->is_paused);
}

void
accept_pause(struct worker *w, uint64_t ms)
{
	w->is_paused = true;
	w->pause_until = ms ? w->now + ms : 0;
	for (size_t i = 0; i < w->nacceptors; i++)
		accept_add(&w->acceptors[i], false);
}

static bool
accept_is_full(const struct worker *w)
{
	return w->nconns >= (unsigned)w->conf->process.max_connections;
}

/* Accepts again, also at the limit, as soon as there is an idle connection that can be closed. */
void
accept_resume(struct worker *w)
{
	if ((accept_is_full(w) && list_is_empty(&w->conns[CONN_IDLE])) ||
	    (w->pause_until && w->now < w->pause_until))
		return;
	w->is_paused = false;
	for (size_t i = 0; i < w->nacceptors; i++)
		accept_add(&w->acceptors[i], w->acceptors[i].is_owned);
}

/* No descriptor for a connection that is waiting: make room by ending an idle one, else pause. */
static void
accept_no_fd(struct worker *w)
{
	static uint64_t logged;

	if (w->now - logged > 10000) {
		logged = w->now;
		log_warn("accept: connections wait in the queue");
	}
	ctr_add(w->row, CTR_REFUSED, 1);
	if (conn_close_idle(w, false, CONN_BY_ROOM) == 0)
		accept_pause(w, ACCEPT_PAUSE_MS);
}

/* At the limit the longest idle connection will make room; when none is idle, new ones wait in the
   kernel's queue until one is, or ends. */
static bool
accept_has_room(struct worker *w)
{
	if (likely(!accept_is_full(w)) || !list_is_empty(&w->conns[CONN_IDLE]))
		return true;
	accept_pause(w, 0);
	return false;
}

/* Makes room only if a connection really waits: the queue may have been empty. */
static void
accept_make_room(struct worker *w)
{
	conn_close_idle(w, false, CONN_BY_ROOM);
	conn_reap(w);
}

/* One connection; false when there is none (for now). */
static bool
accept_one(struct acceptor *a)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNIX };
	socklen_t len = sizeof(ss);
	struct peer peer = { 0 };
	int fd;

	if (!accept_has_room(a->w))
		return false;
	fd = accept4(a->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			accept_no_fd(a->w);
		else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_warn("accept on %s", a->conf->text.p);
		return false;
	}
	if (unlikely(accept_is_full(a->w)))
		accept_make_room(a->w);
	peer_of(&peer, &ss);
	conn_open(a->w, fd, a->conf, &peer);
	return true;
}

/* While each event brings one connection, accept() is called once an event: a second call would
   only find out that there is no other, which the next epoll_wait() says without a call of its
   own. */
static void
accept_event(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;
	unsigned n = 0, budget = a->streak >= 4 ? 1 : ACCEPT_BUDGET;

	(void)fd;
	(void)what;
	worker_touch(a->w);
	while (n < budget && accept_one(a))
		n++;
	if (a->streak >= 64)
		a->streak = 0;
	else
		a->streak = n <= 1 ? a->streak + 1 : 0;
}

static void
accept_init(struct worker *w, struct acceptor *a, const struct heritage_listen *l, unsigned slot,
    bool shared)
{
	a->w = w;
	a->conf = l->conf;
	a->fd = l->fds[slot];
	a->slot = slot;
	a->listen = (unsigned)(l - w->h->listens);
	a->is_shared = shared;
	event_assign(&a->ev, w->base, a->fd, EV_READ | EV_PERSIST, accept_event, a);
	event_priority_set(&a->ev, 0);
}

void
accept_open(struct worker *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->h->nlistens; i++)
		n += w->h->listens[i].slots;
	w->acceptors = must_calloc(n ? n : 1, sizeof(*w->acceptors));
	for (size_t i = 0; i < w->h->nlistens; i++) {
		const struct heritage_listen *l = &w->h->listens[i];
		bool shared =
		    l->slots > 1 ? l->fds[0] == l->fds[1] : l->conf->family == LISTEN_UNIX;

		for (unsigned s = 0; s < (shared ? 1 : l->slots); s++)
			accept_init(w, &w->acceptors[w->nacceptors++], l, s, shared);
	}
}

/* An address that leaves the configuration: its workers go on accepting until all close it at the
   same time, so that no queued connection is reset. */
static void
accept_follow_leaving(struct worker *w, struct acceptor *a)
{
	if (w->now < a->leave_at && !w->is_stopping)
		return;
	if (a->fd < 0)
		return;
	accept_own(a, false);
	close(a->fd);
	a->fd = -1;
}

void
accept_leave(struct worker *w, unsigned listen)
{
	for (size_t i = 0; i < w->nacceptors; i++)
		if (w->acceptors[i].listen == listen)
			w->acceptors[i].leave_at = w->now + ACCEPT_LEAVE_MS;
}

bool
accept_is_leaving(const struct worker *w)
{
	for (size_t i = 0; i < w->nacceptors; i++)
		if (w->acceptors[i].leave_at && w->acceptors[i].fd >= 0)
			return true;
	return false;
}

/* Reads from exactly the sockets of the slots whose owner word names this worker. A draining worker
   first waits for others to take its slots, and after a while gives up those that nobody has taken;
   one that stops gives up all at once. */
static void
accept_follow(struct worker *w)
{
	bool serves =
	    w->state == WORKER_SERVING || (w->state == WORKER_DRAINING && !w->is_stopping &&
					      w->now - w->drain_since < ACCEPT_GRACE_MS);

	for (size_t i = 0; i < w->nacceptors; i++) {
		struct acceptor *a = &w->acceptors[i];
		bool own;

		if (a->leave_at) {
			accept_follow_leaving(w, a);
			continue;
		}
		own = serves && (a->is_shared || shm_slot_owner(w->shm, a->slot) == w->h->row + 1);

		if (own != a->is_owned)
			accept_own(a, own);
	}
}

/* How many slots are in use. Bounded here, because any worker can write the word, and our loops run
   up to it. */
static unsigned
accept_slots(struct worker *w)
{
	unsigned n = atomic_load(&shm_master(w->shm)->slots);

	return n < SHM_SLOTS ? n : SHM_SLOTS;
}

/* Takes the slots of this worker's seat from whoever has them. */
void
accept_claim(struct worker *w)
{
	unsigned slots = accept_slots(w);

	for (unsigned s = w->h->seat; s < slots; s += w->h->workers) {
		uint64_t owner = shm_slot_owner(w->shm, s);

		if (owner != w->h->row + 1)
			shm_slot_claim(w->shm, s, owner, w->h->row);
	}
	accept_follow(w);
}

/* Whether the owner of a slot serves it: of the serving generation, ready, and its loop turns. */
static bool
accept_is_served(struct worker *w, uint64_t owner)
{
	struct shm_worker *row = owner ? shm_worker(w->shm, (unsigned)owner - 1) : NULL;

	return row && atomic_load(&row->state) == ROW_READY &&
	       atomic_load(&row->generation) == w->h->generation &&
	       atomic_load(&row->heartbeat) + STALE_MS >= w->now;
}

/* Adopts slots that nobody serves. At the beginning siblings that have just come up are given the
   time to claim theirs. */
static void
accept_adopt(struct worker *w)
{
	unsigned slots = accept_slots(w);

	if (w->now - w->serving_since < STALE_MS)
		return;
	for (unsigned i = 0; i < slots; i++) {
		unsigned s = (i + w->h->seat) % slots;
		uint64_t owner = shm_slot_owner(w->shm, s);
		bool is_mine = s % w->h->workers == w->h->seat;

		if (owner == w->h->row + 1 || (!is_mine && accept_is_served(w, owner)))
			continue;
		if (!shm_slot_claim(w->shm, s, owner, w->h->row))
			continue;
		if (!is_mine)
			ctr_add(w->row, CTR_ADOPTED, 1);
	}
}

void
accept_tick(struct worker *w)
{
	if (w->state == WORKER_SERVING)
		accept_adopt(w);
	accept_follow(w);
	if (w->is_paused)
		accept_resume(w);
}

void
accept_close(struct worker *w)
{
	for (size_t i = 0; i < w->nacceptors; i++)
		accept_add(&w->acceptors[i], false);
	free(w->acceptors);
	w->acceptors = NULL;
	w->nacceptors = 0;
}
