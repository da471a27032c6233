/*
 * Which names files may be given by clients: one segment, that nobody has to fear. Pure.
 */
#ifndef RECEIVE_NAME_H
#define RECEIVE_NAME_H

#include "common/base/str.h"

enum { RECEIVE_NAME_MAX = 240, RECEIVE_ID = 32 };

/* NULL, or why the name is refused. */
const char *receive_name_refuse(struct str name);
/* Whether it is what an upload may be called: RECEIVE_ID digits of lower case hex. */
bool receive_name_is_id(struct str);

#endif
