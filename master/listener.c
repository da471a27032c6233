/*
 * Owns the listening sockets of all addresses. Invariants: between committed and slots are those
 * opened for a configuration that does not serve yet; a listener that is leaving keeps its sockets
 * for LISTENER_GRACE_MS, so that the workers of the old generation accept what is queued; all
 * addresses have the same number of slots, which only grows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"
#include "master/holder.h"
#include "master/listener.h"
#include "master/steer.h"

static struct {
	struct link all;
	unsigned slots, committed;
	bool steer_failed;
} self;

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

void
listener_init(void)
{
	list_init(&self.all);
	self.slots = self.committed = 0;
	self.steer_failed = false;
}

const struct link *
listener_list(void)
{
	return &self.all;
}

unsigned
listener_slots(void)
{
	return self.slots;
}

unsigned
listener_count(void)
{
	unsigned n = 0;

	LIST_EACH(l, &self.all)
	n++;
	return n;
}

static struct listener *
listener_of(struct link *l)
{
	return container_of(l, struct listener, link);
}

struct listener *
listener_find(struct str text)
{
	LIST_EACH(l, &self.all)
	{
		if (str_eq(text, str_of(listener_of(l)->text)))
			return listener_of(l);
	}
	return NULL;
}

/* The manager separates names by colons: an address' become semicolons. */
void
listener_name(const struct listener *l, unsigned slot, char *name, size_t len)
{
	snprintf(name, len, "argand.%.200s.%u", l->text, slot);
	for (char *p = name; *p; p++)
		if (*p == ':')
			*p = ';';
}

static socklen_t
listener_address(const struct conf_listen *c, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (c->family == LISTEN_UNIX) {
		a->un.sun_family = AF_UNIX;
		memcpy(a->un.sun_path, c->host.p,
		    c->host.n < sizeof(a->un.sun_path) ? c->host.n : sizeof(a->un.sun_path) - 1);
		return sizeof(a->un);
	}
	if (inet_pton(AF_INET, c->host.p, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons((uint16_t)c->port);
		return sizeof(a->in);
	}
	inet_pton(AF_INET6, c->host.p, &a->in6.sin6_addr);
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = htons((uint16_t)c->port);
	return sizeof(a->in6);
}

/* ---- one socket ---- */

static void
listener_option(int fd, int level, int name, const char *what)
{
	int one = 1;

	if (setsockopt(fd, level, name, &one, sizeof(one)) < 0)
		log_warn("%s", what);
}

static int
listener_socket(const union address *a, socklen_t len, bool reuseport)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (a->sa.sa_family != AF_UNIX) {
		listener_option(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR");
		/* Inherited by the connections: saves each of them a call. */
		listener_option(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	}
	/* So that [::]:80 and 0.0.0.0:80 stand side by side. */
	if (a->sa.sa_family == AF_INET6)
		listener_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY");
	if (reuseport)
		listener_option(fd, SOL_SOCKET, SO_REUSEPORT, "SO_REUSEPORT");
	if (bind(fd, &a->sa, len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Whether another server has the address. With SO_REUSEPORT bind() would succeed beside one of the
   same user and take half of its connections; binding one without it fails then. */
static bool
listener_is_taken(const union address *a, socklen_t len)
{
	int fd = listener_socket(a, len, false);

	if (fd < 0)
		return errno == EADDRINUSE;
	close(fd);
	return false;
}

/* A socket of our own on that port makes listener_is_taken() say nothing. */
static bool
listener_has_port(int64_t port)
{
	LIST_EACH(l, &self.all)
	{
		const char *colon = strrchr(listener_of(l)->text, ':');

		if (listener_of(l)->family == LISTEN_TCP && listener_of(l)->slots > 0 && colon &&
		    strtoll(colon + 1, NULL, 10) == port)
			return true;
	}
	return false;
}

/* ---- Unix sockets ---- */

static int
listener_unix_owner(const struct conf_listen *c, struct sockfile_owner *o)
{
	struct passwd *pw = c->user.n ? getpwnam(c->user.p) : NULL;
	struct group *gr = c->group.n ? getgrnam(c->group.p) : NULL;

	errno = EINVAL;
	if ((c->user.n && !pw) || (c->group.n && !gr))
		return -1;
	*o = (struct sockfile_owner){ pw ? pw->pw_uid : (uid_t)-1, gr ? gr->gr_gid : (gid_t)-1,
		(mode_t)c->mode };
	return 0;
}

/* Nobody can connect before the mode and the owner are right: it does not listen yet. */
static int
listener_unix(struct listener *l, const struct conf_listen *c)
{
	struct sockfile_owner owner;
	char why[SAFEDIR_WHY];
	pid_t holder;
	int fd, saved;

	if (listener_unix_owner(c, &owner) < 0)
		return -1;
	fd = sockfile_bind(c->host.p, SOCK_NONBLOCK, SOCKFILE_ANYBODY, &l->file, &holder, why);
	if (fd < 0 && (errno == ELOOP || errno == EXDEV || errno == ESTALE)) {
		saved = errno;
		log_errorx("%s: %s", l->text, why);
		errno = saved;
	}
	if (fd < 0 || sockfile_give(c->host.p, &l->file, &owner) == 0)
		return fd;
	saved = errno;
	sockfile_remove(c->host.p, &l->file);
	close(fd);
	errno = saved;
	return -1;
}

/* The file goes while the socket is open: then it is the one that was bound. */
static void
listener_unix_remove(const struct listener *l)
{
	if (l->path && !l->is_activated)
		sockfile_remove(l->path, &l->file);
}

/* ---- messages ---- */

static const struct {
	int error, status;
	const char *text;
} listener_errors[] = {
	{ EADDRINUSE, EX_TEMPFAIL, "the address is in use" },
	{ EACCES, EX_NOPERM, "permission denied" },
	{ EPERM, EX_NOPERM, "permission denied" },
	{ EADDRNOTAVAIL, EX_TEMPFAIL, "this machine does not have that address" },
	{ EAFNOSUPPORT, 1, "this system has no such addresses (IPv6 is off)" },
	{ EEXIST, 1, "there is a file of that name which is not a socket" },
	{ ENOENT, 1, "the directory does not exist" },
	{ EINVAL, 1, "no such user or group" },
	{ ELOOP, 1,
	    "a symbolic link on the way is another user's, or in a directory of another user" },
	{ ESTALE, 1, "somebody else has put another file in the place of the socket" },
	{ EMFILE, 1, "too many open files: raise LimitNOFILE, or lower slots" },
};

static int
listener_report(const struct conf_listen *c, int error, struct text *report)
{
	size_t n = sizeof(listener_errors) / sizeof(listener_errors[0]);
	const char *text = strerror(error);
	char holder[128] = "";
	int status = 1;

	for (size_t i = 0; i < n; i++)
		if (listener_errors[i].error == error) {
			text = listener_errors[i].text;
			status = listener_errors[i].status;
		}
	if (c->place.file)
		text_printf(report, "%s:%d: ", c->place.file, c->place.line);
	text_printf(report, "cannot listen on %.*s: %s", STR_FMT(c->text), text);
	if (error == EADDRINUSE && c->family == LISTEN_TCP &&
	    holder_of_port((unsigned)c->port, holder, sizeof(holder)))
		text_printf(report, " by %s", holder);
	if (status == EX_NOPERM && c->family == LISTEN_TCP && c->port < 1024)
		text_printf(report, ": ports below 1024 need root or CAP_NET_BIND_SERVICE");
	text_printf(report, "\n");
	return status;
}

/* ---- listeners ---- */

static struct listener *
listener_new(const struct conf_listen *c)
{
	struct listener *l = must_calloc(1, sizeof(*l));

	l->text = strndup(c->text.p, c->text.n);
	must(l->text != NULL);
	l->family = c->family;
	if (c->family == LISTEN_UNIX)
		l->path = must_strdup(c->host.p);
	for (unsigned s = 0; s < SHM_SLOTS; s++)
		l->fds[s] = -1;
	list_add_tail(&self.all, &l->link);
	return l;
}

static void
listener_close_from(struct listener *l, unsigned first)
{
	char name[256];

	while (l->slots > first) {
		unsigned s = --l->slots;

		listener_name(l, s, name, sizeof(name));
		if (s < l->committed)
			notify_unstore(name);
		if (s < l->inherited && (!l->is_shared || s == 0))
			inherit_add(l->fds[s], l->is_activated && s == 0 ? "activated" : name);
		else if (!l->is_shared || s == 0)
			close(l->fds[s]);
		l->fds[s] = -1;
	}
}

static void
listener_free(struct listener *l)
{
	listener_close_from(l, 0);
	alarm_del(&l->leaving);
	list_del(&l->link);
	free(l->text);
	free(l->path);
	free(l);
}

static void
listener_share(struct listener *l, unsigned slots)
{
	l->is_shared = true;
	for (; l->slots < slots; l->slots++)
		l->fds[l->slots] = l->fds[0];
}

/* The socket of one slot: kept from before, or made. A first socket from the service manager
   without SO_REUSEPORT (or of another user) cannot have siblings: it is shared. */
static int
listener_open_slot(
    struct listener *l, const struct conf_listen *c, const union address *a, socklen_t len)
{
	char name[256];
	int fd;

	listener_name(l, l->slots, name, sizeof(name));
	fd = inherit_take_listener(name, &a->sa, len);
	if (fd < 0 && l->slots == 0) {
		fd = inherit_take_address(&a->sa, len);
		l->is_activated = fd >= 0;
	}
	if (fd >= 0) {
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		l->inherited = l->slots + 1;
		if (l->path)
			sockfile_know(&l->file, fd, l->path);
		return fd;
	}
	if (l->slots == 0 && c->family == LISTEN_TCP && !listener_has_port(c->port) &&
	    listener_is_taken(a, len)) {
		errno = EADDRINUSE;
		return -1;
	}
	fd = c->family == LISTEN_UNIX ? listener_unix(l, c) : listener_socket(a, len, true);
	if (fd >= 0 && listen(fd, (int)c->backlog) < 0) {
		int saved = errno;

		listener_unix_remove(l);
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static int
listener_fill(struct listener *l, const struct conf_listen *c, unsigned slots)
{
	union address a;
	socklen_t len = listener_address(c, &a);

	while (l->slots < slots) {
		int fd = l->is_shared ? -1 : listener_open_slot(l, c, &a, len);

		if (fd < 0 && !l->is_shared && !(l->is_activated && l->slots > 0))
			return -1;
		if (fd >= 0)
			l->fds[l->slots++] = fd;
		if (fd < 0 || c->family == LISTEN_UNIX)
			listener_share(l, slots);
	}
	return 0;
}

/* How many slots this configuration needs; never fewer than there are. */
static unsigned
listener_wanted(const struct conf *conf)
{
	unsigned n = self.slots;
	char name[256];

	if (conf->process.slots > (int64_t)n)
		n = (unsigned)conf->process.slots;
	if (conf->process.workers > (int64_t)n)
		n = (unsigned)conf->process.workers;
	for (size_t i = 0; i < conf->nlistens; i++) {
		struct listener l = { .text = (char *)(uintptr_t)conf->listens[i].text.p };
		size_t at;

		listener_name(&l, 0, name, sizeof(name));
		at = strlen(name) - 1;
		name[at] = '\0';
		if (inherit_count(name) > n)
			n = inherit_count(name);
	}
	return n < SHM_SLOTS ? n : SHM_SLOTS;
}

static int
listener_open_one(const struct conf_listen *c, unsigned slots, struct text *report)
{
	struct listener *l = listener_find(c->text);
	int error;

	if (!l)
		l = listener_new(c);
	if (listener_fill(l, c, slots) == 0)
		return 0;
	error = errno;
	if (l->slots > 0)
		return listener_report(c, error, report);
	listener_free(l);
	/* "*:80" means IPv6 too, where there is any. */
	if (c->is_optional && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL))
		return 0;
	return listener_report(c, error, report);
}

int
listener_open(const struct conf *conf, struct text *report)
{
	unsigned slots = listener_wanted(conf);
	int status = 0;

	for (size_t i = 0; i < conf->nlistens; i++) {
		int rc = listener_open_one(&conf->listens[i], slots, report);

		status = status ? status : rc;
	}
	self.slots = slots;
	if (status)
		listener_rollback();
	return status;
}

void
listener_rollback(void)
{
	LIST_EACH(l, &self.all)
	{
		struct listener *one = listener_of(l);

		if (one->committed == 0 && one->slots > 0 && one->inherited == 0)
			listener_unix_remove(one);
		if (one->committed == 0)
			listener_free(one);
		else
			listener_close_from(one, one->committed);
	}
	self.slots = self.committed;
}

static void
listener_gone(void *arg)
{
	struct listener *l = arg;

	log_info("closed %s", l->text);
	listener_unix_remove(l);
	listener_free(l);
}

static void
listener_store(struct listener *l)
{
	char name[256];
	unsigned n = l->is_shared ? 1 : l->slots;

	for (unsigned s = l->committed; s < n; s++) {
		listener_name(l, s, name, sizeof(name));
		if (s > 0 || !l->is_activated) /* else the manager has it already */
			notify_store(name, l->fds[s]);
	}
	l->committed = l->slots;
	l->inherited = 0;
}

/* How long the kernel keeps a connection without a byte from us: then we get it all the same. */
enum { LISTENER_DEFER_S = 1 };

/* A connection that comes with its first bytes is one event instead of two. A Unix socket cannot,
   and an address that leaves must not: what would still be waiting for a byte when it is closed
   would be lost. */
static void
listener_defer(struct listener *l, bool on)
{
	int seconds = on ? LISTENER_DEFER_S : 0;

	for (unsigned s = 0; s < l->slots && l->family == LISTEN_TCP; s++)
		if (s == 0 || !l->is_shared)
			(void)setsockopt(
			    l->fds[s], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds));
}

static const struct conf_listen *
listener_in(const struct listener *l, const struct conf *conf)
{
	for (size_t i = 0; i < conf->nlistens; i++)
		if (str_eq(conf->listens[i].text, str_of(l->text)))
			return &conf->listens[i];
	return NULL;
}

void
listener_commit(const struct conf *conf)
{
	self.committed = self.slots;
	LIST_EACH(l, &self.all)
	{
		struct listener *one = listener_of(l);
		const struct conf_listen *c = listener_in(one, conf);

		listener_defer(one, c && c->defer);
		if (c) {
			alarm_del(&one->leaving);
			listener_store(one);
		} else if (!link_is_on(&one->leaving.link)) {
			alarm_set(&one->leaving, LISTENER_GRACE_MS, listener_gone, one);
		}
	}
	inherit_close_rest();
}

void
listener_steer(unsigned n)
{
	LIST_EACH(l, &self.all)
	{
		struct listener *one = listener_of(l);

		if (one->is_shared || one->slots < 2 || steer_attach(one->fds[0], n))
			continue;
		if (!self.steer_failed)
			log_info("the kernel does not let us steer connections (%s): its hash "
				 "spreads them",
			    strerror(errno));
		self.steer_failed = true;
	}
}

void
listener_unlink(void)
{
	LIST_EACH(l, &self.all)
	{
		if (!notify_is_on())
			listener_unix_remove(listener_of(l));
	}
}
