"""Answers to clients that still send: the whole answer arrives, whatever the client does meanwhile."""
import select
import socket
import time

import pytest

import harness
from harness import FULL, figure, patience

TABLE = "answers that do not wait for the request body"
TIMES = 1000 if FULL else 100
MIB = 1 << 20


def converse(address, head, piece, limit, patient=10):
    """Sends head and then piece again and again, at full speed, until limit octets or an error; everything read."""
    with socket.create_connection(address, patience(patient)) as c:
        c.setblocking(False)
        out, rest, sent, can_send = b"", memoryview(head), 0, True
        end = time.monotonic() + patience(patient)
        while True:
            assert time.monotonic() < end, f"nothing after {out!r}"
            r, w, _ = select.select([c], [c] if can_send else [], [], 1)
            if r:
                try:
                    data = c.recv(65536)
                except ConnectionResetError:
                    return out, "reset"
                if not data:
                    return out, "closed"
                out += data
            if w:
                try:
                    n = c.send(rest)
                    sent += n
                    rest = rest[n:]
                    if not rest:
                        rest = memoryview(piece)
                        can_send = sent < limit
                except (BrokenPipeError, ConnectionResetError):
                    can_send = False


def is_whole(out, status):
    head, sep, body = out.partition(b"\r\n\r\n")
    if not sep or not head.startswith(b"HTTP/1.1 %d " % status):
        return False
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return len(body) == int(line.split(b":")[1])
    return False


CASES = {
    # answered before the body is read: by its length
    "too large by its length": (413, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 104857600\r\n\r\n", b"x" * 65536),
    # answered without a look at the body
    "nobody wants it": (200, b"POST /hi HTTP/1.1\r\nHost: a\r\nContent-Length: 1048000\r\n\r\n", b"x" * 65536),
    "nobody wants it, chunked": (200, b"POST /hi HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                                 b"8000\r\n" + b"x" * 32768 + b"\r\n"),
    # not HTTP any more
    "malformed": (400, b"POST /hi HTTP/1.1\r\nHost: a\r\nContent-Length: 12x\r\n\r\n", b"x" * 65536),
}


@pytest.mark.parametrize("name", CASES)
def test_answer_arrives(server, name):
    """Each time, all of it, to a client that goes on sending at full speed."""
    status, head, piece = CASES[name]
    s = server(workers=1, routes='{ path = "/echo"; echo = true; }, { path = "/hi"; respond = "hi"; }',
               site='max_body = "1M";')
    whole, ends = 0, {}
    for _ in range(TIMES):
        out, how = converse(s.address, head, piece, 100 * MIB if status != 200 else MIB)
        whole += is_whole(out, status)
        ends[how] = ends.get(how, 0) + 1
    figure(TABLE, answer=f"{status}, {name}", whole=f"{whole} of {TIMES}", detail=str(ends))
    assert whole == TIMES, ends
