/*
 * Files of users. A struct auth_file stands in the arena of the configuration; the master fills it
 * in, and after the fork each worker has its own copy of it to keep up to date. Reading is
 * synchronous: a file has at most 4 MiB, is read when it changed, and is in the page cache then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/auth/file.h"

enum { AUTH_FILE_MAX = 4 << 20, AUTH_FILE_VALID = 1000 /* ms */ };

/* What differs between two states of a file. */
struct auth_file_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct auth_file {
	struct link link;
	const char *path;
	struct htpasswd *users;
	uint64_t version, due;
	struct auth_file_stamp stamp;
	int complaint; /* errno that was logged; 0: none */
};

/* The files of the configuration that is being loaded, or was loaded last. */
static struct {
	struct arena *arena;
	struct link files;
} auth_load;

static uint64_t auth_versions;

static struct auth_file_stamp
auth_file_stamp(const struct stat *st)
{
	struct auth_file_stamp stamp;

	memset(&stamp, 0, sizeof(stamp)); /* padding too: stamps are compared whole */
	stamp.dev = st->st_dev;
	stamp.ino = st->st_ino;
	stamp.size = st->st_size;
	stamp.mtime = st->st_mtim;
	return stamp;
}

/* All of an open file; NULL with errno. */
static char *
auth_file_slurp(int fd, size_t size)
{
	char *text = must_malloc(size + 1);
	size_t n = 0;
	ssize_t got;

	while (n < size && (got = read(fd, text + n, size - n)) != 0) {
		if (got < 0) {
			free(text);
			return NULL;
		}
		n += (size_t)got;
	}
	memset(text + n, '\n', size - n); /* it was cut meanwhile: it will be looked at again */
	return text;
}

/* Reads and parses; -1 with errno, then nothing has changed. */
static int
auth_file_read(struct auth_file *f, htpasswd_complain *complain, void *arg)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), e;
	char *text = NULL;
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		else if (st.st_size > AUTH_FILE_MAX)
			errno = EFBIG;
		else
			text = auth_file_slurp(fd, (size_t)st.st_size);
	}
	e = errno;
	close(fd);
	errno = e;
	if (!text)
		return -1;
	htpasswd_free(f->users);
	f->users = htpasswd_parse(str_n(text, (size_t)st.st_size), complain, arg);
	f->stamp = auth_file_stamp(&st);
	f->version = ++auth_versions;
	explicit_bzero(text, (size_t)st.st_size);
	free(text);
	return 0;
}

/* --- master --- */

struct auth_file_load_context {
	struct cfg_check *check;
	const char *option, *path;
};

static void
auth_file_load_complain(void *arg, int line, const char *what)
{
	const struct auth_file_load_context *c = arg;

	cfg_error(c->check, c->option, -1, NULL, "%s:%d: %s", c->path, line, what);
}

static void
auth_file_load_forget(void *arena)
{
	if (auth_load.arena == arena)
		auth_load.arena = NULL;
}

static void
auth_file_free(void *arg)
{
	struct auth_file *f = arg;

	htpasswd_free(f->users);
}

static struct auth_file *
auth_file_load_find(struct arena *a, const char *path)
{
	if (auth_load.arena != a) {
		auth_load.arena = a;
		list_init(&auth_load.files);
		arena_defer(a, auth_file_load_forget, a);
	}
	LIST_EACH(l, &auth_load.files)
	{
		struct auth_file *f = container_of(l, struct auth_file, link);

		if (strcmp(f->path, path) == 0)
			return f;
	}
	return NULL;
}

struct auth_file *
auth_file_load(struct cfg_check *check, const char *option, struct str path)
{
	struct auth_file_load_context c = { check, option, path.p };
	struct auth_file *f = auth_file_load_find(check->arena, path.p);

	if (f)
		return f;
	f = arena_calloc(check->arena, sizeof(*f));
	f->path = path.p;
	if (auth_file_read(f, auth_file_load_complain, &c) < 0) {
		cfg_error(check, option, -1, "make it with: htpasswd -cB FILE NAME", "%s: %s",
		    f->path, strerror(errno));
		return NULL;
	}
	arena_defer(check->arena, auth_file_free, f);
	list_add_tail(&auth_load.files, &f->link);
	if (htpasswd_count(f->users) == 0)
		cfg_warning(check, option, -1, NULL, "%s: no users: nobody can sign in", f->path);
	return f;
}

/* --- worker --- */

static void
auth_file_complain(void *arg, int line, const char *what)
{
	const struct auth_file *f = arg;

	log_at(LOG_WARN_, "auth", false, "%s:%d: %s", f->path, line, what);
}

/* Says an error once, until it is another one. */
static void
auth_file_failed(struct auth_file *f)
{
	if (f->complaint == errno)
		return;
	f->complaint = errno;
	log_at(LOG_WARN_, "auth", true,
	    "%s has changed, but cannot be read: users stay as they are until a reload", f->path);
}

const struct htpasswd *
auth_file_users(struct auth_file *f, uint64_t now)
{
	struct auth_file_stamp stamp;
	struct stat st;

	if (now < f->due)
		return f->users;
	f->due = now + AUTH_FILE_VALID;
	if (stat(f->path, &st) < 0) {
		auth_file_failed(f);
		return f->users;
	}
	stamp = auth_file_stamp(&st);
	if (memcmp(&stamp, &f->stamp, sizeof(stamp)) == 0)
		return f->users;
	if (auth_file_read(f, auth_file_complain, f) < 0)
		auth_file_failed(f);
	else
		f->complaint = 0;
	return f->users;
}

uint64_t
auth_file_version(const struct auth_file *f)
{
	return f->version;
}
