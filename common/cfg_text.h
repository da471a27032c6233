/*
 * A cursor over configuration text that knows its line and column, and the scalars it can read
 * there.
 */
#ifndef COMMON_CFG_TEXT_H
#define COMMON_CFG_TEXT_H

#include "common/cfg_tree.h"

struct text {
	const char *at, *begin, *end;
	const char *file;
	int line, col;
	struct arena *arena;
	struct cfg_errors *errors;
	bool has_error;
};

struct cfg_place text_place(const struct text *);
void text_error(struct text *, struct cfg_place, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The octet at the cursor, 0 at the end. */
static inline char
text_peek(const struct text *t)
{
	return t->at < t->end ? *t->at : '\0';
}
void text_step(struct text *); /* one octet on */
void text_steps(struct text *, size_t n);
/* Over white space and comments. */
void text_skip(struct text *);
/* To the end of the line. */
void text_skip_line(struct text *);

bool text_is_name_start(char c);
bool text_is_name(char c);
bool text_is_word(char c); /* anything that may be in an unquoted value */

/* Reads the scalar at the cursor (a string, a number, a bool, a word) into a node. */
void text_scalar(struct text *, struct cfg_node *);

#endif
