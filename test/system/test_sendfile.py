"""Files by header: what an application names is sent by the server, over every protocol of backends."""
import json
import os
import re
import socket
import threading
import time

import pytest

import harness
from backends import PROTOCOLS, pool
from test_request_rules import Authorizer

FILES = {"a.txt": b"0123456789" * 10, "dir/b b.txt": b"deep", "empty": b"", "caf\xe9.html".encode(): b"<p>", "p%20c": b"raw",
         "x,y.bin": b"comma", "100%.txt": b"percent"}
FAMILY = [("X-Sendfile", "/nowhere"), ("X-Sendfile2", "/nowhere 0-"), ("X-LIGHTTPD-send-file", "/nowhere"),
          ("X-LIGHTTPD-send-tempfile", "/nowhere"), ("X-LIGHTTPD-KBytes-per-second", "1"), ("X-Send-Response-Body", "/nowhere"),
          ("X-Accel-Redirect", "/nowhere"), ("X-Accel-Limit-Rate", "1000"), ("X-Accel-Buffering", "no"),
          ("X-Accel-Expires", "10"), ("X-Accel-Charset", "koi8-r"), ("x_sendfile", "/nowhere"), ("X.Accel.Redirect", "/x")]


class Site:
    """A server whose application says what the test tells it to."""

    def __init__(self, make, peers, protocol="fastcgi", options="", gateway="", routes="", headers=None, keepalive=None, **more):
        self.peer = peers(protocol)
        backends = pool("app", self.peer, **({"keepalive": keepalive} if keepalive else {}))
        self.s = make(workers=1, start=False, backends=backends, routes="", **more)
        self.dir = os.path.join(self.s.tmp, "files")
        for name, data in FILES.items():
            path = os.path.join(self.dir.encode(), name.encode() if isinstance(name, str) else name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        names = f'headers = {json.dumps(headers)};' if headers else ""
        dirs = "" if headers == ["X-Accel-Redirect"] else f'directories = "{self.dir}";'
        prefix = 'prefix = "/app";' if protocol in ("fastcgi", "scgi", "uwsgi") else ""
        routes = routes.replace("@DIR@", self.dir)
        self.s.rewrite(workers=1, backends=backends, **more, routes=f'''
            {{ path = "/app"; gateway = {{ backend = "app"; {prefix} {gateway}
               sendfile = {{ {dirs} {names} {options.replace("@DIR@", self.dir)} }}; }}; }},
            {routes} {{ path = "/off"; gateway = {{ backend = "app"; {prefix.replace("app", "off")} }}; }}''')
        self.s.start()

    def say(self, *fields, status=200, **more):
        more = {"fields": fields, "status": status, **more}
        self.peer.mode("say?hex=" + json.dumps(more).encode().hex())

    def get(self, *fields, path="/app/x", method="GET", headers=(), send=None, **more):
        if fields:
            self.say(*fields, **more)
        return self.s.ask(method, path, headers=headers, body=send)

    def file(self, name):
        return os.path.join(self.dir, name)


@pytest.fixture
def site(server, peers):
    return lambda *args, **kw: Site(server, peers, *args, **kw)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["X-Sendfile", "X-LIGHTTPD-send-file", "X-Send-Response-Body"])
def test_file(site, protocol, name):
    t = site(protocol)
    r = t.get((name, t.file("a.txt")), ("Set-Cookie", "s=1"), ("Content-Security-Policy", "default-src 'none'"),
              ("Content-Disposition", 'attachment; filename="q.txt"'), body="not this", length=True)
    assert r.status == 200 and r.body == FILES["a.txt"], r
    assert r["Content-Length"] == "100" and r["Set-Cookie"] == "s=1" and r["Content-Security-Policy"] == "default-src 'none'"
    assert r["Content-Disposition"] == 'attachment; filename="q.txt"' and r["Accept-Ranges"] == "bytes"
    assert r["Content-Type"] == "text/plain; charset=utf-8" and r["ETag"] and r["Last-Modified"]
    assert name not in r
    # what is not told ends with the connection: no length, no body
    r = t.get((name, t.file("dir/b%20b.txt" if "Body" not in name else "dir/b b.txt")), ("Content-Type", "image/x"))
    assert r.body == b"deep" and r["Content-Type"] == "image/x"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_parts_redirect_and_temporary_files(site, protocol):
    t = site(protocol, headers=["X-Sendfile2", "X-Accel-Redirect", "X-LIGHTTPD-send-tempfile"],
             options='temp_directories = "@DIR@/dir";',
             routes='{ path = "/inside"; internal = true; alias = "@DIR@"; },')
    r = t.get(("X-Sendfile2", f"{t.file('a.txt')} 2-4, {t.file('x%2cy.bin')} 0-,{t.file('a.txt')} 98-"), body="no")
    assert (r.status, r.body, r["Content-Length"]) == (200, b"234comma89", "10")
    r = t.get(("X-Accel-Redirect", "/inside/dir/b%20b.txt?x=1"), ("Content-Type", "a/b"), ("Set-Cookie", "s=1"), body="no")
    assert (r.status, r.body, r.all("Content-Type"), r["Set-Cookie"]) == (200, b"deep", ["a/b"], "s=1")
    r = t.get(("X-LIGHTTPD-send-tempfile", t.file("dir/b b.txt")))
    assert (r.status, r.body) == (200, b"deep")
    assert not os.path.exists(t.file("dir/b b.txt"))
    assert t.get(("X-LIGHTTPD-send-tempfile", t.file("a.txt"))).status == 403 and os.path.exists(t.file("a.txt"))
    assert t.get(("X-Sendfile", t.file("a.txt")), body="own").body == b"own"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_family_never_reaches_a_client(site, protocol):
    t = site(protocol)
    for path, status in (("/off/x", 200), ("/app/x", 404), ("/off/x", 500)):
        t.say(*(FAMILY if path == "/off/x" else [*FAMILY, ("X-Sendfile", t.file("none"))][1:]), status=max(status, 200)
              if path == "/off/x" else 200, body="own")
        r = t.get(path=path)
        assert r.status in (status, 403), r
        assert [k for k, _ in r.fields if re.match("x[-_.](accel|sendfile|send|lighttpd)", k, re.I)] == []


def test_conditions_and_ranges(site):
    t = site()
    name = ("X-Sendfile", t.file("a.txt"))
    whole = t.get(name)
    r = t.get(headers={"Range": "bytes=10-19"})
    assert (r.status, r.body, r["Content-Range"]) == (206, b"0123456789", "bytes 10-19/100")
    r = t.get(headers={"Range": "bytes=0-1,50-51"})
    assert r.status == 206 and r["Content-Type"].startswith("multipart/byteranges") and b"bytes 50-51/100\r\n\r\n01\r\n" in r.body
    assert b"Content-Type: text/plain; charset=utf-8" in r.body
    r = t.get(headers={"Range": "bytes=200-"})
    assert (r.status, r["Content-Range"]) == (416, "bytes */100")
    r = t.get(name, ("Content-Disposition", "inline"), ("Set-Cookie", "s=1"), headers={"If-None-Match": whole["ETag"]})
    assert (r.status, r["ETag"], r["Set-Cookie"]) == (304, whole["ETag"], "s=1")
    assert "Content-Type" not in r and "Content-Disposition" not in r and "Last-Modified" not in r
    assert t.get(headers={"If-Modified-Since": whole["Last-Modified"]}).status == 304
    assert t.get(headers={"If-Match": '"x"'}).status == 412
    assert t.get(headers={"Range": "bytes=0-1", "If-Range": '"x"'}).status == 200
    assert t.get(headers={"Range": "bytes=0-1", "If-Range": whole["ETag"]}).status == 206
    r = t.get(name, ("ETag", '"own"'), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"))
    assert (r["ETag"], r["Last-Modified"]) == ('"own"', "Thu, 01 Jan 2026 00:00:00 GMT")
    assert t.get(headers={"If-None-Match": '"own"'}).status == 304
    assert t.get(headers={"If-None-Match": whole["ETag"]}).status == 200
    r = t.get(name, ("Content-Range", "bytes 0-1/100"), ("Content-Encoding", "gzip"), status=206)
    assert r.status == 200 and "Content-Range" not in r and "Content-Encoding" not in r and r.body == FILES["a.txt"]
    assert t.get(name, ("Accept-Ranges", "none"), headers={"Range": "bytes=0-1"}).status == 200


def test_head_status_and_methods(site):
    t = site()
    name = ("X-Sendfile", t.file("a.txt"))
    r = t.get(name, method="HEAD")
    assert (r.status, r.body, r["Content-Length"]) == (200, b"", "100")
    r = t.get(name, status=404, headers={"Range": "bytes=0-1", "If-None-Match": "*"})
    assert (r.status, r.body) == (404, FILES["a.txt"])
    r = t.get(name, method="POST", send=b"q" * 100000, headers={"If-None-Match": "*"})
    assert (r.status, r.body) == (200, FILES["a.txt"])
    for status in (204, 304):
        r = t.get(name, status=status)
        assert (r.status, r.body) == (status, b"")
    assert t.get(("X-Sendfile", t.file("empty")))["Content-Length"] == "0"
    assert t.get(("X-Sendfile", t.file("empty")), headers={"Range": "bytes=0-"}).status in (200, 416)


@pytest.mark.parametrize("policy", ["spool", "stream", "buffer"])
def test_policies_and_what_comes_besides(site, policy):
    t = site(gateway=f'response_body = "{policy}"; intercept_errors = true;')
    for more in ({"body": "x" * 200000}, {"body": "late", "ms": 50}, {"body": "x" * 100, "length": True}):
        assert t.get(("X-Sendfile", t.file("a.txt")), **more).body == FILES["a.txt"]
    r = t.get(("X-Sendfile", t.file("a.txt")), status=404)
    assert r.status == 404 and r.body != FILES["a.txt"], "intercept_errors comes first"
    assert t.s.status()["pools"][0]["hosts"][0]["failures"] == 0


def test_names_as_other_servers_read_them(site):
    t = site(options='base = "@DIR@/dir";')
    assert t.get(("X-Sendfile", t.file("caf%C3%A9.html")))["Content-Type"] == "text/html; charset=utf-8"
    assert t.get(("X-Sendfile", t.file("caf\xc3\xa9.html"))).body == b"<p>"
    assert t.get(("X-Sendfile", t.file("100%.txt"))).body == b"percent"
    assert t.get(("X-Sendfile", t.file("p%2520c"))).body == b"raw"
    assert t.get(("X-Sendfile", t.file("p%20c"))).status == 404
    assert t.get(("X-Send-Response-Body", t.file("p%20c"))).body == b"raw"
    assert t.get(("X-Sendfile", t.dir + "//dir/.//b%20b.txt")).body == b"deep"
    assert t.get(("X-Sendfile", "b%20b.txt")).body == b"deep"
    t = site(options="encoded = false;")
    assert t.get(("X-Sendfile", t.file("p%20c"))).body == b"raw"
    assert t.get(("X-Sendfile", "a.txt")).status == 403
    assert "a relative path" in t.s.error_log()


def test_several_commands(site):
    t = site(headers=["X-Sendfile", "X-Sendfile2", "X-Accel-Redirect"],
             routes='{ path = "/inside"; internal = true; alias = "@DIR@"; },')
    r = t.get(("X-Sendfile", "/nowhere"), ("X-Sendfile2", "/nowhere 0-"), ("X-Accel-Redirect", "/inside/empty"))
    assert (r.status, r["Content-Length"]) == (200, "0")
    assert t.get(("X-Sendfile", t.file("a.txt")), ("X-Sendfile", t.file("empty"))).status == 502
    assert t.get(("X-Sendfile", t.file("a.txt")), ("X-Sendfile", t.file("a.txt"))).status == 200


def test_interim_answers_and_trailers(site):
    t = site("http")
    r = t.get(("X-Sendfile", t.file("a.txt")), interim=[*FAMILY, ("Link", "</a>")], trailers=[*FAMILY, ("X-Sum", "1")])
    assert r.body == FILES["a.txt"] and "X-Sum" not in r and r.trailers == []
    assert [k for i in r.interim for k, _ in i.fields if k != "Link"] == [] and r.interim
    r = t.get(("X-Other", "1"), path="/off/x", trailers=[*FAMILY, ("X-Sum", "1")], body="own")
    assert r.trailers == [("X-Sum", "1")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_application_that_answers_before_it_has_read_the_request(site, protocol):
    t = site(protocol, gateway='request_body = "stream";', headers=["X-Sendfile", "X-Accel-Redirect"],
             routes='{ path = "/inside"; internal = true; alias = "@DIR@"; },')
    t.peer.may_err = True
    for field in (("X-Sendfile", t.file("a.txt")), ("X-Accel-Redirect", "/inside/a.txt")):
        r = t.get(field, method="POST", send=b"u" * (8 << 20), early=True)
        assert (r.status, r.body) == (200, FILES["a.txt"])
    with t.s.connect() as c:  # … and the next request of the connection is not taken for its rest
        for _ in range(3):
            c.request("/app/x", "POST", body=b"u" * 100000)
            assert c.response("POST").body == FILES["a.txt"]


def test_rates_are_told_at_debug(site):
    t = site()
    t.s.cli("log-level", "debug", check=0)
    t.say(("X-Sendfile", t.file("a.txt")), ("X-Accel-Limit-Rate", "1000"))
    harness.wait_for(lambda: t.get() and "X-Accel-Limit-Rate of 1000 octets a second is not obeyed" in t.s.error_log(),
                     "workers have the new level")


def test_an_authorizer_commands_nothing(server, peers):
    app, field = peers("fastcgi"), "X-Sendfile: @ROOT@/secret\r\n"
    s = server(start=False, files={"secret": "SECRET"})
    gate = Authorizer("")
    try:
        s.rewrite(workers=1, backends=pool("app", app) + pool("gate", gate.host, protocol="fastcgi"), routes="""{ path = "/app";
            gateway = { backend = "app"; authorizer = "gate"; prefix = "/app"; sendfile = "@ROOT@"; }; }""")
        s.start()
        said = {"fields": [("X-Sendfile", s.root + "/secret")], "body": "own"}
        app.mode("say?hex=" + json.dumps(said).encode().hex())
        gate.says = s.fill("Status: 403\r\n" + field + "\r\nno").encode()
        r = s.get("/app/x")
        assert (r.status, r.body) == (403, b"no") and "X-Sendfile" not in r
        gate.says = s.fill("Status: 200\r\n" + field + "Variable-Name: ann\r\n\r\n").encode()
        r = s.get("/app/x")
        assert (r.status, r.body) == (200, b"SECRET")
    finally:
        gate.close()


def test_configurations_that_cannot_work(server):
    s = server(start=False)
    for inside, said in (
            ('sendfile = { headers = "X-Sendfile"; };', "'gateway.sendfile.directories' is not set"),
            ('sendfile = { directories = "/a"; headers = "X-Sendfiles"; };', '"X-Sendfiles" is no field that names a file'),
            ('sendfile = { directories = "/a"; headers = "X-LIGHTTPD-send-tempfile"; };', "temp_directories' is not set"),
            ('sendfile = { directories = "/a/../b"; };', '".." in the path'),
            ('sendfile = { directories = "/"; };', "every file that workers can read may be sent"),
            ('sendfile = { directories = "/a"; base = "/b"; };', "is in none of 'gateway.sendfile.directories'"),
            ('sendfile = { directories = "/a"; type = "X-Accel-Redirect"; };', "is no field that is obeyed here"),
            ('sendfile = { directories = "/a"; mapping = "/a=/b"; };', "which is not obeyed here"),
            ('sendfile = { headers = "X-Accel-Redirect"; mapping = "a=b"; };', 'is not "/directory=/path"'),
            ('sendfile = { directories = "/a"; variable = "A-B"; };', "is not a name of a variable"),
            ('sendfile = { direktories = "/a"; };', "directories")):
        s.rewrite(routes='{ path = "/x"; gateway = { backend = "http://127.0.0.1:9"; %s }; }' % inside)
        r = s.cli("check", "-c", s.conf, check=None)
        assert said in r.stdout + r.stderr, (inside, r)


# --- attempts to leave the directories

def outside(t):
    """Files, links, sockets … around and in the directory; every one of them is secret."""
    for name in ("filesecret", "secret", "files.txt", "Files/a.txt"):
        path = os.path.join(t.s.tmp, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as f:
            f.write("SECRET")
    os.symlink(t.s.tmp + "/secret", t.file("abs"))
    os.symlink("../secret", t.file("up"))
    os.symlink("..", t.file("updir"))
    os.symlink("dir/../../secret", t.file("through"))
    os.symlink("/", t.file("root"))
    os.symlink("/proc/self", t.file("proc"))
    os.symlink("/proc/self/root", t.file("procroot"))
    os.symlink("/dev/fd/0", t.file("fd"))
    os.symlink("loop", t.file("loop"))
    os.symlink("dir/../up", t.file("chain"))
    os.symlink("abs", t.file("chain2"))
    os.mkfifo(t.file("fifo"))
    s = socket.socket(socket.AF_UNIX)
    s.bind(t.file("sock"))
    s.close()
    if os.geteuid() == 0:
        os.mknod(t.file("null"), 0o20666, os.makedev(1, 3))
        os.mknod(t.file("disk"), 0o60666, os.makedev(7, 250))
    with open(t.file("locked"), "w", encoding="ascii") as f:
        f.write("SECRET")
    os.chmod(t.file("locked"), 0)


def attempts(t):
    d, up = t.dir, os.path.dirname(t.dir)
    last = os.path.basename(d)
    inside = [d + "/" + n for n in (
        "../secret", "%2e%2e/secret", ".%2E/secret", "dir/../../secret", "dir/..%2f..%2fsecret", "..%2fsecret", "./../secret",
        "//../secret", "dir/%2e%2e/%2e%2e/secret", "..", "../", "dir/..", "%2e%2e", "..%00", "a.txt%00", "%00", "a.txt%00/../../secret",
        "a.txt%0a", "a.txt%0d%0aX: y", "a.txt%7f", "%09a.txt", "abs", "up", "updir/secret", "through", "root/etc/passwd",
        "proc/environ", "proc/root/etc/passwd", "proc/cwd/secret", "procroot/etc/passwd", "fd", "loop", "chain", "chain2", "fifo",
        "sock", "null", "disk", "locked", "", ".", "dir", "dir/", "dir/.", "a.txt/", "a.txt/.", "a.txt/x", "empty/", "/", "%2f",
        "..%252fsecret", "%252e%252e/secret", "..%c0%afsecret", "%c0%ae%c0%ae/secret", "..%5csecret", "..\\secret", "A.TXT",
        "a.txt ", "a.txt%20", "a" * 5000, "a/" * 2500, "n" * 256, "updir/files/a.txt/../../secret", "dir/\xc0\xae\xc0\xae/secret")]
    return inside + [
        "", "/", ".", "..", "a.txt", "./a.txt", "../secret", "~/secret", "file://" + d + "/a.txt", "/etc/passwd", "/etc/shadow",
        "//etc/passwd", "/proc/self/environ", "/proc/self/root" + d + "/a.txt", "/proc/self/cwd/secret", "/proc/self/fd/0",
        "/dev/null", "/dev/zero", "/dev/stdin", up + "/secret", up + "/filesecret", up + "/files.txt", up + "/Files/a.txt",
        d, d + "x", d + ".txt", d + "secret", up + "/" + last.upper() + "/a.txt", up + "/./../" + os.path.basename(up) + "/secret",
        "/%2e%2e" + d + "/a.txt", d.replace("/", "\\") + "\\a.txt", "%" + d + "/a.txt", " " + up + "/secret", d + "%2f..%2fsecret",
        "/\x80" + d, d + "/../" + last + "/a.txt", d + "/dir/../a.txt"]


@pytest.mark.parametrize("name", ["X-Sendfile", "X-Send-Response-Body", "X-Sendfile2", "X-LIGHTTPD-send-tempfile"])
def test_nothing_leaves_the_directories(site, name):
    t = site(headers=["X-Sendfile", "X-Send-Response-Body", "X-Sendfile2", "X-LIGHTTPD-send-tempfile"],
             options='temp_directories = "@DIR@";')
    outside(t)
    tried = attempts(t)
    assert len(tried) > 90
    for value in tried:
        said = value.replace(" ", "%20").replace(",", "%2c") + " 0-" if name == "X-Sendfile2" else value
        r = t.get((name, said))
        if os.geteuid() == 0 and value.endswith("/locked"):  # whoever runs as root may read it
            continue
        # what a reader that trims makes of a name in the directory is that file
        if value.endswith("a.txt ") and name != "X-Sendfile2":
            continue
        assert r.status in (403, 404, 502) and b"SECRET" not in r.body and b"root:" not in r.body, (value, r)
        assert "Content-Disposition" not in r
    assert os.path.exists(os.path.join(t.s.tmp, "secret"))
    assert all(os.path.lexists(t.file(f)) for f in ("abs", "up", "fifo", "sock", "loop")), "what is no file is not removed"
    log = t.s.error_log()
    assert "a symbolic link leads out of the directory" in log and "not below gateway.sendfile" in log
    assert "not a regular file" in log and '".." in the path' in log


def test_links_that_are_swapped_meanwhile(site):
    t = site()
    with open(os.path.join(t.s.tmp, "secret"), "w", encoding="ascii") as f:
        f.write("SECRET")
    os.makedirs(os.path.join(t.s.tmp, "out"))
    with open(os.path.join(t.s.tmp, "out/b"), "w", encoding="ascii") as f:
        f.write("SECRET")
    os.makedirs(t.file("swap1"))
    with open(t.file("swap1/b"), "w", encoding="ascii") as f:
        f.write("inside")
    os.symlink("../out", t.file("swap2"))
    done = threading.Event()

    def swap():
        a, b, c = (t.file(n) for n in ("swap1", "swap2", "swap3"))
        while not done.is_set():
            os.rename(a, c)
            os.rename(b, a)
            os.rename(a, b)
            os.rename(c, a)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        t.say(("X-Sendfile", t.file("swap1/b")))
        seen = set()
        with t.s.connect() as c:
            for _ in range(2000):
                c.request("/app/x")
                r = c.response()
                seen.add((r.status, r.body if r.status == 200 else b""))
                assert b"SECRET" not in r.body
        assert {s for s, _ in seen} <= {200, 403, 404} and (200, b"inside") in seen and len(seen) > 1, seen
    finally:
        done.set()
        thread.join()


# --- X-Accel-Redirect

INSIDE = ('{ path = "/inside"; internal = true; alias = "@DIR@"; },'
          '{ path = "/loop"; internal = true; gateway = { backend = "app"; prefix = "/loop"; sendfile = { headers = "X-Accel-Redirect"; }; }; },'
          '{ path = "/guarded"; internal = true; alias = "@DIR@"; access = { deny = "all"; }; },'
          '{ path = "/try"; root = "@DIR@"; try = [ "/none", "/inside$path" ]; },'
          '{ path = "/rewrite"; rewrite = ( { match = "^/rewrite(.*)"; to = "/inside$1"; } ); },')


def test_internal_routes_answer_nobody_else(site):
    t = site(headers=["X-Accel-Redirect"], routes=INSIDE, site='error_pages = ( { status = 410; path = "/inside/a.txt"; } );')
    for target in ("/inside/a.txt", "/inside", "/inside/", "//inside/a.txt", "/./inside/a.txt", "/x/../inside/a.txt", "/%69nside/a.txt",
                   "/inside%2fa.txt", "/inside;x/a.txt", "/INSIDE/a.txt", "/inside/./a.txt", "/inside//a.txt", "/try/a.txt",
                   "/rewrite/a.txt", "/rewrite/../inside/a.txt", "/loop/x", "/guarded/a.txt", "http://localhost/inside/a.txt"):
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            r = t.s.raw(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nX-Accel-Redirect: /inside/a.txt\r\n"
                        "Connection: close\r\n\r\n", method=method)
            assert r.status in (404, 405) and FILES["a.txt"] not in r.body, (method, target, r)
            assert r.status == 404 or "guarded" not in target
    t.say(("X-Other", "1"), status=410, body="gone")
    assert t.get().body == b"gone"
    t = site(headers=["X-Accel-Redirect"], routes=INSIDE, gateway="intercept_errors = true;",
             site='error_pages = ( { status = 410; path = "/inside/a.txt"; }, { status = 404; path = "/try/a.txt"; } );')
    r = t.get(("X-Other", "1"), status=410, body="gone")
    assert r.status == 410 and r.body == FILES["a.txt"], "the page of the operator"
    r = t.get(("X-Other", "1"), status=404, body="gone")
    assert r.status == 404 and r.body != FILES["a.txt"], "what it leads to is not"


def test_redirect(site):
    t = site(headers=["X-Accel-Redirect"], routes=INSIDE)
    name = ("X-Accel-Redirect", "/inside/a.txt")
    r = t.get(name, ("ETag", '"own"'), ("Content-Disposition", "inline"), ("Content-Security-Policy", "x"), ("Cache-Control", "private"),
              ("X-Accel-Limit-Rate", "1000"), ("X-Accel-Expires", "5"), ("Content-Encoding", "gzip"), ("X-Mine", "1"), body="no")
    assert (r.status, r.body) == (200, FILES["a.txt"]) and r["ETag"] != '"own"' and "Content-Encoding" not in r
    assert r["Content-Disposition"] == "inline" and r["Content-Security-Policy"] == "x" and r["X-Mine"] == "1"
    assert r["Cache-Control"] == "private" and r["Content-Type"] == "text/plain; charset=utf-8"
    assert t.get(headers={"Range": "bytes=1-2"}).body == b"12"
    assert t.get(headers={"If-None-Match": r["ETag"]}).status == 304
    r = t.get(method="HEAD")
    assert (r.status, r["Content-Length"], r.body) == (200, "100", b"")
    r = t.get(method="POST", send=b"form", headers={"Range": "bytes=0-1"})
    assert (r.status, r.body) == (200, FILES["a.txt"])
    r = t.get(name, ("Content-Type", "text/html"), ("X-Accel-Charset", "koi8-r"))
    assert r.all("Content-Type") == ["text/html; charset=koi8-r"]
    r = t.get(name, headers={"Upgrade": "websocket", "Connection": "upgrade"})
    assert (r.status, r.body) == (200, FILES["a.txt"])
    # what is not there, and what the rules of the route refuse
    r = t.get(("X-Accel-Redirect", "/inside/none"), ("Content-Disposition", "attachment"), ("Content-Type", "image/png"))
    assert r.status == 404 and "Content-Disposition" not in r and not r["Content-Type"].startswith("image")
    assert t.get(("X-Accel-Redirect", "/guarded/a.txt")).status == 403
    for value in ("/app/y", "/", "/off/x", "inside/a.txt", "@named", "http://localhost/inside/a.txt", "/inside/../off/x", "/inside/%2e%2e/x",
                  "/inside/a.txt%00", "/inside/%0d%0aX: y", "", "//localhost/inside/a.txt/", "/insidex/a.txt"):
        r = t.get(("X-Accel-Redirect", value))
        assert r.status in (403, 404) and FILES["a.txt"] not in r.body, value
    assert "not a path of a route that is internal" in t.s.error_log()
    r = t.get(("X-Accel-Redirect", "/loop/x"))
    assert r.status == 508


def test_what_refuses_is_in_the_log_and_in_explain(site):
    t = site(headers=["X-Sendfile", "X-Accel-Redirect"], routes=INSIDE)
    t.get(("X-Sendfile", "/etc/passwd"))
    t.get(("X-Sendfile", t.file("none")))
    log = t.s.error_log()
    assert re.search(r'/app/x: X-Sendfile "/etc/passwd": 403: not below gateway\.sendfile\.directories', log), log
    assert re.search(r'X-Sendfile ".*/none": 404: no such file', log), log
    said = t.s.cli("explain", "-c", t.s.conf, "/app/x").stdout
    assert re.search(r"gateway\.sendfile\.directories = .*files", said), said
    assert "404 to every client" not in said
    said = t.s.cli("explain", "-c", t.s.conf, "/inside/x").stdout
    assert "internal = true" in said and "404 to every client" in said


# --- the backend is free

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_backend_is_free_while_a_slow_client_takes_the_file(site, protocol):
    t = site(protocol, keepalive=4 if protocol in ("fastcgi", "ajp") else None)
    with open(t.file("big"), "wb") as f:
        f.truncate(1 << 30)
    for more in ({}, {"body": "besides", "ms": 20}, {"length": True}):
        t.say(("X-Sendfile", t.file("big")), **more)
        with t.s.connect(rcvbuf=4096) as c:
            c.request("/app/x")
            c.more()
            harness.wait_for(lambda: t.peer.stats()["active"] == 0, "the application is done")
            harness.wait_for(lambda: t.s.status()["pools"][0]["hosts"][0]["in_flight"] == 0, "the host is given back")
            assert t.get(("X-Sendfile", t.file("a.txt"))).body == FILES["a.txt"]
    host = t.s.status()["pools"][0]["hosts"][0]
    assert host["failures"] == 0
    if protocol in ("fastcgi", "ajp"):
        assert host["reuses"] > 1, "connections are kept, also when the end comes later"


def test_reload_while_a_file_is_sent(site):
    t = site()
    with open(t.file("big"), "wb") as f:
        for i in range(64):
            f.write(bytes([i]) * (1 << 20))
    t.say(("X-Sendfile", t.file("big")))
    with t.s.connect() as c:
        c.request("/app/x")
        c.more()
        t.s.cli("reload", "-c", t.s.conf)
        os.unlink(t.file("big"))
        r = c.response()
        assert len(r.body) == 64 << 20 and all(r.body[i << 20] == i for i in range(64))


# --- what the application is told, and what frameworks say

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_the_application_is_told(site, protocol):
    t = site(protocol, headers=["X-Sendfile", "X-Accel-Redirect"], options='mapping = "/srv/files/=/inside/";')
    t.peer.mode("echo")
    evil = {"X-Sendfile-Type": "X-Sendfile", "X-Accel-Mapping": "/=/", "X-Send-Response-Body-Supported": "0"}
    for path, is_told in (("/app/x", True), ("/off/x", False)):
        r = t.s.get(path, headers=evil).json()
        text = json.dumps([r["env"], r["fields"]])
        assert ("X-Accel-Redirect" in text) == ("/srv/files/=/inside/" in text) == is_told, text
        assert '"/=/"' not in text and '"X-Sendfile"' not in text
        assert bool(re.search("X[-_]SEND[-_]RESPONSE[-_]BODY[-_]SUPPORTED", text, re.I)) == is_told, text


# What the frameworks send, octet for octet (Rack 2 and 3, Symfony 6 and 7, django-sendfile2, ownCloud), for a file of 100
# octets: fields of the application, those of the client, status and content.
TEXT = FILES["a.txt"]
FRAMEWORKS = {
    "rack-sendfile": ([("Content-Type", "text/plain"), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("Content-Length", "0"),
                       ("X-Sendfile", "@DIR@/a.txt")], {}, 200, TEXT),
    "rack-3": ([("content-type", "text/plain"), ("content-length", "0"), ("x-lighttpd-send-file", "@DIR@/a.txt")], {}, 200, TEXT),
    "rack-accel": ([("Content-Type", "text/plain"), ("Content-Length", "0"), ("X-Accel-Redirect", "/inside/dir/b b.txt")], {}, 200, b"deep"),
    "rails-send-file": ([("Content-Type", "application/pdf"), ("Content-Disposition", "attachment; filename=\"a\"; filename*=UTF-8''a"),
                         ("Content-Transfer-Encoding", "binary"), ("Cache-Control", "no-cache"), ("X-Request-Id", "1"),
                         ("Content-Length", "0"), ("X-Sendfile", "@DIR@/a.txt")], {"Range": "bytes=90-"}, 206, TEXT[90:]),
    "symfony": ([("Cache-Control", "public"), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"), ("Content-Type", "text/plain"),
                 ("Content-Length", "100"), ("Accept-Ranges", "bytes"), ("X-Sendfile", "@DIR@/a.txt")], {}, 200, TEXT),
    "symfony-accel": ([("Content-Type", "text/plain"), ("Content-Length", "100"), ("Accept-Ranges", "bytes"),
                       ("X-Accel-Redirect", "%2Finside%2Fdir%2Fb%20b.txt")], {"Range": "bytes=1-2"}, 206, b"ee"),
    "django-sendfile2-nginx": ([("Content-Type", "text/plain"), ("Content-Length", "0"), ("Content-Disposition", 'inline; filename="b"'),
                                ("X-Accel-Redirect", "/inside/dir/b%20b.txt")], {}, 200, b"deep"),
    "django-sendfile2-xsendfile": ([("Content-Type", "text/plain"), ("Content-Length", "0"), ("X-Sendfile", "@DIR@/dir/b b.txt")],
                                   {}, 200, b"deep"),
    "owncloud": ([("Content-Type", "text/plain"), ("X-Sendfile", "@DIR@/a.txt")], {}, 200, TEXT),
    "owncloud-range": ([("Content-Type", "text/plain"), ("Content-Range", "bytes 10-19/100"),
                        ("X-Sendfile2", "@DIR2@%2Fa.txt 10-19")], {"Range": "bytes=10-19"}, 206, TEXT[10:20]),
    "owncloud-accel": ([("Content-Type", "text/plain"), ("X-Accel-Redirect", "/inside/a.txt")], {}, 200, TEXT),
}


@pytest.mark.parametrize("protocol", ["fastcgi", "http"])
def test_frameworks(site, protocol):
    t = site(protocol, headers=["X-Sendfile", "X-Sendfile2", "X-LIGHTTPD-send-file", "X-Accel-Redirect"],
             routes='{ path = "/inside"; internal = true; alias = "@DIR@"; },')
    for name, (fields, asked, status, content) in FRAMEWORKS.items():
        fields = [(k, v.replace("@DIR@", t.dir).replace("@DIR2@", t.dir.replace("/", "%2F"))) for k, v in fields]
        if protocol == "http":  # where the fake backend frames
            fields = [f for f in fields if f[0].lower() != "content-length"]
        r = t.get(*fields, headers=asked, status=206 if name == "owncloud-range" else 200, length=protocol == "http")
        assert (r.status, r.body, r["Content-Length"]) == (status, content, str(len(content))), (name, r)
        for k, v in fields:
            if k.lower() in ("content-type", "content-disposition", "cache-control", "last-modified", "content-range") and \
                    not (k == "Last-Modified" and "accel" in name):
                assert r.all(k) == [v], (name, k, r)
    assert t.s.status()["pools"][0]["hosts"][0]["failures"] == 0


SHELL = """#!/bin/sh
echo "X-Supported: $X_SEND_RESPONSE_BODY_SUPPORTED"
echo "X-Sendfile: $DOCUMENT_ROOT/../files/$QUERY_STRING" | sed 's|/www/\\.\\.||'
echo
sleep 0.2
echo "besides" && echo done >"$DOCUMENT_ROOT/../files/done"
"""


def test_a_shell_script(server):
    """CGI: and a script that goes on after its head is not ended for that."""
    s = server(start=False, backends='cgi = { protocol = "cgi"; spawn = { processes = "8"; %s }; };' % harness.CGI_USER)
    files = os.path.join(s.tmp, "files")
    os.makedirs(files)
    os.chmod(files, 0o777)
    with open(os.path.join(files, "a.txt"), "wb") as f:
        f.write(FILES["a.txt"])
    os.chmod(s.write("x.cgi", SHELL), 0o755)
    s.rewrite(backends='cgi = { protocol = "cgi"; spawn = { processes = "8"; %s }; };' % harness.CGI_USER, routes=f"""
        {{ path = "/x.cgi"; gateway = {{ backend = "cgi"; split = [ ".cgi" ]; sendfile = "{files}"; }}; }}""")
    s.start()
    begun = time.monotonic()
    r = s.get("/x.cgi?a.txt")
    assert (r.status, r.body, r["X-Supported"]) == (200, FILES["a.txt"], "1")
    harness.wait_for(lambda: os.path.exists(os.path.join(files, "done")), "the script has come to its end")
    assert time.monotonic() - begun >= 0.2
    assert s.get("/x.cgi?../secret").status == 403
