/*
 * The options of signed_links.
 */
#ifndef LINKS_CONF_H
#define LINKS_CONF_H

#include "modules/links/rule.h"

struct links_conf {
	struct cfg_records rules; /* struct links_rule */
};

extern const struct cfg_opt links_conf_opts[];
void links_conf_check(void *conf, struct cfg_check *);

#endif
