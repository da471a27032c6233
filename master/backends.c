/*
 * The request `backend` of the control socket. Pools and hosts are looked up in the segment: what
 * workers know is what there is. Nothing here creates a row.
 */
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/suggest.h"
#include "common/status/pools.h"
#include "master/backends.h"
#include "master/base/chronicle.h"
#include "master/base/exitcode.h"

enum { BACKENDS_WORDS = 4, BACKENDS_WEIGHT_MAX = 1000 };

/* One request, being carried out. */
struct backends_ask {
	struct shm *shm;
	const char *pool, *host, *value; /* value: the weight, or NULL */
	unsigned row;
	struct text *out;
};

static const char backends_usage[] =
    "usage: argand backend [POOL [drain|disable|enable HOST | weight HOST 1..1000|configured]]";

/* ---- looking up ---- */

/* "there is no WHAT "x"; did you mean "y"?" */
static int
backends_unknown(struct text *out, const char *what, const struct suggest *s)
{
	text_printf(out, "there is no %s \"%.*s\"", what, STR_FMT(s->wanted));
	if (s->best.n)
		text_printf(out, "; did you mean \"%.*s\"?", STR_FMT(s->best));
	text_add(out, "\n", 1);
	return CLI_FAILED;
}

static const struct statussnap_pool *
backends_pool(const struct statussnap *s, const char *name)
{
	for (unsigned i = 0; i < s->npools; i++)
		if (strcmp(s->pools[i].view.pool, name) == 0)
			return &s->pools[i];
	return NULL;
}

static int
backends_no_pool(const struct statussnap *s, const char *name, struct text *out)
{
	struct suggest suggest;

	suggest_init(&suggest, str_of(name));
	for (unsigned i = 0; i < s->npools; i++)
		suggest_offer(&suggest, str_of(s->pools[i].view.pool));
	backends_unknown(out, "pool", &suggest);
	for (unsigned i = 0; i < s->npools; i++)
		text_printf(out, "%s%s%s", i ? ", " : "pools: ", s->pools[i].view.pool,
		    i + 1 == s->npools ? "\n" : "");
	return CLI_FAILED;
}

static int
backends_no_host(const struct statussnap_pool *p, const char *name, struct text *out)
{
	struct suggest suggest;

	suggest_init(&suggest, str_of(name));
	for (unsigned i = 0; i < p->nhosts; i++)
		suggest_offer(&suggest, str_of(p->hosts[i].host));
	backends_unknown(out, "host", &suggest);
	for (unsigned i = 0; i < p->nhosts; i++)
		text_printf(out, "%s%s%s", i ? ", " : "hosts: ", p->hosts[i].host,
		    i + 1 == p->nhosts ? "\n" : "");
	return CLI_FAILED;
}

static bool
backends_row(struct backends_ask *ask)
{
	struct backend_view v;

	for (ask->row = 0; ask->row < backend_reach(ask->shm); ask->row++)
		if (backend_view(ask->shm, ask->row, &v) && strcmp(v.pool, ask->pool) == 0 &&
		    strcmp(v.host, ask->host) == 0)
			return true;
	return false;
}

/* ---- answers ---- */

static int
backends_list(const struct statussnap *s, const char *pool, bool colour, struct text *out)
{
	const struct statussnap_pool *only = pool ? backends_pool(s, pool) : NULL;
	size_t before = out->n;

	if (pool && !only)
		return backends_no_pool(s, pool, out);
	if (s->npools == 0)
		text_printf(out, "\nno pool of backends is configured\n");
	for (unsigned i = 0; i < s->npools; i++)
		if (!only || only == &s->pools[i])
			statuspools_text(out, s, &s->pools[i], statusstyle(colour));
	/* without the empty line before the first */
	memmove(out->p + before, out->p + before + 1, --out->n - before);
	return CLI_OK;
}

/* The new state of the host, and a warning when no other host can take its requests. */
static void
backends_answer(const struct backends_ask *ask, const char *what)
{
	struct statussnap *s = statussnap_take(ask->shm);
	const struct statussnap_pool *p = backends_pool(s, ask->pool);
	struct backend_view v = { 0 };

	backend_view(ask->shm, ask->row, &v);
	text_printf(ask->out, "%s %s %s", ask->pool, ask->host, what);
	if (v.admin != ADMIN_NONE)
		text_printf(
		    ask->out, ", %u request%s in flight", v.in_flight, v.in_flight == 1 ? "" : "s");
	text_add(ask->out, "\n", 1);
	if (v.admin != ADMIN_NONE && p && p->usable == 0)
		text_printf(ask->out, "no host of the pool takes new requests now\n");
	free(s);
}

/* ---- doing ---- */

static int
backends_set(struct backends_ask *ask, enum backend_admin admin, const char *what)
{
	if (!backend_admin_set(ask->shm, ask->row, admin)) {
		text_printf(ask->out, "the segment has no such host any more\n");
		return CLI_FAILED;
	}
	log_notice(
	    "backend %s %s %s, asked for through the control socket", ask->pool, ask->host, what);
	chronicle_add(HISTORY_COMMAND, 0, -1, "backend %s %s %s", ask->pool, ask->host, what);
	backends_answer(ask, what);
	return CLI_OK;
}

static int
backends_drain(struct backends_ask *ask)
{
	return backends_set(ask, ADMIN_DRAIN, "is drained: it takes no new requests");
}

static int
backends_disable(struct backends_ask *ask)
{
	return backends_set(ask, ADMIN_DISABLE, "is disabled: neither used nor checked");
}

static int
backends_enable(struct backends_ask *ask)
{
	return backends_set(ask, ADMIN_NONE, "is enabled");
}

static int
backends_weight(struct backends_ask *ask)
{
	uint64_t weight = 0;

	if (strcmp(ask->value, "configured") != 0 &&
	    (!str_to_u64(str_of(ask->value), BACKENDS_WEIGHT_MAX, &weight) || weight == 0)) {
		text_printf(
		    ask->out, "a weight is 1 to %d, or \"configured\"\n", BACKENDS_WEIGHT_MAX);
		return CLI_USAGE;
	}
	if (!backend_weight_set(ask->shm, ask->row, (unsigned)weight)) {
		text_printf(ask->out, "the segment has no such host any more\n");
		return CLI_FAILED;
	}
	log_notice("backend %s %s has weight %s, asked for through the control socket", ask->pool,
	    ask->host, ask->value);
	chronicle_add(HISTORY_COMMAND, 0, -1, "backend %s %s has weight %s", ask->pool, ask->host,
	    ask->value);
	text_printf(ask->out, "%s %s has weight %s\n", ask->pool, ask->host, ask->value);
	return CLI_OK;
}

static const struct {
	const char *name;
	int (*fn)(struct backends_ask *);
	bool has_value;
} backends_verbs[] = {
	{ "drain", backends_drain, false },
	{ "disable", backends_disable, false },
	{ "enable", backends_enable, false },
	{ "weight", backends_weight, true },
};

enum { BACKENDS_VERBS = sizeof(backends_verbs) / sizeof(backends_verbs[0]) };

static int
backends_verb(const char *name, struct text *out)
{
	struct suggest suggest;

	suggest_init(&suggest, str_of(name));
	for (int i = 0; i < BACKENDS_VERBS; i++) {
		if (strcmp(backends_verbs[i].name, name) == 0)
			return i;
		suggest_offer(&suggest, str_of(backends_verbs[i].name));
	}
	backends_unknown(out, "command", &suggest);
	text_printf(out, "%s\n", backends_usage);
	return -1;
}

static int
backends_act(const struct statussnap *s, struct backends_ask *ask, int verb)
{
	const struct statussnap_pool *p = backends_pool(s, ask->pool);

	if (!p)
		return backends_no_pool(s, ask->pool, ask->out);
	if (!backends_row(ask))
		return backends_no_host(p, ask->host, ask->out);
	return backends_verbs[verb].fn(ask);
}

int
backends_command(struct shm *shm, char *args, struct text *out)
{
	struct backends_ask ask = { .shm = shm, .out = out };
	const char *words[BACKENDS_WORDS + 1] = { NULL };
	bool colour = strncmp(args, "--color", 7) == 0;
	int n = 0, verb, status;
	struct statussnap *s;

	args += colour ? 7 : 0;
	for (char *word; (word = strsep(&args, " ")) != NULL;)
		if (*word && n <= BACKENDS_WORDS)
			words[n++] = word;
	verb = n > 1 ? backends_verb(words[1], out) : -1;
	if (n > 1 && verb < 0)
		return CLI_USAGE;
	if (n > 1 && n != (backends_verbs[verb].has_value ? 4 : 3)) {
		text_printf(out, "%s\n", backends_usage);
		return CLI_USAGE;
	}
	ask.pool = words[0];
	ask.host = words[2];
	ask.value = words[3];
	s = statussnap_take(shm);
	status = n > 1 ? backends_act(s, &ask, verb) : backends_list(s, words[0], colour, out);
	free(s);
	return status;
}
