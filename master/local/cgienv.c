#include <stdlib.h>
#include <string.h>

#include "common/base/must.h"
#include "master/local/cgienv.h"

/* SCGI: "length of the string in decimal, ':'", without leading zeros. */
enum cgienv_step
cgienv_length(struct cgienv_length *l, char byte)
{
	if (byte == ':')
		return l->digits ? CGIENV_DONE : CGIENV_BAD;
	if (byte < '0' || byte > '9' || (l->digits && l->n == 0))
		return CGIENV_BAD;
	l->digits++;
	l->n = l->n * 10 + (size_t)(byte - '0');
	return l->n <= CGIENV_MAX ? CGIENV_MORE : CGIENV_BAD;
}

/* The next variable; false at the end, and (*at < n then) where the block is not sound. */
static bool
cgienv_next(const char *block, size_t n, size_t *at, const char **name, const char **value)
{
	const char *end, *p = block + *at;

	end = *at < n ? memchr(p, '\0', n - *at) : NULL;
	if (!end || end == p || memchr(p, '=', (size_t)(end - p)))
		return false;
	*name = p;
	*value = end + 1;
	end = memchr(*value, '\0', n - (size_t)(*value - block));
	if (!end)
		return false;
	*at = (size_t)(end + 1 - block);
	return true;
}

const char *
cgienv_get(const char *block, size_t n, const char *name)
{
	const char *at_name, *value;
	size_t at = 0;

	while (cgienv_next(block, n, &at, &at_name, &value))
		if (strcmp(at_name, name) == 0)
			return value;
	return NULL;
}

static bool
cgienv_is_sound(const char *block, size_t n)
{
	const char *name, *value;
	size_t at = 0, vars = 0;

	while (cgienv_next(block, n, &at, &name, &value))
		vars++;
	return at == n && n > 0 && vars <= CGIENV_VARS;
}

/* "NAME=value" of the base gives way to one of the block. */
static bool
cgienv_is_over(const char *block, size_t n, const char *entry)
{
	size_t len = strcspn(entry, "=");
	const char *name, *value;
	size_t at = 0;

	while (cgienv_next(block, n, &at, &name, &value))
		if (strlen(name) == len && memcmp(name, entry, len) == 0)
			return true;
	return false;
}

static size_t
cgienv_count(const char *block, size_t n, char *const *base)
{
	size_t vars = 1, at = 0;
	const char *name, *value;

	while (cgienv_next(block, n, &at, &name, &value))
		vars++;
	while (*base++)
		vars++;
	return vars;
}

/* Each variable of the block gives as many bytes as it has: its NUL becomes '='. */
char **
cgienv_make(const char *block, size_t n, char *const *base)
{
	const char *name, *value;
	size_t at = 0, count = 0, vars;
	char **env, *text;

	if (!cgienv_is_sound(block, n))
		return NULL;
	vars = cgienv_count(block, n, base);
	env = must_malloc(vars * sizeof(*env) + n);
	text = (char *)(env + vars);
	for (; *base; base++)
		if (!cgienv_is_over(block, n, *base))
			env[count++] = *base;
	memcpy(text, block, n);
	while (cgienv_next(block, n, &at, &name, &value)) {
		char *entry = text + (name - block);

		if (strcmp(name, "SCGI") == 0)
			continue;
		entry[value - name - 1] = '=';
		env[count++] = entry;
	}
	env[count] = NULL;
	return env;
}
