/*
 * The way from one configuration to the next. Phases: idle → checking (a child reads the
 * configuration first and may crash over it) → starting (workers of the new generation come up) →
 * switching (the old ones leave their listeners; then those who asked for the reload get their
 * answer) → idle. Until the last of the new workers is ready nothing that serves has been touched;
 * a failure before that takes back what was done and answers everybody who asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "config.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/conf_print.h"
#include "common/config/conf_trust.h"
#include "common/segment/shm_table.h"
#include "master/base/chronicle.h"
#include "master/base/ctlpath.h"
#include "master/base/notify.h"
#include "master/base/pidfile.h"
#include "master/base/probe.h"
#include "master/control.h"
#include "master/handover.h"
#include "master/ledger.h"
#include "master/listener.h"
#include "master/local/local.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/spawn.h"
#include "master/upgrade.h"

enum reload_phase { RELOAD_IDLE, RELOAD_CHECKING, RELOAD_STARTING, RELOAD_SWITCHING };

/* How long the answer waits for the old workers to leave their listeners (one tick of theirs). */
enum { RELOAD_SWITCH_MS = 500, RELOAD_LOOK_MS = 5 };

enum { RELOAD_HEAL_MS = 5000 };

static struct {
	enum reload_phase phase;
	bool again;                 /* asked for while busy */
	bool is_owed;               /* workers from before serve, whom ours were to replace */
	uint64_t started, switched; /* ms */
	struct alarm look, heal;
	struct probe probe;
	struct text report; /* for those who asked: warnings, changes */
	size_t warned;      /* bytes of report that are warnings of a configuration that is used */
	struct text changes;
	size_t nchanges;
} self;

void
reload_init(void)
{
	text_free(&self.report);
	text_free(&self.changes);
	memset(&self, 0, sizeof(self));
	self.phase = RELOAD_STARTING; /* until reload_first() has come to an end */
}

bool
reload_is_busy(void)
{
	return self.phase != RELOAD_IDLE;
}

static void
reload_clear(void)
{
	self.phase = RELOAD_IDLE;
	self.report.n = self.changes.n = self.warned = 0;
}

/* ---- the end ---- */

void
reload_next(void)
{
	if (!self.again || upgrade_is_busy() || master_is_stopping())
		return;
	self.again = false;
	control_promote();
	reload_request("asked for meanwhile");
}

static void
reload_end(int status)
{
	control_done(CONTROL_RELOAD, text_str(&self.report), status);
	reload_clear();
	master_notify();
	if (!master_is_stopping())
		upgrade_resume();
	reload_next();
}

static void
reload_heal_due(void *arg)
{
	struct generation *g = generation_serving();

	(void)arg;
	if (!g || g->conf)
		return;
	if (self.is_owed)
		reload_request("the first load failed");
	else if (generation_lacks(g) || local_lacks())
		reload_request("processes are missing");
}

void
reload_heal(void)
{
	alarm_set(&self.heal, RELOAD_HEAL_MS, reload_heal_due, NULL);
}

/* Why it failed, without what the configuration was warned of: that is not why. */
static void
reload_drop_warnings(void)
{
	struct text *t = &self.report;

	if (self.warned > 0 && self.warned <= t->n)
		memmove(t->p, t->p + self.warned, t->n -= self.warned);
	self.warned = 0;
}

/* What the status shows of the last attempt; why is empty when it succeeded. */
static void
reload_note(struct str why)
{
	struct shm_master *m = shm_master(master.shm);
	size_t n = why.n < sizeof(m->reload_error) ? why.n : sizeof(m->reload_error) - 1;

	memcpy(m->reload_error, why.p, n);
	memset(m->reload_error + n, 0, sizeof(m->reload_error) - n);
	atomic_store(&m->reload_tried, (uint64_t)clock_wall());
}

static void
reload_fail(int status)
{
	struct generation *serving = generation_serving();
	unsigned number = serving ? serving->number : 0;
	struct str line;

	if (handover_is_taken() && handover_return(&self.report))
		return; /* not reached: the old binary goes on */
	reload_drop_warnings();
	line = master_reason(text_str(&self.report));
	if (!serving) {
		master_fail(status, text_str(&self.report));
		return;
	}
	atomic_fetch_add(&shm_master(master.shm)->reload_failures, 1);
	reload_note(line);
	log_errorx("reload failed, generation %u serves on: %.*s", number, STR_FMT(line));
	chronicle_add(HISTORY_RELOAD_REFUSED, 0, -1, "%.*s", STR_FMT(line));
	text_printf(&self.report, "Nothing was changed; generation %u goes on serving.\n", number);
	notify_send("STATUS=reload failed, generation %u serves on: %.*s", number,
	    (int)(line.n < 400 ? line.n : 400), line.p);
	reload_end(status);
	reload_heal();
}

/* ---- the switch ---- */

static void
reload_old(struct generation *g)
{
	if (g->conf)
		conf_free(g->conf);
	g->conf = NULL;
	generation_enter(g, GEN_DRAINING);
}

static void
reload_report(struct generation *g)
{
	unsigned draining = generation_draining();
	unsigned long long ms = clock_ms() - self.started;
	struct str changes = text_str(&self.changes);

	text_add_str(&self.report, changes);
	text_printf(&self.report, "generation %u serves with %u worker%s, after %llu ms", g->number,
	    g->nseats, g->nseats == 1 ? "" : "s", ms);
	if (draining)
		text_printf(&self.report, "; %u older draining", draining);
	text_add(&self.report, "\n", 1);
	log_notice("generation %u serves: %u worker%s, %zu change%s, %llu ms, %u older draining",
	    g->number, g->nseats, g->nseats == 1 ? "" : "s", self.nchanges,
	    self.nchanges == 1 ? "" : "s", ms, draining);
}

/* Among the events of the server. */
static void
reload_remember(const struct generation *g, bool is_first)
{
	const char *plural = g->nseats == 1 ? "" : "s";

	if (is_first)
		chronicle_add(HISTORY_START, master.pid, -1,
		    "version %s, generation %u serves with %u worker%s", PACKAGE_VERSION, g->number,
		    g->nseats, plural);
	else if (self.nchanges)
		chronicle_add(HISTORY_RELOAD, 0, -1,
		    "generation %u serves with %u worker%s, %zu change%s", g->number, g->nseats,
		    plural, self.nchanges, self.nchanges == 1 ? "" : "s");
	else
		chronicle_add(HISTORY_RELOAD, 0, -1, "generation %u serves with %u worker%s",
		    g->number, g->nseats, plural);
}

/* Logs what runs as root though it need not, once when that begins. */
static void
reload_log_risks(const struct conf *conf)
{
	struct shm_master *m = shm_master(master.shm);
	unsigned risks = conf_risks(conf), before = (unsigned)atomic_load(&m->risks);

	for (unsigned bit = 1; bit <= RISK_ROOT_BACKENDS; bit <<= 1)
		if (conf->file && (risks & bit) && (!(before & bit) || !generation_serving()))
			log_warnx("%s", conf_risk_text((enum conf_risk)bit));
	atomic_store(&m->risks, risks);
}

/* Not written when it is right: workers look at these with every tick. */
static void
reload_set32(_Atomic uint32_t *word, uint32_t v)
{
	if (atomic_load(word) != v)
		atomic_store(word, v);
}

/* What the workers of all generations follow; the generation last. */
static void
reload_state(const struct generation *g)
{
	struct shm_master *m = shm_master(master.shm);

	reload_set32(&m->workers, g->nseats);
	reload_set32(&m->slots, listener_slots());
	reload_set32(&m->log_level, (uint32_t)log_level);
	reload_set32(&m->generation, g->number);
}

/* The order is the promise: new workers wait, ready, for the generation word; all they read when it
   changes is there already. */
static void
reload_publish(struct generation *g)
{
	struct shm_master *m = shm_master(master.shm);

	log_level = (enum log_level)g->conf->process.log_level;
	atomic_store(&m->reloaded, (uint64_t)clock_wall());
	reload_note(STR(""));
	reload_log_risks(g->conf);
	master_keep_shm();
	ledger_set_serving(g->number);
	reload_state(g);
	if (master.shm_old)
		atomic_store(&shm_master(master.shm_old)->generation, g->number);
	generation_give_slots(g);
}

/* Any worker can write the words that all of them follow: the master puts them right again. */
void
reload_keep(void)
{
	struct shm_master *m = shm_master(master.shm);
	struct generation *g = generation_serving();

	if (!g || !g->conf || reload_is_busy())
		return;
	reload_state(g);
	if (atomic_load(&m->pid) != (int32_t)master.pid)
		atomic_store(&m->pid, (int32_t)master.pid);
	if (atomic_load(&m->stopping) != master_is_stopping())
		atomic_store(&m->stopping, master_is_stopping());
}

/* What is the master's own and follows the configuration. */
static void
reload_own(const struct conf *conf)
{
	char path[256];

	pidfile_set(conf->process.pid_file.n ? conf->process.pid_file.p : NULL, master.pid);
	if (!conf->file)
		return; /* argand serve: there may be many */
	ctlpath_for_server(conf->process.control, path, sizeof(path));
	control_move(path);
}

/* Whether no worker of an older generation answers a new connection any more. */
static bool
reload_has_workers(struct shm *shm, unsigned number)
{
	for (unsigned row = 0; shm && row < SHM_WORKERS; row++) {
		struct shm_worker *w = shm_worker(shm, row);

		if (w && atomic_load(&w->state) == ROW_READY &&
		    atomic_load(&w->generation) < number)
			return false;
	}
	return true;
}

static void
reload_look(void *arg)
{
	struct generation *g = generation_serving();

	if (!g || master_is_stopping()) {
		reload_end(EXIT_FAILURE);
		return;
	}
	if ((!reload_has_workers(master.shm, g->number) ||
		!reload_has_workers(master.shm_old, g->number)) &&
	    clock_ms() - self.switched < RELOAD_SWITCH_MS) {
		alarm_set(&self.look, RELOAD_LOOK_MS, reload_look, arg);
		return;
	}
	reload_report(g);
	handover_done(&self.report);
	reload_end(0);
}

void
reload_ready(struct generation *g)
{
	struct generation *old = generation_serving();

	must(self.phase == RELOAD_STARTING);
	self.is_owed = false;
	if (old)
		generation_send_leaving(old, g->conf);
	reload_publish(g);
	reload_own(g->conf);
	listener_steer(g->nseats);
	local_commit(g->number);
	listener_commit(g->conf);
	generation_enter(g, GEN_SERVING);
	shm_table_resize(master.shm, g->conf, true);
	if (old)
		reload_old(old);
	generation_limit_drains();
	generation_drop_old_shm();
	generation_bound((unsigned)g->conf->process.max_generations);
	if (old)
		atomic_fetch_add(&shm_master(master.shm)->reloads, 1);
	else if (master.on_ready)
		master.on_ready(g->conf);
	reload_remember(g, !old);
	self.phase = RELOAD_SWITCHING;
	self.switched = clock_ms();
	reload_look(NULL);
}

void
reload_failed(struct generation *g, const char *why)
{
	must(self.phase == RELOAD_STARTING);
	text_printf(
	    &self.report, "a worker of generation %u did not come up: %s\n", g->number, why);
	generation_enter(g, GEN_TERM);
	listener_rollback();
	local_rollback();
	reload_fail(EXIT_FAILURE);
}

/* ---- loading ---- */

/* Whether what differs is all of the kind that is changed in place. Each of these options is one
   line of conf_diff(). */
static bool
reload_is_live(const struct conf *a, const struct conf *b, size_t changes)
{
	const struct conf_process *p = &a->process, *q = &b->process;
	size_t live = (size_t)(p->log_level != q->log_level) +
		      (size_t)(p->drain_timeout != q->drain_timeout) +
		      (size_t)(p->stop_timeout != q->stop_timeout) +
		      (size_t)(p->max_generations != q->max_generations);

	return changes > 0 && live == changes;
}

static void
reload_in_place(struct generation *g, struct conf *conf)
{
	struct shm_master *m = shm_master(master.shm);

	conf_free(g->conf);
	g->conf = conf;
	g->digest = conf->digest;
	log_level = (enum log_level)conf->process.log_level;
	atomic_store(&m->log_level, (uint32_t)conf->process.log_level);
	atomic_store(&m->reloaded, (uint64_t)clock_wall());
	reload_note(STR(""));
	atomic_fetch_add(&m->reloads, 1);
	text_add_str(&self.report, text_str(&self.changes));
	text_printf(&self.report, "changed in place: generation %u serves on\n", g->number);
	log_notice("generation %u serves on with a change in place", g->number);
	chronicle_add(
	    HISTORY_RELOAD, 0, -1, "generation %u serves on with a change in place", g->number);
	reload_end(0);
}

static size_t
reload_diff(const struct conf *conf)
{
	struct generation *old = generation_serving();
	char *p = NULL;
	size_t n = 0;
	FILE *f;

	self.changes.n = self.nchanges = 0;
	if (!old || !old->conf)
		return 0;
	f = open_memstream(&p, &n);
	must(f != NULL);
	self.nchanges = conf_diff(old->conf, conf, f);
	fclose(f);
	text_add(&self.changes, p, n);
	free(p);
	if (self.nchanges == 0)
		text_printf(&self.changes, "the configuration is unchanged\n");
	return self.nchanges;
}

/* Everything that may fail before workers are started. Takes conf. */
static int
reload_prepare(struct conf *conf)
{
	struct generation *serving = generation_serving();
	struct logs logs = { 0 };
	char why[SAFEDIR_WHY];
	int status = EX_CONFIG;

	if (!spawn_check(conf, &self.report))
		goto fail;
	status = EXIT_FAILURE;
	if (logs_open_error(conf->process.error_log, why) < 0) {
		text_printf(&self.report, "cannot open error log %.*s: %s\n",
		    STR_FMT(conf->process.error_log), why);
		goto fail;
	}
	if (logs_open(&logs, conf, &self.report) < 0)
		goto fail;
	status = listener_open(conf, &self.report);
	if (status)
		goto fail_logs;
	/* From here on every pool and host finds a free row, local backends first. */
	shm_table_resize(master.shm, conf, false);
	status = local_open(conf, &self.report);
	if (status)
		goto fail_sockets;
	self.phase = RELOAD_STARTING;
	if (!serving) { /* the first workers inherit it */
		log_level = (enum log_level)conf->process.log_level;
		atomic_store(&shm_master(master.shm)->log_level, (uint32_t)log_level);
	}
	generation_start(
	    generation_new(master_next_generation(), (unsigned)conf->process.workers, conf, &logs));
	return 0;
fail_sockets:
	local_rollback();
	listener_rollback();
fail_logs:
	logs_close(&logs);
fail:
	conf_free(conf);
	return status;
}

static void
reload_load(void)
{
	struct generation *serving = generation_serving();
	struct conf *conf;
	size_t changes;
	int status;

	self.report.n = self.warned = 0; /* the child's copy of the warnings */
	conf = master_conf(&self.report);
	if (!conf) {
		reload_fail(EX_CONFIG);
		return;
	}
	self.warned = self.report.n;
	changes = reload_diff(conf);
	if (serving && serving->conf && reload_is_live(serving->conf, conf, changes)) {
		reload_in_place(serving, conf);
		return;
	}
	status = reload_prepare(conf);
	if (status)
		reload_fail(status);
}

/* ---- the check ---- */

static int
reload_check(FILE *out)
{
	struct text report = { 0 };
	struct conf *conf = master_conf(&report);

	fprintf(out, "%.*s", STR_FMT(text_str(&report)));
	return conf ? 0 : EX_CONFIG;
}

static void
reload_checked(int status, struct text *out)
{
	if (master_is_stopping()) {
		reload_clear();
		return;
	}
	if (status == 0) {
		reload_load();
		return;
	}
	text_add_str(&self.report, text_str(out));
	if (status > 128)
		text_printf(&self.report, "reading the configuration crashed the checker (SIG%s)\n",
		    sigabbrev_np(status - 128));
	reload_fail(status > 128 ? EXIT_FAILURE : EX_CONFIG);
}

void
reload_request(const char *why)
{
	if (master_is_stopping())
		return;
	if (reload_is_busy() || upgrade_is_busy()) {
		self.again = true;
		return;
	}
	self.phase = RELOAD_CHECKING;
	self.started = clock_ms();
	log_info("reload: %s", why);
	notify_reloading();
	self.probe.done = reload_checked;
	if (probe_call(&self.probe, reload_check) == 0)
		return;
	text_printf(&self.report, "cannot start the check: %s\n", strerror(errno));
	reload_fail(EXIT_FAILURE);
}

void
reload_resume(void)
{
	reload_clear();
	master_notify();
	reload_heal();
}

int
reload_first(struct text *report)
{
	struct conf *conf;
	int status;

	self.started = clock_ms();
	conf = master_conf(report);
	if (!conf)
		return EX_CONFIG;
	text_add_str(&self.report, text_str(report));
	self.warned = self.report.n;
	status = reload_prepare(conf);
	if (status)
		reload_drop_warnings();
	report->n = 0;
	text_add_str(report, text_str(&self.report));
	return status;
}

void
reload_take_over(void)
{
	struct text report = { 0 };
	int status;

	self.is_owed = true;
	status = reload_first(&report);
	if (status) {
		self.report.n = self.warned = 0;
		text_add_str(&self.report, text_str(&report));
		reload_fail(status);
	}
	text_free(&report);
}
