/*
 * Executing another binary over this one. The new binary is asked first whether it can (its version
 * of the hand-over record, and whether it accepts the configuration).
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include <stdbool.h>

void upgrade_init(void);
void upgrade_request(const char *why);
bool upgrade_is_busy(void);
/* A reload is over: an upgrade that had to wait for its end goes on. */
void upgrade_resume(void);

#endif
