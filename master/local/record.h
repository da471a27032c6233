/*
 * Local backends in the hand-over record: a line "local …" for each pool, then a line "process …"
 * for each of its processes.
 */
#ifndef LOCAL_RECORD_H
#define LOCAL_RECORD_H

#include "master/local/local.h"

/* is_kept: descriptors stay open over exec, or are closed by it again. */
void local_record_write(FILE *, bool is_kept);
/* What follows the word of a line; false: it cannot be. */
bool local_record_read(const char *values);
bool local_record_read_process(const char *values);

#endif
