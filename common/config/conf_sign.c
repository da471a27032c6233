#include "common/base/http.h"
#include "common/config/conf_sign.h"

const char *
conf_sign(const struct conf *conf, struct conf_sign *s, struct arena *a)
{
	const struct conf_listen *l = conf_ask_listen(conf, &s->ask, NULL);
	const struct site *site = conf_site(conf, l, s->ask.host);
	const struct route *route =
	    site_route(site, s->ask.path, (int)http_method_of(str_of(s->ask.method)));

	if (!route)
		return "which route the path has cannot be decided";
	for (size_t i = 0; i < route->access.n; i++) {
		const struct conf_hook *h = &route->access.v[i];

		if (h->module->sign)
			return h->module->sign(h->conf, s, a);
	}
	return arena_printf(
	    a, "route %s does not ask for links: it has no signed_links", route->label)
	    .p;
}
