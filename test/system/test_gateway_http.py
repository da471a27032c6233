"""HTTP/1.1 on the wire between the server and a backend that says exactly what the test tells it to."""
import socket
import threading
import time

import pytest

import harness
from backends import pool


class Script:
    """Answers the nth request with answers[n] (the last one again and again) and remembers the requests."""

    def __init__(self, *answers, end=False):
        self.answers, self.end, self.seen, self.conns = answers, end, [], 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.conns += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            self.talk(sock)
        except OSError:
            pass  # what is refused is closed in the middle of it

    def talk(self, sock):
        have = b""
        with sock:
            while True:
                while b"\r\n\r\n" not in have:
                    d = sock.recv(65536)
                    if not d:
                        return
                    have += d
                head, _, have = have.partition(b"\r\n\r\n")
                n = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
                while len(have) < n:
                    have += sock.recv(65536)
                have = have[n:]
                with self.lock:
                    answer = self.answers[min(len(self.seen), len(self.answers) - 1)]
                    self.seen.append(head.decode("latin-1"))
                for piece in answer if isinstance(answer, (list, tuple)) else (answer,):
                    sock.sendall(piece)
                if self.end:
                    return

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def script():
    made = []

    def make(*answers, **more):
        made.append(Script(*answers, **more))
        return made[-1]

    yield make
    for s in made:
        s.stop()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def start(server, backend, gateway="", path="/", top=""):
    options = pool("app", backend.host, protocol="http", retry={"attempts": 1}, timeout={"first_byte": "2s"})
    return server(workers=1, backends=options, server=top, routes=f'{{ path = "{path}"; gateway = {{ backend = "app"; {gateway} }}; }}')


# What a backend says, and what the client gets: a status and a body; 502: refused.
ANSWERS = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, None),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", 502, None),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 502, None),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 200, b"ab"),
    (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 502, None),
    (b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nab", 502, None),
    (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nab", 502, None),
    (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab", 502, None),
    (b"HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nab", 502, None),
    (b"HTTP/2 200\r\n\r\n", 502, None),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nab", 204, b""),
    (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502, None),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
]


@pytest.mark.parametrize("n", range(len(ANSWERS)))
@pytest.mark.parametrize("how", ["whole", "octets"])
def test_answers(server, script, n, how):
    said, status, body = ANSWERS[n]
    back = script(said if how == "whole" else [said[i:i + 1] for i in range(len(said))])
    s = start(server, back)
    r = s.get("/")
    assert r.status == status and (body is None or r.body == body), r


def test_answers_are_not_mixed_up(server, script):
    """What a backend has sent beyond an answer does not become the answer to somebody else's request. (What
    it sends while that one is on its way cannot be told from its answer, by nobody.)"""
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
    for first in (OK + evil, [OK, evil], b"HTTP/1.1 204 No Content\r\n\r\n" + evil,
                  b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil):
        back = script(first, OK)
        s = start(server, back)
        with s.connect() as c:
            c.request("/").response()
            time.sleep(0.1)  # it is here, if there is any
            for _ in range(3):
                assert c.request("/").response().body == b"ok"
        assert back.conns >= 2


def test_paths(server, script):
    """Encoding is kept, dot segments are resolved as the rules saw them, prefixes replaced."""
    back = script(OK)
    s = start(server, back, 'path = "/v2";', path="/app")
    for asked, sent in (("/app/a%2Fb%20c?x=%41", "/v2/a%2Fb%20c?x=%41"), ("/app", "/v2"), ("/app//x", "/v2//x"),
                        ("/z/%2e%2e/app/./y", "/v2/y"), ("/%61pp/y", "/v2/y")):
        assert s.get(asked).status == 200
        assert back.seen[-1].split("\r\n")[0] == f"GET {sent} HTTP/1.1", asked
    assert s.get("/app/../etc").status == 404, "that is none of the route's paths"


def test_ways_back(server, script):
    back = script(b"HTTP/1.1 302 Found\r\nLocation: /v2/login?next=/v2\r\nSet-Cookie: a=b; Path=/v2; HttpOnly\r\n"
                  b"Set-Cookie: c=d; Path=/\r\nX-Powered-By: x\r\nContent-Length: 0\r\n\r\n")
    s = start(server, back, 'path = "/v2"; hide = "x-powered-by";', path="/app")
    r = s.get("/app/x")
    assert r.status == 302 and r["Location"] == "/app/login?next=/v2"
    assert r.all("Set-Cookie") == ["a=b; Path=/app; HttpOnly", "c=d; Path=/"] and "X-Powered-By" not in r
    back = script(b"HTTP/1.1 302 Found\r\nLocation: http://BACK/v2/x\r\nContent-Length: 0\r\n\r\n")
    back.answers = (back.answers[0].replace(b"BACK", back.host.encode()),)
    s = start(server, back, 'path = "/v2"; host = "backend";', path="/app")
    assert s.get("/app/x", host=f"localhost:{s.port}")["Location"] == f"http://localhost:{s.port}/app/x"
    assert f"Host: {back.host}" in back.seen[-1].split("\r\n")


def test_who_asked(server, script):
    """Fields about clients before us are kept from trusted proxies only."""
    sent = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "outer.example", "Forwarded": "for=203.0.113.9"}
    back = script(OK)
    s = start(server, back, "forwarded = true; via = true;")
    r = s.get("/", headers=sent)
    seen = dict(line.split(": ", 1) for line in back.seen[-1].split("\r\n")[1:])
    assert seen["X-Forwarded-For"] == "127.0.0.1" and seen["X-Forwarded-Proto"] == "http" and seen["X-Forwarded-Host"] == "localhost"
    assert seen["Forwarded"] == "for=127.0.0.1;host=localhost;proto=http" and seen["Via"] == "1.1 argand" == r["Via"]
    s = start(server, back, "forwarded = true;", top='trusted_proxies = "127.0.0.1";')
    s.get("/", headers=sent)
    seen = dict(line.split(": ", 1) for line in back.seen[-1].split("\r\n")[1:])
    assert seen["X-Forwarded-For"] == "203.0.113.9, 127.0.0.1" and seen["X-Forwarded-Host"] == "outer.example"
    assert seen["Forwarded"].startswith("for=203.0.113.9, for=127.0.0.1;")


def test_connection_is_the_clients_own(server, script):
    back = script(OK)
    s = start(server, back, 'set = [ "X-Set: $method", "X-Gone:" ]; remove = "cookie";')
    s.get("/", headers={"Connection": "close, X-Hop", "X-Hop": "1", "Keep-Alive": "5", "TE": "gzip, trailers", "Upgrade": "h2c",
                        "Proxy-Authorization": "x", "Cookie": "a", "X-Gone": "1", "X-Set": "client", "X-End": "2"})
    names = [line.split(":")[0].lower() for line in back.seen[-1].split("\r\n")[1:]]
    assert not {"x-hop", "keep-alive", "upgrade", "proxy-authorization", "cookie", "x-gone"} & set(names)
    assert "x-end" in names and "X-Set: GET" in back.seen[-1] and "TE: trailers" in back.seen[-1]


def test_old_backend(server, script):
    """HTTP/1.0, a body that ends with the connection."""
    back = script(b"HTTP/1.0 200 OK\r\n\r\nas long as it is", end=True)
    s = start(server, back)
    for _ in range(3):
        r = s.get("/")
        assert r.status == 200 and r.body == b"as long as it is"
    assert back.conns == 3
    harness.wait_for(lambda: s.status()["counters"]["requests_active"] == 0, "nothing is left")


def test_head_and_body_apart(server, script):
    """A backend that writes its head and then its body, as many simple servers do, does not wait for a
    delayed acknowledgement (40 ms) of the head before it sends the body."""
    back = script([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"])
    s = start(server, back)
    took = []
    for _ in range(9):
        began = time.monotonic()
        assert s.get("/").body == b"ok"
        took.append((time.monotonic() - began) * 1000)
    assert back.conns == 1 and sorted(took)[4] < 20 * harness.SLOW, took
