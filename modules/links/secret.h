/*
 * Files of secrets: each holds one, in one line. The master reads them while it loads the
 * configuration; workers are born with them and need no right to read the files.
 */
#ifndef LINKS_SECRET_H
#define LINKS_SECRET_H

#include "modules/links/rule.h"

/* Reads a file for rule i of option; errors and warnings go to the check. False: it cannot be used.
 */
bool links_secret_load(
    struct links_secret *, struct cfg_check *, const char *option, int i, struct str path);

#endif
