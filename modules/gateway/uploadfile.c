#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/must.h"
#include "modules/gateway/uploadfile.h"
#include "worker/spool.h"

#define UPLOADFILE_PREFIX "argand-upload-"

enum { UPLOADFILE_RANDOM = 16, UPLOADFILE_TRIES = 8, UPLOADFILE_SHARE = 4 };

static unsigned long uploadfile_nopen; /* descriptors of this worker */

/* --- names and locks --- */

/* n octets as 2 n digits and a NUL. */
static void
uploadfile_hex(char *dst, const unsigned char *v, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*dst++ = digits[v[i] >> 4];
		*dst++ = digits[v[i] & 15];
	}
	*dst = '\0';
}

/* 128 random bits: nobody guesses it, and no other server has it. */
static bool
uploadfile_make_name(struct uploadfile *f)
{
	struct str dir = f->conf->directory;
	unsigned char bits[UPLOADFILE_RANDOM];

	if (getrandom(bits, sizeof(bits), 0) != (ssize_t)sizeof(bits))
		return false;
	memcpy(f->path, dir.p, dir.n);
	memcpy(f->path + dir.n, "/" UPLOADFILE_PREFIX, sizeof(UPLOADFILE_PREFIX));
	uploadfile_hex(f->path + dir.n + sizeof(UPLOADFILE_PREFIX), bits, sizeof(bits));
	return true;
}

/* Ours alone: the prefix and 32 hexadecimal digits. */
static bool
uploadfile_is_ours(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = sizeof(UPLOADFILE_PREFIX) - 1;

	return strncmp(name, UPLOADFILE_PREFIX, n) == 0 &&
	       strlen(name + n) == 2 * (size_t)UPLOADFILE_RANDOM &&
	       strspn(name + n, digits) == 2 * (size_t)UPLOADFILE_RANDOM;
}

static int
uploadfile_lock(int fd)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = INT64_MAX - 1,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

/* Where no file can be without a name. Between the two calls a sweep may take it away: then it has
   no name left, and another one is made. */
static int
uploadfile_open_named(struct uploadfile *f)
{
	for (int i = 0; i < UPLOADFILE_TRIES && uploadfile_make_name(f); i++) {
		struct stat st;
		int fd = open(f->path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR | O_CLOEXEC, 0600);

		if (fd < 0)
			return -1;
		if (uploadfile_lock(fd) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return fd;
		close(fd);
	}
	errno = EAGAIN;
	return -1;
}

/* Without a name where the file system can. */
static int
uploadfile_open_in(struct uploadfile *f)
{
	int fd = open(f->conf->directory.p, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err;

	if (fd >= 0) {
		if (uploadfile_lock(fd) == 0)
			return fd;
		err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -1;
	fd = uploadfile_open_named(f);
	if (fd < 0)
		f->path[0] = '\0';
	return fd;
}

static bool
uploadfile_has_descriptor(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	       uploadfile_nopen < limit.rlim_cur / UPLOADFILE_SHARE;
}

int
uploadfile_open(struct uploadfile *f, struct arena *a, struct worker *w, uint64_t id,
    const struct upload_conf *conf)
{
	*f = (struct uploadfile){ .conf = conf, .w = w, .id = id };
	f->path = arena_alloc(
	    a, conf->directory.n + sizeof("/" UPLOADFILE_PREFIX) + 2 * UPLOADFILE_RANDOM);
	f->path[0] = '\0';
	if (!uploadfile_has_descriptor())
		return EMFILE;
	f->fd = uploadfile_open_in(f);
	if (f->fd < 0)
		return errno;
	uploadfile_nopen++;
	f->hash = EVP_MD_CTX_new();
	must(f->hash && EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL) == 1);
	return 0;
}

/* --- octets --- */

/* On the loop: with the processor's SHA instructions 64 KiB take 45 us, less than their copy to and
   from another thread's cache and two wake-ups would; writes go to the kernel's cache, as those of
   spool files do. */
int
uploadfile_write(struct uploadfile *f, const char *p, size_t n)
{
	if (!spool_charge(f->w, f->id, (int64_t)n))
		return ENOSPC;
	must(EVP_DigestUpdate(f->hash, p, n) == 1);
	while (n > 0) {
		ssize_t done = pwrite(f->fd, p, n, f->size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			int err = done < 0 ? errno : EIO;

			spool_charge(f->w, f->id, -(int64_t)n);
			return err;
		}
		p += done;
		n -= (size_t)done;
		f->size += done;
	}
	return 0;
}

static void
uploadfile_unhash(struct uploadfile *f)
{
	EVP_MD_CTX_free(f->hash);
	f->hash = NULL;
}

void
uploadfile_finish(struct uploadfile *f)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	must(EVP_DigestFinal_ex(f->hash, digest, &n) == 1 && n == 32);
	uploadfile_hex(f->sha256, digest, n);
	uploadfile_unhash(f);
}

/* --- the name --- */

int
uploadfile_name(struct uploadfile *f)
{
	char self[64];

	if (f->conf->gid != (gid_t)-1 && fchown(f->fd, (uid_t)-1, f->conf->gid) != 0)
		return errno;
	if (fchmod(f->fd, f->conf->mode) != 0)
		return errno;
	if (f->path[0])
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", f->fd);
	if (!uploadfile_make_name(f) ||
	    linkat(AT_FDCWD, self, AT_FDCWD, f->path, AT_SYMLINK_FOLLOW) != 0) {
		f->path[0] = '\0';
		return errno;
	}
	return 0;
}

/* The name is 128 random bits: who finds another file beneath it has put it there to be removed. */
void
uploadfile_close(struct uploadfile *f)
{
	if (f->hash)
		uploadfile_unhash(f);
	if (f->path[0])
		unlink(f->path);
	spool_charge(f->w, f->id, -f->size);
	close(f->fd);
	uploadfile_nopen--;
}

/* --- what the dead left --- */

struct uploadfile_sweeper {
	struct job job;
	unsigned removed;
	char dir[];
};

static bool
uploadfile_is_left(int dir, const char *name)
{
	struct stat st;
	int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool is;

	if (fd < 0)
		return false;
	is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && uploadfile_lock(fd) == 0 &&
	     unlinkat(dir, name, 0) == 0;
	close(fd);
	return is;
}

static void
uploadfile_sweep_work(struct job *job)
{
	struct uploadfile_sweeper *s = container_of(job, struct uploadfile_sweeper, job);
	DIR *d = opendir(s->dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		if (uploadfile_is_ours(e->d_name) && uploadfile_is_left(dirfd(d), e->d_name))
			s->removed++;
	}
	if (d)
		closedir(d);
}

static void
uploadfile_sweep_done(struct job *job)
{
	struct uploadfile_sweeper *s = container_of(job, struct uploadfile_sweeper, job);

	if (s->removed > 0)
		log_at(LOG_NOTICE_, "gateway", false,
		    "%s: removed %u files of uploads whose worker has died", s->dir, s->removed);
	free(s);
}

void
uploadfile_sweep(struct worker *w, struct str directory)
{
	struct uploadfile_sweeper *s = must_calloc(1, sizeof(*s) + directory.n + 1);

	s->job.work = uploadfile_sweep_work;
	s->job.done = uploadfile_sweep_done;
	memcpy(s->dir, directory.p, directory.n);
	worker_offload(w, &s->job);
}
