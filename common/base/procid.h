/*
 * Who a process is, beyond its number: numbers are used again, a number together with the time of
 * its start is not.
 */
#ifndef BASE_PROCID_H
#define BASE_PROCID_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* As whoever started it noted. */
struct procid {
	int32_t pid;
	uint32_t uid;              /* what it becomes before it does anything */
	uint64_t started;          /* field 22 of /proc/PID/stat: clock ticks since boot */
	uint64_t exe_dev, exe_ino; /* its program; 0: not known */
};

/* 0 when it cannot be read. */
uint64_t procid_starttime(pid_t);
/* A child that was forked just now and executes nothing else: our own program. */
void procid_note(struct procid *, pid_t child, uid_t);
/* The same of a child that was forked by the binary before us: as it is now. */
void procid_look(struct procid *, pid_t child);
/* A pidfd of the process if it is still exactly that one: started then, by that user, of that
   program, and not ourselves. -1: it is gone, or another one has its number, or nobody can say. */
int procid_open(const struct procid *);
/* A pidfd of a child that was not waited for: its number is nobody else's. */
int procid_open_child(pid_t);
/* False when the process is gone. */
bool procid_signal(int pidfd, int signal);

#endif
