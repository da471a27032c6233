/* See talk.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/must.h"
#include "test/engine/sim.h"
#include "test/engine/talk.h"

enum { TALK_CLIENTS = 64, TALK_LATER = 200000 };

struct client {
	struct vsock *s;
	size_t at; /* where the answer that is looked at begins */
	bool is_head;
};

static const struct talk *talk;
static struct client clients[TALK_CLIENTS];
static unsigned nclients;

/* The first word, off the front. */
static struct str
word(struct str *line)
{
	struct str w = str_split(line, ' ');

	*line = line->p ? str_trim(*line) : STR("");
	return w;
}

static unsigned
number(struct str s)
{
	uint64_t n;

	if (!str_to_u64(s, 1 << 30, &n))
		vnet_wrong("\"%.*s\" is no number", STR_FMT(s));
	return (unsigned)n;
}

/* Octets, as they are but for ends of lines. */
static void
peer_says(struct vsock *s, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		bool is_eol = text.p[i] == '\\' && i + 1 < text.n && text.p[i + 1] == 'n';

		vsock_say(s, is_eol ? "\r\n" : text.p + i, is_eol ? 2 : 1);
		i += is_eol;
	}
}

/* --- clients --- */

static void client_sends(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void
client_sends(struct client *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vsock_say(c->s, text, (size_t)n);
}

static void
client_more(struct client *c, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		vsock_say(c->s, "x", 1);
}

static struct client *
client_new(void)
{
	struct client *c = &clients[nclients++];

	if (nclients == TALK_CLIENTS)
		vnet_wrong("too many clients");
	*c = (struct client){ .s = vnet_client() };
	return c;
}

static void
client_asks(struct client *c, const char *method, const char *fields, struct str path)
{
	if (path.n == 0)
		path = STR("/app/x");
	c->is_head = strcmp(method, "HEAD") == 0;
	client_sends(c, "%s %.*s HTTP/1.1\r\nHost: a\r\n%s\r\n", method, STR_FMT(path), fields);
}

/* "10" or "10 of 30". */
static void
client_posts(const char *method, struct str rest)
{
	struct client *c = client_new();
	unsigned n = number(word(&rest)), of = n;
	char length[64];

	if (str_eq(word(&rest), STR("of")))
		of = number(word(&rest));
	snprintf(length, sizeof(length), "Content-Length: %u\r\n", of);
	client_asks(c, method, length, STR(""));
	client_more(c, n);
}

/* False: not a step of a client. */
static bool
client_step(struct str verb, struct str rest)
{
	struct client *c = nclients ? &clients[nclients - 1] : NULL;

	if (str_eq(verb, STR("get")))
		client_asks(client_new(), "GET", "", rest);
	else if (str_eq(verb, STR("last")))
		client_asks(client_new(), "GET", "Connection: close\r\n", rest);
	else if (str_eq(verb, STR("head")))
		client_asks(client_new(), "HEAD", "", rest);
	else if (str_eq(verb, STR("upgrade")))
		client_asks(
		    client_new(), "GET", "Connection: upgrade\r\nUpgrade: websocket\r\n", rest);
	else if (str_eq(verb, STR("hello")))
		peer_says(client_new()->s, rest);
	else if (str_eq(verb, STR("again")))
		client_asks(c, "GET", "", rest);
	else if (str_eq(verb, STR("post")))
		client_posts("POST", rest);
	else if (str_eq(verb, STR("put")))
		client_posts("PUT", rest);
	else if (str_eq(verb, STR("more")))
		client_more(c, number(rest));
	else if (str_eq(verb, STR("end")))
		vsock_end(c->s);
	else if (str_eq(verb, STR("leave")))
		vsock_fail(c->s, ECONNRESET);
	else if (str_eq(verb, STR("takes")))
		c->s->window = number(rest);
	else
		return false;
	return true;
}

static void
client_check(struct client *c, struct str rest)
{
	struct text *out = &c->s->out;
	struct sim_answer a;
	struct str what = word(&rest);
	bool is_part = str_eq(what, STR("part"));

	sim_answer(&a, out->p + c->at, out->n - c->at, c->is_head, c->s->is_shut);
	if (str_eq(what, STR("nothing"))) {
		if (out->n > c->at || c->s->is_closed)
			vnet_wrong(
			    "something has come: \"%.*s\"", (int)(out->n - c->at), out->p + c->at);
	} else if (str_eq(what, STR("cut"))) {
		if (a.is_complete || !c->s->is_shut)
			vnet_wrong("the answer was not cut: %d", a.status);
	} else {
		if (is_part)
			what = word(&rest);
		if (a.status != (int)number(what) || a.is_complete == is_part)
			vnet_wrong("the answer is %d%s: \"%.*s\"", a.status,
			    a.is_complete ? "" : ", not complete", (int)(out->n - c->at),
			    out->p + c->at);
		if (rest.n > 0 && !str_eq(rest, text_str(&a.body)))
			vnet_wrong("the content is \"%.*s\"", (int)a.body.n, a.body.p);
		if (!is_part)
			c->at += a.n;
	}
	text_free(&a.body);
}

/* --- backends --- */

static struct vsock *
peer_at(unsigned n)
{
	for (unsigned i = 0, k = 0; i < vnet_count(); i++)
		if (vnet_at(i)->kind == VSOCK_BACKEND && ++k == n)
			return vnet_at(i);
	vnet_wrong("there is no connection %u to a backend", n);
}

static unsigned
peer_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vnet_count(); i++)
		n += vnet_at(i)->kind == VSOCK_BACKEND;
	return n;
}

static void
peer_answers(struct vsock *s, struct str rest)
{
	struct str status = word(&rest);
	char head[256];
	int n = snprintf(head, sizeof(head), "HTTP/1.1 %.*s Fine\r\nContent-Length: %zu\r\n\r\n",
	    STR_FMT(status), rest.n);

	vsock_say(s, head, (size_t)n);
	vsock_say(s, rest.p, rest.n);
}

/* The next request's head is there; what follows it is its body. */
static void
peer_is_asked(struct vsock *s, struct str rest)
{
	const char *p = s->out.p + s->out_at, *end;
	size_t n = s->out.n - s->out_at;

	if (!s->is_connected)
		vsock_up(s);
	sim_settle();
	p = s->out.p + s->out_at;
	n = s->out.n - s->out_at;
	end = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;
	if (!end)
		vnet_wrong("no request has come but \"%.*s\"", (int)n, p);
	if (rest.n > 0 && !memmem(p, (size_t)(end - p), rest.p, rest.n))
		vnet_wrong("it is not in \"%.*s\"", (int)n, p);
	s->out_at = (size_t)(end - s->out.p) + 4;
}

static void
peer_has(struct vsock *s, struct str rest)
{
	if (s->out.n - s->out_at != number(rest))
		vnet_wrong("%zu octets are there", s->out.n - s->out_at);
}

static void
peer_step(unsigned n, struct str verb, struct str rest)
{
	struct vsock *s = peer_at(n);

	if (str_eq(verb, STR("at"))) {
		if (s->host != number(rest))
			vnet_wrong("it goes to host %u", s->host);
	} else if (str_eq(verb, STR("up"))) {
		vsock_up(s);
	} else if (str_eq(verb, STR("refused"))) {
		vsock_fail(s, ECONNREFUSED);
	} else if (str_eq(verb, STR("unreachable"))) {
		vsock_fail(s, EHOSTUNREACH);
	} else if (str_eq(verb, STR("asked"))) {
		peer_is_asked(s, rest);
	} else if (str_eq(verb, STR("has"))) {
		peer_has(s, rest);
	} else if (str_eq(verb, STR("takes"))) {
		s->window = number(rest);
	} else if (str_eq(verb, STR("answers"))) {
		peer_answers(s, rest);
	} else if (str_eq(verb, STR("says"))) {
		peer_says(s, rest);
	} else if (str_eq(verb, STR("end"))) {
		vsock_end(s);
	} else if (str_eq(verb, STR("gone"))) {
		vsock_go(s);
	} else if (str_eq(verb, STR("reset"))) {
		vsock_fail(s, ECONNRESET);
	} else if (str_eq(verb, STR("ended"))) {
		if (!s->is_shut)
			vnet_wrong("the worker has not ended its side");
	} else if (str_eq(verb, STR("open")) || str_eq(verb, STR("closed"))) {
		if (s->is_closed != str_eq(verb, STR("closed")))
			vnet_wrong("it is %s", s->is_closed ? "closed" : "open");
	} else {
		vnet_wrong("what is \"%.*s\"?", STR_FMT(verb));
	}
}

/* --- the rest --- */

static int
talk_refuse(struct vsock *s)
{
	(void)s;
	return ECONNREFUSED;
}

static void
talk_count(const char *what, unsigned is, struct str rest)
{
	if (is != number(rest))
		vnet_wrong("%s: %u", what, is);
}

static void
talk_step(struct str line)
{
	struct str verb;

	vnet_trace("test: %.*s", STR_FMT(line));
	verb = word(&line);
	if (verb.p[0] >= '0' && verb.p[0] <= '9') {
		struct str next = word(&line);

		if (!str_eq(next, STR("=")))
			peer_step(number(verb), next, line);
		else if (number(verb) > nclients)
			vnet_wrong("there is no such client");
		else
			client_check(&clients[number(verb) - 1], line);
	} else if (str_eq(verb, STR("="))) {
		client_check(&clients[nclients - 1], line);
	} else if (str_eq(verb, STR("wait"))) {
		sim_pass(number(line));
	} else if (str_eq(verb, STR("drain"))) {
		sim_drain();
		sim_pass(200);
	} else if (str_eq(verb, STR("hosts"))) {
		vnet_connecting = str_eq(line, STR("refuse")) ? talk_refuse : NULL;
	} else if (str_eq(verb, STR("conns"))) {
		talk_count("connections", peer_count(), line);
	} else if (str_eq(verb, STR("tried"))) {
		talk_count("attempts", sim.last.attempts, line);
	} else if (str_eq(verb, STR("queued"))) {
		talk_count("waiting", sim_queued(), line);
	} else if (str_eq(verb, STR("term"))) {
		if (!str_eq(line, str_of(sim.last.termination)))
			vnet_wrong("it ended as %s", sim.last.termination);
	} else if (!client_step(verb, line)) {
		vnet_wrong("what is \"%.*s\"?", STR_FMT(verb));
	}
	sim_settle();
}

static void
talk_open(void)
{
	struct text conf = { 0 };
	int hosts = talk->hosts ? talk->hosts : 2;

	text_printf(&conf, "server: { listen = \"127.0.0.1:8080\"; };\n"
			   "backends: { app: { protocol = \"http\"; balance = \"static\"; ");
	for (int i = 1; i <= hosts; i++)
		text_printf(&conf, "%s\"10.0.0.%d:80\"", i > 1 ? ", " : "hosts = [ ", i);
	text_printf(&conf,
	    "%s %s }; };\nsites = ( { host = \"*\"; routes = ( { path = \"/app\"; "
	    "gateway: { backend = \"app\"; %s }; } ); } );\n",
	    hosts > 0 ? " ];" : "", talk->pool ? talk->pool : "", talk->route ? talk->route : "");
	text_add(&conf, "", 1);
	sim_open(conf.p, 1);
	text_free(&conf);
}

/* Whoever still has something open goes, and the longest timeout passes. */
static void
talk_close(void)
{
	for (unsigned i = 0; i < vnet_count(); i++)
		if (vnet_at(i)->kind != VSOCK_LISTENER && !vnet_at(i)->is_closed)
			vsock_fail(vnet_at(i), ECONNRESET);
	sim_pass(TALK_LATER);
	if (!sim_is_quiet())
		vnet_wrong("at the end %llu requests are under way, %u at hosts, %u wait",
		    (unsigned long long)sim_counter(CTR_ACTIVE), sim_in_flight(), sim_queued());
	sim_close();
}

void
talk_run(const struct talk *t)
{
	struct str rest = str_of(t->text);
	unsigned step = 0;

	talk = t;
	nclients = 0;
	talk_open();
	while (rest.n > 0) {
		struct str line = str_trim(str_split(&rest, '\n'));

		snprintf(vnet_about, sizeof(vnet_about), "\"%.40s\", step %u", t->name, ++step);
		if (line.n > 0)
			talk_step(line);
	}
	talk_close();
}
