/*
 * The beginning of an SCGI request as the CGI starter reads it: the length octet by octet, then the
 * variables; what is taken for sound has each of them once in the environment that is made, and is
 * found again by its name.
 */
#include <stdlib.h>
#include <string.h>
#include "master/local/cgienv.h"
#include "test/fuzz/fuzz.h"

static void
check_environment(const char *block, size_t n)
{
	char *base[] = { (char *)(uintptr_t) "PATH=/bin", (char *)(uintptr_t) "X=y", NULL };
	char **env = cgienv_make(block, n, base);
	size_t octets = 0;

	for (char **e = env; e && *e; e++) {
		const char *equals = strchr(*e, '=');

		must(equals && equals > *e);
		octets += strlen(*e) + 1;
	}
	must(!env || octets <= n + sizeof("PATH=/bin") + sizeof("X=y"));
	must(!env || n > 0);
	free(env);
	(void)cgienv_get(block, n, "SCRIPT_FILENAME");
	(void)cgienv_get(block, n, "");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cgienv_length length = { 0 };
	enum cgienv_step step = CGIENV_MORE;
	size_t at = 0;
	char *block;

	while (at < n && step == CGIENV_MORE)
		step = cgienv_length(&length, (char)data[at++]);
	must(length.n <= CGIENV_MAX || step == CGIENV_BAD);
	if (step != CGIENV_DONE)
		at = 0;             /* as if it were the block */
	block = malloc(n - at + 1); /* of its own size: reading beyond is seen */
	must(block != NULL);
	memcpy(block, data + at, n - at);
	check_environment(block, n - at);
	if (length.n < n - at)
		check_environment(block, length.n);
	free(block);
	return 0;
}
