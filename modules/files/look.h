/*
 * How `argand check` looks at the top of a document root, for files that would be served although
 * nobody means to publish them.
 */
#ifndef FILES_LOOK_H
#define FILES_LOOK_H

#include "common/config/conf.h"

/* The module's look hook. */
void files_look(const struct route *, const void *conf, struct cfg_check *);

#endif
