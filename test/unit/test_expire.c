#include <stdio.h>
#include "common/base/clock.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"

Suite *suite_expire(void);

#define CC "Cache-Control"

static const char day[] = "respond = \"ok\"; expire = \"1d\";";
static const char ever[] = "respond = \"ok\"; expire: { default = \"1y\"; immutable = true; };";
static const char zero[] = "respond = \"ok\"; expire = \"0s\";";
static const char ask[] = "respond = \"ok\"; expire = \"no-cache\";";
static const char never[] = "respond = \"ok\"; expire = \"no-store\";";
static const char off[] =
    "respond = \"ok\"; expire = \"1h\"; routes = ( { path = \"/off\"; expire = \"off\"; } );";
static const char types[] =
    "expire: { default = \"1h\"; types = ( { type = \"image/*\"; for = \"30d\"; "
    "immutable = true; }, { type = \"text/css\"; for = \"7d\"; }, "
    "{ type = \"text/plain\"; for = \"off\"; } ); }; routes = ( "
    "{ path = \"/png\"; respond: { body = \"x\"; type = \"image/png\"; }; }, "
    "{ path = \"/css\"; respond: { body = \"x\"; type = \"TEXT/CSS; charset=utf-8\"; }; }, "
    "{ path = \"/csv\"; respond: { body = \"x\"; type = \"text/cssx\"; }; }, "
    "{ path = \"/imag\"; respond: { body = \"x\"; type = \"imag\"; }; }, "
    "{ path = \"/304\"; respond: { status = 304; }; }, "
    "{ path = \"/txt\"; respond = \"x\"; } );";
static const char said[] =
    "respond = \"ok\"; expire = \"1d\"; headers: { set = \"Cache-Control: private\"; };";
static const char missing[] = "access: { deny = \"all\"; }; expire = \"1d\";";
static const char moved[] = "redirect = \"/x\"; expire = \"1d\";";

static const struct row expire_rows[] = {
	{ day, .status = 200, .name = CC, .value = "max-age=86400" },
	{ day, .method = "HEAD", .status = 200, .name = CC, .value = "max-age=86400" },
	{ day, .method = "POST", .status = 200, .name = CC, .value = NULL },
	{ ever, .status = 200, .name = CC, .value = "max-age=31536000, immutable" },
	{ zero, .status = 200, .name = CC, .value = "max-age=0" },
	{ ask, .status = 200, .name = CC, .value = "no-cache" },
	{ ask, .status = 200, .name = "Expires", .value = NULL },
	{ never, .status = 200, .name = CC, .value = "no-store" },
	{ off, .status = 200, .name = CC, .value = "max-age=3600" },
	{ off, .target = "/off", .status = 200, .name = CC, .value = NULL },
	{ types, .target = "/png", .status = 200, .name = CC,
	    .value = "max-age=2592000, immutable" },
	{ types, .target = "/css", .status = 200, .name = CC, .value = "max-age=604800" },
	{ types, .target = "/csv", .status = 200, .name = CC, .value = "max-age=3600" },
	{ types, .target = "/imag", .status = 200, .name = CC, .value = "max-age=3600" },
	{ types, .target = "/txt", .status = 200, .name = CC, .value = NULL },
	{ types, .target = "/304", .status = 304, .name = CC, .value = NULL },
	{ said, .status = 200, .name = CC, .value = "private" },
	{ said, .status = 200, .name = "Expires", .value = NULL },
	{ missing, .status = 403, .name = CC, .value = NULL },
	{ moved, .status = 302, .name = CC, .value = NULL },
};

START_TEST(rows)
{
	rows_check(NULL, &expire_rows[_i]);
}
END_TEST

/* Expires says the same as max-age, also when times of many lengths share the table of dates. */
START_TEST(date)
{
	static const int64_t seconds[] = { 1, 2, 17, 18, 60, 3600, 3616, 86400, 604800, 31536000 };
	char conf[1024] = "respond = \"x\"; routes = ( ", path[64];
	struct loopback *lo;

	for (int i = 0; i < UNIT_COUNT(seconds); i++)
		sprintf(conf + strlen(conf), "%s{ path = \"/%d\"; expire = \"%llds\"; }",
		    i ? ", " : "", i, (long long)seconds[i]);
	strcat(conf, " );");
	lo = rows_open(NULL, conf);
	for (int i = 0; i < UNIT_COUNT(seconds) * 3; i++) {
		int k = i % UNIT_COUNT(seconds);
		struct lo_response *s;
		time_t when = 0;

		sprintf(path, "/%d", k);
		s = lo_get(lo, path, NULL);
		ck_assert(clock_parse_http_date(lo_field(s, "Expires"), &when));
		ck_assert_int_eq(when - worker_wall(lo_worker(lo)), seconds[k]);
	}
	lo_close(lo);
}
END_TEST

static const struct {
	const char *conf, *text, *more;
} refused_rows[] = {
	{ "expire = \"soon\";", "soon", "no-store" },
	{ "expire = \"11y\";", "11y", "10 years" },
	{ "expire: { types = ( { type = \"image\"; for = \"1d\"; } ); };", "media type",
	    "image/*" },
	{ "expire: { types = ( { type = \"image/*\"; for = \"x\"; } ); };", "\"x\"", "1y" },
	{ "expire: { types = ( { type = \"image/*\"; } ); };", "'for'", NULL },
};

START_TEST(refused)
{
	rows_refuse(refused_rows[_i].conf, true, refused_rows[_i].text, refused_rows[_i].more);
}
END_TEST

Suite *
suite_expire(void)
{
	Suite *s = suite_create("expire");
	TCase *t = tcase_create("expire");

	tcase_add_loop_test(t, rows, 0, UNIT_COUNT(expire_rows));
	tcase_add_test(t, date);
	tcase_add_loop_test(t, refused, 0, UNIT_COUNT(refused_rows));
	suite_add_tcase(s, t);
	return s;
}
