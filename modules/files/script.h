/*
 * Whether a file is a script that a gateway of the site runs, or a copy of one: by its name.
 */
#ifndef FILES_SCRIPT_H
#define FILES_SCRIPT_H

#include "common/config/cfg.h"

/* suffixes: of struct site. Only the last component of name counts. */
bool files_script_is(const struct cfg_strs *suffixes, struct str name);
/* The same by the real name of an open file, which differs when a symbolic link led there. False
   when the kernel does not say. */
bool files_script_is_open(const struct cfg_strs *suffixes, int fd);

#endif
