"""Python applications: uwsgi by its own protocol and by SCGI, gunicorn by HTTP over a Unix socket."""
import hashlib
import os
import random
import time

import pytest

import harness
from apps import App, Browser, can_connect, need

HERE = os.path.join(harness.TOP, "test/system/applications")
BODY = random.Random(4).randbytes(3 << 20)
DIGEST = hashlib.sha256(BODY).hexdigest()
ROUTES = '{ path = "/app"; gateway = { backend = "app"; prefix = "/app"; }; }'


def uwsgi(tmp, option, address):
    need("uwsgi", "/usr/lib/uwsgi/plugins/python3_plugin.so")
    listen = address if isinstance(address, str) else f"127.0.0.1:{address[1]}"
    return App(tmp, "uwsgi", ["uwsgi", "--plugin", "python3", option, listen, "--chmod-socket=666", "--need-app",
                              "--wsgi-file", HERE + "/wsgi.py", "--processes", "2", "--master", "--die-on-term"],
               lambda: can_connect(address))


def gunicorn(tmp, address):
    need("gunicorn")
    return App(tmp, "gunicorn", ["gunicorn", "-b", f"unix:{address}", "-w", "2", "-k", "gthread", "--threads", "4",
                                 "--umask", "0", "--chdir", HERE,
                                 "--worker-tmp-dir", tmp, "wsgi:application"], lambda: can_connect(address),
               env={"PYTHONDONTWRITEBYTECODE": "1"})


def use(s, is_http):
    b = Browser(s)
    r = b.ask("POST", "/app/hashed", BODY, {"Content-Type": "application/octet-stream"})
    assert r.status == 200 and DIGEST in r.text and f'"length": {len(BODY)}' in r.text, r.text
    with s.connect() as c:  # without a length: the CGI-like protocols need one made
        c.send("POST /app/hashed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(BODY), 100000):
            piece = BODY[i:i + 100000]
            c.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        c.send("0\r\n\r\n")
        r = c.response()
        # WSGI knows no body without a length: by HTTP it is the application's own matter.
        assert r.status == 200 and (is_http or r.json()["sha256"] == DIGEST), r
    e = b.get("/app/environment?a=1&b=%C3%A4", headers={"X-Test": "yes"})
    assert e.status == 200, e.text
    for text in ('"REQUEST_METHOD": "GET"', '"QUERY_STRING": "a=1&b=%C3%A4"', '"HTTP_X_TEST": "yes"'):
        assert text in e.text, e.text
    if not is_http:
        assert '"SCRIPT_NAME": "/app"' in e.text and '"PATH_INFO": "/environment"' in e.text, e.text
    r = b.get("/app/login")
    assert r.status == 302 and b.cookies == {"a": "1", "b": "2"}
    assert b.get("/app/nothing").status == 404
    pieces(s)


def pieces(s):
    """What it yields comes when it is yielded, not at the end."""
    with s.connect() as c:
        c.request("/app/pieces", headers={"Connection": "close"})
        begun = time.monotonic()
        c.take_until(b"piece 0\n")
        first = time.monotonic() - begun
        c.take_until(b"piece 9\n")
        last = time.monotonic() - begun
    assert last - first > 0.3, "all came at once"
    assert first < harness.patience(0.3)


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi"])
@pytest.mark.parametrize("way", ["unix", "tcp"])
def test_uwsgi(server, tmp, protocol, way):
    address = tmp + "/uwsgi.sock" if way == "unix" else ("127.0.0.1", harness.free_port())
    os.chmod(tmp, 0o777)
    app = uwsgi(tmp, "--uwsgi-socket" if protocol == "uwsgi" else "--scgi-socket", address)
    try:
        host = f"unix:{address}" if way == "unix" else f"127.0.0.1:{address[1]}"
        s = server(routes=ROUTES, backends=f'app = {{ protocol = "{protocol}"; hosts = [ "{host}" ]; }};')
        use(s, False)
    finally:
        app.stop()


def test_gunicorn(server, tmp):
    os.chmod(tmp, 0o777)
    app = gunicorn(tmp, tmp + "/gunicorn.sock")
    try:
        s = server(routes='{ path = "/app"; gateway = "app"; }',
                   backends=f'app = {{ protocol = "http"; hosts = [ "unix:{tmp}/gunicorn.sock" ]; }};')
        use(s, True)
    finally:
        app.stop()
