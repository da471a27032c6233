/*
 * What stands at the beginning of an SCGI request, as far as starting a script needs it: the
 * netstring's length, and the variables in it. Computes only.
 */
#ifndef LOCAL_CGIENV_H
#define LOCAL_CGIENV_H

#include <stdbool.h>
#include <stddef.h>

enum { CGIENV_MAX = 1 << 18, CGIENV_VARS = 2000 };

/* One byte of the length in front of a netstring. */
enum cgienv_step { CGIENV_MORE, CGIENV_DONE, CGIENV_BAD };
struct cgienv_length { /* { 0 } at the beginning */
	size_t n;
	unsigned digits;
};
enum cgienv_step cgienv_length(struct cgienv_length *, char byte);

/* The value of a variable in NAME NUL VALUE NUL …, n bytes; NULL when it has none. */
const char *cgienv_get(const char *block, size_t n, const char *name);

/* An environment for execve(): those of base (NULL-terminated, "NAME=value"), and over them those
   of the block, without the mark of SCGI itself. NULL when the block is not sound: it does not end
   with NUL, has a name without a value, an empty name, or one with '='. Made of one piece of
   memory, for free(). */
char **cgienv_make(const char *block, size_t n, char *const *base);

#endif
