"""A worker that was taken over writes what it wants into the shared segment. The master, which may be
root, does not believe it: it copies nothing beyond its own room, signals nobody but its workers, and
waits for nothing. ARGAND_HOSTILE_TIME and ARGAND_HOSTILE_SEED: see `make hostile`."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import harness
from harness import patience, proc_stat, wait_for
from segment import DEAD, DRAINING, FREE, READY, STARTING, Segment, fd_of
from test_master import FILES, generation, serving
from test_master_manager import manager  # noqa: F401

IS_ROOT = os.geteuid() == 0


def alive(pid):
    st = proc_stat(pid)
    return bool(st) and st[0] not in "ZX"


@pytest.fixture
def decoy():
    """Somebody else's process; root's when we are root."""
    p = subprocess.Popen(["sleep", "600"])
    yield p
    p.kill()
    p.wait()


def restarted(s, manager):
    """The master is killed and the service manager starts another one."""
    s.kill(signal.SIGKILL)
    s.proc.wait()
    manager.settle()
    manager.start(s)
    return manager.wait(READY="1")


def hosts(n):
    return ", ".join(f'"127.0.0.1:{20000 + i}"' for i in range(n))


def test_one_pool_everywhere(server):
    """Root's heap was written over with what the rows say: two rows of one name copied its hosts twice."""
    s = server(files=FILES, backends=f'app = {{ hosts = [ {hosts(40)} ]; protocol = "http"; }};',
               routes='{ path = "/app/"; gateway = "app"; }')
    s.get("/a.txt")
    wait_for(lambda: len(s.status()["pools"][0]["hosts"]) == 40, "the hosts have rows")
    seg = Segment(s.pid)
    used = next(r for r in range(seg.rows("pools")) if any(seg.row("pools", r)[:8]))
    for r in range(seg.rows("pools")):
        seg.write("pools", r, seg.row("pools", used))
    for _ in range(5):
        assert "pool app" in s.control("status")[0]
        assert s.control("backend")[1] == 0
        assert len([p for p in s.status()["pools"] if p["name"] == "app"]) == 1
    assert s.proc.poll() is None
    assert s.cli("reload").returncode == 0 and s.stop() == 0


def test_nobody_else_is_adopted_or_signalled(server, manager, decoy):  # noqa: F811
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    seg, started = Segment(s.pid), int(proc_stat(decoy.pid)[19])
    old = serving(s)
    for r in range(seg.rows("workers")):
        if seg.get("workers", r, "state") != FREE:
            continue
        for field, v in (("pid", decoy.pid), ("generation", r % 3), ("starttime", started),
                         ("heartbeat", time.monotonic_ns() // 1000000), ("state", READY)):
            seg.put("workers", r, field, v)
    try:
        restarted(s, manager)
        assert "2 workers of a master before this one go on serving" in s.error_log()
        wait_for(lambda: not any(alive(p) for p in old), "the workers before end")
        assert generation(s) == 2 and len(serving(s)) == 2
        s.cli("reload", check=0)
    finally:
        assert s.stop(signal.SIGTERM) == 0
    assert decoy.poll() is None, "another's process was signalled"


@pytest.mark.parametrize("field, value", [("pid", 1), ("pid", 0), ("pid", -1), ("starttime", 7), ("state", FREE),
                                          ("state", DEAD), ("state", 77), ("generation", 2 ** 32 - 1)])
def test_real_workers_are_known_whatever_their_rows_say(server, manager, field, value):  # noqa: F811
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    seg, old = Segment(s.pid), serving(s)
    rows = [r for r in range(seg.rows("workers")) if seg.get("workers", r, "pid") in old]
    assert len(rows) == 2
    s.kill(signal.SIGKILL)
    s.proc.wait()
    for r in rows:
        seg.put("workers", r, field, value)
    manager.settle()
    manager.start(s)
    try:
        assert "generation 2," in manager.wait(READY="1")["STATUS"]
        assert "2 workers of a master before this one go on serving" in s.error_log()
        wait_for(lambda: not any(alive(p) for p in old), "the workers before end")
        assert s.get("/a.txt").status == 200
    finally:
        assert s.stop(signal.SIGTERM) == 0


def test_no_ledger_no_adoption(server, manager):  # noqa: F811
    """As after a version that had none: nobody is adopted, the old workers end by the generation's word."""
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    for _ in range(3):
        s.get("/a.txt")
    wait_for(lambda: s.status()["counters"]["requests"] >= 3, "the counters")
    old = serving(s)
    for fd in manager.store.pop("argand-ledger"):
        os.close(fd)
    try:
        restarted(s, manager)
        assert "no ledger of workers with the stored segment" in s.error_log()
        assert "go on serving" not in s.error_log()
        wait_for(lambda: not any(alive(p) for p in old), "the workers before end")
        assert s.status()["counters"]["requests"] >= 3 and s.get("/a.txt").status == 200
    finally:
        assert s.stop(signal.SIGTERM) == 0


def test_segment_lost_workers_finish(server, manager):  # noqa: F811
    """Without their segment nobody could follow them: they are asked to finish."""
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    old = serving(s)
    for fd in manager.store.pop("argand-segment"):
        os.close(fd)
    try:
        restarted(s, manager)
        assert s.error_log().count("has a segment that was not handed over: asking it to finish") == 2
        wait_for(lambda: not any(alive(p) for p in old), "the workers before end")
        assert s.get("/a.txt").status == 200
    finally:
        assert s.stop(signal.SIGTERM) == 0


def test_ledger_is_the_masters_alone(server):
    s = server(files=FILES)
    assert fd_of(s.pid, "argand-ledger")
    for p in serving(s):
        assert fd_of(p, "argand") and not fd_of(p, "argand-ledger")
        with open(f"/proc/{p}/maps") as f:
            maps = f.read()
        assert "/memfd:argand (deleted)" in maps and "argand-ledger" not in maps
    with open(f"/proc/{s.pid}/maps") as f:
        assert "/memfd:argand-ledger (deleted)" in f.read()
    s.cli("upgrade", check=0)
    for p in serving(s):
        assert not fd_of(p, "argand-ledger")


@pytest.mark.parametrize("state", [STARTING, READY, DRAINING, DEAD, 2 ** 32 - 1])
def test_rows_that_are_all_taken(server, state):
    """Every reload failed: "no free worker row"."""
    s = server(files=FILES)
    seg, old = Segment(s.pid), serving(s)
    for r in range(seg.rows("workers")):
        if seg.get("workers", r, "pid") not in old:
            seg.put("workers", r, "state", state)
    for _ in range(3):
        r = s.cli("reload", seconds=10)
        assert r.returncode == 0, r.stderr
    os.kill(serving(s)[0], signal.SIGKILL)
    wait_for(lambda: len(serving(s)) == 2, "a dead worker is replaced")
    wait_for(lambda: s.get("/a.txt").status == 200, "it serves")


def test_header_that_is_damaged(server):
    """An upgrade ended the master: neither binary could attach the segment."""
    s = server(files=FILES)
    seg = Segment(s.pid)
    seg.map[8:600] = os.urandom(592)
    r = s.cli("upgrade")
    assert r.returncode == 0, r.stderr
    assert s.proc.poll() is None and s.status()["upgrades"] == 1 and s.get("/a.txt").status == 200


def test_old_segment_that_is_damaged(server, manager):  # noqa: F811
    """The same of the segment that workers of a killed master still drain with: they are asked to finish."""
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    seg, c = Segment(s.pid), s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    old = serving(s)
    try:
        restarted(s, manager)
        assert any(alive(p) for p in old), "somebody drains"
        seg.map[8:600] = os.urandom(592)
        s.cli("upgrade", check=0)
        s.wait_log("has a segment that was not handed over: asking it to finish")
        assert s.status()["upgrades"] == 1 and s.get("/a.txt").status == 200
        c.send(b"\r\n")
        assert c.response().body == b"hello"
        wait_for(lambda: not any(alive(p) for p in old), "the workers before end")
    finally:
        assert s.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize("word, value", [("generation", 0), ("generation", 2 ** 32 - 1), ("slots", 2 ** 32 - 1),
                                         ("slots", 0), ("workers", 0)])
def test_words_that_all_follow(server, word, value):
    """The master puts them right: a worker cannot end or hang the others for longer than a moment."""
    s = server(files=FILES)
    seg = Segment(s.pid)
    seg.put("master", 0, word, value)
    wait_for(lambda: seg.get("master", 0, word) != value, "the master puts it right")
    wait_for(lambda: len(serving(s)) == 2, "all serve")
    assert generation(s) == 1
    s.wait_ready()
    assert s.get("/a.txt").status == 200


def test_heartbeat_is_nobodys_clock(server):
    """A row that says that its worker has been silent for hours had it killed at the next look."""
    s = server(files=FILES)
    seg, old = Segment(s.pid), serving(s)
    rows = [r for r in range(seg.rows("workers")) if seg.get("workers", r, "pid") in old]
    end = time.monotonic() + 3
    while time.monotonic() < end:
        for r in rows:
            seg.put("workers", r, "heartbeat", 1)
        time.sleep(0.01)
    assert serving(s) == old and "killing it" not in s.error_log()


# ------------------------------------------------------------------------------- everything at once

def in_namespace():
    """A command before another that gives it processes, mounts and a network of its own."""
    wrap = ["unshare", "--pid", "--fork", "--mount-proc", "--net", "--kill-child"]
    if IS_ROOT and shutil.which("unshare") and subprocess.run(wrap + ["true"], capture_output=True).returncode == 0:
        return wrap
    return []


def test_hostile_writes(tmp):
    seed = int(os.environ.get("ARGAND_HOSTILE_SEED") or random.randrange(1 << 32))
    seconds = float(os.environ.get("ARGAND_HOSTILE_TIME") or 15)
    wrap = in_namespace()
    print(f"seed {seed}, {seconds:g} s" + ("" if wrap else "; not root: without namespaces, workers are like us"))
    driver = os.path.join(os.path.dirname(os.path.abspath(__file__)), "takeover.py")
    p = subprocess.run(wrap + [sys.executable, driver, tmp, str(seed), str(seconds)], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                       timeout=seconds + patience(120))
    print(p.stdout[-20000:])
    assert p.returncode == 0, f"seed {seed}:\n{p.stdout[-6000:]}"
