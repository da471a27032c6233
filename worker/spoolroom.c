#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/spoolroom.h"
#include "worker/state.h"

enum {
	SPOOLROOM_LOOK_MS = 100, /* between two looks at what others have */
	SPOOLROOM_STEP = 1 << 20,
	SPOOLROOM_SIZE_MS = 60000, /* at the sizes of the file systems */
	SPOOLROOM_FREE_MS = 1000,  /* at what is free there */
	SPOOLROOM_CALM_MS = 10000, /* without a refusal: it may be over */
};

/* What was found at the last look. */
static struct {
	int64_t max, others, own;
	uint64_t look_due, size_due; /* clock_ms(); 0: never looked */
	struct {
		uint64_t due;
		bool is_full;
	} dirs[SPOOLROOM_DIRS];
	uint64_t since, last; /* of refusals; since 0: there is room */
	unsigned long long times;
	bool is_max; /* why: the bound */
} self;

void
spoolroom_start(void)
{
	memset(&self, 0, sizeof(self));
}

static const struct conf_process *
spoolroom_conf(struct worker *w)
{
	return &worker_conf(w)->process;
}

static unsigned
spoolroom_ndirs(struct worker *w)
{
	size_t n = spoolroom_conf(w)->spool_directories.n;

	return n < SPOOLROOM_DIRS ? (unsigned)n : SPOOLROOM_DIRS;
}

/* --- the bound --- */

/* A share of each file system that a directory is on, once. */
static int64_t
spoolroom_share(struct worker *w, int64_t percent)
{
	const struct cfg_strs *dirs = &spoolroom_conf(w)->spool_directories;
	dev_t seen[SPOOLROOM_DIRS];
	unsigned nseen = 0, k;
	int64_t sum = 0;

	for (unsigned i = 0; i < spoolroom_ndirs(w); i++) {
		struct statvfs fs;
		struct stat st;

		if (stat(dirs->v[i].p, &st) < 0 || statvfs(dirs->v[i].p, &fs) < 0)
			continue;
		for (k = 0; k < nseen && seen[k] != st.st_dev; k++)
			continue;
		if (k < nseen)
			continue;
		seen[nseen++] = st.st_dev;
		sum += (int64_t)(fs.f_blocks * fs.f_frsize / 100) * percent;
	}
	return sum > 0 ? sum : INT64_MAX; /* then they say themselves what is wrong */
}

int64_t
spoolroom_max(struct worker *w)
{
	int64_t max = spoolroom_conf(w)->spool_max;
	uint64_t now = clock_ms();

	if (max == 0)
		return INT64_MAX;
	if (max > 0)
		return max;
	if (now >= self.size_due) {
		self.size_due = now + SPOOLROOM_SIZE_MS;
		self.max = spoolroom_share(w, -max);
	}
	return self.max;
}

/* Sum of what the other workers have on disk, by their own counters. Below 0, which only a hostile
   worker can cause, it counts as 0. */
static void
spoolroom_look(struct worker *w, int64_t own, int64_t max)
{
	int64_t step = max / 16 < SPOOLROOM_STEP ? max / 16 : SPOOLROOM_STEP;
	int64_t mine = (int64_t)ctr_get(w->row, CTR_SPOOL_BYTES);
	uint64_t now = clock_ms();

	if (now < self.look_due && own - self.own < step)
		return;
	self.look_due = now + SPOOLROOM_LOOK_MS;
	self.own = own;
	self.others = (int64_t)(shm_total(w->shm, CTR_SPOOL_BYTES) - (uint64_t)mine);
	if (self.others < 0)
		self.others = 0;
}

bool
spoolroom_has(struct worker *w, int64_t own, int64_t n, bool can_wait)
{
	int64_t max = spoolroom_max(w);

	if (max == INT64_MAX)
		return true;
	spoolroom_look(w, own, max);
	if (can_wait)
		max -= max / 4;
	return own <= max && n <= max - own && self.others <= max - own - n;
}

/* --- the directories --- */

bool
spoolroom_is_full(struct worker *w, unsigned i, const char *dir)
{
	uint64_t now = clock_ms();
	struct statvfs fs;

	if (spoolroom_conf(w)->spool_max == 0 || i >= SPOOLROOM_DIRS)
		return false;
	if (now >= self.dirs[i].due) {
		self.dirs[i].due = now + SPOOLROOM_FREE_MS;
		self.dirs[i].is_full =
		    statvfs(dir, &fs) == 0 && fs.f_bavail < (fs.f_blocks + 19) / 20;
	}
	return self.dirs[i].is_full;
}

/* --- no room --- */

void
spoolroom_refused(struct worker *w, uint64_t request_id, const char *why)
{
	self.last = clock_ms();
	self.times++;
	ctr_add(w->row, CTR_SPOOL_REFUSED, 1);
	if (self.since)
		return;
	self.since = self.last;
	self.is_max = why == NULL;
	ctr_set(w->row, CTR_SPOOL_FULL, 1);
	if (why)
		log_errorx("request %016llx: no spool directory takes its body: %s",
		    (unsigned long long)request_id, why);
	else
		log_errorx("request %016llx: its body does not go to disk: spool.max, %lld octets, "
			   "is reached; bodies wait for the other side, or are refused",
		    (unsigned long long)request_id, (long long)spoolroom_max(w));
}

/* With some distance, so that it does not come and go. */
static bool
spoolroom_is_back(struct worker *w, int64_t own)
{
	const struct cfg_strs *dirs = &spoolroom_conf(w)->spool_directories;
	int64_t max = spoolroom_max(w);

	if (self.is_max && max != INT64_MAX)
		return spoolroom_has(w, own, max / 8, true);
	for (unsigned i = 0; i < spoolroom_ndirs(w); i++)
		if (!spoolroom_is_full(w, i, dirs->v[i].p))
			return true;
	return false;
}

void
spoolroom_tick(struct worker *w, int64_t own)
{
	if (!self.since || clock_ms() - self.last < SPOOLROOM_CALM_MS || !spoolroom_is_back(w, own))
		return;
	log_notice("there is room for bodies on disk again, after %llu s; %llu found none",
	    (unsigned long long)(clock_ms() - self.since) / 1000, self.times);
	ctr_set(w->row, CTR_SPOOL_FULL, 0);
	self.since = self.times = 0;
}
