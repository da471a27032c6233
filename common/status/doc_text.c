/* The status for a terminal: `argand status`. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "config.h"
#include "common/base/human.h"
#include "common/status/doc.h"
#include "common/status/events.h"
#include "common/status/pools.h"
#include "common/status/snap.h"
#include "common/status/style.h"
#include "common/status/uploads.h"

static const char *
statusdoc_text_date(char dst[32], int64_t wall)
{
	time_t t = wall;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(dst, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		dst[0] = '\0';
	return dst;
}

static void
statusdoc_text_warnings(struct text *out, const struct statussnap *s, const struct statusstyle *st)
{
	const char *text;

	for (unsigned i = 0; (text = statussnap_warning(s, i)) != NULL; i++)
		text_printf(out, "%swarning%s: %s\n", st->warn, st->plain, text);
}

static void
statusdoc_text_head(struct text *out, const struct statussnap *s, const struct statusstyle *st)
{
	char up[HUMAN_MAX], date[32];
	bool is_even = s->ready >= s->workers_wanted;

	text_printf(out, "%sargand %s%s  %s%s%s  pid %d, up %s\n", st->strong, PACKAGE_VERSION,
	    st->plain, strcmp(s->state, "serving") == 0 ? st->good : st->warn, s->state, st->plain,
	    s->pid, human_time(up, s->uptime_ms));
	text_printf(out, "generation %u since %s, %s%u of %u workers ready%s", s->generation,
	    statusdoc_text_date(date, s->reloaded), is_even ? "" : st->bad, s->ready,
	    s->workers_wanted, is_even ? "" : st->plain);
	if (s->draining)
		text_printf(out, ", %s%u draining%s", st->warn, s->draining, st->plain);
	text_printf(out, "\n%llu reloads, %llu failed, %llu upgrades, %llu workers died\n",
	    (unsigned long long)s->reloads, (unsigned long long)s->reload_failures,
	    (unsigned long long)s->upgrades, (unsigned long long)s->deaths);
	statusdoc_text_warnings(out, s, st);
	if (!s->reload_error[0])
		return;
	text_printf(out, "%sthe last reload failed%s (%s): ", st->bad, st->plain,
	    statusdoc_text_date(date, s->reload_tried));
	text_add_str(out, str_of(s->reload_error));
	text_add(out, "\n", 1);
}

static void
statusdoc_text_traffic(struct text *out, const struct statussnap *s, const struct statusstyle *st)
{
	const uint64_t *t = s->totals;
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX], d[HUMAN_MAX], e[HUMAN_MAX], f[HUMAN_MAX];

	text_printf(out, "\nconnections %s open (%s idle), %s accepted, %s refused\n",
	    human_count(a, (double)t[CTR_CONNECTIONS]), human_count(b, (double)t[CTR_IDLE]),
	    human_count(c, (double)t[CTR_ACCEPTED]), human_count(d, (double)t[CTR_REFUSED]));
	text_printf(out,
	    "requests    %s in progress, %s finished: %s 2xx, %s 3xx, %s 4xx, %s%s 5xx%s\n",
	    human_count(a, (double)t[CTR_ACTIVE]), human_count(b, (double)t[CTR_REQUESTS]),
	    human_count(c, (double)t[CTR_R2XX]), human_count(d, (double)t[CTR_R3XX]),
	    human_count(e, (double)t[CTR_R4XX]), t[CTR_R5XX] ? st->bad : "",
	    human_count(f, (double)t[CTR_R5XX]), t[CTR_R5XX] ? st->plain : "");
	text_printf(out, "bytes       %s in, %s out", human_bytes(a, (double)t[CTR_BYTES_IN]),
	    human_bytes(b, (double)t[CTR_BYTES_OUT]));
	if (t[CTR_LOG_LOST])
		text_printf(out, "   %s%s access log lines lost%s", st->bad,
		    human_count(c, (double)t[CTR_LOG_LOST]), st->plain);
	text_add(out, "\n", 1);
}

static void
statusdoc_text_worker(struct text *out, const struct statussnap_worker *w, unsigned serving,
    const struct statusstyle *st)
{
	const uint64_t *c = w->counters;
	const char *style = w->generation != serving || w->state != ROW_READY ? st->dim : "";
	char age[HUMAN_MAX], conns[HUMAN_MAX], reqs[HUMAN_MAX], mem[HUMAN_MAX], cpu[HUMAN_MAX];

	text_printf(out, "%s%4u %8d %5u  %-8s %5s %7s %8s %6s %4llu ms%s", style, w->seat, w->pid,
	    w->generation, statussnap_state_name(w->state),
	    human_count(conns, (double)c[CTR_CONNECTIONS]),
	    human_count(reqs, (double)c[CTR_REQUESTS]), human_time(cpu, c[CTR_CPU_MS]),
	    human_bytes(mem, (double)c[CTR_RSS]), (unsigned long long)c[CTR_LAG_MS],
	    *style ? st->plain : "");
	text_printf(out, "  %s", human_time(age, w->age));
	if (w->is_late)
		text_printf(out, "  %sno sign of life for %s%s", st->bad,
		    human_time(age, w->heartbeat_age), st->plain);
	text_add(out, "\n", 1);
}

void
statusdoc_text(struct shm *shm, bool colour, struct text *out)
{
	const struct statusstyle *st = statusstyle(colour);
	struct statussnap *s = statussnap_take(shm);

	statusdoc_text_head(out, s, st);
	statusdoc_text_traffic(out, s, st);
	text_printf(out,
	    "\n%sseat      pid   gen  state    conns    reqs      cpu memory     lag  age%s\n",
	    st->strong, st->plain);
	for (unsigned i = 0; i < s->nworkers; i++)
		statusdoc_text_worker(out, &s->workers[i], s->generation, st);
	for (unsigned i = 0; i < s->npools; i++)
		statuspools_text(out, s, &s->pools[i], st);
	statusuploads_text(out, shm, st);
	if (s->nevents)
		text_printf(out, "\n%slast events%s%s\n", st->strong, st->plain,
		    s->nevents > STATUSEVENTS_FEW ? " (argand events: all)" : "");
	statusevents_text(out, shm, STATUSEVENTS_FEW, st);
	free(s);
}
