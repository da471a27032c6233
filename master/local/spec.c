#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/must.h"
#include "master/local/env.h"
#include "master/local/spec.h"

extern char **environ;

static const char localspec_path[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* ---- the environment ---- */

struct localspec_env {
	char **v;
	size_t n;
};

/* "NAME=value"; one of the same name is replaced. */
static void
localspec_set(struct localspec_env *env, char *entry)
{
	size_t name = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < env->n; i++)
		if (strncmp(env->v[i], entry, name) == 0) {
			env->v[i] = entry;
			return;
		}
	env->v[env->n++] = entry;
}

static void
localspec_keep(struct localspec_env *env, struct arena *a, struct str name)
{
	for (char **e = environ; *e; e++)
		if (strncmp(*e, name.p, name.n) == 0 && (*e)[name.n] == '=')
			localspec_set(env, arena_strdup(a, *e));
}

static char *const *
localspec_environment(struct arena *a, const struct conf_pool_spawn *c)
{
	struct localspec_env env = {
		arena_calloc(a, (c->environment.n + c->keep_environment.n + 2) * sizeof(char *)), 0
	};

	localspec_keep(&env, a, STR("PATH"));
	if (env.n == 0)
		localspec_set(&env, arena_strdup(a, localspec_path));
	for (size_t i = 0; i < c->keep_environment.n; i++)
		localspec_keep(&env, a, c->keep_environment.v[i]);
	for (size_t i = 0; i < c->environment.n; i++)
		if (str_find(c->environment.v[i], '=') > 0)
			localspec_set(&env, (char *)(uintptr_t)arena_str(a, c->environment.v[i]).p);
	return env.v;
}

/* ---- the digest: FNV-1a over all that a process is made from ---- */

static void
localspec_mix(uint64_t *h, const void *p, size_t n)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ s[i]) * 0x100000001b3u;
	*h = (*h ^ 0x100) * 0x100000001b3u; /* the end of one thing */
}

static void
localspec_mix_z(uint64_t *h, const char *z)
{
	localspec_mix(h, z ? z : "", z ? strlen(z) : 0);
}

static void
localspec_mix_number(uint64_t *h, int64_t n)
{
	for (int i = 0; i < 64; i += 8)
		*h = (*h ^ ((uint64_t)n >> i & 0xff)) * 0x100000001b3u;
}

static void
localspec_mix_all(uint64_t *h, char *const *v)
{
	for (; *v; v++)
		localspec_mix_z(h, *v);
	localspec_mix_z(h, NULL);
}

static uint64_t
localspec_digest(const struct localspec *s)
{
	int64_t numbers[] = { s->as.max_memory, s->as.max_files, s->as.max_cpu, s->as.max_processes,
		s->as.umask, s->is_cgi, s->is_announced, s->scripts };
	uint64_t h = 0xcbf29ce484222325;

	localspec_mix_z(&h, s->path);
	localspec_mix_all(&h, s->argv);
	localspec_mix_all(&h, s->envp);
	localspec_mix_z(&h, s->as.user);
	localspec_mix_z(&h, s->as.group);
	localspec_mix_z(&h, s->as.chroot);
	localspec_mix_z(&h, s->as.directory);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		localspec_mix_number(&h, numbers[i]);
	return h;
}

/* ---- all of it ---- */

static char *const *
localspec_strs(struct arena *a, const struct cfg_strs *s)
{
	char **v = arena_calloc(a, (s->n + 1) * sizeof(*v));

	for (size_t i = 0; i < s->n; i++)
		v[i] = (char *)(uintptr_t)arena_str(a, s->v[i]).p;
	return v;
}

static const char *
localspec_z(struct arena *a, struct str s)
{
	return s.n ? arena_str(a, s).p : "";
}

/* Nobody becomes root by saying nothing: then it is the workers' user, if there is a choice. */
static void
localspec_as(struct localspec *s, const struct conf_pool_spawn *c, const struct conf_process *p)
{
	bool is_ours = c->user.n == 0 && c->group.n == 0;
	struct str none = { "", 0 }, user = geteuid() == 0 ? p->user : none;
	struct str group = geteuid() == 0 ? p->group : none;

	s->as = (struct become){
		.user = localspec_z(s->arena, c->user.n ? c->user : user),
		.group = localspec_z(s->arena, is_ours ? group : c->group),
		.chroot = localspec_z(s->arena, c->chroot),
		.directory = localspec_z(s->arena, c->directory),
		.max_memory = c->max_memory,
		.max_files = c->max_files,
		.max_cpu = (c->max_cpu + 999) / 1000,
		.max_processes = c->max_processes,
		.umask = (unsigned)c->umask,
		.parent = local_env.parent,
	};
}

static void
localspec_scale(struct localspec *s, const struct conf_pool_spawn *c)
{
	unsigned least = c->min > 0 ? (unsigned)c->min : 1;
	unsigned most = c->max > (int64_t)least ? (unsigned)c->max : least;
	unsigned each = c->requests_per_process > 0 ? (unsigned)c->requests_per_process : 1;

	s->scripts = s->is_cgi ? most : 0;
	if (s->is_cgi)
		least = most = 1;
	s->scale = (struct localscale_limits){ least, most, each, (uint64_t)c->idle };
}

/* Names that are resolved have rows by their addresses: nothing that the master knows. */
static void
localspec_hosts(struct localspec *s, const struct conf_pool *pool)
{
	for (size_t i = 0; i < pool->nhosts && s->nhosts < LOCALSPEC_HOSTS; i++)
		if (pool->hosts[i].is_unix || pool->hosts[i].is_numeric)
			s->hosts[s->nhosts++] = arena_str(s->arena, pool->hosts[i].address);
}

struct localspec *
localspec_new(const struct conf_pool *pool, const struct conf_process *process)
{
	struct arena *a = must_calloc(1, sizeof(*a));
	const struct conf_pool_spawn *c = &pool->spawn;
	struct localspec *s;

	arena_init(a, NULL, 0);
	s = arena_calloc(a, sizeof(*s));
	s->arena = a;
	s->name = localspec_z(a, pool->name);
	s->path = c->socket.n ? localspec_z(a, c->socket) : NULL;
	s->owner = localspec_z(a, process->user);
	s->is_cgi = pool->protocol == POOL_CGI;
	s->is_announced = pool->protocol == POOL_HTTP && s->path;
	s->argv = localspec_strs(a, &c->command);
	s->envp = localspec_environment(a, c);
	s->stop_timeout = (uint64_t)c->stop_timeout;
	localspec_as(s, c, process);
	localspec_scale(s, c);
	localspec_hosts(s, pool);
	s->digest = localspec_digest(s);
	return s;
}

void
localspec_free(struct localspec *s)
{
	struct arena *a;

	if (!s)
		return;
	a = s->arena; /* which s is in */
	arena_fini(a);
	free(a);
}
