"""The gateway with each protocol: requests as the backend sees them, answers as the client does, and what
comes of backends that do wrong.
"""
import re
import time

import pytest

from backends import PROTOCOLS, pool, pool_status
from harness import figure, wait_for

ROUTES = '{ path = "/app"; gateway = "app"; }'
CGI = ("fastcgi", "scgi", "uwsgi")
FAST = {"first_byte": "500ms", "connect": "500ms", "between_bytes": "500ms", "queue": "500ms"}


def start(server, *peers, gateway='"app"', routes="", site="", **options):
    return server(workers=1, site=site, backends=pool("app", *peers, **options),
                  routes=routes + f'{{ path = "/app"; gateway = {gateway}; }}')


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_request_as_seen(server, peers, protocol):
    app = peers(protocol)
    s = start(server, app)
    r = s.get("/app/a%20b/echo?x=%41&y", headers={"X-Test": "a, b", "Cookie": "k=v", "Connection": "close, X-Hop",
                                                  "X-Hop": "1",
                                                   "Proxy": "http://evil/"}, host=f"localhost:{s.port}")
    assert r.status == 200
    q = r.json()
    assert q["method"] == "GET" and q["target"] == "/app/a%20b/echo?x=%41&y"
    seen = {k.lower(): v for k, v in q["fields"]} | q["env"]
    if protocol in CGI:
        want = {"HTTP_X_TEST": "a, b", "HTTP_COOKIE": "k=v", "QUERY_STRING": "x=%41&y", "REMOTE_ADDR": "127.0.0.1",
                "SERVER_PORT": str(s.port), "REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1",
                "HTTP_HOST": f"localhost:{s.port}"}
        assert {k: seen.get(k) for k in want} == want
        assert "HTTP_PROXY" not in seen and "HTTP_X_HOP" not in seen
        assert seen["SCRIPT_NAME"] + seen.get("PATH_INFO", "") == "/app/a b/echo"
    else:
        assert seen["x-test"] == "a, b" and seen["cookie"] == "k=v" and "x-hop" not in seen
    if protocol == "http":
        assert seen["x-forwarded-for"] == "127.0.0.1" and seen["x-forwarded-proto"] == "http"
        assert seen["host"] == f"localhost:{s.port}"
    if protocol == "ajp":
        assert (seen["remote_addr"], seen["server_name"], seen["server_port"], seen["is_ssl"]) == \
            ("127.0.0.1", "localhost", s.port, 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_answers(server, peers, protocol):
    app = peers(protocol)
    s = start(server, app)
    with s.connect() as c:
        for n in (0, 1, 1000, 70000):
            for framing in ("length", "chunked"):
                r = c.request(f"/app/body?n={n}&framing={framing}").response()
                assert r.status == 200 and len(r.body) == n, (framing, n)
        r = c.request("/app/body?n=5000", "HEAD").response()
        assert r.status == 200 and r.body == b""
        r = c.request("/app/status?code=404").response()
        assert r.status == 404 and r.body == b"status 404\n", "an application's own error page is its own"
        r = c.request("/app/fields?n=50&size=200").response()
        assert len([k for k, _ in r.fields if k.startswith("X-Field-")]) == 50
    assert app.stats()["errors"] == 0, app.stats()
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "nothing is in flight")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("trouble", ["close", "reset", "cut_head", "garbage"])
def test_bad_backend(server, peers, protocol, trouble):
    """502, and the log says why."""
    app = peers(protocol)
    s = start(server, app, retry={"attempts": 1})
    r = s.get("/app/" + trouble)
    assert r.status == 502, r
    assert re.search(r"app.*" + re.escape(app.host), s.error_log()), s.error_log()
    assert s.get("/app/echo").status == 200, "one failure is no reason to leave the host out"


@pytest.mark.parametrize("protocol", ["fastcgi", "http", "ajp"])
def test_cut_body(server, peers, protocol):
    """What is not whole is not passed off as whole."""
    app = peers(protocol)
    s = start(server, app)
    with s.connect() as c:
        c.request("/app/cut-body?n=100000")
        with pytest.raises((AssertionError, ConnectionResetError)):
            c.response()


def test_timeouts(server, peers):
    """Each ends a request in its own time and is named."""
    app = peers("http", tcp=True)
    s = start(server, app, timeout=FAST, retry={"attempts": 1})
    assert s.get("/app/slow-head?ms=3000").status == 504
    s.wait_log("first_byte")
    with s.connect() as c:
        c.request("/app/body?n=2000&piece=1000&ms=3000")
        with pytest.raises((AssertionError, ConnectionResetError)):
            c.response()
    s.wait_log("between_bytes")
    assert s.get("/app/echo").status == 200


@pytest.mark.parametrize("protocol", ["fastcgi", "http", "ajp"])
def test_keepalive(server, peers, protocol):
    """Few connections for many requests. More than one, since an answer can be whole before the record that ends it is there."""
    app = peers(protocol)
    s = start(server, app, keepalive=8)
    with s.connect() as c:
        for i in range(50):
            assert c.request(f"/app/hash?{i}", "POST", body=b"x" * i).response().status == 200
    st = app.stats()
    assert st["requests"] == 50 and st["conns"] <= 5, st
    app.ask("cut")
    wait_for(lambda: app.stats()["open"] == 0, "closed")
    assert s.get("/app/echo").status == 200


def test_fastcgi_stderr(server, peers):
    app = peers("fastcgi")
    s = start(server, app)
    assert s.get("/app/stderr?text=a+word+of+warning").status == 200
    s.wait_log("a word of warning")


def test_http_details(server, peers):
    app = peers("http")
    s = start(server, app, gateway='{ backend = "app"; upgrade = "echo"; }')
    with s.connect() as c:
        r = c.request("/app/interim").response()
        assert [i.status for i in r.interim] == [103] and "style.css" in r.interim[0]["Link"]
        r = c.request("/app/trailers", headers={"TE": "trailers"}).response()
        assert r.body == b"with trailers\n" and ("X-Sum", "42") in r.trailers
        r = c.request("/app/http10").response()
        assert r.body == b"old\n"
        r = c.request("/app/hash", "POST", headers={"Expect": "100-continue"}, body=b"at once").response()
        assert r.status == 200
    with s.connect() as c:
        c.request("/app/upgrade", headers={"Connection": "Upgrade", "Upgrade": "echo"})
        head = c.take_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        for n in (1, 1000, 300000):
            c.send(b"t" * n)
            assert c.take(n) == b"t" * n
        c.shutdown()
        c.expect_closed()


def test_access_log_tells(server, peers):
    """Who answered, what was tried before, and how it ended."""
    a, b = (peers("http", tcp=True) for _ in range(2))
    b.mode("close")
    s = server(workers=1, routes=ROUTES, backends=pool("app", b, a, balance="static"),
               server='access_log: { file = "@TMP@/access.log"; flush = "100ms"; format = "$status $backend_pool $backend '
                      '$backend_tries [$backend_failures] $backend_term $backend_queue_us $backend_connect_us '
                      '$backend_first_us $backend_total_us"; };', access_log=False)
    assert s.get("/app/echo").status == 200
    wait_for(lambda: s.access_log(), "a line")
    line = s.access_log().splitlines()[0]
    assert re.match(rf"200 app {re.escape(a.host)} 2 \[{re.escape(b.host)} [^\]]+\] -- \d+ \d+ \d+ \d+$", line), line


def test_starts_without_backends(server):
    """Names that do not resolve and hosts that are not there are no reason not to start."""
    s = server(workers=1, routes=ROUTES, backends='app = { protocol = "http"; hosts = [ "no-such-host.invalid:80" ]; '
               'timeout: { queue = "300ms"; }; };', files={"a.txt": "a"})
    assert s.get("/a.txt").status == 200
    assert s.get("/app/x").status in (502, 503)


def test_drain_at_run_time(server, peers):
    a, b = (peers("http", tcp=True, name=n) for n in ("a", "b"))
    s = start(server, a, b, balance="round-robin")
    assert {s.get("/app/echo").json()["peer"] for _ in range(6)} == {"a", "b"}
    s.cli("backend", "app", "drain", a.host, check=0)
    assert {s.get("/app/echo").json()["peer"] for _ in range(6)} == {"b"}
    s.cli("backend", "app", "enable", a.host, check=0)
    assert {s.get("/app/echo").json()["peer"] for _ in range(6)} == {"a", "b"}
    p = s.cli("backend", "app", "drain", "10.9.9.9:1")
    assert p.returncode != 0 and "10.9.9.9" in p.stdout + p.stderr


def test_health_checks(server, peers):
    """Asked by one worker, whatever the number of workers; taken out and brought back without a request."""
    a, b = (peers("http", tcp=True, name=n) for n in ("a", "b"))
    s = server(workers=4, routes=ROUTES, backends=pool("app", a, b, health={
        "path": "/echo", "interval": "200ms", "timeout": "500ms", "rise": 2, "fall": 2}))
    wait_for(lambda: a.stats()["requests"] >= 3, "checks are made")
    a.zero()
    time.sleep(2)
    n = a.stats()["requests"]
    figure("gateway: health checks", what="4 workers, interval 200 ms, 2 s: checks of a host", figure=n,
           limit="8 .. 12")
    assert 6 <= n <= 13, n
    a.mode("status?code=500")
    wait_for(lambda: "is down" in s.error_log(), "found out")
    assert {s.get("/app/echo").json()["peer"] for _ in range(6)} == {"b"}
    a.mode(None)
    wait_for(lambda: "is up" in s.error_log(), "it is back")
    assert s.error_log().count("is down") == 1 and s.error_log().count("is up") == 1
