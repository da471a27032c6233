/*
 * Everything that is wrong with a configuration, collected over all its files. Keeps copies of the
 * texts, so that messages can be shown with their source lines after the configuration is gone.
 */
#ifndef CONFIG_CFG_ERRORS_H
#define CONFIG_CFG_ERRORS_H

#include <stdio.h>
#include "common/config/cfg.h"

struct cfg_message {
	struct cfg_place place;
	bool is_error;
	const char *text, *hint; /* hint may be NULL */
	unsigned order;          /* of the file, in the order they were read */
	unsigned seq;
};

struct cfg_errors *cfg_errors_new(void);

/* Copies a file's text for the messages; file is copied too. Returns the copied name. */
const char *cfg_errors_source(struct cfg_errors *, const char *file, struct str text);

/* Adds a message; one with the same place and text is there only once. */
void cfg_errors_add(struct cfg_errors *, bool is_error, struct cfg_place, const char *hint,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void cfg_errors_vadd(struct cfg_errors *, bool is_error, struct cfg_place, const char *hint,
    const char *fmt, va_list ap);

/* A format for the arena of the errors: texts for hints. */
const char *cfg_errors_printf(struct cfg_errors *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* cfg_errors_mark() marks the present number of messages; cfg_errors_rewind() drops those that were
   added since. */
size_t cfg_errors_mark(const struct cfg_errors *);
void cfg_errors_rewind(struct cfg_errors *, size_t n);

/* The messages in the order they are printed. */
const struct cfg_message *cfg_errors_sorted(const struct cfg_errors *, size_t *n);

#endif
