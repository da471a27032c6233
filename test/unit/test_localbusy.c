#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "master/local/busy.h"
#include "test/unit/unit.h"

Suite *suite_localbusy(void);

static void
handler(int sig)
{
	(void)sig;
}

START_TEST(test_connections)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), ends[3], taken[3];

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/argand-localbusy-%d", (int)getpid());
	ck_assert_int_eq(bind(sock, (void *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(sock, 4), 0);
	ck_assert_int_eq(localbusy_connections(getpid(), a.sun_path), 0);
	for (int i = 0; i < 3; i++) {
		ends[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(ends[i], (void *)&a, sizeof(a)), 0);
		/* What waits to be accepted is nobody's yet. */
		ck_assert_int_eq(localbusy_connections(getpid(), a.sun_path), i);
		taken[i] = accept(sock, NULL, NULL);
		ck_assert_int_eq(localbusy_connections(getpid(), a.sun_path), i + 1);
	}
	ck_assert_int_eq(localbusy_connections(getpid(), "/tmp/argand-localbusy"), 0);
	close(taken[1]);
	ck_assert_int_eq(localbusy_connections(getpid(), a.sun_path), 2);
	for (int i = 0; i < 3; i++) {
		close(ends[i]);
		if (i != 1)
			close(taken[i]);
	}
	ck_assert_int_eq(localbusy_connections(getpid(), a.sun_path), 0);
	ck_assert_int_eq(localbusy_connections(1 << 30, a.sun_path), -1);
	close(sock);
	unlink(a.sun_path);
}
END_TEST

START_TEST(test_catches)
{
	void (*before)(int) = signal(SIGTERM, handler);
	sigset_t set, mask;

	ck_assert(localbusy_catches_term(getpid()));
	signal(SIGTERM, SIG_IGN);
	ck_assert(localbusy_catches_term(getpid()));
	signal(SIGTERM, SIG_DFL);
	ck_assert(!localbusy_catches_term(getpid()));
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &mask);
	ck_assert(localbusy_catches_term(getpid()));
	sigprocmask(SIG_SETMASK, &mask, NULL);
	signal(SIGTERM, before);
	ck_assert(localbusy_catches_term(1 << 30)); /* nobody knows: it is not ended in its work */
}
END_TEST

START_TEST(test_frozen)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		raise(SIGSTOP);
		_exit(0);
	}
	ck_assert(!localbusy_is_frozen(getpid()));
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	ck_assert(localbusy_is_frozen(pid));
	kill(pid, SIGCONT);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(!localbusy_is_frozen(pid));
}
END_TEST

Suite *
suite_localbusy(void)
{
	Suite *s = suite_create("localbusy");
	TCase *t = tcase_create("localbusy");

	tcase_add_test(t, test_connections);
	tcase_add_test(t, test_catches);
	tcase_add_test(t, test_frozen);
	suite_add_tcase(s, t);
	return s;
}
