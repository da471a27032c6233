#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/segment/shm_keep.h"
#include "master/generation.h"
#include "master/ledger.h"
#include "master/master.h"
#include "master/orphan.h"

/* For each entry of one segment: a pidfd, if the process is still the one that was noted; else
   -1. */
struct orphans {
	struct shm *shm;
	int pidfds[LEDGER_ENTRIES];
	bool lives[SHM_WORKERS];
};

/* Forgets processes that have ended meanwhile. */
static void
orphan_look(struct orphans *o)
{
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = ledger_at(i);

		o->pidfds[i] = -1;
		if (!e || e->segment != shm_id(o->shm))
			continue;
		o->pidfds[i] = shm_worker(o->shm, e->row) ? procid_open(&e->who) : -1;
		if (o->pidfds[i] >= 0) {
			o->lives[e->row] = true;
			continue;
		}
		if (e->who.started == 0)
			log_warnx(
			    "/proc did not say when worker %u (pid %d) was started: it is left "
			    "alone, and ends when it sees the new generation",
			    e->seat, (int)e->who.pid);
		ledger_del(e->segment, e->row);
	}
}

/* How many of a generation there are; *next: the lowest number above it, 0: none. */
static unsigned
orphan_count(const struct orphans *o, unsigned number, unsigned *next)
{
	unsigned n = 0;

	*next = 0;
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = o->pidfds[i] >= 0 ? ledger_at(i) : NULL;

		if (!e)
			continue;
		n += e->generation == number;
		if (e->generation > number && (*next == 0 || e->generation < *next))
			*next = e->generation;
	}
	return n;
}

/* The workers of one generation, as seats of a new object. */
static void
orphan_adopt(const struct orphans *o, unsigned number, unsigned n)
{
	bool serves = ledger_serving() == number && !generation_serving();
	struct generation *g = generation_new(number, n, NULL, NULL);
	struct seat *s = g->seats;

	/* One that was starting would wait for ever for its generation to serve. */
	generation_take(g, serves                      ? GEN_SERVING
			   : number > ledger_serving() ? GEN_STOPPING
						       : GEN_DRAINING);
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = o->pidfds[i] >= 0 ? ledger_at(i) : NULL;

		if (!e || e->generation != number)
			continue;
		shm_worker_restate(o->shm, e->row, e->who.pid, number, e->seat);
		s->shm = o->shm;
		s->index = e->seat;
		seat_adopt(s++, e->row, e->who.pid, -1, o->pidfds[i], false);
	}
	generation_resume(g);
}

void
orphan_adopt_all(struct shm *shm)
{
	struct orphans o = { .shm = shm };
	unsigned number = 0, next, n, total = 0;

	orphan_look(&o);
	shm_repair(shm, o.lives);
	do {
		n = orphan_count(&o, number, &next);
		if (n)
			orphan_adopt(&o, number, n);
		total += n;
		number = next;
	} while (next);
	if (total)
		log_notice("%u worker%s of a master before this one go on serving", total,
		    total == 1 ? "" : "s");
}

static bool
orphan_has_segment(const struct ledger_entry *e)
{
	return e->segment == shm_id(master.shm) ||
	       (master.shm_old && e->segment == shm_id(master.shm_old));
}

void
orphan_dismiss_rest(void)
{
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = ledger_at(i);
		int pidfd;

		if (!e || orphan_has_segment(e))
			continue;
		pidfd = procid_open(&e->who);
		if (pidfd >= 0) {
			log_warnx("worker %u (pid %d) of generation %u has a segment that was not "
				  "handed over: asking it to finish",
			    e->seat, (int)e->who.pid, e->generation);
			procid_signal(pidfd, SIGQUIT);
			close(pidfd);
		}
		ledger_del(e->segment, e->row);
	}
}
