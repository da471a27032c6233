#include "master/local/scale.h"

static unsigned
localscale_clamp(unsigned n, const struct localscale_limits *l)
{
	if (n < l->least)
		return l->least;
	return n > l->most ? l->most : n;
}

static void
localscale_up(struct localscale *s, unsigned needed, uint64_t now)
{
	unsigned missing = needed - s->wanted;

	s->under = 0;
	if (!s->over)
		s->over = now;
	if (now - s->over < LOCALSCALE_UP_MS || now < s->next)
		return;
	s->step = s->step ? s->step * 2 : 1;
	if (s->step > missing)
		s->step = missing;
	s->wanted += s->step;
	s->next = now + LOCALSCALE_GAP_MS;
}

static void
localscale_down(struct localscale *s, uint64_t idle, uint64_t now)
{
	if (!s->under)
		s->under = now;
	if (now - s->under < idle)
		return;
	s->wanted--;
	s->under = now;
}

unsigned
localscale_look(
    struct localscale *s, const struct localscale_limits *l, unsigned load, uint64_t now)
{
	unsigned needed = load / l->per_process + (load % l->per_process != 0);

	s->wanted = localscale_clamp(s->wanted, l);
	needed = localscale_clamp(needed, l);
	if (needed > s->wanted) {
		localscale_up(s, needed, now);
		return s->wanted;
	}
	s->over = 0;
	s->step = 0;
	if (needed < s->wanted)
		localscale_down(s, l->idle, now);
	else
		s->under = 0;
	return s->wanted;
}
