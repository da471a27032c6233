#include "master/base/backoff.h"

bool
backoff_died(struct backoff *b, uint64_t born, bool is_well, uint64_t now)
{
	uint64_t ms = BACKOFF_MAX_MS;

	if (is_well)
		return false;
	if (now - born >= BACKOFF_YOUNG_MS) {
		backoff_lived(b);
		return false;
	}
	if (b->level && born < b->from)
		return false;
	b->level++;
	if (b->level <= 7) /* 250 ms x 2^7 is above the limit */
		ms = (uint64_t)BACKOFF_MS << (b->level - 1);
	b->from = now;
	b->until = now + ms;
	return true;
}

void
backoff_lived(struct backoff *b)
{
	*b = (struct backoff){ 0 };
}

uint64_t
backoff_wait(const struct backoff *b, uint64_t now)
{
	return b->until > now ? b->until - now : 0;
}
