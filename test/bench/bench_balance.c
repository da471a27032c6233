/*
 * What a decision costs: pick and release, COUNT times, for a pool of HOSTS hosts and four workers
 * of whom this is one (the others have requests in flight, and pick at the same time when BUSY is
 * 1): bench_balance METHOD COUNT HOSTS BUSY prints nanoseconds per turn. METHOD as in the
 * configuration, "-limited" added: with limits.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/balance/balance.h"
#include "common/base/clock.h"

enum { BENCH_WORKERS = 4, BENCH_IN_FLIGHT = 20 };

static const char *const bench_methods[] = { "two-choices", "round-robin", "least-connections",
	"static", "hash", "two-choices-limited", "round-robin-limited", NULL };

static struct conf_pool bench_pool = {
	.name = STR_INIT("app"),
	.failover = { .threshold = 3, .window = 10000, .max = 60000, .eject = 50 },
};
static struct conf_host bench_conf[BALANCE_HOSTS];
static struct balance_host bench_hosts[BALANCE_HOSTS];

static int
bench_method(const char *name)
{
	for (int i = 0; bench_methods[i]; i++)
		if (strcmp(bench_methods[i], name) == 0)
			return i;
	fprintf(stderr, "bench_balance: which method is %s?\n", name);
	exit(2);
}

static void
bench_make(struct shm *s, unsigned n, bool is_limited)
{
	static char names[BALANCE_HOSTS][16];

	for (unsigned i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "10.0.0.%u:80", i);
		bench_conf[i].address = str_of(names[i]);
		bench_conf[i].weight = 1;
		bench_conf[i].max_requests = is_limited ? 10000 : 0;
		bench_hosts[i].conf = &bench_conf[i];
		bench_hosts[i].row = (unsigned)backend_row(s, bench_pool.name, str_of(names[i]));
		bench_hosts[i].hash = str_hash(str_of(names[i]));
		for (unsigned w = 0; w < BENCH_WORKERS; w++)
			for (unsigned k = 0; k < BENCH_IN_FLIGHT; k++)
				backend_take(s, w, bench_hosts[i].row);
	}
}

static uint64_t
bench_run(struct shm *s, unsigned worker, unsigned n, unsigned long count)
{
	struct balance_ask ask = { .has_key = true };
	struct balance b;
	uint64_t began, when;
	unsigned host;

	balance_init(&b, s, worker, &bench_pool);
	b.hosts = bench_hosts;
	b.n = n;
	ask.now = clock_ms();
	began = clock_ns();
	for (unsigned long i = 0; i < count; i++) {
		ask.key = i * 0x9e3779b97f4a7c15u;
		if (balance_pick(&b, &ask, &host, &when) != BALANCE_TAKEN)
			exit(1);
		balance_release(&b, bench_hosts[host].row);
	}
	began = clock_ns() - began;
	balance_fini(&b);
	return began;
}

int
main(int argc, char **argv)
{
	int method = bench_method(argc > 1 ? argv[1] : bench_methods[0]);
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000000;
	unsigned hosts = argc > 3 ? (unsigned)atoi(argv[3]) : 3;
	struct shm *s = shm_create();
	pid_t other = -1;

	if (!s || count == 0 || hosts == 0 || hosts > BALANCE_HOSTS)
		return 2;
	bench_pool.balance = method % (BALANCE_HASH + 1);
	bench_make(s, hosts, method > BALANCE_HASH);
	if (argc > 4 && atoi(argv[4])) {
		other = fork();
		if (other == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				bench_run(s, 1, hosts, 100000);
		}
	}
	printf("%s %u hosts%s: %.1f ns\n", bench_methods[method], hosts, other > 0 ? ", busy" : "",
	    (double)bench_run(s, 0, hosts, count) / (double)count);
	if (other > 0)
		kill(other, SIGKILL);
	shm_close(s);
	return 0;
}
