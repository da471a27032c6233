/*
 * A mark is a row's whole state, in one word:
 *     sequence 36 | kind 6 | pid 22
 * 0: the row is empty. pid 0: it is whole; else this process is writing it, and nobody else takes
 * it before that has made it whole, or the master has given it up (history_clear). So two writers
 * never mix, a reader sees the same whole mark before and after or nothing, and a writer is done
 * after a bounded number of steps: where every row is taken from under it its event is lost, which
 * the log has all the same.
 *
 * What a ring's rows say is not believed: history_get() is the only one that looks inside.
 */
#include <stdlib.h>
#include <time.h>

#include "common/base/plain.h"
#include "common/base/utf8.h"
#include "common/segment/history.h"
#include "common/segment/shm_table.h"

enum { HISTORY_PID_BITS = 22, HISTORY_KIND_BITS = 6, HISTORY_TRIES = 64 };

static const uint64_t HISTORY_LAST = (uint64_t)1 << 35; /* more events than there ever are */

_Static_assert(sizeof(struct history_event) % sizeof(uint64_t) == 0, "a row is words");
_Static_assert(sizeof(struct history_row) == 384, "no room is lost between rows");
_Static_assert(HISTORY_KINDS <= 1 << HISTORY_KIND_BITS, "a mark has room for every kind");

const struct history_info history_info[HISTORY_KINDS] = {
#define HISTORY(id, by, tone, word, help)                                                          \
	[HISTORY_##id] = { HISTORY_BY_##by, HISTORY_##tone, word, help },
#include "common/segment/history.def"
#undef HISTORY
};

struct history_mark {
	uint64_t sequence;
	unsigned kind;
	pid_t pid;
};

static struct history_mark
history_mark_of(uint64_t v)
{
	return (struct history_mark){
		.sequence = v >> (HISTORY_KIND_BITS + HISTORY_PID_BITS),
		.kind = v >> HISTORY_PID_BITS & ((1u << HISTORY_KIND_BITS) - 1),
		.pid = (pid_t)(v & ((1u << HISTORY_PID_BITS) - 1)),
	};
}

static uint64_t
history_mark_pack(struct history_mark m)
{
	return m.sequence << (HISTORY_KIND_BITS + HISTORY_PID_BITS) |
	       (uint64_t)m.kind << HISTORY_PID_BITS |
	       ((uint64_t)m.pid & ((1u << HISTORY_PID_BITS) - 1));
}

static bool
history_mark_is_sane(struct history_mark m)
{
	return m.sequence > 0 && m.sequence <= HISTORY_LAST && m.kind < HISTORY_KINDS;
}

int64_t
history_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t
history_key(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h ? h : 1;
}

/* ---- one row ---- */

static void
history_put(struct history_row *row, const struct history_event *e)
{
	uint64_t words[HISTORY_WORDS];

	memcpy(words, e, sizeof(words));
	for (unsigned i = 0; i < HISTORY_WORDS; i++) {
		atomic_store_explicit(&row->words[i], words[i], memory_order_relaxed);
		if (i % 8 == 0)
			shm_point("history: words");
	}
}

static int64_t
history_time(int64_t time, int64_t now)
{
	return time < 0 ? 0 : time > now ? now : time;
}

bool
history_get(const struct history_row *row, int64_t now, struct history_entry *out)
{
	uint64_t words[HISTORY_WORDS], mark = atomic_load(&row->mark);
	struct history_mark m = history_mark_of(mark);
	struct history_event *e = &out->event;
	char text[HISTORY_TEXT];

	if (m.pid != 0 || !history_mark_is_sane(m))
		return false;
	for (unsigned i = 0; i < HISTORY_WORDS; i++) {
		words[i] = atomic_load_explicit(&row->words[i], memory_order_relaxed);
		if (i == HISTORY_WORDS / 2)
			shm_point("history: half read");
	}
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load(&row->mark) != mark)
		return false;
	memcpy(e, words, sizeof(words));
	memcpy(text, e->text, sizeof(text));
	plain_copy(e->text, text, sizeof(text));
	e->kind = m.kind;
	e->time = history_time(e->time, now);
	e->first = history_time(e->first, e->time);
	e->times = e->times ? e->times : 1;
	e->pid = e->pid > 0 ? e->pid : 0;
	e->worker = e->worker <= SHM_WORKERS ? e->worker : 0;
	out->sequence = m.sequence;
	return true;
}

/* ---- adding ---- */

/* A row to write into, and what its mark will be. */
struct history_place {
	struct history_row *row;
	uint64_t seen, mine;
};

/* What all marks say, as one looks for a place for another event of a kind. */
struct history_view {
	uint64_t last;                             /* sequence */
	struct history_row *empty, *oldest, *like; /* like: the oldest of the kind */
	uint64_t oldest_mark, like_mark, empty_mark;
	unsigned alike; /* rows of the kind */
};

static void
history_look_at(struct history_view *v, struct history_row *row, unsigned kind)
{
	uint64_t mark = atomic_load(&row->mark);
	struct history_mark m = history_mark_of(mark);

	if (!history_mark_is_sane(m)) {
		v->empty = row;
		v->empty_mark = mark;
		return;
	}
	v->last = m.sequence > v->last ? m.sequence : v->last;
	v->alike += m.kind == kind;
	if (m.pid != 0)
		return;
	if (!v->oldest || mark < v->oldest_mark) {
		v->oldest = row;
		v->oldest_mark = mark;
	}
	if (m.kind == kind && (!v->like || mark < v->like_mark)) {
		v->like = row;
		v->like_mark = mark;
	}
}

/* again: the row that the new one stands for as well, which goes when that is whole; NULL. */
static bool
history_find_place(struct history_row *rows, unsigned kind, const struct history_row *again,
    pid_t pid, struct history_place *p)
{
	struct history_view v = { 0 };

	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		if (&rows[i] != again)
			history_look_at(&v, &rows[i], kind);
		else if (history_mark_of(atomic_load(&again->mark)).sequence > v.last)
			v.last = history_mark_of(atomic_load(&again->mark)).sequence;
	}
	if (v.alike >= HISTORY_QUOTA && v.like)
		*p = (struct history_place){ .row = v.like, .seen = v.like_mark };
	else if (v.empty)
		*p = (struct history_place){ .row = v.empty, .seen = v.empty_mark };
	else
		*p = (struct history_place){ .row = v.oldest, .seen = v.oldest_mark };
	p->mine = history_mark_pack((struct history_mark){ v.last + 1, kind, pid });
	return p->row != NULL;
}

/* Whether a row is the same event, not long ago; *out: what it says. */
static bool
history_is_again(
    const struct history_row *row, const struct history_event *e, struct history_entry *out)
{
	struct history_mark m = history_mark_of(atomic_load(&row->mark));

	return e->key != 0 && m.kind == e->kind && history_get(row, e->time, out) &&
	       out->event.key == e->key && e->time - out->event.time <= HISTORY_AGAIN_MS;
}

/* The latest row that is, with its count taken over; NULL: it is the first time. */
static struct history_row *
history_count(struct history_row *rows, struct history_event *e)
{
	struct history_row *again = NULL;
	struct history_entry one;
	uint64_t last = 0;

	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		if (!history_is_again(&rows[i], e, &one) || one.sequence <= last)
			continue;
		last = one.sequence;
		again = &rows[i];
		e->times = one.event.times < UINT32_MAX ? one.event.times + 1 : UINT32_MAX;
		e->first = one.event.first;
	}
	return again;
}

/* Frees the older rows of the same event, whose count the row with this mark has taken over. A
   process that is killed before that leaves an event that is shown twice. */
static void
history_forget(struct history_row *rows, const struct history_event *e, uint64_t mark)
{
	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		uint64_t seen = atomic_load(&rows[i].mark);
		struct history_entry one;

		if (seen < mark && history_is_again(&rows[i], e, &one)) {
			atomic_compare_exchange_strong(&rows[i].mark, &seen, 0);
			shm_point("history: forgotten");
		}
	}
}

void
history_add(struct history_row rows[HISTORY_ROWS], struct history_event *e, pid_t pid)
{
	struct history_row *again;
	struct history_place p;
	uint64_t whole;
	int tries = 0;

	e->times = 1;
	e->first = e->time;
	e->text[utf8_cut(e->text, strnlen(e->text, sizeof(e->text) - 1))] = '\0';
	again = history_count(rows, e);
	do {
		if (tries++ == HISTORY_TRIES || !history_find_place(rows, e->kind, again, pid, &p))
			return;
		shm_point("history: chosen");
	} while (!atomic_compare_exchange_strong(&p.row->mark, &p.seen, p.mine));
	shm_point("history: claimed");
	atomic_thread_fence(memory_order_release);
	history_put(p.row, e);
	whole = p.mine & ~(((uint64_t)1 << HISTORY_PID_BITS) - 1);
	if (!atomic_compare_exchange_strong(&p.row->mark, &p.mine, whole))
		return;
	shm_point("history: whole");
	if (again)
		history_forget(rows, e, whole);
}

/* ---- reading ---- */

static int
history_order(const void *va, const void *vb)
{
	const struct history_entry *a = va, *b = vb;

	return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

unsigned
history_read(const struct history_row rows[HISTORY_ROWS], enum history_by by, int64_t now,
    struct history_entry out[HISTORY_ROWS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		if (!history_get(&rows[i], now, &out[n]) ||
		    history_info[out[n].event.kind].by != by)
			continue;
		out[n++].by = by;
	}
	qsort(out, n, sizeof(*out), history_order);
	return n;
}

/* ---- keeping ---- */

pid_t
history_writer(const struct history_row *row)
{
	return history_mark_of(atomic_load(&row->mark)).pid;
}

void
history_clear(struct history_row rows[HISTORY_ROWS], pid_t pid)
{
	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		uint64_t mark = atomic_load(&rows[i].mark);
		pid_t writer = history_mark_of(mark).pid;

		if (writer == 0 || (pid != 0 && writer != pid))
			continue;
		shm_point("history: clear");
		atomic_compare_exchange_strong(&rows[i].mark, &mark, 0);
	}
}

void
history_repair(struct history_row rows[HISTORY_ROWS])
{
	for (unsigned i = 0; i < HISTORY_ROWS; i++) {
		uint64_t mark = atomic_load(&rows[i].mark);

		/* At the end nothing could follow: whoever wrote that has written nonsense. */
		if (mark == 0 || (history_mark_is_sane(history_mark_of(mark)) &&
				     history_mark_of(mark).sequence <= HISTORY_LAST / 2))
			continue;
		shm_point("history: repair");
		atomic_compare_exchange_strong(&rows[i].mark, &mark, 0);
	}
}

void
history_carry(struct history_row to[HISTORY_ROWS], const struct history_row *from, unsigned n)
{
	struct history_entry one;
	int64_t now = history_now();

	for (unsigned i = 0; i < n && i < HISTORY_ROWS; i++) {
		struct history_mark m;

		if (!history_get(&from[i], now, &one))
			continue;
		history_put(&to[i], &one.event);
		m = (struct history_mark){ .sequence = one.sequence, .kind = one.event.kind };
		atomic_store(&to[i].mark, history_mark_pack(m));
	}
}
