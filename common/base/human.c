#include <stdio.h>

#include "common/base/human.h"

static const char *
human_scale(char dst[HUMAN_MAX], double v, double factor)
{
	static const char units[] = "kMGTPE";
	int u = -1;

	while (v >= 999.5 && u < 5) {
		v /= factor;
		u++;
	}
	if (u < 0)
		snprintf(dst, HUMAN_MAX, "%.0f", v);
	else
		snprintf(dst, HUMAN_MAX, v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[u]);
	return dst;
}

const char *
human_count(char dst[HUMAN_MAX], double v)
{
	return human_scale(dst, v, 1000);
}

const char *
human_bytes(char dst[HUMAN_MAX], double v)
{
	return human_scale(dst, v, 1024);
}

const char *
human_time(char dst[HUMAN_MAX], uint64_t ms)
{
	unsigned long long s = ms / 1000, days = s / 86400;

	if (days)
		snprintf(dst, HUMAN_MAX, "%llud %lluh", days, s / 3600 % 24);
	else if (s >= 3600)
		snprintf(dst, HUMAN_MAX, "%lluh %llum", s / 3600, s / 60 % 60);
	else if (s >= 60)
		snprintf(dst, HUMAN_MAX, "%llum %llus", s / 60, s % 60);
	else
		snprintf(dst, HUMAN_MAX, "%llus", s);
	return dst;
}

const char *
human_us(char dst[HUMAN_MAX], uint64_t us)
{
	static const char *const units[] = { "us", "ms", "s" };
	double v = (double)us;
	int u = 0;

	for (; v >= 999.5 && u < 2; u++)
		v /= 1000;
	snprintf(dst, HUMAN_MAX, u && v < 9.95 ? "%.1f%s" : "%.0f%s", v, units[u]);
	return dst;
}
