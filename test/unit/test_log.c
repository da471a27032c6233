/*
 * The error log's forms, through a pipe: levels, prefixes, what control characters become, that
 * errno stays, and that a line is one line whatever its length.
 */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/base/log.h"
#include "common/base/utf8.h"
#include "test/unit/unit.h"

Suite *suite_log(void);

static int ends[2];
static char got[8192];

static void
setup(void)
{
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	log_level = LOG_DEBUG_;
	log_who("worker 2");
	log_open(ends[1], LOG_TEXT);
}

static void
teardown(void)
{
	log_open(STDERR_FILENO, LOG_TEXT);
	log_who("argand");
	log_level = LOG_NOTICE_;
	close(ends[0]);
	close(ends[1]);
}

static const char *
read_back(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static bool
is_like(const char *s, const char *pattern)
{
	regex_t re;
	bool yes;

	ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	yes = regexec(&re, s, 0, NULL, 0) == 0;
	regfree(&re);
	return yes;
}

#define STAMP "^20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

START_TEST(test_text)
{
	log_put(LOG_ERROR_, NULL, false, "cannot %s %d", "open", 7);
	ck_assert_msg(is_like(read_back(), STAMP "error worker 2: cannot open 7\n$"), "%s", got);
	log_put(LOG_DEBUG_, "conn 7/3", false, "closed");
	ck_assert_msg(is_like(read_back(), STAMP "debug worker 2: conn 7/3: closed\n$"), "%s", got);
}
END_TEST

static const struct {
	enum log_level level;
	const char *line;
} prefix_rows[] = {
	{ LOG_FATAL_, "<2>worker 2: x\n" },
	{ LOG_ERROR_, "<3>worker 2: x\n" },
	{ LOG_WARN_, "<4>worker 2: x\n" },
	{ LOG_NOTICE_, "<5>worker 2: x\n" },
	{ LOG_INFO_, "<6>worker 2: x\n" },
	{ LOG_DEBUG_, "<7>worker 2: x\n" },
};

START_TEST(test_prefix)
{
	log_open(ends[1], LOG_PREFIX);
	log_put(prefix_rows[_i].level, NULL, false, "x");
	ck_assert_str_eq(read_back(), prefix_rows[_i].line);
}
END_TEST

static const struct {
	const char *text, *shown;
} control_rows[] = {
	{ "a\nb", "a\\x0Ab" },
	{ "a\tb\r", "a\\x09b\\x0D" },
	{ "\033[2J", "\\x1B[2J" },
	{ "\x7f", "\\x7F" },
	{ "back\\slash \"quote\"", "back\\slash \"quote\"" },
	/* what is readable stays */
	{ "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x95\xaf",
	    "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x95\xaf" },
	{ "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" },
	/* C1, separators, directions: octet for octet */
	{ "\xc2\x9b"
	  "31m",
	    "\\xC2\\x9B31m" },
	{ "\xc2\x80\xc2\x9f\xc2\xa0", "\\xC2\\x80\\xC2\\x9F\xc2\xa0" },
	{ "\xe2\x80\xa8\xe2\x80\xa9", "\\xE2\\x80\\xA8\\xE2\\x80\\xA9" },
	{ "a\xe2\x80\xae"
	  "gpj",
	    "a\\xE2\\x80\\xAEgpj" },
	{ "\xe2\x81\xa6\xe2\x81\xa9", "\\xE2\\x81\\xA6\\xE2\\x81\\xA9" },
	/* no UTF-8: alone, overlong, surrogate, beyond U+10FFFF, cut off */
	{ "\xfe", "\\xFE" },
	{ "\x9b"
	  "31m",
	    "\\x9B31m" },
	{ "\xc0\xaf\xc1\xbf", "\\xC0\\xAF\\xC1\\xBF" },
	{ "\xe0\x80\xaf", "\\xE0\\x80\\xAF" },
	{ "\xf0\x82\x82\xac", "\\xF0\\x82\\x82\\xAC" },
	{ "\xed\xa0\x80", "\\xED\\xA0\\x80" },
	{ "\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80" },
	{ "\xf5\x80\x80\x80", "\\xF5\\x80\\x80\\x80" },
	{ "end \xc2", "end \\xC2" },
	{ "end \xe2\x82", "end \\xE2\\x82" },
	{ "end \xf0\x9f\x95", "end \\xF0\\x9F\\x95" },
	{ "\xe2(\xc3\xa4", "\\xE2(\xc3\xa4" },
};

START_TEST(test_control)
{
	char want[128];

	log_open(ends[1], LOG_PREFIX);
	log_put(LOG_WARN_, NULL, false, "%s", control_rows[_i].text);
	snprintf(want, sizeof(want), "<4>worker 2: %s\n", control_rows[_i].shown);
	ck_assert_str_eq(read_back(), want);
	log_put(LOG_WARN_, control_rows[_i].text, false, "x");
	snprintf(want, sizeof(want), "<4>worker 2: %s: x\n", control_rows[_i].shown);
	ck_assert_str_eq(read_back(), want);
}
END_TEST

START_TEST(test_errno)
{
	log_open(ends[1], LOG_PREFIX);
	errno = ENOENT;
	log_warn("open %s", "/x");
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(read_back(), "<4>worker 2: open /x: No such file or directory\n");
	log_open(-1, LOG_PREFIX);
	errno = EPERM;
	log_warnx("nobody reads this");
	ck_assert_int_eq(errno, EPERM);
}
END_TEST

START_TEST(test_level)
{
	log_open(ends[1], LOG_PREFIX);
	for (int level = LOG_FATAL_; level <= LOG_DEBUG_; level++) {
		log_level = (enum log_level)level;
		for (int line = LOG_FATAL_; line <= LOG_DEBUG_; line++) {
			log_put((enum log_level)line, NULL, false, "x");
			ck_assert_int_eq(read_back()[0] != '\0', line <= level);
		}
	}
}
END_TEST

START_TEST(test_level_names)
{
	for (int level = LOG_FATAL_; level <= LOG_DEBUG_; level++)
		ck_assert_int_eq(log_level_of(log_level_name((enum log_level)level)), level);
	ck_assert_int_eq(log_level_of("warning"), -1);
	ck_assert_int_eq(log_level_of(""), -1);
}
END_TEST

/* Valid UTF-8, no control but the newline at the end. */
static void
must_be_plain(const char *s)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + strlen(s) - 1;

	ck_assert_int_eq(*end, '\n');
	while (p < end) {
		unsigned n = utf8_plain(p, end);

		if (n == 0)
			ck_abort_msg(
			    "octet %#x at %td of \"%s\"", *p, p - (const unsigned char *)s, s);
		p += n;
	}
}

static const char *const long_units[] = { "a", "\001", "\xfe", "\xc3\xa4", "\xe2\x82\xac",
	"\xf0\x9f\x95\xaf", "\xe2\x80\xae" };

/* Texts of every kind of length stay one line of bounded length; a cut is visible, and between two
   characters: what was readable is not escaped for being cut. */
START_TEST(test_long)
{
	const char *unit = long_units[_i];
	size_t len = strlen(unit);
	char text[10000];

	for (unsigned form = LOG_TEXT; form <= LOG_PREFIX; form++) {
		log_open(ends[1], (enum log_form)form);
		for (size_t n = 2900; n<9000; n += n> 3040 && n < 3080 ? 1 : 97) {
			for (size_t i = 0; i < n; i++)
				text[i] = unit[i % len];
			text[n - n % len] = '\0';
			errno = ENOENT;
			log_put(LOG_ERROR_, NULL, n % 2, "%s", text);
			read_back();
			ck_assert_uint_le(strlen(got), 4096);
			ck_assert_ptr_eq(strchr(got, '\n'), got + strlen(got) - 1);
			must_be_plain(got);
			if (_i != 1 && _i != 2 && _i != 6)
				ck_assert_ptr_null(strchr(got, '\\'));
			if (n > 3100)
				ck_assert_str_eq(got + strlen(got) - 4, "...\n");
		}
	}
}
END_TEST

/* Every octet and every pair of them, alone and before a letter, makes a plain line. */
START_TEST(test_all_pairs)
{
	log_open(ends[1], LOG_PREFIX);
	for (int a = 1; a < 256; a++)
		for (int b = 0; b < 256; b += b < 0x80 ? 0x1f : 1) {
			char text[4] = { (char)a, (char)b, b ? 'x' : '\0' };

			log_put(LOG_WARN_, NULL, false, "%s", text);
			must_be_plain(read_back());
		}
}
END_TEST

/* The journal's socket, in a /run of our own; -1 where that is not allowed. */
static int
journal_open(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX,
		.sun_path = "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/run", "tmpfs", 0, NULL) < 0)
		return -1;
	ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
	ck_assert_int_eq(mkdir("/run/systemd/journal", 0755), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

/* Its fields are separated by newlines: nobody adds one, and each is as plain as a line. */
START_TEST(test_journal)
{
	char text[6000];
	int fd = journal_open();
	ssize_t n;

	if (fd < 0)
		return; /* not root, or in a container that lets nobody mount */
	log_open(ends[1], LOG_JOURNAL);
	log_put(LOG_WARN_, "conn\n7", false, "a\nPRIORITY=0\n\xfe\xe2\x80\xae\xc2\x9b \xc3\xa4");
	n = read(fd, got, sizeof(got) - 1);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, "PRIORITY=4\nSYSLOG_IDENTIFIER=argand\nARGAND_WORKER=2\n"
			      "ARGAND_OBJECT=conn\\x0A7\nMESSAGE=worker 2: conn\\x0A7: "
			      "a\\x0APRIORITY=0\\x0A\\xFE\\xE2\\x80\\xAE\\xC2\\x9B \xc3\xa4\n");
	memset(text, 1, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_put(LOG_WARN_, NULL, false, "%s", text);
	n = read(fd, got, sizeof(got) - 1);
	ck_assert_int_gt(n, 4000);
	ck_assert_int_le(n, 4096);
	ck_assert_mem_eq(got + n - 4, "...\n", 4);
	close(fd);
}
END_TEST

/* The name of the process is no way around it either. */
START_TEST(test_who)
{
	log_open(ends[1], LOG_PREFIX);
	log_who("worker\n\xfe");
	log_put(LOG_WARN_, NULL, false, "x");
	ck_assert_str_eq(read_back(), "<4>worker\\x0A\\xFE: x\n");
}
END_TEST

START_TEST(test_form_for_stderr)
{
	unsetenv("JOURNAL_STREAM");
	ck_assert_int_eq(log_form_for_stderr(), LOG_TEXT);
	setenv("JOURNAL_STREAM", "1:2", 1);
	ck_assert_int_eq(log_form_for_stderr(), LOG_TEXT);
	setenv("JOURNAL_STREAM", "nonsense", 1);
	ck_assert_int_eq(log_form_for_stderr(), LOG_TEXT);
	unsetenv("JOURNAL_STREAM");
}
END_TEST

Suite *
suite_log(void)
{
	Suite *s = suite_create("log");
	TCase *t = tcase_create("log");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_text);
	tcase_add_loop_test(t, test_prefix, 0, UNIT_COUNT(prefix_rows));
	tcase_add_loop_test(t, test_control, 0, UNIT_COUNT(control_rows));
	tcase_add_test(t, test_errno);
	tcase_add_test(t, test_level);
	tcase_add_test(t, test_level_names);
	tcase_add_loop_test(t, test_long, 0, UNIT_COUNT(long_units));
	tcase_add_test(t, test_all_pairs);
	tcase_add_test(t, test_who);
	tcase_add_test(t, test_journal);
	tcase_add_test(t, test_form_for_stderr);
	suite_add_tcase(s, t);
	return s;
}
