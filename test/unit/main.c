/* Runs the suites named on the command line, or all of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/base/fsm.h"
#include "test/unit/unit.h"

#ifndef UNIT_SUITES
#define UNIT_SUITES "test/unit/suites.def"
#endif

#define SUITE(name) Suite *suite_##name(void);
#include UNIT_SUITES
#undef SUITE

static const struct suite {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
#define SUITE(name) { #name, suite_##name },
#include UNIT_SUITES
#undef SUITE
};

static const struct suite *
suite_find(const char *name)
{
	for (int i = 0; i < UNIT_COUNT(suites); i++)
		if (strcmp(suites[i].name, name) == 0)
			return &suites[i];
	return NULL;
}

static int
suite_add(SRunner *runner, const char *name)
{
	const struct suite *s = suite_find(name);

	if (!s) {
		fprintf(stderr, "there is no suite \"%s\"\n", name);
		return -1;
	}
	srunner_add_suite(runner, s->make());
	return 0;
}

int
main(int argc, char **argv)
{
	SRunner *runner = srunner_create(NULL);
	int failed;

	fsm_is_strict = true;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		if (suite_add(runner, argv[i]) < 0)
			return 2;
	for (int i = 0; argc == 1 && i < UNIT_COUNT(suites); i++)
		suite_add(runner, suites[i].name);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
