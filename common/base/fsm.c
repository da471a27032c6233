#include <stdio.h>

#include "config.h"
#include "common/base/fsm.h"

bool fsm_is_strict = sizeof(BUILD_SANITIZE) > 1;

static bool
fsm_is_last(const struct fsm *f, unsigned state)
{
	for (unsigned i = 0; i < f->n; i++)
		if (i != state && fsm_row(f, i)->from >> state & 1)
			return false;
	return true;
}

/* Logged, but a loop must not fill the disk: each line stands for twice as many events as the one
   before. */
static void
fsm_complain(const char *what)
{
	static unsigned seen;

	seen++;
	if ((seen & (seen - 1)) == 0)
		log_errorx("%s: no legal transition, please report this (%u so far)", what, seen);
	if (fsm_is_strict)
		must_fail(what, __FILE__, __LINE__);
}

bool
fsm_note(const struct fsm *f, const void *object, unsigned now, unsigned next)
{
	char who[96], what[192];

	f->name(object, who, sizeof(who));
	snprintf(
	    what, sizeof(what), "%s %s -> %s", who, fsm_row(f, now)->name, fsm_row(f, next)->name);
	if (fsm_row(f, next)->from >> now & 1) {
		log_debug("%s", what);
		return true;
	}
	fsm_complain(what);
	return !fsm_is_last(f, now);
}
