/*
 * gateway.upload: what its options say when the configuration is checked, and what a worker does
 * about it as it begins.
 */
#ifndef GATEWAY_UPLOADCONF_H
#define GATEWAY_UPLOADCONF_H

#include "modules/gateway/codec/conf.h"

/* When gateway.set is derived. */
void uploadconf_check(struct gateway_conf *, struct cfg_check *);
/* What workers before this one have left in a route's directory is removed. */
void uploadconf_start(const struct conf *, struct worker *, const struct module *);

#endif
