#include <stdio.h>

#include "common/base/human.h"
#include "common/status/pools.h"
#include "modules/status/html_pools.h"

enum { STATUS_POOLS_COLUMNS = 12 };

void
status_pools_escape(struct text *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '&' || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"')
			text_printf(out, "&#%d;", s.p[i]);
		else
			text_add(out, &s.p[i], 1);
	}
}

static void
status_pools_head(struct text *out, const struct statussnap *s, const struct statussnap_pool *p)
{
	const struct backend_pool_view *v = &p->view;
	char a[HUMAN_MAX], b[HUMAN_MAX];

	text_printf(out, "<tr class=\"pool\"><td colspan=\"%d\"><b>", STATUS_POOLS_COLUMNS);
	status_pools_escape(out, str_of(v->pool));
	text_printf(out, "</b><span%s>%u of %u hosts usable",
	    p->usable < p->nhosts ? " class=\"few\"" : "", p->usable, p->nhosts);
	if (v->down_ms)
		text_printf(out, ", down for %s", human_time(a, v->down_ms));
	text_printf(out, "</span> &middot; %u in flight &middot; %u waiting &middot; %s retries",
	    v->in_flight, v->queued, human_count(a, (double)p->retries));
	if (v->retries_denied)
		text_printf(out, " (%s denied)", human_count(a, (double)v->retries_denied));
	if (v->queue_timeouts + v->queue_full)
		text_printf(out, " &middot; %s waited in vain, %s turned away",
		    human_count(a, (double)v->queue_timeouts),
		    human_count(b, (double)v->queue_full));
	if (v->queue_down)
		text_printf(out, " &middot; %s not made to wait for hosts long down",
		    human_count(a, (double)v->queue_down));
	if (v->local.most) {
		text_add_str(out, STR(" &middot; "));
		statuspools_local(out, s, &v->local);
	}
	text_add_str(out, STR("</tr>\n"));
}

static void
status_pools_latency(struct text *out, const char *name, uint64_t us)
{
	char t[HUMAN_MAX];

	text_printf(out, "<td data-k=\"%s\">%s", name, us ? human_us(t, us) : "&ndash;");
}

static void
status_pools_figures(struct text *out, const struct backend_view *h)
{
	char t[HUMAN_MAX], a[HUMAN_MAX], b[HUMAN_MAX], weight[16] = "&ndash;", kept[16] = "&ndash;";
	int reused = statuspools_reused(h);

	if (h->weight)
		snprintf(weight, sizeof(weight), "%u", h->weight);
	if (reused >= 0)
		snprintf(kept, sizeof(kept), "%d %%", reused);
	text_printf(out,
	    "<td data-k=\"weight\">%s<td data-k=\"in flight\">%u<td data-k=\"requests\">%s"
	    "<td data-k=\"requests/s\">&ndash;<td data-k=\"failed\">%s<td data-k=\"retries\">%s"
	    "<td data-k=\"kept\">%s",
	    weight, h->in_flight, human_count(t, (double)h->counters[BACKEND_REQUESTS]),
	    human_count(a, (double)h->counters[BACKEND_FAILURES]),
	    human_count(b, (double)h->counters[BACKEND_RETRIES]), kept);
	status_pools_latency(out, "p50", h->latency_us[0]);
	status_pools_latency(out, "p90", h->latency_us[1]);
	status_pools_latency(out, "p99", h->latency_us[2]);
}

static void
status_pools_host(struct text *out, const struct statussnap *s, const struct backend_view *h)
{
	const char *state = statussnap_host_state(h);
	struct text detail = { 0 };

	text_add_str(out, STR("<tr><td class=\"host\" data-k=\"host\">"));
	status_pools_escape(out, str_of(h->host));
	text_printf(out,
	    "<td class=\"l\" data-k=\"state\"><span class=\"s\" data-s=\"%s\">%s</span>", state,
	    state);
	status_pools_figures(out, h);
	text_add_str(out, STR("</tr>\n"));
	statuspools_detail(&detail, s, h);
	if (detail.n) {
		text_printf(out, "<tr class=\"why\"><td colspan=\"%d\">", STATUS_POOLS_COLUMNS);
		status_pools_escape(out, text_str(&detail));
		text_add_str(out, STR("</tr>\n"));
	}
	text_free(&detail);
}

void
status_pools_html(struct text *out, const struct statussnap *s, const struct statussnap_pool *p)
{
	status_pools_head(out, s, p);
	for (unsigned i = 0; i < p->nhosts; i++)
		status_pools_host(out, s, &p->hosts[i]);
}
