/*
 * FastCGI 1.0. One request at a time on a connection, always with the id 1: what comes for another
 * one is skipped (an application that multiplexes may finish one that was aborted). Sent: BEGIN,
 * PARAMS and, when there is no body, the end of STDIN in one block; then STDIN records around the
 * body's own chunks. Nothing is padded: content is read and written, not mapped.
 *
 * Received: records in any cut, each with its padding. STDOUT is the stream that cgihead.c reads;
 * END_REQUEST ends the response, not Content-Length, so that a connection that is kept is clean.
 */
#include <endian.h>

#include "common/base/must.h"
#include "modules/gateway/codec/cgihead.h"

enum fastcgi_type {
	FASTCGI_BEGIN = 1,
	FASTCGI_ABORT,
	FASTCGI_END,
	FASTCGI_PARAMS,
	FASTCGI_STDIN,
	FASTCGI_STDOUT,
	FASTCGI_STDERR,
	FASTCGI_DATA,
	FASTCGI_GET_VALUES,
	FASTCGI_GET_VALUES_RESULT,
	FASTCGI_UNKNOWN_TYPE,
};

enum { FASTCGI_RESPONDER = 1, FASTCGI_AUTHORIZER = 2, FASTCGI_KEEP_CONN = 1 };
enum { FASTCGI_COMPLETE, FASTCGI_CANT_MPX, FASTCGI_OVERLOADED, FASTCGI_UNKNOWN_ROLE };

enum {
	FASTCGI_HEAD = 8,      /* octets of a record's head, and of the content of BEGIN and END */
	FASTCGI_MAX = 65535,   /* of a record's content */
	FASTCGI_PIECE = 65528, /* of the STDIN records of a large body */
	FASTCGI_SKIP = 65536, /* of content that nobody wants; beyond, the connection is not kept */
};

/* Version, type, request id 1, length, padding 0, reserved. */
#define FASTCGI_RECORD(type, n)                                                                    \
	{                                                                                          \
		1, (uint8_t)(type), 0, 1, (uint8_t)((n) >> 8), (uint8_t)((n)&255), 0, 0            \
	}

static const uint8_t fastcgi_stdin_end[] = FASTCGI_RECORD(FASTCGI_STDIN, 0);
static const uint8_t fastcgi_stdin_piece[] = FASTCGI_RECORD(FASTCGI_STDIN, FASTCGI_PIECE);
static const uint8_t fastcgi_abort_record[] = FASTCGI_RECORD(FASTCGI_ABORT, 0);

enum fastcgi_phase { PHASE_HEAD, PHASE_CONTENT, PHASE_PADDING, PHASE_DONE };

struct fastcgi {
	struct cgihead cgi;
	uint8_t phase;
	uint8_t type;
	uint8_t padding;             /* octets still to come */
	uint8_t have;                /* octets of bytes[] */
	uint8_t bytes[FASTCGI_HEAD]; /* a record's head, or the content of END_REQUEST */
	uint16_t remaining;          /* octets of content still to come */
	bool is_ours;                /* the record is of our request */
	bool keep;                   /* was asked for */
	bool is_sent;                /* the end of STDIN was put */
	bool is_complete;            /* cgihead said END: what still comes is skipped */
	bool is_out_ended;           /* the empty STDOUT record came */
	uint32_t skipped;
};
_Static_assert(sizeof(struct fastcgi) <= CODEC_STATE, "fits into a connection");

/* --- sending --- */

static char *
fastcgi_put_head(char *p, enum fastcgi_type type, size_t n)
{
	const uint8_t head[] = FASTCGI_RECORD(type, n);

	return mempcpy(p, head, sizeof(head));
}

static size_t
fastcgi_pair_octets(const struct script_var *v)
{
	return (v->name.n < 128 ? 1u : 4u) + (v->value.n < 128 ? 1u : 4u) + v->name.n + v->value.n;
}

static inline char *
fastcgi_put_length(char *p, size_t n)
{
	uint32_t be;

	if (likely(n < 128)) {
		*p = (char)n;
		return p + 1;
	}
	be = htobe32((uint32_t)n | 0x80000000u);
	return mempcpy(p, &be, 4);
}

static inline char *
fastcgi_put_pair(char *p, const struct script_var *v)
{
	p = fastcgi_put_length(p, v->name.n);
	p = fastcgi_put_length(p, v->value.n);
	p = mempcpy(p, v->name.p, v->name.n);
	return v->value.n > 0 ? mempcpy(p, v->value.p, v->value.n) : p;
}

/* How many pairs from i on go into one record: as many as fit, for there are applications (PHP)
   that take each record by itself; at least one. */
static unsigned
fastcgi_fit(const struct script_env *e, unsigned i)
{
	size_t octets = fastcgi_pair_octets(&e->v[i]);

	for (i++; i < e->n; i++) {
		octets += fastcgi_pair_octets(&e->v[i]);
		if (octets > FASTCGI_MAX)
			break;
	}
	return i;
}

/* A pair that is larger than a record: moves what was written at p apart, for heads between. */
static char *
fastcgi_split(char *p, size_t n)
{
	size_t records = (n + FASTCGI_MAX - 1) / FASTCGI_MAX;
	char *end = p + n + (records - 1) * FASTCGI_HEAD;

	for (size_t i = records; i-- > 0;) {
		size_t part = i + 1 < records ? FASTCGI_MAX : n - i * FASTCGI_MAX;
		char *to = p + i * (FASTCGI_MAX + FASTCGI_HEAD);

		memmove(to, p + i * FASTCGI_MAX, part);
		fastcgi_put_head(to - FASTCGI_HEAD, FASTCGI_PARAMS, part);
	}
	return end;
}

/* All in one record, where they surely fit: most of the time. */
static char *
fastcgi_put_params(char *p, const struct script_env *e, size_t bound)
{
	for (unsigned i = 0, to = e->n; i < e->n; i = to) {
		char *begin = p + FASTCGI_HEAD;
		size_t n;

		if (unlikely(bound > FASTCGI_MAX))
			to = fastcgi_fit(e, i);
		p = begin;
		for (unsigned k = i; k < to; k++)
			p = fastcgi_put_pair(p, &e->v[k]);
		n = (size_t)(p - begin);
		if (likely(n <= FASTCGI_MAX))
			fastcgi_put_head(begin - FASTCGI_HEAD, FASTCGI_PARAMS, n);
		else
			p = fastcgi_split(begin, n);
	}
	return fastcgi_put_head(p, FASTCGI_PARAMS, 0);
}

static int
fastcgi_head(void *state, const struct codec_request *q, struct body *out, const char **why)
{
	struct fastcgi *f = state;
	uint8_t begin[FASTCGI_HEAD] = { 0, FASTCGI_RESPONDER, 0 };
	struct script_env e;
	size_t bound, room;
	char *block, *p;
	int status = script_env_make(&e, q, why);

	if (status)
		return status;
	f->keep = q->keep;
	begin[1] = q->is_authorizer ? FASTCGI_AUTHORIZER : FASTCGI_RESPONDER;
	begin[2] = q->keep ? FASTCGI_KEEP_CONN : 0;
	/* Lengths of up to eight octets a pair; heads of the records, of which two neighbours have
	   more than one could hold, but for the parts of a large pair; BEGIN, PARAMS, STDIN. */
	bound = e.octets + 8 * e.n;
	room = bound + (3 * (bound / FASTCGI_MAX) + 8) * FASTCGI_HEAD;
	block = arena_alloc(&q->r->arena, room);
	p = fastcgi_put_head(block, FASTCGI_BEGIN, sizeof(begin));
	p = mempcpy(p, begin, sizeof(begin));
	p = fastcgi_put_params(p, &e, bound);
	if (q->length == 0 || q->is_authorizer) {
		f->is_sent = true;
		p = mempcpy(p, fastcgi_stdin_end, sizeof(fastcgi_stdin_end));
	}
	must((size_t)(p - block) <= room);
	body_put_ref(out, block, (size_t)(p - block));
	return 0;
}

static bool
fastcgi_body(void *state, struct body *out, struct body *src, int64_t max)
{
	struct fastcgi *f = state;

	if (f->is_sent)
		return true;
	while (max > 0 && !body_is_empty(src) && out->state == BODY_OPEN) {
		bool is_pipe = body_pipe(src) != NULL;
		int64_t piece = is_pipe ? FASTCGI_MAX : FASTCGI_PIECE;
		int64_t n = body_part(src, max < piece ? max : piece);

		if (n == FASTCGI_PIECE) {
			body_put_ref(out, fastcgi_stdin_piece, FASTCGI_HEAD);
		} else {
			const uint8_t head[] = FASTCGI_RECORD(FASTCGI_STDIN, n);

			body_put(out, head, FASTCGI_HEAD);
		}
		max -= body_move(out, src, n);
		if (body_pipe(src)) /* fills a record, even beyond max */
			break;
	}
	if (!body_is_done(src))
		return false;
	f->is_sent = true;
	body_put_ref(out, fastcgi_stdin_end, FASTCGI_HEAD);
	return true;
}

static void
fastcgi_abort(void *state, struct body *out)
{
	(void)state;
	body_put_ref(out, fastcgi_abort_record, FASTCGI_HEAD);
}

/* --- receiving --- */

static enum codec_event
fastcgi_fail(struct fastcgi *f, struct codec_response *res, const char *why)
{
	f->phase = PHASE_DONE;
	res->why = why;
	return CODEC_ERROR;
}

/* Takes octets into bytes[]; true when all eight are there. */
static bool
fastcgi_gather(struct fastcgi *f, const char *in, size_t n, size_t *used)
{
	size_t part = FASTCGI_HEAD - (size_t)f->have;

	if (part > n)
		part = n;
	memcpy(f->bytes + f->have, in, part);
	f->have += (uint8_t)part;
	*used += part;
	return f->have == FASTCGI_HEAD;
}

/* A record begins. */
static enum codec_event
fastcgi_record(struct fastcgi *f, struct codec_response *res)
{
	const uint8_t *b = f->bytes;

	if (b[0] != 1)
		return fastcgi_fail(f, res, "not FastCGI: the version is not 1");
	f->type = b[1];
	f->is_ours = b[2] == 0 && b[3] == 1;
	f->remaining = (uint16_t)(b[4] << 8 | b[5]);
	f->padding = b[6];
	f->have = 0;
	f->phase = PHASE_CONTENT;
	if (f->is_ours && f->type == FASTCGI_END && f->remaining < FASTCGI_HEAD)
		return fastcgi_fail(f, res, "a short END_REQUEST record");
	if (f->is_ours && f->type == FASTCGI_STDOUT && f->remaining == 0)
		f->is_out_ended = true;
	return CODEC_MORE;
}

/* Our request has ended; the eight octets of why are there. */
static enum codec_event
fastcgi_ended(struct fastcgi *f, struct codec_response *res, bool is_last)
{
	static const char *const whys[] = {
		[FASTCGI_CANT_MPX] = "refused: the application takes one request at a time",
		[FASTCGI_OVERLOADED] = "refused: the application is overloaded",
		[FASTCGI_UNKNOWN_ROLE] = "refused: the application does not know this role",
	};
	uint8_t status = f->bytes[4];

	if (status != FASTCGI_COMPLETE) {
		res->is_overloaded = status == FASTCGI_CANT_MPX || status == FASTCGI_OVERLOADED;
		return fastcgi_fail(f, res,
		    status <= FASTCGI_UNKNOWN_ROLE ? whys[status]
						   : "refused: an unknown protocol status");
	}
	if (!f->is_complete && cgihead_eof(&f->cgi, res) != CODEC_END)
		return fastcgi_fail(f, res, res->why);
	f->phase = PHASE_DONE;
	res->keep = f->keep && f->is_sent && is_last;
	return CODEC_END;
}

/* Octets that nobody wants: of other requests, management, what follows the content. */
static enum codec_event
fastcgi_skip(struct fastcgi *f, size_t n, size_t *used)
{
	if (n > f->remaining)
		n = f->remaining;
	f->remaining -= (uint16_t)n;
	*used += n;
	return CODEC_MORE;
}

static enum codec_event
fastcgi_stdout(
    struct fastcgi *f, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	enum codec_event ev;
	size_t part;

	if (n > f->remaining)
		n = f->remaining;
	if (f->is_complete) {
		f->skipped += (uint32_t)n;
		fastcgi_skip(f, n, used);
		if (f->skipped <= FASTCGI_SKIP)
			return CODEC_MORE;
		f->phase = PHASE_DONE;
		return CODEC_END;
	}
	ev = cgihead_input(&f->cgi, res, in, n, &part);
	f->remaining -= (uint16_t)part;
	*used += part;
	if (ev == CODEC_ERROR)
		return fastcgi_fail(f, res, res->why);
	if (ev != CODEC_END)
		return ev;
	f->is_complete = true;
	return CODEC_MORE;
}

/* The rest of a record's content; MORE: all that is there was looked at. */
static enum codec_event
fastcgi_content(
    struct fastcgi *f, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	if (!f->is_ours)
		return fastcgi_skip(f, n, used);
	if (f->type == FASTCGI_STDOUT)
		return fastcgi_stdout(f, res, in, n, used);
	if (f->type == FASTCGI_STDERR) {
		if (n > f->remaining)
			n = f->remaining;
		res->data = str_n(in, n);
		fastcgi_skip(f, n, used);
		return CODEC_STDERR;
	}
	if (f->type == FASTCGI_END && f->have < FASTCGI_HEAD) {
		size_t part = 0;

		fastcgi_gather(f, in, n < f->remaining ? n : f->remaining, &part);
		return fastcgi_skip(f, part, used);
	}
	return fastcgi_skip(f, n, used);
}

/* The record and its padding are over. */
static enum codec_event
fastcgi_over(struct fastcgi *f, struct codec_response *res, bool is_last)
{
	f->phase = PHASE_HEAD;
	if (f->is_ours && f->type == FASTCGI_END)
		return fastcgi_ended(f, res, is_last);
	f->have = 0;
	return CODEC_MORE;
}

static enum codec_event
fastcgi_step(struct fastcgi *f, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	size_t part;

	switch (f->phase) {
	case PHASE_HEAD:
		return fastcgi_gather(f, in, n, used) ? fastcgi_record(f, res) : CODEC_MORE;
	case PHASE_CONTENT:
		return fastcgi_content(f, res, in, n, used);
	case PHASE_PADDING:
		part = n < f->padding ? n : f->padding;
		f->padding -= (uint8_t)part;
		*used += part;
		return CODEC_MORE;
	}
	return CODEC_ERROR;
}

static enum codec_event
fastcgi_input(void *state, struct codec_response *res, const char *in, size_t n, size_t *used)
{
	struct fastcgi *f = state;
	enum codec_event ev = CODEC_MORE;

	*used = 0;
	while (ev == CODEC_MORE) {
		if (f->phase == PHASE_CONTENT && f->remaining == 0)
			f->phase = PHASE_PADDING;
		if (f->phase == PHASE_PADDING && f->padding == 0)
			ev = fastcgi_over(f, res, *used == n);
		else if (*used == n)
			break;
		else
			ev = fastcgi_step(f, res, in + *used, n - *used, used);
	}
	return ev;
}

static enum codec_event
fastcgi_eof(void *state, struct codec_response *res)
{
	struct fastcgi *f = state;
	bool is_ending = f->is_ours && f->type == FASTCGI_END && f->have == FASTCGI_HEAD;
	bool is_whole;

	if (f->phase == PHASE_DONE)
		return CODEC_ERROR;
	if (is_ending && f->phase != PHASE_HEAD)
		return fastcgi_ended(f, res, false);
	/* Without END_REQUEST only what says its own end is whole. */
	is_whole = f->is_out_ended || f->cgi.remaining == 0;
	if (cgihead_eof(&f->cgi, res) == CODEC_ERROR)
		return fastcgi_fail(f, res, res->why);
	if (!is_whole)
		return fastcgi_fail(f, res, "closed without END_REQUEST");
	f->phase = PHASE_DONE;
	return CODEC_END;
}

/* --- health --- */

#define FASTCGI_NAMES                                                                              \
	"\16\0FCGI_MAX_CONNS"                                                                      \
	"\15\0FCGI_MAX_REQS"                                                                       \
	"\17\0FCGI_MPXS_CONNS"

static void
fastcgi_ping(struct body *out)
{
	static const char ping[] = "\1\11\0\0\0\60\0\0" FASTCGI_NAMES;

	body_put_ref(out, ping, sizeof(ping) - 1);
}

/* Whatever the values: an application that answers management records is there. */
static int
fastcgi_pong(const char *in, size_t n)
{
	const uint8_t *b = (const uint8_t *)in;

	if (n > 0 && b[0] != 1)
		return -1;
	if (n < FASTCGI_HEAD)
		return 0;
	if ((b[1] != FASTCGI_GET_VALUES_RESULT && b[1] != FASTCGI_UNKNOWN_TYPE) || b[2] || b[3])
		return -1;
	return n >= FASTCGI_HEAD + (size_t)(b[4] << 8 | b[5]) + b[6];
}

const struct codec codec_fastcgi = {
	.name = "fastcgi",
	.can_keep = true,
	.pipes = FASTCGI_MAX,
	.needs_length = true, /* CONTENT_LENGTH, without which PHP reads nothing */
	.is_cgi = true,
	.head = fastcgi_head,
	.body = fastcgi_body,
	.input = fastcgi_input,
	.eof = fastcgi_eof,
	.abort = fastcgi_abort,
	.ping = fastcgi_ping,
	.pong = fastcgi_pong,
};
