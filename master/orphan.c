#include "common/log.h"
#include "master/generation.h"
#include "master/master.h"
#include "master/orphan.h"

/* The rows of one generation, as seats of a new object. */
static void
orphan_adopt(struct shm *shm, unsigned number, const unsigned *rows, unsigned n)
{
	bool serves = atomic_load(&shm_master(shm)->generation) == number && shm == master.shm &&
		      !generation_serving();
	struct generation *g = generation_new(number, n, NULL, NULL);

	g->state = serves ? GEN_SERVING : GEN_DRAINING;
	for (unsigned i = 0; i < n; i++) {
		struct shm_worker *w = shm_worker(shm, rows[i]);

		g->seats[i].shm = shm;
		g->seats[i].index = atomic_load(&w->seat);
		seat_adopt(&g->seats[i], rows[i], atomic_load(&w->pid), -1, false);
	}
	if (!serves)
		generation_enter(g, GEN_DRAINING);
}

/* The lowest generation above `above` that has a living row; its rows. */
static unsigned
orphan_next(struct shm *shm, unsigned above, unsigned rows[SHM_WORKERS], unsigned *number)
{
	unsigned n = 0;

	for (unsigned r = 0; r < SHM_WORKERS; r++) {
		struct shm_worker *w = shm_worker(shm, r);
		unsigned of;

		if (!w || atomic_load(&w->state) == ROW_FREE)
			continue;
		of = atomic_load(&w->generation);
		if (of <= above || (n && of > *number))
			continue;
		if (n && of < *number)
			n = 0;
		*number = of;
		rows[n++] = r;
	}
	return n;
}

void
orphan_adopt_all(struct shm *shm)
{
	unsigned rows[SHM_WORKERS], number = 0, n, total = 0;

	shm_repair(shm);
	while ((n = orphan_next(shm, number, rows, &number)) > 0) {
		orphan_adopt(shm, number, rows, n);
		total += n;
	}
	if (total)
		log_notice("%u worker%s of a master before this one go on serving", total,
		    total == 1 ? "" : "s");
}
