/*
 * The modules, in the order in which their hooks run; filters in the reverse order. Adding one is
 * one line in the list.
 *
 * What is there for nobody comes first, then who the client is, then who may ask. Redirects stand
 * before signing in, so that a password is not asked for on an address (http) that only leads to
 * another (https); rewrites behind it, so that a protected path stays protected whatever it is
 * rewritten to; progress counts what has come so far, so that nobody fills its table who may not
 * upload. The gateway stands before the files, which would send an application's sources; receive
 * before both, and leaves them all that reads. Of the filters, expire comes last, because it adds
 * only what nobody else has said.
 */
#include "common/config/module.h"

#define MODULES(MODULE)                                                                            \
	MODULE(internal)                                                                           \
	MODULE(realip)                                                                             \
	MODULE(access)                                                                             \
	MODULE(redirect)                                                                           \
	MODULE(auth)                                                                               \
	MODULE(links)                                                                              \
	MODULE(rewrite)                                                                            \
	MODULE(progress)                                                                           \
	MODULE(expire)                                                                             \
	MODULE(headers)                                                                            \
	MODULE(status)                                                                             \
	MODULE(respond)                                                                            \
	MODULE(echo)                                                                               \
	MODULE(receive)                                                                            \
	MODULE(gateway)                                                                            \
	MODULE(files)                                                                              \
	MODULE(accesslog)

#define MODULE(name) extern const struct module module_##name;
MODULES(MODULE)
#undef MODULE

#define MODULE(name) &module_##name,
const struct module *const modules[] = { MODULES(MODULE) NULL };
#undef MODULE

const size_t modules_n = sizeof(modules) / sizeof(modules[0]) - 1;
