#include <stdlib.h>
#include <unistd.h>

#include "master/local/spec.h"
#include "test/unit/unit.h"

Suite *suite_localspec(void);

static struct str command[] = { STR_INIT("/bin/app"), STR_INIT("-x") };
static struct str environment[] = { STR_INIT("A=1"), STR_INIT("KEPT=mine"), STR_INIT("=bad") };
static struct str keep[] = { STR_INIT("KEPT"), STR_INIT("ALSO"), STR_INIT("MISSING") };

static void
init(struct conf_pool *pool, struct conf_process *process)
{
	*process = (struct conf_process){ .user = STR("worker"), .group = STR("workers") };
	*pool = (struct conf_pool){ .name = STR("app"),
		.spawn = { .command = { command, 2 },
		    .min = 2,
		    .max = 5,
		    .idle = 7000,
		    .requests_per_process = 3,
		    .stop_timeout = 9000,
		    .socket = STR("/run/app.sock"),
		    .environment = { environment, 3 },
		    .keep_environment = { keep, 3 } } };
}

START_TEST(test_copy)
{
	struct conf_process process;
	struct conf_pool pool;
	struct localspec *s;

	setenv("PATH", "/usr/bin", 1);
	setenv("KEPT", "theirs", 1);
	setenv("ALSO", "x", 1);
	setenv("SECRET", "x", 1);
	unsetenv("MISSING");
	init(&pool, &process);
	s = localspec_new(&pool, &process);
	ck_assert_str_eq(s->path, "/run/app.sock");
	ck_assert_str_eq(s->argv[1], "-x");
	ck_assert_ptr_null(s->argv[2]);
	ck_assert_str_eq(s->envp[0], "PATH=/usr/bin");
	ck_assert_str_eq(s->envp[1], "KEPT=mine");
	ck_assert_str_eq(s->envp[2], "ALSO=x");
	ck_assert_str_eq(s->envp[3], "A=1");
	ck_assert_ptr_null(s->envp[4]);
	/* Who is not root has no choice. */
	ck_assert_str_eq(s->as.user, geteuid() == 0 ? "worker" : "");
	ck_assert_str_eq(s->as.group, geteuid() == 0 ? "workers" : "");
	ck_assert_uint_eq(s->scale.least, 2);
	ck_assert_uint_eq(s->scale.most, 5);
	ck_assert_uint_eq(s->scale.per_process, 3);
	localspec_free(s);
	unsetenv("PATH");
	s = localspec_new(&pool, &process);
	ck_assert_int_eq(strncmp(s->envp[0], "PATH=/usr/local/sbin:", 21), 0);
	localspec_free(s);
	localspec_free(NULL);
}
END_TEST

/* A group of its own keeps no group of the workers; a user of its own neither. */
START_TEST(test_user)
{
	struct conf_process process;
	struct conf_pool pool;
	struct localspec *s;

	init(&pool, &process);
	pool.spawn.user = STR("other");
	s = localspec_new(&pool, &process);
	ck_assert_str_eq(s->as.user, "other");
	ck_assert_str_eq(s->as.group, "");
	localspec_free(s);
	pool.spawn.user = STR("");
	pool.spawn.group = STR("g");
	s = localspec_new(&pool, &process);
	ck_assert_str_eq(s->as.user, geteuid() == 0 ? "worker" : "");
	ck_assert_str_eq(s->as.group, "g");
	localspec_free(s);
}
END_TEST

/* One starter, which runs so many scripts; a command is its interpreter. */
START_TEST(test_cgi)
{
	struct conf_process process;
	struct conf_pool pool;
	struct localspec *s;

	init(&pool, &process);
	pool.protocol = POOL_CGI;
	pool.spawn.command.n = 0;
	s = localspec_new(&pool, &process);
	ck_assert_uint_eq(s->scale.least, 1);
	ck_assert_uint_eq(s->scale.most, 1);
	ck_assert_uint_eq(s->scripts, 5);
	ck_assert_ptr_null(s->argv[0]);
	localspec_free(s);
}
END_TEST

static void
change_nothing(struct conf_pool *p)
{
	(void)p;
}

static void
change_numbers(struct conf_pool *p)
{
	p->spawn.min = 3;
	p->spawn.max = 30;
	p->spawn.idle = 1;
	p->spawn.requests_per_process = 2;
	p->spawn.stop_timeout = 1;
	p->timeout.connect = 3;
}

#define CHANGE(name, what)                                                                         \
	static void change_##name(struct conf_pool *p)                                             \
	{                                                                                          \
		what;                                                                              \
	}
CHANGE(command, p->spawn.command.n = 1)
CHANGE(environment, p->spawn.environment.n = 1)
CHANGE(user, p->spawn.user = STR("u"))
CHANGE(group, p->spawn.group = STR("u"))
CHANGE(chroot, p->spawn.chroot = STR("/x"))
CHANGE(directory, p->spawn.directory = STR("/x"))
CHANGE(memory, p->spawn.max_memory = 1)
CHANGE(files, p->spawn.max_files = 1)
CHANGE(cpu, p->spawn.max_cpu = 1)
CHANGE(processes, p->spawn.max_processes = 1)
CHANGE(umask, p->spawn.umask = 077)
CHANGE(protocol, p->protocol = POOL_CGI)
CHANGE(socket, p->spawn.socket = STR("/y"))

static const struct {
	void (*change)(struct conf_pool *);
	bool is_same;
} digests[] = {
	{ change_nothing, true },
	{ change_numbers, true },
	{ change_command, false },
	{ change_environment, false },
	{ change_user, false },
	{ change_group, false },
	{ change_chroot, false },
	{ change_directory, false },
	{ change_memory, false },
	{ change_files, false },
	{ change_cpu, false },
	{ change_processes, false },
	{ change_umask, false },
	{ change_protocol, false },
	{ change_socket, false },
};

/* How many processes there are is no reason to start them anew; all else is. */
START_TEST(test_digest)
{
	struct conf_process process;
	struct conf_pool pool;
	struct localspec *a, *b;

	init(&pool, &process);
	a = localspec_new(&pool, &process);
	digests[_i].change(&pool);
	b = localspec_new(&pool, &process);
	ck_assert_msg((a->digest == b->digest) == digests[_i].is_same, "row %d", _i);
	localspec_free(a);
	localspec_free(b);
}
END_TEST

Suite *
suite_localspec(void)
{
	Suite *s = suite_create("localspec");
	TCase *t = tcase_create("localspec");

	tcase_add_test(t, test_copy);
	tcase_add_test(t, test_user);
	tcase_add_test(t, test_cgi);
	tcase_add_loop_test(t, test_digest, 0, UNIT_COUNT(digests));
	suite_add_tcase(s, t);
	return s;
}
