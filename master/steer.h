/*
 * Steering of new connections among the sockets of one address.
 */
#ifndef MASTER_STEER_H
#define MASTER_STEER_H

#include <stdbool.h>

/* New connections go to the first n sockets of fd's group, evenly at random. False with errno where
   the kernel does not let us; then its hash spreads them over all. */
bool steer_attach(int fd, unsigned n);

#endif
