#include <string.h>

#include "common/json.h"
#include "common/plain.h"

/* Octets of the character at p; 0: it must not be shown. C1 controls are two octets of UTF-8. */
static unsigned
plain_is(const unsigned char *p, const unsigned char *end)
{
	unsigned n = json_utf8(p, end);

	if (*p < 0x20 || *p == 0x7f || (n == 2 && *p == 0xc2 && p[1] < 0xa0))
		return 0;
	return n;
}

void
plain_copy(char *to, const char *from, size_t size)
{
	unsigned char *p = (unsigned char *)to, *end;

	memcpy(to, from, size);
	to[size - 1] = '\0';
	end = p + strlen(to);
	while (p < end) {
		unsigned n = plain_is(p, end);

		if (n == 0)
			*p = '?';
		p += n ? n : 1;
	}
}
