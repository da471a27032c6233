#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/logfile.h"
#include "common/base/must.h"
#include "master/base/chronicle.h"
#include "master/generation.h"
#include "master/logs.h"

enum { LOGS_AGAIN_MS = 1000, LOGS_INDEX_ERROR = 255 };

static struct {
	struct link all;
	char *error_name;
	int error_fd; /* -1: stderr */
} self = { .error_fd = -1 };

void
logs_init(void)
{
	list_init(&self.all);
	free(self.error_name);
	self.error_name = NULL;
	self.error_fd = -1;
}

const struct link *
logs_list(void)
{
	return &self.all;
}

const char *
logs_error_name(void)
{
	return self.error_name ? self.error_name : "stderr";
}

/* A new file takes the number of the old one, so that whoever logs need not know. */
static int
logs_replace(int *at, int fd)
{
	if (fd < 0)
		return -1;
	if (*at < 0) {
		*at = fd;
		return 0;
	}
	if (dup3(fd, *at, O_CLOEXEC) < 0)
		return -1;
	close(fd);
	return 0;
}

int
logs_open_error(struct str destination, char why[SAFEDIR_WHY])
{
	char *name = strndup(destination.p, destination.n);
	pid_t pid;

	must(name != NULL);
	if (self.error_name && strcmp(self.error_name, name) == 0) {
		free(name);
		return 0;
	}
	if (destination.n == 0 || str_eq(destination, STR("stderr"))) {
		log_open(STDERR_FILENO, log_form_for_stderr());
	} else {
		int fd = logfile_open(destination, &pid, why);

		if (logs_replace(&self.error_fd, fd) < 0) {
			free(name);
			return -1;
		}
		log_open(self.error_fd, LOG_TEXT);
	}
	free(self.error_name);
	self.error_name = name;
	return 0;
}

static struct logdest *
logs_find(struct str name)
{
	LIST_EACH(l, &self.all)
	{
		struct logdest *d = container_of(l, struct logdest, link);

		if (str_eq(name, str_of(d->name)))
			return d;
	}
	return NULL;
}

struct logdest *
logs_adopt(const char *name, int fd, pid_t pid)
{
	struct logdest *d = must_calloc(1, sizeof(*d));

	d->name = must_strdup(name);
	d->fd = fd;
	d->pid = pid;
	d->started = clock_ms();
	list_add_tail(&self.all, &d->link);
	return d;
}

void
logs_adopt_error(const char *name, int fd)
{
	self.error_name = must_strdup(name);
	self.error_fd = fd;
	log_open(fd, LOG_TEXT);
}

bool
logs_add(struct logs *logs, const char *name)
{
	struct logdest *d = logs_find(str_of(name));

	if (!d)
		return false;
	logs->v = must_realloc(logs->v, (logs->n + 1) * sizeof(*logs->v));
	logs->v[logs->n++] = d;
	d->users++;
	return true;
}

static void
logs_put(struct logdest *d)
{
	if (--d->users > 0)
		return;
	alarm_del(&d->again);
	list_del(&d->link);
	close(d->fd); /* a command sees the end of its input, when the last worker is gone */
	free(d->name);
	free(d);
}

static struct logdest *
logs_get(struct str name, char why[SAFEDIR_WHY])
{
	struct logdest *d = logs_find(name);

	if (!d) {
		pid_t pid;
		int fd = logfile_open(name, &pid, why);

		if (fd < 0)
			return NULL;
		d = logs_adopt(name.p, fd, pid);
	}
	d->users++;
	return d;
}

int
logs_open(struct logs *logs, const struct conf *conf, struct text *report)
{
	char why[SAFEDIR_WHY];
	int rc = 0;

	*logs = (struct logs){ must_calloc(conf->log_files.n, sizeof(*logs->v)), 0 };
	for (size_t i = 0; i < conf->log_files.n; i++) {
		struct logdest *d = logs_get(conf->log_files.v[i], why);

		if (d) {
			logs->v[logs->n++] = d;
			continue;
		}
		text_printf(
		    report, "cannot open log %.*s: %s\n", STR_FMT(conf->log_files.v[i]), why);
		rc = -1;
	}
	if (rc < 0)
		logs_close(logs);
	return rc;
}

void
logs_close(struct logs *logs)
{
	for (size_t i = 0; i < logs->n; i++)
		logs_put(logs->v[i]);
	free(logs->v);
	*logs = (struct logs){ 0 };
}

static bool
logs_is_path(const char *name)
{
	return name[0] == '/';
}

static void
logs_renew(struct logdest *d)
{
	char why[SAFEDIR_WHY];
	pid_t pid;
	int fd = logfile_open(str_of(d->name), &pid, why);

	if (logs_replace(&d->fd, fd) < 0) {
		log_errorx("cannot open log %s anew: %s", d->name, why);
		return;
	}
	d->pid = pid;
	d->started = clock_ms();
	generation_send_log(d);
}

void
logs_reopen(void)
{
	char why[SAFEDIR_WHY];
	pid_t pid;
	int fd;

	LIST_EACH(l, &self.all)
	{
		struct logdest *d = container_of(l, struct logdest, link);

		if (logs_is_path(d->name))
			logs_renew(d);
	}
	if (self.error_fd >= 0) {
		fd = logfile_open(str_of(self.error_name), &pid, why);
		if (logs_replace(&self.error_fd, fd) < 0)
			log_errorx("cannot open %s anew: %s", self.error_name, why);
		else
			generation_send_reopen(LOGS_INDEX_ERROR, self.error_fd);
	}
	log_notice("log files opened anew");
	chronicle_add(HISTORY_COMMAND, 0, -1, "log files opened anew");
}

static void
logs_again(void *arg)
{
	logs_renew(arg);
}

bool
logs_reap(pid_t pid, int status)
{
	LIST_EACH(l, &self.all)
	{
		struct logdest *d = container_of(l, struct logdest, link);
		uint64_t age = clock_ms() - d->started;

		if (d->pid != pid)
			continue;
		d->pid = 0;
		log_warnx("log command \"%s\" ended (%s %d): starting it again", d->name + 1,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		alarm_set(&d->again, age > LOGS_AGAIN_MS ? 0 : LOGS_AGAIN_MS, logs_again, d);
		return true;
	}
	return false;
}
