#include "modules/links/argand.h"
#include "modules/links/format.h"
#include "modules/links/pathform.h"
#include "modules/links/query.h"
#include "modules/links/securelink.h"

enum { FORMAT_PATH = LINKS_HAS_PREFIX | LINKS_HAS_TIMEOUT | LINKS_HAS_SEGMENTS | LINKS_HAS_QUERY };

const struct links_format links_formats[LINKS_FORMATS] = {
	{ "argand", LINKS_HAS_PARAMETER, links_argand_check, links_argand_sign },
	{ "secdownload-hmac-sha256", FORMAT_PATH, links_pathform_sha256, links_pathform_sign },
	{ "secdownload-hmac-sha1", FORMAT_PATH, links_pathform_sha1, links_pathform_sign },
	{ "secdownload-md5", FORMAT_PATH, links_pathform_md5, links_pathform_sign },
	{ "secure_link", LINKS_HAS_PARAMETER | LINKS_HAS_EXPIRES | LINKS_HAS_MD5,
	    links_securelink_check, links_securelink_sign },
	{ "secure_link_secret", LINKS_HAS_PREFIX, links_pathform_word, links_pathform_sign },
};

/* A row names itself twice: the option wants a plain list. */
const char *const links_format_names[LINKS_FORMATS + 1] = { "argand", "secdownload-hmac-sha256",
	"secdownload-hmac-sha1", "secdownload-md5", "secure_link", "secure_link_secret", NULL };

void
links_format_ask(const struct links_rule *rules, size_t n, const struct links_ask *ask,
    struct links_said *said, const struct links_rule **rule)
{
	const struct links_rule *ignored = NULL;

	rule = rule ? rule : &ignored;
	*said = (struct links_said){ .is = LINKS_ABSENT, .why = "there is no link" };
	*rule = rules;
	for (size_t i = 0; i < n; i++) {
		struct links_said one = { 0 };

		rules[i].format->check(&rules[i], ask, &one);
		if (i > 0 && one.is <= said->is)
			continue;
		*said = one;
		*rule = &rules[i];
		if (one.is == LINKS_GOOD)
			return;
	}
}

int
links_format_status(const struct links_said *said)
{
	return said->is == LINKS_EXPIRED ? 410 : 403;
}

struct str
links_format_strip(const struct links_rule *rules, size_t n, struct arena *a, struct str query)
{
	for (size_t i = 0; i < n; i++) {
		if (rules[i].format->options & LINKS_HAS_PARAMETER)
			query = links_query_cut(a, query, rules[i].name);
		if ((rules[i].format->options & LINKS_HAS_EXPIRES) && rules[i].expires.n)
			query = links_query_cut(a, query, rules[i].expires);
	}
	return query;
}
