/*
 * The master's loop: descriptors to watch and alarms. It is not fast, it need not be: a few hundred
 * descriptors, a few turns a second. Callbacks may add and delete anything, and may fork.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <poll.h>
#include "common/base/clock.h"
#include "common/base/list.h"

struct watch {
	struct link link;
	int fd;
	short events; /* POLLIN, POLLOUT */
	void (*fn)(void *arg, short revents);
	void *arg;
};

struct alarm {
	struct link link;
	uint64_t due;
	void (*fn)(void *arg);
	void *arg;
};

void loop_init(void);
/* Waits for the next event or alarm and runs what is due. */
void loop_turn(void);

/* Watches fd; w belongs to the caller until watch_del(). A second call changes events. */
void watch_add(struct watch *, int fd, short events, void (*fn)(void *, short), void *arg);
void watch_del(struct watch *);

/* fn(arg) once, in ms from now; setting it anew moves it. */
void alarm_set(struct alarm *, uint64_t ms, void (*fn)(void *), void *arg);
void alarm_del(struct alarm *);

#endif
