/*
 * The error log. Owns the descriptor's form, the name of this process in each line and the text of
 * the present second. Invariants: a line is one write(2) (one datagram with the journal), so lines
 * of several processes never mix; a line is valid UTF-8 and holds no control character but its end
 * (and our own colours on a terminal), whatever callers pass: all that comes from them goes through
 * log_line_add_safe(); errno is as it was before the call. It does not block on the journal: what
 * its socket does not take is counted, and the next line that goes through says how many were lost.
 * Not for the access log (modules/log/accesslog.c), not for other threads than the main one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/utf8.h"

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum { LOG_TEXT_MAX = 3072, LOG_LINE_MAX = 4096, LOG_WHO_MAX = 32 };

enum log_level log_level = LOG_NOTICE_;

static struct {
	int fd;
	enum log_form form;
	bool is_terminal; /* the short form of LOG_TEXT */
	bool has_colour;
	int journal; /* connected socket, -1 when there is none */
	unsigned long lost;
	char who[LOG_WHO_MAX];
	time_t second;  /* what stamp is for */
	char stamp[32]; /* "2026-11-22T03:04:05" */
} self = { .fd = STDERR_FILENO, .form = LOG_TEXT, .journal = -1, .who = "argand", .second = -1 };

/* One row per level: the word, the syslog priority (RFC 5424 6.2.1), the colour on a terminal. */
static const struct {
	const char *name;
	int priority;
	const char *colour;
} levels[] = {
	[LOG_FATAL_] = { "fatal", 2, "\033[1;31m" },
	[LOG_ERROR_] = { "error", 3, "\033[31m" },
	[LOG_WARN_] = { "warn", 4, "\033[33m" },
	[LOG_NOTICE_] = { "notice", 5, "\033[32m" },
	[LOG_INFO_] = { "info", 6, "\033[36m" },
	[LOG_DEBUG_] = { "debug", 7, "\033[2m" },
};

enum { LOG_LEVELS = sizeof(levels) / sizeof(levels[0]) };

/* A line being made; from the first piece that has no room on nothing is added but "...". */
struct log_line {
	size_t n;
	bool is_cut;
	char s[LOG_LINE_MAX];
};

static const char log_cut[] = "...";

/* A piece of ours: all of it or nothing. There stays room for log_cut and the line's end. */
static void
log_line_add(struct log_line *l, const char *s, size_t n)
{
	l->is_cut |= n > sizeof(l->s) - sizeof(log_cut) - l->n;
	if (l->is_cut)
		return;
	memcpy(l->s + l->n, s, n);
	l->n += n;
}

static void
log_line_add_z(struct log_line *l, const char *z)
{
	log_line_add(l, z, strlen(z));
}

/* A text of somebody else's: what is no plain text (common/base/utf8.h) byte for byte as \xNN. */
static void
log_line_add_safe(struct log_line *l, const char *z)
{
	const unsigned char *p = (const unsigned char *)z, *end = p + strlen(z);
	char esc[4];

	while (p < end && !l->is_cut) {
		unsigned n = utf8_plain(p, end);

		if (n > 0) {
			log_line_add(l, (const char *)p, n);
			p += n;
			continue;
		}
		utf8_escape(esc, *p++);
		log_line_add(l, esc, sizeof(esc));
	}
}

static void
log_line_end(struct log_line *l)
{
	size_t n = l->is_cut ? sizeof(log_cut) - 1 : 0;

	memcpy(l->s + l->n, log_cut, n);
	l->n += n;
	l->s[l->n++] = '\n';
}

static int
log_journal_connect(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = LOG_JOURNAL_SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool
log_wants_colour(int fd)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

void
log_open(int fd, enum log_form form)
{
	int saved = errno;

	self.fd = fd;
	self.form = form;
	self.is_terminal = form == LOG_TEXT && isatty(fd);
	self.has_colour = self.is_terminal && log_wants_colour(fd);
	if (self.journal >= 0)
		close(self.journal);
	self.journal = form == LOG_JOURNAL ? log_journal_connect() : -1;
	errno = saved;
}

void
log_who(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(self.who, sizeof(self.who), fmt, ap);
	va_end(ap);
}

int
log_fd(void)
{
	return self.fd;
}

enum log_form
log_form_for_stderr(void)
{
	const char *stream =
	    getenv("JOURNAL_STREAM"); /* "device:inode" of what the journal reads */
	unsigned long long dev, ino;
	struct stat st;

	if (!stream || sscanf(stream, "%llu:%llu", &dev, &ino) != 2)
		return LOG_TEXT;
	if (fstat(STDERR_FILENO, &st) < 0 || st.st_dev != dev || st.st_ino != ino)
		return LOG_TEXT;
	return LOG_JOURNAL;
}

int
log_level_of(const char *name)
{
	for (int i = 0; i < LOG_LEVELS; i++)
		if (strcmp(name, levels[i].name) == 0)
			return i;
	return -1;
}

const char *
log_level_name(enum log_level level)
{
	return (unsigned)level < LOG_LEVELS ? levels[level].name : "none";
}

/* The time as RFC 3339 in UTC; on a terminal the local time of day. */
static void
log_line_add_time(struct log_line *l)
{
	struct timespec ts;
	struct tm tm;
	char ms[8];

	clock_gettime(CLOCK_REALTIME, &ts);
	if (ts.tv_sec != self.second) {
		self.second = ts.tv_sec;
		if (self.is_terminal && localtime_r(&ts.tv_sec, &tm))
			strftime(self.stamp, sizeof(self.stamp), "%H:%M:%S", &tm);
		else if (gmtime_r(&ts.tv_sec, &tm))
			strftime(self.stamp, sizeof(self.stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	}
	log_line_add_z(l, self.stamp);
	snprintf(ms, sizeof(ms), ".%03d", (int)(ts.tv_nsec / 1000000) % 1000);
	log_line_add_z(l, ms);
	log_line_add_z(l, self.is_terminal ? " " : "Z ");
}

/* "worker 2: conn 7/3: text" */
static void
log_line_add_text(struct log_line *l, const char *tag, const char *text)
{
	log_line_add_safe(l, self.who);
	log_line_add_z(l, ": ");
	if (tag) {
		log_line_add_safe(l, tag);
		log_line_add_z(l, ": ");
	}
	log_line_add_safe(l, text);
}

static void
log_write(struct log_line *l)
{
	log_line_end(l);
	while (write(self.fd, l->s, l->n) < 0 && errno == EINTR)
		;
}

static void
log_put_text(enum log_level level, const char *tag, const char *text)
{
	struct log_line l = { 0 };

	log_line_add_time(&l);
	if (self.has_colour)
		log_line_add_z(&l, levels[level].colour);
	log_line_add_z(&l, levels[level].name);
	log_line_add_z(&l, self.has_colour ? "\033[0m " : " ");
	log_line_add_text(&l, tag, text);
	log_write(&l);
}

static void
log_put_prefix(enum log_level level, const char *tag, const char *text)
{
	struct log_line l = { 0 };
	char prefix[8];

	snprintf(prefix, sizeof(prefix), "<%d>", levels[level].priority);
	log_line_add_z(&l, prefix);
	log_line_add_text(&l, tag, text);
	log_write(&l);
}

/* A field of the journal's native protocol; the value has no newline. */
static void
log_line_add_field(struct log_line *l, const char *name, const char *value)
{
	log_line_add_z(l, name);
	log_line_add_z(l, "=");
	log_line_add_safe(l, value);
	log_line_add_z(l, "\n");
}

/* Sends; once more after connecting anew when the journal was restarted. */
static bool
log_journal_send(const struct log_line *l)
{
	for (int try = 0; try < 2; try++) {
		if (self.journal >= 0 &&
		    send(self.journal, l->s, l->n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return true;
		if (self.journal >= 0 && errno == EAGAIN) {
			self.lost++;
			return true;
		}
		if (self.journal >= 0)
			close(self.journal);
		self.journal = log_journal_connect();
	}
	return false;
}

static bool
log_journal_put(enum log_level level, const char *tag, const char *text)
{
	struct log_line l = { 0 };
	char priority[4];

	snprintf(priority, sizeof(priority), "%d", levels[level].priority);
	log_line_add_field(&l, "PRIORITY", priority);
	log_line_add_field(&l, "SYSLOG_IDENTIFIER", "argand");
	if (strncmp(self.who, "worker ", 7) == 0)
		log_line_add_field(&l, "ARGAND_WORKER", self.who + 7);
	if (tag)
		log_line_add_field(&l, "ARGAND_OBJECT", tag);
	log_line_add_z(&l, "MESSAGE=");
	log_line_add_text(&l, tag, text);
	log_line_end(&l);
	return log_journal_send(&l);
}

static void
log_put_journal(enum log_level level, const char *tag, const char *text)
{
	unsigned long lost = self.lost;
	char note[80];

	if (!log_journal_put(level, tag, text)) {
		log_put_prefix(level, tag, text);
		return;
	}
	if (lost == 0 || self.lost != lost)
		return;
	self.lost = 0;
	snprintf(note, sizeof(note), "%lu lines lost: the journal did not take them", lost);
	log_journal_put(LOG_WARN_, NULL, note);
}

static void (*const log_forms[])(enum log_level, const char *, const char *) = {
	[LOG_TEXT] = log_put_text,
	[LOG_PREFIX] = log_put_prefix,
	[LOG_JOURNAL] = log_put_journal,
};

/* The caller's text, and what err means (0: nothing). One that is too long is cut between two
   characters. */
static void __attribute__((format(printf, 3, 0)))
log_text(char text[LOG_TEXT_MAX], int err, const char *fmt, va_list ap)
{
	int n = vsnprintf(text, LOG_TEXT_MAX, fmt, ap);
	size_t used = n < 0 ? 0 : (size_t)n;

	text[used < LOG_TEXT_MAX ? used : LOG_TEXT_MAX - 1] = '\0';
	if (err && used < LOG_TEXT_MAX)
		used += (size_t)snprintf(text + used, LOG_TEXT_MAX - used, ": %s", strerror(err));
	if (used >= LOG_TEXT_MAX)
		memcpy(text + utf8_cut(text, LOG_TEXT_MAX - sizeof(log_cut)), log_cut,
		    sizeof(log_cut));
}

void
log_vput(enum log_level level, const char *tag, bool with_errno, const char *fmt, va_list ap)
{
	char text[LOG_TEXT_MAX];
	int saved = errno;

	if (level > log_level)
		return;
	log_text(text, with_errno ? saved : 0, fmt, ap);
	log_forms[self.form](level, tag, text);
	errno = saved;
}

void
log_put(enum log_level level, const char *tag, bool with_errno, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vput(level, tag, with_errno, fmt, ap);
	va_end(ap);
}
