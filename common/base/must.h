/*
 * Assertions that stay on. A worker that finds itself wrong leaves its last words in its own row of
 * the shared segment (must_words points there) and aborts; the master logs the obituary.
 */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include <stddef.h>

#define must(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : must_fail(#cond, __FILE__, __LINE__))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

_Noreturn void must_fail(const char *cond, const char *file, int line);

/* Where the message of a failed must() is stored as well, for the master's log: a NUL-terminated
   text of at most len bytes. NULL: stderr only. */
void must_words(char *where, size_t len);

/* malloc, calloc, realloc, strdup that do not return NULL (out of memory aborts). Every size that
   comes from outside is bounded before it gets here. */
void *must_malloc(size_t n);
void *must_calloc(size_t n, size_t size);
void *must_realloc(void *p, size_t n);
char *must_strdup(const char *s);

#endif
