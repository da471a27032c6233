/* Rows by name, see shm_keyed.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_keyed.h"

enum { KEYED_CLAIM_MS = 100, KEYED_FORCE_MS = 2 * KEYED_CLAIM_MS };
enum { KEYED_TRIES = 300, KEYED_PAUSE_NS = 1000000 };
enum { KEYED_TOUCH_MS = 500, KEYED_UNUSED_MS = 10000 };

static const uint64_t KEYED_CLAIMED = (uint64_t)1 << 63;

struct keyed_name {
	struct str texts[SHM_KEYED_TEXTS];
	uint64_t key, start;
};

static uint64_t
keyed_hash(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	h = (h ^ 0xff) * 0x100000001b3u;
	h ^= h >> 32;
	return h * 0x9e3779b97f4a7c15u;
}

static struct keyed_name
keyed_name_of(const struct shm_keyed *k, struct str first, struct str second)
{
	struct keyed_name n = { .texts = { first, second } };

	n.start = keyed_hash(0xcbf29ce484222325u, first);
	n.key = keyed_hash(n.start, second);
	n.start = k->cluster ? (n.start >> 16) * k->cluster : n.key >> 16;
	n.key &= ~KEYED_CLAIMED;
	if (n.key == 0)
		n.key = 1;
	return n;
}

/* ---- rows ---- */

static char *
keyed_row(struct shm *s, const struct shm_keyed *k, unsigned row)
{
	return shm_table_row(s, k->table, k->row, row);
}

static _Atomic uint64_t *
keyed_key(struct shm *s, const struct shm_keyed *k, unsigned row)
{
	return (_Atomic uint64_t *)keyed_row(s, k, row);
}

static _Atomic uint64_t *
keyed_touched(struct shm *s, const struct shm_keyed *k, unsigned row)
{
	return (_Atomic uint64_t *)(keyed_row(s, k, row) + k->touched);
}

/* A text in a row may be damaged, or without its end. */
static bool
keyed_text_is(const char *text, size_t size, struct str s)
{
	size_t n = s.n < size ? s.n : size - 1;

	return memcmp(text, s.p, n) == 0 && text[n] == 0;
}

static void
keyed_text_set(char *text, size_t size, struct str s)
{
	size_t n = s.n < size ? s.n : size - 1;

	memcpy(text, s.p, n);
	text[n] = 0;
}

static bool
keyed_is(struct shm *s, const struct shm_keyed *k, unsigned row, const struct keyed_name *n)
{
	const char *p = keyed_row(s, k, row);

	for (unsigned i = 0; i < SHM_KEYED_TEXTS; i++)
		if (k->texts[i].size &&
		    !keyed_text_is(p + k->texts[i].at, k->texts[i].size, n->texts[i]))
			return false;
	return true;
}

static void
keyed_fill(struct shm *s, const struct shm_keyed *k, unsigned row, const struct keyed_name *n,
    uint64_t now)
{
	char *p = keyed_row(s, k, row);

	memset(p + sizeof(uint64_t), 0, k->row - sizeof(uint64_t));
	shm_point("row: cleared");
	for (unsigned i = 0; i < SHM_KEYED_TEXTS; i++) {
		if (k->texts[i].size)
			keyed_text_set(p + k->texts[i].at, k->texts[i].size, n->texts[i]);
		shm_point("row: text");
	}
	if (k->fill)
		k->fill(s, row, n->texts);
	atomic_store(keyed_touched(s, k, row), now);
	shm_point("row: touched");
}

/* The name that stands in a row, in whatever segment; buf is where its texts are copied to. */
static struct keyed_name
keyed_name_in(const struct shm_keyed *k, const char *row, char buf[][SHM_KEYED_TEXT])
{
	struct str texts[SHM_KEYED_TEXTS];

	for (unsigned i = 0; i < SHM_KEYED_TEXTS; i++) {
		size_t size = k->texts[i].size;

		must(size <= SHM_KEYED_TEXT);
		memcpy(buf[i], row + k->texts[i].at, size);
		texts[i] = str_n(buf[i], strnlen(buf[i], size));
	}
	return keyed_name_of(k, texts[0], texts[1]);
}

/* ---- who may claim ---- */

static struct shm_room *
keyed_room(struct shm *s, const struct shm_keyed *k)
{
	return shm_table_room(s, k->table);
}

static bool
keyed_claiming_is_over(uint64_t word, uint64_t now)
{
	pid_t pid = (pid_t)(word >> 32 & 0x7fffffff);

	if (word == 0 || (int32_t)((uint32_t)now - (uint32_t)word) >= 0)
		return true;
	/* Damaged, when it promises more than anybody takes. */
	if ((uint32_t)word - (uint32_t)now > KEYED_CLAIM_MS || pid <= 0)
		return true;
	/* Nobody comes here while it holds the word itself. */
	return pid == getpid() || (kill(pid, 0) < 0 && errno == ESRCH);
}

static uint64_t
keyed_claiming_word(uint64_t now)
{
	return (uint64_t)(uint32_t)getpid() << 32 | (uint32_t)(now + KEYED_CLAIM_MS);
}

/* The master's: at once or not at all. */
static uint64_t
keyed_claiming_take_now(struct shm_room *room, enum shm_table_id table)
{
	static uint64_t refused[TABLES]; /* since when; 0: the last time it was not */
	uint64_t now = clock_ms(), seen = atomic_load(&room->claiming), mine;

	mine = keyed_claiming_word(now);
	if (refused[table] && now - refused[table] >= KEYED_FORCE_MS) {
		atomic_store(&room->claiming, mine);
	} else if (!keyed_claiming_is_over(seen, now) ||
		   !atomic_compare_exchange_strong(&room->claiming, &seen, mine)) {
		refused[table] = refused[table] ? refused[table] : now;
		return 0;
	}
	refused[table] = 0;
	shm_point("claiming: taken");
	return mine;
}

/* The word that says that we may, 0 when others do for too long. */
static uint64_t
keyed_claiming_take(struct shm *s, const struct shm_keyed *k)
{
	struct shm_room *room = keyed_room(s, k);
	struct timespec pause = { 0, KEYED_PAUSE_NS };

	if (room && shm_is_owner(s))
		return keyed_claiming_take_now(room, k->table);
	for (unsigned i = 0; room && i < KEYED_TRIES; i++) {
		uint64_t now = clock_ms(), seen = atomic_load(&room->claiming), mine;

		mine = keyed_claiming_word(now);
		if (keyed_claiming_is_over(seen, now) &&
		    atomic_compare_exchange_strong(&room->claiming, &seen, mine)) {
			shm_point("claiming: taken");
			return mine;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void
keyed_claiming_give(struct shm *s, const struct shm_keyed *k, uint64_t mine)
{
	atomic_compare_exchange_strong(&keyed_room(s, k)->claiming, &mine, 0);
	shm_point("claiming: given");
}

/* ---- finding and claiming ---- */

/* The rows that are looked at for a name, in their order. Only rows below the table's size are
   claimed, but rows that were claimed while it was larger are still found. */
struct keyed_way {
	uint64_t start;
	unsigned rows, n;
};

static struct keyed_way
keyed_way_of(struct shm *s, const struct shm_keyed *k, const struct keyed_name *n, bool claims)
{
	struct shm_extent e = shm_table_extent(s, k->table);
	struct keyed_way way = { n->start, claims || k->window ? e.size : e.reach, 0 };

	way.n = k->window && k->window < way.rows ? k->window : way.rows;
	return way;
}

static unsigned
keyed_way_at(const struct keyed_way *way, unsigned i)
{
	return (unsigned)((way->start + i) % way->rows);
}

/* Everybody who uses the row says so; one store is enough. */
static bool
keyed_touch(_Atomic uint64_t *touched, uint64_t now)
{
	if (now <= atomic_load(touched) + KEYED_TOUCH_MS)
		return false;
	atomic_store(touched, now);
	return true;
}

static int
keyed_find(struct shm *s, const struct shm_keyed *k, const struct keyed_name *n)
{
	struct keyed_way way = keyed_way_of(s, k, n, false);

	for (unsigned i = 0; i < way.n; i++) {
		unsigned row = keyed_way_at(&way, i);
		_Atomic uint64_t *key = keyed_key(s, k, row);

		if (!key || atomic_load(key) != n->key || !keyed_is(s, k, row, n))
			continue;
		/* A sweep that is about to free it sees this, or we see that it did. */
		keyed_touch(keyed_touched(s, k, row), clock_ms());
		if (atomic_load(key) == n->key)
			return (int)row;
	}
	return -1;
}

/* With the right to claim. */
static int
keyed_claim(struct shm *s, const struct shm_keyed *k, const struct keyed_name *n, uint64_t mine)
{
	struct keyed_way way = keyed_way_of(s, k, n, true);

	for (unsigned i = 0; i < way.n; i++) {
		unsigned row = keyed_way_at(&way, i);
		_Atomic uint64_t *key = keyed_key(s, k, row);
		uint64_t seen = key ? atomic_load(key) : 1, claim = KEYED_CLAIMED | mine;

		if (seen != 0 && !(seen & KEYED_CLAIMED))
			continue;
		if (!atomic_compare_exchange_strong(key, &seen, claim))
			continue;
		shm_point("row: claimed");
		keyed_fill(s, k, row, n, clock_ms());
		if (!atomic_compare_exchange_strong(key, &claim, n->key))
			return -1;
		shm_table_claimed(s, k->table, row);
		shm_point("row: in use");
		return (int)row;
	}
	return -1;
}

/* ---- keeping and sweeping ---- */

bool
shm_keyed_touch(struct shm *s, const struct shm_keyed *k, unsigned row, uint64_t now)
{
	return keyed_row(s, k, row) && keyed_touch(keyed_touched(s, k, row), now);
}

static bool
keyed_is_stale(_Atomic uint64_t *touched, uint64_t now, uint64_t ms)
{
	uint64_t at = atomic_load(touched);

	/* Far in the future: damaged. */
	return (now > at ? now - at : at - now) >= ms;
}

struct keyed_sweep {
	uint64_t now, ms, mine;
};

static bool
keyed_is_kept(struct shm *s, const struct shm_keyed *k, unsigned row, uint64_t was,
    const struct keyed_sweep *sweep)
{
	if (!(was & KEYED_CLAIMED) &&
	    !keyed_is_stale(keyed_touched(s, k, row), sweep->now, sweep->ms))
		return true;
	return k->is_busy && k->is_busy(s, row);
}

/* Nobody can find it while it is claimed; who found it just before has touched it. */
static void
keyed_free(struct shm *s, const struct shm_keyed *k, unsigned row, const struct keyed_sweep *sweep)
{
	_Atomic uint64_t *key = keyed_key(s, k, row);
	uint64_t was = key ? atomic_load(key) : 0, claim = KEYED_CLAIMED | sweep->mine;

	if (was == 0 || keyed_is_kept(s, k, row, was, sweep))
		return;
	if (!atomic_compare_exchange_strong(key, &was, claim))
		return;
	shm_point("sweep: claimed");
	atomic_compare_exchange_strong(key, &claim, keyed_is_kept(s, k, row, was, sweep) ? was : 0);
	shm_point("sweep: free");
}

void
shm_keyed_sweep(struct shm *s, const struct shm_keyed *k, uint64_t now, uint64_t ms)
{
	struct keyed_sweep sweep = { now, ms, keyed_claiming_take(s, k) };
	unsigned reach = shm_table_extent(s, k->table).reach, used = 0;

	if (sweep.mine == 0)
		return;
	for (unsigned row = 0; row < reach; row++) {
		keyed_free(s, k, row, &sweep);
		if (atomic_load(keyed_key(s, k, row)) != 0)
			used = row + 1;
	}
	shm_table_reach(s, k->table, used);
	keyed_claiming_give(s, k, sweep.mine);
}

/* Names that come and go may fill the table: then what nobody uses goes sooner. */
static void
keyed_make_room(struct shm *s, const struct shm_keyed *k, const struct keyed_name *n, uint64_t mine)
{
	struct keyed_sweep sweep = { clock_ms(), KEYED_UNUSED_MS, mine };
	struct keyed_way way = keyed_way_of(s, k, n, true);

	for (unsigned i = 0; i < way.n; i++)
		keyed_free(s, k, keyed_way_at(&way, i), &sweep);
}

/* ---- rows that nobody can find ---- */

/* The first of its name, if its key is the name's. */
static bool
keyed_is_sound(struct shm *s, const struct shm_keyed *k, unsigned row)
{
	char buf[SHM_KEYED_TEXTS][SHM_KEYED_TEXT];
	struct keyed_name n = keyed_name_in(k, keyed_row(s, k, row), buf);
	struct keyed_way way = keyed_way_of(s, k, &n, false);

	if (atomic_load(keyed_key(s, k, row)) != n.key)
		return false;
	for (unsigned i = 0; i < way.n; i++) {
		unsigned at = keyed_way_at(&way, i);

		if (at == row)
			return true;
		if (atomic_load(keyed_key(s, k, at)) == n.key && keyed_is(s, k, at, &n))
			return false;
	}
	return false;
}

/* The table is full, and all its rows were used just now: frees those that no look for their name
   can find, which only a hostile writer can have made. The caller has the right to claim. */
static void
keyed_weed(struct shm *s, const struct shm_keyed *k, const struct keyed_name *n, uint64_t mine)
{
	struct keyed_way way = keyed_way_of(s, k, n, true);

	for (unsigned i = 0; i < way.n; i++) {
		unsigned row = keyed_way_at(&way, i);
		uint64_t was = atomic_load(keyed_key(s, k, row));

		if (was && was != (KEYED_CLAIMED | mine) && !keyed_is_sound(s, k, row))
			atomic_compare_exchange_strong(keyed_key(s, k, row), &was, 0);
	}
}

/* ---- the row of a name ---- */

int
shm_keyed_find(struct shm *s, const struct shm_keyed *k, struct str first, struct str second)
{
	struct keyed_name n = keyed_name_of(k, first, second);

	return keyed_find(s, k, &n);
}

int
shm_keyed_get(struct shm *s, const struct shm_keyed *k, struct str first, struct str second)
{
	struct keyed_name n = keyed_name_of(k, first, second);
	int row = keyed_find(s, k, &n);
	uint64_t mine;

	if (row >= 0)
		return row;
	mine = keyed_claiming_take(s, k);
	if (mine == 0)
		return -1;
	row = keyed_find(s, k, &n);
	if (row < 0)
		row = keyed_claim(s, k, &n, mine);
	if (row < 0) {
		keyed_make_room(s, k, &n, mine);
		row = keyed_claim(s, k, &n, mine);
	}
	if (row < 0) {
		keyed_weed(s, k, &n, mine);
		row = keyed_claim(s, k, &n, mine);
	}
	keyed_claiming_give(s, k, mine);
	return row;
}

/* ---- from another segment ---- */

static bool
keyed_has_texts(const struct shm_keyed *k, size_t bytes)
{
	for (unsigned i = 0; i < SHM_KEYED_TEXTS; i++)
		if (k->texts[i].at + k->texts[i].size > bytes)
			return false;
	return bytes >= sizeof(uint64_t);
}

void
shm_keyed_carry(struct shm *to, const struct shm *from, const struct shm_keyed *k)
{
	/* Where that is known, nothing stands beyond. */
	unsigned rows = from->own[k->table].rows ? shm_table_extent(from, k->table).reach
						 : from->any[k->table].rows;
	const char *old;
	size_t bytes;

	for (unsigned i = 0; i < rows; i++) {
		char buf[SHM_KEYED_TEXTS][SHM_KEYED_TEXT];
		struct keyed_name n;
		uint64_t key;
		int row;

		old = shm_table_old(from, k->table, i, &bytes);
		key = old ? atomic_load((const _Atomic uint64_t *)old) : 0;
		if (!shm_keyed_is_used(key) || !keyed_has_texts(k, bytes))
			continue;
		n = keyed_name_in(k, old, buf);
		row = n.key == key ? shm_keyed_get(to, k, n.texts[0], n.texts[1]) : -1;
		if (row >= 0 && k->carry)
			k->carry(to, (unsigned)row, old, bytes);
		shm_point("carry: row");
	}
}
