"""Paths that a backend may read as others than the ones the rules were asked about: what is denied stays denied
whoever stands behind the gateway, what applications do ask for goes through as it was sent, and what is handed
on is a URI of RFC 3986 for every protocol."""
import functools
import http.server
import itertools
import os
import threading
import urllib.parse

import pytest

from backends import PROTOCOLS, pool
from harness import wait_for

SECRET = b"the secret"
DENIED = 'access: { deny = "all"; };'
CGI = ("fastcgi", "scgi", "uwsgi")


def serve(handler):
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    return httpd


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def merge(path):
    """Dot segments and empty ones resolved, as most servers do."""
    out = []
    for segment in path.split("/"):
        if segment == "..":
            del out[-1:]
        elif segment not in ("", "."):
            out.append(segment)
    return "/" + "/".join(out)


def overlong(octets):
    for form, plain in ((b"\xc0\xae", b"."), (b"\xc0\xaf", b"/"), (b"\xe0\x80\xae", b"."), (b"\xe0\x80\xaf", b"/"),
                        (b"\xc1\xa1", b"a"), (b"\xc1\x9c", b"\\")):
        octets = octets.replace(form, plain)
    return octets


STEPS = {
    "decode": lambda p: urllib.parse.unquote_to_bytes(p.encode("latin-1")).decode("latin-1"),
    "shorten": lambda p: overlong(p.encode("latin-1")).decode("latin-1"),
    "backslash": lambda p: p.replace("\\", "/"),
    "strip": lambda p: "/".join(s.split(";")[0] for s in p.split("/")),
    "cut": lambda p: p.split("?")[0].split("#")[0].split(";")[0],
    "authority": lambda p: "/" + p[2:].partition("/")[2] if p.startswith("//") else p,
    "merge": merge,
}


class Naive(http.server.BaseHTTPRequestHandler):
    """Every server that there could be: gives the secret away when any four steps, in any order, end at it."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        found = False
        for steps in itertools.product(STEPS.values(), repeat=4):
            p = path
            for step in steps:
                p = step(p)
            found = found or merge(p).startswith("/admin/i")
        body = SECRET if found else self.path.encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start(server, httpd, gateway='"app"', routes=f'{{ path = "/admin"; {DENIED} }}, ', site=""):
    port = httpd.server_address[1]
    return server(workers=1, backends=pool("app", f"127.0.0.1:{port}", protocol="http"),
                  routes=routes + f'{{ path = "/"; gateway = {gateway}; }}', site=site)


def ask(s, target):
    target = target if isinstance(target, bytes) else target.encode()
    return s.raw(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")


FILES = ("/admin/i", "/%61dmin/i", "/x/../admin/i", "//admin/i", "/%2fadmin/i", "/x%2f..%2fadmin/i",
         "/public/%2e%2e%2fadmin/i", "/public/..%2fadmin/i", "/%2Fadmin%2Fi", "/.%2fadmin/i", "/public%2f%2e%2e/admin/i",
         "/admin%2fi", "/%2f%2fadmin//i", "/public/..%2f.%2fadmin/i", "/admin/i%3fx", "/%2fadmin/i%23x")


def test_files(server, tmp):
    """Python's http.server: decodes before it looks for dot segments."""
    for name, text in (("admin/i", SECRET), ("public/a", b"public"), ("a b", b"a space")):
        os.makedirs(os.path.dirname(f"{tmp}/site/{name}"), exist_ok=True)
        with open(f"{tmp}/site/{name}", "wb") as f:
            f.write(text)
    httpd = serve(functools.partial(Quiet, directory=f"{tmp}/site"))
    s = start(server, httpd)
    try:
        got = {target: ask(s, target) for target in FILES}
        bad = {t: (r.status, r.body) for t, r in got.items() if r.status not in (400, 403) or SECRET in r.body}
        assert not bad, bad
        for target, body in (("/public/a", b"public"), ("/public%2Fa", b"public"), ("/a%20b", b"a space")):
            assert ask(s, target).body == body, target
    finally:
        httpd.shutdown()
        httpd.server_close()


HOSTILE = FILES + (
    "/\\admin/i", "/%5cadmin/i", "/admin\\i", "/admin%5Ci", "/x\\..\\admin/i", "/x%5c..%5cadmin/i", "/x/..\\admin/i",
    "/%252fadmin/i", "/%2561dmin/i", "/x/%252e%252e/admin/i", "/x%252f..%252fadmin/i", "/x%255c..%255cadmin/i",
    "/x%25252f..%25252fadmin/i", "/%25252561dmin/i", "/admin%252fi", "/x/..;/admin/i", "/x/..;y=z/admin/i",
    "/x/..%3b/admin/i", "/;x/admin/i", "/admin;x/i", "/admin%3bx/i", "/admin%253bx/i",
    "/x;/%2e%2e;/admin/i", "/x/%2e%2e;%2fadmin/i", "/%c0%afadmin/i", "/x/%c0%ae%c0%ae/admin/i",
    "/x%e0%80%af..%e0%80%afadmin/i", "/%c1%a1dmin/i", "/x%c1%9c..%c1%9cadmin/i", b"/x/\xc0\xae\xc0\xae/admin/i",
    "/%2fhost/admin/i", "/%5chost/admin/i", "/\\host/admin/i", "///host/../admin/i", "/admin/i%253fx", "/admin/i%3bx",
    "/x%00/../admin/i", "http://a/%2fadmin/i", "http://a/x%2f..%2fadmin/i", "/%61dmi%256e/i")

ORDINARY = ("/", "/a%2Fb", "/caf%C3%A9", "/caf%c3%a9", "/a;v=1", "/x%20y", "/%7Euser", "/a+b", "/projects/group%2Fname/issues",
            "/api/queues/%2F/jobs", "/proxy/https%3A%2F%2Fexample.org%2Fa%3Fb%3D1", "/100%25", "/a%5Cb", "/wiki//Main",
            "/s;jsessionid=1.tc1?x", "/a/;jsessionid=1", "/.well-known/x", "/a?x=%2e%2e%2fadmin;y", "/administrator/i",
            "/a%26b%3Dc", "/%E4%F6", "/@user/(x)!$'*,", "/a:b", "/caf%C3%A9%2F2?q=100%")


def test_naive_readers(server):
    """Whatever a backend does with the path, in whatever order."""
    httpd = serve(Naive)
    s = start(server, httpd)
    try:
        got = {target: ask(s, target) for target in HOSTILE}
        bad = {t: (r.status, r.body) for t, r in got.items() if r.status not in (400, 403) or SECRET in r.body}
        assert not bad, bad
        for target in ORDINARY:
            r = ask(s, target)
            assert r.status == 200 and r.body == target.encode(), target
        assert "/x/..;/admin/i can be read as /x/../admin/i, which has a dot segment" in s.error_log()
        assert "/admin%5Ci can be read as /admin/i, which belongs to the route /admin" in s.error_log()
    finally:
        httpd.shutdown()
        httpd.server_close()


def test_prefix_is_not_left(server):
    httpd = serve(Naive)
    s = start(server, httpd, routes='{ path = "/app"; gateway = { backend = "app"; path = "/v2"; }; }, '
                                    '{ path = "/top"; gateway = { backend = "app"; path = "/"; }; }, ')
    try:
        for target, sent in (("/app/a%2Fb", b"/v2/a%2Fb"), ("/app//x", b"/v2//x"), ("/top//x", b"/x"), ("/app/%2Fx", b"/v2/%2Fx")):
            r = ask(s, target)
            assert (r.status, r.body) == (200, sent), target
        for target in ("/app/..%2fadmin/i", "/app/%2e%2e%5cadmin/i", "/app%2fx", "/app;x/y", "/app/..;/x", "/top/%2fhost/x",
                       "/top/%5Chost/x"):
            assert ask(s, target).status == 400, target
    finally:
        httpd.shutdown()
        httpd.server_close()


def handed_on(s, protocol, target):
    """What the backend calls the target; of CGI's family, REQUEST_URI and QUERY_STRING."""
    q = ask(s, target).json()
    return q["target"] if protocol not in CGI else q["env"]["REQUEST_URI"], q["env"].get("QUERY_STRING")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(server, peers, protocol):
    """Refused for each, and what is passed on is a URI, without dot segments."""
    app = peers(protocol)
    s = server(workers=1, backends=pool("app", app),
               routes=f'{{ path = "/admin"; {DENIED} }}, {{ path = "/"; gateway = "app"; }}')
    for target in ("/%2fadmin/echo", "/x/..;/admin/echo", "/x%255c..%255cadmin/echo", "/admin;x/echo"):
        assert ask(s, target).status == 400, target
    for target, sent, query in (
            ("/a%2Fb/echo?x=%2F", "/a%2Fb/echo?x=%2F", "x=%2F"),
            ("/caf\u00e9/echo?q=\u00e9", "/caf%C3%A9/echo?q=%C3%A9", "q=%C3%A9"),
            (b"/\xff[x]|^`{}\"<>/echo?f[]=\\|\xff", "/%FF%5Bx%5D%7C%5E%60%7B%7D%22%3C%3E/echo?f%5B%5D=%5C%7C%FF",
             "f%5B%5D=%5C%7C%FF"),
            ("/y//../%65cho?a", "/%65cho?a", "a"),
            ("//x//echo?", "/x//echo?" if protocol != "ajp" else "/x//echo", ""),
            ("http://a/x/./echo?b|", "/x/echo?b%7C", "b%7C")):
        got = handed_on(s, protocol, target)
        assert got[0] == sent, target
        assert protocol not in CGI or got[1] == query, target
    wait_for(lambda: "GET /caf" in s.access_log(), "a line")
    assert "GET /caf\\xC3\\xA9/echo?q=\\xC3\\xA9 " in s.access_log(), "as the client sent it"


@pytest.mark.parametrize("protocol", ["fastcgi", "http"])
def test_rewritten(server, peers, protocol):
    """After a rewrite it is the new path that counts, and where REQUEST_URI is handed on, the old one too."""
    app = peers(protocol)
    rewrite = 'rewrite = ( { match = "^/old/(.*)$"; to = "/new/$1"; }, { match = "^/page/"; to = "/new/echo"; } );'
    s = server(workers=1, site=rewrite, backends=pool("app", app),
               routes=f'{{ path = "/admin"; {DENIED} }}, {{ path = "/new/closed"; {DENIED} }}, {{ path = "/"; gateway = "app"; }}')
    for target in ("/old/x/echo", "/old/x%20y/echo", "/page/x?y", "/page/a%2Fb", "/page/a;b"):
        assert ask(s, target).status == 200, target
    for target in ("/old/closed%2fecho", "/old/..%2fadmin/echo", "/old/closed;x/echo", "/old/%5c../echo"):
        assert ask(s, target).status == 400, target
    status = 400 if protocol == "fastcgi" else 200
    assert ask(s, "/page/..%2f..%2fadmin/echo").status == status
    assert ask(s, "/page%2fx/..;/echo").status == 400


def test_authorizer(server, peers):
    """An authorizer is asked about the same path as everybody else, or not at all."""
    app = peers("fastcgi")
    app.may_err = True  # it wants SCRIPT_NAME, which authorizers do not get (FastCGI 6.3)
    s = server(workers=1, files={"a%2Fb": "x"}, backends=pool("app", app),
               routes=f'{{ path = "/admin"; {DENIED} }}, {{ path = "/"; gateway = {{ authorizer = "app"; }}; }}')

    def asked():
        return s.status()["pools"][0]["hosts"][0]["requests"]

    assert ask(s, "/x%2f..%2fadmin/i").status == 400 and asked() == 0
    ask(s, "/a%2Fb")
    assert asked() == 1
