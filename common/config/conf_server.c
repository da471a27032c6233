/* Settings of the server scope by name, see conf_server.h. */
#include <string.h>

#include "common/config/conf_server.h"

int64_t
conf_server_int(const struct conf *conf, const char *option, int64_t otherwise)
{
	for (size_t i = 0; conf->server_conf && i < modules_n; i++) {
		const struct cfg_opt *o = modules[i]->opts;
		const char *base = conf->server_conf[i];

		for (; o && base && o->type != CFG_END; o++)
			if (o->type == CFG_INT && strcmp(o->name, option) == 0)
				return *(const int64_t *)(const void *)(base + o->offset);
	}
	return otherwise;
}
