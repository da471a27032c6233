/*
 * Response fields of the operator's choice. Lists merge over the scopes, the inner ones first; for
 * one name in "set" the innermost decides. Applies to every answer, errors and redirects included:
 * a security field that is missing on the error page is a hole.
 */
#include "worker/request.h"
#include "worker/vars.h"

enum headers_op { HEADERS_REMOVE, HEADERS_SET, HEADERS_ADD, HEADERS_OPS };

struct headers_edit {
	struct str name;
	uint8_t id; /* enum http_field */
	uint8_t op; /* enum headers_op */
	struct template value;
};

struct headers {
	struct cfg_strs lists[HEADERS_OPS];
	/* derived */
	struct headers_edit *edits; /* in the order in which they are done */
	size_t n;
};

static const char *const headers_names[HEADERS_OPS] = { "headers.remove", "headers.set",
	"headers.add" };

static const struct cfg_opt headers_opts[] = {
	{ "headers.set", CFG_STRS, CFG_ANY | CFG_MERGE,
	    offsetof(struct headers, lists[HEADERS_SET]),
	    .help = "\"Name: value\" lines that every answer has exactly once, whatever its "
		    "status, in place of what a file or an application says. Values may hold "
		    "variables. Lists of outer scopes are added; for the same name the inner "
		    "scope decides, and an empty value, \"Name:\", removes the field. The "
		    "variables are " TEMPLATE_HELP
		    "and where a regular expression was matched $1 to $9; \"${host}\" is the "
		    "same as \"$host\", and \"$$\" is a dollar.",
	    .example = "headers: { set = [ \"X-Frame-Options: DENY\", \"X-Request-Id: "
		       "$request_id\" ]; };" },
	{ "headers.add", CFG_STRS, CFG_ANY | CFG_MERGE,
	    offsetof(struct headers, lists[HEADERS_ADD]),
	    .help = "\"Name: value\" lines that are added to every answer beside fields of the "
		    "same name.",
	    .example = "headers: { add = \"Link: </style.css>; rel=preload\"; };" },
	{ "headers.remove", CFG_STRS, CFG_ANY | CFG_MERGE,
	    offsetof(struct headers, lists[HEADERS_REMOVE]),
	    .help = "Names of fields that no answer shall have. Done before \"set\" and "
		    "\"add\".",
	    .example = "headers: { remove = [ \"X-Powered-By\" ]; };" },
	{ 0 },
};

/* Fields that the protocol makes itself; another hand in them would break the framing. */
static const struct headers_refused {
	struct str name;
	const char *hint;
} headers_refused[] = {
	{ STR_INIT("Connection"), "it belongs to each connection" },
	{ STR_INIT("Content-Length"), "the server counts" },
	{ STR_INIT("Content-Range"), "it belongs to one answer" },
	{ STR_INIT("Date"), "the server's clock decides" },
	{ STR_INIT("Keep-Alive"), "it belongs to each connection" },
	{ STR_INIT("Proxy-Connection"), "it belongs to each connection" },
	{ STR_INIT("Server"), "see server_header" },
	{ STR_INIT("TE"), "it belongs to each connection" },
	{ STR_INIT("Trailer"), "it belongs to each connection" },
	{ STR_INIT("Transfer-Encoding"), "it belongs to each connection" },
	{ STR_INIT("Upgrade"), "it belongs to each connection" },
};

static bool
headers_check_name(struct str name, enum headers_op op, int i, struct cfg_check *check)
{
	if (!http_is_token(name)) {
		cfg_error(check, headers_names[op], i, "write \"Name: value\"",
		    "\"%.*s\" is not a field name", STR_FMT(name));
		return false;
	}
	for (size_t k = 0; k < sizeof(headers_refused) / sizeof(*headers_refused); k++) {
		if (!str_caseeq(name, headers_refused[k].name))
			continue;
		cfg_error(check, headers_names[op], i, headers_refused[k].hint,
		    "the field \"%.*s\" cannot be changed", STR_FMT(name));
		return false;
	}
	return true;
}

/* A name that stands in the same list before, that is, in an inner scope. */
static bool
headers_is_done(const struct headers *c, const struct headers_edit *edit)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->edits[i].op == edit->op && str_caseeq(c->edits[i].name, edit->name))
			return true;
	return false;
}

static void
headers_check_line(struct headers *c, enum headers_op op, int i, struct cfg_check *check)
{
	struct str value = c->lists[op].v[i], name = str_split(&value, ':');
	struct headers_edit edit = { .name = str_trim(name), .op = (uint8_t)op };
	const char *why, *hint;

	if (!headers_check_name(edit.name, op, i, check))
		return;
	edit.id = (uint8_t)http_field_of(edit.name);
	if (op != HEADERS_REMOVE && !value.p) {
		cfg_error(check, headers_names[op], i, "write \"Name: value\"",
		    "no \":\" in \"%.*s\"", STR_FMT(edit.name));
		return;
	}
	value = value.p ? str_trim(value) : STR("");
	if (op == HEADERS_REMOVE && value.n > 0)
		cfg_error(check, headers_names[op], i, "write the name only",
		    "\"%.*s\" has a value", STR_FMT(edit.name));
	if (!http_is_field_value(value))
		cfg_error(check, headers_names[op], i, NULL, "control characters in the value");
	else if (!template_compile(&edit.value, check->arena, value, 0, &why, &hint))
		cfg_error(check, headers_names[op], i, hint, "%s", why);
	else if (op == HEADERS_ADD || !headers_is_done(c, &edit))
		c->edits[c->n++] = edit;
}

static void
headers_check(void *conf, struct cfg_check *check)
{
	struct headers *c = conf;
	size_t room = 0;

	for (int op = 0; op < HEADERS_OPS; op++)
		room += c->lists[op].n;
	c->n = 0;
	c->edits = arena_alloc(check->arena, room * sizeof(*c->edits));
	for (int op = 0; op < HEADERS_OPS; op++)
		for (size_t i = 0; i < c->lists[op].n; i++)
			headers_check_line(c, op, (int)i, check);
}

static bool
headers_active(const void *conf)
{
	const struct headers *c = conf;

	return c->lists[HEADERS_SET].n + c->lists[HEADERS_ADD].n + c->lists[HEADERS_REMOVE].n > 0;
}

static void
headers_del(struct request *r, const struct headers_edit *edit)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->fields.n; i++) {
		const struct field *f = &r->fields.v[i];
		bool same =
		    f->id == edit->id && (edit->id != HF_OTHER || str_caseeq(f->name, edit->name));

		if (!same)
			r->fields.v[n++] = *f;
	}
	r->fields.n = n;
}

static void
headers_filter(struct request *r, const void *conf)
{
	const struct headers *c = conf;

	for (size_t i = 0; i < c->n; i++) {
		const struct headers_edit *edit = &c->edits[i];
		struct str value;

		if (edit->op != HEADERS_ADD)
			headers_del(r, edit);
		if (edit->value.n == 0)
			continue;
		value = vars_expand(&edit->value, r, TEMPLATE_FIELD, NULL);
		if (value.n > 0)
			res_field_named(r, edit->name, value);
	}
}

const struct module module_headers = {
	.name = "headers",
	.help =
	    "Response fields: set, added, removed. They apply to all answers, errors and redirects "
	    "included, and inner scopes add to what outer scopes say.",
	.opts = headers_opts,
	.conf_size = sizeof(struct headers),
	.check = headers_check,
	.active = headers_active,
	.filter = headers_filter,
};
