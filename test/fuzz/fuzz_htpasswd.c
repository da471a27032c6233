/*
 * Files of users: whoever is found has a hash of his own, NUL-terminated and in bounds, and each
 * line is either a user, a complaint, or nothing. The input is a name, a line end, and the file.
 */
#include <stdlib.h>
#include "modules/auth/htpasswd.h"
#include "test/fuzz/fuzz.h"

static void
count(void *arg, int line, const char *what)
{
	unsigned *complaints = arg;

	must(line > 0 && *what);
	(*complaints)++;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str rest, name;
	unsigned complaints = 0, lines = 1;
	struct htpasswd *h;
	const char *hash;
	char *buf;

	if (n > 4000)
		return 0;
	buf = malloc(n > 0 ? n : 1);
	memcpy(buf, data, n);
	rest = str_n(buf, n);
	name = str_split(&rest, '\n');
	rest = rest.p ? rest : STR("");
	h = htpasswd_parse(rest, count, &complaints);
	for (size_t i = 0; i < rest.n; i++)
		lines += rest.p[i] == '\n';
	must(htpasswd_count(h) + complaints <= lines);
	hash = htpasswd_find(h, name);
	must(!hash || (*hash && strlen(hash) <= HTPASSWD_HASH_MAX && htpasswd_count(h) > 0));
	hash = htpasswd_decoy(h, name);
	must(!hash == (htpasswd_count(h) == 0));
	htpasswd_free(h);
	free(buf);
	return 0;
}
