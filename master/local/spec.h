/*
 * What the processes of a pool are: everything that starting one needs, copied out of a
 * configuration that may be gone by then. Immutable.
 */
#ifndef LOCAL_SPEC_H
#define LOCAL_SPEC_H

#include "common/config/conf.h"
#include "common/config/conf_pool.h"
#include "master/base/become.h"
#include "master/local/scale.h"

enum { LOCALSPEC_HOSTS = 8 };

struct localspec {
	struct arena *arena; /* owns all that is here */
	const char *name;
	const char *path;  /* of the socket that its processes share; NULL: they bind */
	const char *owner; /* user who may connect to it: the workers' */
	bool is_cgi;       /* our own starter, which executes scripts */
	bool is_announced; /* the socket is announced as a service manager does, too */
	char *const *argv; /* NULL-terminated; of CGI: the interpreter, argv[0] may be NULL */
	char *const *envp;
	struct become as;
	struct localscale_limits scale; /* how many processes; 1 of a CGI starter */
	unsigned scripts;               /* CGI: at the same time */
	uint64_t stop_timeout;
	struct str hosts[LOCALSPEC_HOSTS]; /* whose load counts: their addresses */
	unsigned nhosts;
	uint64_t digest; /* of what a process is made from; not of how many there are */
};

struct localspec *localspec_new(const struct conf_pool *, const struct conf_process *);
void localspec_free(struct localspec *); /* NULL is fine */

#endif
