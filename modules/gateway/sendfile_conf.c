/*
 * The options gateway.sendfile: what an application may name, and by which fields. What it is told
 * about that is put among what routes set anyway (gateway.set, gateway.environment), so that
 * nothing is left to be done for a request.
 */
#include "common/config/conf.h"
#include "modules/gateway/sendfile.h"

enum {
	FILES = 1 << SENDCMD_PARTS | 1 << SENDCMD_FILE | 1 << SENDCMD_LIGHTTPD | 1 << SENDCMD_BODY,
	TEMPFILE = 1 << SENDCMD_TEMPFILE,
	REDIRECT = 1 << SENDCMD_REDIRECT,
};

static void
sendfile_check_headers(struct gateway_sendfile *s, struct cfg_check *check)
{
	const char *option = "gateway.sendfile.headers";

	s->commands = 0;
	if (!cfg_is_set(check, option)) {
		s->commands =
		    (s->directories.n ? FILES : 0u) | (s->temp_directories.n ? TEMPFILE : 0u);
		return;
	}
	for (size_t i = 0; i < s->headers.n; i++) {
		enum sendcmd command = sendcmd_of(s->headers.v[i]);

		if (command == SENDCMD_NONE)
			cfg_error(check, option, (int)i,
			    "X-Sendfile, X-Sendfile2, X-LIGHTTPD-send-file, X-Send-Response-Body, "
			    "X-LIGHTTPD-send-tempfile or X-Accel-Redirect",
			    "\"%.*s\" is no field that names a file", STR_FMT(s->headers.v[i]));
		else
			s->commands |= 1u << command;
	}
	if (s->commands & FILES && !s->directories.n)
		cfg_error(check, option, -1, "sendfile: { directories = \"/srv/files\"; ... }",
		    "files are to be sent, and 'gateway.sendfile.directories' is not set");
	if (s->commands & TEMPFILE && !s->temp_directories.n)
		cfg_error(check, option, -1, "sendfile: { temp_directories = \"/srv/tmp\"; ... }",
		    "files are to be removed, and 'gateway.sendfile.temp_directories' is not set");
}

/* Names are compared with those of applications: without dots, doubled slashes, one at the end. */
static void
sendfile_check_directories(struct cfg_strs *list, const char *option, struct cfg_check *check)
{
	struct str *v = arena_alloc(check->arena, list->n * sizeof(*v) + 1);

	for (size_t i = 0; i < list->n; i++) {
		const char *why = sendcmd_path(check->arena, list->v[i], false, &v[i]);

		if (why) {
			cfg_error(check, option, (int)i, NULL, "%s", why);
			v[i] = STR("/");
		} else if (v[i].n <= 1) {
			cfg_warning(check, option, (int)i, "name the directories that are meant",
			    "every file that workers can read may be sent");
		}
	}
	*list = (struct cfg_strs){ v, list->n };
}

static void
sendfile_check_base(struct gateway_sendfile *s, struct cfg_check *check)
{
	const char *option = "gateway.sendfile.base", *why;
	struct str base;

	if (!s->base.n)
		return;
	why = sendcmd_path(check->arena, s->base, false, &base);
	if (why) {
		cfg_error(check, option, -1, NULL, "%s", why);
		return;
	}
	s->base = base;
	base = arena_printf(check->arena, "%.*s/.", STR_FMT(base));
	for (size_t i = 0; i < s->directories.n; i++)
		if (sendcmd_below(base, s->directories.v[i]).n > 0)
			return;
	cfg_error(
	    check, option, -1, NULL, "'%s' is in none of 'gateway.sendfile.directories'", option);
}

/* --- what the application is told --- */

static bool
sendfile_has_pair(const struct cfg_records *pairs, struct str name)
{
	const struct gateway_pair *v = pairs->v;

	for (size_t i = 0; i < pairs->n; i++)
		if (str_caseeq(v[i].name, name))
			return true;
	return false;
}

/* What the route says itself about a name counts more. */
static void
sendfile_tell(struct cfg_records *pairs, struct cfg_check *check, struct str name, struct str value)
{
	struct gateway_pair *v;
	const char *why, *hint;

	if (sendfile_has_pair(pairs, name))
		return;
	v = arena_calloc(check->arena, (pairs->n + 1) * sizeof(*v));
	if (pairs->n)
		memcpy(v, pairs->v, pairs->n * sizeof(*v));
	v[pairs->n].name = name;
	v[pairs->n].value = value;
	if (!template_compile(&v[pairs->n].text, check->arena, value, 0, &why, &hint))
		return;
	*pairs = (struct cfg_records){ v, pairs->n + 1 };
}

static struct str
sendfile_field_name(struct arena *a, struct str variable)
{
	struct str name = arena_str(a, variable);

	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '_')
			((char *)(uintptr_t)name.p)[i] = '-';
	return name;
}

static void
sendfile_tell_variable(struct gateway_conf *c, struct cfg_check *check)
{
	struct str name = c->sendfile.variable;

	for (size_t i = 0; i < name.n; i++)
		if ((unsigned)(name.p[i] | 0x20) - 'a' >= 26 && name.p[i] != '_' &&
		    (i == 0 || (unsigned)name.p[i] - '0' >= 10)) {
			cfg_error(check, "gateway.sendfile.variable", -1, NULL,
			    "\"%.*s\" is not a name of a variable", STR_FMT(name));
			return;
		}
	if (name.n == 0 || !c->pool)
		return;
	if (c->pool->protocol == POOL_HTTP)
		sendfile_tell(&c->set, check, sendfile_field_name(check->arena, name), STR("1"));
	else
		sendfile_tell(&c->environment, check, name, STR("1"));
}

static void
sendfile_tell_type(struct gateway_conf *c, struct cfg_check *check)
{
	struct gateway_sendfile *s = &c->sendfile;
	enum sendcmd command = sendcmd_of(s->type);

	if (s->type.n > 0 && (command == SENDCMD_NONE || !(s->commands >> command & 1))) {
		cfg_error(check, "gateway.sendfile.type", -1, "see gateway.sendfile.headers",
		    "\"%.*s\" is no field that is obeyed here", STR_FMT(s->type));
		return;
	}
	if (s->type.n > 0)
		sendfile_tell(&c->set, check, STR("X-Sendfile-Type"), s->type);
	else if (s->mapping.n > 0)
		sendfile_tell(
		    &c->set, check, STR("X-Sendfile-Type"), sendcmd_rows[SENDCMD_REDIRECT].name);
}

/* A "$" is none of our variables; the list is joined as both frameworks split it. */
static void
sendfile_tell_mapping(struct gateway_conf *c, struct cfg_check *check)
{
	const char *option = "gateway.sendfile.mapping";
	const struct cfg_strs *list = &c->sendfile.mapping;
	struct str text = STR("");

	if (list->n == 0)
		return;
	if (!(c->sendfile.commands & REDIRECT))
		cfg_error(check, option, -1, "headers = \"X-Accel-Redirect\"",
		    "'%s' is for X-Accel-Redirect, which is not obeyed here", option);
	for (size_t i = 0; i < list->n; i++) {
		struct str to = list->v[i], from = str_split(&to, '=');

		if (from.n == 0 || from.p[0] != '/' || to.n == 0 || to.p[0] != '/' ||
		    str_find(list->v[i], '$') >= 0 || str_find(list->v[i], ',') >= 0 ||
		    !http_is_field_value(list->v[i]))
			cfg_error(check, option, (int)i, "\"/srv/files/=/protected/\"",
			    "\"%.*s\" is not \"/directory=/path\"", STR_FMT(list->v[i]));
		text = arena_printf(
		    check->arena, "%.*s%s%.*s", STR_FMT(text), i ? ", " : "", STR_FMT(list->v[i]));
	}
	sendfile_tell(&c->set, check, STR("X-Accel-Mapping"), text);
}

void
sendfile_check(struct gateway_conf *c, struct cfg_check *check)
{
	struct gateway_sendfile *s = &c->sendfile;
	struct cfg_strs types;
	const char *why;

	sendfile_check_directories(&s->directories, "gateway.sendfile.directories", check);
	sendfile_check_directories(
	    &s->temp_directories, "gateway.sendfile.temp_directories", check);
	sendfile_check_headers(s, check);
	sendfile_check_base(s, check);
	sendfile_tell_type(c, check);
	sendfile_tell_mapping(c, check);
	if (!s->commands)
		return;
	sendfile_tell_variable(c, check);
	s->mime_types = cfg_text_of(check, "mime_types");
	s->charset = cfg_text_of(check, "charset");
	types = cfg_texts_of(check, "types");
	s->types = (struct mime_rules){ NULL, 0 };
	for (size_t i = 0; i < types.n; i++) /* what is wrong with them the files say */
		mime_rules_add(&s->types, check->arena, types.v[i], &why);
}
