"""A shell CGI: environment, body, status, redirects, standard error, a client that leaves."""
import hashlib
import os
import random
import shutil
import time

import pytest

import harness
from harness import wait_for

SCRIPT = os.path.join(harness.TOP, "test/system/applications/hello.cgi")
ROUTES = '{ path = "/cgi"; gateway = { backend = "cgi"; split = [ ".cgi" ]; }; }'


@pytest.fixture
def s(server):
    s = server(start=False, routes=ROUTES, backends='cgi = { protocol = "cgi"; spawn = { processes = "8"; %s }; };' % harness.CGI_USER,
               files={"a.txt": "a file"})
    os.makedirs(s.root + "/cgi")
    shutil.copy(SCRIPT, s.root + "/cgi/hello.cgi")
    os.chmod(s.root + "/cgi/hello.cgi", 0o755)
    return s.start()


def test_environment(s):
    e = s.get("/cgi/hello.cgi/some/path?q=1", headers={"X-Test": "yes", "Proxy": "evil"}).text
    for line in ("GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "SCRIPT_NAME=/cgi/hello.cgi",
                 "PATH_INFO=/some/path",
                 "QUERY_STRING=q=1", "HTTP_X_TEST=yes", "SERVER_PROTOCOL=HTTP/1.1", "REMOTE_ADDR=127.0.0.1",
                 f"PATH_TRANSLATED={s.root}/some/path"):
        assert line in e.splitlines(), e
    assert "HTTP_PROXY" not in e
    assert s.root + "/cgi" in e.splitlines(), "a script starts in its own directory"


def test_bodies(s):
    for n in (0, 1, 65536, 3 << 20):
        data = random.Random(n).randbytes(n)
        assert s.ask("POST", "/cgi/hello.cgi/digest", body=data).text.strip() == hashlib.sha256(data).hexdigest()


def test_answers(s):
    assert (s.get("/cgi/hello.cgi/status").status, s.get("/cgi/hello.cgi/status").body) == (404, b"nothing\n")
    r = s.get("/cgi/hello.cgi/redirect")
    assert r.status == 302 and r["Location"] == "http://example.org/"
    assert s.get("/cgi/hello.cgi/local").body == b"a file", "a local redirect is answered by the server itself"
    assert s.get("/cgi/hello.cgi/complain").body == b"said\n"
    s.wait_log("a complaint of the script")
    assert s.get("/cgi/hello.cgi/none").status == 502
    assert s.get("/cgi/none.cgi").status == 404


def test_streams(s):
    with s.connect() as c:
        c.request("/cgi/hello.cgi/slow", headers={"Connection": "close"})
        c.take_until(b"first\n")
        first = time.monotonic()
        c.take_until(b"second\n")
        assert time.monotonic() - first > 0.7


def test_client_leaves(s):
    """The script does not run on for nobody."""
    def sleeping():
        return [p for p in harness.session_pids(s.sid) if "hello.cgi" in cmdline(p)]
    with s.connect() as c:
        c.request("/cgi/hello.cgi/sleep")
        wait_for(sleeping, "the script runs")
    wait_for(lambda: not sleeping(), "the script is ended")


def test_many_at_once(s):
    conns = [s.connect() for _ in range(30)]
    for c in conns:
        c.request("/cgi/hello.cgi/slow", headers={"Connection": "close"})
    for c in conns:
        assert c.response().body == b"first\nsecond\n"


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""
