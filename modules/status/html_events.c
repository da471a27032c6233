#include "common/status/events.h"
#include "modules/status/html_events.h"
#include "modules/status/html_pools.h"

void
status_events_html(struct text *out, const struct statussnap *s)
{
	for (unsigned i = s->nevents; i > 0; i--) {
		const struct history_entry *one = &s->events[i - 1];
		struct text words = { 0 };
		char date[32];

		text_printf(out,
		    "<tr><td>%s<td class=\"l\"><span class=\"s\" data-s=\"%s\">%s</span>"
		    "<td class=\"l what\">",
		    statusevents_date(date, one->event.time), statusevents_tone(one),
		    history_info[one->event.kind].word);
		statusevents_words(&words, one);
		status_pools_escape(out, text_str(&words));
		text_add_str(out, STR("</tr>\n"));
		text_free(&words);
	}
}
