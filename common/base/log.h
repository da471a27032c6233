/*
 * The error log: lines with a level for the operator. Peer misbehaviour is never above debug (it is
 * a counter); warn means an operator should look; error means something does not work. Never
 * changes errno. One write(2) per line; the sink is a descriptor that the master opened. Lines are
 * valid UTF-8 whatever is passed: controls, other bytes and what would change the direction of a
 * text are written as \xNN.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

enum log_level { LOG_FATAL_, LOG_ERROR_, LOG_WARN_, LOG_NOTICE_, LOG_INFO_, LOG_DEBUG_ };

enum log_form {
	LOG_TEXT,    /* "2026-11-22T03:04:05.678Z error worker 2: text" */
	LOG_PREFIX,  /* "<3>worker 2: text", for a service manager that reads stderr */
	LOG_JOURNAL, /* datagrams to /run/systemd/journal/socket with fields */
};

/* The level at and below which lines are written; changed in place by the master through the
   shared segment (see log_level_ptr). */
extern enum log_level log_level;

/* Where lines go. fd is borrowed. who is the process' name in each line: "master", "worker 2". */
void log_open(int fd, enum log_form form);
void log_who(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int log_fd(void);
/* The form for stderr: LOG_JOURNAL under systemd (JOURNAL_STREAM matches fd 2), else LOG_TEXT. */
enum log_form log_form_for_stderr(void);
/* "error", "warn" …; -1 when it is none. */
int log_level_of(const char *name);
const char *log_level_name(enum log_level);

/* tag: the object, e.g. "conn 7/3" or a module's name; NULL for none. with_errno appends
   ": strerror(errno)". */
void log_put(enum log_level, const char *tag, bool with_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void log_vput(enum log_level, const char *tag, bool with_errno, const char *fmt, va_list ap);

#define log_at(level, tag, e, ...)                                                                 \
	((level) <= log_level ? log_put((level), (tag), (e), __VA_ARGS__) : (void)0)

/* The plain forms append strerror(errno), the x forms do not. */
#define log_error(...)  log_at(LOG_ERROR_, NULL, true, __VA_ARGS__)
#define log_errorx(...) log_at(LOG_ERROR_, NULL, false, __VA_ARGS__)
#define log_warn(...)   log_at(LOG_WARN_, NULL, true, __VA_ARGS__)
#define log_warnx(...)  log_at(LOG_WARN_, NULL, false, __VA_ARGS__)
#define log_notice(...) log_at(LOG_NOTICE_, NULL, false, __VA_ARGS__)
#define log_info(...)   log_at(LOG_INFO_, NULL, false, __VA_ARGS__)
#define log_debug(...)  log_at(LOG_DEBUG_, NULL, false, __VA_ARGS__)

#endif
