/* What a client says of an upload, see id.h. */
#include "common/segment/progress.h"
#include "modules/progress/id.h"

struct str
id_argument(struct str query, struct str name)
{
	while (query.p) {
		struct str arg = str_split(&query, '&'), value = arg;
		struct str key = str_split(&value, '=');

		if (value.p && str_caseeq(key, name))
			return value;
	}
	return (struct str){ NULL, 0 };
}

bool
id_is_callback(struct str s)
{
	bool is_first = true;

	if (s.n > ID_CALLBACK)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool is_letter = (unsigned)str_lower(c) - 'a' < 26 || c == '_' || c == '$';

		if (c == '.' && !is_first) {
			is_first = true;
			continue;
		}
		if (!is_letter && (is_first || (unsigned)c - '0' >= 10))
			return false;
		is_first = false;
	}
	return !is_first;
}

/* The last segment behind the route's path. */
static struct str
id_of_path(const struct request *r)
{
	const struct route *route = r->route;
	struct str rest = r->path;
	bool has_path = route->kind == ROUTE_PREFIX && route->path.n > 1;

	if (route->kind == ROUTE_EXACT)
		return (struct str){ NULL, 0 };
	if (has_path && str_has_prefix(rest, route->path))
		rest = str_n(rest.p + route->path.n, rest.n - route->path.n);
	while (rest.n > 0) {
		ptrdiff_t slash = str_find(rest, '/');

		if (slash < 0)
			break;
		rest = str_n(rest.p + slash + 1, rest.n - (size_t)slash - 1);
	}
	if (!has_path && rest.n < ID_LONG)
		rest.n = 0;
	return rest;
}

struct str
id_of(const struct request *r)
{
	static const struct str name = STR_INIT("X-Progress-ID");
	struct str id = req_field_named(r, name);

	if (!id.p)
		id = id_argument(r->query, name);
	if (!id.p)
		id = id_of_path(r);
	if (!progress_is_id(id))
		id.n = 0;
	return id;
}
