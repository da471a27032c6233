/*
 * The chunked transfer coding. Decoding is a machine that takes one octet at a time, except for the
 * content of chunks, which is handed on in runs. Nothing is tolerated that RFC 9112 7.1 does not
 * spell: every leniency here has been somebody's request smuggling.
 *
 *   SIZE ─ hex ┬─ ';' ─ EXT… ─┬─ CR ─ SIZE_LF ┬─ DATA ─ DATA_CR ─ DATA_LF ─ SIZE
 *              └──────────────┘               └─ (size 0) LINE ┬─ CR ─ END_LF ─ DONE
 *                                                              └─ FIELD ─ CR ─ FIELD_LF ─ LINE
 *
 * Blanks (BWS) may stand where RFC 9112 7.1.1 has them: around the ';' and '=' of an extension, and
 * so never right before the CR.
 */
#include "common/base/must.h"
#include "worker/chunked.h"

enum chunked_state {
	CHUNKED_SIZE,
	CHUNKED_EXT_NAME,   /* after ';' */
	CHUNKED_EXT_EQUALS, /* blanks after the name: '=' or ';' follows */
	CHUNKED_EXT_VALUE,  /* after '=': a token */
	CHUNKED_EXT_QUOTED, /* in a quoted string */
	CHUNKED_EXT_PAIR,   /* after a backslash in it */
	CHUNKED_EXT_END,    /* after it */
	CHUNKED_EXT_NEXT,   /* blanks after the size or a value: ';' follows */
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_LINE,  /* at the first octet of a line of the trailer section */
	CHUNKED_FIELD, /* within such a line */
	CHUNKED_FIELD_LF,
	CHUNKED_END_LF,
	CHUNKED_DONE,
	CHUNKED_BROKEN, /* remaining holds the status */
};

/* RFC 9110 6.5.1: framing, routing, request modifiers, authentication, and how to process content
   are not taken from a trailer section. */
static const bool chunked_is_dropped[HF_MAX] = {
	[HF_ACCEPT] = true,
	[HF_ACCEPT_ENCODING] = true,
	[HF_AUTHORIZATION] = true,
	[HF_CACHE_CONTROL] = true,
	[HF_CONNECTION] = true,
	[HF_CONTENT_ENCODING] = true,
	[HF_CONTENT_LENGTH] = true,
	[HF_CONTENT_LOCATION] = true,
	[HF_CONTENT_RANGE] = true,
	[HF_CONTENT_TYPE] = true,
	[HF_COOKIE] = true,
	[HF_EXPECT] = true,
	[HF_FORWARDED] = true,
	[HF_HOST] = true,
	[HF_IF_MATCH] = true,
	[HF_IF_MODIFIED_SINCE] = true,
	[HF_IF_NONE_MATCH] = true,
	[HF_IF_RANGE] = true,
	[HF_IF_UNMODIFIED_SINCE] = true,
	[HF_KEEP_ALIVE] = true,
	[HF_ORIGIN] = true,
	[HF_PROXY] = true,
	[HF_PROXY_AUTHORIZATION] = true,
	[HF_PROXY_CONNECTION] = true,
	[HF_RANGE] = true,
	[HF_SET_COOKIE] = true,
	[HF_TE] = true,
	[HF_TRAILER] = true,
	[HF_TRANSFER_ENCODING] = true,
	[HF_UPGRADE] = true,
	[HF_VIA] = true,
	[HF_X_ACCEL_BUFFERING] = true,
	[HF_X_FORWARDED_FOR] = true,
	[HF_X_FORWARDED_HOST] = true,
	[HF_X_FORWARDED_PROTO] = true,
	[HF_X_REAL_IP] = true,
	[HF_X_SENDFILE] = true,
};

static int
chunked_hex(unsigned char c)
{
	unsigned digit = (unsigned)c - '0', letter = (unsigned)str_lower(c) - 'a';

	if (digit < 10)
		return (int)digit;
	return letter < 6 ? (int)letter + 10 : -1;
}

/* --- size and extensions (RFC 9112 7.1, 7.1.1) --- */

/* RFC 9110 5.6.3: BWS. */
static bool
chunked_is_blank(unsigned char ch)
{
	return ch == ' ' || ch == '\t';
}

/* Behind a size or a value. */
static int
chunked_in_ext_end(struct chunked *c, unsigned char ch)
{
	if (ch == '\r')
		c->state = CHUNKED_SIZE_LF;
	else if (ch == ';')
		c->state = CHUNKED_EXT_NAME;
	else if (chunked_is_blank(ch))
		c->state = CHUNKED_EXT_NEXT;
	else
		return -400;
	return 0;
}

static int
chunked_in_ext_next(struct chunked *c, unsigned char ch)
{
	if (ch == ';')
		c->state = CHUNKED_EXT_NAME;
	return ch == ';' || chunked_is_blank(ch) ? 0 : -400;
}

static int
chunked_in_ext_equals(struct chunked *c, unsigned char ch)
{
	if (ch != '=')
		return chunked_in_ext_next(c, ch);
	c->state = CHUNKED_EXT_VALUE;
	return 0;
}

static int
chunked_in_size(struct chunked *c, unsigned char ch)
{
	int digit = chunked_hex(ch);

	if (digit >= 0) {
		/* RFC 9112 7.1: large numbers must not overflow. */
		if (c->digits == 16)
			return -400;
		c->digits++;
		c->remaining = c->remaining << 4 | (unsigned)digit;
		return c->remaining > INT64_MAX ? -413 : 0;
	}
	if (c->digits == 0)
		return -400;
	c->digits = 0;
	return chunked_in_ext_end(c, ch);
}

static int
chunked_in_ext_token(struct chunked *c, unsigned char ch)
{
	/* digits counts the octets of the token as far as it matters: none, or some. */
	if (http_tchar[ch]) {
		c->digits = 1;
		return 0;
	}
	if (c->state == CHUNKED_EXT_VALUE && c->digits == 0 && ch == '"') {
		c->state = CHUNKED_EXT_QUOTED;
		return 0;
	}
	if (c->digits == 0)
		return chunked_is_blank(ch) ? 0 : -400;
	c->digits = 0;
	if (c->state == CHUNKED_EXT_VALUE)
		return chunked_in_ext_end(c, ch);
	if (ch == '\r') {
		c->state = CHUNKED_SIZE_LF;
		return 0;
	}
	c->state = CHUNKED_EXT_EQUALS;
	return chunked_in_ext_equals(c, ch);
}

static int
chunked_in_ext_quoted(struct chunked *c, unsigned char ch)
{
	/* RFC 9110 5.6.4: no CTL but HTAB in a quoted string; above all no CR and LF. */
	if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
		return -400;
	if (c->state == CHUNKED_EXT_PAIR)
		c->state = CHUNKED_EXT_QUOTED;
	else if (ch == '\\')
		c->state = CHUNKED_EXT_PAIR;
	else if (ch == '"')
		c->state = CHUNKED_EXT_END;
	return 0;
}

static int
chunked_in_size_lf(struct chunked *c, unsigned char ch)
{
	if (ch != '\n')
		return -400;
	c->state = c->remaining > 0 ? CHUNKED_DATA : CHUNKED_LINE;
	return 0;
}

static int
chunked_in_data_cr(struct chunked *c, unsigned char ch)
{
	c->state = CHUNKED_DATA_LF;
	return ch == '\r' ? 0 : -400;
}

static int
chunked_in_data_lf(struct chunked *c, unsigned char ch)
{
	c->state = CHUNKED_SIZE;
	return ch == '\n' ? 0 : -400;
}

/* --- the trailer section (RFC 9112 7.1.2) --- */

static int
chunked_in_field(struct chunked *c, unsigned char ch)
{
	if (ch == '\r') {
		c->state = c->state == CHUNKED_LINE ? CHUNKED_END_LF : CHUNKED_FIELD_LF;
		return 0;
	}
	/* RFC 9110 5.5 */
	if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
		return -400;
	if (c->trailer_n == CHUNKED_MAX_TRAILER)
		return -431;
	c->state = CHUNKED_FIELD;
	c->trailer[c->trailer_n++] = (char)ch;
	return 0;
}

static int
chunked_in_end_lf(struct chunked *c, unsigned char ch)
{
	c->state = CHUNKED_DONE;
	return ch == '\n' ? 0 : -400;
}

static int
chunked_end_field(struct chunked *c, struct arena *a, struct fields *trailers, unsigned char ch)
{
	struct str line = str_n(c->trailer + c->line_start, c->trailer_n - c->line_start);
	struct field field;

	if (ch != '\n' || http_field_line(line, &field))
		return -400;
	if (c->trailers++ == CHUNKED_MAX_TRAILERS)
		return -431;
	if (!chunked_is_dropped[field.id])
		*fields_add(trailers, a) = field;
	c->line_start = c->trailer_n;
	c->state = CHUNKED_LINE;
	return 0;
}

/* --- the machine --- */

static int (*const chunked_rows[])(struct chunked *, unsigned char) = {
	[CHUNKED_SIZE] = chunked_in_size,
	[CHUNKED_EXT_NAME] = chunked_in_ext_token,
	[CHUNKED_EXT_EQUALS] = chunked_in_ext_equals,
	[CHUNKED_EXT_VALUE] = chunked_in_ext_token,
	[CHUNKED_EXT_QUOTED] = chunked_in_ext_quoted,
	[CHUNKED_EXT_PAIR] = chunked_in_ext_quoted,
	[CHUNKED_EXT_END] = chunked_in_ext_end,
	[CHUNKED_EXT_NEXT] = chunked_in_ext_next,
	[CHUNKED_SIZE_LF] = chunked_in_size_lf,
	[CHUNKED_DATA_CR] = chunked_in_data_cr,
	[CHUNKED_DATA_LF] = chunked_in_data_lf,
	[CHUNKED_LINE] = chunked_in_field,
	[CHUNKED_FIELD] = chunked_in_field,
	[CHUNKED_END_LF] = chunked_in_end_lf,
};

static int
chunked_step(struct chunked *c, struct arena *a, struct fields *trailers, unsigned char ch)
{
	if (c->state >= CHUNKED_EXT_NAME && c->state <= CHUNKED_EXT_NEXT &&
	    ++c->ext > CHUNKED_MAX_EXT)
		return -413; /* RFC 9112 7.1.1: the total length of extensions is to be limited */
	if (c->state == CHUNKED_FIELD_LF)
		return chunked_end_field(c, a, trailers, ch);
	if (c->state == CHUNKED_LINE && ch != '\r' && !c->trailer)
		c->trailer = arena_alloc(a, CHUNKED_MAX_TRAILER);
	/* States without a row do not get here. */
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
	return chunked_rows[c->state](c, ch);
}

/* A run of content at in[0..n), not empty. */
static size_t
chunked_run(struct chunked *c, const char *in, size_t n, struct str *data)
{
	*data = str_n(in, n < c->remaining ? n : (size_t)c->remaining);
	c->remaining -= data->n;
	if (c->remaining == 0)
		c->state = CHUNKED_DATA_CR;
	return data->n;
}

ssize_t
chunked_decode(struct chunked *c, struct arena *a, struct fields *trailers, const char *in,
    size_t n, struct str *data, bool *done)
{
	size_t used = 0;
	int status = c->state == CHUNKED_BROKEN ? (int)c->remaining : 0;

	*data = (struct str){ NULL, 0 };
	while (status == 0 && used < n && c->state != CHUNKED_DONE) {
		if (c->state == CHUNKED_DATA) {
			used += chunked_run(c, in + used, n - used, data);
			break;
		}
		status = chunked_step(c, a, trailers, (unsigned char)in[used++]);
	}
	*done = c->state == CHUNKED_DONE && status == 0;
	if (status == 0)
		return (ssize_t)used;
	c->state = CHUNKED_BROKEN;
	c->remaining = (uint64_t)(int64_t)status;
	return status;
}

uint64_t
chunked_announced(const struct chunked *c)
{
	return c->state == CHUNKED_DATA ? c->remaining : 0;
}

size_t
chunked_head(char dst[18], uint64_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t len = n > 0 ? (size_t)(67 - __builtin_clzll(n)) / 4 : 1;

	for (size_t i = len; i > 0; i--, n >>= 4)
		dst[i - 1] = hex[n & 15];
	dst[len] = '\r';
	dst[len + 1] = '\n';
	return len + 2;
}
