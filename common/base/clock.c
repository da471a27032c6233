/*
 * Clocks and HTTP dates. The calendar is the proleptic Gregorian one in UTC, computed here: no
 * locale, no time zone, no table but the names of days and months.
 */
#include "common/base/clock.h"
#include "common/base/must.h"

static const char clock_days[7][10] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday",
	"Friday", "Saturday" };
static const char clock_months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec" };

uint64_t
clock_ns(void)
{
	struct timespec ts;

	must(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_ms(void)
{
	return clock_ns() / 1000000;
}

time_t
clock_wall(void)
{
	return time(NULL);
}

/*
 * Days are counted from 1 March of the year 0 of a 400-year era (146097 days), so that the leap day
 * is the last of its year, and 153 days make five months from March on.
 */
static int64_t
clock_days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t in_era = y - era * 400;
	int64_t in_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

struct clock_date {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second;
};

static struct clock_date
clock_date_of(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t d = z - era * 146097;
	int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	int64_t in_year = d - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * in_year + 2) / 153;

	return (struct clock_date){
		.year = (int)(y + era * 400 + (m >= 10)),
		.month = (int)(m < 10 ? m + 3 : m - 9),
		.day = (int)(in_year - (153 * m + 2) / 5 + 1),
	};
}

static void
clock_put_2(char *p, int v)
{
	p[0] = (char)('0' + v / 10);
	p[1] = (char)('0' + v % 10);
}

void
clock_http_date(char dst[29], time_t t)
{
	int64_t days, rest;
	struct clock_date c;

	/* The form has four digits for the year: what lies outside is clamped. */
	if (t < -62167219200)
		t = -62167219200;
	if (t > 253402300799)
		t = 253402300799;
	days = (t >= 0 ? t : t - 86399) / 86400;
	rest = t - days * 86400;
	c = clock_date_of(days);
	memcpy(dst, "Sun, 00 Jan 0000 00:00:00 GMT", 29);
	memcpy(dst, clock_days[(days % 7 + 11) % 7], 3);
	clock_put_2(dst + 5, c.day);
	memcpy(dst + 8, clock_months[c.month - 1], 3);
	clock_put_2(dst + 12, c.year / 100);
	clock_put_2(dst + 14, c.year % 100);
	clock_put_2(dst + 17, (int)(rest / 3600));
	clock_put_2(dst + 20, (int)(rest / 60 % 60));
	clock_put_2(dst + 23, (int)(rest % 60));
}

/*
 * The forms as patterns. Upper-case letters stand for what is read: W day name (3 letters), L day
 * name (whole), D day of the month (2 digits), E the same with a space for the tens, M month name,
 * Y year (4 digits), C year of the century (2 digits), T time of day. The rest stands for itself,
 * and is case-sensitive (RFC 9110 5.6.7).
 */
static const char *const clock_forms[] = {
	"W, D M Y T +", /* Sun, 06 Nov 1994 08:49:37 GMT */
	"L, D-M-C T +", /* Sunday, 06-Nov-94 08:49:37 GMT */
	"W M E T Y",    /* Sun Nov  6 08:49:37 1994 */
};

/* Takes n digits from the front of *s; -1 when they are not. */
static int
clock_take_digits(struct str *s, size_t n)
{
	uint64_t v;

	if (s->n < n || !str_to_u64(str_n(s->p, n), UINT64_MAX, &v))
		return -1;
	s->p += n;
	s->n -= n;
	return (int)v;
}

static bool
clock_take_text(struct str *s, struct str text)
{
	if (!str_has_prefix(*s, text))
		return false;
	s->p += text.n;
	s->n -= text.n;
	return true;
}

static bool
clock_take_day_name(struct str *s, bool is_whole)
{
	for (int i = 0; i < 7; i++) {
		struct str name = str_of(clock_days[i]);

		if (clock_take_text(s, is_whole ? name : str_n(name.p, 3)))
			return true;
	}
	return false;
}

static int
clock_take_month(struct str *s)
{
	for (int i = 0; i < 12; i++) {
		if (clock_take_text(s, str_n(clock_months[i], 3)))
			return i + 1;
	}
	return -1;
}

static bool
clock_take_time(struct str *s, struct clock_date *c)
{
	c->hour = clock_take_digits(s, 2);
	if (!clock_take_text(s, STR(":")))
		return false;
	c->minute = clock_take_digits(s, 2);
	if (!clock_take_text(s, STR(":")))
		return false;
	c->second = clock_take_digits(s, 2);
	/* RFC 9110 5.6.7: 60 is a leap second. */
	return c->hour >= 0 && c->hour < 24 && c->minute >= 0 && c->minute < 60 && c->second >= 0 &&
	       c->second <= 60;
}

/* RFC 9110 5.6.7: two digits that seem to be more than 50 years ahead mean the past century. */
static int
clock_year_of_century(int yy)
{
	int now, year;

	if (yy < 0)
		return -1;
	now = clock_date_of((int64_t)clock_wall() / 86400).year;
	year = now - now % 100 + yy;
	return year > now + 50 ? year - 100 : year;
}

static bool
clock_take(struct str *s, char what, struct clock_date *c)
{
	switch (what) {
	case 'W':
	case 'L':
		return clock_take_day_name(s, what == 'L');
	case 'E':
		if (!clock_take_text(s, STR(" ")))
			return (c->day = clock_take_digits(s, 2)) > 0;
		return (c->day = clock_take_digits(s, 1)) > 0;
	case 'D':
		return (c->day = clock_take_digits(s, 2)) > 0;
	case 'M':
		return (c->month = clock_take_month(s)) > 0;
	case 'Y':
		return (c->year = clock_take_digits(s, 4)) >= 0;
	case 'C':
		return (c->year = clock_year_of_century(clock_take_digits(s, 2))) >= 0;
	case 'T':
		return clock_take_time(s, c);
	case '+':
		return clock_take_text(s, STR("GMT"));
	default:
		return clock_take_text(s, str_n(&what, 1));
	}
}

static bool
clock_match(struct str s, const char *form, struct clock_date *c)
{
	for (; *form; form++) {
		if (!clock_take(&s, *form, c))
			return false;
	}
	return s.n == 0;
}

static bool
clock_is_date(const struct clock_date *c)
{
	int64_t days = clock_days_of(c->year, c->month, c->day);
	struct clock_date back = clock_date_of(days);

	return back.day == c->day && back.month == c->month;
}

bool
clock_parse_http_date(struct str s, time_t *out)
{
	for (size_t i = 0; i < sizeof(clock_forms) / sizeof(clock_forms[0]); i++) {
		struct clock_date c = { 0 };

		if (!clock_match(s, clock_forms[i], &c))
			continue;
		if (!clock_is_date(&c))
			return false;
		*out = clock_days_of(c.year, c.month, c.day) * 86400 + c.hour * 3600 +
		       c.minute * 60 + c.second;
		return true;
	}
	return false;
}
