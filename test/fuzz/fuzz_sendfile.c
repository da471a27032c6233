/*
 * What applications write into X-Sendfile and its like. Whatever the octets: what comes out as a
 * path has no segment that leads upwards, no control character, begins where the value began, and
 * lies below a directory only if its own text says so; parts are bounded and in order; a target is
 * a path of ours that normalising leaves as it is.
 */
#include <stdlib.h>
#include "modules/gateway/codec/sendcmd.h"
#include "test/fuzz/fuzz.h"
#include "worker/uri.h"

static void
check_path(struct str path, bool may_be_relative)
{
	struct str rest = path;
	bool is_first = true;

	must(path.n <= SENDCMD_PATH + 1 && strlen(path.p) == path.n);
	must(may_be_relative || (path.n > 0 && path.p[0] == '/'));
	for (size_t i = 0; i < path.n; i++)
		must((unsigned char)path.p[i] >= ' ' && path.p[i] != 0x7f);
	while (rest.p) {
		struct str segment = str_split(&rest, '/');

		must(!str_eq(segment, STR("..")) && !str_eq(segment, STR(".")));
		must(segment.n > 0 || is_first || !rest.p);
		is_first = false;
	}
}

static void
check_below(struct str path)
{
	static const struct str dirs[] = { STR_INIT("/srv"), STR_INIT("/srv/"), STR_INIT("/"),
		STR_INIT("/srv/files") };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		struct str rel = sendcmd_below(path, dirs[i]);

		if (rel.n == 0)
			continue;
		must(rel.p[0] != '/' && rel.p + rel.n == path.p + path.n && rel.p[-1] == '/');
		must(str_has_prefix(path, dirs[i]));
	}
}

static void
check_parts(struct arena *a, struct str value)
{
	struct sendcmd_part v[SENDCMD_PARTS_MAX];
	unsigned n;

	if (sendcmd_parts(a, value, v, &n))
		return;
	must(n > 0 && n <= SENDCMD_PARTS_MAX);
	for (unsigned i = 0; i < n; i++) {
		check_path(v[i].path, true);
		must(v[i].first >= 0 && v[i].last >= -1);
		must(v[i].last < 0 || v[i].last + 1 >= v[i].first);
	}
}

static void
check_target(struct arena *a, struct str value)
{
	struct str path, query, again;

	if (sendcmd_target(a, value, &path, &query))
		return;
	check_path(path, false);
	must(uri_normalise(a, path, &again) && str_eq(path, again));
	for (size_t i = 0; query.p && i < query.n; i++)
		must((unsigned char)query.p[i] > ' ' && (unsigned char)query.p[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n + 1); /* exactly as long as it says */
	struct str value = str_n(copy, n), path;
	struct arena a;

	memcpy(copy, data, n);
	arena_init(&a, NULL, 0);
	for (int i = 0; i < 2; i++)
		if (!sendcmd_path(&a, value, i, &path)) {
			check_path(path, true);
			must((path.n > 0 && path.p[0] == '/') ==
			     (n > 0 &&
				 (data[0] == '/' || (i && n > 2 && memcmp(data, "%2", 2) == 0 &&
							(data[2] | 0x20) == 'f'))));
			check_below(path);
		}
	check_parts(&a, value);
	check_target(&a, value);
	sendcmd_of(value);
	arena_fini(&a);
	free(copy);
	return 0;
}
