/*
 * The cache: a hash table of entries, and three rings of them (files in memory, files held open,
 * names without a file), each with its own bound, so that a flood of names that do not exist, or of
 * large files, does not push out the small files that are in demand. Within a ring a clock hand
 * goes round: an entry used since its last visit stays, one that was not goes. A hit stores one
 * byte and moves nothing.
 *
 * Invariants: an entry with is_kept is in its bucket and its ring and counted; one without is in
 * neither and is freed with its last pin; an entry's value never changes, a file that did is
 * loaded into another entry.
 */
#include "modules/files/cache.h"

#include <stdlib.h>
#include <sys/random.h>
#include "common/base/must.h"
#include "common/segment/shm.h"

enum { CACHE_LOOK = 10000 /* ms between looks for new compressed siblings */ };

enum cache_list { CACHE_MEMORY, CACHE_OPEN, CACHE_NOTHING, CACHE_LISTS };

struct cache_ring {
	struct link head; /* the hand is at its tail */
	int64_t n, max;
};

static struct {
	struct files_entry **buckets;
	size_t mask;
	struct cache_ring rings[CACHE_LISTS];
	int64_t bytes, files, fds;
	struct files_cache_limits limits;
	uint64_t keys[3]; /* of the hash; odd */
	struct shm_worker *row;
	struct files_entry *loose; /* the last one handed out that is not kept, while not pinned */
} cache;

void
files_cache_start(const struct files_cache_limits *limits, struct shm_worker *row)
{
	size_t n = 64;

	memset(&cache, 0, sizeof(cache));
	while ((int64_t)n < limits->files && n < 1 << 24)
		n *= 2;
	cache.buckets = must_calloc(n, sizeof(*cache.buckets));
	cache.mask = n - 1;
	cache.limits = *limits;
	cache.row = row;
	must(getrandom(cache.keys, sizeof(cache.keys), 0) == sizeof(cache.keys));
	for (int i = 0; i < 3; i++)
		cache.keys[i] |= 1;
	for (int i = 0; i < CACHE_LISTS; i++)
		list_init(&cache.rings[i].head);
	cache.rings[CACHE_MEMORY].max = limits->files;
	cache.rings[CACHE_OPEN].max = limits->fds < limits->files ? limits->fds : limits->files;
	cache.rings[CACHE_NOTHING].max = limits->files / 4;
}

static void
files_cache_count(void)
{
	ctr_set(cache.row, CTR_CACHE_BYTES, (uint64_t)cache.bytes);
	ctr_set(cache.row, CTR_CACHE_FILES, (uint64_t)cache.files);
}

static enum cache_list
files_cache_list(const struct files_entry *e)
{
	if (e->kind != FILES_FILE)
		return CACHE_NOTHING;
	return e->nfds ? CACHE_OPEN : CACHE_MEMORY;
}

static void
files_cache_add(struct files_entry *e)
{
	struct files_entry **bucket = &cache.buckets[e->hash & cache.mask];

	e->list = (uint8_t)files_cache_list(e);
	e->is_kept = true;
	e->next = *bucket;
	*bucket = e;
	list_add_head(&cache.rings[e->list].head, &e->link);
	cache.rings[e->list].n++;
	cache.bytes += (int64_t)e->bytes;
	cache.files += e->kind == FILES_FILE;
	cache.fds += e->nfds;
}

/* Takes e out of the table; it goes now, or with its last pin. */
static void
files_cache_del(struct files_entry *e)
{
	struct files_entry **at = &cache.buckets[e->hash & cache.mask];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	list_del(&e->link);
	e->is_kept = false;
	cache.rings[e->list].n--;
	cache.bytes -= (int64_t)e->bytes;
	cache.files -= e->kind == FILES_FILE;
	cache.fds -= e->nfds;
	if (!e->pins)
		files_entry_free(e);
}

static void
files_cache_drop_loose(void)
{
	if (cache.loose)
		files_entry_free(cache.loose);
	cache.loose = NULL;
}

void
files_cache_stop(void)
{
	for (int i = 0; i < CACHE_LISTS; i++)
		LIST_EACH(l, &cache.rings[i].head)
	files_cache_del(container_of(l, struct files_entry, link));
	files_cache_drop_loose();
	free(cache.buckets);
	cache.buckets = NULL;
}

/* Moves the hand on by one entry. */
static void
files_cache_turn(struct cache_ring *ring, bool by_force)
{
	struct files_entry *e = container_of(ring->head.prev, struct files_entry, link);

	if (!by_force && (e->is_used || e->pins)) {
		e->is_used = false;
		list_del(&e->link);
		list_add_head(&ring->head, &e->link);
		return;
	}
	files_cache_del(e);
}

static bool
files_cache_is_over(const struct cache_ring *ring)
{
	if (ring->n > ring->max)
		return true;
	if (ring == &cache.rings[CACHE_OPEN])
		return cache.fds > cache.limits.fds;
	return cache.bytes > cache.limits.bytes;
}

/* Makes the ring obey its bounds: at most once round by the clock, then by force. */
static void
files_cache_trim(struct cache_ring *ring)
{
	int64_t steps = ring->n;

	while (ring->n > 0 && files_cache_is_over(ring))
		files_cache_turn(ring, steps-- <= 0);
}

static void
files_cache_keep(struct files_entry *e, uint64_t hash, uint64_t now)
{
	bool is_trouble = e->kind == FILES_ERROR && e->status >= 500;

	e->hash = hash;
	e->due = now + (uint64_t)cache.limits.valid;
	e->look_due = now + CACHE_LOOK;
	if (is_trouble || (int64_t)e->bytes > cache.limits.bytes || e->nfds > cache.limits.fds) {
		cache.loose = e;
		return;
	}
	files_cache_add(e);
	e->pins++; /* not to go at once */
	/* What costs least to find out again goes first. */
	for (int i = CACHE_LISTS; i-- > 0;)
		files_cache_trim(&cache.rings[i]);
	e->pins--;
	if (!e->is_kept)
		cache.loose = e;
	files_cache_count();
}

/* Descriptors ran out: gives back those that nobody uses, and looks once more. */
static struct files_entry *
files_cache_load(const struct files_route *fr, struct str path)
{
	struct cache_ring *ring = &cache.rings[CACHE_OPEN];
	struct files_entry *e = files_entry_load(fr, path);

	if (likely(e->kind != FILES_ERROR || e->status != 503) || ring->n == 0)
		return e;
	files_entry_free(e);
	for (int64_t i = ring->n; i > 0; i--) {
		struct files_entry *old = container_of(ring->head.prev, struct files_entry, link);

		old->is_used = false;
		files_cache_turn(ring, false);
	}
	return files_entry_load(fr, path);
}

static uint64_t
files_cache_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t
files_cache_word(const char *p, size_t n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

/* The last bytes of a path, at most eight; they may overlap what was taken before. */
static uint64_t
files_cache_tail(const char *p, size_t n)
{
	uint64_t v = 0;

	if (likely(n >= 8))
		return files_cache_word(p + n - 8, 8);
	if (n >= 4)
		return files_cache_word(p, 4) << 32 | files_cache_word(p + n - 4, 4);
	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* Clients choose the paths, so the hash is keyed; but it only spreads entries over buckets and
   nobody sees it, so multiplication by secrets does, at a fifth of the cost of str_hash(). */
static uint64_t
files_cache_hash(const struct files_route *fr, struct str path)
{
	uint64_t h = files_cache_fold((uintptr_t)fr ^ path.n, cache.keys[0]);

	for (size_t at = 0; at + 8 <= path.n; at += 8)
		h = files_cache_fold(h ^ files_cache_word(path.p + at, 8), cache.keys[1]);
	return files_cache_fold(h ^ files_cache_tail(path.p, path.n), cache.keys[2]);
}

/* e is due: true when it may go on for another while. */
static bool
files_cache_renew(struct files_entry *e, uint64_t now)
{
	bool look = now >= e->look_due;

	if (!files_entry_is_current(e, look))
		return false;
	e->due = now + (uint64_t)cache.limits.valid;
	if (look)
		e->look_due = now + CACHE_LOOK;
	return true;
}

static struct files_entry *
files_cache_miss(const struct files_route *fr, struct str path, uint64_t hash, uint64_t now)
{
	struct files_entry *e = files_cache_load(fr, path);

	ctr_add(cache.row, CTR_CACHE_MISSES, 1);
	files_cache_keep(e, hash, now);
	return e;
}

struct files_entry *
files_cache_get(const struct files_route *fr, struct str path, uint64_t now)
{
	uint64_t hash = files_cache_hash(fr, path);
	struct files_entry *e = cache.buckets[hash & cache.mask];

	if (unlikely(cache.loose != NULL))
		files_cache_drop_loose();
	if (unlikely(now >= fr->root->due))
		files_root_check(fr->root, now, cache.limits.valid);
	while (e && !(e->hash == hash && e->fr == fr && str_eq(e->path, path)))
		e = e->next;
	if (unlikely(!e))
		return files_cache_miss(fr, path, hash, now);
	if (unlikely(now >= e->due || e->generation != fr->root->generation) &&
	    !files_cache_renew(e, now)) {
		files_cache_del(e);
		return files_cache_miss(fr, path, hash, now);
	}
	e->is_used = true;
	ctr_add(cache.row, CTR_CACHE_HITS, 1);
	return e;
}

void
files_cache_pin(struct files_entry *e)
{
	if (unlikely(e == cache.loose))
		cache.loose = NULL;
	e->pins++;
}

void
files_cache_unpin(void *entry)
{
	struct files_entry *e = entry;

	must(e->pins > 0);
	if (--e->pins == 0 && unlikely(!e->is_kept))
		files_entry_free(e);
}
