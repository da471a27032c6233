/*
 * The head of a part of multipart/form-data (RFC 7578 4.2): what the form calls it, and whether it
 * is a file. Pure.
 */
#ifndef CODEC_FORMPART_H
#define CODEC_FORMPART_H

#include "common/base/arena.h"

/* The fields in which an application is told of files are ours: see upload.h. */
#define FORMPART_OURS "argand_upload"

struct formpart {
	struct str name;
	struct str filename; /* formpart_safe()'s */
	struct str type;     /* Content-Type; n 0: none was sent */
	bool is_file;        /* it has a filename, maybe an empty one */
};

/* 0, or 400 and *why. head: lines, each with CR LF. max_name: octets of either name. */
int formpart_read(
    struct formpart *, struct arena *, struct str head, size_t max_name, const char **why);

/* A file name that is harmless as a name: its last segment whatever the sender's system, UTF-8
   without controls and what looks like nothing, not beginning with a dot; what is not so is "_". */
struct str formpart_safe(struct arena *, struct str filename);

/* The filename of a Content-Disposition, not yet safe; p NULL: none, or malformed. */
struct str formpart_filename(struct arena *, struct str disposition);

/* Whether some reader of forms could take a field's name for one of ours: PHP drops blanks at its
   front, cuts it at a NUL, and has "_" for ".", " " and "[". */
bool formpart_is_ours(struct str name);
/* The same for any name in a query (RFC 3986 3.4) as readers of forms take it apart. */
bool formpart_query_has_ours(struct arena *, struct str query);

#endif
