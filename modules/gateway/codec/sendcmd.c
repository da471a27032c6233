/*
 * See sendcmd.h. Applications write these fields from names that their users gave them: whatever
 * could mean two things to two readers is refused.
 */
#include "modules/gateway/codec/sendcmd.h"

#include "worker/uri.h"

const struct sendcmd_row sendcmd_rows[SENDCMD_NONE] = {
	[SENDCMD_REDIRECT] = { STR_INIT("X-Accel-Redirect"), true },
	[SENDCMD_PARTS] = { STR_INIT("X-Sendfile2"), true },
	[SENDCMD_FILE] = { STR_INIT("X-Sendfile"), true },
	[SENDCMD_LIGHTTPD] = { STR_INIT("X-LIGHTTPD-send-file"), true },
	[SENDCMD_BODY] = { STR_INIT("X-Send-Response-Body"), false },
	[SENDCMD_TEMPFILE] = { STR_INIT("X-LIGHTTPD-send-tempfile"), false },
};

enum sendcmd
sendcmd_of(struct str name)
{
	unsigned i = 0;

	while (i < SENDCMD_NONE && !str_caseeq(name, sendcmd_rows[i].name))
		i++;
	return (enum sendcmd)i;
}

static int
sendcmd_digit(unsigned char c)
{
	if ((unsigned)c - '0' < 10)
		return c - '0';
	c |= 0x20;
	return (unsigned)c - 'a' < 6 ? c - 'a' + 10 : -1;
}

static struct str
sendcmd_decode(struct arena *a, struct str s)
{
	char *to = arena_alloc(a, s.n + 1), *p = to;

	for (size_t i = 0; i < s.n; i++) {
		int high = -1, low = -1;

		if (s.p[i] == '%' && i + 2 < s.n) {
			high = sendcmd_digit((unsigned char)s.p[i + 1]);
			low = sendcmd_digit((unsigned char)s.p[i + 2]);
		}
		if (high < 0 || low < 0) {
			*p++ = s.p[i];
			continue;
		}
		*p++ = (char)(high << 4 | low);
		i += 2;
	}
	return str_n(to, (size_t)(p - to));
}

static bool
sendcmd_has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

const char *
sendcmd_path(struct arena *a, struct str value, bool is_encoded, struct str *path)
{
	struct str s = is_encoded ? sendcmd_decode(a, value) : value;
	bool is_absolute = s.n > 0 && s.p[0] == '/', ends_in_slash = false;
	char *to, *p;

	if (s.n == 0)
		return "no path";
	if (sendcmd_has_control(s))
		return "a control character in the path";
	if (s.n > SENDCMD_PATH)
		return "the path is too long";
	p = to = arena_alloc(a, s.n + 2);
	while (s.p) {
		struct str segment = str_split(&s, '/');

		if (str_eq(segment, STR("..")))
			return "\"..\" in the path";
		ends_in_slash = segment.n == 0 || str_eq(segment, STR("."));
		if (ends_in_slash)
			continue;
		if (p > to || is_absolute)
			*p++ = '/';
		p = mempcpy(p, segment.p, segment.n);
	}
	if (ends_in_slash && (p > to || is_absolute))
		*p++ = '/';
	*p = '\0';
	*path = str_n(to, (size_t)(p - to));
	return NULL;
}

const char *
sendcmd_target(struct arena *a, struct str value, struct str *path, struct str *query)
{
	struct str rest = value, before = str_split(&rest, '?');
	const char *why;

	if (sendcmd_has_control(value))
		return "a control character in the path";
	why = sendcmd_path(a, before, true, path);
	if (why)
		return why;
	/* Decoded: some applications encode the slashes as well. */
	if (path->n == 0 || path->p[0] != '/')
		return "not a path that begins with \"/\"";
	*query = rest.p ? uri_encode_excluded(a, rest) : rest;
	return NULL;
}

/* "begin-[end]" */
static const char *
sendcmd_range(struct str text, struct sendcmd_part *part)
{
	struct str end = text, begin = str_split(&end, '-');
	uint64_t first, last;

	if (!end.p || !str_to_u64(begin, INT64_MAX - 1, &first))
		return "a range is not \"begin-\" or \"begin-end\"";
	part->first = (int64_t)first;
	part->last = -1;
	if (end.n == 0)
		return NULL;
	if (!str_to_u64(end, INT64_MAX - 1, &last))
		return "a range is not \"begin-\" or \"begin-end\"";
	part->last = (int64_t)last;
	return last + 1 < first ? "a range ends before it begins" : NULL;
}

static const char *
sendcmd_part(struct arena *a, struct str text, struct sendcmd_part *part)
{
	ptrdiff_t space = str_find(text, ' ');
	const char *why;

	if (space < 0)
		return "no range behind a path";
	why = sendcmd_path(a, str_n(text.p, (size_t)space), true, &part->path);
	if (why)
		return why;
	return sendcmd_range(str_trim(str_n(text.p + space, text.n - (size_t)space)), part);
}

const char *
sendcmd_parts(
    struct arena *a, struct str value, struct sendcmd_part v[SENDCMD_PARTS_MAX], unsigned *n)
{
	*n = 0;
	while (value.p) {
		const char *why;

		if (*n == SENDCMD_PARTS_MAX)
			return "more than 64 parts";
		why = sendcmd_part(a, str_trim(str_split(&value, ',')), &v[*n]);
		if (why)
			return why;
		++*n;
	}
	return NULL;
}

struct str
sendcmd_below(struct str path, struct str dir)
{
	while (dir.n > 0 && dir.p[dir.n - 1] == '/')
		dir.n--;
	if (path.n <= dir.n + 1 || !str_has_prefix(path, dir) || path.p[dir.n] != '/')
		return (struct str){ path.p, 0 };
	return str_n(path.p + dir.n + 1, path.n - dir.n - 1);
}
