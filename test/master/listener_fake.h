/*
 * Addresses without sockets: that each opening is made final or taken back, once.
 */
#ifndef TEST_MASTER_LISTENER_FAKE_H
#define TEST_MASTER_LISTENER_FAKE_H

#include "master/listener.h"

struct listener_fake {
	bool is_open; /* neither committed nor taken back */
	unsigned opens, commits, rollbacks;
	unsigned steered; /* to so many slots */
	int fails;        /* the status of openings from now on */
};

extern struct listener_fake listener_fake;

#endif
