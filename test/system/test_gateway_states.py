"""The ways of requests and of connections to backends through their states, as the debug log traces them.

Every pair of states that a test makes is also looked up in the table by the server itself: see
harness.Server.illegal_transitions().
"""
import re
import socket
import struct

import pytest

from backends import pool
from harness import free_port, wait_for
from test_gateway_tls import certs, front  # noqa: F401

TRACE = re.compile(r" (conn \d+|exchange [0-9a-f]{16}|upstream \S+ fd -?\d+) ([a-z]+) -> ([a-z]+)$", re.M)


def start(server, conf, more="", **kw):
    s = server(workers=1, start=False, backends=conf, routes=f'{{ path = "/app"; gateway = {{ backend = "app"; {more} }}; }}',
               **kw)
    s.rewrite(text=s.text.replace('"info"', '"debug"'), workers=1)
    return s.start()


def ways(s, kind):
    """What each object of a kind went through. A descriptor's number comes again: after "dead" it is another one."""
    found, last = [], {}
    for name, a, b in TRACE.findall(s.error_log()):
        if not name.startswith(kind + " "):
            continue
        way = last.get(name)
        if not way or way[-1] == "dead":
            way = last[name] = [a]
            found.append(way)
        assert way[-1] == a, f"{name}: {way} and then {a} -> {b}"
        way.append(b)
    return [" ".join(w) for w in found]


def goes(s, kind, *expected):
    """The objects of a kind went just these ways, soon."""
    try:
        wait_for(lambda: sorted(ways(s, kind)) == sorted(expected), "these ways", 5)
    except AssertionError:
        assert sorted(ways(s, kind)) == sorted(expected)


def one(s, path="/app/echo", status=200, **kw):
    with s.connect() as c:
        c.request(path, **kw)
        r = c.response(kw.get("method"))
        assert r.status == status, r
        return r


@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "unix"])
def test_kept(server, peers, protocol, tcp):
    s = start(server, pool("app", peers(protocol, tcp=tcp), keepalive=4))
    with s.connect() as c:
        for _ in range(2):
            c.request("/app/echo")
            assert c.response().status == 200
    if protocol == "http":
        goes(s, "exchange", *["body connecting sending answering done"] * 2)
        goes(s, "upstream", "connecting busy idle busy idle")
    else:  # the answer may be with the client before the protocol's own end has come; the next request is not to wait
        wait_for(lambda: re.fullmatch("(connecting( busy( orphan)? idle)+ ?){1,2}", " ".join(ways(s, "upstream"))), "kept")
        assert sum(w.count("busy idle") + w.count("orphan idle") for w in ways(s, "upstream")) == 2
        assert {w.removesuffix(" done") for w in ways(s, "exchange")} == {"body connecting sending answering"}
    wait_for(lambda: "new active idle active idle dead" in ways(s, "conn"), "the client's connection has ended")


def test_kept_for_a_time(server, peers):
    s = start(server, pool("app", peers("http"), keepalive=4, timeout={"keepalive": "300ms"}))
    one(s)
    goes(s, "upstream", "connecting busy idle dead")


def test_closed_while_it_was_kept(server, peers):
    app = peers("http")
    s = start(server, pool("app", app, keepalive=4))
    one(s)
    app.kill()
    goes(s, "upstream", "connecting busy idle dead")


def test_another_host(server, peers):
    """One refuses: the other one is taken without waiting."""
    s = start(server, pool("app", f"127.0.0.1:{free_port()}", peers("http", tcp=True), balance="round-robin"))
    for _ in range(2):
        one(s)
    assert sorted(set(ways(s, "exchange"))) == ["body connecting connecting sending answering done",
                                                "body connecting sending answering done"]


def test_no_answer(server, peers):
    """It is asked and closes: another one is asked."""
    bad, good = peers("http", tcp=True), peers("http", tcp=True)
    bad.mode("close")
    s = start(server, pool("app", bad, good, balance="round-robin", keepalive=0))
    for _ in range(2):
        one(s)
    assert "body connecting sending connecting sending answering done" in ways(s, "exchange")


def test_nobody(server, peers):
    """Nobody listens: it waits for a host until its time is over."""
    s = start(server, pool("app", f"127.0.0.1:{free_port()}", protocol="http", timeout={"queue": "600ms"}))
    one(s, status=503)
    wait_for(lambda: re.fullmatch("body( connecting)+( waiting( connecting)*)* waiting done", *ways(s, "exchange")),
             ways(s, "exchange"))


def test_slow(server, peers):
    s = start(server, pool("app", peers("http"), timeout={"first_byte": "300ms"}, retry={"attempts": 1}))
    one(s, "/app/slow-head?ms=3000", 504)
    goes(s, "exchange", "body connecting sending done")
    goes(s, "upstream", "connecting busy dead")
    assert "timeout.first_byte: 300 ms" in s.error_log()


def test_stops_in_the_middle(server, peers):
    s = start(server, pool("app", peers("http"), timeout={"between_bytes": "300ms"}), 'response_body = "stream";')
    with s.connect() as c:
        c.request("/app/stream?piece=4096&ms=3000")
        c.take_until(b"\r\n\r\n")
        goes(s, "exchange", "body connecting sending answering done")
    goes(s, "upstream", "connecting busy dead")
    assert "timeout.between_bytes: 300 ms" in s.error_log()


def test_tunnel(server, peers):
    s = start(server, pool("app", peers("http")), 'upgrade = "echo";')
    with s.connect() as c:
        c.request("/app/upgrade", headers={"Connection": "Upgrade", "Upgrade": "echo"})
        assert c.take_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        c.send(b"hello")
        assert c.take(5) == b"hello"
    goes(s, "exchange", "body connecting sending tunnel")
    goes(s, "upstream", "connecting busy dead")


def test_orphan(server, peers):
    """The client leaves, the backend is to finish."""
    app = peers("fastcgi")
    s = start(server, pool("app", app), "ignore_client_abort = true;")
    with s.connect() as c:
        c.request("/app/slow-head?ms=500")
        wait_for(lambda: app.stats()["active"] == 1, "it is asked")
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    wait_for(lambda: ways(s, "upstream") == ["connecting busy orphan"], "it has no exchange any more")
    wait_for(lambda: app.stats()["active"] == 0, "it has finished")
    assert app.stats()["gone"] == 0
    goes(s, "upstream", "connecting busy orphan dead")
    goes(s, "exchange", "body connecting sending")


def test_tls(server, front, certs):  # noqa: F811
    t = front()
    s = start(server, pool("app", f"https://localhost:{t.port}", protocol="http", tls={"ca": certs["good"] + ".pem"},
                           keepalive=4))
    one(s)
    goes(s, "upstream", "connecting shaking busy idle")
    t.cut()
    goes(s, "upstream", "connecting shaking busy idle dead")
    s = start(server, pool("app", f"https://localhost:{t.port}", protocol="http", tls={"ca": certs["other"] + ".pem"},
                           timeout={"queue": "200ms"}))
    one(s, status=503)
    # Where localhost is ::1 too, nobody listens there.
    assert set(ways(s, "upstream")) - {"connecting dead"} == {"connecting shaking dead"}


PROXY = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("steps", [
    [(GET, "new dead")],
    [(GET[:9], "new head"), (GET[9:], "new head dead")],
    [(b"GET\r\n\r\n", "new linger dead")],
    [(PROXY + GET, "new preface idle dead")],
    [(PROXY, "new preface idle"), (GET[:9], "new preface idle head"), (GET[9:], "new preface idle head dead")],
    [(b"nonsense\r\n", "new preface dead")],
], ids=["request", "slow request", "no request", "PROXY", "slow after PROXY", "no PROXY"])
def test_connections(server, steps):
    """Octets, and what the connection went through once they were read."""
    s = server(workers=1, start=False, files={"a": b"x"})
    text, port = s.text.replace('"info"', '"debug"'), s.port
    if "preface" in steps[0][1]:
        port = free_port()
        text = text.replace(f'listen = "127.0.0.1:{s.port}";', f'listen = ( "127.0.0.1:{s.port}", {{ address = "127.0.0.1:{port}"; '
                            'proxy_protocol = true; } ); trusted_proxies = "127.0.0.1";')
    s.rewrite(text=text, workers=1)
    s.start()
    with s.connect(address=("127.0.0.1", port)) as c:
        for octets, way in steps:
            c.send(octets)
            if "linger" in way:  # it reads on until the client goes too
                wait_for(lambda: "new linger" in ways(s, "conn"), "it lingers")
                c.shutdown()
            # wait_ready() has made a connection before.
            wait_for(lambda w=way: ways(s, "conn")[-1] == w, f"{way}, not {ways(s, 'conn')}")
