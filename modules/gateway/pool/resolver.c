/*
 * The resolver of a worker: one c-ares channel in the event loop, made with the first watch and
 * ended with the last.
 *
 * An entry is a name with what is known of it: addresses, when to ask again, whether a lookup is
 * under way. Watches of the same name share its entry. Answers only change the entry; watchers are
 * called from a notice, never from inside c-ares. An entry whose last watch ends during a lookup
 * lives until the lookup is answered.
 *
 * When a lookup fails it is repeated, from a second up to half a minute apart; what was known stays
 * in use. A lookup that takes longer than its watch allows counts as failed, and its answer is
 * taken when it comes after all.
 */
#include <ares.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "common/config/conf.h"
#include "common/segment/shm.h"
#include "modules/gateway/pool/resolver.h"
#include "modules/gateway/pool/resolver_addrs.h"
#include "worker/worker.h"

enum {
	RESOLVER_TTL_MIN = 1000,
	RESOLVER_TTL_MAX = 3600 * 1000,
	RESOLVER_RETRY_MAX = 30 * 1000,
	RESOLVER_AGAIN = 1000, /* between lookups that are asked for */
	RESOLVER_TRY = 1000,   /* a DNS server's time for the first try; doubled for the next */
	RESOLVER_TRIES = 3,
};

struct resolver_entry {
	struct link link; /* of resolver.entries */
	char *name;
	struct link watches;
	struct resolver_addrs addrs;
	bool is_asking, is_known, is_failing; /* failing: logged */
	bool is_late;                         /* the lookup under way counts as failed already */
	const char *why;
	uint64_t asked, due;   /* worker_now(): of the last lookup, of the next */
	uint64_t deadline;     /* of the lookup under way */
	int64_t timeout, wait; /* of a lookup; to the next one after a failure */
};

struct resolver_name {
	struct link link; /* of the entry's watches */
	struct resolver_entry *entry;
	in_port_t port; /* network order */
	bool is_news;   /* the callee has not seen the addresses yet */
	void (*changed)(void *arg, const struct sockaddr_storage *v, unsigned n);
	void *arg;
};

struct resolver_fd {
	struct link link; /* of resolver.fds */
	struct event *ev;
	int fd;
};

static struct resolver {
	struct worker *w; /* NULL: not started */
	ares_channel channel;
	struct link entries, fds;
	struct event *timer;
	struct post news;
} resolver;

static void resolver_arm(void);

/* --- results: the log, and whoever watches --- */

static const char *
resolver_why(int status)
{
	static const struct {
		int status;
		const char *why;
	} rows[] = {
		{ ARES_ENOTFOUND, "no such name" },
		{ ARES_ENODATA, "it has no address" },
		{ ARES_ETIMEOUT, "the DNS servers do not answer" },
		{ ARES_ECONNREFUSED, "no DNS server has an answer" },
		{ ARES_ESERVFAIL, "the DNS servers fail" },
		{ ARES_EREFUSED, "the DNS servers refuse to answer" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].status == status)
			return rows[i].why;
	return ares_strerror(status);
}

/* Every worker looks names up for itself; only the one in the first seat logs it (others:
   debug). */
static enum log_level
resolver_level(enum log_level level)
{
	return atomic_load(&worker_row(resolver.w)->seat) == 0 ? level : LOG_DEBUG_;
}

static void
resolver_log(const struct resolver_entry *e)
{
	char text[RESOLVER_ADDRS * (INET6_ADDRSTRLEN + 1)], one[INET6_ADDRSTRLEN];
	size_t n = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < e->addrs.n && n < 400; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
		    resolver_addrs_text(&e->addrs.v[i], one));
	log_at(resolver_level(LOG_INFO_), NULL, false, "the name %s is %s", e->name, text);
}

/* Calls one watcher that has not been notified yet. The call may end any watch, and with the last
   one the entry, so the search begins anew each time. */
static bool
resolver_news_one(void)
{
	LIST_EACH(l, &resolver.entries)
	{
		struct resolver_entry *e = container_of(l, struct resolver_entry, link);

		LIST_EACH(k, &e->watches)
		{
			struct resolver_name *n = container_of(k, struct resolver_name, link);
			struct sockaddr_storage v[RESOLVER_ADDRS];

			if (!n->is_news)
				continue;
			n->is_news = false;
			memcpy(v, e->addrs.v, e->addrs.n * sizeof(*v));
			for (unsigned i = 0; i < e->addrs.n; i++)
				if (v[i].ss_family == AF_INET)
					((struct sockaddr_in *)&v[i])->sin_port = n->port;
				else
					((struct sockaddr_in6 *)&v[i])->sin6_port = n->port;
			n->changed(n->arg, v, e->addrs.n);
			return true;
		}
	}
	return false;
}

static void
resolver_news(void *arg)
{
	(void)arg;
	while (resolver.w && resolver_news_one())
		continue;
}

/* --- lookups --- */

static void
resolver_entry_free(struct resolver_entry *e)
{
	list_del(&e->link);
	free(e->name);
	free(e);
}

static void
resolver_failed(struct resolver_entry *e, const char *why)
{
	e->why = why;
	if (!e->is_failing)
		log_at(resolver_level(LOG_WARN_), NULL, false, "the name %s does not resolve: %s%s",
		    e->name, why, e->is_known ? "; its last addresses stay in use" : "");
	e->is_failing = true;
	e->wait = e->wait ? 2 * e->wait : RESOLVER_TTL_MIN;
	if (e->wait > RESOLVER_RETRY_MAX)
		e->wait = RESOLVER_RETRY_MAX;
	e->due = worker_now(resolver.w) + (uint64_t)e->wait;
}

/* The shortest lifetime of the answer, names on the way to it included. */
static int64_t
resolver_ttl(const struct ares_addrinfo *info)
{
	int64_t ttl = RESOLVER_TTL_MAX / 1000;

	for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
		if (n->ai_ttl < ttl)
			ttl = n->ai_ttl;
	for (const struct ares_addrinfo_cname *n = info->cnames; n; n = n->next)
		if (n->ttl < ttl)
			ttl = n->ttl;
	ttl *= 1000;
	return ttl < RESOLVER_TTL_MIN ? RESOLVER_TTL_MIN : ttl;
}

static void
resolver_collect(struct resolver_addrs *addrs, const struct ares_addrinfo *info)
{
	addrs->n = 0;
	for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
		resolver_addrs_add(addrs, n->ai_family,
		    n->ai_family == AF_INET
			? (const void *)&((const struct sockaddr_in *)(const void *)n->ai_addr)
			      ->sin_addr
			: (const void *)&((const struct sockaddr_in6 *)(const void *)n->ai_addr)
			      ->sin6_addr);
}

static void
resolver_answered(struct resolver_entry *e, const struct ares_addrinfo *info)
{
	struct resolver_addrs addrs;

	resolver_collect(&addrs, info);
	if (addrs.n == 0) {
		resolver_failed(e, resolver_why(ARES_ENODATA));
		return;
	}
	if (e->is_failing)
		log_at(resolver_level(LOG_NOTICE_), NULL, false, "the name %s resolves%s", e->name,
		    e->is_known ? " again" : "");
	e->is_failing = false;
	e->wait = 0;
	e->due = worker_now(resolver.w) + (uint64_t)resolver_ttl(info);
	if (e->is_known && resolver_addrs_equal(&addrs, &e->addrs))
		return;
	e->addrs = addrs;
	e->is_known = true;
	resolver_log(e);
	LIST_EACH(l, &e->watches)
	container_of(l, struct resolver_name, link)->is_news = true;
	worker_post(resolver.w, &resolver.news);
}

/* From inside c-ares, also when it is ended. */
static void
resolver_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolver_entry *e = arg;

	(void)timeouts;
	e->is_asking = false;
	if (list_is_empty(&e->watches))
		resolver_entry_free(e);
	else if (status == ARES_SUCCESS)
		resolver_answered(e, info);
	else if (status != ARES_EDESTRUCTION && !e->is_late)
		resolver_failed(e, resolver_why(status));
	if (info)
		ares_freeaddrinfo(info);
}

static void
resolver_ask(struct resolver_entry *e)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM
	};

	e->asked = worker_now(resolver.w);
	e->deadline = e->asked + (uint64_t)e->timeout;
	e->is_asking = true;
	e->is_late = false;
	/* May answer at once, from /etc/hosts. */
	ares_getaddrinfo(resolver.channel, e->name, NULL, &hints, resolver_answer, e);
}

/* --- events --- */

/* Does what is due. */
static void
resolver_turn(void)
{
	uint64_t now = worker_now(resolver.w);

	LIST_EACH(l, &resolver.entries)
	{
		struct resolver_entry *e = container_of(l, struct resolver_entry, link);

		if (list_is_empty(&e->watches))
			continue;
		if (e->is_asking && !e->is_late && now >= e->deadline) {
			e->is_late = true;
			resolver_failed(e, resolver_why(ARES_ETIMEOUT));
		} else if (!e->is_asking && now >= e->due) {
			resolver_ask(e);
		}
	}
	resolver_arm();
}

static void
resolver_on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	worker_woken(resolver.w);
	ares_process_fd(resolver.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	resolver_turn();
}

static void
resolver_on_fd(evutil_socket_t fd, short what, void *arg)
{
	(void)arg;
	worker_woken(resolver.w);
	ares_process_fd(resolver.channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
	    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	resolver_turn();
}

/* The timer at the next moment at which something is due: c-ares', or a name's. */
static void
resolver_arm(void)
{
	uint64_t now = worker_now(resolver.w), next = now + RESOLVER_TTL_MAX;
	struct timeval max, tv, *at;

	LIST_EACH(l, &resolver.entries)
	{
		const struct resolver_entry *e = container_of(l, struct resolver_entry, link);
		uint64_t due = e->is_asking ? e->deadline : e->due;

		if (!list_is_empty(&e->watches) && !(e->is_asking && e->is_late) && due < next)
			next = due;
	}
	next = next > now ? next - now : 1;
	max.tv_sec = (time_t)(next / 1000);
	max.tv_usec = (suseconds_t)(next % 1000 * 1000);
	at = ares_timeout(resolver.channel, &max, &tv);
	evtimer_add(resolver.timer, at ? at : &max);
}

/* c-ares says which of its sockets it waits for. */
static void
resolver_on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver_fd *f = NULL;

	(void)arg;
	LIST_EACH(l, &resolver.fds)
	if (container_of(l, struct resolver_fd, link)->fd == fd)
		f = container_of(l, struct resolver_fd, link);
	if (f) {
		event_free(f->ev);
		list_del(&f->link);
	}
	if (!readable && !writable) {
		free(f);
		return;
	}
	if (!f)
		f = must_calloc(1, sizeof(*f));
	f->fd = fd;
	f->ev = event_new(worker_base(resolver.w), fd,
	    (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0)),
	    resolver_on_fd, NULL);
	must(f->ev && event_add(f->ev, NULL) == 0);
	list_add_tail(&resolver.fds, &f->link);
}

/* --- life --- */

/* The servers of the configuration in place of /etc/resolv.conf's. */
static int
resolver_servers(const struct cfg_strs *servers)
{
	struct arena a;
	struct str csv = STR("");
	int status;

	if (servers->n == 0)
		return ARES_SUCCESS;
	arena_init(&a, NULL, 0);
	for (size_t i = 0; i < servers->n; i++)
		csv = arena_printf(&a, "%s%s%.*s", csv.p, i ? "," : "", STR_FMT(servers->v[i]));
	status = ares_set_servers_ports_csv(resolver.channel, csv.p);
	arena_fini(&a);
	return status;
}

static void
resolver_start(struct worker *w)
{
	struct ares_options options = { .timeout = RESOLVER_TRY,
		.tries = RESOLVER_TRIES,
		.lookups = "fb", /* /etc/hosts, then DNS */
		.sock_state_cb = resolver_on_state };
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	resolver = (struct resolver){ .w = w, .news.fn = resolver_news };
	list_init(&resolver.entries);
	list_init(&resolver.fds);
	resolver.timer = evtimer_new(worker_base(w), resolver_on_timer, NULL);
	must(resolver.timer);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&resolver.channel, &options,
		    ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
			ARES_OPT_SOCK_STATE_CB);
	must(status == ARES_SUCCESS); /* else there is no memory */
	status = resolver_servers(&worker_conf(w)->process.resolvers);
	if (status != ARES_SUCCESS)
		log_errorx("option resolver: %s", ares_strerror(status));
}

static void
resolver_stop(void)
{
	ares_destroy(resolver.channel); /* answers what is under way */
	ares_library_cleanup();
	must(list_is_empty(&resolver.entries) && list_is_empty(&resolver.fds));
	event_free(resolver.timer);
	post_cancel(&resolver.news);
	resolver.w = NULL;
}

static struct resolver_entry *
resolver_entry(struct str name, int64_t timeout)
{
	struct resolver_entry *e;

	LIST_EACH(l, &resolver.entries)
	{
		e = container_of(l, struct resolver_entry, link);
		if (str_eq(str_of(e->name), name)) {
			if (timeout > e->timeout)
				e->timeout = timeout;
			return e;
		}
	}
	e = must_calloc(1, sizeof(*e));
	e->name = must_calloc(1, name.n + 1);
	memcpy(e->name, name.p, name.n);
	e->timeout = timeout;
	e->why = "not answered yet";
	list_init(&e->watches);
	list_add_tail(&resolver.entries, &e->link);
	return e;
}

struct resolver_name *
resolver_watch(struct worker *w, struct str name, int64_t port, int64_t timeout_ms,
    void (*changed)(void *arg, const struct sockaddr_storage *v, unsigned n), void *arg)
{
	struct resolver_name *n = must_calloc(1, sizeof(*n));

	if (!resolver.w)
		resolver_start(w);
	*n = (struct resolver_name){ .port = htons((in_port_t)port),
		.changed = changed,
		.arg = arg,
		.entry = resolver_entry(name, timeout_ms) };
	n->is_news = n->entry->is_known;
	list_add_tail(&n->entry->watches, &n->link);
	if (n->is_news)
		worker_post(w, &resolver.news);
	if (!n->entry->is_known && !n->entry->is_asking && n->entry->asked == 0)
		resolver_ask(n->entry);
	resolver_arm();
	return n;
}

void
resolver_again(struct resolver_name *n)
{
	struct resolver_entry *e = n->entry;
	uint64_t now = worker_now(resolver.w), soon = e->asked + RESOLVER_AGAIN;

	if (e->is_asking || e->due <= soon)
		return;
	e->due = soon > now ? soon : now;
	resolver_arm();
}

void
resolver_unwatch(struct resolver_name *n)
{
	struct resolver_entry *e = n->entry;
	bool is_last = true;

	list_del(&n->link);
	free(n);
	if (list_is_empty(&e->watches) && !e->is_asking)
		resolver_entry_free(e);
	LIST_EACH(l, &resolver.entries)
	is_last &= list_is_empty(&container_of(l, struct resolver_entry, link)->watches);
	if (is_last)
		resolver_stop();
}

bool
resolver_is_known(const struct resolver_name *n, const char **why)
{
	*why = n->entry->why;
	return n->entry->is_known;
}

bool
resolver_is_new(const struct resolver_name *n)
{
	return !n->entry->is_known && !n->entry->is_failing;
}
