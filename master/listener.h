/*
 * The listening sockets: one listener for each address, with the same fixed number of sockets
 * (slots) each. Sockets are opened before any worker needs them and closed only when their address
 * has left the configuration; nothing here ever calls shutdown(2).
 *
 * Opening is done in two steps: listener_open() adds what a configuration needs beside what is
 * there; then listener_commit() makes it final, or listener_rollback() takes it back.
 */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include "common/base/text.h"
#include "common/config/conf.h"
#include "common/segment/shm.h"
#include "master/base/loop.h"
#include "master/base/sockfile.h"

/* How long the sockets of a removed address stay open here. Its old workers accept from them for
   half a second longer and then close them for good. */
enum { LISTENER_GRACE_MS = 2500 };

struct listener {
	struct link link;
	char *text; /* the address as in the configuration: the key */
	enum listen_family family;
	char *path;           /* of a Unix socket */
	struct sockfile file; /* that path was when it was bound */
	unsigned slots;       /* sockets open */
	unsigned committed;   /* of these, final */
	unsigned inherited;   /* of these, taken from inherit.c, and given back unless committed */
	bool is_shared;       /* one socket stands at every slot */
	bool is_activated; /* the first socket is the service manager's: not stored, not unlinked */
	int fds[SHM_SLOTS];   /* -1 beyond slots */
	struct alarm leaving; /* set: the address has left the configuration */
};

void listener_init(void);
/* 0, or an exit status (75 in use, 77 not allowed, 1) with a line in report for each failure. */
int listener_open(const struct conf *, struct text *report);
void listener_rollback(void);
/* Also retires the addresses that conf no longer has. */
void listener_commit(const struct conf *);
/* Steers new connections to the first n slots. */
void listener_steer(unsigned n);
struct listener *listener_find(struct str text);
/* The number of slots that every address has. */
unsigned listener_slots(void);
unsigned listener_count(void);
const struct link *listener_list(void);
/* The name of a socket in the service manager's store. */
void listener_name(const struct listener *, unsigned slot, char *name, size_t len);
/* At the end: removes the files of Unix sockets, unless the manager keeps the sockets. */
void listener_unlink(void);

#endif
