/*
 * The commands that talk to the running server through its control socket. argv[0] is the
 * command's name; they return the program's exit status.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include "common/config/conf.h"

int client_reload(int argc, char **argv);
int client_upgrade(int argc, char **argv);
int client_stop(int argc, char **argv);
int client_reopen(int argc, char **argv);
int client_status(int argc, char **argv);
int client_events(int argc, char **argv);
int client_backend(int argc, char **argv);
int client_config(int argc, char **argv);
int client_log_level(int argc, char **argv);
/* The running server's configuration as text, for `check --diff`: the caller frees it. NULL with
 *why. */
char *client_dump(const struct conf *, const char **why);

#endif
