/* Since when a pool has had no usable host: see backend_outage.h. */
#include "common/balance/backend_cell.h"
#include "common/balance/backend_outage.h"

void
backend_outage_begin(struct shm *s, unsigned pool_row, uint64_t now)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	/* Whatever stood there: a moment ago there was a host. */
	if (p)
		atomic_store(&p->out_since, now);
	shm_point("outage: begun");
}

void
backend_outage_end(struct shm *s, unsigned pool_row)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);

	if (p && atomic_load(&p->out_since) != 0)
		atomic_store(&p->out_since, 0);
	shm_point("outage: over");
}

void
backend_outage_note(struct shm *s, unsigned pool_row, bool has_usable, uint64_t now)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint64_t none = 0;

	if (has_usable)
		backend_outage_end(s, pool_row);
	else if (p && atomic_load(&p->out_since) == 0)
		atomic_compare_exchange_strong(&p->out_since, &none, now);
}

bool
backend_outage(struct shm *s, unsigned pool_row, uint64_t now, uint64_t *ms)
{
	struct backend_pool *p = shm_backend_pool(s, pool_row);
	uint64_t since = p ? atomic_load(&p->out_since) : 0;

	*ms = since != 0 && since < now ? now - since : 0;
	return since != 0;
}

void
backend_outage_carry(struct shm *to, unsigned pool_row, const void *from, size_t bytes)
{
	const struct backend_pool *p = from;
	size_t at = offsetof(struct backend_pool, out_since);

	if (bytes >= at + sizeof(p->out_since))
		atomic_store(
		    &shm_backend_pool(to, pool_row)->out_since, atomic_load(&p->out_since));
	shm_point("carry: outage");
}
