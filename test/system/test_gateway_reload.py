"""Reloads, upgrades, worker counts and deaths under load that goes through the gateway: nothing is lost but
what a killed worker had accepted, and what is in flight ends where it began.
"""
import os
import random
import signal
import threading
import time

import pytest

from backends import PROTOCOLS, host_state, pool, pool_status
from backends.behave import pattern
from harness import FULL, figure, wait_for
from load import FAILURES, Load, assert_nothing_lost, lost
from test_gateway_upload import MIB, digest, upload

TABLE = "gateway: zero downtime"
ROUNDS = 20 if FULL else 4
ROUTES = '{ path = "/app"; gateway = { backend = "app"; request_body = "stream"; }; }'
DEATHS = {"reset_before", "closed_before", "reset_mid", "truncated", "race"}


def start(server, conf, workers=2):
    s = server(workers=workers, routes=ROUTES, backends=conf, files={"body": b"x" * 1024}, access_log=False)
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def change(s, conf, i, workers=2):
    s.rewrite(workers=workers, routes=ROUTES, backends=conf, server=f"keepalive_requests = {100000 + i};",
              access_log=False)


@pytest.mark.parametrize("mode", ["kept-alive", "new"])
@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
def test_reload_upgrade_resize(server, peers, mode, protocol):
    """Kept connections to backends end with their generation, at a moment when no request is on them."""
    conf = pool("app", *(peers.fast(protocol, tcp=True) for _ in range(2)), balance="round-robin", keepalive=32)
    s = start(server, conf)
    with Load(s, mode, path="/app/x", file=s.root + "/body") as load:
        for i in range(ROUNDS):
            for verb, workers in (("reload", 2), ("reload", 4), ("upgrade", 1), ("reload", 2)):
                change(s, conf, i * 10 + workers, workers)
                s.cli(verb, check=0)
                time.sleep(0.15)
        r = load.stop()
    figure(TABLE, event=f"{ROUNDS} x reload, 2-4-1-2 workers, upgrade: {protocol}, {mode}", requests=r["ok"],
           lost=lost(r),
           **{"p99 ms": r["p99_ms"], "longest ms": r["max_ms"]})
    assert_nothing_lost(r)
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "nothing is in flight")


def test_killed_workers(server, peers):
    """kill -9: what it had accepted, no more; the hosts stay well, their counts right."""
    a, b = (peers.fast("http", tcp=True) for _ in range(2))
    s, rng = start(server, pool("app", a, b), 3), random.Random(3)
    with Load(s, "new", conns=32, rate=1500, path="/app/x", file=s.root + "/body") as load:
        for _ in range(ROUNDS):
            time.sleep(1.1)
            os.kill(rng.choice(s.workers()), signal.SIGKILL)
        time.sleep(0.5)
        r = load.stop()
    figure(TABLE, event=f"{ROUNDS} x kill -9 of a worker of 3", requests=r["ok"], lost=lost(r), **{
        "p99 ms": r["p99_ms"], "longest ms": r["max_ms"]})
    assert lost(r) <= ROUNDS * 32 and all(r[k] == 0 for k in set(FAILURES) - DEATHS), r
    assert {host_state(s, p) for p in (a, b)} == {"up"}, "a worker's death is no fault of a host"
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "nothing is in flight")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_flight(server, peers, protocol):
    """An upload and a download that began before a reload and an upgrade end well."""
    app = peers(protocol)
    conf, n, answers = pool("app", app), 8 * MIB, []
    s = start(server, conf)
    half, go = threading.Event(), threading.Event()

    def pace(sent):
        if sent == n // 2:
            half.set()
            go.wait(60)
    t = threading.Thread(target=lambda: answers.append(upload(s, n, pace=pace)))
    t.start()
    down = s.connect(timeout=30)
    down.request("/app/body?n=3000&piece=100&ms=40", headers={"Connection": "close"})
    assert down.more(), "the answer has begun"
    assert half.wait(30)
    for i, verb in enumerate(("reload", "upgrade", "reload")):
        change(s, conf, i)
        s.cli(verb, check=0)
    go.set()
    t.join(60)
    assert answers and answers[0].status == 200 and answers[0].json()["sha256"] == digest(n), answers
    assert down.response().body == pattern(3000)
    wait_for(lambda: app.stats()["active"] == 0, "all are answered")
    assert app.stats()["gone"] == 0, app.stats()
