#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "master/base/ctlpath.h"

Suite *suite_ctlpath(void);

/* What a client finds in a file, broken or not. "@" is the file's directory. */
static const struct {
	const char *text, *path;
} file_rows[] = {
	{ "server: { control = \"/run/x.sock\"; };\n", "/run/x.sock" },
	{ "server: {\n\tcontrol=\"/run/x.sock\";\n\tlistn = 1;\n};\n", "/run/x.sock" },
	{ "server: { control : \"/run/x.sock\"; }; nonsense", "/run/x.sock" },
	{ "server: { control = \"x.sock\"; }; nonsense", "@/x.sock" },
	{ "# control = \"/no.sock\";\nserver: { control = \"/run/x.sock\" nonsense",
	    "/run/x.sock" },
	{ "server: { x_control = \"/no.sock\"; control = \"/run/x.sock\"; ", "/run/x.sock" },
	{ "server: { control = 1; };\n", "" },
	{ "nonsense", "" },
	{ "control", "" },
	{ "control = \"", "" },
};

START_TEST(test_configured)
{
	char dir[] = "/tmp/argand-ctlpath-XXXXXX", file[64], room[256], want[128] = "";
	struct str found;
	FILE *f;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/argand.conf", dir);
	f = fopen(file, "w");
	ck_assert_ptr_nonnull(f);
	fputs(file_rows[_i].text, f);
	fclose(f);
	found = ctlpath_configured(file, room, sizeof(room));
	if (file_rows[_i].path[0] == '@')
		snprintf(want, sizeof(want), "%s%s", dir, file_rows[_i].path + 1);
	else
		snprintf(want, sizeof(want), "%s", file_rows[_i].path);
	unlink(file);
	rmdir(dir);
	ck_assert_msg(str_eq(found, str_of(want)), "\"%.*s\", wanted \"%s\"", STR_FMT(found), want);
}
END_TEST

START_TEST(test_candidates)
{
	char path[256];

	ck_assert(ctlpath_candidate(STR("/run/x.sock"), 0, path, sizeof(path)));
	ck_assert_str_eq(path, "/run/x.sock");
	/* What was asked for is not replaced by something else. */
	ck_assert(!ctlpath_candidate(STR("/run/x.sock"), 1, path, sizeof(path)));
	ck_assert(ctlpath_candidate((struct str){ NULL, 0 }, 0, path, sizeof(path)));
	ck_assert_ptr_nonnull(strstr(path, "/control.sock"));
	ck_assert(!ctlpath_candidate((struct str){ NULL, 0 }, 3, path, sizeof(path)));
}
END_TEST

Suite *
suite_ctlpath(void)
{
	Suite *s = suite_create("ctlpath");
	TCase *t = tcase_create("ctlpath");

	tcase_add_loop_test(t, test_configured, 0, sizeof(file_rows) / sizeof(file_rows[0]));
	tcase_add_test(t, test_candidates);
	suite_add_tcase(s, t);
	return s;
}
