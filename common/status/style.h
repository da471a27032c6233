/*
 * Escape sequences of a terminal, or nothing.
 */
#ifndef STATUS_STYLE_H
#define STATUS_STYLE_H

#include <stdbool.h>

struct statusstyle {
	const char *strong, *good, *warn, *bad, *dim, *plain;
};

static inline const struct statusstyle *
statusstyle(bool colour)
{
	static const struct statusstyle styles[] = {
		{ "", "", "", "", "", "" },
		{ "\033[1m", "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[0m" },
	};

	return &styles[colour];
}

#endif
