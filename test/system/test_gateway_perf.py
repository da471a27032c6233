"""What a request through the gateway costs in things that can be counted: system calls, registrations with
the event loop, heap allocations. No times are asserted; see test/bench for those.

The floor is one read and one write on either side, and a share of an epoll_wait.
"""
import os
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

import harness
from backends import pool
from harness import figure, wait_for
from load import Load, assert_nothing_lost
from test_perf import CONF, tracer

TABLE = "cost of a kept-alive request for 1 KiB through the gateway"
pytestmark = pytest.mark.skipif(harness.SANITIZED, reason="the costs of a sanitizer build say nothing")


def start(server, peer, **kw):
    return server(workers=1, files={"body": b"x" * 1024}, server=CONF, access_log=False,
                  backends=pool("app", peer, keepalive=256),
                  routes='{ path = "/app"; gateway = "app"; }', **kw)


def requests(s, n, conns=64):
    with Load(s, "kept-alive", conns=conns, requests=n, path="/app/x", file=s.root + "/body") as load:
        assert_nothing_lost(load.finish())


@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
@pytest.mark.parametrize("tcp", [True, False], ids=["tcp", "unix"])
def test_system_calls(server, peers, tmp, protocol, tcp):
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    s, n = start(server, peers.fast(protocol, tcp=tcp)), 5000
    requests(s, 1000)
    out, pid = os.path.join(tmp, "strace"), s.workers()[0]
    trace = subprocess.Popen(["strace", "-c", "-S", "calls", "-o", out, "-p", str(pid)], stderr=subprocess.DEVNULL)
    wait_for(lambda: tracer(pid), "strace is attached")
    requests(s, n)
    trace.send_signal(signal.SIGINT)
    trace.wait(30)
    calls = {}
    with open(out, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if m and m[2] != "total":
                calls[m[2]] = int(m[1])
    figure(TABLE, figure=f"system calls, {protocol}, {'tcp' if tcp else 'unix'}",
           value=f"{sum(calls.values()) / n:.3f}",
           detail=", ".join(f"{k} {v / n:.3f}" for k, v in calls.items() if v >= n / 100))
    # 64 connections of clients are opened and closed meanwhile.
    assert sum(calls.values()) / n <= 4.3, calls
    assert calls.get("epoll_ctl", 0) / n < 0.05 and calls.get("connect", 0) / n < 0.02, calls


@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
def test_no_allocation(server, peers, tmp, protocol):
    counts = os.path.join(tmp, "counts")
    s = start(server, peers.fast(protocol), env={"LD_PRELOAD": harness.tool("malloc_count.so"),
                                                 "MALLOC_COUNT": counts})

    def read():
        with open(counts, "rb") as f:
            return struct.unpack("QQ", f.read(16))

    requests(s, 5000, 8)
    time.sleep(1.2)  # timers of a second have run
    first, n = read(), 20000
    assert first[0] > 100, "the counter was not loaded"
    requests(s, n, 8)
    second = read()
    figure(TABLE, figure=f"allocations, {protocol}", value=f"{(second[0] - first[0]) / n:.5f}",
           detail=f"{second[0] - first[0]} allocations, {second[1] - first[1]} releases in {n} requests")
    assert second[0] - first[0] < 100
