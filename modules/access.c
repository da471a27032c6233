/*
 * Who may ask, by address and method. The narrowest entry that holds the client's address decides,
 * so that lists read the same in any order.
 */
#include "common/base/cidr.h"
#include "worker/request.h"

struct access {
	struct cfg_strs allow, deny, methods;
	/* derived */
	struct cidr_set allow_set, deny_set;
	struct str allow_field; /* the value of Allow: */
};

static const struct cfg_opt access_opts[] = {
	{ "access.allow", CFG_STRS, CFG_ANY, offsetof(struct access, allow),
	    .help = "Addresses and networks that may ask. When this is set, all others are "
		    "refused with 403. Words: \"private\", \"loopback\", \"unix\", \"all\". "
		    "Where an address stands in both lists, the narrower entry decides, and of "
		    "two equal ones \"deny\".",
	    .example = "access: { allow = [ \"10.0.0.0/8\", \"2001:db8::/32\" ]; };" },
	{ "access.deny", CFG_STRS, CFG_ANY, offsetof(struct access, deny),
	    .help = "Addresses and networks that are refused with 403. An \"allow\" entry "
		    "inside one of them is an exception.",
	    .example = "access: { allow = \"192.0.2.7\"; deny = \"192.0.2.0/24\"; };" },
	{ "access.methods", CFG_STRS, CFG_ANY, offsetof(struct access, methods),
	    .help = "Methods that are answered; others get 405 with the list in Allow. \"GET\" "
		    "includes \"HEAD\". Not set: whatever the handler takes.",
	    .example = "access: { methods = [ \"GET\", \"POST\" ]; };" },
	{ 0 },
};

static void
access_check_list(
    struct cidr_set *set, const struct cfg_strs *list, const char *option, struct cfg_check *check)
{
	const char *why;

	*set = (struct cidr_set){ 0 };
	for (size_t i = 0; i < list->n; i++)
		if (!cidr_add(set, check->arena, list->v[i], &why))
			cfg_error(check, option, (int)i, NULL, "\"%.*s\" is not %s",
			    STR_FMT(list->v[i]), why);
}

static bool
access_has_method(const struct access *a, struct str method)
{
	for (size_t i = 0; i < a->methods.n; i++)
		if (str_eq(a->methods.v[i], method))
			return true;
	return false;
}

/* HEAD where GET is (RFC 9110 9.3.2). */
static bool
access_adds_head(const struct access *a)
{
	return access_has_method(a, STR("GET")) && !access_has_method(a, STR("HEAD"));
}

static void
access_check_methods(struct access *a, struct cfg_check *check)
{
	struct str field = STR("");

	for (size_t i = 0; i < a->methods.n; i++) {
		struct str m = a->methods.v[i];

		if (!http_is_token(m))
			cfg_error(check, "access.methods", (int)i, NULL, "\"%.*s\" is not a method",
			    STR_FMT(m));
		else if (http_method_of(m) == M_OTHER)
			cfg_warning(check, "access.methods", (int)i, "method names are upper case",
			    "\"%.*s\" is no method that is known here", STR_FMT(m));
		field = arena_printf(
		    check->arena, "%.*s%s%.*s", STR_FMT(field), i ? ", " : "", STR_FMT(m));
	}
	if (access_adds_head(a))
		field = arena_printf(check->arena, "%.*s, HEAD", STR_FMT(field));
	a->allow_field = field;
}

static void
access_check(void *conf, struct cfg_check *check)
{
	struct access *a = conf;

	access_check_list(&a->allow_set, &a->allow, "access.allow", check);
	access_check_list(&a->deny_set, &a->deny, "access.deny", check);
	access_check_methods(a, check);
}

static bool
access_active(const void *conf)
{
	const struct access *a = conf;

	return a->allow.n > 0 || a->deny.n > 0 || a->methods.n > 0;
}

static bool
access_is_allowed(const struct access *a, const struct peer *p)
{
	int allow = cidr_narrowest(&a->allow_set, p->family, p->addr);
	int deny = cidr_narrowest(&a->deny_set, p->family, p->addr);

	if (allow < 0 && deny < 0)
		return a->allow_set.n == 0;
	return allow > deny;
}

static enum verdict
access_access(struct request *r, const void *conf)
{
	const struct access *a = conf;

	if (request_is_exempt(r)) /* the error page of a refusal */
		return NEXT;
	if (!access_is_allowed(a, &r->peer)) {
		res_error(r, 403, "the client's address is not allowed here");
		return MINE;
	}
	if (a->methods.n == 0 || access_has_method(a, r->method_name))
		return NEXT;
	if (r->method == M_HEAD && access_adds_head(a))
		return NEXT;
	res_field(r, HF_ALLOW, a->allow_field);
	res_error(r, 405, "access.methods does not list the method");
	return MINE;
}

const struct module module_access = {
	.name = "access",
	.help =
	    "Access by address and method. The narrowest matching entry of \"allow\" and \"deny\" "
	    "decides; their order does not matter. An address that matches nothing may ask, unless "
	    "\"allow\" is set. Behind a proxy, see realip.",
	.opts = access_opts,
	.conf_size = sizeof(struct access),
	.check = access_check,
	.active = access_active,
	.guards = access_active,
	.access = access_access,
};
