/*
 * Access log destinations of this worker. Lines go into the open batch; a batch that is full, or
 * whose first line is old enough, joins the queue; one job at a time takes the whole queue and
 * writes it in a thread (write.c). Invariants: batches are written in order; while a job is
 * under way its list is the thread's alone (state RUNNING), everything else is the loop's; a batch
 * leaves memory only when all of it is written. A steady state allocates nothing: one written batch
 * is kept.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/shm.h"
#include "modules/log/sink.h"
#include "modules/log/write.h"
#include "worker/worker.h"

#define LOGSINK_SYSLOG "/dev/log"

enum {
	LOGSINK_PATIENCE = 100,   /* ms that a thread waits for a slow reader */
	LOGSINK_RETRY = 200,      /* ms until the next attempt then, or after an error */
	LOGSINK_COMPLAIN = 10000, /* ms between two complaints about one destination */
};

enum logsink_state { LOGSINK_IDLE, LOGSINK_QUEUED, LOGSINK_RUNNING, LOGSINK_WRITTEN };

struct logsink {
	struct worker *w;
	struct str name;
	int fd;
	bool is_terminal; /* lines are wanted at once */
	bool is_datagram;
	bool has_colour;
	bool is_closed; /* logsink_close() was called: nothing is taken or written any more */
	bool has_job;   /* worker_offload() still has our job, even one that has nothing to do */
	struct sockaddr_un to;
	size_t size; /* of a batch */
	int64_t flush_ms;

	struct logbuf *open, *spare;
	struct link queue;
	size_t waiting; /* bytes of all batches but the spare one */
	struct timer flush, retry, complain;
	struct post now;
	unsigned long lost; /* since the last complaint */

	struct job job;
	_Atomic int state;   /* enum logsink_state */
	struct link writing; /* the job's */
	int err;             /* the job's result */
	bool has_progress;   /* it wrote something */
};

static void logsink_flush(void *arg);
static void logsink_submit(struct logsink *);

/* --- batches --- */

static struct logbuf *
logsink_buf(struct logsink *s, size_t room)
{
	struct logbuf *b = s->spare;

	if (b && b->room >= room) {
		s->spare = NULL;
	} else {
		room = room < s->size ? s->size : room;
		b = must_malloc(sizeof(*b) + room);
		b->room = room;
	}
	b->link = (struct link){ NULL, NULL };
	b->at = b->used = 0;
	b->lines = b->refused = 0;
	return b;
}

static void
logsink_buf_done(struct logsink *s, struct logbuf *b)
{
	struct shm_worker *row = worker_row(s->w);

	ctr_add(row, CTR_LOG_LINES, b->lines - b->refused);
	s->waiting -= b->used;
	for (; b->refused; b->refused--)
		logsink_lose(s);
	if (!s->spare && b->room == s->size)
		s->spare = b;
	else
		free(b);
}

/* The open batch takes no more lines. */
static void
logsink_roll(struct logsink *s)
{
	if (!s->open || s->open->used == 0)
		return;
	list_add_tail(&s->queue, &s->open->link);
	s->open = NULL;
	timer_del(&s->flush);
}

/* A new batch when the open one is too small for what is wanted; false when too much waits. */
static bool
logsink_make_room(struct logsink *s, size_t want)
{
	if (s->open && s->open->used) {
		logsink_roll(s);
		logsink_submit(s);
	}
	if (s->waiting + want > LOGSINK_MAX || s->is_closed)
		return false;
	free(s->open);
	s->open = logsink_buf(s, want);
	return true;
}

char *
logsink_room(struct logsink *s, size_t want, size_t *room)
{
	if (unlikely(!s->open || s->open->room - s->open->used < want) &&
	    !logsink_make_room(s, want))
		return NULL;
	*room = s->open->room - s->open->used;
	return s->open->data + s->open->used;
}

void
logsink_put(struct logsink *s, size_t n)
{
	struct logbuf *b = s->open;

	b->lines++;
	b->used += n;
	s->waiting += n;
	if (b->lines > 1)
		return;
	if (s->is_terminal || s->flush_ms == 0)
		worker_post(s->w, &s->now);
	else
		timer_set(s->w, &s->flush, timer_class(s->w, s->flush_ms));
}

/* --- complaints --- */

static void
logsink_complain(void *arg)
{
	struct logsink *s = arg;

	if (s->lost == 0)
		return;
	log_put(LOG_WARN_, "accesslog", false,
	    "%.*s: %lu lines lost, the reader is too slow or gone", STR_FMT(s->name), s->lost);
	s->lost = 0;
	timer_set(s->w, &s->complain, timer_class(s->w, LOGSINK_COMPLAIN));
}

void
logsink_lose(struct logsink *s)
{
	ctr_add(worker_row(s->w), CTR_LOG_LOST, 1);
	s->lost++;
	if (!link_is_on(&s->complain.link) && !s->is_closed)
		logsink_complain(s);
}

static void
logsink_failed(struct logsink *s, int err)
{
	if (link_is_on(&s->complain.link) || s->is_closed)
		return;
	errno = err;
	log_put(
	    LOG_WARN_, "accesslog", true, "%.*s: lines are kept and tried again", STR_FMT(s->name));
	timer_set(s->w, &s->complain, timer_class(s->w, LOGSINK_COMPLAIN));
}

/* --- writing --- */

static int
logsink_write(struct logsink *s, struct link *list, uint64_t deadline)
{
	int err = 0;

	LIST_EACH(l, list)
	{
		struct logbuf *b = container_of(l, struct logbuf, link);
		size_t before = b->at;

		err = logwrite_buf(s->fd, s->is_datagram ? &s->to : NULL, b, deadline);
		s->has_progress |= b->at > before;
		if (err)
			break;
	}
	return err;
}

/* In a thread. */
static void
logsink_job_work(struct job *job)
{
	struct logsink *s = container_of(job, struct logsink, job);
	int queued = LOGSINK_QUEUED;

	if (!atomic_compare_exchange_strong(&s->state, &queued, LOGSINK_RUNNING))
		return; /* logsink_close() took the batches back */
	s->has_progress = false;
	s->err = logsink_write(s, &s->writing, clock_ms() + LOGSINK_PATIENCE);
	atomic_store(&s->state, LOGSINK_WRITTEN);
}

/* The batches come back from the thread: those with a rest go to the front of the queue again. */
static void
logsink_collect(struct logsink *s)
{
	struct link *l;

	while ((l = list_first(&s->writing)) != NULL) {
		struct logbuf *b = container_of(l, struct logbuf, link);

		if (b->at < b->used)
			break;
		list_del(l);
		logsink_buf_done(s, b);
	}
	while (!list_is_empty(&s->writing)) {
		l = s->writing.prev;
		list_del(l);
		list_add_head(&s->queue, l);
	}
	atomic_store(&s->state, LOGSINK_IDLE);
}

/* Batches that are still here were counted lost, or the process ends with a thread that hangs. */
static void
logsink_free(struct logsink *s)
{
	struct link *l;

	while ((l = list_pop(&s->queue)) != NULL || (l = list_pop(&s->writing)) != NULL)
		free(container_of(l, struct logbuf, link));
	free(s->open);
	free(s->spare);
	free(s);
}

static void
logsink_job_done(struct job *job)
{
	struct logsink *s = container_of(job, struct logsink, job);

	s->has_job = false;
	if (s->is_closed) {
		logsink_free(s);
		return;
	}
	logsink_collect(s);
	if (s->err && s->err != EAGAIN)
		logsink_failed(s, s->err);
	if (s->err && !(s->err == EAGAIN && s->has_progress))
		timer_set(s->w, &s->retry, timer_class(s->w, LOGSINK_RETRY));
	else
		logsink_submit(s);
}

static void
logsink_submit(struct logsink *s)
{
	struct link *l;

	if (atomic_load(&s->state) != LOGSINK_IDLE || list_is_empty(&s->queue) ||
	    link_is_on(&s->retry.link) || s->is_closed)
		return;
	while ((l = list_pop(&s->queue)) != NULL)
		list_add_tail(&s->writing, l);
	atomic_store(&s->state, LOGSINK_QUEUED);
	s->has_job = true;
	worker_offload(s->w, &s->job);
}

static void
logsink_flush(void *arg)
{
	struct logsink *s = arg;

	logsink_roll(s);
	logsink_submit(s);
}

static void
logsink_retry(void *arg)
{
	logsink_submit(arg);
}

/* --- life --- */

/* "syslog", "syslog:", "syslog:/path" */
static void
logsink_set_syslog(struct logsink *s)
{
	struct str rest = s->name, path;

	str_split(&rest, ':');
	path = rest.p && rest.n ? rest : STR(LOGSINK_SYSLOG);
	must(path.n < sizeof(s->to.sun_path));
	s->is_datagram = true;
	s->to.sun_family = AF_UNIX;
	memcpy(s->to.sun_path, path.p, path.n);
}

static bool
logsink_wants_colour(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return !(no && *no) && term && strcmp(term, "dumb") != 0;
}

struct logsink *
logsink_new(struct worker *w, struct str name, int fd, size_t buffer, int64_t flush, unsigned lane)
{
	struct logsink *s = must_calloc(1, sizeof(*s));

	s->w = w;
	s->name = name;
	s->fd = fd;
	s->size = buffer;
	s->flush_ms = flush;
	s->is_terminal = isatty(fd);
	s->has_colour = s->is_terminal && logsink_wants_colour();
	if (str_has_prefix(name, STR("syslog")))
		logsink_set_syslog(s);
	list_init(&s->queue);
	list_init(&s->writing);
	s->flush.fn = s->now.fn = logsink_flush;
	s->retry.fn = logsink_retry;
	s->complain.fn = logsink_complain;
	s->flush.arg = s->now.arg = s->retry.arg = s->complain.arg = s;
	s->job = (struct job){ .work = logsink_job_work, .done = logsink_job_done, .lane = lane };
	return s;
}

bool
logsink_has_colour(const struct logsink *s)
{
	return s->has_colour;
}

/* Takes the batches back from the thread, or waits until it is done with them. */
static bool
logsink_regain(struct logsink *s, uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int queued = LOGSINK_QUEUED;

	atomic_compare_exchange_strong(&s->state, &queued, LOGSINK_IDLE);
	while (atomic_load(&s->state) == LOGSINK_RUNNING) {
		if (clock_ms() >= deadline)
			return false;
		nanosleep(&pause, NULL);
	}
	logsink_collect(s);
	return true;
}

static void
logsink_abandon(struct logsink *s)
{
	while (!list_is_empty(&s->queue)) {
		struct logbuf *b = container_of(list_pop(&s->queue), struct logbuf, link);

		s->lost += b->lines;
		ctr_add(worker_row(s->w), CTR_LOG_LOST, b->lines);
		free(b);
	}
	if (s->lost)
		log_put(LOG_WARN_, "accesslog", false,
		    "%.*s: %lu lines lost at the end of this worker", STR_FMT(s->name), s->lost);
}

void
logsink_close(struct logsink *s, uint64_t deadline)
{
	struct link *l;

	logsink_roll(s);
	free(s->open);
	s->open = NULL;
	timer_del(&s->flush);
	timer_del(&s->retry);
	timer_del(&s->complain);
	post_cancel(&s->now);
	s->is_closed = true;
	if (!logsink_regain(s, deadline))
		return; /* the thread still has them; the process ends with it */
	while ((l = list_pop(&s->queue)) != NULL)
		list_add_tail(&s->writing, l);
	logsink_write(s, &s->writing, deadline);
	logsink_collect(s);
	logsink_abandon(s);
	if (!s->has_job)
		logsink_free(s);
}
