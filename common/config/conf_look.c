/*
 * `argand check` looks at more than the text of a configuration: modules may say what they would
 * serve from this machine that nobody meant to publish. Warnings only; nothing that serves runs
 * this, so a file system that hangs holds up nobody else.
 */
#include "common/config/build.h"
#include "common/config/conf_look.h"

static bool
conf_has_suffix(struct str path, struct str suffix)
{
	for (struct str rest = path; rest.p;)
		if (str_has_suffix(str_split(&rest, '/'), suffix))
			return true;
	return false;
}

const struct module *
conf_taker(const struct route *r, struct str path)
{
	for (size_t i = 0; i < r->handle.n; i++) {
		const struct module *m = r->handle.v[i].module;
		struct module_takes t = { .is_all = true };

		if (m->takes)
			t = m->takes(r->handle.v[i].conf);
		for (size_t k = 0; k < t.scripts.n; k++)
			t.is_all |= conf_has_suffix(path, t.scripts.v[k]);
		if (t.is_all)
			return m;
	}
	return NULL;
}

struct cfg_strs
conf_texts(const struct route *r, const char *option)
{
	const struct opt_table *v;
	size_t n;

	v = core_tables(&n);
	for (size_t i = 0; i < core_modules_n; i++)
		for (const struct cfg_opt *o = v[i].opts; o && o->type != CFG_END; o++)
			if (strcmp(o->name, option) == 0 && o->type == CFG_STRS)
				return *(
				    const struct cfg_strs *)((const char *)r->conf[i] + o->offset);
	return (struct cfg_strs){ NULL, 0 };
}

static void
conf_look_route(const struct conf *conf, struct cfg_errors *errors, const struct route *r)
{
	for (size_t i = 0; i < core_modules_n; i++) {
		const struct module *m = core_modules[i];
		struct cfg_check check = { .arena = conf->arena,
			.errors = errors,
			.opts = m->opts,
			.places = r->places[i],
			.scope = r->place,
			.scope_name = r->label };

		if (m->look && (!m->active || m->active(r->conf[i])))
			m->look(r, r->conf[i], &check);
	}
}

void
conf_look(const struct conf *conf, struct cfg_errors *errors)
{
	for (size_t i = 0; i < conf->nsites; i++)
		for (size_t k = 0; k < conf->sites[i].nroutes; k++)
			conf_look_route(conf, errors, &conf->sites[i].routes[k]);
}
