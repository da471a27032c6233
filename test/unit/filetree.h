/*
 * A tree of files for tests that serve or open some: made in a new directory, removed afterwards.
 */
#ifndef TEST_UNIT_FILETREE_H
#define TEST_UNIT_FILETREE_H

#include <stddef.h>

/* What each does ends the test when it fails. Names are beneath the tree. */
void tree_make(void);
void tree_remove(void);
/* The directory's path. */
const char *tree_path(void);
int tree_fd(void);
/* Missing directories on the way are made. mtime is set to `when` seconds after the epoch. */
void tree_file(const char *name, const void *octets, size_t n, long when);
void tree_text(const char *name, const char *text);
void tree_dir(const char *name);
void tree_link(const char *name, const char *target);
void tree_fifo(const char *name);
void tree_unlink(const char *name);
void tree_rename(const char *from, const char *to);
/* Sets a time of modification to TREE_TIME. */
void tree_touch(const char *name);

enum { TREE_TIME = 1000000000 }; /* of tree_text: Sun, 09 Sep 2001 01:46:40 GMT */

#endif
