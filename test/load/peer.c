/*
 * A fast backend for tests of the gateway: HTTP/1.1 or FastCGI, kept alive, one thread, epoll. It
 * has little to say (a fixed body) but counts exactly and can turn bad at once for all requests.
 * What needs more imagination is test/system/backends/peer.py; both are asked in the same way.
 *
 *   peer http|fastcgi NAME ADDRESS [BODY_FILE]      ADDRESS: a path, or 127.0.0.1:PORT
 *
 * Lines of JSON on standard input, one line of JSON for each on standard output; the end of input
 * ends it. {"do": "stats"}, "zero", "refuse", "listen", and "mode" with one of MODES: "slow?ms=50",
 * "status?code=503&retry=1", "close" and "reset" without an answer, "cut_head" (a part of a head,
 * then a RST). A mode holds for requests that come from then on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 66000, FD_MAX = 65536 };
enum {
	FCGI_BEGIN = 1,
	FCGI_ABORT,
	FCGI_END,
	FCGI_PARAMS,
	FCGI_STDIN,
	FCGI_STDOUT,
	FCGI_VALUES = 9
};

struct conn {
	int fd;
	bool keep;     /* after this request */
	bool is_busy;  /* a request is complete and not answered yet */
	bool is_gone;  /* closed while it was busy */
	uint16_t id;   /* FastCGI */
	uint64_t skip; /* HTTP: octets of the body still to come */
	size_t n;
	double due; /* ms */
	struct conn *next;
	char *in;
};

struct stats {
	unsigned long conns, requests, max_open, max_active, errors, aborts, gone;
};

static struct {
	bool is_fastcgi;
	const char *name;
	struct sockaddr_storage at;
	socklen_t at_len;
	int ep, listener;
	struct conn *conns[FD_MAX];
	struct conn *late, **late_end; /* answers that wait for their time */
	unsigned long open, active;
	struct stats s;
	char mode[32];
	int ms, code, retry;
	char *body;
	size_t body_n;
} p;

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
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(int fd, void *ptr)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = ptr };

	if (epoll_ctl(p.ep, EPOLL_CTL_ADD, fd, &ev) < 0)
		die("epoll_ctl");
}

static void
listener_open(void)
{
	int one = 1;

	p.listener = socket(p.at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(p.listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (p.at.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&p.at)->sun_path);
	if (p.listener < 0 || bind(p.listener, (struct sockaddr *)&p.at, p.at_len) < 0 ||
	    listen(p.listener, 4096) < 0)
		die("listen");
	if (p.at.ss_family == AF_UNIX)
		chmod(((struct sockaddr_un *)&p.at)->sun_path, 0777);
	watch(p.listener, &p.listener);
}

/* --- connections --------------------------------------------------------------------------- */

static void
conn_close(struct conn *c, bool is_reset)
{
	struct linger now = { .l_onoff = 1 };

	if (is_reset)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(c->fd);
	p.conns[c->fd] = NULL;
	p.open--;
	free(c->in);
	free(c);
}

static void
conn_put(struct conn *c, const char *data, size_t n)
{
	/* Answers are small: what does not fit the socket's buffer at once is an error. */
	if (send(c->fd, data, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE &&
	    errno != ECONNRESET)
		p.s.errors++;
}

static size_t
record(char *out, uint8_t type, uint16_t id, size_t n)
{
	const uint8_t h[8] = { 1, type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(n >> 8),
		(uint8_t)n, 0, 0 };

	memcpy(out, h, 8);
	return 8;
}

static size_t
head_make(char *out, size_t max, int code, size_t length)
{
	char retry[48] = "";

	if (p.retry >= 0 && code == 503)
		snprintf(retry, sizeof(retry), "Retry-After: %d\r\n", p.retry);
	return (size_t)snprintf(out, max,
	    "%s%d OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nX-Peer: %s\r\n%s\r\n",
	    p.is_fastcgi ? "Status: " : "HTTP/1.1 ", code, length, p.name, retry);
}

static void
conn_answer(struct conn *c, int code)
{
	static char out[65536 + 2048];
	size_t length = code == 200 ? p.body_n : 0, n = 0, head;

	if (p.is_fastcgi)
		n = 8;
	head = head_make(out + n, 1024, code, length);
	memcpy(out + n + head, p.body, length);
	n += head + length;
	if (p.is_fastcgi) {
		record(out, FCGI_STDOUT, c->id, head + length);
		n += record(out + n, FCGI_STDOUT, c->id, 0);
		n += record(out + n, FCGI_END, c->id, 8);
		memset(out + n, 0, 8);
		n += 8;
	}
	conn_put(c, out, n);
}

static void
conn_cut(struct conn *c)
{
	char out[64];
	size_t n = p.is_fastcgi ? record(out, FCGI_STDOUT, c->id, 200) : 0;

	n += (size_t)snprintf(out + n, sizeof(out) - n, "%s200 OK\r\nContent-",
	    p.is_fastcgi ? "Status: " : "HTTP/1.1 ");
	conn_put(c, out, n);
}

static void conn_take(struct conn *);

/* The request's time has come. May free the connection. */
static void
conn_reply(struct conn *c)
{
	const char *mode = p.mode;

	p.active--;
	c->is_busy = false;
	if (c->is_gone) {
		p.s.gone++;
		conn_close(c, false);
		return;
	}
	if (strcmp(mode, "close") == 0 || strcmp(mode, "reset") == 0 ||
	    strcmp(mode, "cut_head") == 0) {
		if (*mode == 'c' && mode[1] == 'u')
			conn_cut(c);
		conn_close(c, *mode == 'r' || mode[1] == 'u');
		return;
	}
	conn_answer(c, strcmp(mode, "status") == 0 ? p.code : 200);
	if (!c->keep)
		conn_close(c, false);
	else if (c->n)
		conn_take(c);
}

/* A request is complete. May free the connection. */
static void
conn_request(struct conn *c)
{
	p.s.requests++;
	p.active++;
	if (p.active > p.s.max_active)
		p.s.max_active = p.active;
	c->is_busy = true;
	if (p.ms == 0) {
		conn_reply(c);
		return;
	}
	c->due = now_ms() + p.ms;
	c->next = NULL;
	*p.late_end = c;
	p.late_end = &c->next;
}

/* --- what comes ---------------------------------------------------------------------------- */

static void
conn_drop(struct conn *c, size_t n)
{
	memmove(c->in, c->in + n, c->n - n);
	c->n -= n;
}

/* One head or record of the input; false when it is not all there, or c may be gone. */
static bool
http_step(struct conn *c)
{
	char *end, *length;
	size_t take = c->skip < c->n ? (size_t)c->skip : c->n;

	if (c->skip) {
		conn_drop(c, take);
		c->skip -= take;
		if (c->skip == 0)
			conn_request(c);
		return false;
	}
	c->in[c->n] = '\0';
	end = strstr(c->in, "\r\n\r\n");
	if (end == NULL)
		return false;
	end[2] = '\0';
	length = strcasestr(c->in, "\r\nContent-Length:");
	c->skip = length ? strtoull(length + 17, NULL, 10) : 0;
	c->keep = strcasestr(c->in, "\r\nConnection: close") == NULL;
	conn_drop(c, (size_t)(end + 4 - c->in));
	if (c->skip)
		return c->n > 0;
	conn_request(c);
	return false;
}

static void
fastcgi_values(struct conn *c)
{
	char out[16 + 32];
	size_t n = record(out, FCGI_VALUES + 1, 0, 18);

	memcpy(out + n,
	    "\x0f\x01"
	    "FCGI_MPXS_CONNS0",
	    18);
	conn_put(c, out, n + 18);
}

static bool
fastcgi_step(struct conn *c)
{
	const uint8_t *h = (const uint8_t *)c->in;
	size_t len, all;
	uint8_t type;

	if (c->n < 8)
		return false;
	len = (size_t)(h[4] << 8 | h[5]);
	all = 8 + len + h[6];
	if (c->n < all)
		return false;
	type = h[1];
	if (type == FCGI_BEGIN) {
		c->id = (uint16_t)(h[2] << 8 | h[3]);
		c->keep = h[10] & 1;
	}
	p.s.aborts += type == FCGI_ABORT;
	conn_drop(c, all);
	if (type == FCGI_VALUES)
		fastcgi_values(c);
	if (type == FCGI_STDIN && len == 0) {
		conn_request(c);
		return false;
	}
	return true;
}

/* Takes what is in the buffer, up to the end of one request; conn_reply() comes back for more. */
static void
conn_take(struct conn *c)
{
	if (c->is_busy)
		return;
	while (p.is_fastcgi ? fastcgi_step(c) : http_step(c))
		;
}

static void
conn_event(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->n, IN_MAX - 1 - c->n, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		c->n += (size_t)n;
		conn_take(c);
	} else if (c->is_busy) {
		c->is_gone = true;
		epoll_ctl(p.ep, EPOLL_CTL_DEL, c->fd, NULL);
	} else {
		conn_close(c, false);
	}
}

static void
listener_event(void)
{
	int fd, one = 1;

	while ((fd = accept4(p.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof(*c));

		if (c == NULL || fd >= FD_MAX || (c->in = malloc(IN_MAX)) == NULL)
			die("accept");
		c->fd = fd;
		p.conns[fd] = c;
		p.s.conns++;
		if (++p.open > p.s.max_open)
			p.s.max_open = p.open;
		if (p.at.ss_family != AF_UNIX)
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(fd, c);
	}
}

/* --- the test's questions ------------------------------------------------------------------ */

static int
number(const char *text, const char *name, int otherwise)
{
	const char *at = strstr(text, name);

	return at ? atoi(at + strlen(name)) : otherwise;
}

static void
mode_set(const char *line)
{
	const char *at = strstr(line, "\"mode\": \"");

	p.mode[0] = '\0';
	p.ms = 0;
	if (at == NULL)
		return;
	at += 9;
	snprintf(p.mode, sizeof(p.mode), "%.*s", (int)strcspn(at, "?\""), at);
	p.ms = number(at, "ms=", 0);
	p.code = number(at, "code=", 500);
	p.retry = number(at, "retry=", -1);
}

static void
question(const char *line)
{
	if (strstr(line, "\"stats\"")) {
		printf("{\"conns\": %lu, \"requests\": %lu, \"open\": %lu, \"max_open\": %lu, "
		       "\"active\": %lu, "
		       "\"max_active\": %lu, \"errors\": %lu, \"aborts\": %lu, \"gone\": %lu}\n",
		    p.s.conns, p.s.requests, p.open, p.s.max_open, p.active, p.s.max_active,
		    p.s.errors, p.s.aborts, p.s.gone);
		fflush(stdout);
		return;
	}
	if (strstr(line, "\"do\": \"mode\""))
		mode_set(line + 10);
	else if (strstr(line, "\"zero\""))
		p.s = (struct stats){ .max_open = p.open, .max_active = p.active };
	else if (strstr(line, "\"refuse\""))
		close(p.listener);
	else if (strstr(line, "\"listen\""))
		listener_open();
	puts("{}");
	fflush(stdout);
}

static void
questions(void)
{
	static char in[4096];
	static size_t n;
	ssize_t got = read(0, in + n, sizeof(in) - 1 - n);
	char *end;

	if (got <= 0)
		exit(0);
	n += (size_t)got;
	in[n] = '\0';
	while ((end = strchr(in, '\n')) != NULL) {
		*end = '\0';
		question(in);
		n -= (size_t)(end + 1 - in);
		memmove(in, end + 1, n + 1);
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

static int
late_answers(void)
{
	double now = now_ms();
	struct conn *c;

	while ((c = p.late) != NULL && c->due <= now) {
		p.late = c->next;
		if (p.late == NULL)
			p.late_end = &p.late;
		conn_reply(c);
	}
	return c ? (int)(c->due - now) + 1 : -1;
}

static void
run(void)
{
	struct epoll_event ev[256];

	for (;;) {
		int n = epoll_wait(p.ep, ev, 256, late_answers());

		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &p.listener)
				listener_event();
			else if (ev[i].data.ptr == NULL)
				questions();
			else
				conn_event(ev[i].data.ptr);
		}
	}
}

static void
address(const char *text)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&p.at;
	struct sockaddr_in *in = (struct sockaddr_in *)&p.at;
	const char *colon = strrchr(text, ':');
	char host[64];

	if (*text == '/') {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", text);
		p.at_len = sizeof(*un);
		return;
	}
	if (colon == NULL)
		die(text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)atoi(colon + 1));
	p.at_len = sizeof(*in);
	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		die(text);
}

static void
body(const char *file)
{
	FILE *f = file ? fopen(file, "rb") : NULL;

	p.body = malloc(65000);
	if (p.body == NULL || (file && f == NULL))
		die("body");
	memset(p.body, 'x', 1024);
	p.body_n = f ? fread(p.body, 1, 60000, f) : 1024;
	if (f)
		fclose(f);
}

int
main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: peer http|fastcgi NAME ADDRESS [BODY_FILE]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	p.is_fastcgi = strcmp(argv[1], "fastcgi") == 0;
	p.name = argv[2];
	address(argv[3]);
	body(argv[4]);
	p.late_end = &p.late;
	p.retry = -1;
	p.ep = epoll_create1(EPOLL_CLOEXEC);
	listener_open();
	watch(0, NULL);
	puts("{}");
	fflush(stdout);
	run();
}
