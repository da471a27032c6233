/*
 * SCGI: the environment as a netstring of names and values, each ended by a NUL, CONTENT_LENGTH
 * first; then the body as it is. The response is a CGI one until the connection is closed.
 */
#include "common/base/must.h"
#include "modules/gateway/codec/cgihead.h"

#define SCGI_FIRST "CONTENT_LENGTH"

static char *
scgi_put(char *p, struct str s)
{
	if (s.n > 0)
		p = mempcpy(p, s.p, s.n);
	*p = '\0';
	return p + 1;
}

/* Whether it is sent like the others. CONTENT_LENGTH and SCGI have their places. */
static bool
scgi_is_common(const struct script_var *v)
{
	return !str_eq(v->name, STR(SCGI_FIRST)) && !str_eq(v->name, STR("SCGI"));
}

/* A NUL would end a value early, and what follows would be the next name. */
static bool
scgi_has_nul(const struct script_env *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->v[i].value.n > 0 && memchr(e->v[i].value.p, '\0', e->v[i].value.n))
			return true;
	return false;
}

static int
scgi_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct cgihead *h = state;
	char length[20], prefix[21], *block, *begin, *p;
	struct script_env e;
	size_t n;
	int status = script_env_make(&e, q, why);

	if (status)
		return status;
	*why = "a NUL in the environment";
	if (scgi_has_nul(&e))
		return 400;
	h->may_switch = q->upgrade.n > 0;
	/* Room for the netstring's length before, which is known at the end. */
	block = arena_alloc(&q->r->arena, e.octets + 2 * e.n + 80);
	p = begin = block + sizeof(prefix);
	p = scgi_put(p, STR(SCGI_FIRST));
	p = scgi_put(p, str_n(length, str_from_u64(length, (uint64_t)q->length)));
	p = scgi_put(p, STR("SCGI"));
	p = scgi_put(p, STR("1"));
	for (unsigned i = 0; i < e.n; i++) {
		const struct script_var *v = &e.v[i];

		if (!scgi_is_common(v))
			continue;
		p = scgi_put(scgi_put(p, v->name), v->value);
	}
	n = str_from_u64(prefix, (uint64_t)(p - begin));
	prefix[n++] = ':';
	*p++ = ',';
	begin -= n;
	memcpy(begin, prefix, n);
	body_put_ref(out, begin, (size_t)(p - begin));
	return 0;
}

const struct codec codec_scgi = {
	.name = "scgi",
	.needs_length = true,
	.is_cgi = true,
	.head = scgi_head,
	.body = cgihead_body,
	.input = cgihead_input,
	.eof = cgihead_eof,
};
