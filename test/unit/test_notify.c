#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/base/loop.h"
#include "master/base/notify.h"
#include "test/unit/unit.h"

Suite *suite_notify(void);

enum { MANY = 2000 };

static char path[64];
static int manager;
static struct alarm now;

static void
setup(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(path, sizeof(path), "/tmp/argand-notify-%d", (int)getpid());
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(manager, (void *)&a, sizeof(a)), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	loop_init();
	notify_init();
	unsetenv("NOTIFY_SOCKET");
	ck_assert(notify_is_on());
}

static void
teardown(void)
{
	close(manager);
	unlink(path);
}

/* The next message; empty: none. fd: what came with it, -1. */
static const char *
hear(int *fd)
{
	static char text[1100];
	char room[CMSG_SPACE(sizeof(int))] = "";
	struct iovec iov = { text, sizeof(text) - 1 };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room) };
	ssize_t n = recvmsg(manager, &m, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	*fd = -1;
	if (n > 0 && CMSG_FIRSTHDR(&m))
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*fd));
	return text;
}

START_TEST(test_says)
{
	int fd;

	notify_send("READY=1\nSTATUS=%s", "well");
	ck_assert_str_eq(hear(&fd), "READY=1\nSTATUS=well");
	ck_assert_int_eq(fd, -1);
	notify_unstore("argand-segment");
	ck_assert_str_eq(hear(&fd), "FDSTOREREMOVE=1\nFDNAME=argand-segment");
	notify_reloading();
	ck_assert_int_eq(strncmp(hear(&fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	ck_assert_str_eq(hear(&fd), "");
	notify_fini();
}
END_TEST

START_TEST(test_stores)
{
	struct stat a, b;
	int fd;

	notify_store("argand-ledger", manager);
	ck_assert_str_eq(hear(&fd), "FDSTORE=1\nFDPOLL=0\nFDNAME=argand-ledger");
	ck_assert_int_eq(fstat(manager, &a), 0);
	ck_assert_int_eq(fstat(fd, &b), 0);
	ck_assert(a.st_ino == b.st_ino);
	close(fd);
	notify_fini();
}
END_TEST

static void
rings(void *arg)
{
	(void)arg;
}

/* A manager that does not listen holds nobody up, and gets all of it, in order, when it does. */
START_TEST(test_waits)
{
	char want[32];
	int fd;

	for (int i = 0; i < MANY; i++)
		notify_send("STATUS=%d", i);
	for (int i = 0; i < MANY; i++) {
		const char *text = hear(&fd);

		while (!*text) {
			alarm_set(&now, 0, rings, NULL);
			loop_turn();
			text = hear(&fd);
		}
		snprintf(want, sizeof(want), "STATUS=%d", i);
		ck_assert_str_eq(text, want);
	}
	ck_assert_str_eq(hear(&fd), "");
	notify_fini();
}
END_TEST

START_TEST(test_watchdog)
{
	char pid[16];

	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 15000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 15000);
	setenv("WATCHDOG_USEC", "1", 1);
	ck_assert_uint_eq(notify_watchdog_ms(), 1);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}
END_TEST

Suite *
suite_notify(void)
{
	Suite *s = suite_create("notify");
	TCase *t = tcase_create("notify");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_says);
	tcase_add_test(t, test_stores);
	tcase_add_test(t, test_waits);
	tcase_add_test(t, test_watchdog);
	suite_add_tcase(s, t);
	return s;
}
