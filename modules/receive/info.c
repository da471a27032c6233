/*
 * What is known of an upload, as lines in a small file that is replaced as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/must.h"
#include "modules/receive/store.h"

enum { INFO_MAX = 2 * RECEIVE_METADATA_MAX + 1024 };

static const struct str info_first = STR_INIT("upload 1");

static int
info_fail(int err)
{
	errno = err;
	return -1;
}

static void
info_text(char **at, struct str value)
{
	free(*at);
	*at = must_calloc(1, value.n + 1);
	memcpy(*at, value.p, value.n);
}

static void
info_line(struct receive_upload *u, struct str key, struct str value)
{
	const struct {
		struct str key;
		int64_t *at;
	} numbers[] = { { STR_INIT("length"), &u->length }, { STR_INIT("final"), &u->final },
		{ STR_INIT("pending"), &u->pending } };
	uint64_t v;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (str_eq(key, numbers[i].key) && str_to_u64(value, INT64_MAX, &v))
			*numbers[i].at = (int64_t)v;
	if (str_eq(key, STR("kind")))
		u->kind = str_eq(value, STR("tus")) ? RECEIVE_TUS : RECEIVE_DRAFT;
	else if (str_eq(key, STR("complete")) && str_to_u64(value, INT64_MAX, &v)) {
		u->is_complete = true;
		u->offset = (int64_t)v;
	} else if (str_eq(key, STR("replace")))
		u->may_replace = true;
	else if (str_eq(key, STR("name")) && !receive_name_refuse(value)) {
		memcpy(u->name, value.p, value.n);
		u->name[value.n] = '\0';
	} else if (str_eq(key, STR("metadata")))
		info_text(&u->metadata, value);
	else if (str_eq(key, STR("concat")))
		info_text(&u->concat, value);
}

int
receive_info_read(struct receive_upload *u)
{
	char path[RECEIVE_ID + 16], text[INFO_MAX];
	struct str rest, line, key;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s.info", u->id);
	fd = openat(u->hold, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	n = pread(fd, text, sizeof(text), 0);
	close(fd);
	rest = str_n(text, n > 0 ? (size_t)n : 0);
	if (!str_eq(str_split(&rest, '\n'), info_first))
		return info_fail(EIO);
	u->length = u->final = u->pending = -1;
	u->is_complete = u->may_replace = false;
	while (rest.p && rest.n) {
		line = str_split(&rest, '\n');
		if (!rest.p) /* each line has an end */
			return info_fail(EIO);
		key = str_split(&line, ' ');
		info_line(u, key, line.p ? line : STR(""));
	}
	return 0;
}

static int
info_print(const struct receive_upload *u, char *text, size_t room)
{
	const struct {
		const char *key;
		int64_t v;
	} numbers[] = { { "length", u->length }, { "final", u->final }, { "pending", u->pending },
		{ "complete", u->is_complete ? u->offset : -1 } };
	int n = snprintf(text, room, "%s\nkind %s\n%s", info_first.p,
	    u->kind == RECEIVE_TUS ? "tus" : "draft", u->may_replace ? "replace 1\n" : "");

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i].v >= 0)
			n += snprintf(text + n, room - (size_t)n, "%s %lld\n", numbers[i].key,
			    (long long)numbers[i].v);
	if (u->name[0])
		n += snprintf(text + n, room - (size_t)n, "name %s\n", u->name);
	if (u->metadata)
		n += snprintf(text + n, room - (size_t)n, "metadata %s\n", u->metadata);
	if (u->concat)
		n += snprintf(text + n, room - (size_t)n, "concat %s\n", u->concat);
	must(n > 0 && (size_t)n < room);
	return n;
}

int
receive_info_write(struct receive_upload *u)
{
	char path[RECEIVE_ID + 16], fresh[RECEIVE_ID + 16], text[INFO_MAX];
	int n = info_print(u, text, sizeof(text));
	bool is_good;
	int fd;

	snprintf(path, sizeof(path), "%s.info", u->id);
	snprintf(fresh, sizeof(fresh), "%s.fresh", u->id);
	fd = openat(u->hold, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	is_good = write(fd, text, (size_t)n) == n && (!u->c->sync || fsync(fd) == 0);
	close(fd);
	if (is_good)
		is_good = renameat(u->hold, fresh, u->hold, path) == 0;
	if (is_good && u->c->sync)
		is_good = fsync(u->hold) == 0;
	return is_good ? 0 : -1;
}
