/*
 * How long clients may keep an answer: Cache-Control and Expires for answers whose handler has not
 * said. The texts of Cache-Control are made when the configuration is checked; those of Expires
 * once a second for each length of time.
 */
#include "common/base/clock.h"
#include "worker/request.h"

enum { EXPIRE_MAX = 365 * 24 * 3600 * 10, EXPIRE_DATES = 16 /* a power of two */ };

struct expire_rule {
	struct str type, time;
	bool immutable;
	/* derived */
	struct str control; /* Cache-Control; n 0: says nothing */
	int64_t seconds;    /* for Expires; < 0: none */
};

struct expire {
	struct str time;
	struct cfg_records types;
	bool immutable;
	/* derived */
	struct expire_rule fallback;
};

#define EXPIRE_TIMES                                                                               \
	"a time such as \"30m\", \"7d\", \"1y\", or \"no-cache\" (kept, but asked about each "     \
	"time), "                                                                                  \
	"\"no-store\" (not kept), \"off\" (nothing is said)"

static const struct cfg_opt expire_rule_opts[] = {
	{ "type", CFG_STR, CFG_ANY | CFG_NONEMPTY, offsetof(struct expire_rule, type),
	    .help = "A media type, \"text/css\", or all of a kind, \"image/*\"." },
	{ "for", CFG_STR, CFG_ANY | CFG_NONEMPTY, offsetof(struct expire_rule, time),
	    .help = "As expire.default." },
	{ "immutable", CFG_BOOL, CFG_ANY, offsetof(struct expire_rule, immutable), .def = "false",
	    .help = "As expire.immutable." },
	{ 0 },
};

static const struct cfg_record expire_record = { expire_rule_opts, sizeof(struct expire_rule) };

static const struct cfg_opt expire_opts[] = {
	{ "expire.default", CFG_STR, CFG_ANY | CFG_SHORT, offsetof(struct expire, time),
	    .help =
		"How long browsers and caches may use an answer without asking again: " EXPIRE_TIMES
		". Sent as Cache-Control (and Expires) with answers 200, 203, 206 and 304 to GET "
		"and "
		"HEAD, unless the application has said something itself.",
	    .example = "expire = \"7d\";" },
	{ "expire.types", CFG_RECORDS, CFG_ANY, offsetof(struct expire, types),
	    .record = &expire_record,
	    .help = "Other times for some media types; the first that matches is used.",
	    .example = "expire: { default = \"1h\"; types = ( { type = \"image/*\"; for = \"30d\"; "
		       "} ); };" },
	{ "expire.immutable", CFG_BOOL, CFG_ANY, offsetof(struct expire, immutable), .def = "false",
	    .help = "Says that what is at this address never changes, so that even a reload "
		    "does not ask again. For files with a version in their names.",
	    .example = "expire: { default = \"1y\"; immutable = true; };" },
	{ 0 },
};

static const struct expire_word {
	struct str word, control;
	int64_t seconds;
} expire_words[] = {
	{ STR_INIT("off"), STR_INIT(""), -1 },
	{ STR_INIT("no-cache"), STR_INIT("no-cache"), -1 },
	{ STR_INIT("no-store"), STR_INIT("no-store"), -1 },
};

static void
expire_derive(struct expire_rule *rule, const char *option, int i, struct cfg_check *check)
{
	const char *why;
	int64_t ms;

	rule->control = STR("");
	rule->seconds = -1;
	if (!rule->time.p)
		return;
	for (size_t k = 0; k < sizeof(expire_words) / sizeof(*expire_words); k++)
		if (str_eq(rule->time, expire_words[k].word)) {
			rule->control = expire_words[k].control;
			return;
		}
	if (!cfg_parse_time(rule->time, &ms, &why) || ms / 1000 > EXPIRE_MAX) {
		cfg_error(check, option, i, NULL,
		    "\"%.*s\" is not " EXPIRE_TIMES " (at most 10 years)", STR_FMT(rule->time));
		return;
	}
	rule->seconds = ms / 1000;
	rule->control = arena_printf(check->arena, "max-age=%lld%s", (long long)rule->seconds,
	    rule->immutable ? ", immutable" : "");
}

static void
expire_check(void *conf, struct cfg_check *check)
{
	struct expire *c = conf;
	struct expire_rule *rules = c->types.v;

	c->fallback = (struct expire_rule){ .time = c->time, .immutable = c->immutable };
	expire_derive(&c->fallback, "expire.default", -1, check);
	for (size_t i = 0; i < c->types.n; i++) {
		if (rules[i].type.n == 0 || rules[i].time.n == 0)
			continue; /* the schema has said so */
		if (str_find(rules[i].type, '/') <= 0)
			cfg_error(check, "expire.types", (int)i,
			    "such as \"image/*\" or \"text/css\"", "\"%.*s\" is not a media type",
			    STR_FMT(rules[i].type));
		expire_derive(&rules[i], "expire.types", (int)i, check);
	}
}

static bool
expire_active(const void *conf)
{
	const struct expire *c = conf;

	return c->time.n > 0 || c->types.n > 0;
}

static bool
expire_is_type(struct str pattern, struct str type)
{
	if (!str_has_suffix(pattern, STR("/*")))
		return str_caseeq(pattern, type);
	pattern.n--;
	type.n = type.n < pattern.n ? type.n : pattern.n;
	return str_caseeq(pattern, type);
}

/* A 304 mostly has no Content-Type: without types in the way the default applies, else nothing is
   said, and what the client keeps goes on for its own time (RFC 9111 4.3.4). */
static const struct expire_rule *
expire_rule(const struct expire *c, const struct request *r)
{
	const struct expire_rule *rules = c->types.v;
	struct str type = res_field_get(r, HF_CONTENT_TYPE);

	if (!type.p)
		return c->types.n == 0 || r->status != 304 ? &c->fallback : NULL;
	type = str_trim(str_split(&type, ';'));
	for (size_t i = 0; i < c->types.n; i++)
		if (expire_is_type(rules[i].type, type))
			return &rules[i];
	return &c->fallback;
}

/* The date in seconds from now, made once a second for each length of time. */
static struct str
expire_date(struct request *r, int64_t seconds)
{
	static struct {
		time_t when;
		char text[29];
	} dates[EXPIRE_DATES];
	time_t when = worker_wall(r->w) + seconds;
	unsigned slot = (unsigned)(seconds ^ seconds / 3600) % EXPIRE_DATES;

	if (dates[slot].when != when) {
		clock_http_date(dates[slot].text, when);
		dates[slot].when = when;
	}
	return arena_str(&r->arena, str_n(dates[slot].text, sizeof(dates[slot].text)));
}

static bool
expire_is_kept(const struct request *r)
{
	if (r->method != M_GET && r->method != M_HEAD)
		return false;
	return r->status == 200 || r->status == 203 || r->status == 206 || r->status == 304;
}

static void
expire_filter(struct request *r, const void *conf)
{
	const struct expire_rule *rule;

	if (!expire_is_kept(r) || res_field_get(r, HF_CACHE_CONTROL).p ||
	    res_field_get(r, HF_EXPIRES).p)
		return;
	rule = expire_rule(conf, r);
	if (!rule || rule->control.n == 0)
		return;
	res_field(r, HF_CACHE_CONTROL, rule->control);
	if (rule->seconds >= 0)
		res_field(r, HF_EXPIRES, expire_date(r, rule->seconds));
}

const struct module module_expire = {
	.name = "expire",
	.help = "How long answers may be kept by browsers and caches.",
	.opts = expire_opts,
	.conf_size = sizeof(struct expire),
	.check = expire_check,
	.active = expire_active,
	.filter = expire_filter,
};
