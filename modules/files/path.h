/*
 * What a URL path says about the file that it names.
 */
#ifndef FILES_PATH_H
#define FILES_PATH_H

#include "common/base/str.h"

/* Whether a component of the URL path begins with a dot; a first
   component ".well-known" (RFC 8615) is none of these. */
bool files_path_is_hidden(struct str path);

#endif
