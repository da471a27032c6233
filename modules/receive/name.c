#include "modules/receive/name.h"

#include "common/base/utf8.h"

const char *
receive_name_refuse(struct str name)
{
	const unsigned char *p = (const unsigned char *)name.p, *end = p + name.n;

	if (name.n == 0)
		return "the file has no name";
	if (name.n > RECEIVE_NAME_MAX)
		return "the name of the file is too long";
	/* "." and "..", what is hidden, and the directory of what is not complete yet. */
	if (p[0] == '.')
		return "the name of the file begins with a dot";
	if (p[0] == ' ' || end[-1] == ' ' || end[-1] == '.')
		return "the name of the file ends in a dot or has spaces around it";
	for (unsigned n; p < end; p += n) {
		n = utf8_plain(p, end);
		if (n == 0)
			return "the name of the file has octets that are no text";
		/* A slash that was sent encoded stays so in a path. */
		if (*p == '/' || *p == '\\' ||
		    (end - p >= 3 && p[0] == '%' && p[1] == '2' && str_lower(p[2]) == 'f'))
			return "the name of the file is a path";
	}
	return NULL;
}

bool
receive_name_is_id(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned)s.p[i] - '0' >= 10 && (unsigned)s.p[i] - 'a' >= 6)
			return false;
	return s.n == RECEIVE_ID;
}
