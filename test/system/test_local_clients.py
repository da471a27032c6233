"""Who is on this machine: not the clients of a proxy that is. A proxy here is a request that says so,
or one through a Unix socket; what is shown to this machine only is the status and why a request failed."""
import pytest

ROUTES = '{ path = "/status"; status = true; }, { path = "/denied"; debug = true; access: { deny = "all"; }; }'
WHY = b"not allowed here"
FORWARDED = ["X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.7", "X-Real-IP: 192.0.2.7", "Via: 1.1 proxy",
             "X-Forwarded-Proto: https"]
TOLD = "proxies seem to connect here"


def field(line):
    return [tuple(line.split(": ", 1))]


def with_unix(s, more=""):
    """The configuration with a Unix socket beside its address."""
    old = f'listen = "127.0.0.1:{s.port}";'
    s.rewrite(text=s.text.replace(old, f'listen = [ "127.0.0.1:{s.port}", "unix:{s.tmp}/http.sock" ]; {more}'))
    return s.start()


def by_unix(s, path, headers=()):
    with s.connect(address=s.tmp + "/http.sock") as c:
        c.request(path, headers=[*headers, ("Connection", "close")])
        return c.response()


def test_itself(server):
    s = server(routes=ROUTES)
    assert s.get("/status").status == 200
    assert WHY in s.get("/denied").body
    assert TOLD not in s.error_log()


@pytest.mark.parametrize("line", FORWARDED)
def test_a_proxy_that_nobody_told_us_of(server, line):
    """Its client got the status, and the reasons of errors."""
    s = server(routes=ROUTES, workers=1)
    assert s.get("/status", field(line)).status == 403
    assert WHY not in s.get("/denied", field(line)).body
    for _ in range(3):
        assert s.get("/status", field(line)).status == 403
    assert s.error_log().count(TOLD) == 1
    assert 'trusted_proxies = "loopback"' in s.error_log()


def test_a_proxy_that_is_known(server):
    s = server(server='trusted_proxies = "loopback"; realip = "x-forwarded-for";', routes=ROUTES, workers=1)
    assert s.get("/status", field("X-Forwarded-For: 192.0.2.7")).status == 403
    assert s.get("/status", field("X-Forwarded-For: 127.0.0.1")).status == 200
    assert s.get("/status", field("Via: 1.1 proxy")).status == 403
    assert TOLD not in s.error_log()


def test_unix_socket(server):
    s = with_unix(server(start=False, routes=ROUTES, workers=1))
    assert by_unix(s, "/status").status == 403
    assert by_unix(s, "/status", field("X-Forwarded-For: 127.0.0.1")).status == 403
    assert s.error_log().count(TOLD) == 1 and 'trusted_proxies = "unix"' in s.error_log()
    assert s.get("/status").status == 200


def test_unix_socket_of_a_proxy_that_is_known(server):
    s = with_unix(server(start=False, routes=ROUTES, workers=1), 'trusted_proxies = "unix"; realip = "x-forwarded-for";')
    assert by_unix(s, "/status").status == 403
    assert by_unix(s, "/status", field("X-Forwarded-For: 192.0.2.7")).status == 403
    assert by_unix(s, "/status", field("X-Forwarded-For: 127.0.0.1")).status == 200
    assert TOLD not in s.error_log()


@pytest.mark.parametrize("more,warned", [
    ("", True), ('trusted_proxies = "unix";', True), ('trusted_proxies = "unix"; realip = "x-forwarded-for";', False)])
def test_check_warns_of_the_status_at_a_unix_socket(server, more, warned):
    s = with_unix(server(start=False, routes=ROUTES, workers=1), more)
    done = s.cli("check")
    assert done.returncode == 0
    assert ("taken for a proxy" in done.stderr) == warned, done.stderr


def test_check_says_nothing_without_a_status(server):
    s = with_unix(server(start=False, workers=1))
    assert "taken for a proxy" not in s.cli("check").stderr
