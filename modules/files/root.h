/*
 * The directories that files are served from.
 */
#ifndef FILES_ROOT_H
#define FILES_ROOT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A directory that files are served from, kept open; the descriptor follows when the directory is
   renamed away or a symbolic link to it switched. */
struct files_root {
	const char *path;
	int fd;              /* O_PATH; -1: not there */
	uint32_t generation; /* goes up when fd is another directory than before */
	uint64_t due;        /* ms: when to look again */
	dev_t dev;
	ino_t ino;
	bool is_logged; /* that it is missing was logged */
};

/* path is borrowed, NUL-terminated. */
void files_root_init(struct files_root *, const char *path);
void files_root_fini(struct files_root *);
/* Looks whether path still means the same directory; due is now + valid afterwards. */
void files_root_check(struct files_root *, uint64_t now, int64_t valid);

#endif
