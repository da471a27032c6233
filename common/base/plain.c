#include <string.h>

#include "common/base/plain.h"
#include "common/base/utf8.h"

void
plain_copy(char *to, const char *from, size_t size)
{
	unsigned char *p = (unsigned char *)to, *end;

	memcpy(to, from, size);
	to[size - 1] = '\0';
	end = p + strlen(to);
	while (p < end) {
		unsigned n = utf8_plain(p, end);

		if (n == 0)
			*p = '?';
		p += n ? n : 1;
	}
}
