/*
 * What is known about one path of one route: a file with its prepared answers, a directory, or why
 * there is none. Made by looking, never changed afterwards but for the cache's own members.
 */
#ifndef FILES_ENTRY_H
#define FILES_ENTRY_H

#include "common/base/http.h"
#include "common/base/list.h"
#include "modules/files/route.h"
#include "worker/resfile.h"

enum files_kind {
	FILES_FILE,
	FILES_DIRECTORY, /* without an index file, or asked for without its slash */
	FILES_REROUTE,   /* the index file belongs to another route: target */
	FILES_ERROR,     /* status, why */
};

/* What must be unchanged for a file to count as the one that was looked at. */
struct files_id {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtim, ctim;
};

enum { FILES_FIELDS = 6 };

/* A representation (RFC 9110 3.2): the file or a compressed sibling, and the fields that go with
   it, in the order in which a 304 needs the first of them. */
struct files_rep {
	struct files_id id;
	enum files_coding coding;
	struct resfile file; /* points to fields */
	struct field fields[FILES_FIELDS];
	size_t bytes; /* of memory */
};

struct files_entry {
	/* key */
	uint64_t hash;
	const struct files_route *fr;
	struct str path; /* of the request, e.g. "/docs/" */
	/* value */
	uint8_t kind;      /* enum files_kind */
	bool is_young;     /* changed so lately that the next change may leave its time as it is */
	uint16_t status;   /* FILES_ERROR */
	const char *why;   /* FILES_ERROR: constant */
	struct str name;   /* beneath the root, with the index file: "docs/index.html" */
	struct str target; /* FILES_REROUTE: the path of the index file */
	unsigned nreps;    /* FILES_FILE: 1 + siblings */
	struct files_rep *reps[CODING_MAX]; /* [0]: the file itself */
	/* the cache's */
	struct files_entry *next; /* in its bucket */
	uint64_t due;             /* ms: when to look at the file again */
	uint64_t look_due;        /* ms: when to look for new siblings */
	uint32_t generation;      /* of the root */
	uint32_t pins;            /* requests that use it */
	bool is_kept;             /* in the table; otherwise it goes with its last pin */
	bool is_used;             /* since the clock's hand came by */
	uint8_t list;             /* enum cache_list */
	unsigned nfds;
	size_t bytes;
	struct link link;
};

/* Looks path up. Never NULL; status 503 when descriptors ran out. The root must be checked. */
struct files_entry *files_entry_load(const struct files_route *, struct str path);
/* Whether looking again would find the same, as far as stat shows. look_siblings: also whether a
   new compressed sibling is there. */
bool files_entry_is_current(const struct files_entry *, bool look_siblings);
void files_entry_free(struct files_entry *);

#endif
