/*
 * What a client says of an upload: its ID, and arguments of a query.
 */
#ifndef PROGRESS_ID_H
#define PROGRESS_ID_H

#include "worker/request.h"

enum { ID_LONG = 16, ID_CALLBACK = 64 };

/* The ID of an upload or of the one that is asked about: the field X-Progress-ID, else the argument
   of that name, else the last segment of the path, if it stands behind the route's own path; where
   the route has none (it is "/" or an expression), one of less than ID_LONG characters is an
   ordinary name. n 0: none, or it is no ID. */
struct str id_of(const struct request *);

/* The value of an argument (its name in any case, as a whole), as it stands there; p NULL: none. */
struct str id_argument(struct str query, struct str name);

/* Whether it is the name of a function as JSONP has it: identifiers of ASCII, with dots between. */
bool id_is_callback(struct str);

#endif
