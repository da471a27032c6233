"""Scripts behind php-fpm as sites have them: which file a path runs, a front controller beside static
files, an authorizer, redirects within the server, fields that may not be passed on; and WebSockets
through protocols that have no frames for them.
"""
import json
import os
import struct

import pytest

import harness
from apps import App, can_connect, give, need
from test_apps_node import frame, take, upgrade

SHOW = """<?php header("Content-Type: application/json");
echo json_encode(["file" => basename(__FILE__), "server" => array_filter($_SERVER, "is_string"), "body" => file_get_contents("php://input")]);
"""
GATE = """<?php if ($_SERVER["FCGI_ROLE"] === "RESPONDER") echo "$_SERVER[REMOTE_USER] $_SERVER[AUTH_GROUP] $_SERVER[FCGI_ROLE]";
else if (($_GET["key"] ?? "") === "open") { header("Variable-REMOTE_USER: bob"); header("Variable-AUTH_GROUP: staff"); }
else { http_response_code(403); header("X-Gate: shut"); echo "no entry"; }
"""
WEBSOCKET = """
import uwsgi
def application(env, start):
    uwsgi.websocket_handshake(env["HTTP_SEC_WEBSOCKET_KEY"], env.get("HTTP_ORIGIN", ""))
    while True:
        uwsgi.websocket_send(uwsgi.websocket_recv())
"""


@pytest.fixture
def site(tmp):
    root = os.path.join(tmp, "www")
    files = {"index.php": SHOW, "a.php": SHOW, "gate.php": GATE, "style.css": "body {}", "up/x.jpg": SHOW, "blog/index.php": SHOW,
             "dir.php/in.php": SHOW, "to.cgi": "#!/bin/sh\nprintf 'Location: /a.php/local?x=y\\n\\n'\n"}
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "w", encoding="utf-8") as f:
            f.write(text)
    os.chmod(tmp, 0o755)
    os.chmod(root + "/to.cgi", 0o755)
    give(root)
    return root


@pytest.fixture
def fpm(tmp, site):
    need("php-fpm8.2")
    os.chmod(tmp, 0o777)
    # limit_extensions is off: what must not run is kept from running here.
    with open(tmp + "/fpm.conf", "w", encoding="utf-8") as f:
        f.write(f"[global]\nerror_log = {tmp}/fpm-error.log\n[www]\nlisten = {tmp}/fpm.sock\nlisten.mode = 0666\n"
                "pm = static\npm.max_children = 2\nsecurity.limit_extensions =\n")
    app = App(tmp, "fpm", ["php-fpm8.2", "-F", "-y", tmp + "/fpm.conf"], lambda: can_connect(tmp + "/fpm.sock"))
    yield f'php = {{ protocol = "fastcgi"; hosts = [ "unix:{tmp}/fpm.sock" ]; }};'
    app.stop()


def route(site, gateway, path="/"):
    return f'{{ path = "{path}"; root = "{site}"; gateway = {gateway}; }}'


def ran(r):
    """The file that ran, and what it was told."""
    assert r.status == 200, r
    said = json.loads(r.body)
    return said["file"], said["server"]


def test_paths(server, site, fpm):
    s = server(workers=1, backends=fpm, routes=route(site, '"php"'))
    for path, file, name, info in [("/", "index.php", "/index.php", None), ("/a.php", "a.php", "/a.php", None),
                                   ("/a.php/x/y.php?q", "a.php", "/a.php", "/x/y.php"), ("/blog/", "index.php", "/blog/index.php", None),
                                   ("/dir.php/in.php/z", "in.php", "/dir.php/in.php", "/z"), ("/%61.php/%C3%A4", "a.php", "/a.php", "/ä")]:
        got, env = ran(s.get(path))
        assert (got, env["SCRIPT_NAME"], env.get("PATH_INFO")) == (file, name, info), path
        assert env["SCRIPT_FILENAME"] == site + name and env["DOCUMENT_ROOT"] == site and env["REQUEST_URI"] == path
        if info:
            assert env["PATH_TRANSLATED"] == site + info
    # A file that was uploaded is never run, whatever is behind its name.
    for path in ("/up/x.jpg/y.php", "/up/x.jpg/.php", "/up/x.jpg%00.php", "/up/x.jpg/a.php/b.php", "/none.php", "/dir.php"):
        assert s.get(path).status in (400, 404), path
    r = s.get("/up/x.jpg")
    assert r.status == 200 and r.body == SHOW.encode(), "a file like any other"
    assert s.get("/style.css").body == b"body {}"


def test_front_controller(server, site, fpm):
    s = server(workers=1, backends=fpm, routes=route(site, '{ backend = "php"; front = "/index.php"; }'))
    for path in ("/some/page?x=1", "/none.php", "/up/x.jpg/y.php", "/"):
        got, env = ran(s.get(path))
        assert got == "index.php" and env["SCRIPT_NAME"] == "/index.php" and env["REQUEST_URI"] == path and "PATH_INFO" not in env
    assert ran(s.get("/a.php/x"))[0] == "a.php"
    assert s.get("/style.css").body == b"body {}"


def test_fields(server, site, fpm):
    s = server(workers=1, backends=fpm, routes=route(site, '{ backend = "php"; environment = [ "APP=$host", "HTTP_X_ROLE=none" ]; }'))
    with s.connect() as c:
        c.send("POST /a.php HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nx-a: 2\r\nCookie: a=b\r\nCookie: c=d\r\nProxy: http://evil/\r\n"
               "X-Role: admin\r\nConnection: x-hop\r\nX-Hop: 1\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\n\r\nhello")
        r = c.response()
        _, env = ran(r)
        assert json.loads(r.body)["body"] == "hello"
    want = {"HTTP_X_A": "1, 2", "HTTP_COOKIE": "a=b; c=d", "HTTP_X_ROLE": "none", "HTTP_AUTHORIZATION": "Bearer t", "APP": "localhost",
            "CONTENT_LENGTH": "5", "SERVER_ADDR": "127.0.0.1", "SERVER_PORT": str(s.port), "REDIRECT_STATUS": "200"}
    assert {k: env.get(k) for k in want} == want
    assert "HTTP_PROXY" not in env and "HTTP_X_HOP" not in env and "HTTPS" not in env
    for fields, name, value in (("X-A: 1\r\nX_A: 2\r\n", "HTTP_X_A", "1"), ("X_A: 2\r\n", "HTTP_X_A", None),
                                ("X-Forwarded-For: 1\r\nX_Forwarded_For: 2\r\n", "HTTP_X_FORWARDED_FOR", "127.0.0.1"),
                                ("X-Forwarded-Proto: https\r\n", "HTTP_X_FORWARDED_PROTO", "http")):
        with s.connect() as c:
            c.send(f"GET /a.php HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
            assert ran(c.response())[1].get(name) == value, fields


def test_authorizer(server, site, fpm):
    """It is asked first, and its word is the answer or goes into the environment."""
    s = server(workers=1, backends=fpm, routes=route(site, '{ backend = "php"; authorizer = "php"; }'))
    r = s.get("/gate.php")
    assert r.status == 403 and r.body == b"no entry" and r["X-Gate"] == "shut"
    r = s.get("/gate.php?key=open")  # the same script is asked twice, once in each role
    assert r.status == 200 and r.body == b"bob staff RESPONDER"


def test_local_redirect(server, site, fpm):
    """RFC 3875 6.2.2: the server answers with the other resource."""
    s = server(workers=1, backends=fpm + 'cgi = { protocol = "cgi"; spawn: { %s }; };' % harness.CGI_USER,
               routes=route(site, '"cgi"', "/to.cgi") + ", " + route(site, '"php"'))
    got, env = ran(s.ask("POST", "/to.cgi", body=b"hello"))
    assert got == "a.php" and env["PATH_INFO"] == "/local" and env["QUERY_STRING"] == "x=y"


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi"])
def test_websocket(server, tmp, protocol):
    need("uwsgi", "/usr/lib/uwsgi/plugins/python3_plugin.so")
    with open(tmp + "/ws.py", "w", encoding="utf-8") as f:
        f.write(WEBSOCKET)
    os.chmod(tmp, 0o777)
    port = harness.free_port()
    app = App(tmp, "uwsgi", ["uwsgi", "--plugin", "python3", f"--{protocol}-socket", f"127.0.0.1:{port}", "--need-app",
                             "--wsgi-file", tmp + "/ws.py", "--master", "--die-on-term"], lambda: can_connect(("127.0.0.1", port)))
    try:
        s = server(workers=1, backends=f'app = {{ protocol = "{protocol}"; hosts = [ "127.0.0.1:{port}" ]; }};',
                   routes='{ path = "/"; gateway = { backend = "app"; upgrade = "websocket"; }; }')
        with upgrade(s) as c:
            for data in (b"", b"hello", b"x" * 126, bytes(range(65, 91)) * 3000):
                c.send(frame(1, data))
                opcode, got = take(c)
                assert opcode == 1 and got == data, f"{len(data)} octets came back wrong: {len(got)}"
            c.send(frame(8, struct.pack(">H", 1000)))
    finally:
        app.stop()
