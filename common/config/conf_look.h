/*
 * What `argand check` does beyond reading the configuration: modules look at this machine for what
 * they would serve and nobody meant to publish (struct module, look).
 */
#ifndef CONFIG_CONF_LOOK_H
#define CONFIG_CONF_LOOK_H

#include "common/config/conf.h"

/* Asks the modules what is wrong with what they would serve from this machine: warnings only. */
void conf_look(const struct conf *, struct cfg_errors *);
/* For look hooks: conf_taker() finds the handler of a route that takes the path, judged by the
   path's name alone; NULL when none does. conf_texts() gives the value of any module's option that
   is a list. */
const struct module *conf_taker(const struct route *, struct str path);
struct cfg_strs conf_texts(const struct route *, const char *option);

#endif
