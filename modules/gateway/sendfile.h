/*
 * Files by header: the application authorises and names a file, the server sends it. The options
 * and what follows from them are in sendfile_conf.c, what stands in the fields in codec/sendcmd.c.
 */
#ifndef GATEWAY_SENDFILE_H
#define GATEWAY_SENDFILE_H

#include "modules/gateway/codec/sendcmd.h"
#include "modules/gateway/gateway.h"

struct exchange;

/* What an application commands. */
struct sendfile {
	enum sendcmd command;
	struct str value;
	struct str charset;  /* X-Accel-Charset; p NULL: none */
	const char *refused; /* why it is not even looked at; NULL: it is */
};

void sendfile_check(struct gateway_conf *, struct cfg_check *);

/* The command in an answer's head, before the sieve takes it out; NULL: none that is obeyed. In the
   request's arena. */
const struct sendfile *sendfile_command(struct exchange *);

/* The backend is done with, and what of its head goes to the client stands in r->fields: answers
   the request. */
void sendfile_answer(struct exchange *);

void sendfile_stop(void); /* worker: gives back the tables of media types */

#endif
