/*
 * The text of a configuration file (libconfig's syntax) as a tree in which every name and value
 * knows its line and column. Reading goes on after a mistake: each is reported, repaired in the
 * obvious way, and the rest of the file is read as if it had not been made. The values of a file
 * without mistakes are libconfig's own.
 */
#ifndef CONFIG_TREE_H
#define CONFIG_TREE_H

#include "common/config/cfg_errors.h"

enum node_kind {
	NODE_GROUP, /* { } */
	NODE_LIST,  /* ( ) */
	NODE_ARRAY, /* [ ] */
	NODE_STRING,
	NODE_INT,
	NODE_FLOAT,
	NODE_BOOL,
	NODE_WORD, /* an unquoted word: a mistake that is not reported yet, unless is_reported */
	NODE_NONE, /* no value where one was wanted: reported */
};

struct cfg_node {
	enum node_kind kind;
	struct str name; /* of a member of a group; n 0 in lists */
	struct cfg_place name_place;
	struct cfg_place place; /* of the value */
	struct str raw;         /* a scalar as written, strings with their quotes */
	struct str text;        /* a string's value, NUL-terminated; a word's characters */
	bool boolean;
	bool is_reported; /* an error about this value was reported: no second one */
	struct cfg_node *parent, *first, *last, *next;
	unsigned n; /* children */
};

enum {
	TREE_DEPTH = 32,      /* brackets in brackets */
	TREE_MEMBERS = 1000,  /* settings in one group */
	TREE_NODES = 1000000, /* in one file */
	TREE_BYTES = 4 << 20, /* of one file */
};

struct cfg_tree {
	struct cfg_node *root; /* a group; never NULL */
	bool is_clean;         /* no mistake of syntax */
};

/* text is kept by reference: it must be NUL-terminated (the NUL is not counted) and live as long as
   the tree, which is in the arena. */
void tree_parse(
    struct cfg_tree *, struct arena *, struct cfg_errors *, const char *file, struct str text);

/* Reports the words that nobody has reported with a better hint. Call it when all is checked. */
void tree_report_words(const struct cfg_node *, struct cfg_errors *);

/* "group", "number 30", "\"x\"" …: what stands there, for messages; the arena is the errors'. */
const char *tree_describe(const struct cfg_node *, struct cfg_errors *);

struct cfg_node *tree_member(const struct cfg_node *group, const char *name);

/* Fills values from libconfig (tree_values.c). When it does not read what tree_parse() read: the
   line where it gave up, else 0. */
int tree_values(struct cfg_tree *, struct arena *, struct str text);

#endif
