/*
 * Spool files: see spool.h. Invariants: a spool's file being written is in its list and has a
 * reference of the spool's own; a file that only this reference holds is closed at once, because
 * all its bytes are consumed, unless it is small: where writer and reader take turns, a new file
 * for each turn would cost more than its content is worth. on_disk and the total count a file from
 * the byte that is written to its closing, which is when the disk has its room back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/must.h"
#include "worker/spool.h"
#include "worker/spoolroom.h"

enum {
	SPOOL_IDLE = 256 << 10, /* a smaller file is kept to be written on when it is read out */
	SPOOL_IOV = 64,
	SPOOL_DIRS = SPOOLROOM_DIRS,
	SPOOL_BAD_MS = 1000,
};

/* What is known of the directories, by their place in the configuration. */
static struct spool_dir {
	uint64_t bad_until; /* clock_ms(); 0: well */
	int err;            /* why */
	bool has_no_tmpfile;
} spool_dirs[SPOOL_DIRS];
static int64_t spool_bytes;

static const struct conf_process *
spool_conf(const struct spool *s)
{
	return &worker_conf(s->w)->process;
}

static size_t
spool_ndirs(const struct spool *s)
{
	size_t n = spool_conf(s)->spool_directories.n;

	return n < SPOOL_DIRS ? n : SPOOL_DIRS;
}

int64_t
spool_total(void)
{
	return spool_bytes;
}

void
spool_start(void)
{
	memset(spool_dirs, 0, sizeof(spool_dirs));
	spoolroom_start();
}

void
spool_init(struct spool *s, struct worker *w, uint64_t request_id)
{
	*s = (struct spool){ .w = w, .id = request_id };
	list_init(&s->files);
}

static void
spool_count(struct worker *w, int64_t n)
{
	spool_bytes += n;
	ctr_add(worker_row(w), CTR_SPOOL_BYTES, n);
	if (n > 0)
		ctr_add(worker_row(w), CTR_SPOOL_WRITTEN, n);
}

bool
spool_charge(struct worker *w, uint64_t request_id, int64_t n)
{
	if (n > 0 && !spoolroom_has(w, spool_bytes, n, false)) {
		spoolroom_refused(w, request_id, NULL);
		return false;
	}
	spool_count(w, n);
	return true;
}

static void
spool_file_close(struct spool_file *f)
{
	struct spool *s = f->owner;

	if (s) {
		s->on_disk -= f->size;
		if (s->file == f)
			s->file = NULL;
	}
	list_del(&f->link);
	spool_count(worker_self(), -f->size);
	close(f->fd);
	free(f);
}

/* Nobody waits for its bytes; only the spool may still write to it. */
static bool
spool_file_is_idle(const struct spool_file *f)
{
	return f->refs == (f->owner && f->owner->file == f ? 1 : 0);
}

void
spool_file_put(struct spool_file *f)
{
	must(f->refs > 0);
	f->refs--;
	if (f->refs == 0 || (f->size >= SPOOL_IDLE && spool_file_is_idle(f)))
		spool_file_close(f);
}

void
spool_seal(struct spool *s)
{
	struct spool_file *f = s->file;

	s->file = NULL;
	if (f)
		spool_file_put(f);
}

void
spool_fini(struct spool *s)
{
	if (!s->w)
		return;
	spool_seal(s);
	LIST_EACH(l, &s->files)
	{
		container_of(l, struct spool_file, link)->owner = NULL;
		list_del(l);
	}
	s->on_disk = 0;
}

/* --- directories --- */

static int
spool_open_in(struct spool_dir *d, const char *dir)
{
	char name[4096];
	int fd;

	if (!d->has_no_tmpfile) {
		fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
			return fd;
		d->has_no_tmpfile = true;
	}
	if (snprintf(name, sizeof(name), "%s/argand-XXXXXX", dir) >= (int)sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

static void
spool_dir_failed(size_t i, int err)
{
	spool_dirs[i].err = err;
	spool_dirs[i].bad_until = clock_ms() + SPOOL_BAD_MS;
}

/* Why each directory is of no use. */
static void
spool_complain(const struct spool *s)
{
	const struct cfg_strs *dirs = &spool_conf(s)->spool_directories;
	char text[2048];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < spool_ndirs(s) && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s: %s", i ? "; " : "",
		    STR_FMT(dirs->v[i]),
		    spool_dirs[i].err ? strerror(spool_dirs[i].err) : "less than 5 % is free");
	spoolroom_refused(s->w, s->id, text);
}

/* A new file in the first directory that is well. *dir: which. NULL: there is none. */
static struct spool_file *
spool_file_open(struct spool *s, size_t *dir)
{
	const struct cfg_strs *dirs = &spool_conf(s)->spool_directories;
	uint64_t now = clock_ms();

	for (size_t i = 0; i < spool_ndirs(s); i++) {
		struct spool_file *f;
		int fd;

		if (spool_dirs[i].bad_until > now)
			continue;
		spool_dirs[i].err = 0;
		if (spoolroom_is_full(s->w, (unsigned)i, dirs->v[i].p))
			continue;
		fd = spool_open_in(&spool_dirs[i], dirs->v[i].p);
		if (fd < 0) {
			spool_dir_failed(i, errno);
			continue;
		}
		f = must_malloc(sizeof(*f));
		*f = (struct spool_file){ .owner = s, .refs = 1, .fd = fd };
		list_add_tail(&s->files, &f->link);
		*dir = i;
		return f;
	}
	return NULL;
}

/* --- writing --- */

/* Makes sure that the file that is written to has room: a full one is given up to its chunks, and a
   new one begun. */
static bool
spool_ready(struct spool *s)
{
	struct spool_file *f = s->file;

	if (f && f->size < SPOOL_FILE)
		return true;
	spool_seal(s);
	s->file = spool_file_open(s, &s->dir);
	return s->file != NULL;
}

/* The file takes no more, whatever the reason: its directory is not used for a second. */
static void
spool_gave_up(struct spool *s, int err)
{
	spool_dir_failed(s->dir, err);
	spool_seal(s);
}

/* Shortens a list of n bytes to at most max. */
static size_t
spool_cut(struct iovec *iov, int *niov, size_t n, size_t max)
{
	while (n > max) {
		struct iovec *last = &iov[*niov - 1];
		size_t over = n - max;

		if (last->iov_len > over) {
			last->iov_len -= over;
			return max;
		}
		n -= last->iov_len;
		(*niov)--;
	}
	return n;
}

/* Writes some of the first run. 0 or an errno. */
static int
spool_write(struct spool *s, struct body *b, struct iovec *iov, int niov, size_t n)
{
	struct spool_file *f = s->file;
	ssize_t done;

	spool_cut(iov, &niov, n, (size_t)(SPOOL_FILE - f->size));
	do
		done = pwritev(f->fd, iov, niov, f->size);
	while (done < 0 && errno == EINTR);
	if (done <= 0)
		return done < 0 ? errno : EIO;
	body_run_stored(b, f, f->size, (size_t)done);
	f->size += done;
	s->on_disk += done;
	s->written += done;
	spool_count(s->w, done);
	return 0;
}

int
spool_store(struct spool *s, struct body *b)
{
	struct iovec iov[SPOOL_IOV];
	size_t n;
	int niov, err;

	while ((niov = body_run(b, iov, SPOOL_IOV, &n)) > 0) {
		if (!spoolroom_has(s->w, spool_bytes, (int64_t)n, s->can_wait)) {
			spoolroom_refused(s->w, s->id, NULL);
			errno = ENOSPC;
			return -1;
		}
		if (!spool_ready(s)) {
			spool_complain(s);
			errno = ENOSPC;
			return -1;
		}
		err = spool_write(s, b, iov, niov, n);
		if (err)
			spool_gave_up(s, err);
	}
	return 0;
}
