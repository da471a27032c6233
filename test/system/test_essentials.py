"""Site essentials against the real server: access, redirects, rewrites, fields, passwords, proxies."""
import base64
import ctypes
import os
import statistics
import threading
import time

import pytest

from harness import Conn, patience, wait_for


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


libcrypt = ctypes.CDLL("libcrypt.so.1")
libcrypt.crypt.restype = libcrypt.crypt_gensalt.restype = ctypes.c_char_p


def hashed(password, prefix, cost):
    salt = libcrypt.crypt_gensalt(prefix.encode(), ctypes.c_ulong(cost), os.urandom(16), 16)
    return libcrypt.crypt(password.encode(), salt).decode()


def bcrypt(password, cost=4):
    """A hash as htpasswd -B makes it; each step of cost doubles its time: 10 takes 73 ms."""
    return hashed(password, "$2y$", cost)


def users(s, text):
    """Writes the file of users beside the configuration, atomically; returns its path."""
    path = os.path.join(s.tmp, "users")
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)
    return path


def protected(server, text, more="", auth="", **kw):
    s = server(start=False, site='auth: { realm = "Team"; users = "@TMP@/users"; ' + auth + " }; " + more, **kw)
    users(s, text)
    return s.start()


# --- access, redirect, rewrite, headers, expire, respond, echo

def test_access(server):
    s = server(files={"a.txt": "hello", "deny/a.txt": "no", "post/a.txt": "x"},
               routes='{ path = "/deny"; access: { deny = "loopback"; }; },'
                      '{ path = "/one"; access: { allow = "127.0.0.1"; deny = "127.0.0.0/8"; }; respond = "one"; },'
                      '{ path = "/post"; access: { methods = "POST"; }; }')
    assert s.get("/a.txt").body == b"hello"
    assert s.get("/deny/a.txt").status == 403
    assert s.get("/deny/%61.txt").status == 403
    assert s.get("/x/../deny/a.txt").status == 403
    assert s.get("//deny//a.txt").status == 403
    assert s.get("/one").body == b"one"
    assert s.get("/one", source="127.0.0.2").status == 403
    r = s.get("/post/a.txt")
    assert (r.status, r["Allow"]) == (405, "POST")


def test_redirect(server):
    s = server(files={"a.txt": "hello"},
               routes='{ path = "/old"; redirect: { to = "https://example.org$uri"; status = 308; }; },'
                      '{ path = "/self"; redirect = "$uri"; }')
    r = s.get("/old/x%20y?q=1")
    assert (r.status, r["Location"]) == (308, "https://example.org/old/x%20y?q=1")
    assert r.body
    r = s.ask("HEAD", "/old")
    assert (r.status, r.body) == (308, b"")
    assert s.get("//self/x").status in (302, 404)
    for path in ("//evil.test/self", "/\\evil.test", "/%0d%0aSet-Cookie:a=b"):
        r = s.get(path)
        assert "evil" not in r.get("Location", "").split("/")[2:3], r
        assert "Set-Cookie" not in r, r


def test_rewrite(server):
    s = server(files={"page.html": "page", "secret/a.txt": "secret"},
               site='rewrite = ( { match = "^/p/([a-z]+)$"; to = "/$1.html"; },'
                    ' { match = "^/open/(.*)$"; to = "/secret/$1"; }, { match = "^/up/(.*)$"; to = "/../$1"; } );',
               routes='{ path = "/secret"; access: { deny = "all"; }; },'
                      '{ path = "/ping"; rewrite: { match = "ping"; to = "/pong"; }; },'
                      '{ path = "/pong"; rewrite: { match = "pong"; to = "/ping"; }; }')
    assert s.get("/p/page").body == b"page"
    assert s.get("/open/a.txt").status == 403
    assert s.get("/up/etc/passwd").status == 400
    assert s.get("/ping").status == 508
    wait_for(lambda: '"GET /p/page HTTP/1.1" 200' in s.access_log(), "the path as asked in the log")


def test_headers_on_every_answer(server):
    s = server(files={"a.txt": "hello", "d/index.html": "d"},
               site='headers: { set = [ "X-Frame-Options: DENY", "X-Id: $request_id" ]; remove = "ETag"; };',
               routes='{ path = "/go"; redirect = "/a.txt"; }, { path = "/no"; access: { deny = "all"; }; },'
                      '{ path = "/echo"; echo = true; headers: { set = "X-Frame-Options: SAMEORIGIN"; }; }')
    ids = set()
    with s.connect() as c:
        for path, status, frame in (("/a.txt", 200, "DENY"), ("/none", 404, "DENY"), ("/go", 302, "DENY"),
                                    ("/no", 403, "DENY"), ("/d", 301, "DENY"), ("/echo", 200, "SAMEORIGIN"),
                                    ("/a.txt", 200, "DENY")):
            r = c.request(path).response()
            assert (r.status, r.all("X-Frame-Options")) == (status, [frame]), path
            assert "ETag" not in r
            assert len(r["X-Id"]) == 16
            ids.add(r["X-Id"])
    assert len(ids) == 7
    # The id on an error page is the one in the field.
    r = s.get("/none", headers={"Accept": "text/html"})
    assert r["X-Id"] in r.text


def test_header_values_hold_no_line_ends(server):
    s = server(routes='{ path = "/"; respond = "x"; headers: { set = [ "X-Path: $path", "X-Query: $query", "X-Host: $host" ]; }; }')
    for path in ("/%E2%80%A8", "/a?%0d%0aX-Evil:%201", "/%7f", "/%0a", "/%00", "/a?\x01"):
        r = s.get(path)  # the parser of the harness is strict about fields
        assert "X-Evil" not in r
    assert s.get("/a?%0d%0aX-Evil:%201")["X-Query"] == "%0d%0aX-Evil:%201"


def test_expire(server):
    s = server(files={"a.css": "a{}", "b.png": "x", "c.txt": "c"},
               site='expire: { default = "1h"; types = ( { type = "image/*"; for = "30d"; immutable = true; } ); };')
    assert s.get("/a.css")["Cache-Control"] == "max-age=3600"
    assert s.get("/b.png")["Cache-Control"] == "max-age=2592000, immutable"
    assert "Expires" in s.get("/c.txt")
    assert "Cache-Control" not in s.get("/none")
    etag = s.get("/c.txt")["ETag"]
    assert s.get("/c.txt", headers={"If-None-Match": etag}).status == 304


def test_respond(server):
    s = server(routes='{ path = "/health"; respond = "ok"; },'
                      '{ path = "/"; respond: { status = 503; body = "Back soon"; retry_after = "1h"; }; }')
    assert s.get("/health").body == b"ok"
    r = s.ask("POST", "/anything", body=b"x" * 100000)
    assert (r.status, r.body, r["Retry-After"]) == (503, b"Back soon", "3600")


def test_echo_streams_with_back_pressure(server):
    """Octets come back while the body is still being sent, and a client that does not read is made
    to wait: the server does not hold what it cannot send."""
    s = server(routes='{ path = "/echo"; echo = true; }')
    with s.connect() as c:
        c.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        head = c.take_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        c.take_until(b"hello")
        c.send("6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n")
        rest = c.take_until(b"0\r\n\r\n")
        assert b" world" in rest and b"X-Trailer: t" in rest
    with s.connect(rcvbuf=65536) as c:
        c.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        c.sock.settimeout(patience(1))
        sent = 0
        try:
            while sent < 100_000_000:
                sent += c.sock.send(b"x" * 65536)
        except TimeoutError:
            pass
        assert sent < 40_000_000, "the server takes more than it can send"


# --- passwords

def test_auth(server):
    s = protected(server, f"ann:{bcrypt('right')}\nbob:{hashed('right', '$6$', 5000)}\n",
                  files={"a.txt": "in"}, routes='{ path = "/free"; auth = false; respond = "free"; }')
    r = s.get("/a.txt")
    assert r.status == 401
    assert r["WWW-Authenticate"] == 'Basic realm="Team", charset="UTF-8"'
    for name in ("ann", "bob"):
        for _ in range(3):
            assert s.get("/a.txt", basic(name, "right")).body == b"in"
        assert s.get("/a.txt", basic(name, "wrong")).status == 401
    assert s.get("/a.txt", basic("nobody", "right")).status == 401
    assert s.get("/free").body == b"free"
    wait_for(lambda: " - ann [" in s.access_log(), "the name in the access log")
    assert "right" not in s.access_log() + s.error_log()


def test_auth_keeps_the_connection_and_the_order(server):
    """Requests behind one whose password is being verified are answered, in order."""
    s = protected(server, f"ann:{bcrypt('right', 8)}\n", files={"a.txt": "in"},
                  routes='{ path = "/free"; auth = false; respond = "free"; }')
    token = basic("ann", "right")["Authorization"]
    with s.connect() as c:
        c.send(f"GET /a.txt HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\n\r\n"
               "GET /free HTTP/1.1\r\nHost: a\r\n\r\n"
               f"GET /a.txt HTTP/1.1\r\nHost: a\r\nAuthorization: {token}x\r\n\r\n")
        assert c.response("GET").body == b"in"
        assert c.response("GET").body == b"free"
        assert c.response("GET").status == 401


def test_auth_file_changes(server):
    """New users and passwords count within a second, without a reload."""
    s = protected(server, f"ann:{bcrypt('old')}\n", files={"a.txt": "in"}, workers=1)
    assert s.get("/a.txt", basic("ann", "old")).status == 200
    users(s, f"ann:{bcrypt('new')}\nbob:{bcrypt('b')}\n")
    wait_for(lambda: s.get("/a.txt", basic("ann", "new")).status == 200, "the new password", 3)
    wait_for(lambda: s.get("/a.txt", basic("ann", "old")).status == 401, "the end of the old one", 3)
    assert s.get("/a.txt", basic("bob", "b")).status == 200


def test_auth_file_only_root_may_read(server):
    """Workers of another user keep the users of load time, and say so when the file changes."""
    if os.getuid() != 0:
        pytest.skip("needs root, to start workers as somebody else")
    s = server(start=False, server='user = "nobody";', files={"a.txt": "in"},
               site='auth: { users = "@TMP@/users"; };')
    os.chmod(users(s, f"ann:{bcrypt('old')}\n"), 0o600)
    s.start()
    assert s.get("/a.txt", basic("ann", "old")).status == 200
    os.chmod(users(s, f"ann:{bcrypt('new')}\n"), 0o600)
    wait_for(lambda: s.get("/a.txt", basic("ann", "old")).status == 200 and "cannot be read" in s.error_log(),
             "a word about the file", 5)
    s.cli("reload", check=0)
    wait_for(lambda: s.get("/a.txt", basic("ann", "new")).status == 200, "the new password", 5)
    wait_for(lambda: s.get("/a.txt", basic("ann", "old")).status == 401, "the end of the old one", 5)


def test_auth_never_stalls_the_loop(server):
    """One worker, clients that guess passwords (73 ms of bcrypt each): others are answered at once, what
    waits is bounded, and who knows the password gets in as soon as the guessers pause."""
    s = protected(server, f"ann:{bcrypt('right', 10)}\n", files={"a.txt": "in"}, workers=1,
                  routes='{ path = "/free"; auth = false; respond = "free"; }')
    assert s.get("/a.txt", basic("ann", "right")).status == 200
    seen, stop = [], threading.Event()

    def guess(n):
        for i in range(40):
            if stop.is_set():
                return
            try:
                with Conn(s.address) as c:
                    c.request("/a.txt", headers=dict(basic("ann", f"guess {n} {i}"), Connection="close"))
                    seen.append(c.response())
            except OSError:
                seen.append(None)

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(48)]
    for t in threads:
        t.start()
    wait_for(lambda: any(r and r.status == 503 for r in seen), "a refusal", 20)
    times, known = [], []
    for _ in range(100):
        before = time.monotonic()
        assert s.get("/free").body == b"free"
        times.append(time.monotonic() - before)
        known.append(s.get("/a.txt", basic("ann", "right")).status)
    stop.set()
    for t in threads:
        t.join()
    assert set(known) == {200}, "a password that is remembered needs no turn"
    assert statistics.median(times) < patience(0.05), times
    assert None not in seen
    assert {r.status for r in seen} == {401, 503}
    assert all("Retry-After" in r for r in seen if r.status == 503)


def test_auth_clients_that_leave(server):
    """Clients that go away while their password is verified harm nobody."""
    s = protected(server, f"ann:{bcrypt('right', 9)}\n", files={"a.txt": "in"}, workers=1)
    pids = s.workers()
    for i in range(30):
        with s.connect() as c:
            c.request("/a.txt", headers=basic("ann", "right" if i % 2 else f"wrong {i}"))
    assert s.get("/a.txt", basic("ann", "right")).status in (200, 503)
    wait_for(lambda: s.get("/a.txt", basic("ann", "right")).status == 200, "a sign-in", 10)
    assert s.workers() == pids


def test_auth_file_errors_at_check(server):
    s = server(start=False, site='auth: { users = "@TMP@/users"; };')
    assert s.cli("check").returncode == 78
    users(s, "ann:in the clear\n")
    p = s.cli("check")
    assert p.returncode == 78
    assert "users:1:" in p.stderr + p.stdout
    users(s, f"ann:{bcrypt('x')}\n")
    s.cli("check", check=0)


# --- proxies and hosts

def test_realip(server):
    s = server(server='trusted_proxies = "127.0.0.1";', site='realip = "x-forwarded-for";',
               routes='{ path = "/who"; respond = "x"; headers: { set = "X-Who: $client $scheme"; }; },'
                      '{ path = "/deny"; access: { deny = "192.0.2.0/24"; }; respond = "in"; }')
    via = {"X-Forwarded-For": "198.51.100.1, 192.0.2.7", "X-Forwarded-Proto": "https"}
    assert s.get("/who", via)["X-Who"] == "192.0.2.7 https"
    assert s.get("/who", via, source="127.0.0.2")["X-Who"] == "127.0.0.2 http"
    assert s.get("/who")["X-Who"] == "127.0.0.1 http"
    assert s.get("/deny", via).status == 403
    assert s.get("/deny", via, source="127.0.0.2").status == 200
    wait_for(lambda: "192.0.2.7 - - [" in s.access_log(), "the client's address in the access log")


def test_hosts_by_directory(server):
    s = server(files={"a.test/x.txt": "a", "b.test/x.txt": "b"},
               routes='{ path = "/"; root = "@ROOT@/$host"; }')
    assert s.get("/x.txt", host="a.test").body == b"a"
    assert s.get("/x.txt", host="B.test:80").body == b"b"
    assert s.get("/x.txt", host="c.test").status == 404
    s.write("c.test/x.txt", "c")
    assert s.get("/x.txt", host="c.test").body == b"c"
    for host in ("..", ".", "a.test/..", "a..test", "%2e%2e"):
        with s.connect() as c:
            c.send(f"GET /b.test/x.txt HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
            assert c.response("GET").status in (400, 404), host


# --- error pages

def test_error_pages(server):
    s = server(site="debug = true;")
    browser = s.get("/none", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert browser["Content-Type"].startswith("text/html") and "<h1>" in browser.text
    program = s.get("/none", headers={"Accept": "application/json"})
    assert program["Content-Type"] == "application/problem+json"
    assert program.json()["status"] == 404 and len(program.json()["request_id"]) == 16
    curl = s.get("/none", headers={"Accept": "*/*"})
    assert curl["Content-Type"].startswith("text/plain") and curl.text.startswith("404 Not Found\n")
