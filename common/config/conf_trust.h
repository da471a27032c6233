/*
 * What a configuration entrusts to whom: which of its processes would be root, which of its files
 * other users of the machine may change. That depends on the machine and on who asks, so it is no
 * part of reading it: whoever is about to use a configuration asks, and `argand check`.
 */
#ifndef CONFIG_CONF_TRUST_H
#define CONFIG_CONF_TRUST_H

#include "common/config/conf.h"

/* What runs as root although it need not; bits of shm_master.risks. */
enum conf_risk {
	RISK_ROOT_WORKERS = 1,
	RISK_ROOT_BACKENDS = 2,
};

/* Adds errors and warnings about who could misuse the configuration. Takes conf and returns it;
   NULL when there is an error. */
struct conf *conf_trust(struct conf *, struct cfg_errors *);
/* Bits of enum conf_risk. */
unsigned conf_risks(const struct conf *);
/* What a risk is, and the remedy, in a line. */
const char *conf_risk_text(enum conf_risk);

#endif
