/*
 * The suffixes of the names that a gateway runs: no other handler of the same site may send such
 * files, because that would publish an application's source.
 */
#ifndef GATEWAY_SCRIPTS_H
#define GATEWAY_SCRIPTS_H

#include "common/config/module.h"

struct gateway_conf;

/* When all else of the options is derived. */
void scripts_derive(struct gateway_conf *, struct cfg_check *);
/* The module's `takes`. */
struct module_takes scripts_taken(const void *conf);

#endif
