/*
 * Talking to the service manager: sd_notify(3)'s protocol and its store of descriptors. Everything
 * here does nothing when there is no $NOTIFY_SOCKET.
 */
#ifndef BASE_NOTIFY_H
#define BASE_NOTIFY_H

#include <stdbool.h>

void notify_init(void);
bool notify_is_on(void);
/* Lines of VARIABLE=value, without the last newline. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* "RELOADING=1" with the time that newer managers want with it. */
void notify_reloading(void);
/* Keeps fd in the manager's store under a name (no ':', at most 255 bytes). */
void notify_store(const char *name, int fd);
void notify_unstore(const char *name);
/* Before the process ends or executes another program: sends what waits, for a second at most. */
void notify_fini(void);
/* ms between two signs of life; 0: none wanted. */
unsigned notify_watchdog_ms(void);

#endif
