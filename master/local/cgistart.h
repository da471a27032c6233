/*
 * The CGI starter: a program of its own that the master executes for a pool with protocol cgi. It
 * accepts SCGI connections, reads the environment from each and not one byte more, and gives the
 * connection to the script as its standard input and output.
 */
#ifndef LOCAL_CGISTART_H
#define LOCAL_CGISTART_H

#include "master/local/spec.h"

#define CGISTART_VERB "--cgi-starter"

/* In a child of the master, with the socket as standard input: executes this program as a starter.
   Returns only when that failed, with errno. */
void cgistart_exec(const struct localspec *);
/* argand --cgi-starter …: what cgistart_exec() says. */
int cgistart_main(int argc, char **argv);

#endif
