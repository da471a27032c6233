/*
 * The master: signals, the tick, the order of start and stop. Everything that takes time is in
 * states elsewhere (reload.c, upgrade.c, generation.c, seat.c); nothing here waits.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/conf_trust.h"
#include "common/segment/shm_keep.h"
#include "common/segment/shm_table.h"
#include "master/base/chronicle.h"
#include "master/base/ctlpath.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"
#include "master/base/pidfile.h"
#include "master/base/probe.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/ledger.h"
#include "master/listener.h"
#include "master/local/env.h"
#include "master/local/local.h"
#include "master/master.h"
#include "master/orphan.h"
#include "master/reload.h"
#include "master/upgrade.h"

enum { MASTER_TICK_MS = 500, MASTER_EXTEND_MS = 5000 };
/* What is known of a host is forgotten when nobody has used it for so long. */
enum { MASTER_SWEEP_MS = 60000, MASTER_FORGET_MS = 600000 };
enum { MASTER_GUESS = 1 << 20 }; /* more reloads than there were */

struct master master;

static struct {
	int signals;
	uint64_t swept; /* clock_ms() */
	bool is_stopping, is_fast, is_now, is_over;
	bool is_kept; /* the segment is what another master would take over */
	int status;
	struct watch watch;
	struct alarm tick, watchdog;
} self;

/* ---- configuration ---- */

struct conf *
master_conf(struct text *report)
{
	struct cfg_errors *errors;
	struct conf *conf = master.file ? conf_load(master.file, &errors)
					: conf_load_text(master.text, master.name, &errors);
	size_t bad, warned, n = 0;
	char *p = NULL;
	FILE *f = open_memstream(&p, &n);

	must(f != NULL);
	conf = conf_trust(conf, errors);
	bad = cfg_errors_count(errors);
	warned = cfg_warnings_count(errors);
	cfg_errors_print(errors, f, false);
	fclose(f);
	text_add(report, p, n);
	free(p);
	cfg_errors_free(errors);
	if (bad)
		text_printf(report, "%zu error%s", bad, bad == 1 ? "" : "s");
	if (warned)
		text_printf(
		    report, "%s%zu warning%s", bad ? ", " : "", warned, warned == 1 ? "" : "s");
	if (bad + warned)
		text_printf(report, "\n");
	return conf;
}

unsigned
master_next_generation(void)
{
	unsigned last = ledger_last();

	if (last < generation_last())
		last = generation_last();
	ledger_set_last(last + 1);
	return last + 1;
}

/* ---- the service manager ---- */

void
master_notify(void)
{
	struct generation *g = generation_serving();
	unsigned draining = generation_draining();

	if (!g || self.is_stopping)
		return;
	notify_send("READY=1\nMAINPID=%d\nSTATUS=generation %u, %u worker%s, %u draining",
	    (int)master.pid, g->number, g->nseats, g->nseats == 1 ? "" : "s", draining);
}

static void
master_feed(void *arg)
{
	if (generation_is_fresh() || self.is_stopping)
		notify_send("WATCHDOG=1");
	alarm_set(&self.watchdog, notify_watchdog_ms(), master_feed, arg);
}

/* ---- stopping ---- */

bool
master_is_stopping(void)
{
	return self.is_stopping;
}

/* Graceful: requests in flight finish, for stop_timeout. Fast: for five seconds. Once more: now. */
void
master_stop(bool fast)
{
	enum gen_state state = fast ? GEN_ENDING : GEN_STOPPING;

	if (self.is_stopping && fast)
		state = self.is_fast ? GEN_KILL : GEN_ENDING;
	else if (self.is_stopping)
		return;
	log_notice(state == GEN_KILL     ? "stopping at once"
		   : state == GEN_ENDING ? "stopping: requests have 5 s to finish"
					 : "stopping: requests in flight may finish");
	chronicle_add(HISTORY_STOP, 0, -1, "%s",
	    state == GEN_KILL     ? "at once"
	    : state == GEN_ENDING ? "requests have 5 s to finish"
				  : "requests in flight may finish");
	self.is_stopping = true;
	self.is_now |= state == GEN_KILL;
	self.is_fast |= fast;
	atomic_store(&shm_master(master.shm)->stopping, 1);
	notify_send("STOPPING=1\nSTATUS=stopping, %u processes", generation_processes());
	generation_enter_all(state);
	master_idle();
}

struct str
master_reason(struct str text)
{
	struct str rest = text, line = { "", 0 };

	while (rest.p) {
		line = str_trim(str_split(&rest, '\n'));
		if (memmem(line.p, line.n, ": error: ", strlen(": error: ")))
			return line;
	}
	for (rest = text, line.n = 0; rest.p && line.n == 0;)
		line = str_trim(str_split(&rest, '\n'));
	return line;
}

void
master_fail(int status, struct str why)
{
	struct str line;

	self.status = status;
	fprintf(stderr, "%.*s", STR_FMT(why));
	line = master_reason(why);
	if (log_fd() != STDERR_FILENO)
		log_errorx("not started: %.*s", STR_FMT(line));
	notify_send("STATUS=not started: %.*s", (int)(line.n < 400 ? line.n : 400), line.p);
	self.is_stopping = self.is_fast = true;
	generation_enter_all(GEN_TERM);
	master_idle();
}

void
master_idle(void)
{
	if (!self.is_stopping) {
		master_notify();
		return;
	}
	/* Workers may need local backends to the end: these are the last. */
	if (generation_processes() > 0)
		return;
	local_stop(self.is_now ? LOCAL_NOW : self.is_fast ? LOCAL_SOON : LOCAL_GRACEFUL);
	self.is_over = local_processes() == 0;
}

/* ---- signals ---- */

static void
master_on_reload(void)
{
	reload_request("SIGHUP");
}

static void
master_on_upgrade(void)
{
	upgrade_request("SIGUSR2");
}

static void
master_on_stop(void)
{
	master_stop(false);
}

static void
master_on_end(void)
{
	master_stop(true);
}

static void
master_on_child(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!generation_reap(pid, status) && !local_reap(pid, status) &&
		    !probe_reap(pid, status))
			logs_reap(pid, status);
}

static const struct {
	int signal;
	void (*fn)(void);
} master_signals[] = {
	{ SIGHUP, master_on_reload },
	{ SIGUSR1, logs_reopen },
	{ SIGUSR2, master_on_upgrade },
	{ SIGQUIT, master_on_stop },
	{ SIGTERM, master_on_end },
	{ SIGINT, master_on_end },
	{ SIGCHLD, master_on_child },
};

enum { MASTER_SIGNALS = sizeof(master_signals) / sizeof(master_signals[0]) };

static void
master_signalled(void *arg, short revents)
{
	struct signalfd_siginfo info;

	(void)arg;
	(void)revents;
	while (read(self.signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		for (int i = 0; i < MASTER_SIGNALS; i++)
			if (master_signals[i].signal == (int)info.ssi_signo)
				master_signals[i].fn();
}

static void
master_open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = 0; i < MASTER_SIGNALS; i++) {
		/* What started us may have it ignored (nohup), then it would never come. */
		signal(master_signals[i].signal, SIG_DFL);
		sigaddset(&set, master_signals[i].signal);
	}
	signal(SIGPIPE, SIG_IGN);
	must(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	must(self.signals >= 0);
	watch_add(&self.watch, self.signals, POLLIN, master_signalled, NULL);
}

/* ---- the tick ---- */

/* Rows that nobody has are free, and nothing stands in their columns, whatever somebody wrote. */
static void
master_mend(void)
{
	bool taken[SHM_WORKERS];

	ledger_taken(shm_id(master.shm), taken);
	shm_repair(master.shm, taken);
	reload_keep();
}

static void
master_tick(void *arg)
{
	uint64_t now = clock_ms();

	generation_check();
	master_mend();
	if (now - self.swept >= MASTER_SWEEP_MS) {
		self.swept = now;
		shm_table_sweep(master.shm, now, MASTER_FORGET_MS);
	}
	if (self.is_stopping)
		notify_send("EXTEND_TIMEOUT_USEC=%d", MASTER_EXTEND_MS * 1000);
	alarm_set(&self.tick, MASTER_TICK_MS, master_tick, arg);
}

/* ---- start ---- */

/* Only the workers of an earlier master use its segment; ours get a new one, with all that is sound
   in the old one. So a hostile worker, which may still have the old segment mapped, can do no more
   harm. Without a ledger (an older version had none) nobody can say who its workers are: they end
   when they see that another generation serves. */
static void
master_take_shm(int fd)
{
	const char *why = NULL;

	master.shm_old = ledger_attach_shm(fd, &why);
	if (!master.shm_old)
		master.shm_old = shm_attach_old(fd, &why);
	if (!master.shm_old) {
		log_warnx("the descriptor stored as \"argand-segment\" is not used: %s", why);
		close(fd);
		return;
	}
	if (!ledger_is_inherited())
		log_warnx("no ledger of workers with the stored segment: those of a master before "
			  "this one are not watched, and end when they see the new generation");
}

/* Above every number that a living worker of that segment has, if it is sound: they end when they
   see another one than their own. */
static void
master_guess_last(void)
{
	unsigned serving = atomic_load(&shm_master(master.shm)->generation);

	if (!ledger_is_inherited())
		ledger_set_last(serving < MASTER_GUESS ? serving : MASTER_GUESS);
}

/* Among the events of the server. */
static void
master_remember(void)
{
	unsigned n = generation_processes();

	chronicle_add(HISTORY_RESTART, master.pid, -1,
	    "%u worker%s of a master before this one serve%s on", n, n == 1 ? "" : "s",
	    n == 1 ? "s" : "");
}

/* Only now: were this master killed before, the next one must find the segment of those who serve.
 */
void
master_keep_shm(void)
{
	if (self.is_kept)
		return;
	self.is_kept = true;
	notify_unstore("argand-segment");
	notify_store("argand-segment", shm_fd(master.shm));
	ledger_set_shm(master.shm);
}

static int
master_open_shm(void)
{
	int fd = inherit_take("argand-segment");

	if (ledger_open() < 0)
		return -1;
	chronicle_open();
	if (fd >= 0)
		master_take_shm(fd);
	master.shm = shm_create();
	if (!master.shm)
		return -1;
	if (master.shm_old)
		shm_carry(master.shm, master.shm_old);
	master_guess_last();
	if (master.shm_old) {
		orphan_adopt_all(master.shm_old);
		master_remember();
	}
	orphan_dismiss_rest();
	atomic_store(&shm_master(master.shm)->pid, (int32_t)master.pid);
	atomic_store(&shm_master(master.shm)->stopping, 0);
	if (atomic_load(&shm_master(master.shm)->started) == 0)
		atomic_store(&shm_master(master.shm)->started, (uint64_t)clock_wall());
	return 0;
}

static int
master_log_failure(const struct conf_process *p, const char *why, struct text *report)
{
	int error = errno;

	text_printf(report, "cannot open error log %.*s: %s\n", STR_FMT(p->error_log), why);
	return error == EACCES ? EX_NOPERM : EXIT_FAILURE;
}

/* The configuration once before anything is opened: where to log and where to be controlled. */
static int
master_prepare(struct text *report)
{
	struct conf *conf = master_conf(report);
	char path[256], why[SAFEDIR_WHY];
	int status = 0;

	if (!conf)
		return EX_CONFIG;
	report->n = 0;
	if (logs_open_error(conf->process.error_log, why) < 0)
		status = master_log_failure(&conf->process, why, report);
	ctlpath_for_server(conf->process.control, path, sizeof(path));
	if (!status && !master.text) /* argand serve: there may be many */
		status = control_open(path, report);
	conf_free(conf);
	return status;
}

static int
master_start(struct text *report)
{
	int status;

	inherit_from_manager();
	status = master_prepare(report);
	if (status)
		return status;
	if (master_open_shm() < 0) {
		text_printf(report, "no shared memory: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	if (generation_serving()) { /* of a master before this one */
		reload_take_over();
		return 0;
	}
	status = reload_first(report);
	if (!status && report->n && !self.is_stopping) /* warnings */
		fprintf(stderr, "%.*s", STR_FMT(text_str(report)));
	return status;
}

static void
master_end(void)
{
	control_done(CONTROL_STOP, STR("stopped"), 0);
	control_done(CONTROL_RELOAD, STR("the server stops"), 1);
	control_done(CONTROL_NEXT, STR("the server stops"), 1);
	control_done(CONTROL_UPGRADE, STR("the server stops"), 1);
	control_close();
	probe_fini();
	pidfile_remove();
	listener_unlink();
	local_unlink();
	notify_fini();
	chronicle_close();
	if (self.status == 0)
		log_notice("stopped");
}

/* Addresses times slots may be many: as many descriptors as we may have. */
static void
master_raise_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < rl.rlim_max) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

static struct shm *
master_segment(void)
{
	return master.shm;
}

static void
master_init_local(void)
{
	struct local_env env = { .shm = master_segment,
		.parent = master.pid,
		.exe = master.exe,
		.has_before = generation_is_before,
		.heal = reload_heal,
		.idle = master_idle };

	local_init(&env);
}

/* Everybody begins anew, whatever ran in this process before. */
static void
master_init(void)
{
	memset(&self, 0, sizeof(self));
	master.shm = master.shm_old = NULL;
	loop_init();
	inherit_init();
	ledger_init();
	listener_init();
	master_init_local();
	logs_init();
	control_init();
	probe_init();
	generation_init();
	reload_init();
	upgrade_init();
	handover_init();
	pidfile_init();
	notify_init();
}

int
master_run(void)
{
	struct text report = { 0 };
	int status;

	master_raise_limit();
	master.pid = getpid();
	log_open(STDERR_FILENO, log_form_for_stderr());
	log_who("master");
	master_init();
	master_open_signals();
	if (handover_take()) {
		master_on_child(); /* those who died while nobody listened */
	} else {
		status = master_start(&report);
		if (status)
			master_fail(status, text_str(&report));
	}
	text_free(&report);
	self.swept = clock_ms(); /* nobody has had the time to leave anything */
	alarm_set(&self.tick, MASTER_TICK_MS, master_tick, NULL);
	if (notify_watchdog_ms())
		alarm_set(&self.watchdog, notify_watchdog_ms(), master_feed, NULL);
	while (!self.is_over)
		loop_turn();
	master_end();
	return self.status;
}
