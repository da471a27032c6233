/*
 * Uploads that become one (concatenation of tus).
 */
#include <errno.h>
#include <unistd.h>

#include "modules/receive/store.h"

enum { JOIN_STEP = 16 << 20 };

static int
join_fail(int err)
{
	errno = err;
	return -1;
}

/* Octets are shared where the file system can do that. */
static int
join_copy(struct receive_upload *u, struct receive_upload *part)
{
	off64_t from = 0, to = u->offset;

	while (from < part->offset) {
		ssize_t n = copy_file_range(part->fd, &from, u->fd, &to, JOIN_STEP, 0);

		if (n <= 0)
			return n < 0 ? -1 : join_fail(EIO);
	}
	u->offset = to;
	return 0;
}

static int
join_part(struct receive_upload *u, struct receive_upload *part)
{
	if (receive_store_find(part) < 0)
		return -1;
	if (part->is_complete || !receive_store_is_partial(part))
		return join_fail(ENOENT);
	if (receive_store_lock(part) < 0)
		return errno == EAGAIN ? join_fail(EINPROGRESS) : -1;
	if (receive_store_read(part) < 0)
		return -1;
	if (part->offset != part->length)
		return join_fail(EINPROGRESS);
	if (part->offset > u->c->max_size - u->offset)
		return join_fail(EMSGSIZE);
	return join_copy(u, part);
}

/* The ID at the end of a URL; its host and path are what the client took, and mean nothing. */
static bool
join_id(struct str url, char id[RECEIVE_ID + 1])
{
	struct str s =
	    url.n < RECEIVE_ID + 1 ? STR("") : str_n(url.p + url.n - RECEIVE_ID, RECEIVE_ID);

	if (!receive_name_is_id(s) || s.p[-1] != '/')
		return false;
	memcpy(id, s.p, s.n);
	id[s.n] = '\0';
	return true;
}

static int
join_all(struct receive_upload *u)
{
	struct str urls = str_of(u->concat);

	str_split(&urls, ';');
	while (urls.p && urls.n) {
		struct str url = str_split(&urls, ' ');
		struct receive_upload part;
		int rc, err;

		if (url.n == 0)
			continue;
		receive_store_init(&part, u->c);
		part.kind = RECEIVE_TUS;
		rc = join_id(url, part.id) ? join_part(u, &part) : join_fail(ENOENT);
		err = errno;
		receive_store_close(&part);
		if (rc < 0)
			return join_fail(err);
	}
	u->final = u->length = u->offset;
	return receive_store_keep(u);
}

int
receive_store_join(struct receive_upload *u)
{
	int err;

	if (join_all(u) == 0)
		return 0;
	err = errno;
	receive_store_remove(u);
	return join_fail(err);
}
