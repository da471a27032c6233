#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_rewrite(void);

/* The answer's field X tells where the request arrived. */
#define TELL "headers: { set = [ \"X: $path|$query|$raw_path\" ]; }; respond = \"ok\";"

static const char wiki[] =
    TELL "rewrite = ( { match = \"^/wiki/(.*)$\"; to = \"/index.php?title=$1\"; } );";
static const char keep[] = TELL "rewrite = ( { match = \"^/old/(.*)$\"; to = \"/new/$1\"; } );";
static const char both[] =
    TELL "rewrite = ( { match = \"^/p/(.*)$\"; to = \"/i?p=$1&$query\"; } );";
static const char chain[] =
    TELL "rewrite = ( { match = \"^/a$\"; to = \"/b\"; }, "
	 "{ match = \"^/b$\"; to = \"/c?x\"; }, { match = \"^/c$\"; to = \"/d\"; } );";
static const char last[] = TELL "rewrite = ( { match = \"^/a$\"; to = \"/b\"; last = true; }, "
				"{ match = \"^/b$\"; to = \"/c\"; } );";
static const char self[] = TELL "rewrite = ( { match = \"^/(.*)$\"; to = \"/x/$1\"; } );";
static const char routes[] =
    TELL "rewrite = ( { match = \"^/one/(.*)$\"; to = \"/two/$1\"; } ); routes = ( "
	 "{ path = \"/two\"; rewrite = ( { match = \"^/two/(.*)$\"; to = \"/three/$1\"; } ); }, "
	 "{ path = \"/four\"; rewrite = (); } );";
static const char circle[] =
    TELL "routes = ( "
	 "{ path = \"/a\"; rewrite = ( { match = \"^/a\"; to = \"/b\"; } ); }, "
	 "{ path = \"/b\"; rewrite = ( { match = \"^/b\"; to = \"/a\"; } ); } );";
static const char up[] = TELL "rewrite = ( { match = \"^/up/(.*)$\"; to = \"/x/$1\"; }, "
			      "{ match = \"^/out/(.*)$\"; to = \"/../$1\"; } );";
static const char guard[] =
    TELL "rewrite = ( { match = \"^/public/(.*)$\"; to = \"/secret/$1\"; } ); routes = ( "
	 "{ path = \"/secret\"; access: { deny = \"all\"; }; } );";

static const char uri[] = "headers: { set = \"X: $uri|$query\"; }; respond = \"ok\"; "
			  "rewrite: { match = \"^/a\"; to = \"/b?new\"; };";

static const struct row rewrite_rows[] = {
	{ uri, .target = "/a?old", .status = 200, .name = "X", .value = "/a?old|new" },
	{ wiki, .target = "/wiki/Main", .status = 200, .name = "X",
	    .value = "/index.php|title=Main|/wiki/Main" },
	{ wiki, .target = "/wiki/A%26b=c%3F%20d?action=edit", .status = 200, .name = "X",
	    .value = "/index.php|title=A%26b%3Dc%3F%20d|/wiki/A%26b=c%3F%20d" },
	{ wiki, .target = "/wik", .status = 200, .name = "X", .value = "/wik||/wik" },
	{ keep, .target = "/old/x?q=1", .status = 200, .name = "X", .value = "/new/x|q=1|/old/x" },
	{ keep, .target = "/old/x%3Fy", .status = 200, .name = "X",
	    .value = "/new/x?y||/old/x%3Fy" },
	{ both, .target = "/p/x?q=1", .status = 200, .name = "X", .value = "/i|p=x&q=1|/p/x" },
	{ chain, .target = "/a?q", .status = 200, .name = "X", .value = "/d|x|/a" },
	{ chain, .target = "/c?q", .status = 200, .name = "X", .value = "/d|q|/c" },
	{ last, .target = "/a", .status = 200, .name = "X", .value = "/b||/a" },
	{ last, .target = "/b", .status = 200, .name = "X", .value = "/c||/b" },
	{ self, .target = "/y", .status = 200, .name = "X", .value = "/x/y||/y" },
	{ routes, .target = "/one/y", .status = 200, .name = "X", .value = "/three/y||/one/y" },
	{ routes, .target = "/four/one/", .status = 200, .name = "X",
	    .value = "/four/one/||/four/one/" },
	{ circle, .target = "/a", .status = 508 },
	{ up, .target = "/up//z", .status = 200, .name = "X", .value = "/x/z||/up//z" },
	{ up, .target = "/out/z", .status = 400 },
	{ guard, .target = "/public/x", .status = 403 },
};

START_TEST(rows)
{
	rows_check(NULL, &rewrite_rows[_i]);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "rewrite = ( { match = \"^/x\"; } );", "'to'", NULL },
	{ "rewrite = ( { to = \"/x\"; } );", "'match'", NULL },
	{ "rewrite = ( { match = \"^/(x)\"; to = \"/$2\"; } );", "$2", "captures only 1" },
	{ "rewrite = ( { match = \"^/x\"; to = \"https://example.org/\"; } );", "begins with \"/\"",
	    "redirect" },
	{ "rewrite = ( { match = \"^/x\"; to = \"/y?$qeury\"; } );", "$qeury", "\"$query\"" },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_rewrite(void)
{
	Suite *s = suite_create("rewrite");
	TCase *t = tcase_create("rewrite");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(rewrite_rows));
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}
