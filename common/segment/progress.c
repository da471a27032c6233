/*
 * Rows of uploads, see progress.h. Three kinds of process touch a row: the worker that claimed it,
 * which alone writes its figures; workers that claim, which take a finished row's place or say that
 * a live one is superseded; and the master, which ends what a dead worker had. All of them change
 * the mark by compare-and-swap from what they have seen, so of two only one succeeds, and who is
 * killed between two writes leaves a mark from which the next one can go on.
 */
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"
#include "common/base/plain.h"
#include "common/segment/progress.h"

enum { PROGRESS_TRIES = 64, PROGRESS_LEAST = PROGRESS_WINDOW };
enum { WORD_RECEIVED, WORD_FORWARDED, WORD_RATE, WORD_STATE }; /* state 8, status from bit 8 on */

static const uint64_t PROGRESS_TICKETS = (uint64_t)1 << 48;

static const char *const progress_names[] = {
	[PROGRESS_STARTING] = "starting",
	[PROGRESS_UPLOADING] = "uploading",
	[PROGRESS_FORWARDING] = "forwarding",
	[PROGRESS_DONE] = "done",
	[PROGRESS_ERROR] = "error",
};

const char *
progress_state_name(enum progress_state state)
{
	return (unsigned)state < PROGRESS_STATES ? progress_names[state] : "error";
}

bool
progress_is_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((unsigned)str_lower(c) - 'a' >= 26 && (unsigned)c - '0' >= 10 && c != '_' &&
		    c != '-')
			return false;
	}
	return s.n > 0 && s.n <= PROGRESS_ID;
}

unsigned
progress_reach(const struct shm *s)
{
	const struct progress_row *head = progress_row(s, 0);

	/* The key is made for the first one. */
	return head && atomic_load(&head->key) ? shm_table_extent(s, TABLE_PROGRESS).reach : 0;
}

/* ---- marks ---- */

static enum progress_phase
progress_phase(uint64_t mark)
{
	return (enum progress_phase)(mark & 255);
}

static unsigned
progress_worker(uint64_t mark)
{
	return (mark >> 8) & 255;
}

static uint64_t
progress_ticket(uint64_t mark)
{
	return mark >> 16;
}

static uint64_t
progress_in(uint64_t mark, enum progress_phase phase)
{
	return (mark & ~(uint64_t)255) | phase;
}

static bool
progress_turn(struct progress_row *p, uint64_t from, uint64_t to)
{
	bool is_turned = atomic_compare_exchange_strong(&p->mark, &from, to);

	shm_point("progress: mark");
	return is_turned;
}

/* Whether a row is another's to take: its time is over, or is nothing that can be. */
static bool
progress_is_over(const struct progress_row *p, uint64_t now)
{
	uint64_t until = atomic_load(&p->until);

	return until <= now || until - now > (uint64_t)PROGRESS_KEEP_MAX;
}

static bool
progress_is_shown(const struct progress_row *p, uint64_t mark, uint64_t now)
{
	if (progress_phase(mark) == PROGRESS_LIVE)
		return true;
	return progress_phase(mark) == PROGRESS_FINISHED && !progress_is_over(p, now);
}

/* ---- the place of an ID ---- */

struct progress_name {
	struct str site, id;
	uint64_t key;
};

/* The key of the hash: made by whoever needs it first. */
static bool
progress_secret(struct shm *s, uint64_t key[2], bool may_make)
{
	struct progress_row *head = progress_row(s, 0);

	if (!head)
		return false;
	key[0] = atomic_load(&head->key);
	if (key[0] == 0 && may_make) {
		uint64_t random[2] = { 0, 0 }, none = 0;

		if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return false;
		atomic_compare_exchange_strong(&head->size, &none, random[1]);
		shm_point("progress: secret");
		none = 0;
		atomic_compare_exchange_strong(&head->key, &none, random[0] | 1);
		shm_point("progress: secret");
		key[0] = atomic_load(&head->key);
	}
	key[1] = atomic_load(&head->size);
	return key[0] != 0;
}

static bool
progress_name(struct shm *s, struct progress_name *n, struct str site, struct str id, bool may_make)
{
	uint64_t key[2];

	if (!progress_is_id(id) || !progress_secret(s, key, may_make))
		return false;
	/* Whose ID it is counts as much as the ID. */
	key[1] ^= str_hash_keyed(key, site);
	*n = (struct progress_name){ site, id, str_hash_keyed(key, id) };
	return true;
}

/* The largest power of two up to n. */
static unsigned
progress_power(unsigned n)
{
	unsigned power = PROGRESS_LEAST;

	while (power * 2 <= n && power * 2 < PROGRESS_ROWS)
		power *= 2;
	return power;
}

/* The rows that are looked at for a name: those of the table's size, then those of other sizes that
   it may have had. */
struct progress_way {
	uint64_t key;
	unsigned size, own, most, i;
};

static struct progress_way
progress_way(const struct shm *s, const struct progress_name *n)
{
	struct shm_extent e = shm_table_extent(s, TABLE_PROGRESS);
	unsigned own = progress_power(e.size - 1), most = progress_power(e.reach - 1);

	return (struct progress_way){ n->key, own, own, most > own ? most : own, 0 };
}

/* NULL: that was the last. only_own: no other size. */
static struct progress_row *
progress_step(const struct shm *s, struct progress_way *way, bool only_own, unsigned *row)
{
	if (way->i == PROGRESS_WINDOW) {
		unsigned next = way->size == way->own ? PROGRESS_LEAST : way->size * 2;

		next = next == way->own ? next * 2 : next;
		if (only_own || next > way->most)
			return NULL;
		way->size = next;
		way->i = 0;
	}
	*row = 1 + (unsigned)((way->key + way->i++) & (way->size - 1));
	return progress_row(s, *row);
}

static bool
progress_has_text(const char *text, size_t room, struct str s)
{
	size_t n = s.n < room ? s.n : room;

	return memcmp(text, s.p, n) == 0 && (n == room || text[n] == '\0');
}

static bool
progress_is(const struct progress_row *p, const struct progress_name *n)
{
	struct str site = n->site;

	if (atomic_load(&p->key) != n->key)
		return false;
	if (site.n > PROGRESS_SITE - 1)
		site.n = PROGRESS_SITE - 1;
	return progress_has_text(p->id, PROGRESS_ID, n->id) &&
	       progress_has_text(p->site, PROGRESS_SITE, site);
}

/* ---- figures ---- */

static void
progress_write(struct progress_row *p, const struct progress_figures *f)
{
	uint64_t n = atomic_load(&p->current) + 1;
	_Atomic uint64_t *part = p->part[n % PROGRESS_PARTS];

	atomic_store(&part[WORD_RECEIVED], (uint64_t)f->received);
	shm_point("progress: received");
	atomic_store(&part[WORD_FORWARDED], (uint64_t)f->forwarded);
	atomic_store(&part[WORD_RATE], (uint64_t)f->rate);
	shm_point("progress: rate");
	atomic_store(&part[WORD_STATE], (uint64_t)f->state | (uint64_t)f->status << 8);
	shm_point("progress: state");
	atomic_store(&p->current, n);
	shm_point("progress: current");
}

static int64_t
progress_octets(uint64_t v, int64_t most)
{
	return v > (uint64_t)most ? most : (int64_t)v;
}

/* What a row may say. */
static void
progress_clamp(struct progress_view *v, const uint64_t words[PROGRESS_WORDS], uint64_t size)
{
	struct progress_figures *f = &v->figures;
	uint64_t state = words[WORD_STATE] & 255, status = words[WORD_STATE] >> 8;

	v->size = size == 0 ? -1 : progress_octets(size - 1, PROGRESS_OCTETS_MAX);
	f->received =
	    progress_octets(words[WORD_RECEIVED], v->size >= 0 ? v->size : PROGRESS_OCTETS_MAX);
	f->forwarded = progress_octets(words[WORD_FORWARDED], f->received);
	f->rate = progress_octets(words[WORD_RATE], PROGRESS_OCTETS_MAX);
	f->state = state < PROGRESS_STATES ? (enum progress_state)state : PROGRESS_ERROR;
	f->status = status < 1000 ? (int)status : 0;
}

/* All of one moment: the part was whole before it was read, and nobody has begun to write it after.
   For that a writer has to come several times meanwhile. */
static bool
progress_read(const struct progress_row *p, struct progress_view *v, uint64_t now)
{
	for (unsigned i = 0; i < PROGRESS_TRIES; i++) {
		uint64_t words[PROGRESS_WORDS], mark = atomic_load(&p->mark), n, size, started;

		if (!progress_is_shown(p, mark, now))
			return false;
		n = atomic_load(&p->current);
		for (unsigned k = 0; k < PROGRESS_WORDS; k++)
			words[k] = atomic_load(&p->part[n % PROGRESS_PARTS][k]);
		size = atomic_load(&p->size);
		started = atomic_load(&p->started);
		plain_copy(v->site, p->site, sizeof(v->site));
		if (atomic_load(&p->current) - n > PROGRESS_PARTS - 2 ||
		    atomic_load(&p->mark) != mark)
			continue;
		progress_clamp(v, words, size);
		v->age_ms = started < now ? now - started : 0;
		v->since = progress_ticket(mark);
		v->is_live = progress_phase(mark) == PROGRESS_LIVE;
		v->worker = progress_worker(mark);
		return true;
	}
	return false;
}

bool
progress_at(struct shm *s, unsigned row, struct progress_view *v)
{
	const struct progress_row *p = row > 0 ? progress_row(s, row) : NULL;

	return p && progress_read(p, v, clock_ms());
}

/* Of several, between a claim and what it says of earlier ones, the newest. */
bool
progress_find(struct shm *s, struct str site, struct str id, struct progress_view *v)
{
	struct progress_row *p;
	struct progress_name n;
	struct progress_way way;
	struct progress_view one;
	uint64_t now = clock_ms();
	bool is_found = false;
	unsigned row;

	if (!progress_name(s, &n, site, id, false))
		return false;
	way = progress_way(s, &n);
	while ((p = progress_step(s, &way, is_found, &row)) != NULL) {
		if (atomic_load(&p->key) != n.key || !progress_read(p, &one, now))
			continue;
		/* It was this ID's when it was read if it still is: rows change by their mark. */
		if (!progress_is(p, &n) || progress_ticket(atomic_load(&p->mark)) != one.since)
			continue;
		if (is_found && one.since < v->since)
			continue;
		*v = one;
		is_found = true;
	}
	return is_found;
}

/* ---- who has had uploads ---- */

static _Atomic uint64_t *
progress_had_word(struct shm *s, unsigned worker)
{
	struct progress_row *head = progress_row(s, 0);

	_Static_assert(SHM_WORKERS == 64 * PROGRESS_WORDS, "a bit for each worker");
	return head && worker < SHM_WORKERS ? &head->part[0][worker / 64] : NULL;
}

bool
progress_had(struct shm *s, unsigned worker)
{
	_Atomic uint64_t *word = progress_had_word(s, worker);

	return word && (atomic_load(word) >> (worker % 64) & 1);
}

void
progress_forget(struct shm *s, unsigned worker)
{
	_Atomic uint64_t *word = progress_had_word(s, worker);

	if (word)
		atomic_fetch_and(word, ~((uint64_t)1 << (worker % 64)));
	shm_point("progress: forgotten");
}

/* Before its first claim. */
static void
progress_remember(struct shm *s, unsigned worker)
{
	if (!progress_had(s, worker))
		atomic_fetch_or(progress_had_word(s, worker), (uint64_t)1 << (worker % 64));
	shm_point("progress: remembered");
}

/* ---- claiming ---- */

/* A row to take: free, or with nothing that is shown; else, of what may be evicted, the oldest. */
static struct progress_row *
progress_choose(
    struct shm *s, const struct progress_name *n, bool may_evict, unsigned *row, uint64_t *seen)
{
	struct progress_way way = progress_way(s, n);
	struct progress_row *p, *oldest = NULL;
	uint64_t now = clock_ms(), since = UINT64_MAX;
	unsigned at;

	while ((p = progress_step(s, &way, true, &at)) != NULL) {
		uint64_t mark = atomic_load(&p->mark), ended = atomic_load(&p->ended);
		bool is_finished = progress_phase(mark) == PROGRESS_FINISHED;

		if (mark != 0 && (!is_finished || (!may_evict && !progress_is_over(p, now))))
			continue;
		if (mark == 0 || progress_is_over(p, now))
			ended = 0;
		if (ended >= since)
			continue;
		since = ended;
		oldest = p;
		*row = at;
		*seen = mark;
		if (ended == 0)
			break;
	}
	return oldest;
}

static void
progress_fill(struct progress_row *p, const struct progress_name *n, const struct progress_new *new)
{
	size_t site = n->site.n < PROGRESS_SITE - 1 ? n->site.n : PROGRESS_SITE - 1;

	atomic_store(&p->key, n->key);
	shm_point("progress: key");
	memset(p->id, 0, sizeof(p->id));
	memcpy(p->id, n->id.p, n->id.n);
	shm_point("progress: id");
	memset(p->site, 0, sizeof(p->site));
	memcpy(p->site, n->site.p, site);
	shm_point("progress: site");
	atomic_store(&p->size, (uint64_t)(new->size + 1));
	atomic_store(&p->started, clock_ms());
	atomic_store(&p->keep, (uint64_t) new->keep_ms);
	shm_point("progress: keep");
	progress_write(p, &(struct progress_figures){ .state = PROGRESS_STARTING });
}

/* What was known of the ID before is not shown any more; or, if somebody was later, the caller's
   own. Both see each other, because each looks after it can be seen. */
static void
progress_supersede(struct shm *s, const struct progress_name *n, const struct progress_claim *mine)
{
	struct progress_way way = progress_way(s, n);
	struct progress_row *p;
	unsigned row;

	while ((p = progress_step(s, &way, false, &row)) != NULL) {
		uint64_t mark = atomic_load(&p->mark);

		if (row == mine->row || !progress_is(p, n) || atomic_load(&p->mark) != mark)
			continue;
		if (progress_phase(mark) == PROGRESS_FINISHED)
			progress_turn(p, mark, 0);
		else if (progress_phase(mark) != PROGRESS_LIVE)
			continue;
		else if (progress_ticket(mark) < progress_ticket(mine->mark))
			progress_turn(p, mark, progress_in(mark, PROGRESS_SUPERSEDED));
		else
			progress_turn(progress_row(s, mine->row), mine->mark,
			    progress_in(mine->mark, PROGRESS_SUPERSEDED));
	}
}

static bool
progress_take(struct shm *s, const struct progress_name *n, const struct progress_new *new,
    struct progress_claim *claim)
{
	struct progress_row *head = progress_row(s, 0), *p;
	uint64_t ticket, seen = 0;

	for (unsigned i = 0; i < PROGRESS_TRIES; i++) {
		p = progress_choose(s, n, new->may_evict, &claim->row, &seen);
		if (!p)
			return false;
		ticket = (atomic_fetch_add(&head->started, 1) + 1) % PROGRESS_TICKETS;
		claim->mark = ticket << 16 | (uint64_t)(new->worker & 255) << 8 | PROGRESS_FILLING;
		if (!progress_turn(p, seen, claim->mark))
			continue;
		progress_fill(p, n, new);
		seen = claim->mark;
		claim->mark = progress_in(seen, PROGRESS_LIVE);
		return progress_turn(p, seen, claim->mark);
	}
	return false;
}

bool
progress_begin(struct shm *s, const struct progress_new *new, struct progress_claim *claim)
{
	struct progress_name n;

	if (new->worker >= SHM_WORKERS || !progress_name(s, &n, new->site, new->id, true))
		return false;
	progress_remember(s, new->worker);
	if (!progress_take(s, &n, new, claim))
		return false;
	progress_supersede(s, &n, claim);
	return true;
}

/* The row, if it is still the claim's. */
static struct progress_row *
progress_own(struct shm *s, const struct progress_claim *c, uint64_t *mark)
{
	struct progress_row *p = progress_row(s, c->row);

	if (!p)
		return NULL;
	*mark = atomic_load(&p->mark);
	if (*mark != c->mark && *mark != progress_in(c->mark, PROGRESS_SUPERSEDED))
		return NULL;
	return p;
}

void
progress_put(struct shm *s, const struct progress_claim *c, const struct progress_figures *f)
{
	uint64_t mark;
	struct progress_row *p = progress_own(s, c, &mark);

	if (p)
		progress_write(p, f);
}

/* From a live mark to what comes after it. */
static void
progress_over(struct progress_row *p, uint64_t mark)
{
	uint64_t now = clock_ms(), keep = atomic_load(&p->keep);

	if (keep > (uint64_t)PROGRESS_KEEP_MAX)
		keep = 0;
	atomic_store(&p->ended, now);
	shm_point("progress: ended");
	atomic_store(&p->until, now + keep);
	shm_point("progress: until");
	if (progress_phase(mark) == PROGRESS_LIVE &&
	    progress_turn(p, mark, progress_in(mark, PROGRESS_FINISHED)))
		return;
	progress_turn(p, progress_in(mark, PROGRESS_SUPERSEDED), 0);
}

void
progress_end(struct shm *s, const struct progress_claim *c, const struct progress_figures *f)
{
	uint64_t mark;
	struct progress_row *p = progress_own(s, c, &mark);

	if (!p)
		return;
	progress_write(p, f);
	progress_over(p, mark);
}

/* ---- the master ---- */

void
progress_bury(struct shm *s, unsigned row, unsigned worker)
{
	struct progress_row *p = progress_row(s, row);
	uint64_t mark = p ? atomic_load(&p->mark) : 0;
	uint64_t state;

	if (mark == 0 || progress_worker(mark) != worker)
		return;
	switch (progress_phase(mark)) {
	case PROGRESS_LIVE: {
		_Atomic uint64_t *words = p->part[atomic_load(&p->current) % PROGRESS_PARTS];
		struct progress_figures f = {
			.received = (int64_t)atomic_load(&words[WORD_RECEIVED]),
			.forwarded = (int64_t)atomic_load(&words[WORD_FORWARDED]),
			.state = PROGRESS_ERROR,
		};

		state = atomic_load(&words[WORD_STATE]);
		if ((state & 255) < PROGRESS_DONE)
			progress_write(p, &f);
		progress_over(p, mark);
		break;
	}
	case PROGRESS_FILLING:
	case PROGRESS_SUPERSEDED:
		progress_turn(p, mark, 0);
		break;
	default:
		break;
	}
}

bool
progress_tidy(struct shm *s, unsigned row, uint64_t now)
{
	struct progress_row *p = progress_row(s, row);
	uint64_t mark = p ? atomic_load(&p->mark) : 0;
	enum progress_phase phase = progress_phase(mark);

	if (mark == 0)
		return false;
	if (phase == PROGRESS_FREE || phase >= PROGRESS_PHASES ||
	    (phase == PROGRESS_FINISHED && progress_is_over(p, now)))
		return !progress_turn(p, mark, 0);
	return true;
}

void
progress_copy(struct shm *to, const struct progress_row *old)
{
	uint64_t now = clock_ms(), until = atomic_load(&old->until);
	struct progress_view v;
	struct progress_claim c;
	struct progress_new new = { .may_evict = true };
	char site[PROGRESS_SITE];

	if (progress_phase(atomic_load(&old->mark)) != PROGRESS_FINISHED ||
	    !progress_read(old, &v, now) || until <= now)
		return;
	plain_copy(site, old->site, sizeof(site));
	new.site = str_of(site);
	new.id = str_n(old->id, strnlen(old->id, PROGRESS_ID));
	new.size = v.size;
	new.keep_ms = (int64_t)(until - now);
	if (progress_begin(to, &new, &c))
		progress_end(to, &c, &v.figures);
}
