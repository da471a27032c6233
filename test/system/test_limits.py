"""Limits: what slow, greedy and numerous clients meet."""
import json
import os
import resource
import subprocess
import time

import pytest

import harness
from harness import figure, patience, wait_for

ECHO = '{ path = "/echo"; echo = true; }'
# The precision of timers is 100 ms; the rest is the machine's.
LATE = patience(1.5)


@pytest.fixture(scope="module")
def s(shared_server):
    """Every time at its minimum."""
    return shared_server(workers=1, files={"hello.txt": "hello\n", "big.bin": b"b" * (30 << 20)}, routes=ECHO,
                         server='timeout: { header = "1s"; body = "1s"; write = "1s"; keepalive = "1s";'
                                ' linger = "1s"; }; min_rate = "0";')


def took(fn):
    t = time.monotonic()
    fn()
    return time.monotonic() - t


def drain(c):
    """Reads to the end, whatever kind of end; number of octets."""
    n = len(c.buf)
    c.buf = b""
    try:
        while c.more():
            n += len(c.buf)
            c.buf = b""
            c.transcript.clear()
    except ConnectionResetError:
        pass
    return n


def counter(s, name):
    return s.status()["counters"][name]


# ------------------------------------------------------------------------------- time

def test_head_timeout(s):
    """RFC 9110 15.5.9: half a head, then nothing."""
    c = s.connect()
    c.send(b"GET /hello.txt HTTP/1.1\r\nHo")
    t = took(lambda: c.more())
    r = c.response()
    assert r.status == 408 and r.get("Connection") == "close"
    assert 0.9 <= t <= 1 + LATE
    c.expect_closed()


def test_head_timeout_is_for_the_whole_head(s):
    """Slowloris: an octet now and then does not buy time."""
    c = s.connect()
    data, t = b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nX-Slow: " + b"x" * 100, time.monotonic()
    c.sock.settimeout(0.2)
    for octet in data:
        c.sock.sendall(bytes([octet]))
        try:
            if c.sock.recv(1, 2):  # MSG_PEEK
                break
        except TimeoutError:
            continue
    c.sock.settimeout(patience(5))
    assert c.response().status == 408
    assert time.monotonic() - t <= 1 + LATE


def test_silent_connection(s):
    """Nothing at all is said: closed, with or without a 408."""
    c = s.connect()
    t = took(lambda: drain(c))
    assert 0.9 <= t <= 1 + LATE


def test_keepalive_timeout(s):
    """An idle connection ends without a word."""
    c = s.connect()
    assert c.request("/hello.txt").response().status == 200
    t = took(lambda: c.expect_closed(10))
    assert 0.9 <= t <= 1 + LATE


def test_body_timeout(s):
    """A body that stops coming: 408 when no answer has begun, else the answer is cut."""
    c = s.connect()
    c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome")
    t = time.monotonic()
    try:
        status = c.response().status
    except (AssertionError, ConnectionResetError):
        status = "cut"
    assert status in (408, "cut")
    assert 0.9 <= time.monotonic() - t <= 1 + LATE


def test_body_timeout_is_between_two_octets(s):
    """A body that keeps coming, slowly, is taken."""
    c = s.connect()
    c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    for octet in b"slow!":
        time.sleep(0.5)
        c.send(bytes([octet]))
    assert c.response().body.endswith(b"\n\nslow!")


def test_write_timeout(s):
    """A client that takes nothing of a large answer is dropped."""
    before = counter(s, "timeouts")
    c = s.connect(rcvbuf=4096)
    c.request("/big.bin")
    wait_for(lambda: counter(s, "timeouts") > before, "the stalled client is dropped", 4)
    assert drain(c) < 30 << 20


def test_write_timeout_is_for_no_progress(s):
    """A slow but steady reader gets everything, however long it takes in all."""
    c = s.connect(rcvbuf=65536)
    c.request("/big.bin")
    t, n = time.monotonic(), 0
    c.take_until(b"\r\n\r\n")
    while time.monotonic() - t < 3:
        c.take(300000)
        n += 300000
        c.transcript.clear()
        time.sleep(0.2)
    c.take((30 << 20) - n)


def test_linger_timeout(s):
    """After a 413 the rest of the body is read for a while (six times timeout.linger), not for ever."""
    c = s.connect()
    c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
    assert c.response().status == 413
    t = time.monotonic()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while time.monotonic() - t < patience(10):
            c.sock.sendall(b"z" * 1000)
            time.sleep(0.05)
    assert 1 < time.monotonic() - t <= 6 + LATE + 1  # the end is kept in whole seconds


# ------------------------------------------------------------------------------- rate

@pytest.fixture(scope="module")
def rated(shared_server):
    return shared_server(workers=1, files={"big.bin": b"b" * (30 << 20)}, routes=ECHO,
                         server='min_rate = "20k"; min_rate_grace = "1s";')


def test_min_rate_of_a_request_body(rated):
    """An upload of an octet now and then never times out between two octets, but it is too slow."""
    c = rated.connect()
    c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    t = time.monotonic()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while time.monotonic() - t < patience(10):
            c.sock.sendall(b"z" * 100)
            time.sleep(0.1)
    assert time.monotonic() - t <= patience(6)


def test_min_rate_of_a_response(rated):
    """A reader of a trickle occupies a connection only for so long."""
    before = counter(rated, "timeouts")
    c = rated.connect(rcvbuf=4096)
    c.request("/big.bin")
    end = time.monotonic() + patience(10)
    while counter(rated, "timeouts") == before:
        assert time.monotonic() < end, "still served"
        c.sock.recv(100)
        time.sleep(0.1)


def test_min_rate_lets_the_fast_pass(rated):
    c = rated.connect()
    assert len(c.request("/big.bin").response().body) == 30 << 20
    time.sleep(1.5)
    assert len(c.request("/big.bin").response().body) == 30 << 20


# ------------------------------------------------------------------------------- number

def test_requests_per_connection(server):
    s = server(files={"a": "a"}, server="keepalive_requests = 5;")
    c = s.connect()
    for i in range(5):
        r = c.request("/a").response()
        assert r.status == 200 and (r.get("Connection") == "close") == (i == 4)
    c.expect_closed()


def test_max_connections_makes_room(server):
    """At the limit the connection that has been idle longest gives way to a new one."""
    s = server(files={"a": "a"}, workers=1, server="max_connections = 16;")
    conns = []
    for _ in range(40):
        c = s.connect()
        assert c.request("/a").response().status == 200
        conns.append(c)
    assert counter(s, "connections") <= 16
    assert conns[-1].request("/a").response().status == 200


def test_max_connections_all_busy(server):
    """When none is idle, new ones wait in the queue, and are served when there is room."""
    s = server(files={"a": "a"}, workers=1, routes=ECHO, server="max_connections = 16;")
    busy = []
    for _ in range(16):
        c = s.connect()
        c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        c.take_until(b"\r\n\r\n")
        busy.append(c)
    late = s.connect()
    late.request("/a")
    late.expect_open(0.5)
    busy[0].send(b"bc")
    busy[0].take_until(b"\r\n0\r\n\r\n")
    busy[0].close()
    assert late.response().status == 200


# ------------------------------------------------------------------------------- memory

def pss(pids):
    """Octets."""
    n = 0
    for p in pids:
        with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
            n += int(next(line for line in f if line.startswith("Pss:")).split()[1]) * 1024
    return n


def latency(s):
    p = subprocess.run([harness.tool("loadmeter"), "-c", "4", "-r", "1000", "-t", "1", "-f", s.root + "/a",
                        "127.0.0.1", str(s.port), "/a"], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(p.stdout)


@pytest.mark.skipif(harness.SANITIZED, reason="memory of a sanitizer build says nothing")
def test_idle_connections(server):
    """10,000 idle kept-alive connections cost at most half a KiB each, and others do not notice."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(10000, hard - 1000)
    if n < 2000:
        pytest.skip(f"the limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    s = server(workers=1, files={"a": b"x" * 1024},
               server='timeout: { keepalive = "1h"; }; max_connections = 20000;')
    conns = []
    try:
        before_latency = latency(s)
        before = pss(s.workers())
        for i in range(n):
            c = harness.Conn(s.address, source=f"127.0.0.{2 + i % 8}")
            assert c.request("/a").response().status == 200
            c.transcript.clear()
            conns.append(c)
        assert counter(s, "connections_idle") >= n
        each = (pss(s.workers()) - before) / n
        after_latency = latency(s)
        alive = sum(c.request("/a").response().status == 200 for c in conns[::100])
    finally:
        for c in conns:
            c.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    figure("idle connections", connections=n, **{
        "KiB each": f"{each / 1024:.2f}", "p50 ms without": before_latency["p50_ms"],
        "p50 ms with": after_latency["p50_ms"], "p99 ms without": before_latency["p99_ms"],
        "p99 ms with": after_latency["p99_ms"]})
    assert alive == len(conns[::100])
    assert each <= 512, f"{each:.0f} octets for each idle connection"
    assert after_latency["p50_ms"] < before_latency["p50_ms"] * 3 + 1
    wait_for(lambda: counter(s, "connections") <= 1, "all of them are forgotten", 20)
