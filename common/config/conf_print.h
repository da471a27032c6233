/*
 * Prints a configuration: dumps, what a reload would change, the option reference, and the way of a
 * request through it.
 */
#ifndef CONFIG_CONF_PRINT_H
#define CONFIG_CONF_PRINT_H

#include "common/config/conf.h"

/* All that is set, a line each, in a fixed order. Two configurations are compared by this text,
   also by processes that have only the text of the other one. conf_dump_diff() is conf_diff() on
   texts. */
void conf_dump(const struct conf *, FILE *);
size_t conf_dump_diff(struct str a, struct str b, FILE *out);

/* What a reload from a to b would change, a line each: "+ site x", "~ route y: expire 1d -> 7d",
   "- listen z". Returns the number of lines; out may be NULL to count. */
size_t conf_diff(const struct conf *a, const struct conf *b, FILE *out);

/* The option reference for `argand options [NAME]` and for argand.conf(5) (mdoc). */
int conf_options_print(FILE *, const char *name_or_null, bool colour);
void conf_options_mdoc(FILE *);

/* `argand explain`: the way of one request through the configuration; returns an exit status. The
   caller has split the URL and normalised its path (worker/uri.h). */
struct conf_ask {
	const char *method;
	struct str url;  /* as asked */
	struct str host; /* n 0: none given */
	unsigned port;   /* 0: none given */
	struct str raw_path, path, query;
	struct str scheme; /* n 0: none given */
	struct str client; /* an address; n 0: not known */
};
/* The listener that has the port asked for, else the first TCP one, else the first; *is_its (may be
   NULL): whether it has that port, or none was asked for. */
const struct conf_listen *conf_ask_listen(
    const struct conf *, const struct conf_ask *, bool *is_its);
int conf_explain(const struct conf *, FILE *, const struct conf_ask *, bool colour);

#endif
