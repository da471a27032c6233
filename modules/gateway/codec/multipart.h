/*
 * multipart/form-data (RFC 7578, RFC 2046 5.1) as a stream: octets to events, with the head of one
 * part as the only thing that is kept. Pure, resumable at each octet.
 *
 * One reading, the strict one: lines end with CR LF, a delimiter is CR LF "--" boundary, followed
 * by blanks and CR LF or by "--". What another reader could take for something else is an error,
 * never a guess: a bare LF or CR in a head, a line that begins with the boundary and goes on, the
 * end of the body before the last delimiter. What stands in a part's content is not looked at.
 */
#ifndef CODEC_MULTIPART_H
#define CODEC_MULTIPART_H

#include "common/base/str.h"

enum multipart_event {
	MULTIPART_MORE,  /* all was used; more is needed */
	MULTIPART_PART,  /* a part begins: head */
	MULTIPART_DATA,  /* octets of its content: data */
	MULTIPART_DONE,  /* its content is complete */
	MULTIPART_END,   /* the last delimiter; what follows is dropped */
	MULTIPART_ERROR, /* status and why */
};

enum { MULTIPART_BOUNDARY = 70, MULTIPART_PREAMBLE = 4096, MULTIPART_PADDING = 256 };

struct multipart {
	char delimiter[4 + MULTIPART_BOUNDARY]; /* CR LF "--" boundary */
	size_t n;                               /* octets of it */
	size_t matched;                         /* of it, at the end of what was used */
	size_t skipped;                         /* octets of the preamble, or of padding */
	uint8_t state;
	char *room; /* the caller's, of max octets: the head of a part */
	size_t max, head_n;
	struct str head; /* MULTIPART_PART: field lines, each with CR LF; until the next call */
	struct str data; /* MULTIPART_DATA: in the input, or in the delimiter */
	int status;      /* MULTIPART_ERROR: 400, or 413 for a head that is too large */
	const char *why;
};

/* boundary: 1 to 70 octets, as multipart_boundary() has found it. */
void multipart_init(struct multipart *, struct str boundary, char *room, size_t max);
/* One event of in[0..n); *used octets are done with. Called again after each event but MORE and
   ERROR, even when no octets are left; after END the rest is used up. */
enum multipart_event multipart_input(struct multipart *, const char *in, size_t n, size_t *used);
/* The body has ended: whether it may. False: status and why. */
bool multipart_eof(struct multipart *);

/* Whether a Content-Type is multipart/form-data. */
bool multipart_is(struct str content_type);
/* The boundary of such a one, in the value; p NULL: none, or none that RFC 2046 knows (*why). */
struct str multipart_boundary(struct str content_type, const char **why);

#endif
