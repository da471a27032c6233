/*
 * AJP13, the servlet containers' protocol: what the two halves of the codec share. ajp_head.c
 * composes the request; ajp.c feeds the body and reads the response. The row is codec_ajp.
 *
 * A packet is two magic octets, a length of two octets and so many octets; numbers are big endian.
 * Ours are at most pool.packet_size long, which must be the container's packetSize.
 */
#ifndef CODEC_AJP_H
#define CODEC_AJP_H

#include "modules/gateway/codec/codec.h"

/* Octets before the payload of a packet; and before the content in one. */
enum { AJP_HEADER = 4, AJP_BODY_HEADER = 6, AJP_MAX_PACKET = 65536 };

struct ajp {
	/* of the request */
	int64_t to_send;     /* octets of the body that were not sent */
	uint32_t max_packet; /* ours */
	uint32_t room;       /* octets that the container waits for; with is_asked */
	bool is_asked;       /* it waits for a packet: the first one it always does */
	bool wants_keep;
	/* of the response */
	bool has_head, is_bodyless;
	uint8_t phase;
	uint8_t type; /* of the packet */
	uint8_t interims;
	uint8_t got; /* octets of small[] */
	unsigned char small[4];
	uint32_t remaining; /* octets of the packet to come */
	uint32_t content;   /* those of them that are content */
	int64_t body;       /* octets that the announced length leaves; -1: none was announced */
	char *head;         /* the payload of a packet of fields, in the arena */
	uint32_t head_n, head_room;
	const char *why;
};

_Static_assert(sizeof(struct ajp) <= CODEC_STATE, "the state fits into the connection");

/* codec.head */
int ajp_head(void *state, const struct codec_request *, struct body *out, const char **why);

#endif
