/*
 * What a configuration makes of the pools: new ones are there before its workers are; others change
 * when they serve.
 */
#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "master/base/inherit.h"
#include "master/base/notify.h"
#include "master/local/local.h"
#include "master/local/sock.h"

static struct local_pool *
local_conf_of(struct link *l)
{
	return container_of(l, struct local_pool, link);
}

/* ---- before it serves ---- */

static int
local_conf_sock(struct local_pool *l, const struct localspec *spec, struct text *report)
{
	char name[LOCAL_NAME], why[SAFEDIR_WHY];

	if (!l->path || l->sock >= 0)
		return 0;
	local_store_name(l, name);
	l->sock = localsock_take(name, l->path, &l->file);
	l->is_stored = l->sock >= 0;
	if (l->sock < 0)
		l->sock = localsock_open(l->path, spec->owner, &l->file, why);
	if (l->sock >= 0)
		return 0;
	text_printf(report, "backend %s: cannot listen on %s: %s\n", l->name, l->path, why);
	return errno == EADDRINUSE ? EX_TEMPFAIL : 1;
}

/* One that was to end comes back if it has not begun to. */
static struct local_pool *
local_conf_find(const struct localspec *spec)
{
	static const enum local_state alive[] = { LOCAL_SERVING, LOCAL_NEW, LOCAL_LEAVING };
	struct local_pool *l = NULL;

	for (unsigned i = 0; i < 3 && !l; i++)
		l = local_find(spec->name, spec->path, alive[i]);
	return l;
}

static int
local_conf_open(struct localspec *spec, struct text *report)
{
	struct local_pool *l = local_conf_find(spec);
	char why[200];
	int status;

	if (!become_check(&spec->as, why, sizeof(why))) {
		text_printf(report, "backend %s: %s\n", spec->name, why);
		localspec_free(spec);
		return EX_CONFIG;
	}
	if (!l)
		l = local_new(spec->name, spec->path, LOCAL_NEW);
	localspec_free(l->next);
	l->next = spec;
	status = local_conf_sock(l, spec, report);
	if (status || l->state != LOCAL_NEW)
		return status;
	l->spec = spec;
	l->next = NULL;
	l->digest = spec->digest;
	local_look(l); /* its processes are there before its workers */
	return 0;
}

int
local_open(const struct conf *conf, struct text *report)
{
	int status = 0;

	for (size_t i = 0; i < conf->npools; i++) {
		int rc = 0;

		if (conf_pool_is_local(&conf->pools[i]))
			rc =
			    local_conf_open(localspec_new(&conf->pools[i], &conf->process), report);
		status = status ? status : rc;
	}
	return status;
}

/* What the manager keeps stays where it is, for the next load or the next master. */
static void
local_conf_give_back(struct local_pool *l)
{
	char name[LOCAL_NAME];

	if (!l->is_stored)
		return;
	local_store_name(l, name);
	inherit_add(l->sock, name);
	l->sock = -1;
	l->is_stored = false;
}

void
local_rollback(void)
{
	LIST_EACH(it, local_list())
	{
		struct local_pool *l = local_conf_of(it);

		localspec_free(l->next);
		l->next = NULL;
		if (l->state != LOCAL_NEW)
			continue;
		local_conf_give_back(l);
		local_end(l);
	}
}

/* ---- now it serves ---- */

static void
local_conf_take(struct local_pool *l)
{
	localspec_free(l->spec);
	l->spec = l->next;
	l->next = NULL;
	l->digest = l->spec->digest;
}

/* The pool's settings have changed: the new ones get processes of their own, at a socket of their
   own. */
static void
local_conf_come(struct local_pool *l)
{
	struct local_pool *n = local_new(l->name, l->path, LOCAL_COMING);
	char path[128], why[SAFEDIR_WHY];

	snprintf(path, sizeof(path), "%s" LOCALSOCK_NEXT, l->path);
	n->sock = localsock_open(path, l->next->owner, &n->file, why);
	if (n->sock < 0) {
		log_errorx("backend %s: cannot listen on %s: %s: %s", l->name, path, why,
		    l->spec ? "its settings stay as they are"
			    : "its processes are replaced one by one");
		local_free(n);
		/* Of another binary: nobody could start one of the old settings any more. */
		if (!l->spec)
			local_conf_take(l);
		return;
	}
	n->scale.wanted = l->scale.wanted;
	n->next = l->next;
	l->next = NULL;
	local_conf_take(n);
	local_look(n);
}

static void
local_conf_change(struct local_pool *l)
{
	struct local_pool *coming = local_find(l->name, l->path, LOCAL_COMING);
	uint64_t digest = l->next->digest;

	if (coming && coming->digest == digest) {
		coming->next = l->next;
		l->next = NULL;
		local_conf_take(coming);
		return;
	}
	if (coming)
		local_end(coming);
	if (digest != l->digest && l->path)
		local_conf_come(l);
	else
		local_conf_take(l);
}

static void
local_conf_settle(struct local_pool *l)
{
	char name[LOCAL_NAME];

	if (l->state != LOCAL_SERVING)
		local_enter(l, LOCAL_SERVING);
	if (l->next)
		local_conf_change(l);
	local_look(l);
	if (l->sock < 0)
		return;
	local_store_name(l, name);
	if (!l->is_stored)
		notify_store(name, l->sock);
	l->is_stored = true;
	if (l->spec && localsock_own(l->path, &l->file, l->spec->owner) < 0)
		log_warn("backend %s: owner of %s", l->name, l->path);
}

/* A pool that the configuration does not name any more: whatever was to take its place goes as
   well. */
static void
local_conf_leave(struct local_pool *l, unsigned generation)
{
	struct local_pool *coming = local_find(l->name, l->path, LOCAL_COMING);

	l->leaving = generation;
	local_enter(l, LOCAL_LEAVING);
	if (coming)
		local_end(coming);
}

void
local_commit(unsigned generation)
{
	/* Others may come and go meanwhile, but not the one that is being looked at. */
	for (struct link *it = local_list()->next; it != local_list(); it = it->next) {
		struct local_pool *l = local_conf_of(it);

		if (l->state == LOCAL_NEW || l->next)
			local_conf_settle(l);
		else if (l->state == LOCAL_SERVING)
			local_conf_leave(l, generation);
	}
}
