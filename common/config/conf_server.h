/*
 * Settings of the server scope for what stands below the modules: by an option's name, whatever
 * module has it.
 */
#ifndef CONFIG_CONF_SERVER_H
#define CONFIG_CONF_SERVER_H

#include "common/config/conf.h"

/* The value of a CFG_INT; otherwise when no module has such an option. */
int64_t conf_server_int(const struct conf *, const char *option, int64_t otherwise);

#endif
