/*
 * Who a request was made for, as proxies say it: X-Forwarded-For, and Forwarded (RFC 7239). Each
 * proxy adds an element at the right, so trust is walked from there. Pure.
 */
#ifndef BASE_FORWARDED_H
#define BASE_FORWARDED_H

#include "common/base/str.h"

struct forwarded {
	uint8_t family;   /* AF_INET, AF_INET6; 0: "unknown", a made-up name, or malformed */
	uint16_t port;    /* 0: none given */
	uint8_t addr[16]; /* network order */
	struct str proto; /* Forwarded only: "https", "http"; n 0: not said */
	struct str
	    host; /* Forwarded only: the Host field as the proxy got it, unquoted; n 0: not said */
};

/* The nth element from the right (0: the last one). False when there are not so many. Several
   fields of a kind are one list (RFC 9110 5.3): join them by ", " first. Results point into value.
 */
bool forwarded_for(struct str value, unsigned n, struct forwarded *out); /* X-Forwarded-For */
bool forwarded_nth(struct str value, unsigned n, struct forwarded *out); /* Forwarded */

/* An address as both write it: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
bool forwarded_node(struct str text, struct forwarded *out);

#endif
