#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/base/must.h"

static char *must_where;
static size_t must_room;

void
must_words(char *where, size_t len)
{
	must_where = where;
	must_room = len;
}

_Noreturn void
must_fail(const char *cond, const char *file, int line)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s:%d: must(%s)", file, line, cond);

	if (must_where && must_room > 0)
		snprintf(must_where, must_room, "%s", text);
	if (n > (int)sizeof(text) - 2)
		n = (int)sizeof(text) - 2;
	text[n++] = '\n';
	/* Nothing is left to be done about a failing write: the words are in the segment as well.
	 */
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		abort();
	abort();
}

void *
must_malloc(size_t n)
{
	void *p = malloc(n > 0 ? n : 1);

	must(p && "memory");
	return p;
}

void *
must_calloc(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

	must(p && "memory");
	return p;
}

void *
must_realloc(void *p, size_t n)
{
	void *q = realloc(p, n > 0 ? n : 1);

	must(q && "memory");
	return q;
}

char *
must_strdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(must_malloc(n), s, n);
}
