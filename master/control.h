/*
 * The control socket: one request line, answer lines, a last line "exit N". Clients are root or the
 * user that the server runs as. Bounded in number, size and time, so that no client can delay the
 * master.
 */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

#include "common/base/text.h"
#include "master/base/loop.h"

/* What a client waits for. */
enum control_wait {
	CONTROL_REQUEST, /* its own request line to be complete */
	CONTROL_RELOAD,  /* the reload under way */
	CONTROL_NEXT,    /* the reload after that */
	CONTROL_UPGRADE,
	CONTROL_STOP,
	CONTROL_SENDING, /* its answer to be sent */
};

void control_init(void);
/* 0, or an exit status with the reason in report. path: see ctlpath.h. */
int control_open(const char *path, struct text *report);
/* The path has changed; clients are kept. A failure is logged, then the old one stays. */
void control_move(const char *path);
/* Takes over a listening socket and its path from the binary before. */
void control_adopt(int fd, const char *path);
/* A client of the binary before, which waits. */
void control_adopt_client(int fd, enum control_wait);
void control_close(void);
int control_fd(void);
const char *control_path(void);
/* Descriptors of those that wait for it: i = 0, 1, … until -1. */
int control_waiting(enum control_wait, unsigned i);

/* Answers all that wait. */
void control_done(enum control_wait, struct str text, int status);
/* A new reload begins: those that waited for the next one wait for this one. */
void control_promote(void);
/* Sends what is unsent, within a moment: the server ends. */
void control_flush(void);

#endif
