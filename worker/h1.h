/*
 * HTTP/1 connections while they are not idle; private to h1.c (requests in) and h1_out.c (responses
 * out).
 */
#ifndef WORKER_H1_H
#define WORKER_H1_H

#include "worker/chunked.h"
#include "worker/conn.h"
#include "worker/h1_parse.h"
#include "worker/reqlife.h"
#include "worker/state.h"

/* A body that no handler asked for is read and dropped after the answer if it has at most this many
   octets; else the connection is closed. */
enum { H1_DISCARD_MAX = 65536 };

enum h1_body {
	H1_BODY_NONE,    /* there is none, or all of it has come */
	H1_BODY_WAITING, /* nobody has asked for it yet */
	H1_BODY_READING, /* goes into r->body */
	H1_BODY_DISCARD, /* the answer needs it no more: what still comes is dropped */
	H1_BODY_BROKEN,  /* cannot be read on */
};

enum h1_framing {
	H1_FRAME_NONE,
	H1_FRAME_LENGTH,
	H1_FRAME_CHUNKED,
	H1_FRAME_CLOSE,
	H1_FRAME_TUNNEL, /* raw octets, in both directions */
};

struct h1 {
	struct link link; /* free list */
	struct conn *c;
	struct request *r;    /* NULL while its head comes */
	struct buf *head_buf; /* what the request's strings point into */
	struct post step;     /* go on, by a notice */
	struct timer write_timer;

	struct h1_scan scan; /* from here to write_ms: cleared for each request */

	/* request body */
	uint8_t body; /* enum h1_body */
	bool is_chunked, expects_continue;
	int64_t remaining; /* octets of a body with a length still to come */
	struct chunked chunked;
	uint64_t read_mark, read_ms; /* time spent waiting for the client's body */
	uint64_t bulk_mark;          /* since when bulk octets came; see h1_bulk.c */
	uint32_t bulk;
	struct link bulk_link; /* while much is waited for */

	/* response */
	uint8_t framing;  /* enum h1_framing */
	bool is_headed;   /* the head is composed */
	bool is_cut;      /* the answer cannot be finished */
	bool keep;        /* the connection stays open after it */
	bool is_writing;  /* the socket was full, or others are to have their turn */
	bool is_armed;    /* wr is added */
	bool is_stepping; /* h1_step() is about to run: nobody needs to post it */
	bool has_last;    /* the last chunk is in frame */
	bool is_shut;     /* of a tunnel: our sending side is ended */
	uint16_t interim_at;
	uint32_t head_n, head_at;
	uint32_t frame_n, frame_at;
	struct buf *interim;     /* interim responses to be sent from interim_at; or NULL */
	const char *head;        /* in the request's arena; head_at .. head_n to be sent */
	const char *frame;       /* line, or one of the tail; frame_at .. frame_n to be sent */
	struct str tail;         /* end of a chunked body behind its last octet */
	int64_t frame_remaining; /* octets of the current chunk, or of the whole body */
	int64_t write_taken;     /* octets that had reached the client when last asked */
	uint64_t write_ms, write_mark; /* time spent waiting for the client to take octets */
	uint64_t write_progress;       /* when it last took one */
	char line[32];                 /* of a chunk */
	struct event wr;
};

/* Composes the head of the response. */
void h1_out_head(struct request *);
void h1_out_interim(struct request *, int status, const struct fields *);
/* Sends a whole answer at once. False: it is not done; h1_out_flush() goes on. */
bool h1_out_whole(struct h1 *);
/* Sends what there is. False when the connection has ended (h is gone). *is_done: all is sent. */
bool h1_out_flush(struct h1 *, bool *is_done);
/* Waits for the socket or for the body, whichever flush stopped at. */
void h1_out_wait(struct h1 *);
void h1_out_fini(struct h1 *);
/* Gives up an answer that cannot be completed, while the client still sends: lingers, so that the
   part that was sent arrives. */
void h1_cut_short(struct h1 *);
/* The head that ends HTTP is composed: both bodies are raw from now on. */
void h1_tunnel(struct h1 *);
/* All of the request body has come. */
void h1_body_done(struct h1 *);
/* Goes on with a connection after anything happened to it. */
void h1_step(struct h1 *);

#endif
