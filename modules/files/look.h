/*
 * The look of `argand check` at the top of a document root: what is there that nobody means to
 * publish, and would be served.
 */
#ifndef FILES_LOOK_H
#define FILES_LOOK_H

#include "common/config/conf.h"

/* The module's look hook. */
void files_look(const struct route *, const void *conf, struct cfg_check *);

#endif
