#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "config.h"
#include "common/config/module.h"
#include "common/segment/shm.h"
#include "master/cli/cli_conf.h"
#include "master/cli/version.h"
#include "master/handover.h"

static void
version_verbose(void)
{
	struct utsname u;

	printf("compiler:   %s\nflags:      %s\n", BUILD_COMPILER, BUILD_FLAGS);
	if (BUILD_SANITIZE[0])
		printf("sanitizers: %s\n", BUILD_SANITIZE);
	printf("features:   %s\nlibraries:  %s\n", BUILD_FEATURES, BUILD_LIBRARIES);
	printf("paths:      configuration %s, run time %s, data %s\n", cli_default_file,
	    ARGAND_RUNSTATEDIR, ARGAND_DATADIR);
	printf("segment:    version %d, hand-over record: version %d\n", SHM_VERSION,
	    HANDOVER_VERSION);
	if (uname(&u) == 0)
		printf("system:     %s %s %s\n", u.sysname, u.release, u.machine);
	printf("modules:   ");
	for (size_t i = 0; i < modules_n; i++)
		printf(" %s", modules[i]->name);
	printf("\n");
}

int
version_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--handover") == 0) {
		printf("handover %d\n", HANDOVER_VERSION);
		return CLI_OK;
	}
	printf("%s %s\n", PACKAGE_NAME, PACKAGE_VERSION);
	if (argc == 2 && (strcmp(argv[1], "-v") == 0 || strcmp(argv[1], "--verbose") == 0))
		version_verbose();
	else if (argc != 1) {
		fprintf(stderr, "usage: argand version [-v]\n");
		return CLI_USAGE;
	}
	return CLI_OK;
}
