/*
 * Texts with variables: "https://$host$uri". Compiled once when the configuration is checked, where
 * an unknown name is an error; expanded per request into its arena. "${name}" is the same as
 * "$name" for where a letter follows, "$$" is a dollar, "$1" … "$9" are what a regular expression
 * captured.
 */
#ifndef BASE_TEMPLATE_H
#define BASE_TEMPLATE_H

#include "common/base/arena.h"

/* VAR(id, name, is_encoded, help): is_encoded says that the value is part of a URL as it is; others
   are percent-encoded when they go into one. */
#define TEMPLATE_VARS(VAR)                                                                         \
	VAR(HOST, "host", true, "the host name asked for, without port")                           \
	VAR(PATH, "path", false, "the path, decoded and normalised")                               \
	VAR(RAW_PATH, "raw_path", true, "the path as the client sent it")                          \
	VAR(QUERY, "query", true, "the query as the client or a rewrite made it, without \"?\"")   \
	VAR(URI, "uri", true, "path and query as the client sent them")                            \
	VAR(METHOD, "method", true, "GET, POST …")                                                 \
	VAR(SCHEME, "scheme", true, "http or https, as the client sees it")                        \
	VAR(PORT, "port", true, "the port asked for")                                              \
	VAR(CLIENT, "client", false, "the client's address")                                       \
	VAR(USER, "user", false, "the name that the client has signed in with, or nothing")        \
	VAR(STATUS, "status", true, "the status of the answer")                                    \
	VAR(REQUEST_ID, "request_id", true, "the request's id: 16 hexadecimal digits")             \
	VAR(WORKER, "worker", true, "the process id of the worker that serves the request")

/* The variables as text for the manual: "$host (…), $path (…), …, ". */
#define TEMPLATE_VAR_HELP(id, name, is_encoded, help) "$" name " (" help "), "
#define TEMPLATE_HELP                                 TEMPLATE_VARS(TEMPLATE_VAR_HELP)

enum template_var {
#define VAR(id, name, is_encoded, help) VAR_##id,
	TEMPLATE_VARS(VAR)
#undef VAR
	    VAR_MAX
};

/* What becomes of the values; literal text is never changed. */
enum template_form {
	TEMPLATE_PLAIN, /* nothing */
	TEMPLATE_FIELD, /* a field value: control characters are percent-encoded */
	TEMPLATE_PATH,  /* a URL up to the "?" */
	TEMPLATE_ARGS,  /* a URL behind it: also "&", "=", "+" in a value are percent-encoded */
};

struct template_part {
	struct str literal;
	uint8_t var;     /* enum template_var; VAR_MAX: a literal or a capture */
	uint8_t capture; /* 1..9; 0: none */
};

struct template
{
	const struct template_part *v;
	size_t n;
	unsigned vars;   /* bit 1 << enum template_var of those in use */
	unsigned groups; /* the highest capture in use */
};

/* source is kept by reference. groups: how many captures there will be. False: *why says what is
   wrong, *hint (may become NULL) what to do; both in the arena or constant. */
bool template_compile(struct template *, struct arena *, struct str source, unsigned groups,
    const char **why, const char **hint);

/* Where values come from; captures may be NULL when groups is 0. */
struct template_source {
	struct str (*get)(void *ctx, enum template_var);
	void *ctx;
	const struct str *captures; /* [0] is the whole match */
};

/* The text; in the arena, or the source itself when nothing varies. */
struct str template_expand(
    const struct template *, struct arena *, enum template_form, const struct template_source *);

/* Whether the text is the same for every request. */
static inline bool
template_is_constant(const struct template *t)
{
	return t->vars == 0 && t->groups == 0;
}

#endif
