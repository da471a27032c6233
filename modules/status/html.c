/*
 * The page is a template with @@names@@; each name has a row in a table with the function that
 * writes what belongs there. Texts from outside (reload_error, names of pools and hosts) are
 * escaped.
 */
#include <stdio.h>
#include <time.h>

#include "config.h"
#include "common/base/human.h"
#include "common/base/must.h"
#include "modules/status/html.h"
#include "modules/status/html_events.h"
#include "modules/status/html_pools.h"

/* The assembler runs in the top directory, as the compiler does. */
__asm__(".pushsection .rodata\n"
	".hidden status_html_page, status_html_size\n"
	".globl status_html_page, status_html_size\n"
	"status_html_page: .incbin \"modules/status/status.html\"\n"
	"1: .balign 8\n"
	"status_html_size: .quad 1b - status_html_page\n"
	".popsection\n");
extern const char status_html_page[] __attribute__((visibility("hidden")));
extern const uint64_t status_html_size __attribute__((visibility("hidden")));

struct status_html {
	const struct statussnap *s;
	const char *nonce;
	struct text *out;
};

static const char *
status_html_date(char dst[32], int64_t wall)
{
	time_t t = wall;
	struct tm tm;

	if (wall == 0 || !localtime_r(&t, &tm) || !strftime(dst, 32, "%Y-%m-%d %H:%M:%S", &tm))
		memcpy(dst, "never", sizeof("never"));
	return dst;
}

static void
status_html_nonce(struct status_html *h)
{
	text_add_str(h->out, str_of(h->nonce));
}

static void
status_html_state(struct status_html *h)
{
	text_add_str(h->out, str_of(h->s->state));
}

static void
status_html_facts(struct status_html *h)
{
	const struct statussnap *s = h->s;
	char up[HUMAN_MAX], date[32];

	text_printf(h->out,
	    "<li>version <b>%s</b></li><li>generation <b>%u</b></li><li>up <b>%s</b></li>",
	    PACKAGE_VERSION, s->generation, human_time(up, s->uptime_ms));
	text_printf(h->out,
	    "<li>configuration loaded <b>%s%s</b></li><li>reloads <b>%llu (%llu failed)</b></li>"
	    "<li>upgrades <b>%llu</b></li><li>workers died <b>%llu</b></li>",
	    status_html_date(date, s->reloaded), s->reload_error[0] ? "; a later one failed" : "",
	    (unsigned long long)s->reloads, (unsigned long long)s->reload_failures,
	    (unsigned long long)s->upgrades, (unsigned long long)s->deaths);
}

/* Ends the start tag that the template leaves open. */
static void
status_html_banner(struct status_html *h)
{
	const char *warning = statussnap_warning(h->s, 0);
	char date[32];

	if (!h->s->reload_error[0]) {
		text_add_str(h->out, warning ? STR(">") : STR("hidden>"));
		for (unsigned i = 0; (warning = statussnap_warning(h->s, i)) != NULL; i++)
			text_printf(h->out, "%s%s", i ? "; " : "", warning);
		return;
	}
	text_printf(h->out, ">The last reload failed (%s), the configuration before it serves: ",
	    status_html_date(date, h->s->reload_tried));
	status_pools_escape(h->out, str_of(h->s->reload_error));
}

static void
status_html_tile(struct text *out, const char *name, const char *id, const char *value,
    const char *detail_id, const char *detail)
{
	text_printf(out,
	    "<div class=\"tile\"><div class=\"k\">%s</div><div class=\"n\" id=\"%s\">%s</div>"
	    "<div class=\"d\" id=\"%s\">%s</div></div>\n",
	    name, id, value, detail_id, detail);
}

static void
status_html_tiles(struct status_html *h)
{
	const uint64_t *t = h->s->totals;
	char n[HUMAN_MAX], d[HUMAN_MAX], text[64];

	snprintf(text, sizeof(text), "%s in all", human_count(d, (double)t[CTR_REQUESTS]));
	status_html_tile(h->out, "requests per second", "t-rps", "&ndash;", "t-total", text);
	snprintf(text, sizeof(text), "%s idle", human_count(d, (double)t[CTR_IDLE]));
	status_html_tile(h->out, "connections", "t-conns",
	    human_count(n, (double)t[CTR_CONNECTIONS]), "t-idle", text);
	snprintf(text, sizeof(text), "%s errors in all", human_count(d, (double)t[CTR_R5XX]));
	status_html_tile(h->out, "requests in progress", "t-active",
	    human_count(n, (double)t[CTR_ACTIVE]), "t-errors", text);
	snprintf(text, sizeof(text), "%sB sent in all", human_bytes(d, (double)t[CTR_BYTES_OUT]));
	status_html_tile(h->out, "sent", "t-out", "&ndash;", "t-in", text);
	snprintf(text, sizeof(text), "%sB memory", human_bytes(d, (double)t[CTR_RSS]));
	status_html_tile(h->out, "CPU of all workers", "t-cpu", "&ndash;", "t-mem", text);
}

static void
status_html_balance(struct status_html *h)
{
	text_printf(h->out, "%u of %u ready", h->s->ready, h->s->workers_wanted);
}

static void
status_html_worker(struct text *out, const struct statussnap *s, const struct statussnap_worker *w)
{
	const char *state = w->is_late ? "late" : statussnap_state_name(w->state);
	const uint64_t *c = w->counters;
	char conns[HUMAN_MAX], active[HUMAN_MAX], reqs[HUMAN_MAX], cpu[HUMAN_MAX], mem[HUMAN_MAX],
	    age[HUMAN_MAX];

	text_printf(out,
	    "<tr%s><td data-k=\"seat\">%u<td data-k=\"pid\">%d<td data-k=\"generation\">%u"
	    "<td class=\"l\" data-k=\"state\"><span class=\"s\" data-s=\"%s\">%s</span>",
	    w->generation == s->generation ? "" : " class=\"old\"", w->seat, w->pid, w->generation,
	    state, state);
	text_printf(out,
	    "<td data-k=\"connections\">%s<td data-k=\"in progress\">%s<td data-k=\"requests\">%s"
	    "<td data-k=\"requests/s\">&ndash;<td data-k=\"CPU\">%s<td data-k=\"memory\">%sB",
	    human_count(conns, (double)c[CTR_CONNECTIONS]),
	    human_count(active, (double)c[CTR_ACTIVE]), human_count(reqs, (double)c[CTR_REQUESTS]),
	    human_time(cpu, c[CTR_CPU_MS]), human_bytes(mem, (double)c[CTR_RSS]));
	text_printf(out,
	    "<td data-k=\"loop lag\">%llu ms<td data-k=\"heartbeat\">%llu ms<td data-k=\"slots\">%u"
	    "<td data-k=\"age\">%s</tr>\n",
	    (unsigned long long)c[CTR_LAG_MS], (unsigned long long)w->heartbeat_age, w->slots,
	    human_time(age, w->age));
}

static void
status_html_workers(struct status_html *h)
{
	for (unsigned i = 0; i < h->s->nworkers; i++)
		status_html_worker(h->out, h->s, &h->s->workers[i]);
}

/* Ends the attributes of the card: without pools there is nothing to see. */
static void
status_html_backends(struct status_html *h)
{
	if (h->s->npools == 0)
		text_add_str(h->out, STR(" hidden"));
}

static void
status_html_pools(struct status_html *h)
{
	for (unsigned i = 0; i < h->s->npools; i++)
		status_pools_html(h->out, h->s, &h->s->pools[i]);
}

/* Ends the attributes of the card; its rows are the script's, from the document. */
static void
status_html_uploads(struct status_html *h)
{
	if (h->s->totals[CTR_UPLOADS] == 0)
		text_add_str(h->out, STR(" hidden"));
}

static void
status_html_uploads_n(struct status_html *h)
{
	text_add_u64(h->out, h->s->totals[CTR_UPLOADS]);
}

static void
status_html_events(struct status_html *h)
{
	status_events_html(h->out, h->s);
}

static void
status_html_generations(struct status_html *h)
{
	for (unsigned i = 0; i < h->s->ngenerations; i++) {
		const struct statussnap_generation *g = &h->s->generations[i];

		text_printf(h->out,
		    "<tr><td>%u<td class=\"l\"><span class=\"s\" "
		    "data-s=\"%s\">%s</span><td>%u<td>%llu"
		    "<td>%llu</tr>\n",
		    g->generation, g->state, g->state, g->workers,
		    (unsigned long long)g->connections, (unsigned long long)g->active);
	}
}

static void
status_html_slot(struct text *out, const struct statussnap *s, unsigned owner)
{
	for (unsigned i = 0; i < s->nworkers; i++)
		if (s->workers[i].row + 1 == owner) {
			text_printf(out, "<span>%u</span>", s->workers[i].seat);
			return;
		}
	text_add_str(out, STR("<span class=\"none\">&ndash;</span>"));
}

static void
status_html_slots(struct status_html *h)
{
	for (unsigned i = 0; i < h->s->slots && i < SHM_SLOTS; i++)
		status_html_slot(h->out, h->s, h->s->owners[i]);
}

static void
status_html_counters(struct status_html *h)
{
	for (unsigned c = 0; c < CTR_MAX; c++)
		text_printf(h->out, "<div><dt>%s</dt><dd data-k=\"%s\">%llu</dd></div>\n",
		    counter_info[c].help, counter_info[c].name,
		    (unsigned long long)h->s->totals[c]);
}

static void
status_html_clock(struct status_html *h)
{
	char date[32];

	text_add_str(h->out, str_of(status_html_date(date, h->s->wall)));
}

static const struct {
	struct str name;
	void (*put)(struct status_html *);
} status_html_parts[] = {
	{ STR_INIT("nonce"), status_html_nonce },
	{ STR_INIT("state"), status_html_state },
	{ STR_INIT("facts"), status_html_facts },
	{ STR_INIT("banner"), status_html_banner },
	{ STR_INIT("tiles"), status_html_tiles },
	{ STR_INIT("balance"), status_html_balance },
	{ STR_INIT("workers"), status_html_workers },
	{ STR_INIT("backends"), status_html_backends },
	{ STR_INIT("pools"), status_html_pools },
	{ STR_INIT("uploads"), status_html_uploads },
	{ STR_INIT("uploads_n"), status_html_uploads_n },
	{ STR_INIT("events"), status_html_events },
	{ STR_INIT("generations"), status_html_generations },
	{ STR_INIT("slots"), status_html_slots },
	{ STR_INIT("counters"), status_html_counters },
	{ STR_INIT("clock"), status_html_clock },
};

static void
status_html_part(struct status_html *h, struct str name)
{
	for (size_t i = 0; i < sizeof(status_html_parts) / sizeof(status_html_parts[0]); i++)
		if (str_eq(status_html_parts[i].name, name)) {
			status_html_parts[i].put(h);
			return;
		}
	must(!"the page names a part that there is");
}

/* *rest up to the next "@@", which is taken off. */
static struct str
status_html_split(struct str *rest)
{
	const char *at = rest->n ? memmem(rest->p, rest->n, "@@", 2) : NULL;
	struct str head = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

	*rest = at ? str_n(at + 2, rest->n - head.n - 2) : (struct str){ NULL, 0 };
	return head;
}

void
status_html(const struct statussnap *s, const char *nonce, struct text *out)
{
	struct str rest = { status_html_page, status_html_size };
	struct status_html h = { s, nonce, out };

	while (rest.p) {
		text_add_str(out, status_html_split(&rest));
		if (rest.p)
			status_html_part(&h, status_html_split(&rest));
	}
}
