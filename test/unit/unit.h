/*
 * The unit-test program: every test/unit/test_NAME.c defines one suite, suite_NAME(), and the build
 * makes the list of them from the names of the files. A suite runs by itself with
 *     build/unit-tests NAME...
 */
#ifndef TEST_UNIT_UNIT_H
#define TEST_UNIT_UNIT_H

#include <check.h>
#include <string.h>
#include "common/base/str.h"

#define UNIT_COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

/* A string with its length against a literal or NUL-terminated text. */
#define unit_str_eq(s, text)                                                                       \
	do {                                                                                       \
		struct str unit_s = (s);                                                           \
		const char *unit_t = (text);                                                       \
		ck_assert_msg(unit_s.n == strlen(unit_t) &&                                        \
				  (unit_s.n == 0 || memcmp(unit_s.p, unit_t, unit_s.n) == 0),      \
		    "\"%.*s\" is not \"%s\"", (int)unit_s.n, unit_s.p, unit_t);                    \
	} while (0)

#endif
