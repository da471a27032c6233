"""Error pages and local redirects stand inside the rules: what the page's application gets is a GET and nothing else of
the client's request, and whatever it leads to is asked for like any path.
"""
import os
import socket
import struct
import threading
import time

import pytest

from backends import pool
from harness import free_port, wait_for


GOOD = ("200 OK", {}, b"the page")


class Recorder:
    """An HTTP or SCGI backend that keeps what it was sent, octet by octet, and answers as told."""

    def __init__(self, protocol, answer=None, delay=None):
        self.protocol, self.port, self.seen = protocol, free_port(), []
        self.answer = answer or (lambda head: GOOD)
        self.delay = delay
        self.sock = socket.create_server(("127.0.0.1", self.port))
        self.host = f"127.0.0.1:{self.port}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def head(self, c):
        data = b""
        if self.protocol == "scgi":
            while b":" not in data:
                data += c.recv(1)
            n = int(data[:-1]) + 1
            data = b""
            while len(data) < n:
                data += c.recv(n - len(data))
            words = data[:-1].decode("latin-1").split("\0")
            return dict(zip(words[::2], words[1::2])), b""
        while b"\r\n\r\n" not in data:
            more = c.recv(65536)
            if not more:
                return None, b""
            data += more
        head, _, rest = data.partition(b"\r\n\r\n")
        return head.decode("latin-1"), rest

    def serve(self, c):
        with c:
            head, rest = self.head(c)
            if head is None:
                return
            if self.delay:
                self.delay.wait(10)
            answer = self.answer(head)
            if not answer:
                self.seen.append((head, rest))
                return
            status, fields, body = answer
            line = f"Status: {status}\r\n" if self.protocol == "scgi" else f"HTTP/1.1 {status}\r\nConnection: close\r\n"
            if fields.get("Location", "").startswith("/"):
                line = ""  # RFC 3875 6.2.2: that field alone
            c.sendall((line + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n").encode() + body)
            c.shutdown(socket.SHUT_WR)
            try:
                while more := c.recv(65536):  # whatever came behind the head
                    rest += more
            except ConnectionResetError:
                pass
            self.seen.append((head, rest))

    def wait(self, n=1):
        wait_for(lambda: len(self.seen) >= n, "the backend has seen it")
        return self.seen

    def close(self):
        self.sock.close()


class Authorizer:
    """A FastCGI authorizer (FastCGI 6.3) that says the same of every path."""

    def __init__(self, says):
        self.says, self.asked = says.encode(), 0
        self.sock = socket.create_server(("127.0.0.1", free_port()))
        self.host = "%s:%d" % self.sock.getsockname()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            with c, c.makefile("rb") as f:
                while h := f.read(8):
                    _, kind, rid, n, pad, _ = struct.unpack("!BBHHBB", h)
                    f.read(n + pad)
                    if kind == 5 and n == 0:  # the end of the input
                        self.asked += 1
                        c.sendall(struct.pack("!BBHHBB", 1, 6, rid, len(self.says), 0, 0) + self.says +
                                  struct.pack("!BBHHBB", 1, 3, rid, 8, 0, 0) + bytes(8))
                        break

    def close(self):
        self.sock.close()


@pytest.fixture
def recorder(request):
    def make(*args, **kw):
        r = Recorder(*args, **kw)
        request.addfinalizer(r.close)
        return r
    return make


def start_with_users(s):
    with open(os.path.join(s.tmp, "users"), "w") as f:
        f.write("ann:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n")  # "test"
    s.start()


# --- what the page's application gets

PAGES = """error_pages = ( { status = 403; path = "/err"; } );"""
DENIED = '''{ path = "/err"; gateway = "page"; }, { path = "/no"; access: { deny = "all"; }; },
{ path = "/"; respond = "home"; }'''


def page_server(server, r, routes=DENIED, **more):
    more.setdefault("site", PAGES)
    return server(workers=1, routes=routes, backends=pool("page", r.host, protocol=r.protocol), **more)


@pytest.mark.parametrize("protocol", ["http", "scgi"])
def test_page_gets_no_body(server, recorder, protocol):
    """POST with a body, refused by access: one GET without a body, and the connection goes on."""
    r = recorder(protocol)
    s = page_server(server, r)
    with s.connect() as c:
        c.send(b"POST /no HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nX_HTTP_Method_Override: DELETE\r\n"
               b"Content-Encoding: x\r\nCookie: k=1\r\nContent-Length: 6\r\n\r\nsecret"
               b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        first, second = c.response("POST"), c.response("GET")
    assert (first.status, first.body) == (403, b"the page")
    assert (second.status, second.body) == (200, b"home"), "what is pipelined is taken from the right octet"
    (head, rest), = r.wait()
    assert rest in ((b"",) if protocol == "http" else (b",", b"")), "no octet of the body"
    text = str(head).lower().replace("-", "_")
    for word in ("secret", "content_length: 6", "content_type", "content_encoding", "method_override", "post"):
        assert word not in text, head
    assert "cookie" in text, "the rest is the client's"
    if protocol == "http":
        assert head.startswith("GET /err HTTP/1.1\r\n")
    else:
        assert head["REQUEST_METHOD"] == "GET" and head["REDIRECT_STATUS"] == "403" and head["CONTENT_LENGTH"] == "0"
        assert head["REQUEST_URI"] == "/err", "a front controller would make the page that was refused"
    wait_for(lambda: "POST /no HTTP/1.1" in s.access_log(), "the log has what was sent")


def test_page_is_asked_again(server, recorder):
    """A backend that closes without an answer: the page is a GET, which another host may be asked for; nothing of the
    client's POST reaches either."""
    both = [recorder("http", answer=lambda head: None if not both[1].seen and not both[0].seen else GOOD)
            for _ in range(2)]
    s = server(workers=1, site=PAGES, routes=DENIED, backends=pool("page", *[r.host for r in both], protocol="http"))
    with s.connect() as c:
        c.send(b"POST /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\nTE: trailers\r\n\r\n"
               b"6\r\nsecret\r\n0\r\nX-T: 1\r\n\r\n")
        a = c.response("POST")
    assert (a.status, a.body) == (403, b"the page")
    wait_for(lambda: all(r.seen for r in both), "both were asked")
    for head, rest in both[0].seen + both[1].seen:
        assert head.startswith("GET /err ") and rest == b""
        for word in ("chunked", "trailer", "secret", "te:"):
            assert word not in head.lower(), head


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_page_has_no_conditions(server, recorder, method):
    r = recorder("http", answer=lambda head: ("200 OK", {"ETag": '"x"', "Content-Length": "8"}, b"the page"))
    s = page_server(server, r)
    with s.connect() as c:
        c.request("/no", method, headers={
            "If-None-Match": "*", "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT", "Range": "bytes=0-1",
            "If-Range": '"x"', "If_Unmodified_Since": "Thu, 01 Jan 1970 00:00:00 GMT", "Expect": "100-continue"})
        a = c.response()
        c.expect_open()
    assert (a.status, a.body) == (403, b"the page" if method == "GET" else b"")
    assert "Content-Range" not in a and not a.interim
    (head, _), = r.wait()
    assert head.startswith(method + " ")
    for word in ("range", "if-", "if_", "expect"):
        assert word not in head.lower(), head


def test_page_of_a_file_has_no_conditions(server):
    s = server(site=PAGES, routes='{ path = "/no"; access: { deny = "all"; }; }', files={"err": b"the page"})
    etag = s.get("/err")["ETag"]
    for headers in ({"If-None-Match": etag}, {"Range": "bytes=0-1"}, {"If-Match": '"other"'}):
        a = s.get("/no", headers=headers)
        assert (a.status, a.body) == (403, b"the page") and "Content-Range" not in a


def test_page_makes_no_tunnel(server, recorder):
    """Upgrade on a denied path: the page, never a 101."""
    r = recorder("http", answer=lambda head: (
        ("101 Switching Protocols", {"Upgrade": "websocket"}, b"raw") if "upgrade" in head.lower()
        else ("200 OK", {}, b"the page")))
    upgrade = 'gateway: { backend = "page"; upgrade = "websocket"; }'
    s = page_server(server, r, routes=DENIED.replace('gateway = "page"', upgrade))
    with s.connect() as c:
        c.request("/no", headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
        a = c.response()
        assert (a.status, a.body) == (403, b"the page")
    (head, _), = r.wait()
    assert "upgrade" not in head.lower() and "websocket" not in head.lower(), head


def test_page_while_the_body_comes(server, recorder):
    """A backend fails while it is sent a body that is still coming: the page's backend gets none of it, and what comes
    is dropped."""
    app = recorder("http", answer=lambda head: ("500 No", {}, b""))
    page = recorder("http")
    s = server(workers=1, site='error_pages = ( { status = 500; path = "/err"; } );',
               routes='{ path = "/err"; gateway = "page"; }, { path = "/app"; gateway: { backend = "app"; '
                      'request_body = "stream"; intercept_errors = true; }; }, { path = "/"; respond = "home"; }',
               backends=pool("page", page.host, protocol="http") + pool("app", app.host, protocol="http"))
    with s.connect() as c:
        c.send(b"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + b"s" * 1000)
        a = None
        c.send(b"s" * 19000 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        a = c.response("POST")
        assert (a.status, a.body) == (500, b"the page")
        if a.get("Connection") != "close":
            assert c.response("GET").body == b"home"
    (head, rest), = page.wait()
    assert head.startswith("GET /err ") and rest == b""


def test_slow_body_and_page(server, recorder):
    """The client stops in the middle of a body that a backend is sent: a 408 with the page of an application. Two
    handlers never answer one request."""
    late = threading.Event()

    def answer(head):
        late.set()  # the first backend answers after all, before the page's does
        time.sleep(0.3)
        return GOOD
    app = recorder("http", answer=lambda head: ("200 OK", {}, b"the app"), delay=late)
    page = recorder("http", answer=answer)
    s = server(workers=1, site='error_pages = ( { status = 408; path = "/err"; } ); timeout: { body = "1s"; };',
               routes='{ path = "/err"; gateway = "page"; }, { path = "/app"; gateway: { backend = "app"; '
                      'request_body = "stream"; }; }, { path = "/"; respond = "home"; }',
               backends=pool("page", page.host, protocol="http") + pool("app", app.host, protocol="http"))
    before = s.workers()
    with s.connect() as c:
        c.send(b"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" + b"s" * 1000)
        a = c.response("POST")
        assert (a.status, a.body) == (408, b"the page")
    assert s.get("/").body == b"home" and s.workers() == before


# --- where a page, and an application, may lead

ADMIN = '''{ path = "/admin"; access: { deny = "all"; }; }, { path = "/team"; auth: { users = "@TMP@/users"; }; }'''


def leads_to(where):
    return lambda head: ("", {"Location": where}, b"")


@pytest.mark.parametrize("where,status", [("/admin/i.html", 403), ("/team/i.html", 401), ("/free.html", 200)])
def test_local_redirect_is_asked_for(server, recorder, where, status):
    """An application's local redirect is evaluated with the client's address and credentials."""
    r = recorder("scgi", answer=leads_to(where))
    s = server(routes=ADMIN + ', { path = "/app"; gateway = "page"; }', backends=pool("page", r.host, protocol="scgi"),
               files={"admin/i.html": "secret", "team/i.html": "secret", "free.html": "free"}, start=False)
    start_with_users(s)
    a = s.ask("POST", "/app", body=b"x")
    assert a.status == status and b"secret" not in a.body
    if status == 401:
        a = s.ask("POST", "/app", body=b"x", headers={"Authorization": "Basic YW5uOnRlc3Q="})
        assert (a.status, a.body) == (200, b"secret"), "who may ask gets it"


@pytest.mark.parametrize("where", ["/admin/i.html", "/team/i.html", "/gone.html"])
def test_page_leads_nowhere_else(server, recorder, where):
    """A page's application that leads on has lost the exemption of the page."""
    r = recorder("scgi", answer=leads_to(where))
    s = server(site='error_pages = ( { status = 404; path = "/err"; }, { status = 403; path = "/err"; } );',
               routes=ADMIN + ', { path = "/err"; gateway = "page"; access: { deny = "all"; }; }, '
               '{ path = "/gone.html"; redirect = "https://other.example/"; }',
               backends=pool("page", r.host, protocol="scgi"),
               files={"admin/i.html": "secret", "team/i.html": "secret", "gone.html": "secret"}, start=False)
    start_with_users(s)
    a = s.get("/none")
    assert a.status == 404 and b"secret" not in a.body
    assert len(r.wait()) == 1, "the page itself is shown, though its path is denied"


def test_rewrites_count_again(server, recorder):
    """A rule that keeps a path away counts for an application's local redirect too."""
    r = recorder("scgi", answer=leads_to("/keep/i.html"))
    s = server(site='rewrite = ( { match = "^/keep/"; to = "/away"; }, { match = "^/x$"; to = "/app"; } );',
               routes='{ path = "/app"; gateway = "page"; }, { path = "/away"; respond = { status = 410; }; }',
               backends=pool("page", r.host, protocol="scgi"), files={"keep/i.html": "secret"})
    assert s.get("/keep/i.html").status == 410
    a = s.get("/x")
    assert a.status == 410 and b"secret" not in a.body


@pytest.mark.parametrize("kind", ["index", "try"])
def test_index_and_try_of_a_page(server, kind):
    """An index file or a try list on the way of a page leads to a denied route: not shown."""
    more = 'try = [ "$path", "/deny/i.html" ];' if kind == "try" else 'index = "i.html";'
    page = "/pages/none" if kind == "try" else "/deny/"
    s = server(site=f'error_pages = ( {{ status = 404; path = "{page}"; }} );',
               routes='{ path = "/pages"; ' + more + ' }, { exact = "/deny/i.html"; access: { deny = "all"; }; }, '
                      '{ path = "/deny"; ' + more + ' }', files={"deny/i.html": "secret", "pages/a": "a"})
    a = s.get("/none")
    assert a.status == 404 and b"secret" not in a.body
    assert s.get("/deny/i.html").status == 403


@pytest.mark.parametrize("status,rule", [
    (403, 'access: { deny = "all"; };'), (401, 'auth: { users = "@TMP@/users"; };')])
def test_page_below_the_refused_path(server, status, rule):
    """The page may stand where nobody else may look."""
    s = server(site=f'error_pages = ( {{ status = {status}; path = "/in/page.html"; }} );',
               routes='{ path = "/in"; ' + rule + ' }',
               files={"in/page.html": "the page", "in/secret": "secret"}, start=False)
    start_with_users(s)
    a = s.get("/in/secret")
    assert (a.status, a.body) == (status, b"the page")
    assert ("WWW-Authenticate" in a) == (status == 401)
    assert s.get("/in/page.html").status == status


def test_authorizers_and_what_leads_on(server, recorder):
    """A try list leads to a path with an authorizer of its own: it is asked. And what one said of a request is not told
    to the error page's application."""
    yes, no = Authorizer("Status: 200\r\nVariable-VOUCHED: yes\r\n\r\n"), Authorizer("Status: 403\r\n\r\nno entry")
    app = recorder("scgi")
    pools = [pool("app", app.host, protocol="scgi")]
    pools += [pool(name, r.host, protocol="fastcgi") for name, r in (("yes", yes), ("no", no))]
    s = server(site='error_pages = ( { status = 404; path = "/page"; } );',
               routes='{ path = "/in"; gateway: { authorizer = "yes"; }; try = [ "$path", "/shut/i.html" ]; }, '
                      '{ path = "/in2"; gateway: { authorizer = "yes"; }; }, { path = "/page"; gateway = "app"; }, '
                      '{ path = "/shut"; gateway: { authorizer = "no"; }; }',
               files={"shut/i.html": "secret"}, backends="".join(pools))
    a = s.get("/in")
    assert (a.status, a.body) == (403, b"no entry")
    assert (yes.asked, no.asked) == (1, 1)
    a = s.get("/in2/none")
    assert (a.status, a.body) == (404, b"the page")
    (env, _), = app.wait()
    assert "VOUCHED" not in env and yes.asked == 2
    yes.close()
    no.close()
