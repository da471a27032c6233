/*
 * Upload progress: options and hooks. The table is in the segment (common/segment/progress.h), so
 * that any worker answers for any upload.
 */
#include "common/segment/progress.h"
#include "modules/progress/report.h"
#include "modules/progress/tick.h"
#include "modules/progress/track.h"

enum { SECRET_LEAST = 16 };

#define PROGRESS(member) .offset = offsetof(struct progress_conf, member)

static const struct cfg_opt progress_opts[] = {
	{ .name = "progress.enabled",
	    .type = CFG_BOOL,
	    .where = CFG_ANY | CFG_SHORT,
	    PROGRESS(is_tracked),
	    .def = "false",
	    .help =
		"Track uploads: requests with a body and an ID, of any method. The ID is 1 to 128 "
		"characters of A-Z, a-z, 0-9, \"_\" and \"-\", which the client chooses at random: "
		"in the field X-Progress-ID, else in the query argument of that name, else as the "
		"last segment of the path behind the route's path (below \"/\" and in expressions "
		"only from 16 characters on). Octets of content are counted as they come, whatever "
		"handles the request. See Upload progress.",
	    .example = "{ path = \"/upload\"; gateway = \"app\"; progress = true; }" },
	{ .name = "progress.report",
	    .type = CFG_BOOL,
	    .where = CFG_ROUTE,
	    PROGRESS(is_report),
	    .def = "false",
	    .help = "Answer with how far an upload to this site is, whichever worker has it. The "
		    "request names the ID as the upload does.",
	    .example = "{ path = \"/progress\"; progress: { report = true; }; }" },
	{ .name = "progress.format",
	    .type = CFG_ENUM,
	    .where = CFG_ANY,
	    PROGRESS(form),
	    .def = "json",
	    .names = progress_forms,
	    .help =
		"The form of reports where the request does not say \"?format=\" or \"Accept: "
		"text/event-stream\". json: a JSON object; jsonp: the same as the argument of the "
		"function that the argument \"callback\" names (\"progress\" if it does not); sse: "
		"a "
		"live stream of the same (Server-Sent Events); xml: as lighttpd 1.4; lighttpd: as "
		"lighttpd 1.5; nginx, nginx-object, nginx-jsonp: as nginx's upload progress module "
		"with its output of JSON, of an object for Java, and of JSONP.",
	    .example = "progress: { report = true; format = \"nginx-jsonp\"; };" },
	{ .name = "progress.keep",
	    .type = CFG_TIME,
	    .where = CFG_ANY,
	    PROGRESS(keep),
	    .min = 1000,
	    .max = PROGRESS_KEEP_MAX,
	    .def = "1m",
	    .help = "How long the end of an upload is told after it.",
	    .example = "progress: { enabled = true; keep = \"5m\"; };" },
	{ .name = "progress.secret",
	    .type = CFG_STR,
	    .where = CFG_ANY | CFG_SECRET,
	    PROGRESS(secret),
	    .help = "What a request for a report must say besides the ID, in the field "
		    "X-Progress-Secret "
		    "or the argument \"secret\" (which access logs have): letters, digits and "
		    "\"-._~\". "
		    "For pages that an application makes for whoever may read reports.",
	    .example = "progress: { report = true; secret = \"0b4c97b2f1de4c6a\"; };" },
	{ .name = "progress.origins",
	    .type = CFG_STRS,
	    .where = CFG_ANY | CFG_NONEMPTY,
	    PROGRESS(origins),
	    .help = "Origins whose pages may read reports though they come from another one "
		    "(CORS): \"https://app.example\", or \"*\".",
	    .example = "progress: { report = true; origins = [ \"https://app.example\" ]; };" },
	{ .name = PROGRESS_UPLOADS_OPTION,
	    .type = CFG_INT,
	    .where = CFG_SERVER,
	    PROGRESS(uploads),
	    .min = 16,
	    .max = PROGRESS_MOST,
	    .def = "1024",
	    .help =
		"Room for so many uploads at least, those that have just ended included. When "
		"there is none left, the one whose end is longest ago is forgotten; an upload for "
		"which there is no room at all is not tracked, and counted (uploads_missed).",
	    .example = "server: { progress: { uploads = 10000; }; };" },
	{ .type = CFG_END },
};

/* What can stand in a query as it is (RFC 3986 2.3). */
static bool
progress_is_unreserved(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((unsigned)str_lower(c) - 'a' >= 26 && (unsigned)c - '0' >= 10 && c != '-' &&
		    c != '.' && c != '_' && c != '~')
			return false;
	}
	return true;
}

/* "null" is what pages without an origin say: nobody's. */
static bool
progress_is_origin(struct str s)
{
	const char *host = s.n ? memmem(s.p, s.n, "://", 3) : NULL;
	struct str rest;

	if (str_eq(s, STR("*")))
		return true;
	if (!host || host == s.p)
		return false;
	rest = str_n(host + 3, s.n - (size_t)(host + 3 - s.p));
	return rest.n > 0 && str_find(rest, '/') < 0 && str_find(rest, ' ') < 0;
}

static void
progress_check(void *conf, struct cfg_check *c)
{
	struct progress_conf *p = conf;

	if (!progress_is_unreserved(p->secret))
		cfg_error(c, "progress.secret", -1, "use letters, digits and \"-._~\"",
		    "the secret has characters that cannot stand in a query as they are");
	else if (p->secret.n > 0 && p->secret.n < SECRET_LEAST)
		cfg_warning(c, "progress.secret", -1, "take 16 random characters or more",
		    "the secret is short enough to be guessed");
	for (size_t i = 0; i < p->origins.n; i++)
		if (!progress_is_origin(p->origins.v[i]))
			cfg_error(c, "progress.origins", (int)i,
			    "write \"https://host\" or \"https://host:port\", without a path, or "
			    "\"*\"",
			    "\"%.*s\" is no origin", STR_FMT(p->origins.v[i]));
}

static bool
progress_active(const void *conf)
{
	const struct progress_conf *p = conf;

	return p->is_tracked || p->is_report;
}

static struct module_takes
progress_takes(const void *conf)
{
	return (struct module_takes){ .is_all = ((const struct progress_conf *)conf)->is_report };
}

static int
progress_start(const struct conf *conf, struct worker *w)
{
	(void)conf;
	tick_start(w);
	return 0;
}

static void
progress_stop(struct worker *w)
{
	(void)w;
	tick_stop();
}

static enum verdict
progress_access(struct request *r, const void *conf)
{
	const struct progress_conf *p = conf;

	if (p->is_tracked && !p->is_report)
		track_begin(r, p);
	return NEXT;
}

static enum verdict
progress_handle(struct request *r, const void *conf)
{
	const struct progress_conf *p = conf;

	if (!p->is_report)
		return NEXT;
	report_answer(r, p);
	return MINE;
}

static void
progress_log(struct request *r, const void *conf)
{
	const struct progress_conf *p = conf;

	if (p->is_tracked && !p->is_report)
		track_refused(r, p);
}

const struct module module_progress = {
	.name = "progress",
	.help = "How far uploads are, told by any worker.",
	.opts = progress_opts,
	.conf_size = sizeof(struct progress_conf),
	.check = progress_check,
	.active = progress_active,
	.takes = progress_takes,
	.start = progress_start,
	.stop = progress_stop,
	.access = progress_access,
	.handle = progress_handle,
	.log = progress_log,
};
