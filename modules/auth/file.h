/*
 * A file of users, parsed when the configuration is loaded and again when it changes.
 */
#ifndef AUTH_FILE_H
#define AUTH_FILE_H

#include "common/config/cfg.h"
#include "modules/auth/htpasswd.h"

struct auth_file;

/* Master: reads path; errors and complaints go to option of the check. The same path in one
   configuration is one file. NULL when it cannot be read. */
struct auth_file *auth_file_load(struct cfg_check *, const char *option, struct str path);

/* Worker: the users as they are now; looks at most once a second whether the file has changed.
   Where it cannot be read anew (a file that only root may read), those of load time stay, and the
   log says so once. now: ms. Valid until the next call. */
const struct htpasswd *auth_file_users(struct auth_file *, uint64_t now);

/* A number that is different for every file and after every change of it. */
uint64_t auth_file_version(const struct auth_file *);

#endif
