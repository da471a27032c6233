/*
 * The variables of a template (common/base/template.h) from a request.
 */
#ifndef WORKER_VARS_H
#define WORKER_VARS_H

#include "common/base/template.h"
#include "worker/request.h"

/* The value of one variable; in the request's arena or part of the request. */
struct str vars_get(struct request *, enum template_var);

/* Expands for a request. captures: as regex_match sets them; may be NULL when there are none. */
struct str vars_expand(
    const struct template *, struct request *, enum template_form, const struct str *captures);

#endif
