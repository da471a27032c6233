/*
 * HTTP/1: responses out (RFC 9112). The order of octets is interim responses, head, then frames:
 * the line of a chunk (with a length or close-delimited body: one frame without a line), its
 * content and its end, and at the end of all the last chunk. All that is at hand goes out in one
 * writev; a file range goes by sendfile, what stands before it with MSG_MORE. The socket is written
 * at once; an event is asked for only after it was full.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "worker/h1.h"
#include "worker/pipe.h"

enum {
	OUT_IOV = 16,
	OUT_SENDFILE = 512 << 10, /* octets per sendfile call */
	OUT_TURN = 2 << 20,       /* octets of files per connection and turn: fairness */
};

/* --- the head --- */

static char *
out_put(char *p, struct str s)
{
	memcpy(p, s.p, s.n);
	return p + s.n;
}

static bool
out_has_no_body(const struct request *r)
{
	/* RFC 9112 6.3, 1 */
	return r->method == M_HEAD || r->status == 204 || r->status == 304 || r->status < 200;
}

static enum h1_framing
out_framing(const struct request *r)
{
	if (out_has_no_body(r))
		return r->is_tunnel ? H1_FRAME_TUNNEL : H1_FRAME_NONE;
	if (r->out_length >= 0)
		return H1_FRAME_LENGTH;
	return r->version >= HTTP_11 ? H1_FRAME_CHUNKED : H1_FRAME_CLOSE;
}

/* Whether too much of the request may still come to be read only to be dropped: nobody has asked
   for its body, or the answer is an error, and the rest is large or of unknown length. Any other
   answer that begins before its request has ended lets the request come to its end. */
static bool
out_has_rest(const struct h1 *h)
{
	if (likely(h->body == H1_BODY_NONE) || (h->body != H1_BODY_WAITING && h->r->status < 400))
		return false;
	return h->expects_continue || h->is_chunked || h->remaining > H1_DISCARD_MAX;
}

/* Whether the connection may stay open after this answer (RFC 9112 9.3, 9.6). We must keep to what
   the answer says of it: unless it says "close", the client sends its next request. */
static bool
out_keeps(const struct h1 *h)
{
	const struct request *r = h->r;
	const struct conn *c = h->c;

	return h->keep && !r->wants_close && !out_has_rest(h) && !c->is_draining && !c->is_eof &&
	       h->framing < H1_FRAME_CLOSE && c->nrequests < r->route->core->keepalive_requests;
}

enum {
	OUT_STATUS_LINE = 64,
	OUT_HEAD_FIXED = OUT_STATUS_LINE + sizeof(((struct worker *)0)->stamp) + 64 + 32
};

static char *
out_status_line(char *p, int status)
{
	struct str line = http_status_line(status);
	struct str reason;

	if (likely(line.n > 0))
		return out_put(p, line);
	reason = http_reason(status);
	p = out_put(p, STR("HTTP/1.1 "));
	p += str_from_u64(p, (uint64_t)status);
	*p++ = ' ';
	p = out_put(p, str_n(reason.p, reason.n < 32 ? reason.n : 32));
	return out_put(p, STR("\r\n"));
}

/* The status line, Date and Server. */
static char *
out_begin(char *p, const struct request *r)
{
	const struct worker *w = r->w;
	size_t n = r->route->core->server_header ? w->stamp_n : w->stamp_date_n;

	if (likely(r->status == 200))
		return out_put(p, str_n(w->stamp, STAMP_LINE + n));
	p = out_status_line(p, r->status);
	return out_put(p, str_n(w->stamp + STAMP_LINE, n));
}

static char *
out_field(char *p, const struct field *f)
{
	p = out_put(p, f->name);
	memcpy(p, ": ", 2);
	p = out_put(p + 2, f->value);
	memcpy(p, "\r\n", 2);
	return p + 2;
}

static size_t
out_fields_size(const struct fields *f, unsigned from)
{
	size_t n = 0;

	for (const struct field *v = f->v + from, *end = f->v + f->n; v < end; v++)
		n += v->name.n + v->value.n + 4;
	return n;
}

/* The first fields where they stand in prepared text, unchanged; or none. Only filters may have
   edited them in place. */
static const struct res_prepared *
out_prepared(const struct request *r)
{
	static const struct res_prepared none = { 0 };
	const struct res_prepared *pre = r->prepared;

	if (!pre)
		return &none;
	if (r->route->filter.n == 0)
		return pre;
	return r->fields.n >= pre->n && memcmp(r->fields.v, pre->v, pre->n * sizeof(*pre->v)) == 0
		   ? pre
		   : &none;
}

/* The fields that belong to the connection and not to the response: framing, persistence.
   has_length: Content-Length is there already. */
static char *
out_framing_fields(char *p, const struct h1 *h, bool has_length)
{
	const struct request *r = h->r;

	if (h->framing == H1_FRAME_CHUNKED) {
		p = out_put(p, STR("Transfer-Encoding: chunked\r\n"));
	} else if (!has_length && r->out_length >= 0 && r->status != 204 && r->status != 304 &&
		   r->status >= 200) {
		p = out_put(p, STR("Content-Length: "));
		p += str_from_u64(p, (uint64_t)r->out_length);
		p = out_put(p, STR("\r\n"));
	}
	if (!h->keep)
		p = out_put(p,
		    r->is_tunnel ? STR("Connection: upgrade\r\n") : STR("Connection: close\r\n"));
	else if (r->version == HTTP_10)
		p = out_put(p, STR("Connection: keep-alive\r\n"));
	return p;
}

void
h1_out_head(struct request *r)
{
	struct h1 *h = r->stream;
	const struct res_prepared *pre = out_prepared(r);
	bool has_length = pre->length_n > 0 && r->status == 200 && r->out_length == pre->length;
	size_t pre_n = pre->text.n + (has_length ? pre->length_n : 0);
	char *start =
	    arena_alloc(&r->arena, OUT_HEAD_FIXED + out_fields_size(&r->fields, pre->n) + pre_n);
	char *p = out_begin(start, r);

	h->framing = (uint8_t)out_framing(r);
	h->keep = out_keeps(h);
	if (pre_n)
		p = out_put(p, str_n(pre->text.p, pre_n));
	for (unsigned i = pre->n; i < r->fields.n; i++)
		p = out_field(p, &r->fields.v[i]);
	p = out_framing_fields(p, h, has_length);
	p = out_put(p, STR("\r\n"));
	h->head = start;
	h->head_n = (uint32_t)(p - start);
	h->head_at = 0;
	h->is_headed = true;
	h->frame_remaining = h->framing == H1_FRAME_LENGTH  ? r->out_length
			     : h->framing >= H1_FRAME_CLOSE ? INT64_MAX
							    : 0;
	if (h->framing == H1_FRAME_LENGTH && h->c->transport->drain)
		r->out->pipes = PIPE_ROOM;
	if (h->framing == H1_FRAME_NONE)
		body_cancel(r->out);
	else if (unlikely(h->framing == H1_FRAME_TUNNEL))
		h1_tunnel(h);
	if (!h->is_stepping)
		worker_post(r->w, &h->step);
}

/* The room for interim responses that are not sent yet is bounded: they are hints, and one that
   does not fit is dropped. */
void
h1_out_interim(struct request *r, int status, const struct fields *fields)
{
	struct h1 *h = r->stream;
	size_t max = OUT_STATUS_LINE + (fields ? out_fields_size(fields, 0) : 0) + 2;
	char *p;

	if (h->is_headed)
		return;
	if (!h->interim)
		h->interim = buf_get();
	if (max > h->interim->room - h->interim->used)
		return;
	p = out_status_line(h->interim->data + h->interim->used, status);
	for (unsigned i = 0; fields && i < fields->n; i++)
		p = out_field(p, &fields->v[i]);
	p = out_put(p, STR("\r\n"));
	h->interim->used = (unsigned)(p - h->interim->data);
	ctr_add(r->w->row, CTR_R1XX, 1);
	worker_post(r->w, &h->step);
}

/* --- frames --- */

/* What ends a chunked body behind its last octet: end of the chunk, last chunk, trailer section
   (RFC 9112 7.1). The same at each call. */
static struct str
out_tail(struct h1 *h)
{
	struct request *r = h->r;
	char *start, *p;

	if (likely(!r->out_trailers || r->out_trailers->n == 0))
		return STR("\r\n" CHUNKED_LAST);
	if (h->tail.n == 0) {
		start = arena_alloc(&r->arena, out_fields_size(r->out_trailers, 0) + 8);
		p = out_put(start, STR("\r\n0\r\n"));
		for (unsigned i = 0; i < r->out_trailers->n; i++)
			p = out_field(p, &r->out_trailers->v[i]);
		p = out_put(p, STR("\r\n"));
		h->tail = str_n(start, (size_t)(p - start));
	}
	return h->tail;
}

/* The rest of s, from octet at on, is what comes next. */
static void
out_set_frame(struct h1 *h, struct str s, size_t at)
{
	h->frame = s.p;
	h->frame_n = (uint32_t)s.n;
	h->frame_at = (uint32_t)at;
}

/* What follows the octets of the current chunk: the chunk's end, and in the same write the end of
   the body, when this is the last chunk and a client that reads chunk by chunk would wait for
   it. */
static struct str
out_after(struct h1 *h)
{
	const struct body *b = h->r->out;

	return b->state == BODY_ENDED && b->queued == h->frame_remaining ? out_tail(h)
									 : STR("\r\n");
}

/* The last octet of a chunk is sent, and so are at octets of what follows. */
static void
out_chunk_ended(struct h1 *h, struct str after, size_t at)
{
	h->has_last = after.n > 2;
	if (at < after.n)
		out_set_frame(h, after, at);
}

/* When the current chunk is sent and more is queued: the line of the next; at the end of the body
   the tail. */
static void
out_frame(struct h1 *h)
{
	struct body *b = h->r->out;

	if (h->framing != H1_FRAME_CHUNKED || h->frame_remaining > 0 || h->frame_n > 0 ||
	    h->has_last)
		return;
	if (b->queued > 0) {
		h->frame_remaining = b->queued;
		out_set_frame(h, str_n(h->line, chunked_head(h->line, (uint64_t)b->queued)), 0);
	} else if (b->state == BODY_ENDED) {
		out_set_frame(h, out_tail(h), 2);
		h->has_last = true;
	}
}

/* Everything that is at hand before the next file range, in order. *data: octets of it that are
   content. */
static int
out_iov(struct h1 *h, struct iovec *iov, size_t *data)
{
	int n = 0;

	*data = 0;
	if (h->interim)
		iov[n++] = (struct iovec){ h->interim->data + h->interim_at,
			h->interim->used - h->interim_at };
	if (!h->is_headed)
		return n;
	if (h->head_at < h->head_n)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)(h->head + h->head_at),
			h->head_n - h->head_at };
	if (h->framing == H1_FRAME_NONE)
		return n;
	out_frame(h);
	if (h->frame_n > 0)
		iov[n++] = (struct iovec){ (void *)(uintptr_t)(h->frame + h->frame_at),
			h->frame_n - h->frame_at };
	if (h->frame_remaining > 0) {
		int more = body_iov(h->r->out, iov + n, OUT_IOV - n - 1, data);

		for (int64_t left = h->frame_remaining; more > 0; more--, n++) {
			if ((int64_t)iov[n].iov_len > left)
				iov[n].iov_len = (size_t)left;
			left -= (int64_t)iov[n].iov_len;
			if (left == 0) {
				n++;
				break;
			}
		}
		if ((int64_t)*data > h->frame_remaining)
			*data = (size_t)h->frame_remaining;
		if (h->framing == H1_FRAME_CHUNKED && (int64_t)*data == h->frame_remaining) {
			struct str after = out_after(h);

			iov[n++] = (struct iovec){ (void *)(uintptr_t)after.p, after.n };
		}
	}
	return n;
}

/* n octets are sent; returns those of them that were no interim response. */
static size_t
out_interim_sent(struct h1 *h, size_t n)
{
	size_t part = h->interim->used - h->interim_at;

	part = part < n ? part : n;
	h->interim_at = (uint16_t)(h->interim_at + part);
	if (h->interim_at == h->interim->used) {
		buf_put(h->interim);
		h->interim = NULL;
		h->interim_at = 0;
	}
	return n - part;
}

/* n octets of what out_iov() showed are sent. */
static void
out_sent(struct h1 *h, size_t n)
{
	size_t part;

	h->r->sent_total += (int64_t)n;
	if (unlikely(h->interim != NULL))
		n = out_interim_sent(h, n);
	part = h->head_n - h->head_at;
	part = part < n ? part : n;
	h->head_at += (uint32_t)part;
	n -= part;
	part = h->frame_n - h->frame_at;
	part = part < n ? part : n;
	h->frame_at += (uint32_t)part;
	n -= part;
	if (h->frame_at == h->frame_n)
		h->frame_at = h->frame_n = 0;
	part = (int64_t)n > h->frame_remaining ? (size_t)h->frame_remaining : n;
	if (part > 0) {
		bool ends = h->framing == H1_FRAME_CHUNKED && (int64_t)part == h->frame_remaining;
		struct str after = ends ? out_after(h) : STR("");

		h->frame_remaining -= (int64_t)part;
		h->r->sent += (int64_t)part;
		body_consume(h->r->out, (int64_t)part);
		if (ends)
			out_chunk_ended(h, after, n - part);
	}
}

/* All of the answer is with the kernel. */
static bool
out_is_done(const struct h1 *h)
{
	if (!h->is_headed || h->head_at < h->head_n || h->interim)
		return false;
	switch ((enum h1_framing)h->framing) {
	case H1_FRAME_NONE:
		return true;
	case H1_FRAME_LENGTH:
		return h->frame_remaining == 0;
	case H1_FRAME_CHUNKED:
		return h->has_last && h->frame_n == 0;
	case H1_FRAME_CLOSE:
	case H1_FRAME_TUNNEL:
		return body_is_done(h->r->out);
	}
	return false;
}

/* The answer cannot be finished. One that is delimited by the close must not look complete (RFC
   9112 8), and a tunnel must not seem to have ended regularly. */
static bool
out_cut(struct h1 *h)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (h->framing < H1_FRAME_CLOSE && h->body != H1_BODY_NONE && h->head_at > 0) {
		h1_cut_short(h);
		return false;
	}
	if (h->framing >= H1_FRAME_CLOSE)
		setsockopt(h->c->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	conn_close(h->c, CONN_BY_CUT);
	return false;
}

/* --- sending --- */

enum out_verdict { OUT_MORE, OUT_WAIT, OUT_ENDED };

static enum out_verdict
out_failed(struct h1 *h)
{
	if (errno == EAGAIN) {
		h->is_writing = true;
		return OUT_WAIT;
	}
	conn_close(h->c, CONN_BY_ERROR);
	return OUT_ENDED;
}

static enum out_verdict
out_memory(struct h1 *h, const struct iovec *iov, int n, bool more)
{
	struct conn *c = h->c;
	size_t want = 0;
	ssize_t sent;

	for (int i = 0; i < n; i++)
		want += iov[i].iov_len;
	sent = c->transport->writev(c, iov, n, more);
	if (unlikely(sent < 0))
		return out_failed(h);
	ctr_add(c->w->row, CTR_BYTES_OUT, sent);
	out_sent(h, (size_t)sent);
	if (unlikely((size_t)sent < want)) {
		h->is_writing = true;
		return OUT_WAIT;
	}
	return OUT_MORE;
}

/* Of want octets at the front of the body, a file's or a pipe's, some are with the kernel. */
static enum out_verdict
out_passed(struct h1 *h, int64_t want, ssize_t sent, int64_t *budget)
{
	bool ends = h->framing == H1_FRAME_CHUNKED && sent == h->frame_remaining;
	struct str after = ends ? out_after(h) : STR("");

	ctr_add(h->c->w->row, CTR_BYTES_OUT, sent);
	h->r->sent_total += sent;
	h->r->sent += sent;
	h->frame_remaining -= sent;
	body_consume(h->r->out, sent);
	if (ends)
		out_chunk_ended(h, after, 0);
	*budget -= sent;
	if (sent < want || *budget <= 0) {
		h->is_writing = true;
		return OUT_WAIT;
	}
	return OUT_MORE;
}

/* Sends from the pipe at the front of the body, if the transport can and all of it belongs to this
   frame. */
static enum out_verdict
out_pipe(struct h1 *h, int64_t *budget)
{
	struct pipe *p = body_pipe(h->r->out);
	int64_t want = p ? (int64_t)p->used : 0;
	ssize_t sent;

	if (!p)
		return OUT_WAIT;
	if (!h->c->transport->drain || want > h->frame_remaining) {
		body_melt(h->r->out); /* or the answer is broken: seen next */
		return OUT_MORE;
	}
	sent = h->c->transport->drain(h->c, p);
	return sent < 0 ? out_failed(h) : out_passed(h, want, sent, budget);
}

static enum out_verdict
out_file(struct h1 *h, int fd, int64_t off, int64_t len, int64_t *budget)
{
	struct conn *c = h->c;
	ssize_t sent;

	if (len > h->frame_remaining)
		len = h->frame_remaining;
	if (len > OUT_SENDFILE) {
		len = OUT_SENDFILE;
		if (!c->is_bulk)
			c->transport->bulk(c);
		c->is_bulk = true;
	}
	sent = c->transport->sendfile(c, fd, &off, (size_t)len);
	if (sent < 0)
		return out_failed(h);
	if (sent == 0) {
		log_warnx("conn %llu: %.*s: file became shorter while it was sent",
		    (unsigned long long)c->id, STR_FMT(h->r->path));
		out_cut(h);
		return OUT_ENDED;
	}
	return out_passed(h, len, sent, budget);
}

/* One call of the transport, or none when nothing is at hand (OUT_WAIT). */
static enum out_verdict
out_once(struct h1 *h, int64_t *budget)
{
	struct iovec iov[OUT_IOV];
	int64_t off, len;
	size_t data;
	int fd, n;
	bool is_file;

	n = out_iov(h, iov, &data);
	is_file = h->is_headed && h->framing != H1_FRAME_NONE &&
		  h->frame_remaining > (int64_t)data && (int64_t)data < h->r->out->queued;
	if (n > 0)
		return out_memory(h, iov, n, is_file);
	if (is_file && body_file(h->r->out, &fd, &off, &len))
		return out_file(h, fd, off, len, budget);
	return is_file ? out_pipe(h, budget) : OUT_WAIT;
}

/* The producer failed, or ended before the length it announced. */
static bool
out_is_broken(const struct h1 *h)
{
	const struct body *b = h->r->out;

	if (h->is_cut)
		return true;
	if (b->state <= BODY_ENDED && h->framing != H1_FRAME_LENGTH)
		return false;
	if (!h->is_headed || h->framing == H1_FRAME_NONE || !body_is_empty(b))
		return false;
	return b->state == BODY_FAILED ||
	       (b->state == BODY_ENDED && h->framing == H1_FRAME_LENGTH && h->frame_remaining > 0);
}

/* Sends an answer that is complete, in memory, and not begun, with one writev. True when the socket
   took all of it. Else h1_out_flush() goes on with the rest, or meets the error again. */
bool
h1_out_whole(struct h1 *h)
{
	struct request *r = h->r;
	struct body *b = r->out;
	struct iovec iov[OUT_IOV];
	size_t data;
	ssize_t sent;
	int n;

	if (h->framing != H1_FRAME_LENGTH || b->state != BODY_ENDED ||
	    b->queued != h->frame_remaining || !h->is_headed || h->head_at > 0 || h->interim ||
	    h->is_cut || h->is_writing)
		return false;
	iov[0] = (struct iovec){ (void *)(uintptr_t)h->head, h->head_n };
	n = body_iov(b, iov + 1, OUT_IOV - 1, &data);
	if ((int64_t)data != h->frame_remaining)
		return false;
	sent = h->c->transport->writev(h->c, iov, n + 1, false);
	if (unlikely(sent < 0))
		return false;
	ctr_add(h->c->w->row, CTR_BYTES_OUT, sent);
	if (unlikely((size_t)sent < data + h->head_n)) {
		out_sent(h, (size_t)sent);
		h->is_writing = true;
		return false;
	}
	/* The chunks go with the body. */
	r->sent_total += sent;
	r->sent += (int64_t)data;
	return true;
}

bool
h1_out_flush(struct h1 *h, bool *is_done)
{
	int64_t budget = OUT_TURN;

	if (h->is_writing)
		return true;
	for (;;) {
		enum out_verdict v;

		if (unlikely(out_is_broken(h)))
			return out_cut(h);
		if (out_is_done(h)) {
			*is_done = true;
			return true;
		}
		v = out_once(h, &budget);
		if (v == OUT_ENDED)
			return false;
		if (v == OUT_WAIT)
			break;
	}
	if (!h->is_writing && out_is_broken(h))
		return out_cut(h);
	return true;
}

/* Octets that have reached the client: not those that wait in the kernel for it. */
static int64_t
out_taken(const struct h1 *h)
{
	int waiting = 0;

	if (ioctl(h->c->fd, SIOCOUTQ, &waiting) != 0)
		waiting = 0;
	return h->r->sent_total - waiting;
}

static void
out_waited(struct h1 *h)
{
	uint64_t now = h->c->w->now;

	h->write_ms += now - h->write_mark;
	h->write_mark = now;
}

/* We have waited for the client since write_mark: checks whether it has taken anything, and fast
   enough. False: the connection was ended. The kernel reports a socket as writable only when a
   third of its buffer is free, so a timer calls this as well. */
static bool
out_is_taken(struct h1 *h)
{
	const struct conf_core *core = h->r->route->core;
	uint64_t now = h->c->w->now;
	int64_t taken = out_taken(h);

	out_waited(h);
	if (taken > h->write_taken) {
		h->write_taken = taken;
		h->write_progress = now;
	} else if (now - h->write_progress >= (uint64_t)core->timeout_write) {
		conn_close(h->c, CONN_BY_WRITE_TIMEOUT);
		return false;
	}
	if (core->min_rate > 0 && !h->r->is_tunnel &&
	    h->write_ms > (uint64_t)core->min_rate_grace &&
	    taken * 1000 / (int64_t)h->write_ms < core->min_rate) {
		conn_close(h->c, CONN_BY_RATE);
		return false;
	}
	return true;
}

static void out_write_watch(struct h1 *);

static void
out_write_expired(void *arg)
{
	struct h1 *h = arg;

	/* When we do not wait for the client any more, the next full socket begins a new
	   measurement. */
	if (h->is_writing && out_is_taken(h))
		out_write_watch(h);
}

static void
out_write_watch(struct h1 *h)
{
	const struct conf_core *core = h->r->route->core;
	struct worker *w = h->c->w;
	int64_t ms = core->timeout_write;

	if (core->min_rate > 0 && core->min_rate_grace < ms)
		ms = core->min_rate_grace > TICK_MS ? core->min_rate_grace : TICK_MS;
	h->write_timer.fn = out_write_expired;
	h->write_timer.arg = h;
	timer_set(w, &h->write_timer, timer_class(w, ms));
}

static void
out_writable(evutil_socket_t fd, short what, void *arg)
{
	struct h1 *h = arg;
	struct conn *c = h->c;

	(void)fd;
	(void)what;
	worker_touch(c->w);
	h->is_writing = h->is_armed = false;
	h->write_progress = c->w->now;
	out_waited(h);
	c->proto->output(c);
}

static void
out_body_came(void *arg)
{
	struct h1 *h = arg;

	h->c->proto->output(h->c);
}

void
h1_out_wait(struct h1 *h)
{
	struct conn *c = h->c;
	struct worker *w = c->w;

	if (h->is_writing) {
		if (h->is_armed)
			return;
		h->is_armed = true;
		event_assign(&h->wr, w->base, c->fd, EV_WRITE, out_writable, h);
		must(event_add(&h->wr, NULL) == 0);
		h->write_mark = w->now;
		if (!link_is_on(&h->write_timer.link)) {
			h->write_progress = w->now;
			out_write_watch(h);
		}
		return;
	}
	if (h->is_headed && h->framing != H1_FRAME_NONE && h->r->out->data.fn != out_body_came)
		body_on_data(h->r->out, out_body_came, h);
}

void
h1_out_fini(struct h1 *h)
{
	if (h->is_armed)
		event_del(&h->wr);
	if (unlikely(h->interim != NULL))
		buf_put(h->interim);
	timer_del(&h->write_timer);
}
