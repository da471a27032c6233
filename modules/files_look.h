/*
 * The look of `argand check` at the top of a document root: what is there that nobody means to
 * publish, and would be served.
 */
#ifndef MODULES_FILES_LOOK_H
#define MODULES_FILES_LOOK_H

#include "common/conf.h"

/* The module's look hook. */
void files_look(const struct route *, const void *conf, struct cfg_check *);

#endif
