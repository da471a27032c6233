/*
 * A cursor over configuration text that knows its line and column, and the scalars it can read
 * there.
 */
#ifndef CONFIG_LEX_H
#define CONFIG_LEX_H

#include "common/config/tree.h"

struct lex {
	const char *at, *begin, *end;
	const char *file;
	int line, col;
	struct arena *arena;
	struct cfg_errors *errors;
	bool has_error;
};

struct cfg_place lex_place(const struct lex *);
void lex_error(struct lex *, struct cfg_place, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The byte at the cursor, 0 at the end. */
static inline char
lex_peek(const struct lex *t)
{
	return t->at < t->end ? *t->at : '\0';
}
void lex_step(struct lex *); /* one byte on */
void lex_steps(struct lex *, size_t n);
/* Over white space and comments. */
void lex_skip(struct lex *);
/* To the end of the line. */
void lex_skip_line(struct lex *);

bool lex_is_name_start(char c);
bool lex_is_name(char c);
bool lex_is_word(char c); /* anything that may be in an unquoted value */

/* Reads the scalar at the cursor (a string, a number, a bool, a word) into a node. */
void lex_scalar(struct lex *, struct cfg_node *);

#endif
