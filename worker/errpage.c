/*
 * Makes error pages: which form a client prefers, and what stands in it. What comes from outside
 * (the reason) is escaped here; all else is constant. Knows nothing of when a page is made and who
 * may see the reason: that is res_error's (res.c).
 */
#include "worker/cond.h"
#include "worker/errpage.h"
#include "worker/request.h"

enum form { FORM_TEXT, FORM_HTML, FORM_JSON };

enum { ERRPAGE_WHY_MAX = 1024 }; /* octets of a reason that are shown */

/* What a visitor can do about it. A status without a row gets no such sentence. */
static const struct errpage_advice {
	int status;
	const char *text;
} errpage_advices[] = {
	{ 400, "The request could not be understood." },
	{ 401, "Please sign in to see this page." },
	{ 403, "You may not see this page." },
	{ 404, "There is nothing at this address." },
	{ 405, "This address does not take requests of this kind." },
	{ 408, "The request took too long to arrive." },
	{ 410, "What was here is gone for good." },
	{ 413, "What you sent is larger than this address accepts." },
	{ 414, "The address is too long." },
	{ 416, "The part you asked for lies outside the file." },
	{ 421, "This name is not served on this connection." },
	{ 429, "Too many requests. Please wait a moment and try again." },
	{ 431, "The request carries too much. Clearing this site's cookies may help." },
	{ 500, "Something went wrong on our side." },
	{ 502, "The application behind this page gave no usable answer. Please try again soon." },
	{ 503, "We are busy or under maintenance. Please try again soon." },
	{ 504, "The application behind this page took too long. Please try again soon." },
	{ 507, "There is no room left to store this." },
	{ 508, "This address leads back to itself." },
};

static const char *
errpage_advice(int status)
{
	for (size_t i = 0; i < sizeof(errpage_advices) / sizeof(*errpage_advices); i++)
		if (errpage_advices[i].status == status)
			return errpage_advices[i].text;
	return "";
}

/* Whether Accept names the media type itself, not only by a wildcard. */
static bool
errpage_names(struct str accept, struct str type)
{
	struct str item;

	while (str_list_next(&accept, &item))
		if (str_caseeq(str_trim(str_split(&item, ';')), type))
			return true;
	return false;
}

/* The quality of a type that the client names; 0 when it does not, for clients that take anything
   are mostly people with curl, who read text. */
static int
errpage_q(struct str accept, struct str type)
{
	return errpage_names(accept, type) ? accept_q(accept, type) : 0;
}

static enum form
errpage_form(struct request *r)
{
	struct str accept = accept_some(req_field_all(r, HF_ACCEPT));
	int html, json, problem;

	if (!accept.p)
		return FORM_TEXT;
	html = errpage_q(accept, STR("text/html"));
	json = errpage_q(accept, STR("application/json"));
	problem = errpage_q(accept, STR("application/problem+json"));
	json = problem > json ? problem : json;
	if (html == 0 && json == 0)
		return FORM_TEXT;
	return html >= json ? FORM_HTML : FORM_JSON;
}

/* The escape of one octet, NULL for those that stand for themselves. JSON: RFC 8259 7; octets that
   are not ASCII are replaced, for nothing says that they are UTF-8. */
static const char *
errpage_escape(enum form form, unsigned char c)
{
	if (c < ' ' || c > '~')
		return " ";
	if (form == FORM_HTML)
		return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '"' ? "&quot;" : NULL;
	if (form == FORM_JSON)
		return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
	return NULL;
}

static const char *
errpage_quote(struct arena *a, enum form form, const char *s)
{
	size_t n = s ? strnlen(s, ERRPAGE_WHY_MAX) : 0;
	char *dst, *p;

	p = dst = arena_alloc(a, n * strlen("&quot;") + 1);
	for (const char *end = s + n; s < end; s++) {
		const char *esc = errpage_escape(form, (unsigned char)*s);

		if (esc)
			p = stpcpy(p, esc);
		else
			*p++ = *s;
	}
	*p = '\0';
	return dst;
}

/* Everything inline: it must look right while the site itself does not work. Colours are custom
   properties so that both themes stand in one place. */
static const char errpage_html[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta name=\"robots\" content=\"noindex\">\n"
    "<title>%d %.*s</title>\n"
    "<style>\n"
    ":root{--paper:#fbfaf7;--ink:#26231e;--soft:#7a746a;--glow:#c8621b;color-scheme:light dark}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#1b1a18;--ink:#ece7dd;--soft:#958d80;"
    "--glow:#f2a65a}}\n"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);"
    "color:var(--ink);font:1.05rem/1.55 system-ui,sans-serif}\n"
    "main{max-width:34rem;padding:2rem}\n"
    "h1{margin:0;font-size:1.6rem;font-weight:600}\n"
    "h1 b{display:block;color:var(--glow);font-size:4rem;font-weight:300;line-height:1.1}\n"
    "small,pre{color:var(--soft);font-size:.8rem}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:3px solid var(--glow);"
    "padding-left:1em}\n"
    "</style>\n"
    "<main>\n"
    "<h1><b>%d</b>%.*s</h1>\n"
    "<p>%s</p>\n"
    "%s%s%s"
    "<small>Request <code>%016llx</code></small>\n"
    "</main>\n"
    "</html>\n";

static struct str
errpage_as_html(struct request *r, int status, const char *why)
{
	struct str reason = http_reason(status);

	return arena_printf(&r->arena, errpage_html, status, STR_FMT(reason), status,
	    STR_FMT(reason), errpage_advice(status), why ? "<pre>" : "",
	    errpage_quote(&r->arena, FORM_HTML, why), why ? "</pre>\n" : "",
	    (unsigned long long)r->id);
}

/* RFC 9457 3.1; request_id is an extension member (3.2). */
static struct str
errpage_as_json(struct request *r, int status, const char *why)
{
	const char *detail =
	    why ? errpage_quote(&r->arena, FORM_JSON, why) : errpage_advice(status);
	struct str reason = http_reason(status);

	return arena_printf(&r->arena,
	    "{\"type\":\"about:blank\",\"title\":\"%.*s\",\"status\":%d,%s%s%s"
	    "\"request_id\":\"%016llx\"}\n",
	    STR_FMT(reason), status, *detail ? "\"detail\":\"" : "", detail, *detail ? "\"," : "",
	    (unsigned long long)r->id);
}

static struct str
errpage_as_text(struct request *r, int status, const char *why)
{
	const char *detail =
	    why ? errpage_quote(&r->arena, FORM_TEXT, why) : errpage_advice(status);
	struct str reason = http_reason(status);

	return arena_printf(&r->arena, "%d %.*s\n%s%srequest %016llx\n", status, STR_FMT(reason),
	    detail, *detail ? "\n" : "", (unsigned long long)r->id);
}

static const struct errpage_form {
	struct str type;
	struct str (*make)(struct request *, int status, const char *why);
} errpage_forms[] = {
	[FORM_TEXT] = { STR_INIT("text/plain; charset=utf-8"), errpage_as_text },
	[FORM_HTML] = { STR_INIT("text/html; charset=utf-8"), errpage_as_html },
	[FORM_JSON] = { STR_INIT("application/problem+json"), errpage_as_json },
};

void
errpage_make(struct request *r, int status, const char *why, struct str *type, struct str *text)
{
	const struct errpage_form *form = &errpage_forms[errpage_form(r)];

	*type = form->type;
	*text = form->make(r, status, why);
}
