/*
 * Which representation of a file is sent. How it is sent is worker/resfile.c's.
 */
#include "modules/files/send.h"

#include "worker/cond.h"

/* Whether the client says something about "identity" (RFC 9110 12.5.3): left out, it is acceptable
   but not preferred to what is listed. */
static bool
files_send_names_identity(struct str accept)
{
	static const struct str identity = STR_INIT("identity");
	struct str item;

	while (str_list_next(&accept, &item)) {
		ptrdiff_t semicolon = str_find(item, ';');

		if (semicolon >= 0)
			item = str_trim(str_n(item.p, (size_t)semicolon));
		if (str_caseeq(item, identity))
			return true;
	}
	return false;
}

const struct files_rep *
files_send_choose(const struct files_entry *e, struct str accept)
{
	const struct files_rep *best = e->reps[0];
	int best_q = 0;

	if (!accept.p)
		return best;
	accept = accept_some(accept);
	for (unsigned i = 1; i < e->nreps; i++) {
		int q = accept_encoding_q(accept, files_codings[e->reps[i]->coding].name);

		if (q <= best_q)
			continue;
		best_q = q;
		best = e->reps[i];
	}
	if (best_q && files_send_names_identity(accept) &&
	    accept_encoding_q(accept, files_codings[CODING_IDENTITY].name) > best_q)
		best = e->reps[0];
	return best;
}
