/*
 * Expressions of nginx's secure_link_md5, with the variables that these have there, and $secret.
 */
#ifndef LINKS_EXPR_H
#define LINKS_EXPR_H

#include "modules/links/rule.h"

/* Whether an expression can be used; else *why and *hint (may become NULL), in the arena. */
bool links_expr_check(struct arena *, struct str text, const char **why, const char **hint);
/* Whether it has a variable of this name ("uri"). */
bool links_expr_has(struct str text, struct str name);
/* Its value. expires: what $secure_link_expires is. */
struct str links_expr_make(
    struct str text, const struct links_ask *, struct str secret, struct str expires);

#endif
