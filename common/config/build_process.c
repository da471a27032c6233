/*
 * The server's own options: what "auto" means on this machine, and whether users and networks
 * exist.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/cidr.h"
#include "common/config/build.h"

enum { SLOTS_MIN = 16, SLOTS_MAX = 256, WORKERS_MAX = 128 };

/* The first line of a file, without its end; n 0 when there is none. */
static struct str
process_line(struct arena *a, const char *path)
{
	char line[4096];
	FILE *f = fopen(path, "re");
	struct str s = { "", 0 };

	if (!f)
		return s;
	if (fgets(line, sizeof(line), f))
		s = arena_str(a, str_n(line, strcspn(line, "\n")));
	fclose(f);
	return s;
}

/* CPUs of a quota ("max 100000" or "200000 100000", microseconds), rounded up; 0: no limit. */
static int64_t
process_quota(struct str quota, struct str period)
{
	uint64_t q, p;

	if (!str_to_u64(str_trim(quota), INT64_MAX, &q) ||
	    !str_to_u64(str_trim(period), INT64_MAX, &p) || q == 0 || p == 0)
		return 0;
	return (int64_t)(q / p + (q % p != 0));
}

/* The path of this process' control group in a hierarchy: the line "0::/x" or "3:cpu,cpuacct:/x".
 */
static struct str
process_cgroup(struct arena *a, const char *controller)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	struct str path = { NULL, 0 };
	char line[4096];

	while (f && !path.p && fgets(line, sizeof(line), f)) {
		struct str rest = str_n(line, strcspn(line, "\n")), names;

		(void)str_split(&rest, ':');
		if (!rest.p)
			continue;
		names = str_split(&rest, ':');
		if (rest.p &&
		    (*controller ? str_list_has(names, str_of(controller)) : names.n == 0))
			path = arena_str(a, rest);
	}
	if (f)
		fclose(f);
	return path;
}

static int64_t
process_min(int64_t a, int64_t b)
{
	return a == 0 || (b && b < a) ? b : a;
}

/* The quota of a group of version 2, and of the groups that it is in. */
static int64_t
process_quota_v2(struct arena *a)
{
	struct str path = process_cgroup(a, ""), period, quota;
	int64_t n = 0;

	while (path.p) {
		period =
		    process_line(a, arena_printf(a, "/sys/fs/cgroup%.*s/cpu.max", STR_FMT(path)).p);
		quota = str_split(&period, ' ');
		if (period.p)
			n = process_min(n, process_quota(quota, period));
		while (path.n && path.p[path.n - 1] != '/')
			path.n--;
		if (path.n == 0)
			break;
		path.n--;
	}
	return n;
}

static int64_t
process_quota_v1(struct arena *a)
{
	struct str path = process_cgroup(a, "cpu");
	const char *dirs[2] = { "/sys/fs/cgroup/cpu", NULL };
	int64_t n = 0;
	size_t i;

	if (!path.p)
		return 0;
	dirs[1] = arena_printf(a, "/sys/fs/cgroup/cpu%.*s", STR_FMT(path)).p;
	for (i = 0; i < 2; i++)
		n = process_min(
		    n, process_quota(
			   process_line(a, arena_printf(a, "%s/cpu.cfs_quota_us", dirs[i]).p),
			   process_line(a, arena_printf(a, "%s/cpu.cfs_period_us", dirs[i]).p)));
	return n;
}

/* CPUs that this process may use. */
static int64_t
process_cpus(struct arena *a)
{
	cpu_set_t *set;
	int max = 1024, n = 0;

	for (; max <= 1 << 20; max *= 2) { /* more CPUs than the set has room for: EINVAL */
		set = CPU_ALLOC((size_t)max);
		if (!set)
			break;
		if (sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)max), set) == 0) {
			n = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)max), set);
			CPU_FREE(set);
			break;
		}
		CPU_FREE(set);
		if (errno != EINVAL)
			break;
	}
	if (n < 1)
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	n = (int)process_min(process_min(n < 1 ? 1 : n, process_quota_v2(a)), process_quota_v1(a));
	return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static void
process_users(struct build *b, const struct conf_process *p)
{
	if (p->user.n && !getpwnam(p->user.p))
		cfg_errors_add(b->errors, true, *scope_place(b->server, CORE_SERVER, "user"), NULL,
		    "there is no user \"%.*s\" on this machine", STR_FMT(p->user));
	if (p->group.n && !getgrnam(p->group.p))
		cfg_errors_add(b->errors, true, *scope_place(b->server, CORE_SERVER, "group"), NULL,
		    "there is no group \"%.*s\" on this machine", STR_FMT(p->group));
}

/* Where an element of a list of the server stands. */
static struct cfg_place
process_place(const struct build *b, const char *option, size_t i)
{
	const struct cfg_place *row = scope_place(b->server, CORE_SERVER, option);
	const struct opt_places *elems =
	    &b->server->elems[core_id(CORE_SERVER)][row - b->server->places[core_id(CORE_SERVER)]];

	return i < elems->n ? elems->v[i] : *row;
}

static void
process_proxies(struct build *b, const struct conf_process *p)
{
	struct cidr_set set = { NULL, 0 };
	const char *why;
	size_t i;

	for (i = 0; i < p->trusted_proxies.n; i++)
		if (!cidr_add(&set, b->arena, p->trusted_proxies.v[i], &why))
			cfg_errors_add(b->errors, true, process_place(b, "trusted_proxies", i),
			    NULL, "'trusted_proxies' wants %s, not \"%.*s\"", why,
			    STR_FMT(p->trusted_proxies.v[i]));
	b->conf->trusted = set;
}

static void
process_resolvers(struct build *b, struct conf_process *p)
{
	struct address a;
	const char *why;
	size_t i;

	for (i = 0; i < p->resolvers.n; i++)
		if (address_parse(b->arena, p->resolvers.v[i], NULL, 53, &a, &why) && a.is_numeric)
			p->resolvers.v[i] = a.text;
		else
			cfg_errors_add(b->errors, true, process_place(b, "resolver", i), NULL,
			    "'resolver' wants numeric addresses such as \"10.0.0.53\" or "
			    "\"127.0.0.1:5353\", not \"%.*s\"",
			    STR_FMT(p->resolvers.v[i]));
}

static void
process_spool(struct build *b, const struct conf_process *p)
{
	struct stat st;
	size_t i;

	for (i = 0; i < p->spool_directories.n; i++)
		if (stat(p->spool_directories.v[i].p, &st) < 0 || !S_ISDIR(st.st_mode))
			cfg_errors_add(b->errors, false, process_place(b, "spool.directories", i),
			    NULL, "there is no directory %.*s", STR_FMT(p->spool_directories.v[i]));
}

void
build_process(struct build *b)
{
	const struct conf_server_opts *o = b->server->conf[core_id(CORE_SERVER)];
	struct conf_process *p = &b->conf->process;

	*p = o->process;
	p->workers_auto = p->workers < 0;
	if (p->workers_auto)
		p->workers = process_cpus(b->arena);
	if (p->slots < 0)
		p->slots = 2 * p->workers > SLOTS_MIN ? 2 * p->workers : SLOTS_MIN;
	if (p->slots < p->workers)
		cfg_errors_add(b->errors, true, *scope_place(b->server, CORE_SERVER, "slots"),
		    "leave it out for twice the workers",
		    "'slots' must be at least the number of workers, which is %lld",
		    (long long)p->workers);
	if (!str_eq(p->error_log, STR("stderr")) && p->error_log.n && p->error_log.p[0] != '/')
		p->error_log = arena_printf(b->arena, "%s/%.*s", b->dir, STR_FMT(p->error_log));
	process_users(b, p);
	process_proxies(b, p);
	process_resolvers(b, p);
	if (scope_place(b->server, CORE_SERVER, "spool.directories")->file)
		process_spool(b, p);
}
