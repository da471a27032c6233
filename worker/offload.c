/*
 * Work beside the loop: a few threads that take jobs from one queue and give them back through an
 * eventfd. Started at the first job, so that a worker that needs none has none. Jobs of a lane run
 * in order because a lane is busy while one of its jobs is. The threads touch nothing but the job.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "worker/state.h"

enum { OFFLOAD_THREADS = 2, OFFLOAD_LANES = 64 };

struct offload {
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t threads[OFFLOAD_THREADS];
	unsigned nthreads;
	struct link queue, done;
	bool busy[OFFLOAD_LANES]; /* a job of this lane is running; lane 0 never is */
	bool stop;
	int fd;
};

/* The first job whose lane is free, off the queue, or NULL. */
static struct job *
offload_next(struct offload *o)
{
	LIST_EACH(l, &o->queue)
	{
		struct job *j = container_of(l, struct job, link);

		if (o->busy[j->lane % OFFLOAD_LANES])
			continue;
		list_del(l);
		return j;
	}
	return NULL;
}

static void *
offload_thread(void *arg)
{
	struct offload *o = arg;
	uint64_t one = 1;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		struct job *j = offload_next(o);
		unsigned lane;

		if (!j) {
			if (o->stop && list_is_empty(&o->queue))
				break;
			pthread_cond_wait(&o->more, &o->lock);
			continue;
		}
		lane = j->lane % OFFLOAD_LANES;
		o->busy[lane] = lane != 0;
		pthread_mutex_unlock(&o->lock);
		j->work(j);
		pthread_mutex_lock(&o->lock);
		o->busy[lane] = false;
		list_add_tail(&o->done, &j->link);
		pthread_cond_broadcast(&o->more);
		if (write(o->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
			abort();
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* Runs done() of all finished jobs. */
void
offload_done(struct worker *w)
{
	struct offload *o = w->offload;
	struct link finished;
	struct link *l;

	if (!o)
		return;
	list_init(&finished);
	pthread_mutex_lock(&o->lock);
	while ((l = list_pop(&o->done)) != NULL)
		list_add_tail(&finished, l);
	pthread_mutex_unlock(&o->lock);
	while ((l = list_pop(&finished)) != NULL) {
		struct job *j = container_of(l, struct job, link);

		j->done(j);
	}
}

static void
offload_event(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	uint64_t n;

	(void)what;
	worker_touch(w);
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("offload: read");
	offload_done(w);
}

static struct offload *
offload_new(struct worker *w)
{
	struct offload *o = must_calloc(1, sizeof(*o));

	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->more, NULL);
	list_init(&o->queue);
	list_init(&o->done);
	o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(o->fd >= 0);
	event_assign(&w->offload_ev, w->base, o->fd, EV_READ | EV_PERSIST, offload_event, w);
	event_add(&w->offload_ev, NULL);
	return o;
}

/* Threads are made with all signals blocked: signals are the loop's. */
static void
offload_spawn(struct offload *o)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&o->threads[o->nthreads], NULL, offload_thread, o) == 0)
		o->nthreads++;
	else
		must(o->nthreads > 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void
worker_offload(struct worker *w, struct job *j)
{
	struct offload *o = w->offload;

	if (!o)
		o = w->offload = offload_new(w);
	if (o->nthreads < OFFLOAD_THREADS)
		offload_spawn(o);
	pthread_mutex_lock(&o->lock);
	list_add_tail(&o->queue, &j->link);
	pthread_cond_signal(&o->more);
	pthread_mutex_unlock(&o->lock);
}

/* Finishes all jobs and ends the threads. */
void
offload_fini(struct worker *w)
{
	struct offload *o = w->offload;

	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	o->stop = true;
	pthread_cond_broadcast(&o->more);
	pthread_mutex_unlock(&o->lock);
	for (unsigned i = 0; i < o->nthreads; i++)
		pthread_join(o->threads[i], NULL);
	offload_done(w);
	event_del(&w->offload_ev);
	close(o->fd);
	pthread_cond_destroy(&o->more);
	pthread_mutex_destroy(&o->lock);
	free(o);
	w->offload = NULL;
}
