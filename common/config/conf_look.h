/*
 * What `argand check` does beyond reading the configuration: modules look at this machine for what
 * they would serve and nobody meant to publish (struct module, look).
 */
#ifndef CONFIG_CONF_LOOK_H
#define CONFIG_CONF_LOOK_H

#include "common/config/conf.h"

/* Asks the modules what is wrong with what they would serve from this machine: warnings only. */
void conf_look(const struct conf *, struct cfg_errors *);
/* For look hooks: the handler of a route that takes the path, as far as its name says, NULL when
   none does; the value of an option that is a list, of any module. */
const struct module *conf_taker(const struct route *, struct str path);
struct cfg_strs conf_texts(const struct route *, const char *option);

#endif
