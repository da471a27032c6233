"""HTTP/1.1 where one scripted conversation (test/wire) is not enough: many clients, large bodies,
random octets, back-pressure."""
import concurrent.futures
import hashlib
import json
import os
import random
import select
import socket
import subprocess
import threading
import time

import pytest

import harness
import wirecase
from harness import FULL, patience, wait_for

ECHO = '{ path = "/echo"; echo = true; }'


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=2, files={"hello.txt": "hello\n", "index.html": "index\n"}, routes=ECHO,
                         server='max_body = "100M"; keepalive_requests = 1000000;')


def rss(pids):
    """KiB of resident memory."""
    n = 0
    for p in pids:
        with open(f"/proc/{p}/status", encoding="ascii") as f:
            n += int(next(line for line in f if line.startswith("VmRSS")).split()[1])
    return n


def in_parallel(fn, n, width=20):
    with concurrent.futures.ThreadPoolExecutor(width) as pool:
        return list(pool.map(fn, range(n)))


# ------------------------------------------------------------------------------- lingering close

def push(s, head, size):
    """Sends a head and size octets without looking, then reads; the response."""
    with harness.Conn(s.address, timeout=30) as c:
        c.send(head)
        block, left = b"z" * 65536, size
        while left > 0:
            c.sock.sendall(block[:left])
            left -= len(block)
        return c.response("POST")


@pytest.mark.parametrize("path,length,statuses", [
    ("/nothing", 10 << 20, (404, 405)), ("/echo", 200 << 20, (413,))])
def test_answer_to_an_unread_body_arrives(s, path, length, statuses):
    """A client that sends 10 MB nobody wants still reads the whole answer, each time."""
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()

    first = push(s, head, 10 << 20)
    assert first.status in statuses
    # Pages of equal length: they tell the request's id.
    got = in_parallel(lambda _: push(s, head, 10 << 20), 200 if FULL else 40, width=8)
    assert [r.status for r in got] == [first.status] * len(got)
    assert all(len(r.body) == len(first.body) for r in got)


def test_answer_to_an_unread_body_closes_or_resyncs(s):
    """What follows an unread body is never taken for a request."""
    with s.connect() as c:
        c.send(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n")
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n" * 10000)
        assert c.response("POST").status in (404, 405)
        rest = c.buf
        while c.more():
            rest = c.buf
        assert b"hello\n" not in rest


# ------------------------------------------------------------------------------- bodies

def test_large_echo(s):
    """50 MB there and back, chunked, every octet."""
    size, sent, seen = 50 << 20, hashlib.sha256(), hashlib.sha256()
    block = random.Random(3).randbytes(1 << 16)
    with s.connect(timeout=30) as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")

        def speak():
            for _ in range(size // len(block)):
                sent.update(block)
                c.sock.sendall(b"%x\r\n%s\r\n" % (len(block), block))
            c.sock.sendall(b"0\r\n\r\n")

        t = threading.Thread(target=speak)
        t.start()
        assert b"200" in c.take_until(b"\r\n\r\n")
        n, head = 0, None
        while True:
            k = int(c.take_until(b"\r\n")[:-2], 16)
            d = c.take(k + 2)[:k]
            c.transcript.clear()
            if k == 0:
                break
            if head is None:  # the request's head comes first, in chunks of its own or not
                head = b""
            if head is not None and not head.endswith(b"\n\n"):
                i = (head + d).find(b"\n\n")
                head, d = ((head + d)[:i + 2], (head + d)[i + 2:]) if i >= 0 else (head + d, b"")
            seen.update(d)
            n += len(d)
        t.join()
    assert n == size and seen.digest() == sent.digest()


def test_echo_is_bounded_by_a_client_that_does_not_read(s):
    """Back-pressure reaches the sender: nothing is piled up for a client that does not read."""
    before = rss(s.workers())
    with s.connect() as c:
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n")
        c.sock.setblocking(False)
        block, sent, quiet = b"q" * 65536, 0, time.monotonic()
        while time.monotonic() - quiet < 0.5 and sent < 80_000_000:
            try:
                sent += c.sock.send(block)
                quiet = time.monotonic()
            except BlockingIOError:
                select.select([], [c.sock], [], 0.1)
        grown = rss(s.workers()) - before
    assert sent < 40_000_000, "the server took everything"
    assert grown < 2048 * (20 if harness.SANITIZED else 1), f"{grown} KiB more"


def test_slow_reader_gets_everything(s):
    data = random.Random(4).randbytes(5 << 20)
    s.write("five.bin", data)
    with s.connect(rcvbuf=4096, timeout=30) as c:
        c.request("/five.bin")
        time.sleep(0.3)
        assert c.response().body == data


def test_file_truncated_while_sent(s):
    """The connection ends early and nobody else notices."""
    path = s.write("shrinks.bin", b"s" * (30 << 20))
    workers = s.workers()
    with s.connect(rcvbuf=4096) as c:
        c.request("/shrinks.bin")
        c.take_until(b"\r\n\r\n")
        c.take(1000)
        os.truncate(path, 100000)
        n = 1000
        try:
            while c.more():
                n += len(c.buf)
                c.buf = b""
                c.transcript.clear()
        except ConnectionResetError:
            pass
    assert n < 30 << 20
    assert s.workers() == workers
    assert s.get("/hello.txt").body == b"hello\n"


# ------------------------------------------------------------------------------- pipelining

@pytest.mark.parametrize("n", [100_000 if FULL else 20_000])
def test_pipelined_flood(s, n):
    """Requests without waiting for an answer: all answered, in order."""
    with s.connect(timeout=30) as c:
        def speak():
            for i in range(0, n, 100):
                c.sock.sendall(b"".join(b"GET /echo?%d HTTP/1.1\r\nHost: a\r\n\r\n" % j
                                        if j % 10 == 0 else b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n"
                                        for j in range(i, i + 100)))

        t = threading.Thread(target=speak)
        t.start()
        for j in range(n):
            r = c.response("GET")
            assert r.status == 200
            assert (f"?{j} " in r.text) if j % 10 == 0 else r.body == b"hello\n", (j, r)
            c.transcript.clear()
        t.join()


def test_pipelined_by_one_that_never_reads(s):
    """Answers to a client that asks on and on without reading are not piled up either."""
    before = rss(s.workers())
    with s.connect() as c:
        c.sock.setblocking(False)
        block, sent, quiet = b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n" * 1000, 0, time.monotonic()
        while time.monotonic() - quiet < 0.5 and sent < 50_000_000:
            try:
                sent += c.sock.send(block)
                quiet = time.monotonic()
            except BlockingIOError:
                select.select([], [c.sock], [], 0.1)
        grown = rss(s.workers()) - before
    assert sent < 50_000_000, "the server read everything"
    assert grown < 2048 * (20 if harness.SANITIZED else 1), f"{grown} KiB more"


# ------------------------------------------------------------------------------- hostile octets

def converse(s, data, seconds=3):
    """Sends octets and the end; what came back, up to the end or a reset; None when it hangs."""
    out = b""
    with socket.create_connection(s.address, 5) as c:
        c.settimeout(patience(seconds))
        try:
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            while True:
                d = c.recv(65536)
                if not d:
                    return out
                out += d
        except (ConnectionResetError, BrokenPipeError):
            return out
        except socket.timeout:
            return None


def assert_well_formed(out, data):
    """Nothing, or responses of which the first is in order."""
    assert out is not None, f"the connection hangs after {data[:300]!r}"
    if out:
        status = out[:13]
        assert status.startswith(b"HTTP/1.1 ") and status[9:12].isdigit(), (out[:200], data[:300])
        assert status[9:10] in b"12345" and status[9:12] != b"500", (out[:200], data[:300])


def test_random_octets(s):
    workers, rng = s.workers(), random.Random(5)
    data = [rng.randbytes(rng.choice([1, 10, 100, 1000, 20000])) for _ in range(3000 if FULL else 300)]
    for out, d in zip(in_parallel(lambda i: converse(s, data[i]), len(data)), data):
        assert_well_formed(out, d)
    assert s.workers() == workers, "a worker died"
    assert s.get("/hello.txt").body == b"hello\n"


def mutate(rng, data, others):
    """Octets changed, repeated, removed, or spliced with another conversation."""
    d = bytearray(data[:4000])
    for _ in range(rng.randrange(1, 6)):
        i = rng.randrange(len(d) + 1)
        kind = rng.randrange(5)
        if kind == 0 and d:
            d[i % len(d)] = rng.choice([0, 10, 13, 32, 58, 127, 255, rng.randrange(256)])
        elif kind == 1:
            d[i:i] = rng.choice([b"\r\n", b"\n", b"\r", b" ", b"\0", b":", b"\r\n\r\n", b"Content-Length: 3\r\n",
                                 b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"ffffffffffffffff"])
        elif kind == 2:
            del d[i:i + rng.randrange(1, 20)]
        elif kind == 3:
            d[i:i] = d[i:i + rng.randrange(1, 50)]
        else:
            o = rng.choice(others)[:4000]
            d[i:] = o[rng.randrange(len(o) + 1):]
    return bytes(d)


def test_mutated_conversations(s):
    """The wire cases, damaged: always an answer in order or a closed connection, never a dead worker."""
    workers, rng = s.workers(), random.Random(6)
    seeds = [c.octets() for c in wirecase.cases()]
    data = [mutate(rng, rng.choice(seeds), seeds) for _ in range(20000 if FULL else 1500)]
    for out, d in zip(in_parallel(lambda i: converse(s, data[i]), len(data)), data):
        assert_well_formed(out, d)
    assert s.workers() == workers, "a worker died"
    assert s.get("/hello.txt").body == b"hello\n"


def test_connections_that_vanish(s):
    """Clients that reset at any point of the conversation leave nothing behind."""
    workers = s.workers()
    request = b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"x" * 100

    def one(i):
        c = socket.create_connection(s.address, 5)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.sendall(request[:i % (len(request) + 1)])
        c.close()

    in_parallel(one, 600)
    assert s.workers() == workers
    assert s.get("/hello.txt").body == b"hello\n"
    wait_for(lambda: s.status()["counters"]["connections"] <= 1, "all of them are forgotten")


# ------------------------------------------------------------------------------- many

@pytest.mark.parametrize("args", [["-c", "200"], ["-c", "200", "-n"]])
def test_many_clients(s, args):
    """Every octet of every answer to 200 clients at a time."""
    s.write("pattern.bin", random.Random(8).randbytes(70000))
    p = subprocess.run([harness.tool("loadmeter"), *args, "-m", "5000", "-f", s.root + "/pattern.bin",
                        "127.0.0.1", str(s.port), "/pattern.bin"], capture_output=True, text=True, timeout=120)
    r = json.loads(p.stdout)
    assert r["ok"] == r["begun"] >= 5000, (r, p.stderr)


def test_new_connections_are_spread_evenly(server):
    """Steering gives each of four workers its share of new connections."""
    t = server(workers=4, files={"a": "a"}, access_log=False)
    wait_for(lambda: len(t.workers()) == 4, "all workers are there")
    before = {w["pid"]: w["counters"]["connections_accepted"] for w in t.status()["workers"]}
    subprocess.run([harness.tool("loadmeter"), "-n", "-c", "32", "-m", "4000", "-f", t.root + "/a",
                    "127.0.0.1", str(t.port), "/a"], stdout=subprocess.DEVNULL, timeout=120, check=True)
    got = [w["counters"]["connections_accepted"] - before[w["pid"]] for w in t.status()["workers"]]
    assert sum(got) == 4000 and min(got) > 800 and max(got) < 1200, got
