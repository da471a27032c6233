/* Tracked uploads in the status, see uploads.h. */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/human.h"
#include "common/base/must.h"
#include "common/segment/progress.h"
#include "common/status/uploads.h"

static int
statusuploads_order(const void *va, const void *vb)
{
	const struct progress_view *a = va, *b = vb;

	return a->since < b->since ? -1 : a->since > b->since;
}

/* Those whose request is not over, the oldest first. Allocated. */
static struct progress_view *
statusuploads_take(struct shm *shm, unsigned *n)
{
	unsigned reach = progress_reach(shm), room = 0;
	struct progress_view *all = NULL;

	*n = 0;
	for (unsigned row = 1; row < reach; row++) {
		struct progress_view v;

		if (!progress_at(shm, row, &v) || !v.is_live)
			continue;
		if (*n == room) {
			room = room ? 2 * room : STATUSUPLOADS_MOST;
			all = must_realloc(all, room * sizeof(*all));
		}
		all[(*n)++] = v;
	}
	if (all)
		qsort(all, *n, sizeof(*all), statusuploads_order);
	return all;
}

static void
statusuploads_one(struct json *j, const struct progress_view *v)
{
	const struct progress_figures *f = &v->figures;

	json_object(j, NULL);
	json_str(j, "site", str_of(v->site));
	json_str(j, "state", str_of(progress_state_name(f->state)));
	json_i64(j, "received", f->received);
	if (v->size >= 0)
		json_i64(j, "size", v->size);
	else
		json_null(j, "size");
	json_i64(j, "rate", f->rate);
	json_i64(j, "forwarded", f->forwarded);
	json_u64(j, "age_ms", v->age_ms);
	json_u64(j, "worker", v->worker);
	json_object_end(j);
}

void
statusuploads_json(struct json *j, struct shm *shm)
{
	unsigned n, shown;
	struct progress_view *all = statusuploads_take(shm, &n);

	shown = n < STATUSUPLOADS_MOST ? n : STATUSUPLOADS_MOST;
	json_array(j, "uploads");
	for (unsigned i = 0; i < shown; i++)
		statusuploads_one(j, &all[i]);
	json_array_end(j);
	json_u64(j, "uploads_more", n - shown);
	free(all);
}

static void
statusuploads_line(struct text *out, const struct progress_view *v)
{
	const struct progress_figures *f = &v->figures;
	char got[HUMAN_MAX], size[HUMAN_MAX], rate[HUMAN_MAX], age[HUMAN_MAX];

	text_printf(out, "  %-10s %7s of %-7s %7s/s  %8s  ", progress_state_name(f->state),
	    human_bytes(got, (double)f->received),
	    v->size < 0 ? "?" : human_bytes(size, (double)v->size),
	    human_bytes(rate, (double)f->rate), human_time(age, v->age_ms));
	text_add_str(out, str_of(v->site));
	text_add(out, "\n", 1);
}

void
statusuploads_text(struct text *out, struct shm *shm, const struct statusstyle *st)
{
	unsigned n;
	struct progress_view *all = statusuploads_take(shm, &n);

	if (n > 0)
		text_printf(out, "\n%suploads in progress%s %u%s\n", st->strong, st->plain, n,
		    n > STATUSUPLOADS_FEW ? ", the oldest:" : "");
	for (unsigned i = 0; i < n && i < STATUSUPLOADS_FEW; i++)
		statusuploads_line(out, &all[i]);
	free(all);
}
