/*
 * Text that others could write, made harmless: it has an end, is UTF-8 (RFC 3629), and has nothing
 * in it that a terminal obeys. A question mark stands in place of each byte that does not fit.
 */
#ifndef BASE_PLAIN_H
#define BASE_PLAIN_H

#include <stddef.h>

/* Copies at most size bytes of from, up to a NUL, to to, which has room for size: the last byte
   is always the end. from may change meanwhile: it is read once. */
void plain_copy(char *to, const char *from, size_t size);

#endif
