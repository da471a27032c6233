/* See slab.h. */
#include <sys/mman.h>

#include "common/base/must.h"
#include "worker/slab.h"

enum { SLAB_BYTES = 1 << 20 }; /* asked of the kernel at once */

static void
slab_push_cold(struct slab *s, void *block)
{
	if (s->ncold == s->cold_room) {
		s->cold_room += 64;
		s->cold = must_realloc(s->cold, s->cold_room * sizeof(*s->cold));
	}
	s->cold[s->ncold++] = block;
}

void *
slab_get_cold(struct slab *s)
{
	if (s->ncold == 0) {
		char *p = mmap(
		    NULL, SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED);
		for (size_t at = SLAB_BYTES; at >= s->size; at -= s->size)
			slab_push_cold(s, p + at - s->size);
	}
	return s->cold[--s->ncold];
}

/* The longest unused ones are at the end of the list. */
void
slab_trim(struct slab *s, size_t offset)
{
	struct link *last = s->warm.top, *l;
	unsigned keep;

	if (s->least <= s->keep) {
		s->least = s->warm.n;
		return;
	}
	keep = s->warm.n - s->least + s->keep;
	for (unsigned i = 1; i < keep; i++)
		last = last->next;
	l = last->next;
	last->next = NULL;
	s->warm.n = s->least = keep;
	while (l) {
		char *block = (char *)l - offset;

		l = l->next;
		madvise(block, s->size, MADV_DONTNEED);
		slab_push_cold(s, block);
	}
}
