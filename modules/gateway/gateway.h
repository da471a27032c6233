/*
 * The options of a route that goes to backends: their table and checks are in gateway_conf.c, the
 * module's descriptor and hooks in gateway.c.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "modules/gateway/codec/conf.h"

extern const struct cfg_opt gateway_opts[];
extern const char *const gateway_uses[];
void gateway_check(void *conf, struct cfg_check *);

#endif
