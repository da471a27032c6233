/*
 * Answers from a file: which representation, by Accept-Encoding. How it is sent is
 * worker/resfile.h's.
 */
#ifndef FILES_SEND_H
#define FILES_SEND_H

#include "modules/files/entry.h"
#include "worker/request.h"

/* The representation for an Accept-Encoding value (p NULL: no such field): the coding with the
   highest quality, the first among equals; the file itself when none is acceptable or the client
   says that it prefers "identity". */
const struct files_rep *files_send_choose(const struct files_entry *, struct str accept);

/* The whole answer to a GET or HEAD for an entry of kind FILES_FILE, pinned by the request. */
static inline void
files_send(struct request *r, const struct files_entry *e)
{
	const struct files_rep *rep = e->reps[0];

	if (e->nreps > 1)
		rep = files_send_choose(e, req_field_all(r, HF_ACCEPT_ENCODING));
	resfile_send(r, &rep->file);
}

#endif
