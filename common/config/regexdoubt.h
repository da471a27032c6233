/*
 * What can be said against a regular expression before an enemy has said it, when the configuration
 * is checked. Nothing is proved: what is found is real, or nearly; what is not found may be there.
 */
#ifndef CONFIG_REGEXDOUBT_H
#define CONFIG_REGEXDOUBT_H

#include "common/base/str.h"

/* NULL: nothing was found. source compiles (regex_compile). *hint may be NULL. */
const char *regexdoubt_of(struct str source, const char **hint);

#endif
