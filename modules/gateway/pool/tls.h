/*
 * TLS to HTTP backends: the client's side, over a non-blocking descriptor that the engine owns.
 * Nothing here waits, and nothing closes the descriptor. Reading may have to wait for writing and
 * the other way round (renegotiation, key updates): see tls_wants_read and tls_wants_write.
 */
#ifndef POOL_TLS_H
#define POOL_TLS_H

#include <sys/uio.h>
#include "common/config/conf_pool.h"

struct tls_pool; /* of one pool in one worker: certificates, and the last session of each host */
struct tls;      /* of one connection */

enum tls_progress { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_FAILED = -1 };

/* Takes the certificates and the key that the pool has: NULL and *why when one cannot be used (also
   called when the configuration is checked). *why lives until the next call of this thread. */
struct tls_pool *tls_pool_new(const struct conf_pool *, const char **why);
void tls_pool_free(struct tls_pool *); /* connections of it may live on */

/* A connection that was made to fd; not yet shaken. The pool and the host outlive it. NULL: the
   name cannot be used (tls_pool_new refuses such names: only for hosts that came later). */
struct tls *tls_new(struct tls_pool *, const struct conf_host *, int fd);
/* Says goodbye (close_notify) as far as that goes without waiting; the descriptor stays open. A
   connection without a fault of the protocol leaves its session for the next one to the host. */
void tls_free(struct tls *);

/* Goes on with the handshake: enum tls_progress. Chain and name are verified when it is done, if
   the pool wants that. */
int tls_handshake(struct tls *);
/* Why the handshake, tls_read or tls_writev failed; lives as long as the connection. */
const char *tls_why(const struct tls *);

/* As read() and writev(): octets, 0 (read: the peer said that nothing follows), or -1 and errno:
   EAGAIN (wait for what tls_wants_… say), EPROTO (a fault of TLS, see tls_why), or what the system
   said. A peer that closes without close_notify is ECONNRESET: a body that ends with the connection
   may have been cut. tls_writev may take part of what it is given; after EAGAIN the same octets
   come first again, though they may have moved. No signal is raised. */
ssize_t tls_read(struct tls *, void *, size_t);
ssize_t tls_writev(struct tls *, const struct iovec *, int);

/* What the last call that said EAGAIN waits for: a read that waits to write, a write that waits to
   read. */
bool tls_wants_write(const struct tls *);
bool tls_wants_read(const struct tls *);
/* Octets are here already: tls_read will give some although the descriptor is not readable. */
bool tls_pending(const struct tls *);

#endif
