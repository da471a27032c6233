/*
 * Names are compared as the most generous file system does: without regard to case, without
 * characters that are no ASCII (some are ignored, two are other forms of letters), and without the
 * dots and blanks at their end. A copy is what editors, packages and people make of a
 * file: the name, and behind it "~", numbers, and words from a list, each after a separator.
 */
#include <stdio.h>
#include <unistd.h>

#include "modules/files/script.h"

enum { SCRIPT_NAME = 256 }; /* NAME_MAX is 255 */

static const char *const files_script_words[] = { "bak", "backup", "bkp", "old", "orig", "original",
	"save", "saved", "sav", "copy", "prev", "previous", "swp", "swo", "swn", "tmp", "temp",
	"rej", "new", "dist", "deleted", "disabled", "off", "dpkg", "ucf", "rpmsave", "rpmnew",
	"rpmorig", "gz", "br", "zst", "bz2", "xz", NULL };

static bool
files_script_ends(struct str name, struct str end)
{
	return name.n >= end.n && str_caseeq(str_n(name.p + name.n - end.n, end.n), end);
}

static bool
files_script_is_separator(char c)
{
	return c == '.' || c == '-' || c == '_' || c == ' ' || c == '(';
}

/* Takes one sign of a copy off the end. */
static bool
files_script_strip(struct str *name)
{
	size_t n = name->n;

	while (n > 0 && memchr("~#.-_() ", name->p[n - 1], 8))
		n--;
	while (n > 1 && (unsigned)(name->p[n - 1] - '0') < 10)
		n--;
	while (n > 0 && n < name->n &&
	       (name->p[n - 1] == '~' || files_script_is_separator(name->p[n - 1])))
		n--;
	if (n < name->n) {
		name->n = n;
		return true;
	}
	for (size_t i = 0; files_script_words[i]; i++) {
		struct str word = str_of(files_script_words[i]);

		if (name->n <= word.n || !files_script_ends(*name, word) ||
		    !files_script_is_separator(name->p[name->n - word.n - 1]))
			continue;
		name->n -= word.n + 1;
		return true;
	}
	return false;
}

/* The last component of name, folded, at to. */
static struct str
files_script_fold(struct str name, char to[SCRIPT_NAME])
{
	const char *slash = memrchr(name.p, '/', name.n);
	size_t n = 0;

	if (slash)
		name = str_n(slash + 1, name.n - (size_t)(slash + 1 - name.p));
	for (size_t i = 0; i < name.n && n < SCRIPT_NAME; i++) {
		struct str rest = str_n(name.p + i, name.n - i);

		if ((unsigned char)name.p[i] < 0x80)
			to[n++] = name.p[i];
		else if (str_has_prefix(rest, STR("\xc5\xbf"))) /* U+017F */
			to[n++] = 's';
		else if (str_has_prefix(rest, STR("\xe2\x84\xaa"))) /* U+212A */
			to[n++] = 'k';
	}
	return str_n(to, n);
}

bool
files_script_is(const struct cfg_strs *suffixes, struct str name)
{
	char room[SCRIPT_NAME];

	name = files_script_fold(name, room);
	do
		for (size_t i = 0; i < suffixes->n; i++)
			if (files_script_ends(name, suffixes->v[i]))
				return true;
	while (files_script_strip(&name));
	return false;
}

bool
files_script_is_open(const struct cfg_strs *suffixes, int fd)
{
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	return n > 0 && files_script_is(suffixes, str_n(path, (size_t)n));
}
