/*
 * The options of the receive module.
 */
#ifndef RECEIVE_CONF_H
#define RECEIVE_CONF_H

#include "common/config/cfg.h"

struct receive_conf {
	struct str directory, mode_text, group;
	int64_t max_size, quota; /* octets; quota 0: none */
	int64_t append_min, append_max;
	int64_t expires; /* ms */
	bool resumable, overwrite, delete, sync;
	/* derived */
	unsigned mode;
	int64_t gid; /* -1: as it comes */
};

extern const struct cfg_opt receive_conf_opts[];
void receive_conf_check(void *conf, struct cfg_check *);

#endif
