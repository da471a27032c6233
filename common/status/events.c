#include <stdlib.h>
#include <time.h>

#include "common/status/events.h"

static const char *const statusevents_tones[] = {
	[HISTORY_PLAIN] = "plain",
	[HISTORY_GOOD] = "good",
	[HISTORY_WARN] = "warn",
	[HISTORY_BAD] = "bad",
};

const char *
statusevents_tone(const struct history_entry *one)
{
	return statusevents_tones[history_info[one->event.kind].tone];
}

/* ---- JSON ---- */

void
statusevents_json(struct json *j, const struct history_entry *v, unsigned n)
{
	json_array(j, "events");
	for (unsigned i = 0; i < n; i++) {
		json_object(j, NULL);
		json_str(j, "severity", str_of(statusevents_tone(&v[i])));
		history_json(j, &v[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

void
statusevents_doc_json(struct shm *shm, struct text *out)
{
	struct history_entry *v;
	struct json j;
	unsigned n;

	v = history_take(shm, HISTORY_ROWS, &n);
	json_init(&j, out);
	json_object(&j, NULL);
	statusevents_json(&j, v, n);
	json_object_end(&j);
	text_add(out, "\n", 1);
	free(v);
}

/* ---- words ---- */

const char *
statusevents_date(char dst[32], int64_t wall_ms)
{
	time_t t = wall_ms / 1000;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(dst, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		dst[0] = '\0';
	return dst;
}

static void
statusevents_who(struct text *out, const struct history_event *e)
{
	if (e->worker)
		text_printf(out, "worker %u (pid %d)", e->worker - 1, (int)e->pid);
	else if (e->pid)
		text_printf(out, "pid %d", (int)e->pid);
}

void
statusevents_words(struct text *out, const struct history_entry *one)
{
	const struct history_event *e = &one->event;
	char date[32];

	if (one->by == HISTORY_BY_MASTER && (e->worker || e->pid)) {
		statusevents_who(out, e);
		text_add_str(out, e->worker ? STR(" ") : STR(": "));
	}
	text_add_str(out, str_of(e->text));
	if (e->times > 1)
		text_printf(
		    out, ", %u times since %s", e->times, statusevents_date(date, e->first));
	if (one->by == HISTORY_BY_MASTER)
		return;
	text_add_str(out, STR(" (said by "));
	if (e->worker || e->pid)
		statusevents_who(out, e);
	else
		text_add_str(out, STR("a worker"));
	text_add_str(out, STR(")"));
}

void
statusevents_text(struct text *out, struct shm *shm, unsigned most, const struct statusstyle *style)
{
	const char *const tones[] = {
		[HISTORY_PLAIN] = "",
		[HISTORY_GOOD] = style->good,
		[HISTORY_WARN] = style->warn,
		[HISTORY_BAD] = style->bad,
	};
	struct history_entry *v;
	unsigned n;

	v = history_take(shm, most, &n);
	for (unsigned i = 0; i < n; i++) {
		const struct history_info *info = &history_info[v[i].event.kind];
		char date[32];

		text_printf(out, "%s  %s%-15s%s  ", statusevents_date(date, v[i].event.time),
		    tones[info->tone], info->word, *tones[info->tone] ? style->plain : "");
		statusevents_words(out, &v[i]);
		text_add(out, "\n", 1);
	}
	free(v);
}

void
statusevents_doc(struct shm *shm, bool colour, struct text *out)
{
	size_t before = out->n;

	statusevents_text(out, shm, HISTORY_ROWS, statusstyle(colour));
	if (out->n == before)
		text_printf(out, "nothing has happened yet\n");
}
