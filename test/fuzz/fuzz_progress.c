/*
 * What a client says of an upload: an argument's value lies in the query, behind its name; a
 * callback is nothing but a name; and an ID that is taken stands in the segment as it was said,
 * is found by it and by no other.
 */
#include <stdlib.h>

#include "common/segment/progress.h"
#include "modules/progress/id.h"
#include "test/fuzz/fuzz.h"

static void
check_callback(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		must(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$.",
			 s.p[i]) &&
		     s.p[i]);
	must(s.n > 0 && s.n <= ID_CALLBACK && s.p[s.n - 1] != '.');
}

static void
check_id(struct shm *shm, struct str id, bool is_end)
{
	struct progress_new new = { STR("site"), id, 10, 1000, 1, true };
	struct progress_figures f = { 10, 10, 1, PROGRESS_DONE, 200 };
	struct progress_claim c;
	struct progress_view v;
	struct str less = str_n(id.p, id.n - 1);

	if (!progress_begin(shm, &new, &c))
		return;
	must(progress_find(shm, STR("site"), id, &v) && v.size == 10);
	must(!progress_find(shm, STR("sit"), id, &v));
	must(!progress_find(shm, STR("site"), less, &v) || v.since != c.mark >> 16);
	if (is_end)
		progress_end(shm, &c, &f);
	else
		progress_bury(shm, c.row, 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct shm *shm;
	struct str query = { NULL, 0 }, v;
	char *copy;

	if (!shm)
		must((shm = shm_create()) != NULL);
	if (n > 2000)
		return 0;
	copy = malloc(n + 1);
	memcpy(copy, data, n);
	query = str_n(copy, n);
	v = id_argument(query, STR("X-Progress-ID"));
	if (v.p)
		must(v.p >= copy + 14 && v.p + v.n <= copy + n && v.p[-1] == '=');
	if (v.p && progress_is_id(v))
		check_id(shm, v, n & 1);
	v = id_argument(query, STR("callback"));
	if (v.p && id_is_callback(v))
		check_callback(v);
	free(copy);
	return 0;
}
