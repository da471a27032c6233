#include <stdio.h>

#include "common/balance/backend_cell.h"
#include "common/balance/backend_event.h"
#include "common/base/clock.h"
#include "common/base/plain.h"
#include "common/segment/history.h"

enum { EVENT_FRESH_MS = 10000 }; /* rows that no worker has touched for longer are of no pool */

/* Whether another host of the pool takes requests. */
static bool
event_has_other(struct shm *s, unsigned row, uint32_t pool_row)
{
	unsigned reach = backend_reach(s);
	uint64_t now = clock_ms();

	for (unsigned i = 0; i < reach; i++) {
		struct backend_cell *c = shm_backend(s, i);

		if (i != row && c && atomic_load(&c->key) != 0 &&
		    atomic_load(&c->pool_row) == pool_row &&
		    now <= atomic_load(&c->touched) + EVENT_FRESH_MS && backend_is_usable(s, i))
			return true;
	}
	return false;
}

/* The pool's last host went out, or its first came back. Each process looks after its own
   transition, so of two that make an outage at the same moment both may report it (the event is
   counted then), but it never happens that none does. */
static void
event_pool(struct shm *s, unsigned row, bool is_up, const char *pool, const char *host)
{
	uint32_t pool_row = atomic_load(&shm_backend(s, row)->pool_row);
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint64_t key = p ? atomic_load(&p->key) : 0;

	if (key == 0)
		return;
	if (!is_up && !event_has_other(s, row, pool_row))
		history_say(s, HISTORY_POOL_OUT, key,
		    "%s: no host takes requests; the last to go was %s", pool, host);
	else if (is_up && backend_is_usable(s, row) &&
		 history_was_last(s, HISTORY_POOL_OUT, HISTORY_POOL_BACK, key))
		history_say(s, HISTORY_POOL_BACK, key, "%s: %s takes requests again", pool, host);
}

void
backend_event(struct shm *s, const struct backend_at *at, const char *why)
{
	struct backend_cell *c = shm_backend(s, at->row);
	struct backend_word w = backend_word_of(at->made);
	char pool[BACKEND_POOL_NAME], host[BACKEND_NAME];
	const char *comma = *why ? ", " : "";

	if (!c)
		return;
	plain_copy(pool, c->pool, sizeof(pool));
	plain_copy(host, c->host, sizeof(host));
	if (w.state == BACKEND_UP)
		history_say(
		    s, HISTORY_HOST_UP, atomic_load(&c->key), "%s %s%s%s", pool, host, comma, why);
	else
		history_say(s, HISTORY_HOST_DOWN, atomic_load(&c->key),
		    "%s %s: %s%s%s (%u failure%s)", pool, host, backend_cause_name(w.cause), comma,
		    why, w.n, w.n == 1 ? "" : "s");
	event_pool(s, at->row, w.state == BACKEND_UP, pool, host);
}
