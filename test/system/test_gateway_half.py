"""Requests whose end is not what it seems: chunks that announce more than is allowed, bodies that end in the
middle, clients that have said all and listen."""
import time

import pytest

from backends import pool, pool_status
from harness import patience, wait_for

POLICIES = ["auto", "buffer", "spool", "stream"]


def start(server, app, policy="auto", site='max_body = "1M";'):
    s = server(backends=pool("app", app), access_log=True, site=site,
               routes=f'{{ path = "/app"; gateway = {{ backend = "app"; request_body = "{policy}"; }}; }}')
    return s


@pytest.mark.parametrize("policy", POLICIES)
def test_chunk_that_announces_too_much(server, peers, policy):
    """RFC 9110 15.5.14: the size line says it all; nobody waits for octets that will not be taken."""
    s = start(server, peers("http"), policy)
    for size in (b"7fffffffffffffff", b"100001"):
        began = time.monotonic()
        with s.connect() as c:
            c.send(b"POST /app/hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nx")
            assert c.response().status == 413
            assert time.monotonic() - began < patience(2)
    assert pool_status(s)["in_flight"] == 0


def test_chunk_within_the_limit(server, peers):
    s = start(server, peers("http"), "buffer")
    with s.connect() as c:
        c.send(b"POST /app/hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n"
               + b"x" * (1 << 20) + b"\r\n0\r\n\r\n")
        assert c.response().status == 200


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\nhello",
                                     b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
def test_body_that_ends_in_the_middle(server, peers, policy, framing):
    """RFC 9112 8: incomplete is 400. 499 is a word for logs, and no client ever sees it."""
    app = peers("http")
    app.may_err = True  # it may see the beginning of a request
    s = start(server, app, policy)
    with s.connect() as c:
        c.send(b"POST /app/hash HTTP/1.1\r\nHost: a\r\n" + framing)
        c.shutdown()
        assert c.response().status == 400
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "nothing is left in flight")


@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
@pytest.mark.parametrize("head", [
    b"POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    b"POST %s HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
    b"GET %s HTTP/1.0\r\n\r\n",
])
def test_client_that_has_said_all(server, peers, protocol, head):
    """RFC 9112 9.6: a last request that is followed by FIN is answered, also when the answer takes its time."""
    for policy in POLICIES:
        s = start(server, peers(protocol), policy)
        with s.connect() as c:
            c.send(head % b"/app/slow_head?ms=300")
            c.shutdown()
            assert c.response().status == 200, policy
        s.stop()


def test_nobody_there(server, peers):
    """An answer without end, to a client that has gone after its last request, ends with its first octets."""
    app = peers("http")
    s = start(server, app)
    with s.connect() as c:
        c.send(b"GET /app/stream?n=100000&ms=5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        wait_for(lambda: app.stats()["requests"] == 1, "the backend is asked")
    wait_for(lambda: app.stats()["active"] == 0, "the backend is told that the client has gone", 10)


def test_client_that_left(server, peers):
    """One that had not said that this was its last request is taken for gone."""
    app = peers("http")
    s = start(server, app)
    with s.connect() as c:
        c.send(b"GET /app/slow_head?ms=8000 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: pool_status(s)["in_flight"] == 1, "the backend is asked")
        c.shutdown()
        wait_for(lambda: pool_status(s)["in_flight"] == 0, "the backend is given up", 4)
    app.may_err = True


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("answer", ["refused", "early?after=1000&how=keep", "before"])
def test_answer_before_the_end_of_the_body(server, peers, policy, framing, answer):
    """RFC 9112 9.6: an answer after which the connection ends says so; one that does not is followed by the next. The
    client that sent its body and the next request behind it could not know otherwise, and may not repeat that one."""
    app = peers("http")
    app.may_err = True
    if answer == "refused":
        app.kill()
    s = server(site='max_body = "10M";', backends=pool("app", app, timeout={"queue": "100ms"}),
               routes=f'{{ path = "/app"; gateway = {{ backend = "app"; request_body = "{policy}"; }}; }}',
               files={"next": b"the next\n"})
    for first, rest in ((2000, 100), (2000, 3000), (2000, 40000), (300000, 200000)):
        with s.connect() as c:
            head = f"POST /app/{answer} HTTP/1.1\r\nHost: a\r\n"
            if framing == "chunked":
                c.send(head + "Transfer-Encoding: chunked\r\n\r\n%x\r\n" % first + "x" * first + "\r\n")
                more = b"%x\r\n%b\r\n0\r\n\r\n" % (rest, b"y" * rest)
            else:
                c.send(head + f"Content-Length: {first + rest}\r\n\r\n" + "x" * first)
                more = b"y" * rest
            if policy in ("buffer", "auto"):
                c.send(more)
                more = b""
            r = c.response("POST")
            assert r.status in (200, 413, 502, 503), r
            if "close" in (r.get("Connection") or ""):
                continue
            c.send(more + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            r2 = c.response("GET")
            assert r2.body == b"the next\n", (first, rest, r, r2)


def test_client_that_left_a_buffered_answer(server, peers):
    """Nothing is written to it until the answer is complete, so no write finds out."""
    app = peers("http")
    s = server(backends=pool("app", app),
               routes='{ path = "/app"; gateway = { backend = "app"; response_body = "buffer"; }; }')
    with s.connect() as c:
        c.send(b"GET /app/stream?ms=5 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: app.stats()["pieces"] > 5, "the answer has begun")
        c.shutdown()
        wait_for(lambda: app.stats()["active"] == 0, "the backend is given up", 4)
    wait_for(lambda: s.status()["counters"]["requests_active"] == 0, "nothing is left")
