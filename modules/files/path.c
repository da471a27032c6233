#include "modules/files/path.h"

bool
files_path_is_hidden(struct str path)
{
	static const struct str known = STR_INIT("/.well-known");

	if (str_has_prefix(path, known) && (path.n == known.n || path.p[known.n] == '/'))
		path = str_n(path.p + known.n, path.n - known.n);
	return memmem(path.p, path.n, "/.", 2) != NULL;
}
