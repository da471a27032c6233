#include "modules/receive/conf.h"

#include <grp.h>
#include <sys/stat.h>
#include "common/config/conf.h"

#define AT(member) offsetof(struct receive_conf, member)

const struct cfg_opt receive_conf_opts[] = {
	{ "receive.directory", CFG_PATH, CFG_ANY | CFG_SHORT, AT(directory),
	    .help =
		"The directory that uploads are stored in; the worker's user has to be able "
		"to write it. PUT to a name below the route's path stores a file of that name, "
		"POST to the route's path one whose name the request says (Content-Disposition, "
		"or Upload-Metadata of tus), or a new one. A file is there when it is complete, "
		"and never before. Names are one segment, do not begin with a dot, and have "
		"neither controls nor slashes. What is not complete is kept in the directory "
		"\".uploads\" beneath it. Reading is the files module's: give the route an "
		"alias where visitors may see what was stored. Whoever can reach the route can "
		"store: protect it with auth, access or signed_links.",
	    .example = "{ path = \"/drop/\"; receive = \"/srv/drop\"; }" },
	{ "receive.max_size", CFG_SIZE, CFG_ANY, AT(max_size), .min = 1, .def = "1G",
	    .max = INT64_C(1) << 49,
	    .help = "The largest file; a larger one gets 413. One request has no more than "
		    "max_body, so that larger files come in several (resumable)." },
	{ "receive.quota", CFG_SIZE, CFG_ANY, AT(quota), .min = 0, .def = "0",
	    .max = INT64_C(1) << 60,
	    .help = "What the directory may hold, unfinished uploads with the size that they have "
		    "announced; beyond it the answer is 507. 0: no limit but the disk's." },
	{ "receive.overwrite", CFG_BOOL, CFG_ANY, AT(overwrite), .def = "false",
	    .help = "Whether an upload takes the place of a file that is there. Without it the "
		    "answer is 409." },
	{ "receive.delete", CFG_BOOL, CFG_ANY, AT(delete), .def = "false",
	    .help = "Whether DELETE removes a stored file." },
	{ "receive.mode", CFG_STR, CFG_ANY | CFG_NONEMPTY, AT(mode_text), .def = "0640",
	    .help = "The mode of stored files, in octal. They are never executable." },
	{ "receive.group", CFG_STR, CFG_ANY, AT(group),
	    .help = "The group of stored files, one that the worker's user is in." },
	{ "receive.resumable", CFG_BOOL, CFG_ANY, AT(resumable), .def = "true",
	    .help = "Whether uploads can go on after they broke off: by tus 1.0, and by the "
		    "IETF's draft for resumable uploads (interop versions 8 and 6)." },
	{ "receive.expires", CFG_TIME, CFG_ANY, AT(expires), .min = 1000,
	    .max = INT64_C(31536000000), .def = "1d",
	    .help = "When an unfinished upload is removed that nothing came for." },
	{ "receive.append_min", CFG_SIZE, CFG_ANY, AT(append_min), .min = 0, .def = "0",
	    .max = INT64_C(1) << 40,
	    .help = "The least that a request adds to an upload by the IETF's draft, but for the "
		    "last one and an empty first one." },
	{ "receive.append_max", CFG_SIZE, CFG_ANY, AT(append_max), .min = 0, .def = "0",
	    .max = INT64_C(1) << 49,
	    .help = "The most that a request adds to an upload by the IETF's draft. 0: max_body." },
	{ "receive.sync", CFG_BOOL, CFG_ANY, AT(sync), .def = "true",
	    .help = "Whether what clients are told to be stored has reached the disk, so that it "
		    "is there also after the machine has failed. Without it, it outlives the "
		    "server's processes only." },
	{ 0 },
};

static void
conf_check_mode(struct receive_conf *c, struct cfg_check *check)
{
	unsigned mode = 0;

	for (size_t i = 0; i < c->mode_text.n; i++) {
		unsigned digit = (unsigned)c->mode_text.p[i] - '0';

		mode = digit < 8 && mode < 01000 ? mode << 3 | digit : 07777;
	}
	if (mode > 0777 || mode & 0111 || (mode & 0600) != 0600)
		cfg_error(check, "receive.mode", -1, "receive: { mode = \"0640\"; };",
		    "\"%.*s\" is no mode of a file that its owner may read and write and nobody "
		    "run",
		    STR_FMT(c->mode_text));
	c->mode = mode;
}

static void
conf_check_group(struct receive_conf *c, struct cfg_check *check)
{
	struct group *group;

	c->gid = -1;
	if (c->group.n == 0)
		return;
	group = getgrnam(c->group.p);
	if (!group)
		cfg_error(check, "receive.group", -1, NULL, "there is no group \"%.*s\"",
		    STR_FMT(c->group));
	else
		c->gid = (int64_t)group->gr_gid;
}

void
receive_conf_check(void *conf, struct cfg_check *check)
{
	struct receive_conf *c = conf;
	const struct route *route = cfg_route(check);
	struct stat st;

	if (c->directory.n == 0)
		return;
	conf_check_mode(c, check);
	conf_check_group(c, check);
	if (route && route->kind != ROUTE_PREFIX)
		cfg_error(check, "receive.directory", -1, "{ path = \"/drop/\"; receive = …; }",
		    "uploads are received below a path that is a prefix");
	if (c->append_max > 0 && c->append_min > c->append_max)
		cfg_error(check, "receive.append_min", -1, NULL,
		    "'append_min' is more than 'append_max'");
	if (stat(c->directory.p, &st) < 0 || !S_ISDIR(st.st_mode))
		cfg_warning(check, "receive.directory", -1, NULL, "%.*s is no directory yet",
		    STR_FMT(c->directory));
}
