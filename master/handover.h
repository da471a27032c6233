/*
 * The hand-over record: what one binary leaves to the next that is executed over it, in a memory
 * file named by $ARGAND_HANDOVER. Also the way back.
 */
#ifndef MASTER_HANDOVER_H
#define MASTER_HANDOVER_H

#include <stdbool.h>
#include "common/base/text.h"

enum { HANDOVER_VERSION = 1 };

void handover_init(void);
/* Old binary: writes the record and executes exe. Returns only when that failed, with the reason in
   report; nothing has changed then. */
void handover_give(const char *exe, struct text *report);

/* New binary, at start: whether there is a record. Takes everything over. A record that it cannot
   read makes it execute the old binary again; it does not come back from that. */
bool handover_take(void);
/* From handover_take() until the new generation serves or the way back is taken. */
bool handover_is_taken(void);
/* The new generation serves: there is no way back any more. Answers the callers of `upgrade`. */
void handover_done(const struct text *report);
/* The new binary failed: executes the old one again. Returns false when there is none, or when that
   failed: those who asked for the upgrade have their answer then. */
bool handover_return(const struct text *report);

#endif
