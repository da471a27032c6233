"""Every host of a pool is gone: a hiccup is waited out, an outage that is known is not."""
import json
import re
import threading
import time

import pytest

from backends import host_state, pool, pool_status
from dnsserver import DnsServer
from harness import free_port, patience, wait_for
from load import Load, assert_nothing_lost

BODY = b"x" * 1024
ROUTES = '{ path = "/app"; gateway = "app"; }, { path = "/status"; status = true; }'
QUICK = {"refused": "100ms", "overload": "100ms", "max": "200ms"}
GRACE, QUEUE = 0.7, 8
LOG = 'access_log: { file = "@TMP@/json.log"; format = "json"; flush = "50ms"; };'


def start(make, conf, workers=1, server=""):
    s = make(workers=workers, routes=ROUTES, backends=conf, server=LOG + server, files={"body": BODY}, access_log=False)
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def outage(*hosts, grace=f"{GRACE}s", queue=QUEUE, **more):
    return pool("app", *hosts, protocol="http", failover={**QUICK, "grace": grace}, timeout={"queue": f"{queue}s"}, **more)


def dead(n=2):
    return [f"127.0.0.1:{free_port()}" for _ in range(n)]


def ask(s, path="/app/x"):
    """The answer, and how long it took."""
    began = time.monotonic()
    r = s.get(path, timeout=patience(20))
    return r, time.monotonic() - began


def quick(s, n=10):
    """So many requests are turned away, each at once."""
    for _ in range(n):
        r, took = ask(s)
        assert r.status == 503 and r["Retry-After"] == "1", r
        assert took < patience(0.4), f"an answer at once, not after {took:.3f} s"


def known(s):
    """Until everybody knows of the outage."""
    wait_for(lambda: pool_status(s)["down_since"], "all are down")
    wait_for(lambda: time.time() > pool_status(s)["down_since"] + GRACE, "for longer than the grace")


def terms(s, n):
    """How the last n requests to a backend ended."""
    def have():
        of = [json.loads(x)["backend"] for x in s.read("json.log").splitlines()]
        return len(of := [b["term"] for b in of if b]) >= n and of[-n:]
    return wait_for(have, f"{n} lines in the log")


def test_outage(server):
    """The first request finds the outage and waits until the grace is over; those that come later do not."""
    s = start(server, outage(*dead()))
    r, took = ask(s)
    assert r.status == 503 and r["Retry-After"] == "1", r
    assert GRACE * 0.9 < took < patience(4), took
    quick(s, 20)
    p = pool_status(s)
    assert (p["queue_down"], p["queue_timeouts"], p["hosts_usable"], p["queued"]) == (21, 0, 0, 0), p
    assert GRACE * 0.9 < time.time() - p["down_since"] < patience(10), p
    assert terms(s, 21) == ["DQ"] * 21
    told = re.findall(r" warn .*failover\.grace: every host has been down for \d+\.\d s", s.error_log())
    assert 1 <= len(told) <= 3, "a line a second says so, not one for each request"
    assert re.search(r"pool app  0 of 2 hosts usable, down for \d+s, ", s.cli("status", check=0).stdout)
    assert "0 of 2 hosts usable, down for " in s.get("/status?format=html").text
    figures = s.get("/status?format=prometheus").text
    assert 'argand_pool_queue_down_total{pool="app"} 21\n' in figures
    assert float(re.search(r'argand_pool_down_seconds\{pool="app"\} (\S+)', figures)[1]) > GRACE * 0.9


@pytest.mark.parametrize("workers", [1, 4])
def test_end_of_an_outage(server, peers, workers):
    """Probes go on: when a host is back every worker serves requests at once, and the next outage is a new one."""
    a = peers("http", tcp=True)
    a.kill()
    s = start(server, outage(a), workers)
    ask(s)
    known(s)
    quick(s)
    a.start()
    wait_for(lambda: host_state(s, a) == "up", "it is found to be back", 5)
    assert pool_status(s)["down_since"] is None
    for _ in range(10 * workers):
        r, took = ask(s, "/app/echo")
        assert r.status == 200 and took < patience(0.5), took
    a.kill()
    r, took = ask(s)
    assert r.status == 503 and took > GRACE * 0.9, "this one is young again"


def test_workers_agree(server):
    """What one of four found out all know, and those of later generations and of another program too."""
    conf = outage(*dead())
    s = start(server, conf, workers=4)
    ask(s)
    known(s)
    since = pool_status(s)["down_since"]
    quick(s, 40)
    assert all(w["counters"]["requests"] > 0 for w in s.status()["workers"]), "each had some of them"
    for i, verb in enumerate(("reload", "upgrade")):
        s.rewrite(workers=4, routes=ROUTES, backends=conf, server=f"keepalive_requests = {1000 + i};")
        s.cli(verb, check=0)
        quick(s)
        assert abs(pool_status(s)["down_since"] - since) < 0.1, f"{verb}: the same outage"


def test_restart_of_an_application(server, peers):
    """A second without any host, and a grace that is longer: nobody sees it."""
    a = peers.fast("http", tcp=True)
    s = start(server, outage(a, grace="10s"), workers=4)
    a.kill()
    with Load(s, "new", conns=16, requests=400, path="/app/x", file=s.root + "/body") as load:
        wait_for(lambda: pool_status(s)["down_since"], "it is down")
        time.sleep(1)
        a.start()
        assert_nothing_lost(load.finish())
    p = pool_status(s)
    assert (p["queue_down"], p["queue_timeouts"], p["down_since"]) == (0, 0, None), p


@pytest.mark.parametrize("grace", ["0", "10s"])
def test_full_is_not_down(server, peers, grace):
    """Who waits for a place at a host that is up waits for timeout.queue, whatever the grace."""
    a = peers("http", tcp=True)
    s = start(server, outage(f'{{ address = "{a.host}"; max_requests = 1; }}', grace=grace, queue=1))
    with s.connect() as c:
        c.request("/app/slow_head?ms=4000")
        wait_for(lambda: a.stats()["active"] == 1, "it is busy")
        r, took = ask(s)
        assert r.status == 503 and took > 0.95, (r, took)
        assert c.response().status == 200
    p = pool_status(s)
    assert (p["queue_down"], p["queue_timeouts"], p["down_since"]) == (0, 1, None), p
    assert "timeout.queue: no host for 1000 ms, though not every one is down" in s.error_log()
    assert terms(s, 2) == ["QQ", "--"]


def test_goes_down_while_they_wait(server, peers):
    """Requests that wait for a place are not kept longer than the grace when the host goes."""
    a = peers("http", tcp=True)
    s = start(server, outage(f'{{ address = "{a.host}"; max_requests = 1; }}', queue=60))
    answers = []
    with s.connect() as c:
        c.request("/app/slow_head?ms=60000")
        wait_for(lambda: a.stats()["active"] == 1, "it is busy")
        waiting = [threading.Thread(target=lambda: answers.append(ask(s))) for _ in range(5)]
        for t in waiting:
            t.start()
        wait_for(lambda: pool_status(s)["queued"] == 5, "the others wait")
        a.kill()
        began = time.monotonic()
        for t in waiting:
            t.join()
        took = time.monotonic() - began
    # One or two may have got the place in the moment before the listener was gone.
    p, got = pool_status(s), sorted(r.status for r, _ in answers)
    assert got[:2] in ([502, 502], [502, 503], [503, 503]) and got[2:] == [503] * 3, got
    assert GRACE * 0.9 < took < patience(6), took
    assert (p["queue_timeouts"], p["queue_down"], p["queued"]) == (0, got.count(503), 0), p


def test_timeout_in_a_young_outage(server):
    """timeout.queue ends first: the log says that the hosts are down all the same."""
    s = start(server, outage(*dead(), grace="1m", queue=1))
    r, took = ask(s)
    assert r.status == 503 and 0.95 < took < patience(4), took
    assert re.search(r"timeout\.queue: no host for 1000 ms, every one has been down for [01]\.\d s", s.error_log())
    p = pool_status(s)
    assert (p["queue_down"], p["queue_timeouts"]) == (0, 1) and p["down_since"], p


def test_overloaded(server, peers):
    """Hosts that say that they have too much to do are tried with requests: one now and then, the others do not wait."""
    a = peers("http", tcp=True)
    a.mode("status?code=503&retry=1")
    s = start(server, outage(a, grace="300ms", retry={"attempts": 1}), workers=2)
    wait_for(lambda: ask(s)[0].status == 503 and host_state(s, a) != "up", "it is overloaded")
    wait_for(lambda: time.time() > pool_status(s)["down_since"] + 0.3, "for longer than the grace")
    before, n = a.stats()["requests"], 0
    while a.stats()["requests"] < before + 2:
        r, took = ask(s)
        n += 1
        assert r.status == 503 and took < patience(0.5), took
    assert n > 10, "most are not sent there"
    a.mode(None)
    wait_for(lambda: ask(s, "/app/echo")[0].status == 200, "a request finds that it is back", 5)
    assert host_state(s, a) == "up"


@pytest.mark.parametrize("policy", ["buffer", "stream", "auto"])
def test_uploads(server, policy):
    """Nobody is let upload for nothing: the answer comes before the body is asked for, or read."""
    routes = f'{{ path = "/app"; gateway = {{ backend = "app"; request_body = "{policy}"; }}; }}'
    s = server(workers=1, routes=routes, backends=outage(*dead()), site='max_body = "1G";')
    ask(s)
    known(s)
    for more in ([], [("Expect", "100-continue")]):
        with s.connect() as c:
            c.request("/app/x", "POST", [("Content-Length", "500000000"), *more])
            began = time.monotonic()
            r = c.response("POST")
            assert r.status == 503 and time.monotonic() - began < patience(0.4), r
    r = s.ask("POST", "/app/x", body=b"x" * 100000)
    assert r.status == 503
    assert s.status()["counters"]["spool_written"] == 0


def test_error_page_from_the_same_pool(server):
    """It cannot be had, and nobody waits for it either, be it for who comes now or for who waited."""
    s = server(workers=1, backends=outage(*dead()), site='error_pages = ( { status = 503; path = "/app/sorry"; } );',
               routes=ROUTES)
    r, took = ask(s)
    assert r.status == 503 and took < patience(4), took
    for _ in range(5):
        r, took = ask(s)
        assert r.status == 503 and took < patience(0.4), took


def test_operator(server, peers):
    """Hosts that are disabled are not there; when they are enabled they are."""
    a = peers("http", tcp=True)
    s = start(server, outage(a, grace="0"), workers=2)
    assert ask(s, "/app/echo")[0].status == 200
    s.cli("backend", "app", "disable", a.host, check=0)
    quick(s)
    assert pool_status(s)["down_since"]
    s.cli("backend", "app", "enable", a.host, check=0)
    for _ in range(10):
        r, took = ask(s, "/app/echo")
        assert r.status == 200 and took < patience(0.5), took
    assert pool_status(s)["down_since"] is None


def test_names(server, peers):
    """A name that nobody has answered yet may have a host, even where nobody waits in outages; one that does not exist
    has none."""
    a, dns = peers("http", tcp=True), DnsServer()
    try:
        dns.set("app.test", ["127.0.0.1"], ttl=60)
        dns.mode = "silent"
        more = f'resolver = "{dns.address}";'
        name = "app.test:" + a.host.split(":")[1]
        s = start(server, outage(name, grace="0"), server=more)
        answers = []
        t = threading.Thread(target=lambda: answers.append(ask(s, "/app/echo")))
        t.start()
        wait_for(lambda: pool_status(s)["queued"] == 1, "it waits")
        dns.mode = "answer"
        t.join()
        assert answers[0][0].status == 200, answers
        s.rewrite(workers=1, routes=ROUTES, backends=outage(name.replace("app", "none"), grace="0"), server=more)
        s.cli("reload", check=0)
        s.wait_log("the name none.test does not resolve: no such name")
        quick(s)
    finally:
        dns.close()
