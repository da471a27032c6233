/*
 * A script's process before it is the script.
 */
#ifndef LOCAL_CGISCRIPT_H
#define LOCAL_CGISCRIPT_H

#include <stddef.h>
#include "master/base/become.h"

/* In a child of the starter: executes the script that the block names, with conn as its standard
   input and output. What is wrong with it is answered on conn and said on standard error. */
_Noreturn void cgiscript_run(
    int conn, const char *block, size_t n, char *const *command, const struct become *);

#endif
