"""Many workers, one decision: rotation, shortest queue, who is down, and what is in flight, counted over all.

Each figure is taken at the backends, which do not know how many workers there are.
"""
import os
import re
import signal
import socket
import time

import pytest

from backends import host_state, hosts, pool, pool_status
from harness import FULL, SLOW, figure, patience, wait_for
from load import Load, assert_nothing_lost, lost

TABLE = "gateway: one decision for all workers"
WORKERS = 4
BODY = b"x" * 1024
ROUTES = '{ path = "/app"; gateway = "app"; }'


def start(make, conf, workers=WORKERS, **kw):
    s = make(workers=workers, routes=ROUTES, backends=conf, files={"body": BODY},
             access_log=kw.pop("access_log", False), **kw)
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def load(s, mode="new", **kw):
    return Load(s, mode, path="/app/x", file=s.root + "/body", **kw)


def counts(peers):
    return [p.stats()["requests"] for p in peers]


@pytest.mark.parametrize("mode", ["new", "kept-alive"])
def test_round_robin_is_one_rotation(server, peers, mode):
    """(a) Three equal hosts, four workers: no host is ahead by more than what was in flight."""
    three, conns, n = [peers.fast("http", tcp=True) for _ in range(3)], 32, 30000 if FULL else 6000
    s = start(server, pool("app", *three, balance="round-robin"))
    with load(s, mode, conns=conns, requests=n) as l:
        r = l.finish()
    assert_nothing_lost(r)
    got = counts(three)
    figure(TABLE, what=f"round robin, {mode}", figure=f"{got}", limit=f"within {conns} of each other")
    assert sum(got) == n and max(got) - min(got) <= conns, got


def test_round_robin_weights(server, peers):
    three = [peers.fast("http", tcp=True) for _ in range(3)]
    weights, n = (1, 2, 5), 4000
    listed = [f'{{ address = "{p.host}"; weight = {w}; }}' for p, w in zip(three, weights)]
    s = start(server, pool("app", *listed, protocol="http", balance="round-robin"))
    with load(s, conns=16, requests=n) as l:
        assert_nothing_lost(l.finish())
    got = counts(three)
    figure(TABLE, what="round robin, weights 1 2 5", figure=f"{got}", limit="500 1000 2500, within 16")
    assert all(abs(g - n * w / 8) <= 16 for g, w in zip(got, weights)), got


def test_least_connections_with_a_slow_host(server, peers):
    """(b) Whoever gets a request has no more than the others: a slow host is never more than one above them."""
    three, conns = [peers.fast("http", tcp=True) for _ in range(3)], 31
    three[0].mode("slow?ms=200")
    for p in three[1:]:
        p.mode("slow?ms=10")
    s = start(server, pool("app", *three, balance="least-connections"))
    with load(s, conns=conns, seconds=10 if FULL else 3) as l:
        r = l.finish()
    assert_nothing_lost(r)
    peak = [p.stats()["max_active"] for p in three]
    # With 30 others in flight the shortest queue has at most 10: this request makes it 11.
    figure(TABLE, what=f"least connections, one slow host, {conns} in flight: most at once", figure=f"{peak}",
           limit=f"{(conns - 1) // 3 + 1} at the slow one")
    assert peak[0] <= (conns - 1) // 3 + 1, peak
    got = counts(three)
    assert min(got[1:]) > 3 * got[0], f"the slow one got as much as the others: {got}"


def test_two_choices_avoids_the_slow(server, peers):
    """The default: who answers late gets less, without being called down."""
    three = [peers.fast("http", tcp=True) for _ in range(3)]
    three[0].mode("slow?ms=100")
    for p in three[1:]:
        p.mode("slow?ms=5")
    s = start(server, pool("app", *three))
    with load(s, conns=32, seconds=2) as l:
        assert_nothing_lost(l.finish())
    got = counts(three)
    figure(TABLE, what="two choices, one host 20 times slower", figure=f"{got}",
           limit="a tenth of the others' at the slow one")
    assert min(got[1:]) > 10 * got[0] and abs(got[1] - got[2]) < max(got) / 3, got
    assert {h["state"] for h in hosts(s).values()} == {"up"}


def test_static_and_backup(server, peers):
    a, b, c = (peers.fast("http", tcp=True) for _ in range(3))
    listed = [f'{{ address = "{a.host}"; }}', f'{{ address = "{b.host}"; }}',
              f'{{ address = "{c.host}"; backup = true; }}']
    s = start(server, pool("app", *listed, protocol="http", balance="static",
                           failover={"refused": "100ms", "max": "200ms"}))
    for first, victim in ((0, a), (1, b), (2, None)):
        for p in (a, b, c):
            if p.p.poll() is None:
                p.zero()
        with load(s, conns=8, requests=200) as l:
            assert_nothing_lost(l.finish())
        got = [p.stats()["requests"] if p.p.poll() is None else 0 for p in (a, b, c)]
        assert got[first] == 200, f"the first healthy one of {got} is number {first}"
        if victim:
            victim.kill()
    a.start()
    wait_for(lambda: host_state(s, a) == "up", "the first one is back")


def test_hash_is_consistent(server, peers):
    """Like goes to like, in every worker; when a host leaves, only its own share moves."""
    three = [peers("http", tcp=True, name=f"h{i}") for i in range(3)]
    conf = pool("app", *three, balance="hash", hash={"by": "path", "load": 0}, failover={"refused": "1m"})
    s = start(server, conf)
    paths = [f"/app/{i}" for i in range(60)]

    def where():
        return {p: s.get(p).json()["peer"] for p in paths}
    first = where()
    assert where() == first, "another worker chose another host"
    assert len(set(first.values())) == 3
    three[1].kill()
    second = where()
    moved = [p for p in paths if first[p] != second[p]]
    assert moved and all(first[p] == "h1" for p in moved), "more moved than its share"
    s.cli("reload", check=0)
    assert where() == second


def test_sticky_cookie_survives_reload(server, peers):
    three = [peers("http", tcp=True, name=f"h{i}") for i in range(3)]
    conf = pool("app", *three, sticky="backend", failover={"refused": "1m"})
    s = start(server, conf)
    r = s.get("/app/echo")
    cookie = r["Set-Cookie"].split(";")[0]
    mine = r.json()["peer"]
    assert cookie.startswith("backend=")
    assert {s.get("/app/echo", headers={"Cookie": cookie}).json()["peer"] for _ in range(12)} == {mine}
    s.rewrite(workers=2, routes=ROUTES, backends=conf, server="keepalive_requests = 55;")
    s.cli("reload", check=0)
    assert {s.get("/app/echo", headers={"Cookie": "a=b; " + cookie}).json()["peer"] for _ in range(12)} == {mine}
    three[int(mine[1])].kill()
    r = s.get("/app/echo", headers={"Cookie": cookie})
    assert r.json()["peer"] != mine and r["Set-Cookie"].split(";")[0] != cookie


def test_killed_host_is_found_out_once(server, peers):
    """(c) Under 2,000 requests a second: few attempts, one line when it goes, one when it comes back."""
    three, conns = [peers.fast("http", tcp=True) for _ in range(3)], 64
    log = 'access_log: { file = "@TMP@/access.log"; format = "$status $backend_tries [$backend_failures] $backend_term"; };'
    # No connection is kept: a kept one that dies with its host is a stale connection, not a failed connect.
    s = start(server, pool("app", *three, balance="round-robin", keepalive=0, failover={"refused": "500ms"}),
              server=log)
    victim = three[0]
    with load(s, "kept-alive", conns=conns, rate=2000) as l:
        time.sleep(1)
        victim.kill()
        wait_for(lambda: host_state(s, victim) == "down", "it is found out")
        time.sleep(1)
        victim.start()
        at = time.monotonic()
        wait_for(lambda: victim.stats()["requests"] > 0, "it gets requests again")
        back = time.monotonic() - at
        time.sleep(0.5)
        r = l.stop()
    s.stop()
    refused = len(re.findall(re.escape(victim.host) + r"[^,\]]*refused", s.access_log()))
    down = re.findall(rf"backend app {re.escape(victim.host)} is down.*", s.error_log())
    up = re.findall(rf"backend app {re.escape(victim.host)} is up.*", s.error_log())
    figure(TABLE, what=f"host killed under {r['ok'] / r['seconds']:.0f}/s: failed connects, down lines, up lines",
           figure=f"{refused}, {len(down)}, {len(up)}; used again {back:.2f} s after it was back",
           limit=f"3 + {conns} in flight, 1, 1")
    assert_nothing_lost(r)
    assert 0 < refused <= 3 + conns, refused
    assert (len(down), len(up)) == (1, 1), (down, up)


def test_killed_worker_leaks_nothing(server, peers):
    """(d) kill -9 of a worker with 500 requests in flight: the counts are right again within 200 ms."""
    host, n = peers.fast("http", tcp=True), 500
    host.mode("slow?ms=20000")
    s = start(server, pool("app", host, max_queue=0), server="max_connections = 4000;")
    conns = []
    try:
        for _ in range(n):
            c = socket.create_connection(s.address, patience(10))
            c.sendall(b"GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n")
            c.setblocking(False)
            conns.append(c)
        wait_for(lambda: pool_status(s)["in_flight"] == n, "all are in flight")
        victim = s.workers()[1]
        at = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        seen = []

        def is_right():
            now = time.monotonic() - at
            left = [c for c in conns if is_open(c)]
            seen.append((round(now * 1000), pool_status(s)["in_flight"], len(left)))
            return len(left) < n and seen[-1][1] == len(left)
        wait_for(is_right, "the count is that of the connections left", 2, 0.002)
        took = time.monotonic() - at
        figure(TABLE, what=f"kill -9 of a worker, {n} in flight: count right after", figure=f"{took * 1000:.0f} ms "
               f"({n} -> {seen[-1][1]}, {seen[-1][2]} connections left)", limit="200 ms")
        assert took <= 0.2 * SLOW, seen
        time.sleep(0.3)
        assert pool_status(s)["in_flight"] == seen[-1][2], "and stays right"
    finally:
        for c in conns:
            c.close()
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "clients that left leave nothing in flight")


def is_open(c):
    try:
        return c.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("how", ["reload", "upgrade"])
def test_state_is_kept(server, peers, how):
    """(e) What is known of each host outlives the workers that learnt it."""
    down, drained, good = (peers.fast("http", tcp=True) for _ in range(3))
    conf = pool("app", down, drained, good, failover={"refused": "5m", "max": "10m"})
    s = start(server, conf)
    down.kill()
    with load(s, conns=8, requests=200) as l:
        assert_nothing_lost(l.finish())
    wait_for(lambda: host_state(s, down) == "down", "it is found out")
    s.cli("backend", "app", "drain", drained.host, check=0)
    s.cli("backend", "app", "weight", good.host, "7", check=0)
    before = hosts(s)
    assert before[drained.host]["admin"] and before[good.host]["weight"] == 7, before
    for i in range(3 if FULL else 1):
        old = set(s.workers())
        s.rewrite(workers=3 + i, routes=ROUTES, backends=conf, server=f"keepalive_requests = {1000 + i};",
                  access_log=False)
        s.cli(how, check=0)
        wait_for(lambda: s.workers() and not old & set(s.workers()), "new workers")
    good.zero()
    with load(s, conns=8, requests=500) as l:
        assert_nothing_lost(l.finish())
    after = hosts(s)
    kept = ("state", "admin", "cause", "since", "until", "weight", "level")
    for h in before:
        assert {k: moment(after[h][k]) for k in kept} == {k: moment(before[h][k]) for k in kept}, h
    assert good.stats()["requests"] == 500 and drained.stats()["conns"] <= WORKERS * 8
    figure(TABLE, what=f"{how}: state, cause, since, until, weight of 3 hosts",
           figure="kept, 0 requests to those out",
           limit="kept")
    s.cli("backend", "app", "enable", drained.host, check=0)
    drained.zero()
    with load(s, conns=8, requests=500) as l:
        assert lost(l.finish()) == 0
    assert drained.stats()["requests"] > 0


def moment(v):
    """Times to a tenth of a second: they are kept by another clock than they are shown by."""
    return round(v, 1) if isinstance(v, float) else v


def test_queue_waits_for_a_hiccup(server, peers):
    """All hosts gone for a second: requests wait; when nobody comes, 503 with Retry-After at the deadline."""
    a = peers.fast("http", tcp=True)
    s = start(server, pool("app", a, failover={"refused": "100ms", "max": "200ms"}, timeout={"queue": "3s"}),
              workers=2)
    a.kill()
    with load(s, conns=16, requests=160) as l:
        time.sleep(1)
        a.start()
        r = l.finish()
    assert_nothing_lost(r)
    figure(TABLE, what="every host gone for 1 s, queue of 3 s: errors, longest wait",
           figure=f"{lost(r)}, {r['max_ms']:.0f} ms",
           limit="0")
    a.kill()
    begun = time.monotonic()
    r = s.get("/app/x", timeout=20)
    took = time.monotonic() - begun
    assert r.status == 503 and "Retry-After" in r, r
    assert 2.5 <= took <= patience(5), took


def test_max_requests(server, peers):
    """A host's limit holds over all workers; the rest waits in the queue."""
    a = peers.fast("http", tcp=True)
    a.mode("slow?ms=20")
    s = start(server, pool("app", f'{{ address = "{a.host}"; max_requests = 5; }}', protocol="http"))
    with load(s, conns=40, requests=800) as l:
        assert_nothing_lost(l.finish())
    st = a.stats()
    figure(TABLE, what="max_requests = 5, 40 clients, 4 workers: most at once", figure=st["max_active"], limit=5)
    assert st["max_active"] <= 5 and st["requests"] == 800
