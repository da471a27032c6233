#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "common/base/safedir.h"
#include "modules/links/secret.h"

enum { SECRET_MAX = 4096, SECRET_SHORT = 16 };

static const char secret_make[] = "make one with: openssl rand -base64 32";

/* The name of a file up to its first dot. */
static struct str
links_secret_id(struct str path)
{
	const char *slash = memrchr(path.p, '/', path.n);
	struct str name = path;

	if (slash)
		name = str_n(slash + 1, (size_t)(path.p + path.n - slash) - 1);
	return str_split(&name, '.');
}

static void
links_secret_forget(void *arg)
{
	struct str *text = arg;

	explicit_bzero((char *)(uintptr_t)text->p, text->n);
}

/* All of an open file, at most SECRET_MAX + 1 octets; -1 with errno. */
static ssize_t
links_secret_slurp(int fd, char *text)
{
	ssize_t n = 0, got;

	do {
		got = read(fd, text + n, (size_t)(SECRET_MAX + 1 - n));
		n += got > 0 ? got : 0;
	} while (got > 0);
	return got < 0 ? got : n;
}

/* The content; *n, or -1 with errno. */
static char *
links_secret_read(struct arena *a, const char *path, ssize_t *n, struct stat *st)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), e;
	char *text = arena_alloc(a, SECRET_MAX + 1);

	*n = -1;
	if (fd < 0)
		return NULL;
	if (fstat(fd, st) == 0) {
		errno = S_ISDIR(st->st_mode) ? EISDIR : EINVAL;
		if (S_ISREG(st->st_mode))
			*n = links_secret_slurp(fd, text);
	}
	e = errno;
	close(fd);
	errno = e;
	return text;
}

static void
links_secret_rights(
    struct cfg_check *check, const char *option, int i, const char *path, const struct stat *st)
{
	char by[128];

	if (st->st_mode & S_IWOTH)
		cfg_error(check, option, i, arena_printf(check->arena, "chmod 640 %s", path).p,
		    "%s: everybody on this machine can change the secret", path);
	else if (st->st_mode & S_IROTH)
		cfg_warning(check, option, i, arena_printf(check->arena, "chmod 640 %s", path).p,
		    "%s: everybody on this machine can read the secret, and make links", path);
	else if (safedir_is_others(st, by, sizeof(by)))
		cfg_warning(check, option, i, NULL,
		    "%s: others can change the secret, and make links: it %s", path, by);
}

bool
links_secret_load(
    struct links_secret *s, struct cfg_check *check, const char *option, int i, struct str path)
{
	struct stat st;
	ssize_t n;
	char *text = links_secret_read(check->arena, path.p, &n, &st);

	*s = (struct links_secret){ links_secret_id(path), { text, 0 }, path.p };
	if (n < 0) {
		cfg_error(check, option, i, secret_make, "%s: %s", path.p, strerror(errno));
		return false;
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	s->text.n = (size_t)n;
	arena_defer(check->arena, links_secret_forget, &s->text);
	if (n == 0)
		cfg_error(check, option, i, secret_make, "%s: the secret is empty", path.p);
	else if (n > SECRET_MAX || memchr(text, '\n', (size_t)n))
		cfg_error(check, option, i, secret_make,
		    "%s: a file has one secret, in one line of at most %d octets", path.p,
		    SECRET_MAX);
	else if (n < SECRET_SHORT)
		cfg_warning(check, option, i, secret_make,
		    "%s: a secret of %zd octets can be guessed by trying", path.p, n);
	links_secret_rights(check, option, i, path.p, &st);
	return n > 0;
}
