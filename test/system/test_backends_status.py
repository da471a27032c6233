"""What an operator sees of backends, and what he can say while the server runs: nothing of it costs a request."""
import json
import os
import re
import socket
import struct
import time

import pytest

from backends import Backlog, host_state, hosts, pool, pool_status
from harness import patience, wait_for
from load import Load, assert_nothing_lost

BODY = b"x" * 1024
ROUTES = '{ path = "/app"; gateway = "app"; }, { path = "/status"; status = true; }'
QUICK = {"refused": "200ms", "unreachable": "200ms", "errors": "200ms", "overload": "200ms", "max": "400ms"}
JSON_LOG = 'access_log: { file = "@TMP@/json.log"; format = "json"; flush = "50ms"; };'


def start(make, conf, workers=4, **kw):
    s = make(workers=workers, routes=ROUTES, backends=conf, files={"body": BODY}, access_log=False, **kw)
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def load(s, **kw):
    return Load(s, "kept-alive", conns=32, rate=1500, path="/app/x", file=s.root + "/body", **kw)


def requests_in(peer, seconds):
    before = peer.stats()["requests"]
    time.sleep(seconds)
    return peer.stats()["requests"] - before


def is_quiet(peer):
    return requests_in(peer, 0.2) == 0


# ------------------------------------------------------------------------------------------- the command

def test_command(server, peers):
    a, b = (peers.fast("http", tcp=True) for _ in range(2))
    s = start(server, pool("app", a, b) + pool("api", "127.0.0.1:9", protocol="http"), workers=1)
    p = s.cli("backend", check=0)
    assert p.stdout.startswith("pool api  1 of 1 hosts usable") and "\npool app  2 of 2 hosts usable" in p.stdout
    p = s.cli("backend", "app", check=0)
    assert a.host in p.stdout and b.host in p.stdout and "127.0.0.1:9 " not in p.stdout
    p = s.cli("backend", "app", "drain", a.host, check=0)
    assert p.stdout == f"app {a.host} is drained: it takes no new requests, 0 requests in flight\n"
    p = s.cli("backend", "app", "drain", b.host, check=0)
    assert "no host of the pool takes new requests now" in p.stdout
    assert "0 of 2 hosts usable" in s.cli("status", check=0).stdout
    for host in (a.host, b.host):
        s.cli("backend", "app", "enable", host, check=0)
    s.cli("backend", "app", "weight", a.host, "20", check=0)
    assert hosts(s)[a.host]["weight"] == 20
    s.cli("backend", "app", "weight", a.host, "configured", check=0)
    assert hosts(s)[a.host]["weight"] is None
    for words, status, text in [
            (["apps"], 1, 'there is no pool "apps"; did you mean "app"?'),
            (["app", "drain", a.host[:-1]], 1, f'there is no host "{a.host[:-1]}"; did you mean'),
            (["app", "weight", a.host, "0"], 2, "a weight is 1 to 1000"),
            (["app", "stop", a.host], 2, 'there is no command "stop"'),
            (["app", "drain"], 2, "usage: argand backend"),
            (["app", "drain", "a b"], 2, "usage: argand backend")]:
        p = s.cli("backend", *words, check=status)
        assert text in p.stderr and p.stdout == "", (words, p.stderr)
    assert s.error_log().count("asked for through the control socket") == 6


@pytest.mark.parametrize("verb", ["drain", "disable"])
def test_out_and_in_under_load(server, peers, verb):
    three = [peers.fast("http", tcp=True) for _ in range(3)]
    s = start(server, pool("app", *three, balance="round-robin"))
    with load(s) as l:
        wait_for(lambda: three[1].stats()["requests"] > 50, "it has its share")
        s.cli("backend", "app", verb, three[1].host, check=0)
        wait_for(lambda: hosts(s)[three[1].host]["in_flight"] == 0, "its requests are finished")
        assert is_quiet(three[1]), "a host that is out gets nothing"
        h = hosts(s)[three[1].host]
        assert (h["admin"], h["state"], h["usable"]) == ({"drain": "draining", "disable": "disabled"}[verb], "up", False)
        s.cli("backend", "app", "enable", three[1].host, check=0)
        wait_for(lambda: requests_in(three[1], 0.2) > 10, "it has its share again")
        assert_nothing_lost(l.stop())


def test_weight_under_load(server, peers):
    two = [peers.fast("http", tcp=True) for _ in range(2)]
    s = start(server, pool("app", *two, balance="round-robin"))
    with load(s) as l:
        wait_for(lambda: two[1].stats()["requests"] > 50, "both work")
        s.cli("backend", "app", "weight", two[0].host, "9", check=0)
        time.sleep(0.2)
        for p in two:
            p.zero()
        time.sleep(1)
        a, b = (p.stats()["requests"] for p in two)
        assert_nothing_lost(l.stop())
    assert 8 <= a / b <= 10, (a, b)


# ---------------------------------------------------------------------------------------- what outlives what

def told(s):
    """What is to outlive reloads and upgrades, by host."""
    return {k: [h[x] for x in ("state", "admin", "weight", "cause", "since", "requests", "failures")]
            for k, h in hosts(s).items()}


@pytest.mark.parametrize("event", ["reload", "upgrade"])
def test_state_outlives(server, peers, event):
    good, drained, bad = (peers.fast("http", tcp=True) for _ in range(3))
    conf = pool("app", good, drained, bad, balance="round-robin", failover={"refused": "1m"})
    s = start(server, conf)
    bad.kill()
    for _ in range(30):
        assert s.get("/app/x").status == 200
    assert host_state(s, bad) == "down"
    s.cli("backend", "app", "drain", drained.host, check=0)
    s.cli("backend", "app", "weight", good.host, "7", check=0)
    before = told(s)
    assert before[good.host][1:3] == ["", 7] and before[drained.host][1] == "draining"
    workers = s.workers()
    if event == "reload":
        s.rewrite(workers=3, routes=ROUTES, backends=conf, access_log=False)
    s.cli(event, check=0)
    wait_for(lambda: not set(workers) & set(s.workers()), "new workers serve")
    assert told(s) == before
    n = drained.stats()["requests"]
    for _ in range(20):
        assert s.get("/app/x").status == 200
    assert drained.stats()["requests"] == n and host_state(s, bad) == "down"


# ------------------------------------------------------------------------------------------ probes and checks

def lines(s, peer, what):
    return re.findall(rf"backend app {re.escape(peer.host)} is {what}.*", s.error_log())


@pytest.mark.parametrize("protocol", ["http", "fastcgi", "ajp", "scgi", "uwsgi"])
def test_probe_spends_no_request(server, peers, protocol):
    """Four workers; a host that is back is found to be so by one connection, and nobody asked for anything."""
    app = peers(protocol, tcp=True)
    app.may_err = True  # of SCGI and uwsgi: a connection without a request
    s = start(server, pool("app", app, failover={"refused": "300ms", "max": "300ms"}, retry={"attempts": 1},
                           timeout={"queue": "100ms"}))
    app.kill()
    wait_for(lambda: s.get("/app/echo").status in (502, 503) and host_state(s, app) == "down", "it is found out")
    time.sleep(1)
    assert host_state(s, app) in ("down", "trial")
    app.start()
    wait_for(lambda: host_state(s, app) == "up", "it is back", 5)
    st = app.stats()
    assert st["requests"] == 0 and st["conns"] <= 1, st
    time.sleep(0.5)
    assert app.stats()["conns"] <= 1
    assert len(lines(s, app, "down")) == 1 and len(lines(s, app, "up again")) == 1, s.error_log()
    assert s.get("/app/echo").status == 200


@pytest.mark.parametrize("protocol", ["http", "fastcgi", "scgi", "uwsgi", "ajp"])
def test_checks(server, peers, protocol):
    """A host whose checks fail goes out, and comes back by its checks alone; one worker of four makes them."""
    bad, good = (peers(protocol, tcp=True) for _ in range(2))
    health = {"path": "/app/echo?check", "interval": "200ms", "timeout": "100ms", "rise": 2, "fall": 3}
    s = start(server, pool("app", bad, good, health=health))
    at, n = time.monotonic(), good.stats()["requests"]
    time.sleep(2)
    n, took = good.stats()["requests"] - n, time.monotonic() - at
    assert 0.6 * took / 0.33 <= n <= took / 0.18 + 1, f"{n} checks in {took:.2f} s, whatever the number of workers"
    bad.mode("status?code=500")
    wait_for(lambda: host_state(s, bad) == "down", "it is found out")
    h = hosts(s)[bad.host]
    assert h["cause"] == "check" and h["check_failures"] >= 3 and h["requests"] == 0
    assert all(s.get("/app/echo").status == 200 for _ in range(10))
    bad.mode(None)
    wait_for(lambda: host_state(s, bad) == "up", "it is back")
    down, up = lines(s, bad, "down"), lines(s, bad, "up again")
    assert len(down) == 1 and len(up) == 1, s.error_log()
    assert "check" in down[0] and "status 500" in down[0], down
    assert s.cli("backend", "app", check=0).stdout.count(" up ") == 2


def test_check_of_a_text(server, peers):
    app, other = (peers("http", tcp=True) for _ in range(2))
    app.mode("status?code=200")  # answers "status 200"
    health = {"path": "/x", "interval": "100ms", "timeout": "100ms", "fall": 1, "body": "all is well"}
    s = start(server, pool("app", app, other, health=health), workers=2)
    wait_for(lambda: host_state(s, app) == "down", "the text is missed")
    assert "the text is not in the answer" in lines(s, app, "down")[0]


def test_checks_go_on_without_their_worker(server, peers):
    """The lease of a worker that dies ends by time."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app, health={"path": "/x", "interval": "200ms", "timeout": "100ms"}))
    for _ in range(4):
        old = s.workers()
        os.kill(old[0], 9)
        n = app.stats()["requests"]
        wait_for(lambda: app.stats()["requests"] >= n + 2, "checks go on", 3)
        wait_for(lambda: len(s.workers()) == 4, "a new worker is there")


# --------------------------------------------------------------------------------------------------- forms

def test_forms(server, peers):
    app, bad = peers.fast("http", tcp=True), peers.fast("http", tcp=True)
    s = start(server, pool("app", app, bad, balance="round-robin", failover={"refused": "1m"}), workers=2)
    bad.kill()
    for _ in range(20):
        assert s.get("/app/x").status == 200
    h = hosts(s)
    assert h[app.host]["requests"] >= 19 and h[app.host]["latency_us"]["p50"] > 0
    assert h[app.host]["reuses"] + h[app.host]["connects"] == h[app.host]["requests"], h[app.host]
    assert (h[bad.host]["state"], h[bad.host]["cause"], h[bad.host]["usable"]) == ("down", "refused", False)
    assert 50 < h[bad.host]["until"] - time.time() <= 61 and time.time() - h[bad.host]["since"] < patience(20)
    text = s.cli("status", check=0).stdout
    assert "pool app  1 of 2 hosts usable" in text and re.search(r"refused \(\d failures?\), for \ds, tried again in 5\ds", text)
    html = s.get("/status?format=html").text
    assert f'data-k="host">{app.host}<' in html and ">down</span>" in html and "1 of 2 hosts usable" in html
    figures = s.get("/status?format=prometheus").text
    assert f'argand_backend_up{{pool="app",host="{app.host}"}} 1\n' in figures
    assert f'argand_backend_state{{pool="app",host="{bad.host}",state="down"}} 1\n' in figures
    assert f'argand_backend_ejections_total{{pool="app",host="{bad.host}"}} 1\n' in figures


# ----------------------------------------------------------------------------------------------- access log

def logged(s, n=1):
    """The last of n lines at least."""
    def have():
        text = s.read("json.log").splitlines()
        return len(text) >= n and text
    return json.loads(wait_for(have, f"{n} lines in the log")[-1])


def started_for_log(server, *peers, **options):
    options = {"timeout": {"connect": "300ms", "first_byte": "300ms", "between_bytes": "300ms", "queue": "300ms"},
               "retry": {"attempts": 1}, **options}
    return start(server, pool("app", *peers, **options), workers=1, server=JSON_LOG)


def test_log_of_what_went_well(server, peers):
    app = peers("http", tcp=True)
    s = started_for_log(server, app)
    with s.connect() as c:
        assert c.request("/app/slow_head?ms=50").response().status == 200
        assert c.request("/app/echo").response().status == 200
        assert c.request("/nothing").response().status == 404
    first = json.loads(wait_for(lambda: s.read("json.log").splitlines()[2:3] and s.read("json.log").splitlines()[0], "lines"))
    b = first["backend"]
    assert (b["pool"], b["host"], b["tries"], b["failures"], b["term"], b["reused"]) == ("app", app.host, 1, "", "--", 0)
    assert 0 <= b["queue_us"] < 50000 and 0 < b["connect_us"] < 50000 and 50000 <= b["first_us"] <= b["total_us"], b
    assert b["total_us"] <= first["duration_us"]
    second, third = (json.loads(x) for x in s.read("json.log").splitlines()[1:3])
    assert second["backend"]["reused"] == 1 and third["backend"] is None


ENDS = {
    # name: (path, status, letters, options of the pool)
    "closed": ("/app/close", 502, "SH", {}),
    "reset": ("/app/reset", 502, "SH", {}),
    "garbage": ("/app/garbage", 502, "SH", {}),
    "cut body": ("/app/cut_body?n=100000", 200, "SD", {}),
    "slow head": ("/app/slow_head?ms=3000", 504, "sH", {}),
    "slow body": ("/app/body?n=2000&piece=1000&ms=3000", 200, "sD", {}),
}


@pytest.mark.parametrize("name", ENDS)
def test_log_of_what_went_wrong(server, peers, name):
    path, status, letters, options = ENDS[name]
    app = peers("http", tcp=True)
    s = started_for_log(server, app, **options)
    with s.connect() as c:
        c.request(path)
        try:
            assert c.response().status == status
        except (AssertionError, ConnectionResetError):
            assert status == 200, "only a body is cut"
    line = logged(s)
    assert line["status"] == status and line["backend"]["term"] == letters, line
    assert line["backend"]["pool"] == "app", line
    if status != 200:
        assert app.host in s.error_log() and letters in s.error_log(), "the error log tells as well"


@pytest.mark.parametrize("trouble", ["refused", "connect"])
def test_log_of_no_connection(server, peers, trouble):
    """No host can be connected to: the request waits for one as long as it may, and its line tells what was tried."""
    b = Backlog()
    try:
        host = b.host if trouble == "connect" else "127.0.0.1:9"
        s = started_for_log(server, host, protocol="http")
        assert s.get("/app/x").status == 503
        line = logged(s)["backend"]
        assert line["term"] == "QQ" and line["tries"] >= 1 and line["host"] == host, line
        assert line["failures"].startswith(host + " ") and trouble in line["failures"], line
        assert trouble in s.error_log()
    finally:
        b.stop()


def test_log_of_retries(server, peers):
    bad, good = (peers("http", tcp=True) for _ in range(2))
    s = started_for_log(server, bad, good, balance="static", retry={"attempts": 3})
    bad.kill()
    assert s.get("/app/echo").status == 200
    b = logged(s)["backend"]
    assert (b["host"], b["tries"], b["term"]) == (good.host, 2, "--"), b
    assert b["failures"].startswith(bad.host + " ") and "refused" in b["failures"], b


def test_log_of_the_queue(server, peers):
    app = peers("http", tcp=True)
    s = started_for_log(server, f'{{ address = "{app.host}"; max_requests = 1; }}', protocol="http",
                        timeout={"queue": "300ms", "first_byte": "10s"})
    with s.connect() as c:
        c.request("/app/slow_head?ms=1500")
        wait_for(lambda: pool_status(s)["in_flight"] == 1, "one has the only place")
        r = s.get("/app/echo")
        assert r.status == 503 and int(r["Retry-After"]) >= 1
        b = logged(s)["backend"]
        assert b["term"] == "QQ" and b["tries"] == 0 and b["connect_us"] is None, b
        assert 299000 <= b["queue_us"] < 1500000, b  # timers count whole milliseconds
        assert c.response().status == 200


@pytest.mark.parametrize("how", ["FIN", "RST"])
def test_log_of_a_client_that_left(server, peers, how):
    app = peers("http", tcp=True)
    s = started_for_log(server, app, timeout={"first_byte": "10s"})
    c = s.connect()
    c.request("/app/slow_head?ms=3000")
    wait_for(lambda: app.stats()["active"] == 1, "it is under way")
    if how == "RST":
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    line = logged(s)
    assert line["backend"]["term"] == "CH" and line["end"] == "aborted" and line["duration_us"] < 2500000, line
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "its place is free")
