/*
 * A load generator that believes nothing: every response is compared, octet by octet, with what it
 * must be, and every way in which a request can fail has a counter of its own. It is what proves
 * that reloads, upgrades and dying workers lose nothing.
 *
 * One thread, epoll, N connections. Each is kept alive, or (-n) made anew for each request. At the
 * end (or on SIGINT) nothing is cut: no request is begun any more, those in flight are finished or
 * time out.
 *
 * A failure is one of KINDS. "race" is set apart: a kept-alive connection that was closed before
 * the first octet of an answer, which HTTP lets a client repeat (RFC 9112 9.3.1), but which a
 * server that drains politely never causes.
 *
 * Times are CLOCK_MONOTONIC milliseconds, so that whoever runs this can set them against what it
 * did to the server. With an X-Worker field in the answers, each failure on a kept-alive connection
 * names the process that owned it, and each process' first and last answers are known.
 *
 * Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* KIND(id, name, what it means) */
#define KINDS(KIND)                                                                                \
	KIND(REFUSED, "refused", "ECONNREFUSED")                                                   \
	KIND(RESET_BEFORE, "reset_before", "new connection reset before the first octet")          \
	KIND(CLOSED_BEFORE, "closed_before", "new connection closed before the first octet")       \
	KIND(RESET_MID, "reset_mid", "reset inside a response")                                    \
	KIND(TRUNCATED, "truncated", "closed inside a response")                                   \
	KIND(RACE, "race", "kept-alive connection ended before the first octet")                   \
	KIND(TIMEOUT, "timeout", "no complete response in time")                                   \
	KIND(BAD, "bad", "wrong status, length or content")                                        \
	KIND(OTHER, "other", "another error, ours perhaps")

enum kind {
#define KIND(id, name, what) FAIL_##id,
	KINDS(KIND)
#undef KIND
	    FAIL_MAX
};

static const char *const kind_name[FAIL_MAX] = {
#define KIND(id, name, what) name,
	KINDS(KIND)
#undef KIND
};

enum { HEAD_MAX = 8192, WORKERS_MAX = 1024, EVENTS_MAX = 2000, BUCKETS = 64 * 32, SOURCES = 100 };
enum state { CLOSED, CONNECTING, SENDING, READING, IDLE };

struct conn {
	int fd;
	enum state state;
	unsigned answered; /* on this connection */
	int worker;        /* process that owns it, 0 unknown */
	double begun;      /* ms: the connect, or the request on a kept-alive connection */
	bool has_octets;   /* of the response */
	bool is_close;     /* the response says Connection: close */
	size_t sent;
	size_t head_n;
	char head[HEAD_MAX];
	bool is_body;
	int64_t body_n, body_len;
	struct conn *next; /* in the queue of those that wait for their turn */
};

struct worker {
	int pid;
	double first, last;
	uint64_t n;
};

struct event {
	double at, begun;
	enum kind kind;
	int worker;
	unsigned answered;
};

static struct {
	/* what is asked for */
	struct sockaddr_in to;
	const char *path, *host;
	unsigned conns;
	bool is_new;
	double seconds, timeout, rate;
	uint64_t max;
	char *body;
	int64_t body_len;
	char request[4096];
	size_t request_n;
	/* what is going on */
	int ep;
	struct conn *c;
	struct conn *wait, **wait_end;
	unsigned in_flight;
	uint64_t begun, source;
	double start, stop;
	volatile sig_atomic_t is_over; /* no request is begun any more */
	/* what was seen */
	uint64_t ok, fail[FAIL_MAX], connects, closes, idle_closed;
	uint64_t latency[BUCKETS];
	double latency_max, wait_max, gap_max, last_ok;
	struct worker worker[WORKERS_MAX];
	unsigned nworkers;
	struct event event[EVENTS_MAX];
	unsigned nevents;
} m;

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
die(const char *what)
{
	fprintf(stderr, "loadmeter: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- figures ------------------------------------------------------------------------------- */

/* Log-linear: 64 steps to each doubling, from 1 us. */
static unsigned
bucket_of(double ms)
{
	uint64_t us = ms > 0 ? (uint64_t)(ms * 1e3) : 0;
	unsigned e;

	if (us < 64)
		return (unsigned)us;
	e = 63 - (unsigned)__builtin_clzll(us);
	return (e - 5) * 64 + (unsigned)(us >> (e - 6)) - 64;
}

static double
bucket_ms(unsigned b)
{
	unsigned e = b / 64;

	if (e == 0)
		return b / 1e3;
	return (double)((uint64_t)(64 + b % 64) << (e - 1)) / 1e3;
}

static double
percentile(double p)
{
	uint64_t seen = 0, want = (uint64_t)(p * (double)m.ok);

	for (unsigned b = 0; b < BUCKETS; b++) {
		seen += m.latency[b];
		if (seen > want)
			return bucket_ms(b);
	}
	return m.latency_max;
}

static void
worker_count(int pid, double now)
{
	struct worker *w = NULL;

	for (unsigned i = m.nworkers; i-- > 0 && w == NULL;)
		if (m.worker[i].pid == pid)
			w = &m.worker[i];
	if (w == NULL) {
		if (m.nworkers == WORKERS_MAX)
			return;
		w = &m.worker[m.nworkers++];
		*w = (struct worker){ .pid = pid, .first = now };
	}
	w->last = now;
	w->n++;
}

static void
ok_count(struct conn *c)
{
	double now = now_ms(), took = now - c->begun;
	unsigned b = bucket_of(took);

	m.ok++;
	m.latency[b < BUCKETS ? b : BUCKETS - 1]++;
	if (took > m.latency_max)
		m.latency_max = took;
	if (m.last_ok > 0 && now - m.last_ok > m.gap_max)
		m.gap_max = now - m.last_ok;
	m.last_ok = now;
	if (c->worker)
		worker_count(c->worker, now);
}

/* --- connections --------------------------------------------------------------------------- */

static void
conn_shut(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CLOSED;
	c->answered = 0;
	c->worker = 0;
}

static void
conn_queue(struct conn *c)
{
	c->next = NULL;
	*m.wait_end = c;
	m.wait_end = &c->next;
}

static void
conn_fail(struct conn *c, enum kind kind)
{
	m.fail[kind]++;
	if (m.nevents < EVENTS_MAX)
		m.event[m.nevents++] = (struct event){ .at = now_ms(),
			.begun = c->begun,
			.kind = kind,
			.worker = c->worker,
			.answered = c->answered };
	m.in_flight--;
	conn_shut(c);
	conn_queue(c);
}

/* Ended before the answer did: which of the counters it is. */
static void
conn_lost(struct conn *c, bool is_reset)
{
	if (c->has_octets)
		conn_fail(c, is_reset ? FAIL_RESET_MID : FAIL_TRUNCATED);
	else if (c->answered)
		conn_fail(c, FAIL_RACE);
	else
		conn_fail(c, is_reset ? FAIL_RESET_BEFORE : FAIL_CLOSED_BEFORE);
}

static void
conn_watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (epoll_ctl(m.ep, op, c->fd, &ev) < 0)
		die("epoll_ctl");
}

static void
conn_send(struct conn *c)
{
	ssize_t n = send(c->fd, m.request + c->sent, m.request_n - c->sent, MSG_NOSIGNAL);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) {
		conn_lost(c, true);
		return;
	}
	c->sent += (size_t)n;
	if (c->sent == m.request_n) {
		if (c->state != READING)
			conn_watch(c, EPOLL_CTL_MOD, EPOLLIN);
		c->state = READING;
	}
}

/* Sources differ, so that the ports of one address do not run out. */
static void
conn_bind(int fd)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int one = 1;

	if ((ntohl(m.to.sin_addr.s_addr) >> 24) != 127)
		return;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	from.sin_addr.s_addr = htonl(0x7f000001 + (uint32_t)(m.source++ % SOURCES));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		die("bind");
}

static void
conn_connect(struct conn *c)
{
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conn_bind(c->fd);
	m.connects++;
	if (connect(c->fd, (struct sockaddr *)&m.to, sizeof(m.to)) < 0 && errno != EINPROGRESS) {
		conn_fail(c, errno == ECONNREFUSED ? FAIL_REFUSED : FAIL_OTHER);
		return;
	}
	c->state = CONNECTING;
	conn_watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void
conn_connected(struct conn *c)
{
	int err = 0;
	socklen_t len = sizeof(err);

	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err == 0) {
		c->state = SENDING;
		conn_send(c);
		return;
	}
	if (err == ECONNREFUSED)
		conn_fail(c, FAIL_REFUSED);
	else
		conn_fail(c, err == ECONNRESET ? FAIL_RESET_BEFORE : FAIL_OTHER);
}

static void
conn_begin(struct conn *c)
{
	c->begun = now_ms();
	c->has_octets = c->is_close = c->is_body = false;
	c->sent = c->head_n = 0;
	c->body_n = 0;
	c->body_len = -1;
	m.begun++;
	m.in_flight++;
	if (c->fd < 0) {
		conn_connect(c);
		return;
	}
	c->state = READING; /* the events are right already */
	conn_send(c);
	if (c->state == READING && c->sent < m.request_n)
		conn_fail(c, FAIL_OTHER);
}

/* --- responses ----------------------------------------------------------------------------- */

/* Value of a field of the head, up to CRLF; NULL when there is none. */
static const char *
head_field(const struct conn *c, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = strstr(c->head, "\r\n"); p; p = strstr(p + 2, "\r\n")) {
		if (strncasecmp(p + 2, name, n) || p[2 + n] != ':')
			continue;
		p += 3 + n;
		return p + strspn(p, " ");
	}
	return NULL;
}

static bool
head_parse(struct conn *c)
{
	const char *length = head_field(c, "Content-Length");
	const char *connection = head_field(c, "Connection");
	const char *worker = head_field(c, "X-Worker");

	if (worker)
		c->worker = atoi(worker);
	c->is_close = connection && strncasecmp(connection, "close", 5) == 0;
	c->body_len = length ? atoll(length) : -1;
	return strncmp(c->head, "HTTP/1.1 200 ", 13) == 0 && c->body_len == m.body_len;
}

static void
response_end(struct conn *c)
{
	ok_count(c);
	m.in_flight--;
	c->answered++;
	if (c->is_close || m.is_new) {
		m.closes += c->is_close;
		conn_shut(c);
	} else {
		c->state = IDLE;
	}
	conn_queue(c);
}

/* n more octets of the body; false when they are wrong. */
static bool
body_take(struct conn *c, const char *p, size_t n)
{
	if ((int64_t)n > c->body_len - c->body_n || memcmp(p, m.body + c->body_n, n))
		return false;
	c->body_n += (int64_t)n;
	return true;
}

/* Octets of the response; may end it, one way or the other. */
static void
response_take(struct conn *c, const char *p, size_t n)
{
	const char *end;
	size_t room = HEAD_MAX - 1 - c->head_n, take = n < room ? n : room, old = c->head_n;
	bool is_good = true;

	if (!c->is_body) {
		memcpy(c->head + c->head_n, p, take);
		c->head_n += take;
		c->head[c->head_n] = '\0';
		end = strstr(c->head, "\r\n\r\n");
		if (end == NULL) {
			if (take < n)
				conn_fail(c, FAIL_BAD);
			return;
		}
		c->is_body = true;
		c->head_n = (size_t)(end + 4 - c->head);
		p += c->head_n - old;
		n -= c->head_n - old;
		c->head[c->head_n] = '\0';
		is_good = head_parse(c);
	}
	if (!is_good || !body_take(c, p, n)) {
		if (m.fail[FAIL_BAD] < 3)
			fprintf(stderr, "loadmeter: bad response: %.300s\n", c->head);
		conn_fail(c, FAIL_BAD);
	} else if (c->body_n == c->body_len) {
		response_end(c);
	}
}

static void
conn_read(struct conn *c)
{
	static char buf[262144];
	ssize_t n = read(c->fd, buf, sizeof(buf));
	double waited = now_ms() - c->begun;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		conn_lost(c, n < 0);
		return;
	}
	if (!c->has_octets && waited > m.wait_max)
		m.wait_max = waited;
	c->has_octets = true;
	response_take(c, buf, (size_t)n);
}

/* An idle connection has something to say: it can only be its end. */
static void
conn_idle_event(struct conn *c)
{
	char x;

	if (read(c->fd, &x, 1) > 0) {
		fprintf(stderr, "loadmeter: octets without a request\n");
		m.fail[FAIL_BAD]++;
	}
	m.idle_closed++;
	conn_shut(c);
}

static void
conn_event(struct conn *c)
{
	switch (c->state) {
	case CONNECTING:
		conn_connected(c);
		break;
	case SENDING:
		conn_send(c);
		break;
	case READING:
		conn_read(c);
		break;
	case IDLE:
		conn_idle_event(c);
		break;
	case CLOSED:
		break;
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

static bool
meter_may_begin(double now)
{
	if (m.is_over || (m.max && m.begun >= m.max) || (m.seconds > 0 && now > m.stop)) {
		m.is_over = true;
		return false;
	}
	return m.rate <= 0 || (double)m.begun < (now - m.start) / 1e3 * m.rate + 1;
}

static void
meter_begin(void)
{
	double now = now_ms();

	/* Each at most once: what fails at once must not make a tight loop. */
	for (unsigned n = m.conns; n && m.wait && meter_may_begin(now); n--) {
		struct conn *c = m.wait;

		m.wait = c->next;
		if (m.wait == NULL)
			m.wait_end = &m.wait;
		conn_begin(c);
	}
}

static void
meter_timeouts(void)
{
	double now = now_ms();

	for (unsigned i = 0; i < m.conns; i++)
		if (m.c[i].state != IDLE && m.c[i].state != CLOSED &&
		    now - m.c[i].begun > m.timeout)
			conn_fail(&m.c[i], FAIL_TIMEOUT);
}

static void
meter_stop(int sig)
{
	(void)sig;
	m.is_over = true;
}

static void
meter_run(void)
{
	struct epoll_event ev[256];
	double checked = 0;

	m.start = now_ms();
	m.stop = m.start + m.seconds * 1e3;
	do {
		int n;

		meter_begin();
		n = epoll_wait(m.ep, ev, 256, m.wait ? 1 : 20);
		for (int i = 0; i < n; i++)
			conn_event(ev[i].data.ptr);
		if (now_ms() - checked > 20) {
			checked = now_ms();
			meter_timeouts();
		}
	} while (m.in_flight || !m.is_over);
}

static void
meter_print(double took)
{
	printf(
	    "{\"ok\": %lu, \"begun\": %lu, \"seconds\": %.3f, \"connects\": %lu, \"closes\": %lu, "
	    "\"idle_closed\": %lu",
	    m.ok, m.begun, took / 1e3, m.connects, m.closes, m.idle_closed);
	for (int k = 0; k < FAIL_MAX; k++)
		printf(", \"%s\": %lu", kind_name[k], m.fail[k]);
	printf(", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f, "
	       "\"longest_wait_ms\": %.3f, \"longest_gap_ms\": %.3f",
	    percentile(.5), percentile(.99), percentile(.999), m.latency_max, m.wait_max,
	    m.gap_max);
	printf(",\n\"workers\": [");
	for (unsigned i = 0; i < m.nworkers; i++)
		printf("%s{\"pid\": %d, \"first\": %.3f, \"last\": %.3f, \"n\": %lu}",
		    i ? ", " : "", m.worker[i].pid, m.worker[i].first, m.worker[i].last,
		    m.worker[i].n);
	printf("],\n\"failures\": [");
	for (unsigned i = 0; i < m.nevents; i++)
		printf("%s{\"at\": %.3f, \"begun\": %.3f, \"kind\": \"%s\", \"worker\": %d, "
		       "\"answered\": %u}",
		    i ? ",\n" : "", m.event[i].at, m.event[i].begun, kind_name[m.event[i].kind],
		    m.event[i].worker, m.event[i].answered);
	printf("]}\n");
}

static void
meter_body(const char *file)
{
	struct stat st;
	FILE *f = fopen(file, "rb");

	if (f == NULL || fstat(fileno(f), &st) < 0)
		die(file);
	m.body_len = st.st_size;
	m.body = malloc((size_t)st.st_size + 1);
	if (m.body == NULL || fread(m.body, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		die(file);
	fclose(f);
}

static void
meter_usage(void)
{
	fprintf(stderr,
	    "usage: loadmeter [-n] [-c CONNS] [-t SECONDS] [-m REQUESTS] [-r PER_SECOND]\n"
	    "                 [-w TIMEOUT_MS] [-h HOST] -f BODY_FILE ADDRESS PORT PATH\n"
	    "  -n  a new connection for each request\n"
	    "  -f  what every response must hold, octet by octet\n");
	exit(2);
}

static void
meter_options(int argc, char **argv)
{
	const char *file = NULL;

	m.conns = 64;
	m.timeout = 10000;
	m.host = "localhost";
	for (int o; (o = getopt(argc, argv, "nc:t:m:r:w:h:f:")) != -1;) {
		switch (o) {
		case 'n':
			m.is_new = true;
			break;
		case 'c':
			m.conns = (unsigned)atoi(optarg);
			break;
		case 't':
			m.seconds = atof(optarg);
			break;
		case 'm':
			m.max = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			m.rate = atof(optarg);
			break;
		case 'w':
			m.timeout = atof(optarg);
			break;
		case 'h':
			m.host = optarg;
			break;
		case 'f':
			file = optarg;
			break;
		default:
			meter_usage();
		}
	}
	if (argc - optind != 3 || file == NULL || m.conns == 0 || (m.seconds <= 0 && m.max == 0))
		meter_usage();
	meter_body(file);
	m.to.sin_family = AF_INET;
	m.to.sin_port = htons((uint16_t)atoi(argv[optind + 1]));
	if (inet_pton(AF_INET, argv[optind], &m.to.sin_addr) != 1)
		meter_usage();
	m.request_n =
	    (size_t)snprintf(m.request, sizeof(m.request), "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
		argv[optind + 2], m.host, m.is_new ? "Connection: close\r\n" : "");
	if (m.request_n >= sizeof(m.request))
		meter_usage();
}

int
main(int argc, char **argv)
{
	meter_options(argc, argv);
	signal(SIGINT, meter_stop);
	m.ep = epoll_create1(EPOLL_CLOEXEC);
	m.c = calloc(m.conns, sizeof(*m.c));
	if (m.ep < 0 || m.c == NULL)
		die("start");
	m.wait_end = &m.wait;
	for (unsigned i = 0; i < m.conns; i++) {
		m.c[i].fd = -1;
		conn_queue(&m.c[i]);
	}
	meter_run();
	meter_print(now_ms() - m.start);
	return 0;
}
