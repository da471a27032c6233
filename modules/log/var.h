/*
 * The variables of access log formats: one row each, and what runs them.
 */
#ifndef LOG_VAR_H
#define LOG_VAR_H

#include "common/base/str.h"

struct request;
struct logformat_now;
struct logstep;

/* LOGVAR_ROOM: bytes that a writer may use without asking. */
enum { LOGVAR_ROOM = 96, LOGVAR_LITERAL = 16 };

/* A line being written. */
struct logline {
	const struct request *r;
	const struct logformat_now *now;
	char *end; /* of the room */
};

/* Writes a value at p, returns where it ends; NULL: not enough room. */
typedef char *(*logvar_put)(char *p, const struct logline *, const struct logstep *);

/* A literal and the value after it. */
struct logstep {
	char literal[LOGVAR_LITERAL];
	uint8_t literal_n;
	uint8_t field; /* enum http_field, of "in:" and "out:" */
	bool is_json;
	logvar_put put;
	struct str name; /* of a field without a row in http.def */
};

struct logvar {
	const char *name;
	logvar_put put;
};

/* Ends with a row without a name. Names that end in ':' take the name of a header field. */
extern const struct logvar logvars[];

/* For writers in other files: text of any length, "-" or nothing when it is empty (NULL: not enough
   room for the worst case); a number of at most 20 bytes. */
char *logvar_put_text(char *p, const struct logline *, struct str, bool is_json);
char *logvar_put_number(char *p, int64_t);

/* For a step that is a literal only. */
char *logvar_nothing(char *p, const struct logline *, const struct logstep *);

/* Makes the tables. Before the first line. */
void logvar_init(void);

#endif
