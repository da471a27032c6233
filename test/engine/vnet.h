/*
 * A kernel for one worker, as far as the worker sees of it: sockets that exist in memory only,
 * events of libevent on them, and a clock that stands until a test moves it. The linker puts its
 * functions in the place of the real ones (--wrap, see the Makefile), so the engine runs as it is:
 * nothing in it knows. Descriptors and events that are not ours go through to the real functions.
 *
 * What the network does is said by the test, socket by socket. Whatever order is left open (which
 * of two readable sockets is read first) is drawn from the seed.
 */
#ifndef TEST_ENGINE_VNET_H
#define TEST_ENGINE_VNET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/text.h"

struct event;

/* Fails the test, and says what it was about (the name of a conversation, a seed). */
extern char vnet_about[64];
void vnet_wrong(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/* ck_assert_msg() writes a mark for each call: too slow for what is checked a million times. */
#define vnet_check(cond, ...) ((cond) ? (void)0 : vnet_wrong(__VA_ARGS__))

enum vsock_kind { VSOCK_LISTENER, VSOCK_CLIENT, VSOCK_BACKEND };
enum { VNET_OPEN_WINDOW = 1 << 30 };

/* The worker's end of a connection. The test is the other one. */
struct vsock {
	enum vsock_kind kind;
	int fd, domain;
	unsigned host;        /* of a BACKEND: the last octet of the address it connects to */
	bool is_queued;       /* a CLIENT that is not accepted yet */
	bool is_closed;       /* by the worker */
	bool is_connected;    /* a BACKEND that is not is still connecting */
	bool is_ended;        /* we send no more */
	bool is_gone;         /* we take no more either: the next octet written is a reset */
	bool is_shut;         /* the worker sends no more */
	int err;              /* what the next call fails with, once */
	struct text in, out;  /* what the worker is to read; all that it has written */
	size_t in_at, out_at; /* what it has read; what the test has looked at */
	size_t window;        /* octets that it may still write */
	struct event *events[4];
	void *peer; /* the test's own */
};

/* The clock begins anew, there are no sockets; from here on sockets and time are ours. */
void vnet_start(uint64_t seed);
/* Back to the real ones. Returns how many sockets the worker has left open. */
unsigned vnet_stop(void);

uint64_t vnet_now_ms(void);
/* The clock goes on to the next due time of an event, but no further than until. */
void vnet_pass(uint64_t until_ms);
/* A loop is never woken just in time: by so many ms at most it is late (0 after vnet_start()). */
void vnet_be_late(unsigned ms);
/* Grows with everything that the worker does to a socket. */
uint64_t vnet_moves(void);
/* A number below n, from the seed. */
unsigned vnet_random(unsigned n);

/* A line of what happens, on standard error with the time, when ENGINE_TRACE is in the environment.
 */
void vnet_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* --- sockets --- */
struct vsock *vnet_listener(void);
/* A client has connected to the listener: it waits to be accepted. */
struct vsock *vnet_client(void);
/* All that the worker has made, in order; index below vnet_count(). */
struct vsock *vnet_at(unsigned index);
unsigned vnet_count(void);
/* Those of the kind that the worker has open. */
unsigned vnet_open_count(enum vsock_kind);
/* What connect() says at once: 0 (EINPROGRESS), or an error. NULL: 0 for all. */
extern int (*vnet_connecting)(struct vsock *);
/* What accept4() fails with; 0: it does not. */
extern int vnet_accept_error;

/* --- what happens to one --- */
void vsock_up(struct vsock *);            /* the connection stands */
void vsock_fail(struct vsock *, int err); /* it does not, or is reset */
void vsock_say(struct vsock *, const void *p, size_t n);
void vsock_end(struct vsock *); /* we send no more, and read on */
void vsock_go(struct vsock *);  /* closed on our side */

#endif
