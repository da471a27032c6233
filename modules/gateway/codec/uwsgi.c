/*
 * The uwsgi protocol, packets of modifier 0 (a WSGI-like request): four octets of head, then the
 * environment as pairs, each string behind its length of 16 bits, little-endian. The body follows
 * as it is. The response is an HTTP or a CGI one until the connection is closed.
 */
#include <endian.h>

#include "modules/gateway/codec/cgihead.h"

enum { UWSGI_MAX = 65535 }; /* octets of all pairs, and of a string */

static char *
uwsgi_put(char *p, struct str s)
{
	uint16_t le = htole16((uint16_t)s.n);

	p = mempcpy(p, &le, 2);
	return s.n > 0 ? mempcpy(p, s.p, s.n) : p;
}

static int
uwsgi_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct cgihead *h = state;
	struct script_env e;
	char *block, *p;
	size_t n;
	int status = script_env_make(&e, q, why);

	if (status)
		return status;
	h->may_switch = q->upgrade.n > 0;
	n = e.octets + 4 * e.n;
	if (n > UWSGI_MAX) {
		*why = "too large for the packets of uwsgi";
		return 431;
	}
	p = block = arena_alloc(&q->r->arena, n + 4);
	*p++ = 0; /* the modifiers stand around the length */
	*p++ = (char)(n & 255);
	*p++ = (char)(n >> 8);
	*p++ = 0;
	for (unsigned i = 0; i < e.n; i++)
		p = uwsgi_put(uwsgi_put(p, e.v[i].name), e.v[i].value);
	body_put_ref(out, block, n + 4);
	return 0;
}

const struct codec codec_uwsgi = {
	.name = "uwsgi",
	.needs_length = true,
	.is_cgi = true,
	.head = uwsgi_head,
	.body = cgihead_body,
	.input = cgihead_input,
	.eof = cgihead_eof,
};
