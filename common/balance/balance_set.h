/*
 * The hosts of a pool that can get requests now, as one worker sees them: made from the segment
 * when something there has changed, a tenth of a second old at most. balance.c's.
 */
#ifndef BALANCE_BALANCE_SET_H
#define BALANCE_BALANCE_SET_H

#include "common/balance/backend_cell.h"
#include "common/balance/balance.h"

enum { BALANCE_SCHEDULE = 2048 };

struct balance_slot {
	unsigned host; /* index in balance.hosts */
	unsigned row;
	unsigned weight; /* in tenths: the operator's or the configured one, as far as it is warm */
	unsigned limit;  /* 0: none */
};

/* Sorted so that all workers have the same order: by row, for BALANCE_STATIC as configured. */
struct balance_set {
	unsigned n;
	uint64_t weight; /* of all */
	bool is_even;    /* all weights are the same */
	bool is_limited; /* one of them has a limit */
	struct balance_slot slots[BALANCE_HOSTS];
	unsigned scheduled; /* length of schedule; 0: the slots in turn */
	uint16_t schedule[BALANCE_SCHEDULE];
};

struct balance_cache {
	uint64_t version, until; /* of the pool's row; clock_ms() from which it is made anew */
	uint64_t trial;          /* when the next trial by a request may be made; UINT64_MAX */
	uint64_t when;           /* when any host that is out may be tried; UINT64_MAX: none is */
	struct balance_set usable[2]; /* backups are [1] */
	struct balance_set picked;    /* one of them without the hosts that a request has tried */
	struct balance_set spare;     /* a set without the hosts that are full */
};

void balance_refresh(struct balance *, uint64_t now);
void balance_set_clear(struct balance_set *);
void balance_set_add(struct balance_set *, struct balance_slot);

/* The methods: position in set, or -1 when all are at their limit. turn: of the pool, see
   backend_turn(). */
struct balance_choice {
	struct balance *b;
	const struct balance_set *set;
	const struct balance_ask *ask;
	bool is_whole;  /* set is all that is usable: its schedule holds */
	uint64_t turn;  /* 0 and inexact where nothing needs to be */
	bool has_drawn; /* round robin: the request has drawn its place in the rotation */
	uint64_t drawn;
};
int balance_choose(struct balance_choice *);
/* Whether the method needs to know what others do at the same moment. */
bool balance_is_exact(const struct balance *, const struct balance_set *);

#endif
