/* See sim.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/balance/backend_cell.h"
#include "common/base/fsm.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "common/segment/shm_keep.h"
#include "test/engine/sim.h"
#include "worker/conn.h"
#include "worker/pipe.h"
#include "worker/spool.h"

enum { SIM_ROUNDS = 1000, SIM_PIPES = 16 };

struct sim sim;
static struct conf *conf;
static struct heritage heritage;
static struct heritage_listen listens;
static int listener;

/* The gateway's log hook ends here: what the engine noted is looked at before it is gone. */
void __real_exchange_finish_note(struct request *);
void __wrap_exchange_finish_note(struct request *);
void
__wrap_exchange_finish_note(struct request *r)
{
	__real_exchange_finish_note(r);
	if (!r->backend)
		return;
	sim.ends++;
	sim.attempts += r->backend->attempts;
	sim.last.attempts = r->backend->attempts;
	sim.last.status = r->status;
	memcpy(sim.last.termination, r->backend->termination, sizeof(sim.last.termination));
}

static void
sim_load(const char *text)
{
	struct cfg_errors *errors;

	conf = conf_load_text(text, "sim.conf", &errors);
	if (!conf) {
		cfg_errors_print(errors, stderr, false);
		ck_abort_msg("the configuration of the test is wrong:\n%s", text);
	}
	cfg_errors_free(errors);
}

static void
sim_inherit(void)
{
	struct shm *shm = shm_create();
	int row;

	ck_assert_ptr_nonnull(shm);
	shm_master(shm)->generation = 1;
	shm_master(shm)->slots = 1;
	shm_master(shm)->log_level = (unsigned)log_level;
	row = shm_worker_claim(shm, NULL, 1, 0, 1);
	ck_assert_int_ge(row, 0);
	shm_worker_enter(shm, (unsigned)row, getpid());
	listener = vnet_listener()->fd;
	listens = (struct heritage_listen){ &conf->listens[0], &listener, 1 };
	heritage = (struct heritage){ .conf = conf,
		.shm = shm,
		.row = (unsigned)row,
		.generation = 1,
		.workers = 1,
		.listens = &listens,
		.nlistens = 1,
		.chan = -1 };
	sim.shm = shm;
}

/* The rows that the worker has claimed. */
static void
sim_find_rows(void)
{
	struct backend_pool_view pool;
	struct backend_view host;

	for (unsigned i = 0; i < BACKEND_ROWS && sim.nhosts < SIM_HOSTS; i++)
		if (backend_view(sim.shm, i, &host))
			sim.hosts[sim.nhosts++] = i;
	while (!backend_pool_view(sim.shm, sim.pool, &pool))
		sim.pool++;
}

void
sim_open(const char *text, uint64_t seed)
{
	struct timeval soon = { 0, 1000 };

	log_level = getenv("ENGINE_TRACE") ? LOG_DEBUG_ : LOG_ERROR_;
	fsm_is_strict = true;
	memset(&sim, 0, sizeof(sim));
	sim_load(text);
	ck_assert_uint_eq(conf->log_files.n, 0);
	vnet_start(seed);
	sim_inherit();
	sim.w = worker_new(&heritage);
	pipe_limit(SIM_PIPES);
	for (size_t i = 0; i < modules_n; i++)
		if (modules[i]->start)
			ck_assert_int_eq(modules[i]->start(conf, sim.w), 0);
	accept_open(sim.w);
	shm_worker_move(sim.w->row, ROW_STARTING, ROW_READY);
	event_add(&sim.w->tick, &soon);
	sim_find_rows();
	sim_pass(10);
	ck_assert_int_eq(sim.w->state, WORKER_SERVING);
}

void
sim_close(void)
{
	struct worker *w = sim.w;
	unsigned left;

	for (int s = 0; s < CONN_STATES_MAX; s++)
		LIST_EACH(k, &w->conns[s])
	conn_close(container_of(k, struct conn, link), CONN_BY_DRAIN);
	conn_reap(w);
	for (size_t i = modules_n; i-- > 0;)
		if (modules[i]->stop)
			modules[i]->stop(w);
	worker_run_posts(w);
	worker_free(w);
	vnet_check(spool_total() == 0, "%lld octets are left on disk", (long long)spool_total());
	left = vnet_stop();
	vnet_check(left == 0, "%u sockets are left open", left);
	shm_close(sim.shm);
	conf_free(conf);
}

/* A turn that moved no octet and left no notice was the last one: what is level-triggered for ever
   (an end that is not read because its reader is paused) does not count. */
void
sim_settle(void)
{
	for (int i = 0; i < SIM_ROUNDS; i++) {
		uint64_t before = vnet_moves();

		worker_turn(sim.w, false);
		if (list_is_empty(&sim.w->posts) && vnet_moves() == before)
			return;
	}
	vnet_wrong("the loop does not come to rest");
}

void
sim_pass(int64_t ms)
{
	uint64_t until = vnet_now_ms() + (uint64_t)ms;

	do {
		vnet_pass(until);
		sim_settle();
	} while (vnet_now_ms() < until);
}

void
sim_drain(void)
{
	atomic_store(&shm_master(sim.shm)->generation, 2);
}

/* --- figures --- */

uint64_t
sim_counter(enum counter c)
{
	return ctr_get(sim.w->row, c);
}

unsigned
sim_in_flight(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < sim.nhosts; i++)
		n += backend_in_flight(sim.shm, sim.hosts[i]);
	return n;
}

unsigned
sim_queued(void)
{
	return backend_queued(sim.shm, sim.pool);
}

uint64_t
sim_hosts(enum pool_counter c)
{
	struct backend_view v;
	uint64_t n = 0;

	for (unsigned i = 0; i < sim.nhosts; i++)
		if (backend_view(sim.shm, sim.hosts[i], &v))
			n += v.counters[c];
	return n;
}

struct backend_pool_view
sim_pool(void)
{
	struct backend_pool_view v = { .pool = "" };

	backend_pool_view(sim.shm, sim.pool, &v);
	return v;
}

bool
sim_is_quiet(void)
{
	return sim_counter(CTR_ACTIVE) == 0 && sim_in_flight() == 0 && sim_queued() == 0;
}

/* --- HTTP --- */

/* The value of a field of the head; n 0. */
static struct str
head_field(struct str head, const char *name)
{
	size_t len = strlen(name);

	while (head.n > 0) {
		struct str line = str_split(&head, '\n');

		line.n -= line.n > 0; /* CR */
		if (line.n > len && line.p[len] == ':' &&
		    str_caseeq(str_n(line.p, len), str_of(name)))
			return str_trim(str_n(line.p + len + 1, line.n - len - 1));
	}
	return STR("");
}

/* A chunked body; the octets that it takes, 0: it is not all there. */
static size_t
answer_chunks(struct sim_answer *a, const char *p, size_t n)
{
	size_t at = 0;

	for (;;) {
		const char *eol = memmem(p + at, n - at, "\r\n", 2);
		size_t len;

		if (!eol)
			return 0;
		len = strtoul(p + at, NULL, 16);
		at = (size_t)(eol - p) + 2;
		if (len == 0) {
			/* trailers, until an empty line */
			eol = at + 2 <= n && memcmp(p + at, "\r\n", 2) == 0
				  ? p + at - 2
				  : memmem(p + at, n - at, "\r\n\r\n", 4);
			return eol ? (size_t)(eol - p) + 4 : 0;
		}
		if (n - at < len + 2) {
			text_add(&a->body, p + at, n - at < len ? n - at : len);
			return 0;
		}
		text_add(&a->body, p + at, len);
		vnet_check(memcmp(p + at + len, "\r\n", 2) == 0, "a chunk without its end");
		at += len + 2;
	}
}

static void
answer_body(struct sim_answer *a, struct str head, const char *p, size_t n, bool is_closed)
{
	struct str length = head_field(head, "Content-Length");
	size_t took;
	uint64_t len;

	a->is_chunked = str_caseeq(head_field(head, "Transfer-Encoding"), STR("chunked"));
	if (a->is_chunked) {
		took = answer_chunks(a, p, n);
		a->is_complete = took > 0;
		a->n += took;
		return;
	}
	if (length.n == 0) { /* up to the end */
		text_add(&a->body, p, n);
		a->is_complete = is_closed;
		a->n += n;
		return;
	}
	vnet_check(str_to_u64(length, UINT64_MAX, &len), "a length of \"%.*s\"", STR_FMT(length));
	text_add(&a->body, p, n < len ? n : len);
	a->is_complete = n >= len;
	a->n += n < len ? n : len;
}

void
sim_answer(struct sim_answer *a, const char *p, size_t n, bool is_head, bool is_closed)
{
	*a = (struct sim_answer){ 0 };
	for (;;) {
		const char *end = n > a->n ? memmem(p + a->n, n - a->n, "\r\n\r\n", 4) : NULL;
		struct str head;
		int status;

		if (!end)
			return;
		head = str_n(p + a->n, (size_t)(end - p) + 4 - a->n);
		vnet_check(head.n > 12 && memcmp(head.p, "HTTP/1.1 ", 9) == 0,
		    "no status line: \"%.*s\"", STR_FMT(head));
		status = atoi(head.p + 9);
		a->n += head.n;
		if (status >= 100 && status < 200 && status != 101) {
			a->interims++;
			continue;
		}
		a->status = status;
		a->head = head;
		a->closes = str_caseeq(head_field(head, "Connection"), STR("close"));
		if (is_head || status == 204 || status == 304)
			a->is_complete = true;
		else
			answer_body(a, head, p + a->n, n - a->n, is_closed);
		return;
	}
}
