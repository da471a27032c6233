/*
 * The master's events: what children have of them can be read and by no means written; what another
 * master left is taken over, and nothing that is not its.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/segment/shm.h"
#include "master/base/chronicle.h"
#include "master/base/inherit.h"
#include "test/unit/unit.h"

Suite *suite_chronicle(void);

/* What this process shows, as texts one after the other. */
static char *
shown(void)
{
	static char text[1024];
	struct shm *shm = shm_create();
	struct history_entry *v;
	unsigned n;

	ck_assert_ptr_nonnull(shm);
	v = history_take(shm, HISTORY_ROWS, &n);
	text[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %ux;",
		    v[i].event.text, v[i].event.times);
	free(v);
	shm_close(shm);
	return text;
}

START_TEST(test_add)
{
	chronicle_add(HISTORY_RELOAD, 0, -1, "lost: there is none yet");
	chronicle_open();
	ck_assert_str_eq(shown(), "");
	chronicle_add(HISTORY_RELOAD, 0, -1, "generation %u", 2);
	chronicle_add(HISTORY_WORKER_DEATH, 44, 0, "killed");
	chronicle_add(HISTORY_WORKER_DEATH, 45, 1, "killed");
	ck_assert_str_eq(shown(), "generation 2 1x;killed 2x;");
}
END_TEST

/* Mappings of the file in this process: how many, and the rights of the last. */
static unsigned
mappings(char rights[8], void **at)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned n = 0;
	char line[512];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "/memfd:" CHRONICLE_NAME))
			n += sscanf(line, "%p-%*x %7s", at, rights) == 2;
	fclose(f);
	return n;
}

/* In a child: 0, or which of its ways to write there was open. */
static int
child_writes(void)
{
	char rights[8] = "";
	void *at = NULL;

	if (mappings(rights, &at) != 1)
		return 1;
	if (strcmp(rights, "r--s") != 0)
		return 2;
	if (mprotect(at, 4096, PROT_READ | PROT_WRITE) == 0 || errno != EACCES)
		return 3;
	if (strcmp(shown(), "true 1x;") != 0)
		return 4;
	return 0;
}

START_TEST(test_children_only_read)
{
	int status;
	pid_t pid;

	chronicle_open();
	chronicle_add(HISTORY_RELOAD, 0, -1, "true");
	pid = fork();
	if (pid == 0)
		_exit(child_writes());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(test_taken_over)
{
	int fd, status;
	pid_t pid;

	chronicle_open();
	chronicle_add(HISTORY_RELOAD, 0, -1, "before");
	fd = chronicle_fd();
	pid = fork();
	if (pid == 0) { /* as another master: with nothing but the descriptor */
		inherit_add(fd, CHRONICLE_NAME);
		chronicle_open();
		chronicle_add(HISTORY_RESTART, 0, -1, "after");
		_exit(chronicle_fd() != fd || strcmp(shown(), "before 1x;after 1x;") != 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(shown(), "before 1x;after 1x;");
}
END_TEST

static const struct {
	off_t size;
	mode_t mode;
	bool is_sealed;
} wrong_rows[] = {
	{ 0, 0600, true },
	{ 4096, 0600, true },
	{ 1 << 20, 0600, true },
	{ 98368, 0600, true }, /* the size is right, and zeros stand there */
	{ 98368, 0600, false },
	{ 98368, 0666, true },
};

/* What is not one is not used; there is another. */
START_TEST(test_wrong)
{
	int fd = memfd_create("t", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(ftruncate(fd, wrong_rows[_i].size), 0);
	ck_assert_int_eq(fchmod(fd, wrong_rows[_i].mode), 0);
	if (wrong_rows[_i].is_sealed)
		ck_assert_int_eq(
		    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	inherit_add(fd, CHRONICLE_NAME);
	chronicle_open();
	chronicle_add(HISTORY_RELOAD, 0, -1, "x");
	ck_assert_str_eq(shown(), "x 1x;");
	ck_assert_int_eq(fcntl(chronicle_fd(), F_GET_SEALS) & F_SEAL_SHRINK, F_SEAL_SHRINK);
}
END_TEST

Suite *
suite_chronicle(void)
{
	Suite *s = suite_create("chronicle");
	TCase *tc = tcase_create("chronicle");

	tcase_add_checked_fixture(tc, NULL, chronicle_close);
	tcase_add_test(tc, test_add);
	tcase_add_test(tc, test_children_only_read);
	tcase_add_test(tc, test_taken_over);
	tcase_add_loop_test(tc, test_wrong, 0, UNIT_COUNT(wrong_rows));
	suite_add_tcase(s, tc);
	return s;
}
