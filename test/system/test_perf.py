"""What a request costs in things that can be counted: system calls, heap allocations, instructions. No
times are asserted; see test/bench for those.

A kept-alive request for a cached 1 KiB file must be one read and one write, without any allocation.
"""
import os
import platform
import re
import shutil
import signal
import struct
import subprocess
import time

import pytest

import harness
from harness import figure, wait_for

TABLE = "cost of a kept-alive request for a 1 KiB file"
CONF = 'keepalive_requests = 1000000000; timeout: { keepalive = "1h"; };'
pytestmark = pytest.mark.skipif(harness.SANITIZED, reason="the costs of a sanitizer build say nothing")


def requests(s, n, conns=8, args=(), path="/1k.bin"):
    """Exactly n requests, all of them right."""
    p = subprocess.run([harness.tool("loadmeter"), "-c", str(conns), "-m", str(n), "-f", s.root + path, *args,
                        "127.0.0.1", str(s.port), path], capture_output=True, text=True, timeout=300)
    assert f'"ok": {n},' in p.stdout, p.stdout + p.stderr


def start(server, **kw):
    return server(workers=1, files={"1k.bin": b"x" * 1024}, server=CONF, **kw)


@pytest.mark.parametrize("log", [False, True], ids=["no log", "access log"])
def test_system_calls(server, log, tmp):
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    s, n = start(server, access_log=log), 10000
    requests(s, 1000)
    out = os.path.join(tmp, "strace")
    pid = s.workers()[0]
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
    wait = sum(v for k, v in calls.items() if k.startswith("epoll_"))
    rest = sum(calls.values()) - wait
    figure(TABLE, figure="system calls" + (" with access log" if log else ""), value=f"{rest / n:.3f}",
           detail=f"epoll_wait {wait / n:.2f}; " + ", ".join(f"{k} {v / n:.3f}" for k, v in calls.items()
                                                            if v >= n / 100 and not k.startswith("epoll_")))
    assert rest / n <= 2.05, calls


def tracer(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return not re.search(r"TracerPid:\s+0$", f.read(), re.M)


@pytest.mark.parametrize("log", [False, True], ids=["no log", "access log"])
def test_no_allocation(server, log, tmp):
    """Once warm, requests move neither of the heap's two counters."""
    counts = os.path.join(tmp, "counts")
    s = start(server, access_log=log, env={"LD_PRELOAD": harness.tool("malloc_count.so"), "MALLOC_COUNT": counts})

    def read():
        with open(counts, "rb") as f:
            return struct.unpack("QQ", f.read(16))

    requests(s, 5000)
    time.sleep(1.2)  # timers of a second have run
    first, n = read(), 20000
    assert first[0] > 100, "the counter was not loaded"
    requests(s, n)
    second = read()
    per = (second[0] - first[0]) / n
    figure(TABLE, figure="allocations" + (" with access log" if log else ""), value=f"{per:.5f}",
           detail=f"{second[0] - first[0]} allocations, {second[1] - first[1]} releases in {n} requests, "
                  "8 connections opened and closed included")
    # Eight new connections and a few seconds' housekeeping; one in a hundred requests would be 200.
    assert second[0] - first[0] < 100


# What the scenario instr-static of a bench cost when it was measured last, and how much more is noticed.
INSTRUCTIONS, GROWTH = 2405, 1.03
BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bench", "argand.conf")


def bench_conf():
    """The configuration that benches use, all its conditions off, for the harness to fill in."""
    with open(BENCH, encoding="utf-8") as f:
        text = re.sub(r"^#.*\n|^%if (?:.*\n)*?%endif\n", "", f.read(), flags=re.M)
    # The profiler writes its files as the worker's user.
    text = re.sub(r'^\tuser = .*\n', '\tuser = "root";\n' if os.geteuid() == 0 else "", text, flags=re.M)
    for name, value in (("DOCROOT", "@ROOT@"), ("RUN", "@TMP@"), ("WORKERS", "1"), ("UPPORT", "9"), ("SINKPORT", "9"),
                        ("FCGISOCK", "@TMP@/fcgi.sock"), ("PHPSOCK", "@TMP@/php.sock")):
        text = text.replace(f"@{name}@", value)
    return text


def is_measured_build():
    """Other compilers, and what is not optimized as a whole, have other figures."""
    with open(harness.BIN, "rb") as f:
        producer = re.search(rb"GNU GIMPLE 12\.[^\0]*", f.read())
    return platform.machine() == "x86_64" and producer and b" -O3 " in producer[0]


def instructions(server, n):
    """All that the server's processes execute in user space, from start to end, with n requests."""
    s = server(text=bench_conf(), files={"1k.txt": b"x" * 1024}, start=False)
    old = time.time() - 86400  # a file that has just changed is read anew
    os.utime(os.path.join(s.root, "1k.txt"), (old, old))
    os.environ["ARGAND_WRAP"] = f"valgrind -q --tool=callgrind --trace-children=yes --callgrind-out-file={s.tmp}/callgrind.%p"
    try:
        s.start(wait=False)
    finally:
        del os.environ["ARGAND_WRAP"]
    s.wait_ready(60)
    requests(s, n, args=("-h", f"127.0.0.1:{s.port}"), path="/1k.txt")
    s.stop(signal.SIGTERM, 60)
    counts = [re.search(r"^(?:summary|totals): (\d+)", s.read(name), re.M)
              for name in os.listdir(s.tmp) if name.startswith("callgrind.")]
    assert len(counts) >= 2 and all(counts), "the master and a worker have counted"
    return sum(int(m[1]) for m in counts)


def test_instructions(server):
    """User-space instructions of a static request with the configuration of the benches, whose routes for
    gateways it passes: the difference of two runs under callgrind, in which only the number of requests differs."""
    if not shutil.which("valgrind"):
        pytest.skip("instructions are counted by valgrind, which is not here")
    if not is_measured_build():
        pytest.skip("the bound is that of a build for x86-64 by gcc 12 with -O3 -flto")
    few, many, per = 2000, 8000, float("inf")
    for _ in range(3):  # a busy machine adds to it: turns of the loop for fewer connections each, more ticks
        per = min(per, (instructions(server, many) - instructions(server, few)) / (many - few))
        if per <= INSTRUCTIONS * GROWTH:
            break
    figure(TABLE, figure="user instructions", value=f"{per:.0f}",
           detail=f"callgrind, {few} against {many} requests; {INSTRUCTIONS} when it was measured last")
    assert per <= INSTRUCTIONS * GROWTH, f"{per:.0f} instructions per request, {INSTRUCTIONS} when measured last"
