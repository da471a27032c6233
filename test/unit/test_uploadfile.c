/*
 * Files of uploads: no name before they are complete, gone at the end unless they were renamed, and
 * what a process that died has left is removed, what a living one holds is not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "modules/gateway/uploadform.h"
#include "test/unit/filetree.h"
#include "test/unit/rows.h"
#include "test/unit/unit.h"
#include "worker/spool.h"
#include "worker/state.h"

Suite *suite_uploadfile(void);

static struct loopback *lo;
static struct worker *w;
static struct arena arena;
static struct upload_conf conf;

static void
begin(const char *spool)
{
	char text[128];

	tree_make();
	snprintf(text, sizeof(text), "server: { spool: { %s }; };", spool);
	lo = rows_open(text, "respond = \"x\";");
	w = lo_worker(lo);
	arena_init(&arena, NULL, 0);
	conf = (struct upload_conf){
		.directory = str_of(tree_path()),
		.mode = 0604,
		.gid = (gid_t)-1,
	};
}

static void
end(void)
{
	ck_assert_int_eq(spool_total(), 0);
	arena_fini(&arena);
	lo_close(lo);
	tree_remove();
}

/* How many names there are. */
static int
count(void)
{
	DIR *d = opendir(tree_path());
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
open_file(struct uploadfile *f, const char *octets)
{
	ck_assert_int_eq(uploadfile_open(f, &arena, w, 7, &conf), 0);
	ck_assert_int_eq(uploadfile_write(f, octets, strlen(octets)), 0);
}

static void
sweep(void)
{
	uploadfile_sweep(w, conf.directory);
	offload_fini(w);
}

START_TEST(life)
{
	struct uploadfile f;
	struct stat st;

	begin("");
	open_file(&f, "ab");
	ck_assert_int_eq(uploadfile_write(&f, "c", 1), 0);
	ck_assert_int_eq(count(), 0);
	ck_assert_int_eq(spool_total(), 3);
	uploadfile_finish(&f);
	ck_assert_str_eq(
	    f.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	ck_assert_int_eq(uploadfile_name(&f), 0);
	ck_assert_int_eq(stat(f.path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0604);
	ck_assert_int_eq(st.st_size, 3);
	ck_assert_int_eq(count(), 1);
	uploadfile_close(&f);
	ck_assert_int_eq(count(), 0);
	end();
}
END_TEST

START_TEST(broken_off_and_kept)
{
	struct uploadfile f;

	begin("");
	open_file(&f, "abc");
	uploadfile_close(&f);
	ck_assert_int_eq(count(), 0);
	open_file(&f, "abc");
	uploadfile_finish(&f);
	ck_assert_int_eq(uploadfile_name(&f), 0);
	tree_rename(f.path + strlen(tree_path()) + 1, "kept");
	uploadfile_close(&f);
	ck_assert_int_eq(count(), 1);
	sweep();
	ck_assert_int_eq(count(), 1);
	tree_unlink("kept");
	end();
}
END_TEST

START_TEST(failures)
{
	struct uploadfile f;

	begin("max = \"64k\";");
	open_file(&f, "abc");
	ck_assert_int_eq(uploadfile_write(&f, "x", (size_t)-1 >> 1), ENOSPC);
	ck_assert_int_eq(spool_total(), 3);
	uploadfile_close(&f);
	conf.directory = STR("/nonexistent");
	ck_assert_int_eq(uploadfile_open(&f, &arena, w, 7, &conf), ENOENT);
	end();
}
END_TEST

/* A child has a file, with a name, and says so by it. */
static pid_t
hold(void)
{
	pid_t pid = fork();
	struct uploadfile f;

	if (pid == 0) {
		if (uploadfile_open(&f, &arena, w, 7, &conf) == 0) {
			uploadfile_finish(&f);
			uploadfile_name(&f);
		}
		for (;;)
			pause();
	}
	while (count() == 0)
		usleep(1000);
	return pid;
}

START_TEST(what_the_dead_left)
{
	pid_t pid;

	begin("");
	pid = hold();
	tree_text("argand-upload-", "theirs");
	tree_text("argand-upload-0123456789abcdef0123456789abcdeg", "theirs");
	tree_fifo("argand-upload-0123456789abcdef0123456789abcdef");
	sweep();
	ck_assert_int_eq(count(), 4);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	sweep();
	ck_assert_int_eq(count(), 3);
	end();
}
END_TEST

/* What a route sets for one request: ours once, with values; what else it sets stays. */
START_TEST(fields)
{
	struct gateway_pair own[] = { { .name = STR("X-Own"), .value = STR("1") },
		{ .name = STR("content-type"), .value = STR("x") } };
	struct gateway_conf gw = { .set = { own, 2 } };
	struct uploadfile raw = { .name = STR("a b"), .type = STR("t"), .path = "/d/x", .size = 5 };
	const struct gateway_conf *c;
	const struct gateway_pair *v;

	arena_init(&arena, NULL, 0);
	uploadform_reserve(&arena, &gw);
	ck_assert_uint_eq(gw.set.n, 8);
	c = uploadform_conf(&arena, &gw, 1, &raw);
	v = c->set.v;
	ck_assert_uint_eq(c->set.n, 8);
	ck_assert_str_eq(v[0].name.p, "X-Own");
	ck_assert_str_eq(v[1].value.p, "x");
	ck_assert_str_eq(v[2].value.p, "1");
	ck_assert_str_eq(v[3].text.v[0].literal.p, "/d/x");
	ck_assert_str_eq(v[7].value.p, "a%20b");
	c = uploadform_conf(&arena, &gw, 0, NULL);
	v = c->set.v;
	ck_assert_uint_eq(c->set.n, 8);
	ck_assert_str_eq(v[1].value.p, "application/x-www-form-urlencoded");
	ck_assert_str_eq(v[2].value.p, "0");
	ck_assert_uint_eq(v[3].value.n, 0);
	ck_assert(uploadform_is_reserved(STR("x_upload.PATH")));
	ck_assert(!uploadform_is_reserved(STR("X-Upload-Paths")));
	arena_fini(&arena);
}
END_TEST

START_TEST(form)
{
	struct uploadfile f = { .field = STR("f[]"),
		.name = STR("\xc3\xa4&"),
		.type = STR("a/b"),
		.path = "/d",
		.size = 7,
		.sha256 = "00" };
	struct text t = { 0 };

	uploadform_name(&t, STR("a b"));
	uploadform_encode(&t, STR("1\r\n+=%~"));
	uploadform_file(&t, 12, &f);
	text_add(&t, "", 1);
	ck_assert_str_eq(t.p, "a%20b=1%0D%0A%2B%3D%25~&argand_upload%5B12%5D%5Bfield%5D=f%5B%5D"
			      "&argand_upload%5B12%5D%5Bname%5D=%C3%A4%26"
			      "&argand_upload%5B12%5D%5Btype%5D=a%2Fb"
			      "&argand_upload%5B12%5D%5Bsize%5D=7"
			      "&argand_upload%5B12%5D%5Bsha256%5D=00"
			      "&argand_upload%5B12%5D%5Bpath%5D=%2Fd");
	text_free(&t);
}
END_TEST

Suite *
suite_uploadfile(void)
{
	Suite *s = suite_create("uploadfile");
	TCase *t = tcase_create("uploadfile");

	tcase_add_test(t, life);
	tcase_add_test(t, broken_off_and_kept);
	tcase_add_test(t, failures);
	tcase_add_test(t, what_the_dead_left);
	tcase_add_test(t, fields);
	tcase_add_test(t, form);
	suite_add_tcase(s, t);
	return s;
}
