/*
 * Names beneath a root. The first octet is the policy for links, the rest a name. openat2 and the
 * walk without it must find the same file or both none, and what they find under a policy that
 * stays beneath the root is one of the files made there.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/beneath.h"
#include "common/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const links[][2] = { { "a/up", ".." }, { "a/b/up2", "../.." },
	{ "out", "../outside" }, { "a/out", "../../outside/secret" }, { "dot", "." },
	{ "abs", "/etc" }, { "ping", "pong" }, { "pong", "ping" }, { "a/file", "b/file" },
	{ "long", "a/b/up2/a/b/up2/dot/a/b/file" }, { "slash", "a/b/" }, { "odd", "file/" },
	{ "gone", "nothing" }, { "back", "../root/file" } };
static char top[] = "/tmp/argand-fuzz-XXXXXX";
static int root;
static ino_t inside[32];
static size_t ninside;

static int
tree_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	must(ninside < 32);
	inside[ninside++] = st->st_ino;
	return 0;
}

static int
tree_del(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
tree_remove(void)
{
	nftw(top, tree_del, 8, FTW_DEPTH | FTW_PHYS);
}

static void
tree_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	must(fd >= 0);
	close(fd);
}

static void
tree_make(void)
{
	char path[64];
	int dir;

	must(mkdtemp(top) && atexit(tree_remove) == 0);
	dir = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir >= 0 && mkdirat(dir, "root", 0755) == 0 && mkdirat(dir, "outside", 0755) == 0);
	tree_file(dir, "outside/secret");
	root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(root >= 0 && mkdirat(root, "a", 0755) == 0 && mkdirat(root, "a/b", 0755) == 0);
	tree_file(root, "file");
	tree_file(root, "a/b/file");
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		must(symlinkat(links[i][1], root, links[i][0]) == 0);
	close(dir);
	snprintf(path, sizeof(path), "%s/root", top);
	must(nftw(path, tree_one, 8, FTW_PHYS) == 0);
}

/* The inode that fd is; 0: it was not opened. */
static ino_t
inode_of(int fd)
{
	struct stat st;

	if (fd < 0)
		return 0;
	must(fstat(fd, &st) == 0);
	close(fd);
	return st.st_ino;
}

static bool
is_inside(ino_t ino)
{
	for (size_t i = 0; i < ninside; i++)
		if (inside[i] == ino)
			return true;
	return false;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	enum beneath_links policy = len ? (enum beneath_links)(data[0] % 4) : LINKS_BENEATH;
	struct str name = str_n((const char *)data + 1, len ? len - 1 : 0);
	ino_t found, walked;

	if (!ninside)
		tree_make();
	if (!len || memchr(name.p, '\0', name.n) || (name.n && name.p[0] == '/'))
		return 0;
	found = inode_of(beneath_open(root, name, policy, O_RDONLY));
	if (policy == LINKS_BENEATH || policy == LINKS_NONE) {
		walked = inode_of(beneath_walk(root, name, policy, O_RDONLY));
		must(found == walked);
		must(!found || is_inside(found));
	}
	return 0;
}
