"""What clients are made of: connections that send and read at their own pace, the book of what they met, and
the judgement of an answer.

Each answer is taken apart by harness.Conn, so anything loose in it is a fault. One that came whole must be
right; one that did not come is noted with when and where, and judged at the end (audit.py), when it is known
who was killed meanwhile.
"""
import collections
import hashlib
import random
import socket
import struct
import threading
import time
from typing import NamedTuple

import harness
from backends.behave import BLOCK, pattern

PATIENCE = 30                   # for an answer; everything that the server waits for is shorter
FILES = {"small.txt": b"small\n" * 20, "page.html": BLOCK[:30000], "big.bin": BLOCK + BLOCK[:500000], "empty": b""}
ERRORS = {502, 503, 504}        # what a gateway says of backends that fail it
# How the answers begin that backends give when they were told to misbehave (plan.MODES).
OTHERS = (b"status 5", b"slow head\n", b"stale\n", b"too large", b"complained\n", b"old\n")


class Lost(Exception):
    """No whole answer: the connection ended before."""


class Loss(NamedTuple):
    begun: float
    ended: float
    pool: str                   # "": nothing but the server was asked
    is_begun: bool              # the answer had begun
    is_sent: bool               # the request was sent whole
    workers: tuple              # who answered on this connection before; (): unknown
    what: str


class Book:
    """What all clients met, together."""

    def __init__(self):
        self.lock = threading.Lock()
        self.heads = self.conns = self.talks = 0      # begun by clients
        self.whole = collections.Counter()            # answers that came whole, by class
        self.kinds = collections.Counter()            # talks that came to their end, by kind
        self.losses, self.faults = [], []

    def count(self, name, n=1):
        with self.lock:
            setattr(self, name, getattr(self, name) + n)

    def answered(self, status):
        with self.lock:
            self.whole[status // 100] += 1

    def lost(self, loss):
        with self.lock:
            self.losses.append(loss)

    def fault(self, text):
        with self.lock:
            self.faults.append(text)


class Brief(collections.deque):
    """A transcript that remembers the last of it."""

    def __init__(self):
        super().__init__(maxlen=24)

    def append(self, said):
        who, data = said
        super().append((f"{time.monotonic():.3f} {who}", data if isinstance(data, str) else bytes(data[:100])))


class Chat(harness.Conn):
    """A connection of a talk. pace: (octets, seconds) for each read."""

    def __init__(self, address, book, rcvbuf=None):
        super().__init__(address, timeout=PATIENCE, rcvbuf=rcvbuf)
        book.count("conns")
        self.book, self.transcript, self.pace, self.workers = book, Brief(), None, set()
        self.received = self.mark = 0  # octets in all; before the answer that is waited for

    def more(self):
        before = len(self.buf)
        is_more = self.read()
        self.received += len(self.buf) - before
        return is_more

    def read(self):
        if self.pace is None:
            return super().more()
        size, pause = self.pace
        time.sleep(pause)
        try:
            d = self.sock.recv(size)
        except socket.timeout as e:
            raise AssertionError(f"nothing came for {self.timeout:g} s") from e
        self.transcript.append(("<", d))
        self.is_eof = not d
        self.buf += d
        return bool(d)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def said(self):
        return "\n".join(f"    {who} {data!r}" for who, data in self.transcript)


class Person:
    """A client in a talk: asks, and judges what it is told."""

    def __init__(self, world, talk):
        self.world, self.book, self.talk = world, world.book, talk
        self.rng, self.c = random.Random(talk.seed), None
        self.is_old = False     # asks with HTTP/1.0

    def connect(self, **kw):
        if self.c:
            self.c.close()
        self.c = Chat(self.world.address, self.book, **kw)
        return self.c

    def send(self, data, piece=0, pause=0):
        """All of it; in pieces, with pauses. False: the server does not want the rest."""
        try:
            for i in range(0, len(data), piece or len(data) or 1):
                self.c.send(data[i:i + piece] if piece else data)
                if pause:
                    time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def head(self, method, path, fields=(), length=None, chunked=False):
        self.book.count("heads")
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in fields)]
        lines += [f"Content-Length: {length}"] if length is not None else []
        lines += ["Transfer-Encoding: chunked"] if chunked else []
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def answer(self, method, pool, begun, sent=True):
        """The next answer. Lost, with a note, when it does not come whole."""
        c = self.c
        c.mark = c.received - len(c.buf)
        try:
            r = c.response(method)
        except (ConnectionResetError, BrokenPipeError) as e:
            raise self.lost(pool, begun, sent, f"{method} {self.talk.kind}: {e}") from e
        except AssertionError as e:
            if not str(e).startswith(("closed before", "truncated")):
                raise
            raise self.lost(pool, begun, sent, f"{method} {self.talk.kind}: {e}") from e
        if r.status == 101:
            return r
        c.workers.add(r.get("X-Worker", ""))
        self.book.answered(r.status)
        if r.framing == "close" and not self.is_old:
            self.fault(f"an answer to HTTP/1.1 without framing: {r}")
        return r

    def lost(self, pool, begun, sent, what):
        c = self.c
        self.book.lost(Loss(begun, time.monotonic(), pool, c.received > c.mark, sent, tuple(c.workers), f"{what}\n{c.said()}"))
        return Lost()

    def fault(self, text):
        said = self.c.said() if self.c else ""
        self.book.fault(f"{time.monotonic() - self.world.began:.3f} {self.talk.kind} ({self.talk.seed}): {text}\n{said}")

    # --- what is right

    def judge(self, r, pool, statuses, body=None, begun=0):
        """statuses: what may come beside what failing backends are the reason for."""
        if r.status in ERRORS and pool:
            return False
        if r.status not in statuses:
            if pool and self.is_other(r, pool, begun):
                return False
            self.fault(f"status {r.status}, not {statuses}: {r}")
            return False
        if body is not None and r.body != body and not (pool and self.is_other(r, pool, begun)):
            self.fault(f"wrong body: {len(r.body)} octets, sha256 {digest(r.body)}, not {len(body)}: {r}")
            return False
        return True

    def is_other(self, r, pool, begun):
        """Said by a backend that was told to."""
        return self.world.was_told(pool, begun, time.monotonic()) and (not r.body or r.body.startswith(OTHERS))

    def is_over(self, r):
        """Whether another request may follow on this connection."""
        return r.framing == "close" or "close" in (r.get("Connection") or "").lower()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def chunks(data, sizes):
    """A chunked body in chunks of these sizes, over and over."""
    out, i, k = [], 0, 0
    while i < len(data):
        n = min(sizes[k % len(sizes)], len(data) - i)
        out.append(b"%x\r\n%b\r\n" % (n, data[i:i + n]))
        i, k = i + n, k + 1
    return b"".join(out) + b"0\r\n\r\n"


def body_of(rng, n):
    """n octets that are no other's."""
    start = rng.randrange(1 << 19)
    return (b"%016x" % rng.getrandbits(64) + pattern(n + start)[start:])[:n]
