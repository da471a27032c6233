/*
 * Names of backends to addresses, without blocking: c-ares in the worker's loop. A name is asked
 * for anew when its lifetime (TTL) ends, and early after connect failures. While a lookup fails,
 * the addresses known before stay. Watches of equal names share their lookups.
 */
#ifndef POOL_RESOLVER_H
#define POOL_RESOLVER_H

#include <sys/socket.h>
#include "common/base/str.h"
#include "modules/gateway/pool/resolver_addrs.h"

struct worker;
struct resolver_name; /* one watch */

/* Begins to watch a name; port goes into the addresses; timeout_ms bounds one lookup. changed() is
   called whenever the set of addresses is another one than before: IPv4 and IPv6, in a fixed order,
   without duplicates, at least one, at most RESOLVER_ADDRS; they are the callee's only during the
   call. It is never called from inside of these functions, and not for a lookup that fails: that is
   logged, once until it works again. */
struct resolver_name *resolver_watch(struct worker *, struct str name, int64_t port,
    int64_t timeout_ms, void (*changed)(void *arg, const struct sockaddr_storage *v, unsigned n),
    void *arg);

/* A connect to one of the addresses has failed: asks anew, once a second at most. */
void resolver_again(struct resolver_name *);

/* Ends the watch; allowed inside of changed(). */
void resolver_unwatch(struct resolver_name *);

/* Whether a lookup has ever worked; else why not ("no such name", "timeout" …), a constant; "not
   answered yet" before the first answer. */
bool resolver_is_known(const struct resolver_name *, const char **why);
/* Whether the first lookup is still under way: nobody can say yet that there is no address. */
bool resolver_is_new(const struct resolver_name *);

#endif
