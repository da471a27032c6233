/*
 * UTF-8 (RFC 3629): which octets are a character, and which characters may stand as they are in
 * what people read. All logs ask here, so that they escape the same in the same way.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length in octets of the sequence at p (end: one past the last octet); 0: not UTF-8. */
unsigned utf8_len(const unsigned char *p, const unsigned char *end);

/* The same, and 0 as well for characters that are not what they look like, or look like nothing:
   controls (C0, DEL, C1), line and paragraph separators, and what changes the direction of the text
   around it. A terminal or a viewer might obey them. */
unsigned utf8_plain(const unsigned char *p, const unsigned char *end);

/* The code point of a sequence of len octets that utf8_len() has found. */
uint32_t utf8_point(const unsigned char *p, unsigned len);

/* "\xNN", the one escape of logs that are text; returns where it ends, 4 octets on. */
char *utf8_escape(char *dst, unsigned char c);

/* How much of the first n octets at p stays when they are all that there is room for: less than n
   when a character would be cut in two. */
size_t utf8_cut(const char *p, size_t n);

#endif
