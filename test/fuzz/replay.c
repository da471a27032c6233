/*
 * main() for a fuzz driver without a fuzzer: every file named on the command line, and every file
 * of every directory, goes once through LLVMFuzzerTestOneInput(). Any compiler will do, so `make
 * check` replays the corpora everywhere; a finding ends the program, as it would under libFuzzer.
 *     replay/NAME test/fuzz/corpus/NAME
 */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
/* A driver may have one: libFuzzer calls it before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned done;

static int
replay_fail(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	return -1;
}

static int
replay_file(const char *path, size_t len)
{
	/* Exactly as long as the input, so that a sanitizer sees the first octet beyond. */
	uint8_t *data = malloc(len ? len : 1);
	FILE *f = fopen(path, "rb");
	int rc = 0;

	if (!data || !f || fread(data, 1, len, f) != len) {
		rc = replay_fail(path);
	} else {
		/* The last name printed is the culprit, should the driver not return. */
		fprintf(stderr, "%s\n", path);
		LLVMFuzzerTestOneInput(data, len);
		done++;
	}
	if (f)
		fclose(f);
	free(data);
	return rc;
}

static int replay_path(const char *path);

static int
replay_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char *name;
	int rc = 0;

	if (!d)
		return replay_fail(path);
	while ((e = readdir(d)) && rc == 0) {
		if (e->d_name[0] == '.')
			continue;
		if (asprintf(&name, "%s/%s", path, e->d_name) < 0)
			abort();
		rc = replay_path(name);
		free(name);
	}
	closedir(d);
	return rc;
}

static int
replay_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return replay_fail(path);
	if (S_ISDIR(st.st_mode))
		return replay_dir(path);
	return replay_file(path, (size_t)st.st_size);
}

int
main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		if (replay_path(argv[i]) < 0)
			return EXIT_FAILURE;
	printf("%u inputs replayed\n", done);
	return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
