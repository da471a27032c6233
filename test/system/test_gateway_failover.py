"""One host of three goes bad under load of idempotent requests, in every way: no client sees it.

Measured: errors at the client, the longest that any request took, how long the host still got requests
that failed, and how long after its recovery it was used again.
"""
import hashlib
import time

import pytest

from backends import Backlog, Namespace, host_state, hosts, pool
from harness import FULL, figure, wait_for
from load import Load, lost

TABLE = "gateway: one of three hosts goes bad under load"
BODY = b"x" * 1024
ROUTES = '{ path = "/app"; gateway = "app"; }'
CONF = {"balance": "round-robin", "timeout": {"connect": "300ms", "first_byte": "500ms", "between_bytes": "500ms"},
        "failover": {"refused": "300ms", "unreachable": "300ms", "overload": "300ms", "errors": "300ms", "max": "1s"}}
RATE = 2000 if FULL else 1000


def kill(p):
    p.kill()


def start_again(p):
    p.start()


TROUBLES = {
    # name: (how it goes bad, how it becomes well)
    "killed": (kill, start_again),
    "frozen (SIGSTOP)": (lambda p: p.freeze(), lambda p: p.thaw()),
    "refusing": (lambda p: p.refuse(), lambda p: p.listen()),
    "503": (lambda p: p.mode("status?code=503"), lambda p: p.mode(None)),
    "503 with Retry-After": (lambda p: p.mode("status?code=503&retry=1"), lambda p: p.mode(None)),
    "502": (lambda p: p.mode("status?code=502"), lambda p: p.mode(None)),
    "reset mid-header": (lambda p: p.mode("cut_head"), lambda p: p.mode(None)),
    "reset without an answer": (lambda p: p.mode("reset"), lambda p: p.mode(None)),
    "closed without an answer": (lambda p: p.mode("close"), lambda p: p.mode(None)),
}


def run(server, peers, name, bad, break_it, mend_it, protocol):
    good = [peers.fast(protocol, tcp=True) for _ in range(2)]
    # Who only refuses new connections goes on serving the kept ones: none is kept then.
    more = {"keepalive": 0} if name == "refusing" else {}
    s = server(workers=4, routes=ROUTES, backends=pool("app", bad, *good, **CONF, **more), files={"body": BODY},
               access_log=False)
    wait_for(lambda: len(s.workers()) == 4, "all workers are there")
    with Load(s, "kept-alive", conns=64, rate=RATE, path="/app/x", file=s.root + "/body") as load:
        time.sleep(1)
        assert bad.stats()["requests"] > 50, "it has its share before"
        at = time.monotonic()
        break_it(bad)
        wait_for(lambda: host_state(s, bad) not in ("up", "suspect"), "it is found out", 10, 0.01)
        out = time.monotonic() - at
        time.sleep(2 if FULL else 1)
        mend_it(bad)
        at = time.monotonic()
        before = bad.stats()["requests"]
        wait_for(lambda: host_state(s, bad) == "up" and bad.stats()["requests"] > before + 10, "it is used again",
                 10, 0.01)
        back = time.monotonic() - at
        time.sleep(0.5)
        r = load.stop()
    h = hosts(s)[bad.host]
    figure(TABLE, trouble=f"{name}, {protocol}", requests=r["ok"], errors=lost(r), **{
        "longest ms": r["max_ms"], "p99 ms": r["p99_ms"], "left out after ms": out * 1000,
            "used again after ms": back * 1000,
        "failures seen": h["failures"], "retries": sum(x["retries"] for x in hosts(s).values())})
    assert r["ok"] > RATE, r
    assert lost(r) == 0, {k: v for k, v in r.items() if v and k not in ("workers",
        "stderr")} | {"said": r["stderr"][:600]}


@pytest.mark.parametrize("name", TROUBLES)
def test_failover(server, peers, name):
    break_it, mend_it = TROUBLES[name]
    run(server, peers, name, peers.fast("http", tcp=True), break_it, mend_it, "http")


@pytest.mark.parametrize("name", ["killed", "reset mid-header"])
def test_failover_fastcgi(server, peers, name):
    break_it, mend_it = TROUBLES[name]
    run(server, peers, name, peers.fast("fastcgi", tcp=True), break_it, mend_it, "fastcgi")


def test_unreachable(server, peers):
    """A host behind a wire that is cut: packets vanish, no error comes."""
    why = Namespace.why_not()
    if why:
        pytest.skip(why)
    ns = Namespace()
    try:
        bad = peers.fast("http", at=ns.there + ":8080", prefix=ns.prefix)
        run(server, peers, "unreachable (packets dropped)", bad, lambda p: ns.cut(), lambda p: ns.mend(), "http")
    finally:
        ns.stop()


def test_backlog_full(server, peers):
    """A host whose queue of connections is full answers no SYN."""
    b, good = Backlog(), peers.fast("http", tcp=True)
    try:
        s = server(workers=2, routes=ROUTES, backends=pool("app", b.host, good, **CONF), files={"body": BODY})
        with Load(s, "kept-alive", conns=16, rate=300, seconds=2, path="/app/x", file=s.root + "/body") as load:
            r = load.finish()
        figure(TABLE, trouble="listen queue full from the start, http", requests=r["ok"], errors=lost(r), **{
            "longest ms": r["max_ms"], "p99 ms": r["p99_ms"]})
        assert lost(r) == 0 and r["ok"] > 300, r
        assert hosts(s)[b.host]["state"] != "up"
    finally:
        b.stop()


def test_not_repeated_when_unsafe(server, peers):
    """A POST that may have reached an application is not sent twice; one that was refused is."""
    a, b = (peers("http", tcp=True) for _ in range(2))
    s = server(workers=1, routes=ROUTES, backends=pool("app", a, b, **CONF))
    for p in (a, b):
        p.mode("reset")
    r = s.ask("POST", "/app/x", body=b"pay 5")
    assert r.status == 502 and a.stats()["requests"] + b.stats()["requests"] == 1
    for p in (a, b):
        p.mode(None)
    wait_for(lambda: all(h["state"] in ("up", "suspect") for h in hosts(s).values()), "both are well")
    a.kill()
    for _ in range(6):
        assert s.ask("POST", "/app/hash", body=b"pay 5").status == 200


@pytest.mark.parametrize("n", [1000, 60000])
@pytest.mark.parametrize("trouble", ["reset?after=500", "close?after=500", "cut_head", "status?code=503"])
def test_body_is_sent_again(server, peers, trouble, n):
    """PUT is idempotent: while the whole body is at hand (up to 64 KiB is), another host gets all of it."""
    bad, good = (peers("http", tcp=True, name=x) for x in ("bad", "good"))
    s = server(workers=1, routes=ROUTES, backends=pool("app", bad, good, **dict(CONF, balance="static")))
    bad.mode(trouble)
    body = b"0123456789" * (n // 10)
    r = s.ask("PUT", "/app/hash", body=body)
    assert r.status == 200, r
    assert (r.json()["peer"], r.json()["sha256"]) == ("good", hashlib.sha256(body).hexdigest())
    assert bad.stats()["requests"] == 1


def test_stale_connection(server, peers):
    """A kept connection that the backend closes meanwhile costs nobody a request, POSTs not excluded."""
    a = peers("http", tcp=True)
    s = server(workers=1, routes=ROUTES, backends=pool("app", a))
    for i in range(40):
        assert s.get("/app/stale").status == 200
        if i % 2 == 0:  # at the very moment: safe to repeat
            r = s.get("/app/hash")
        else:  # a POST is not, so it must be known before
            wait_for(lambda: a.stats()["open"] == 0, "it is closed")
            r = s.ask("POST", "/app/hash", body=b"x" * i)
        assert r.status == 200, (i, r)
    assert hosts(s)[a.host]["state"] == "up"
    st = a.stats()
    assert st["requests"] == 80, f"none was sent twice: {st}"
