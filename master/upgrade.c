/*
 * Asks the new binary, in child processes, and then becomes it. Steps, each a row: its version of
 * the hand-over record, whether it accepts the configuration. What it says when it refuses goes to
 * whoever asked for the upgrade.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "master/base/chronicle.h"
#include "master/base/notify.h"
#include "master/base/probe.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/upgrade.h"

static struct {
	bool is_busy;
	bool is_wanted; /* asked for during a reload */
	unsigned step;
	struct probe probe;
} self;

void
upgrade_init(void)
{
	memset(&self, 0, sizeof(self));
}

bool
upgrade_is_busy(void)
{
	return self.is_busy;
}

static void
upgrade_fail(struct str why)
{
	struct str rest = why, line = str_split(&rest, '\n');
	struct generation *g = generation_serving();
	struct text t = { 0 };

	self.is_busy = false;
	atomic_fetch_add(&shm_master(master.shm)->reload_failures, 1);
	log_errorx(
	    "upgrade failed, generation %u serves on: %.*s", g ? g->number : 0, STR_FMT(line));
	chronicle_add(HISTORY_UPGRADE_REFUSED, 0, -1, "%.*s", STR_FMT(line));
	text_printf(&t, "%.*s\nNot upgraded; generation %u goes on serving.\n",
	    (int)(why.n && why.p[why.n - 1] == '\n' ? why.n - 1 : why.n), why.p, g ? g->number : 0);
	control_done(CONTROL_UPGRADE, text_str(&t), EXIT_FAILURE);
	text_free(&t);
	master_notify();
	reload_next();
}

/* "handover N" on a line of its own. */
static bool
upgrade_version_fits(struct str out)
{
	struct str line;
	uint64_t version;

	while (out.p) {
		line = str_trim(str_split(&out, '\n'));
		if (str_has_prefix(line, STR("handover ")) &&
		    str_to_u64(str_n(line.p + 9, line.n - 9), UINT32_MAX, &version))
			return version == HANDOVER_VERSION;
	}
	return false;
}

static bool
upgrade_any(struct str out)
{
	(void)out;
	return true;
}

static const struct {
	const char *args[4];
	bool with_file; /* -c FILE; the step is for a server with one */
	bool (*fits)(struct str out);
	const char *refusal;
} upgrade_steps[] = {
	{ { "version", "--handover" }, false, upgrade_version_fits,
	    "the new binary does not read this one's hand-over record" },
	{ { "check", "-q" }, true, upgrade_any,
	    "the new binary does not accept the configuration" },
};

enum { UPGRADE_STEPS = sizeof(upgrade_steps) / sizeof(upgrade_steps[0]) };

static void upgrade_step(void);

static void
upgrade_answered(int status, struct text *out)
{
	struct text t = { 0 };

	if (master_is_stopping()) {
		self.is_busy = false;
		return;
	}
	if (status == 0 && upgrade_steps[self.step].fits(text_str(out))) {
		self.step++;
		upgrade_step();
		return;
	}
	text_printf(&t, "%s: %s", master.exe, upgrade_steps[self.step].refusal);
	if (status > 128)
		text_printf(&t, " (killed by SIG%s)", sigabbrev_np(status - 128));
	else if (status)
		text_printf(&t, " (status %d)", status);
	text_add(&t, "\n", 1);
	text_add_str(&t, text_str(out));
	upgrade_fail(text_str(&t));
	text_free(&t);
}

static void
upgrade_exec(void)
{
	struct text report = { 0 };

	log_notice("executing %s", master.exe);
	handover_give(master.exe, &report);
	upgrade_fail(text_str(&report));
	text_free(&report);
}

static void
upgrade_step(void)
{
	char *argv[8] = { master.exe };
	int n = 1;

	while (self.step < UPGRADE_STEPS && upgrade_steps[self.step].with_file && !master.file)
		self.step++;
	if (self.step == UPGRADE_STEPS) {
		upgrade_exec();
		return;
	}
	for (int i = 0; upgrade_steps[self.step].args[i]; i++)
		argv[n++] = (char *)(uintptr_t)upgrade_steps[self.step].args[i];
	if (upgrade_steps[self.step].with_file) {
		argv[n++] = (char *)(uintptr_t) "-c";
		argv[n++] = (char *)(uintptr_t)master.file;
	}
	self.probe.done = upgrade_answered;
	if (probe_exec(&self.probe, master.exe, argv) < 0)
		upgrade_fail(str_of(strerror(errno)));
}

void
upgrade_request(const char *why)
{
	if (master_is_stopping() || self.is_busy)
		return; /* those who wait get their answer when it is over */
	if (reload_is_busy()) {
		self.is_wanted = true;
		return;
	}
	self.is_busy = true;
	self.step = 0;
	log_info("upgrade: %s", why);
	notify_reloading();
	upgrade_step();
}

void
upgrade_resume(void)
{
	if (!self.is_wanted)
		return;
	self.is_wanted = false;
	upgrade_request("asked for meanwhile");
}
