/*
 * The module of gateways: requests of a route go to the hosts of a pool. See ARCHITECTURE.md,
 * "Gateways".
 */
#include "modules/gateway/codec/reading.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/scripts.h"
#include "modules/gateway/sendfile.h"
#include "modules/gateway/uploadconf.h"

extern const struct module module_gateway;

static bool
gateway_is_active(const void *conf)
{
	const struct gateway_conf *c = conf;

	return c->pool || c->authorizer_pool;
}

static bool
gateway_guards(const void *conf)
{
	return ((const struct gateway_conf *)conf)->authorizer_pool != NULL;
}

static int
gateway_start(const struct conf *conf, struct worker *w)
{
	uploadconf_start(conf, w, &module_gateway);
	return bpool_start(conf, w);
}

static void
gateway_stop(struct worker *w)
{
	(void)w;
	sendfile_stop();
	bpool_stop();
}

/* The one way to a backend, of whatever protocol. */
static void
gateway_ask(struct request *r, const struct gateway_conf *c, bool is_authorizer,
    const struct script *script)
{
	bool has_uri = is_authorizer || codec_of(c->pool->protocol)->is_cgi;
	const char *why;
	int status = reading_check(r, c, script, has_uri, &why);

	if (status)
		res_error(r, status, why);
	else
		exchange_start(r, c, is_authorizer, script);
}

static enum verdict
gateway_access(struct request *r, const void *conf)
{
	const struct gateway_conf *c = conf;

	struct script script = { .name = r->path };
	const char *why;

	if (!c->authorizer_pool || request_is_exempt(r))
		return NEXT;
	/* Whatever the path means here: the authorizer is to be asked. */
	script_find(&script, r, c, &why);
	gateway_ask(r, c, true, &script);
	return MINE;
}

static enum verdict
gateway_handle(struct request *r, const void *conf)
{
	const struct gateway_conf *c = conf;

	struct script script = { 0 };
	const char *why = NULL;
	int status;

	if (!c->pool)
		return NEXT;
	status = codec_of(c->pool->protocol)->is_cgi ? script_find(&script, r, c, &why) : 0;
	if (status == SCRIPT_NONE)
		return NEXT;
	if (status)
		res_error(r, status, why);
	else
		gateway_ask(r, c, false, &script);
	return MINE;
}

static void
gateway_log(struct request *r, const void *conf)
{
	(void)conf;
	exchange_finish_note(r);
}

const struct module module_gateway = {
	.name = "gateway",
	.help =
	    "Applications behind FastCGI, SCGI, uwsgi, HTTP, AJP13 and CGI: requests go to the "
	    "hosts of a pool (see BACKENDS), which are chosen, watched and left out by all workers "
	    "as one.",
	.opts = gateway_opts,
	.conf_size = sizeof(struct gateway_conf),
	.check = gateway_check,
	.uses = gateway_uses,
	.active = gateway_is_active,
	.guards = gateway_guards,
	.takes = scripts_taken,
	.start = gateway_start,
	.stop = gateway_stop,
	.access = gateway_access,
	.handle = gateway_handle,
	.log = gateway_log,
};
