/*
 * Entries by route and path, per worker: bounded in bytes, files and descriptors. An entry is
 * checked against the file system again when the last check is older than file_cache.valid. An
 * entry that a request uses is pinned: it stays until the request has ended, even when the cache
 * has dropped or replaced it.
 */
#ifndef FILES_CACHE_H
#define FILES_CACHE_H

#include "modules/files/entry.h"

struct shm_worker;

struct files_cache_limits {
	int64_t bytes, files, valid; /* valid in ms */
	int64_t fds;                 /* descriptors kept open */
};

/* row: where the counters go. */
void files_cache_start(const struct files_cache_limits *, struct shm_worker *row);
void files_cache_stop(void);

/* The entry for path, as it is now or was at most `valid` ms ago. Never NULL. Pin it before the
   next call. */
struct files_entry *files_cache_get(const struct files_route *, struct str path, uint64_t now);

void files_cache_pin(struct files_entry *);
/* void *: for arena_defer. */
void files_cache_unpin(void *entry);

#endif
