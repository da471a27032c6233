/*
 * The commands that need nothing but a configuration: check, options, explain. argv[0] is the
 * command's name. They return the program's exit status: 0; 2 for wrong usage; 78 for a bad
 * configuration.
 */
#ifndef CLI_CLI_CONF_H
#define CLI_CLI_CONF_H

#include "common/config/conf.h"
#include "master/base/exitcode.h"

int cli_check(int argc, char **argv);
int cli_options(int argc, char **argv);
int cli_explain(int argc, char **argv);

/* How `check --diff` gets the conf_dump() of the running server: asks at the control socket that
   conf names. Returns a text that the caller frees, or NULL with *why. Set by main(). */
extern char *(*cli_running_dump)(const struct conf *, const char **why);

/* A URL as commands take it ("http://host/path", "host/path" or "/path"), for ask->method; false:
   no request could ask for it. */
struct conf_ask;
bool cli_ask(struct arena *, const char *url, struct conf_ask *);

/* The configuration file when -c does not name one. */
extern const char cli_default_file[];

/* "3 errors, 1 warning" on a line of its own. */
void cli_print_counts(const struct cfg_errors *, FILE *);

/* Whether to write colours to a stream: it is a terminal, and NO_COLOR and TERM do not object. */
bool cli_colour(FILE *);

#endif
