#include "modules/log/backend.h"
#include "worker/request.h"

/* --- single values --- */

static char *
logbackend_absent(char *p, bool is_json)
{
	if (!is_json) {
		*p = '-';
		return p + 1;
	}
	memcpy(p, "null", 4);
	return p + 4;
}

/* Negative: not there. */
static char *
logbackend_number(char *p, int64_t v, bool is_json)
{
	return v < 0 ? logbackend_absent(p, is_json) : logvar_put_number(p, v);
}

/* Defines the function that writes a text, resp. a number, of the backend at b. */
#define LOGBACKEND_TEXT(which, expr)                                                               \
	char *logbackend_put_##which(char *p, const struct logline *l, const struct logstep *step) \
	{                                                                                          \
		const struct request_backend *b = l->r->backend;                                   \
                                                                                                   \
		return logvar_put_text(p, l, b ? (expr) : STR(""), step->is_json);                 \
	}
#define LOGBACKEND_NUMBER(which, expr)                                                             \
	char *logbackend_put_##which(char *p, const struct logline *l, const struct logstep *step) \
	{                                                                                          \
		const struct request_backend *b = l->r->backend;                                   \
                                                                                                   \
		return logbackend_number(p, b ? (expr) : -1, step->is_json);                       \
	}

LOGBACKEND_TEXT(host, b->host)
LOGBACKEND_TEXT(pool, b->pool)
LOGBACKEND_TEXT(failures, b->failures)
LOGBACKEND_TEXT(term, str_of(b->termination))
LOGBACKEND_NUMBER(tries, (int64_t)b->attempts)
LOGBACKEND_NUMBER(queue, b->queue)
LOGBACKEND_NUMBER(connect, b->connect)
LOGBACKEND_NUMBER(first, b->first_byte)
LOGBACKEND_NUMBER(total, b->total)
LOGBACKEND_NUMBER(reused, b->host.n ? (b->is_reused ? 1 : 0) : -1)

/* --- all of it --- */

static const struct {
	struct str name;
	logvar_put put;
	bool is_text;
} logbackend_members[] = {
	{ STR_INIT("{\"pool\":"), logbackend_put_pool, true },
	{ STR_INIT(",\"host\":"), logbackend_put_host, true },
	{ STR_INIT(",\"tries\":"), logbackend_put_tries, false },
	{ STR_INIT(",\"failures\":"), logbackend_put_failures, true },
	{ STR_INIT(",\"queue_us\":"), logbackend_put_queue, false },
	{ STR_INIT(",\"connect_us\":"), logbackend_put_connect, false },
	{ STR_INIT(",\"first_us\":"), logbackend_put_first, false },
	{ STR_INIT(",\"total_us\":"), logbackend_put_total, false },
	{ STR_INIT(",\"term\":"), logbackend_put_term, true },
	{ STR_INIT(",\"reused\":"), logbackend_put_reused, false },
};

char *
logbackend_put_json(char *p, const struct logline *l, const struct logstep *step)
{
	static const struct logstep json = { .is_json = true };

	(void)step;
	if (!l->r->backend)
		return logbackend_absent(p, true);
	for (size_t i = 0; i < sizeof(logbackend_members) / sizeof(logbackend_members[0]); i++) {
		bool is_text = logbackend_members[i].is_text;

		if (l->end - p < LOGVAR_ROOM)
			return NULL;
		memcpy(p, logbackend_members[i].name.p, logbackend_members[i].name.n);
		p += logbackend_members[i].name.n;
		if (is_text)
			*p++ = '"';
		p = logbackend_members[i].put(p, l, &json);
		if (!p || l->end - p < LOGVAR_ROOM)
			return NULL;
		if (is_text)
			*p++ = '"';
	}
	*p++ = '}';
	return p;
}
