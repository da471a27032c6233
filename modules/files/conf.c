/*
 * The options of the files module and their check.
 */
#include "modules/files/conf.h"

#include <sys/stat.h>
#include "common/base/http.h"
#include "common/base/must.h"

const struct files_coding_info files_codings[CODING_MAX] = {
	[CODING_IDENTITY] = { STR_INIT("identity"), STR_INIT("") },
	[CODING_BR] = { STR_INIT("br"), STR_INIT(".br") },
	[CODING_ZSTD] = { STR_INIT("zstd"), STR_INIT(".zst") },
	[CODING_GZIP] = { STR_INIT("gzip"), STR_INIT(".gz") },
};

static const char *const files_conf_links[] = { "beneath", "owner", "none", "all", NULL };
static const char *const files_conf_sorts[] = { "name", "size", "time", NULL };

#define AT(member) offsetof(struct files_conf, member)

const struct cfg_opt files_conf_opts[] = {
	{ .name = "root",
	    .type = CFG_PATH,
	    .where = CFG_ANY | CFG_NONEMPTY,
	    .offset = AT(root),
	    .help = "The directory that files are served from: the whole path of the request is "
		    "looked up in it. Nothing outside it is reachable. When the directory is "
		    "renamed, or a symbolic link to it switched to another one, requests see the "
		    "new directory within a second. \"$host\" in it stands for the host name "
		    "asked for, in lower case: one site with host = \"*\" then serves as many "
		    "hosts as there are directories, new ones at once; a host without one gets "
		    "404.",
	    .example = "root = \"/srv/www/example.org\";\nroot = \"/srv/www/$host/htdocs\";" },
	{ .name = "alias",
	    .type = CFG_PATH,
	    .where = CFG_ROUTE | CFG_NONEMPTY,
	    .offset = AT(alias),
	    .help = "Like root, but this directory takes the place of the route's path: the rest "
		    "of the request's path is looked up in it. In a route for one exact path it "
		    "is the file itself. It goes before root.",
	    .example = "{ path = \"/icons/\"; alias = \"/usr/share/icons\"; }" },
	{ .name = "index",
	    .type = CFG_STRS,
	    .where = CFG_ANY,
	    .offset = AT(index),
	    .def = "index.html",
	    .help = "Names of files that answer for a directory; the first that is there does. "
		    "When another route is responsible for the file (index.php, say), that route "
		    "answers.",
	    .example = "index = [\"index.php\", \"index.html\"];" },
	{ .name = "try",
	    .type = CFG_STRS,
	    .where = CFG_ANY,
	    .offset = AT(try),
	    .help = "What to look for, in this order, in place of the request's path: the first "
		    "file that is there is served. \"$path\" is the request's path. An element "
		    "that ends with \"/\" is found when it is a directory with an index file (or "
		    "listing is on). The last element is not looked for: it is either a path "
		    "where the request starts over, keeping its query unless it has its own "
		    "(\"$query\" is the original one), or \"=404\" or another status to answer "
		    "with.",
	    .example = "try = [\"$path\", \"$path/index.html\", \"/index.php\"];" },
	{ .name = "listing.enabled",
	    .type = CFG_BOOL,
	    .where = CFG_ANY | CFG_SHORT,
	    .offset = AT(listing),
	    .def = "false",
	    .help = "Whether a directory without an index file is answered with a list of what is "
		    "in it: as a page, or as JSON for clients that prefer application/json or ask "
		    "with ?format=json. Without it the answer is 403.",
	    .example = "listing = true;" },
	{ .name = "listing.sort",
	    .type = CFG_ENUM,
	    .where = CFG_ANY,
	    .offset = AT(listing_sort),
	    .names = files_conf_sorts,
	    .def = "name",
	    .help = "The order of a listing when the client does not ask for one by ?sort=name, "
		    "size or time (and &order=desc). Times and sizes begin with the newest and the "
		    "largest." },
	{ .name = "listing.hide",
	    .type = CFG_STRS,
	    .where = CFG_ANY,
	    .offset = AT(listing_hide),
	    .help = "Shell patterns of names that listings leave out. The files can still be "
		    "fetched by who knows their names.",
	    .example = "listing: { enabled = true; hide = [\"*~\", \"*.bak\"]; };" },
	{ .name = "listing.max",
	    .type = CFG_INT,
	    .where = CFG_ANY,
	    .offset = AT(listing_max),
	    .min = 1,
	    .max = 1000000,
	    .def = "10000",
	    .help = "The most entries that a listing shows; it says so when there are more. Bounds "
		    "the memory and time that one listing takes." },
	{ .name = "hidden",
	    .type = CFG_BOOL,
	    .where = CFG_ANY,
	    .offset = AT(hidden),
	    .def = "false",
	    .help = "Whether names that begin with a dot are served and listed. Without it they "
		    "answer 404, but for /.well-known/." },
	{ .name = "scripts_as_text",
	    .type = CFG_BOOL,
	    .where = CFG_ANY,
	    .offset = AT(scripts_as_text),
	    .def = "false",
	    .help = "Whether files are sent that a gateway of the same site would run: names that "
		    "end as its scripts do (gateway.split, and what its routes name), in any case "
		    "of letters, and their copies such as x.php.bak, x.php~ and x.php.gz. Without "
		    "it they answer 404, and a line in the error log says so, because a route "
		    "without the gateway would hand out an application's source and passwords.",
	    .example = "{ path = \"/snippets/\"; gateway = \"off\"; scripts_as_text = true; }" },
	{ .name = "symlinks",
	    .type = CFG_ENUM,
	    .where = CFG_ANY,
	    .offset = AT(symlinks),
	    .names = files_conf_links,
	    .def = "beneath",
	    .help = "Which symbolic links below root are followed. \"beneath\": relative ones that "
		    "stay inside root. \"owner\": wherever they lead, when the link and what it "
		    "points to have the same owner. \"none\": none. \"all\": all, wherever they "
		    "lead; only where nobody but you can make links. root itself may always be a "
		    "link." },
	{ .name = "precompressed",
	    .type = CFG_STRS,
	    .where = CFG_ANY,
	    .offset = AT(precompressed),
	    .def = "br zstd gzip",
	    .help = "Content codings for which a compressed sibling of a file (name.br, name.zst, "
		    "name.gz) is sent to clients that accept it. The order decides between codings "
		    "that a client likes equally. A sibling older than its file is not used; a new "
		    "one is noticed within ten seconds. An empty list turns this off.",
	    .example = "precompressed = [\"gzip\"];" },
	{ .name = "charset",
	    .type = CFG_STR,
	    .where = CFG_ANY,
	    .offset = AT(charset),
	    .def = "utf-8",
	    .help = "Added to the Content-Type of text files; \"\" adds none." },
	{ .name = "types",
	    .type = CFG_STRS,
	    .where = CFG_ANY | CFG_MERGE,
	    .offset = AT(types),
	    .help = "Media types by extension, before all that is known otherwise. \"*\" stands "
		    "for names that nothing is known about.",
	    .example = "types = [\"gmi text/gemini\", \"* text/plain\"];" },
	{ .name = "mime_types",
	    .type = CFG_PATH,
	    .where = CFG_ANY,
	    .offset = AT(mime_types),
	    .def = "/etc/mime.types",
	    .help = "A file with media types and their extensions, for those that the built-in "
		    "table does not have. Read when the configuration is loaded." },
	{ .name = "etag",
	    .type = CFG_BOOL,
	    .where = CFG_ANY,
	    .offset = AT(etag),
	    .def = "true",
	    .help = "Whether files are sent with an ETag. It is made from the time of modification "
		    "(to the nanosecond) and the size, so that identical copies on several servers "
		    "have the same one if the time was copied too." },
	{ .name = "max_ranges",
	    .type = CFG_INT,
	    .where = CFG_ANY,
	    .offset = AT(max_ranges),
	    .min = 0,
	    .max = 16,
	    .def = "16",
	    .help = "The most ranges that one request may ask for; with more it gets the whole "
		    "file. 0 turns ranges off." },
	{ .name = "file_cache.max_size",
	    .type = CFG_SIZE,
	    .where = CFG_SERVER,
	    .offset = AT(cache_size),
	    .min = 0,
	    .max = INT64_C(1) << 40,
	    .def = "64M",
	    .help = "The memory that each worker may use for small files. 0 turns the cache off." },
	{ .name = "file_cache.max_file",
	    .type = CFG_SIZE,
	    .where = CFG_SERVER,
	    .offset = AT(cache_file),
	    .min = 0,
	    .max = 1 << 20,
	    .def = "64k",
	    .help = "Files up to this size are kept in memory; of larger ones the open descriptor. "
		    "Files are read in the event loop, so a slow disk delays others by as much." },
	{ .name = "file_cache.max_files",
	    .type = CFG_INT,
	    .where = CFG_SERVER,
	    .offset = AT(cache_files),
	    .min = 0,
	    .max = 10000000,
	    .def = "10000",
	    .help = "How many files each worker keeps; of names that do not exist, and of open "
		    "files, it keeps fewer." },
	{ .name = "file_cache.valid",
	    .type = CFG_TIME,
	    .where = CFG_SERVER,
	    .offset = AT(cache_valid),
	    .min = 0,
	    .max = 60000,
	    .def = "1s",
	    .help = "How long a cached file is served without looking whether it has changed." },
	{ .type = CFG_END },
};

static void
files_conf_codings(struct files_conf *c, struct cfg_check *ck)
{
	c->ncodings = 0;
	for (size_t i = 0; i < c->precompressed.n; i++) {
		unsigned k = CODING_BR;

		while (k < CODING_MAX && !str_eq(files_codings[k].name, c->precompressed.v[i]))
			k++;
		if (k == CODING_MAX)
			cfg_error(ck, "precompressed", (int)i, "\"br\", \"zstd\" or \"gzip\"",
			    "unknown content coding \"%.*s\"", STR_FMT(c->precompressed.v[i]));
		else if (memchr(c->codings, (int)k, c->ncodings))
			cfg_error(ck, "precompressed", (int)i, NULL, "\"%.*s\" stands here twice",
			    STR_FMT(c->precompressed.v[i]));
		else
			c->codings[c->ncodings++] = (uint8_t)k;
	}
}

static void
files_conf_rules(struct files_conf *c, struct cfg_check *ck)
{
	const char *why;

	c->rules = (struct mime_rules){ NULL, 0 };
	for (size_t i = 0; i < c->types.n; i++)
		if (!mime_rules_add(&c->rules, ck->arena, c->types.v[i], &why))
			cfg_error(ck, "types", (int)i, why, "\"%.*s\" is no media type",
			    STR_FMT(c->types.v[i]));
}

static void
files_conf_index(struct files_conf *c, struct cfg_check *ck)
{
	for (size_t i = 0; i < c->index.n; i++)
		if (!c->index.v[i].n || str_find(c->index.v[i], '/') >= 0)
			cfg_error(ck, "index", (int)i, "for other directories see try",
			    "an index file is a name without \"/\"");
}

/* "=404" */
static bool
files_conf_status(struct str s, int *status)
{
	uint64_t v;

	if (s.n != 4 || s.p[0] != '=' || !str_to_u64(str_n(s.p + 1, 3), 599, &v) || v < 400)
		return false;
	*status = (int)v;
	return true;
}

static bool
files_conf_template(struct template *t, struct cfg_check *ck, struct str text, int index)
{
	const char *why = NULL, *hint = NULL;

	if (!template_compile(t, ck->arena, text, 0, &why, &hint)) {
		cfg_error(ck, "try", index, hint, "%s", why);
		return false;
	}
	if (t->vars & ~(1u << VAR_PATH | 1u << VAR_QUERY)) {
		cfg_error(ck, "try", index, NULL, "only $path and $query can stand here");
		return false;
	}
	return true;
}

static void
files_conf_try(struct files_conf *c, struct cfg_check *ck, size_t i)
{
	struct str text = c->try.v[i], path = text;
	struct files_try *t = &c->tries[i];
	bool is_last = i + 1 == c->try.n;
	ptrdiff_t mark = str_find(text, '?');

	if (is_last && files_conf_status(text, &t->status))
		return;
	if (text.n && text.p[0] == '=') {
		cfg_error(ck, "try", (int)i, "\"=404\", as the last element",
		    is_last ? "a status is 400 to 599" : "a status can only be the last element");
		return;
	}
	if (!str_has_prefix(text, STR("/")) && !str_has_prefix(text, STR("$path")) &&
	    !str_has_prefix(text, STR("${path}"))) {
		cfg_error(ck, "try", (int)i, NULL, "a path begins with \"/\" or \"$path\"");
		return;
	}
	if (mark >= 0 && is_last) {
		path.n = (size_t)mark;
		t->has_query = files_conf_template(
		    &t->query, ck, str_n(text.p + mark + 1, text.n - (size_t)mark - 1), (int)i);
	}
	files_conf_template(&t->path, ck, path, (int)i);
}

/* A root for each host name: nothing else that a client sends may stand in it. */
static void
files_conf_root_of_host(struct files_conf *c, struct cfg_check *ck)
{
	const char *why = NULL, *hint = NULL;

	c->root_of_host = (struct template){ 0 };
	if (str_find(c->root, '$') < 0)
		return;
	if (!template_compile(&c->root_of_host, ck->arena, c->root, 0, &why, &hint))
		cfg_error(ck, "root", -1, hint, "%s", why);
	else if (c->root_of_host.vars & ~(1u << VAR_HOST))
		cfg_error(ck, "root", -1, NULL, "only $host can stand here");
}

static void
files_conf_root(struct str path, const char *option, struct cfg_check *ck)
{
	struct stat st;

	if (path.n && cfg_is_set(ck, option) && stat(path.p, &st) < 0)
		cfg_warning(ck, option, -1, "requests get 404 until it is there",
		    "%s does not exist or is not accessible", path.p);
}

void
files_conf_check(void *conf, struct cfg_check *ck)
{
	struct files_conf *c = conf;

	files_conf_codings(c, ck);
	files_conf_rules(c, ck);
	files_conf_index(c, ck);
	files_conf_root_of_host(c, ck);
	if (c->root_of_host.n == 0)
		files_conf_root(c->root, "root", ck);
	files_conf_root(c->alias, "alias", ck);
	if (c->charset.n && (!http_is_token(c->charset) || c->charset.n > 64))
		cfg_error(ck, "charset", -1, "\"utf-8\"", "not the name of a character set");
	c->ntries = c->try.n;
	c->tries = c->ntries ? arena_calloc(ck->arena, c->ntries * sizeof(*c->tries)) : NULL;
	for (size_t i = 0; i < c->ntries; i++)
		files_conf_try(c, ck, i);
}

bool
files_conf_is_active(const void *conf)
{
	const struct files_conf *c = conf;

	return c->root.n || c->alias.n;
}
