/*
 * The directories as a whole: how much they hold, and what in ".uploads" has expired.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "modules/receive/store.h"

/* A directory to read, with a place of its own in it. */
static DIR *
hold_open(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d && fd >= 0)
		close(fd);
	return d;
}

/* Unfinished ones have blocks for what they will have. The smallest file is one too: a directory
   that is full of them is full. */
static int64_t
hold_sum(DIR *d)
{
	int64_t sum = 0;
	struct dirent *e;
	struct stat st;

	while (d && (e = readdir(d)) != NULL) {
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		/* A file that is in both while it is moved counts once. */
		if (str_has_suffix(str_of(e->d_name), STR(".part")) && st.st_nlink > 1)
			continue;
		sum += st.st_size < RECEIVE_LEAST ? RECEIVE_LEAST : st.st_size;
		if (str_has_suffix(str_of(e->d_name), STR(".part")) &&
		    (int64_t)st.st_blocks * 512 > st.st_size + RECEIVE_LEAST)
			sum += (int64_t)st.st_blocks * 512 - st.st_size;
	}
	if (d)
		closedir(d);
	return sum;
}

int64_t
receive_hold_used(const struct receive_upload *u)
{
	return hold_sum(hold_open(u->root, ".")) + hold_sum(hold_open(u->hold, "."));
}

/* What a file of ".uploads" is a part of is old, and nobody is at it. */
static void
hold_tidy_one(struct receive_upload *u, const char *name, time_t before)
{
	struct str text = str_of(name), id = str_split(&text, '.');
	char part[RECEIVE_ID + 16];
	struct stat st;

	if (!receive_name_is_id(id) || fstatat(u->hold, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_mtime >= before)
		return;
	snprintf(part, sizeof(part), "%.*s.part", STR_FMT(id));
	u->fd = openat(u->hold, part, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (u->fd < 0 ||
	    (fstat(u->fd, &st) == 0 && st.st_mtime < before && receive_store_lock(u) == 0)) {
		memcpy(u->id, id.p, id.n);
		u->id[id.n] = '\0';
		receive_store_remove(u);
		unlinkat(u->hold, name, 0);
	}
	if (u->fd >= 0)
		close(u->fd);
	u->fd = -1;
	u->is_waiting = false;
}

void
receive_hold_tidy(const struct receive_conf *c)
{
	struct receive_upload u;
	struct dirent *e;
	DIR *d;

	receive_store_init(&u, c);
	d = receive_store_open(&u) < 0 ? NULL : hold_open(u.hold, ".");
	while (d && (e = readdir(d)) != NULL)
		hold_tidy_one(&u, e->d_name, time(NULL) - (time_t)(c->expires / 1000));
	if (d)
		closedir(d);
	receive_store_close(&u);
}
