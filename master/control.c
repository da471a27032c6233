#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/conf_print.h"
#include "common/segment/shm_dump.h"
#include "common/status/doc.h"
#include "common/status/events.h"
#include "master/backends.h"
#include "master/base/chronicle.h"
#include "master/base/sockfile.h"
#include "master/control.h"
#include "master/generation.h"
#include "master/logs.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/upgrade.h"

enum {
	CONTROL_CLIENTS = 32,
	CONTROL_LINE = 512,
	CONTROL_REQUEST_MS = 5000, /* for the request line, and for taking the answer */
	CONTROL_FLUSH_MS = 500,
};

struct client {
	struct link link;
	int fd;
	enum control_wait wait;
	char line[CONTROL_LINE];
	size_t n, sent;
	struct text out;
	struct watch watch;
	struct alarm alarm;
};

static struct {
	int fd;
	char *path;
	struct sockfile file; /* that path was when it was bound */
	struct link clients;
	unsigned nclients;
	struct watch watch;
} self = { .fd = -1 };

static void
client_free(struct client *c)
{
	watch_del(&c->watch);
	alarm_del(&c->alarm);
	list_del(&c->link);
	self.nclients--;
	close(c->fd);
	text_free(&c->out);
	free(c);
}

static void
client_expired(void *arg)
{
	client_free(arg);
}

/* ---- answers ---- */

/* Sends what it can; frees the client when all is sent, or when it is gone. */
static void
client_write(void *arg, short revents)
{
	struct client *c = arg;
	ssize_t n =
	    send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	(void)revents;
	if (n > 0)
		c->sent += (size_t)n;
	else if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || c->sent == c->out.n)
		client_free(c);
}

static void
client_answer(struct client *c, struct str text, int status)
{
	text_add_str(&c->out, text);
	if (c->out.n && c->out.p[c->out.n - 1] != '\n')
		text_add(&c->out, "\n", 1);
	text_printf(&c->out, "exit %d\n", status);
	c->wait = CONTROL_SENDING;
	alarm_set(&c->alarm, CONTROL_REQUEST_MS, client_expired, c);
	watch_add(&c->watch, c->fd, POLLOUT, client_write, c);
}

void
control_done(enum control_wait wait, struct str text, int status)
{
	LIST_EACH(l, &self.clients)
	{
		struct client *c = container_of(l, struct client, link);

		if (c->wait == wait)
			client_answer(c, text, status);
	}
}

void
control_promote(void)
{
	LIST_EACH(l, &self.clients)
	{
		struct client *c = container_of(l, struct client, link);

		if (c->wait == CONTROL_NEXT)
			c->wait = CONTROL_RELOAD;
	}
}

int
control_waiting(enum control_wait wait, unsigned i)
{
	LIST_EACH(l, &self.clients)
	{
		struct client *c = container_of(l, struct client, link);

		if (c->wait != wait || (wait == CONTROL_REQUEST && c->n > 0))
			continue; /* half a request line cannot be handed over */
		if (i-- == 0)
			return c->fd;
	}
	return -1;
}

/* ---- requests ---- */

static void
control_reload(struct client *c, const char *arg)
{
	(void)arg;
	c->wait = reload_is_busy() || upgrade_is_busy() ? CONTROL_NEXT : CONTROL_RELOAD;
	reload_request("asked for through the control socket");
}

static void
control_upgrade(struct client *c, const char *arg)
{
	(void)arg;
	c->wait = CONTROL_UPGRADE;
	upgrade_request("asked for through the control socket");
}

static void
control_stop(struct client *c, const char *arg)
{
	c->wait = CONTROL_STOP;
	master_stop(strcmp(arg, "fast") == 0);
}

static void
control_reopen(struct client *c, const char *arg)
{
	(void)arg;
	logs_reopen();
	client_answer(c, STR("log files opened anew"), 0);
}

static void
control_status(struct client *c, const char *arg)
{
	struct text t = { 0 };

	if (strcmp(arg, "--json") == 0)
		statusdoc_json(master.shm, &t);
	else if (strcmp(arg, "--segment") == 0)
		shm_dump(master.shm, &t);
	else
		statusdoc_text(master.shm, strcmp(arg, "--color") == 0, &t);
	client_answer(c, text_str(&t), 0);
	text_free(&t);
}

static void
control_events(struct client *c, const char *arg)
{
	struct text t = { 0 };

	if (strcmp(arg, "--json") == 0)
		statusevents_doc_json(master.shm, &t);
	else
		statusevents_doc(master.shm, strcmp(arg, "--color") == 0, &t);
	client_answer(c, text_str(&t), 0);
	text_free(&t);
}

/* The words of a client's line are cut in place: nobody else reads it any more. */
static void
control_backend(struct client *c, const char *arg)
{
	struct text t = { 0 };
	char *args = c->line + (arg - c->line);
	int status = backends_command(master.shm, *arg ? args : (char[]){ "" }, &t);

	client_answer(c, text_str(&t), status);
	text_free(&t);
}

static void
control_config(struct client *c, const char *arg)
{
	struct generation *g = generation_serving();
	char *p = NULL;
	size_t n = 0;
	FILE *f;

	(void)arg;
	if (!g || !g->conf) {
		client_answer(c, STR("the configuration that runs is not known (yet)"), 1);
		return;
	}
	f = open_memstream(&p, &n);
	must(f != NULL);
	conf_dump(g->conf, f);
	fclose(f);
	client_answer(c, str_n(p, n), 0);
	free(p);
}

static void
control_log_level(struct client *c, const char *arg)
{
	int level = log_level_of(arg);

	if (level < 0) {
		client_answer(c, STR("fatal, error, warn, notice, info or debug"), EX_USAGE);
		return;
	}
	log_level = (enum log_level)level;
	atomic_store(&shm_master(master.shm)->log_level, (uint32_t)level);
	chronicle_add(HISTORY_COMMAND, 0, -1, "log level %s", log_level_name(log_level));
	client_answer(c, STR("until the next reload"), 0);
}

static const struct {
	const char *name;
	void (*fn)(struct client *, const char *arg);
} control_commands[] = {
	{ "reload", control_reload },
	{ "upgrade", control_upgrade },
	{ "stop", control_stop },
	{ "reopen", control_reopen },
	{ "status", control_status },
	{ "events", control_events },
	{ "backend", control_backend },
	{ "config", control_config },
	{ "log-level", control_log_level },
};

static void
client_command(struct client *c)
{
	size_t n = sizeof(control_commands) / sizeof(control_commands[0]);
	char *arg = c->line;
	char *name = strsep(&arg, " ");

	alarm_del(&c->alarm);
	watch_del(&c->watch);
	for (size_t i = 0; i < n; i++)
		if (strcmp(control_commands[i].name, name) == 0) {
			control_commands[i].fn(c, arg ? arg : "");
			return;
		}
	client_answer(c, STR("no such request"), EX_USAGE);
}

static void
client_read(void *arg, short revents)
{
	struct client *c = arg;
	ssize_t n = recv(c->fd, c->line + c->n, sizeof(c->line) - 1 - c->n, MSG_DONTWAIT);
	char *end;

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(c);
		return;
	}
	c->n += (size_t)n;
	c->line[c->n] = '\0';
	end = strchr(c->line, '\n');
	if (end) {
		*end = '\0';
		client_command(c);
	} else if (c->n == sizeof(c->line) - 1 || strlen(c->line) < c->n) {
		client_free(c);
	}
}

static struct client *
client_new(int fd)
{
	struct client *c = must_calloc(1, sizeof(*c));

	c->fd = fd;
	list_add_tail(&self.clients, &c->link);
	self.nclients++;
	return c;
}

static void
client_listen(struct client *c)
{
	alarm_set(&c->alarm, CONTROL_REQUEST_MS, client_expired, c);
	watch_add(&c->watch, c->fd, POLLIN, client_read, c);
}

/* ---- the socket ---- */

static void
control_accept(void *arg, short revents)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int fd = accept4(self.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)arg;
	(void)revents;
	if (fd < 0)
		return;
	if (self.nclients >= CONTROL_CLIENTS ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		close(fd);
		return;
	}
	client_listen(client_new(fd));
}

void
control_adopt_client(int fd, enum control_wait wait)
{
	struct client *c = client_new(fd);

	c->wait = wait;
	if (wait == CONTROL_REQUEST)
		client_listen(c);
}

static void
control_take(int fd, const char *path, const struct sockfile *file)
{
	self.fd = fd;
	self.path = must_strdup(path);
	self.file = *file;
	watch_add(&self.watch, fd, POLLIN, control_accept, NULL);
}

void
control_adopt(int fd, const char *path)
{
	struct sockfile file;

	sockfile_know(&file, fd, path);
	control_take(fd, path, &file);
}

void
control_init(void)
{
	list_init(&self.clients);
	self.nclients = 0;
	self.path = NULL;
	self.fd = -1;
}

int
control_fd(void)
{
	return self.fd;
}

const char *
control_path(void)
{
	return self.path ? self.path : "";
}

/* The exit status of a server that has no control socket. */
static int
control_failed(int error)
{
	switch (error) {
	case EACCES:
		return EX_NOPERM;
	case EADDRINUSE:
		return EX_TEMPFAIL;
	case ENAMETOOLONG:
		return EX_CONFIG;
	default:
		return EXIT_FAILURE;
	}
}

/* Nobody but us may connect, not even while it is made. */
int
control_open(const char *path, struct text *report)
{
	char why[SAFEDIR_WHY];
	struct sockfile file;
	pid_t who;
	int fd = sockfile_bind(path, SOCK_NONBLOCK, SOCKFILE_ANYBODY, &file, &who, why);
	int error = errno;

	if (fd < 0 && who) {
		text_printf(report,
		    "control socket %s: another argand (pid %d) is running with it\n", path,
		    (int)who);
		return EX_TEMPFAIL;
	}
	if (fd >= 0 && listen(fd, 16) < 0) {
		error = errno;
		snprintf(why, sizeof(why), "%s", strerror(error));
		sockfile_remove(path, &file);
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		text_printf(report, "control socket %s: %s\n", path, why);
		return control_failed(error);
	}
	control_take(fd, path, &file);
	return 0;
}

static void
control_shut(void)
{
	if (self.fd < 0)
		return;
	watch_del(&self.watch);
	sockfile_remove(self.path, &self.file);
	close(self.fd);
	free(self.path);
	self.path = NULL;
	self.fd = -1;
}

void
control_move(const char *path)
{
	int fd = self.fd;
	char *before = self.path;
	struct sockfile file = self.file;
	struct text report = { 0 };

	if (before && strcmp(before, path) == 0)
		return;
	if (control_open(path, &report) != 0) {
		log_errorx("%.*s", (int)(report.n ? report.n - 1 : 0), report.p);
		text_free(&report);
		return;
	}
	if (fd < 0)
		return;
	sockfile_remove(before, &file);
	close(fd);
	free(before);
}

void
control_flush(void)
{
	uint64_t end = clock_ms() + CONTROL_FLUSH_MS;

	LIST_EACH(l, &self.clients)
	{
		struct client *c = container_of(l, struct client, link);
		struct pollfd p = { .fd = c->fd, .events = POLLOUT };

		while (c->wait == CONTROL_SENDING && c->sent < c->out.n && clock_ms() < end) {
			ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent,
			    MSG_DONTWAIT | MSG_NOSIGNAL);

			if (n > 0)
				c->sent += (size_t)n;
			else if (poll(&p, 1, 50) < 0 || (p.revents & POLLERR))
				break;
		}
	}
}

void
control_close(void)
{
	control_flush();
	LIST_EACH(l, &self.clients)
	client_free(container_of(l, struct client, link));
	control_shut();
}
