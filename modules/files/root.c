#include "modules/files/root.h"

#include <fcntl.h>
#include <unistd.h>
#include "common/base/log.h"

void
files_root_init(struct files_root *root, const char *path)
{
	*root = (struct files_root){ .path = path, .fd = -1 };
}

void
files_root_fini(struct files_root *root)
{
	if (root->fd >= 0)
		close(root->fd);
	root->fd = -1;
}

static void
files_root_gone(struct files_root *root)
{
	if (!root->is_logged)
		log_warn("files: root %s", root->path);
	root->is_logged = true;
	if (root->fd < 0)
		return;
	files_root_fini(root);
	root->generation++;
}

void
files_root_check(struct files_root *root, uint64_t now, int64_t valid)
{
	struct stat st;
	int fd;

	root->due = now + (uint64_t)valid;
	if (stat(root->path, &st) < 0) {
		files_root_gone(root);
		return;
	}
	if (root->fd >= 0 && st.st_dev == root->dev && st.st_ino == root->ino)
		return;
	fd = open(root->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		files_root_gone(root);
		if (fd >= 0)
			close(fd);
		return;
	}
	files_root_fini(root);
	root->fd = fd;
	root->dev = st.st_dev;
	root->ino = st.st_ino;
	root->generation++;
	root->is_logged = false;
}
