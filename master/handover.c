/*
 * The hand-over record: lines of a word and its values, in a memory file; every descriptor in it is
 * left open over exec. $ARGAND_HANDOVER is "RECORD:EXE", both descriptors: EXE is the binary that
 * wrote the record, opened, for the way back. $ARGAND_RETURNED, on the way back, says why.
 *
 * Reading changes nothing before the whole record was found sound; what it names is looked at again
 * where it is used (sockets by inherit.c, processes by what the ledger noted of them, the segment
 * by shm.c). The ledger goes as a socket of its name: a binary that knows none closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/base/procid.h"
#include "master/base/chronicle.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/handover.h"
#include "master/ledger.h"
#include "master/listener.h"
#include "master/local/record.h"
#include "master/logs.h"
#include "master/master.h"
#include "master/orphan.h"
#include "master/reload.h"

#define HANDOVER_ENV      "ARGAND_HANDOVER"
#define HANDOVER_RETURNED "ARGAND_RETURNED"

enum { HANDOVER_MAX = 1 << 22, HANDOVER_WHY = 2000 };

static struct {
	bool is_taken;
	int exe; /* of the binary before this one */
	uint64_t since;
	unsigned last; /* generation */
} self = { .exe = -1 };

void
handover_init(void)
{
	memset(&self, 0, sizeof(self));
	self.exe = -1;
}

extern char **environ;

/* ---- writing ---- */

static void
handover_keep(int fd, bool keep)
{
	if (fd > STDERR_FILENO)
		fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void
handover_write_sockets(FILE *f, bool keep)
{
	const char *rest;
	char name[256];
	int fd;

	LIST_EACH(l, listener_list())
	{
		struct listener *one = container_of(l, struct listener, link);

		for (unsigned s = 0; s < (one->is_shared ? 1 : one->slots); s++) {
			listener_name(one, s, name, sizeof(name));
			handover_keep(one->fds[s], keep);
			fprintf(f, "socket %d %s\n", one->fds[s],
			    one->is_activated && s == 0 ? "activated" : name);
		}
	}
	for (unsigned i = 0; inherit_rest(i, &fd, &rest); i++) {
		handover_keep(fd, keep);
		fprintf(f, "socket %d %s\n", fd, rest);
	}
}

static void
handover_write_logs(FILE *f, bool keep)
{
	if (log_fd() > STDERR_FILENO) {
		handover_keep(log_fd(), keep);
		fprintf(f, "error-log %d %s\n", log_fd(), logs_error_name());
	}
	LIST_EACH(l, logs_list())
	{
		struct logdest *d = container_of(l, struct logdest, link);

		handover_keep(d->fd, keep);
		fprintf(f, "log %d %d %s\n", d->fd, (int)d->pid, d->name);
	}
}

static void
handover_write_generation(FILE *f, struct generation *g, bool keep)
{
	fprintf(f, "generation %u %u %u %llx %llu\n", g->number, (unsigned)g->state, g->nseats,
	    (unsigned long long)g->digest,
	    (unsigned long long)(link_is_on(&g->alarm.link) ? g->alarm.due : 0));
	for (size_t i = 0; i < g->logs.n; i++)
		fprintf(f, "writes %s\n", g->logs.v[i]->name);
	for (unsigned i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seats[i];

		if (!seat_has_process(s))
			continue;
		handover_keep(s->chan, keep);
		fprintf(f, "seat %u %d %d %d %d %d\n", s->index, s->row, (int)s->pid, s->chan,
		    s->is_child, shm_fd(s->shm));
	}
}

static void
handover_write_clients(FILE *f, bool keep)
{
	static const enum control_wait waits[] = { CONTROL_REQUEST, CONTROL_UPGRADE, CONTROL_RELOAD,
		CONTROL_NEXT };

	for (unsigned w = 0; w < 4; w++)
		for (unsigned i = 0; control_waiting(waits[w], i) >= 0; i++) {
			handover_keep(control_waiting(waits[w], i), keep);
			fprintf(f, "client %d %d\n", control_waiting(waits[w], i), (int)waits[w]);
		}
	if (control_fd() >= 0) {
		handover_keep(control_fd(), keep);
		fprintf(f, "control %d %s\n", control_fd(), control_path());
	}
}

/* Writes the record and leaves its descriptors open over exec, or (keep false) closes them again
   over exec when that has failed. */
static void
handover_write(FILE *f, bool keep)
{
	fprintf(f, "argand-handover %d\n", HANDOVER_VERSION);
	fprintf(f, "since %llu\n", (unsigned long long)clock_ms());
	fprintf(f, "last %u\n", ledger_last());
	handover_keep(ledger_fd(), keep);
	fprintf(f, "socket %d %s\n", ledger_fd(), LEDGER_NAME);
	if (chronicle_fd() >= 0) {
		handover_keep(chronicle_fd(), keep);
		fprintf(f, "socket %d %s\n", chronicle_fd(), CHRONICLE_NAME);
	}
	handover_keep(shm_fd(master.shm), keep);
	fprintf(f, "segment %d\n", shm_fd(master.shm));
	if (master.shm_old) {
		handover_keep(shm_fd(master.shm_old), keep);
		fprintf(f, "segment %d\n", shm_fd(master.shm_old));
	}
	handover_write_sockets(f, keep);
	handover_write_logs(f, keep);
	LIST_EACH(l, generation_list())
	handover_write_generation(f, container_of(l, struct generation, link), keep);
	local_record_write(f, keep);
	handover_write_clients(f, keep);
	fprintf(f, "end\n");
}

static int
handover_record(void)
{
	int fd = memfd_create("argand-handover", 0);
	FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	bool ok;

	if (!f)
		return -1;
	handover_write(f, true);
	ok = !ferror(f);
	ok &= fclose(f) == 0;
	if (ok)
		return fd;
	close(fd);
	return -1;
}

static void
handover_unwrite(void)
{
	FILE *f = fopen("/dev/null", "w");

	must(f != NULL);
	handover_write(f, false);
	fclose(f);
}

/* Executes a path, or (NULL) the descriptor exe. Returns when that failed. */
static void
handover_exec(const char *path, int exe, int record, int back)
{
	char value[48];

	snprintf(value, sizeof(value), "%d:%d", record, back);
	setenv(HANDOVER_ENV, value, 1);
	notify_fini();
	control_flush();
	if (path)
		execve(path, master.argv, environ);
	else
		fexecve(exe, master.argv, environ);
	unsetenv(HANDOVER_ENV);
}

void
handover_give(const char *exe, struct text *report)
{
	int back = open("/proc/self/exe", O_RDONLY), record = handover_record();
	int error = errno;

	unsetenv(HANDOVER_RETURNED);
	if (back >= 0 && record >= 0) {
		handover_exec(exe, -1, record, back);
		error = errno;
	}
	if (record >= 0)
		close(record);
	if (back >= 0)
		close(back);
	handover_unwrite();
	text_printf(report, "cannot execute %s: %s\n", exe, strerror(error));
}

/* Does not come back unless that fails. */
static void
handover_go_back(const struct text *report)
{
	char why[HANDOVER_WHY];
	int record = handover_record();

	if (record < 0) {
		log_error("no record for the binary before");
		return;
	}
	log_errorx("the new binary gives way to the one before it");
	snprintf(why, sizeof(why), "%.*s", (int)(report->n < sizeof(why) ? report->n : sizeof(why)),
	    report->p ? report->p : "");
	setenv(HANDOVER_RETURNED, why, 1);
	handover_keep(self.exe, true);
	handover_exec(NULL, self.exe, record, self.exe);
	log_error("cannot execute it");
	unsetenv(HANDOVER_RETURNED);
	handover_unwrite();
	close(record);
}

/* From now on there is nothing to go back to. */
static void
handover_forget(void)
{
	self.is_taken = false;
	close(self.exe);
	self.exe = -1;
}

bool
handover_return(const struct text *report)
{
	if (!self.is_taken || self.exe < 0)
		return false;
	handover_go_back(report);
	handover_forget();
	control_done(CONTROL_UPGRADE, text_str(report), EXIT_FAILURE);
	return false;
}

/* ---- reading ---- */

struct handover_reader {
	struct generation *gen; /* whose seats follow */
	struct shm *shm[2];
	int shm_fds[2];
	unsigned segments;
};

static bool
handover_is_open(int fd)
{
	return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

/* Its line comes before those of segments and generations. A binary that knew of none has written
   none: then those who are our children are noted anew. */
static bool
handover_open_ledger(void)
{
	if (ledger_fd() >= 0)
		return true;
	if (ledger_open() < 0)
		return false;
	if (ledger_last() < self.last)
		ledger_set_last(self.last);
	chronicle_open();
	return true;
}

static bool
handover_read_segment(struct handover_reader *r, const char *values)
{
	int fd = atoi(values);
	const char *why = "there is one already";
	struct shm *s;

	if (r->segments == 2 || !handover_is_open(fd) || !handover_open_ledger())
		return false;
	s = master.shm ? NULL : ledger_attach_shm(fd, &why);
	if (s)
		master.shm = s;
	else if (!master.shm_old)
		s = master.shm_old = shm_attach_old(fd, &why);
	if (!s && !master.shm)
		return false;
	/* That of workers which drain anyway, damaged by one of them: they will be asked to finish.
	 */
	if (!s)
		log_warnx("the segment of the workers before is not used: %s", why);
	r->shm[r->segments] = s;
	r->shm_fds[r->segments++] = fd;
	return true;
}

static bool
handover_read_socket(struct handover_reader *r, const char *values)
{
	int fd, at = 0;

	(void)r;
	if (sscanf(values, "%d %n", &fd, &at) != 1 || !handover_is_open(fd) || !values[at])
		return false;
	inherit_add(fd, values + at);
	return true;
}

static bool
handover_read_log(struct handover_reader *r, const char *values)
{
	int fd, pid, at = 0;

	(void)r;
	if (sscanf(values, "%d %d %n", &fd, &pid, &at) != 2 || !handover_is_open(fd))
		return false;
	logs_adopt(values + at, fd, pid);
	return true;
}

static bool
handover_read_error_log(struct handover_reader *r, const char *values)
{
	int fd, at = 0;

	(void)r;
	if (sscanf(values, "%d %n", &fd, &at) != 1 || !handover_is_open(fd))
		return false;
	logs_adopt_error(values + at, fd);
	return true;
}

/* What a generation goes on as. One that was starting when the other binary gave up never served.
 */
static enum gen_state
handover_state(enum gen_state before)
{
	if (before == GEN_SERVING)
		return GEN_SERVING;
	return before == GEN_TERM || before == GEN_KILL ? GEN_TERM : GEN_DRAINING;
}

static bool
handover_read_generation(struct handover_reader *r, const char *values)
{
	unsigned number, state, seats;
	unsigned long long digest, due = 0;

	if (sscanf(values, "%u %u %u %llx %llu", &number, &state, &seats, &digest, &due) < 4 ||
	    state >= GEN_STATES || seats > SHM_WORKERS || ledger_fd() < 0)
		return false;
	if (state == GEN_SERVING)
		ledger_set_serving(number);
	r->gen = generation_new(number, seats, NULL, NULL);
	r->gen->digest = digest;
	generation_take(r->gen, handover_state((enum gen_state)state));
	if (due)
		generation_limit(r->gen, due); /* some binaries before did not say */
	return true;
}

static bool
handover_read_writes(struct handover_reader *r, const char *values)
{
	return r->gen && logs_add(&r->gen->logs, values);
}

static bool
handover_is_chan(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return handover_is_open(fd) && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

static bool
handover_is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* A pidfd of the worker; -1: it is not one that we may touch. */
static int
handover_open_worker(const struct seat *s, unsigned row, pid_t pid, bool is_child)
{
	struct ledger_entry *known = ledger_find(shm_id(s->shm), row);
	struct ledger_entry e = { .row = row,
		.generation = s->gen->number,
		.seat = s->index,
		.segment = shm_id(s->shm) };

	if (!is_child)
		return known && known->who.pid == pid ? procid_open(&known->who) : -1;
	procid_look(&e.who, pid);
	if (!known || known->who.pid != pid)
		must(ledger_add(&e));
	return procid_open_child(pid);
}

static void
handover_adopt(struct seat *s, unsigned row, pid_t pid, int chan)
{
	bool is_child = handover_is_child(pid);
	int pidfd = handover_open_worker(s, row, pid, is_child);

	if (is_child || pidfd >= 0) {
		seat_adopt(s, row, pid, chan, pidfd, is_child);
		return;
	}
	log_warnx("worker %u (pid %d) of generation %u is gone, or nobody knows who it is",
	    s->index, (int)pid, s->gen->number);
	if (chan >= 0)
		close(chan);
}

/* Its own, so that an empty one is filled with whom it lacks. Binaries before may have given one
   number twice: then any. */
static struct seat *
handover_seat(struct generation *g, unsigned index)
{
	if (index < g->nseats && g->seats[index].state == SEAT_EMPTY)
		return &g->seats[index];
	for (unsigned i = 0; i < g->nseats; i++)
		if (g->seats[i].state == SEAT_EMPTY)
			return &g->seats[i];
	return NULL;
}

static bool
handover_read_seat(struct handover_reader *r, const char *values)
{
	int row, pid, chan, is_child, segment;
	struct shm *shm = NULL;
	struct seat *s;
	unsigned index, i;

	if (!r->gen || sscanf(values, "%u %d %d %d %d %d", &index, &row, &pid, &chan, &is_child,
			   &segment) != 6)
		return false;
	for (i = 0; i < r->segments && r->shm_fds[i] != segment; i++)
		continue;
	shm = i < r->segments ? r->shm[i] : NULL;
	if (i < r->segments && !r->shm[i])
		return true;
	if (!shm || pid <= 0 || row < 0 || !shm_worker(shm, (unsigned)row))
		return false;
	s = handover_seat(r->gen, index);
	if (!s)
		return false;
	s->shm = shm;
	s->index = index;
	handover_adopt(s, (unsigned)row, pid, handover_is_chan(chan) ? chan : -1);
	return true;
}

static bool
handover_read_local(struct handover_reader *r, const char *values)
{
	(void)r;
	return local_record_read(values);
}

static bool
handover_read_process(struct handover_reader *r, const char *values)
{
	(void)r;
	return local_record_read_process(values);
}

static bool
handover_read_client(struct handover_reader *r, const char *values)
{
	int fd, wait;

	(void)r;
	if (sscanf(values, "%d %d", &fd, &wait) != 2 || !handover_is_open(fd))
		return false;
	/* An upgrade loads the configuration anew: it answers those who wait for a reload, too. */
	control_adopt_client(fd, wait == CONTROL_UPGRADE || wait == CONTROL_REQUEST
				     ? (enum control_wait)wait
				     : CONTROL_RELOAD);
	return true;
}

static bool
handover_read_control(struct handover_reader *r, const char *values)
{
	int fd, at = 0;

	(void)r;
	if (sscanf(values, "%d %n", &fd, &at) != 1 || !handover_is_open(fd))
		return false;
	control_adopt(fd, values + at);
	return true;
}

static bool
handover_read_since(struct handover_reader *r, const char *values)
{
	(void)r;
	self.since = strtoull(values, NULL, 10);
	return true;
}

static bool
handover_read_last(struct handover_reader *r, const char *values)
{
	(void)r;
	self.last = (unsigned)strtoul(values, NULL, 10);
	return true;
}

static const struct {
	const char *word;
	bool (*read)(struct handover_reader *, const char *values);
} handover_words[] = {
	{ "since", handover_read_since },
	{ "last", handover_read_last },
	{ "segment", handover_read_segment },
	{ "socket", handover_read_socket },
	{ "error-log", handover_read_error_log },
	{ "log", handover_read_log },
	{ "generation", handover_read_generation },
	{ "writes", handover_read_writes },
	{ "seat", handover_read_seat },
	{ "local", handover_read_local },
	{ "process", handover_read_process },
	{ "client", handover_read_client },
	{ "control", handover_read_control },
};

static bool
handover_read_line(struct handover_reader *r, char *line)
{
	size_t n = sizeof(handover_words) / sizeof(handover_words[0]);
	char *values = line, *word = strsep(&values, " ");

	for (size_t i = 0; i < n; i++)
		if (strcmp(handover_words[i].word, word) == 0)
			return handover_words[i].read(r, values ? values : "");
	return false;
}

/* The whole record in memory: version and end are checked before anything is taken from it. */
static char *
handover_load(int record)
{
	off_t size = lseek(record, 0, SEEK_END);
	char first[48], *text;
	size_t n;

	if (size <= 0 || size > HANDOVER_MAX)
		return NULL;
	text = must_calloc(1, (size_t)size + 1);
	n = (size_t)size;
	snprintf(first, sizeof(first), "argand-handover %d\n", HANDOVER_VERSION);
	if (pread(record, text, n, 0) == (ssize_t)n && strncmp(text, first, strlen(first)) == 0 &&
	    n > 4 && strcmp(text + n - 4, "end\n") == 0)
		return text;
	free(text);
	return NULL;
}

static bool
handover_read(char *text)
{
	struct handover_reader r = { 0 };
	char *line, *rest = text;

	strsep(&rest, "\n");
	while ((line = strsep(&rest, "\n")) != NULL && strcmp(line, "end") != 0)
		if (!handover_read_line(&r, line)) {
			log_errorx("hand-over record: cannot read \"%.200s\"", line);
			return false;
		}
	return r.segments > 0;
}

/* The binary before has another layout: a segment of our own, with its totals. */
static bool
handover_open_shm(void)
{
	if (!master.shm) {
		master.shm = shm_create();
		if (!master.shm)
			return false;
		shm_carry(master.shm, master.shm_old);
		log_notice("another layout of the segment: counters are carried over");
	}
	ledger_set_shm(master.shm);
	return true;
}

/* ---- going on ---- */

bool
handover_is_taken(void)
{
	return self.is_taken;
}

void
handover_done(const struct text *report)
{
	if (!self.is_taken)
		return;
	handover_forget();
	atomic_fetch_add(&shm_master(master.shm)->upgrades, 1);
	log_notice("upgraded in %llu ms", (unsigned long long)(clock_ms() - self.since));
	chronicle_add(HISTORY_UPGRADE, master.pid, -1, "version %s took over", PACKAGE_VERSION);
	control_done(CONTROL_UPGRADE, text_str(report), 0);
}

/* Takes conf. False: its addresses could not be opened; sockets that were inherited stay open. */
static bool
handover_reopen(struct generation *g, struct conf *conf, struct text *report)
{
	if (listener_open(conf, report) != 0) {
		conf_free(conf);
		return false;
	}
	g->conf = conf;
	if (local_open(conf, report) == 0)
		local_commit(g->number);
	else
		local_rollback();
	listener_commit(conf);
	generation_refill(g);
	return true;
}

/* We are the old binary again: the generation that served serves on, with its configuration if
   that is still the one in the file. */
static void
handover_resume(const char *why)
{
	struct generation *g = generation_serving();
	struct text report = { 0 };
	struct conf *conf = master_conf(&report);

	handover_forget();
	report.n = 0;
	if (!conf || !g || conf->digest != g->digest) {
		log_warnx("the configuration has changed meanwhile: it is loaded when a worker "
			  "dies");
		if (conf)
			conf_free(conf);
	} else if (!handover_reopen(g, conf, &report)) {
		log_errorx("%.*s", (int)strcspn(report.p, "\n"), report.p);
	}
	report.n = 0;
	text_printf(
	    &report, "%sNot upgraded; generation %u goes on serving.\n", why, g ? g->number : 0);
	atomic_fetch_add(&shm_master(master.shm)->reload_failures, 1);
	log_errorx("upgrade failed, generation %u serves on: %.*s", g ? g->number : 0,
	    (int)strcspn(why, "\n"), why);
	chronicle_add(HISTORY_UPGRADE_REFUSED, 0, -1, "%.*s", (int)strcspn(why, "\n"), why);
	control_done(CONTROL_UPGRADE, text_str(&report), EXIT_FAILURE);
	text_free(&report);
	reload_resume();
	if (control_waiting(CONTROL_RELOAD, 0) >= 0)
		reload_request("asked for before the upgrade");
}

static void
handover_go_on(void)
{
	atomic_store(&shm_master(master.shm)->pid, (int32_t)master.pid);
	reload_take_over();
}

static bool
handover_has_seat(const struct ledger_entry *e)
{
	LIST_EACH(l, generation_list())
	{
		struct generation *g = container_of(l, struct generation, link);

		for (unsigned i = 0; i < g->nseats; i++)
			if (seat_has_process(&g->seats[i]) &&
			    shm_id(g->seats[i].shm) == e->segment && g->seats[i].row == (int)e->row)
				return true;
	}
	return false;
}

/* Cleans up after workers that were not taken over: their rows, and generations without a worker.
   The other generations go on in their states. */
static void
handover_settle(void)
{
	for (unsigned i = 0; i < LEDGER_ENTRIES; i++) {
		struct ledger_entry *e = ledger_at(i);

		if (e && !handover_has_seat(e))
			ledger_del(e->segment, e->row);
	}
	LIST_EACH(l, generation_list())
	generation_resume(container_of(l, struct generation, link));
}

/* Only now: until here we may have to leave everything to the old binary again. */
static void
handover_close_over_exec(void)
{
	if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = STDERR_FILENO + 1; fd < sysconf(_SC_OPEN_MAX) && fd < 65536; fd++)
		handover_keep(fd, false);
}

/* Nothing that the record names was closed: the binary that wrote it can still read it. */
static _Noreturn void
handover_give_up(int record, bool is_returned)
{
	/* The other one could not read it either. Our workers serve on; the service manager, which
	   has our sockets, starts us anew. */
	if (is_returned) {
		log_errorx("hand-over: the record is damaged");
		_exit(EXIT_FAILURE);
	}
	setenv(HANDOVER_RETURNED, "the new binary cannot read the hand-over record\n", 1);
	handover_exec(NULL, self.exe, record, self.exe);
	log_error("hand-over: no way forth and no way back");
	_exit(EXIT_FAILURE);
}

bool
handover_take(void)
{
	const char *env = getenv(HANDOVER_ENV), *returned = getenv(HANDOVER_RETURNED);
	char *text, *why = returned ? must_strdup(returned) : NULL;
	int record;

	if (!env || sscanf(env, "%d:%d", &record, &self.exe) != 2)
		return false;
	unsetenv(HANDOVER_ENV);
	unsetenv(HANDOVER_RETURNED);
	self.is_taken = true;
	text = handover_load(record);
	if (!text || !handover_read(text) || !handover_open_shm())
		handover_give_up(record, why != NULL);
	handover_close_over_exec();
	orphan_dismiss_rest();
	handover_settle();
	close(record);
	free(text);
	if (why)
		handover_resume(why);
	else
		handover_go_on();
	free(why);
	return true;
}
