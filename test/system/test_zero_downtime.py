"""Nothing an operator does drops a connection, and a dying worker takes only its own requests along.

Everything happens under load of test/load/loadmeter, which compares every octet of every answer and
names every way to fail; once with 64 kept-alive connections, once with a new connection for each
request. The figures are printed at the end of the run and saved (harness.REPORT).

ARGAND_FULL=1 (make check-full): 50 reloads, 10 upgrades, 50 kills; else a few of each.
"""
import os
import random
import select
import signal
import time

import pytest

import harness
from harness import FULL, figure, patience, wait_for
from load import FAILURES, Load, assert_nothing_lost, lost

RELOADS, UPGRADES, KILLS, ROUNDS = (50, 10, 50, 3) if FULL else (6, 2, 6, 1)
TABLE = "zero downtime"
MODES = ["kept-alive", "new"]
# What may happen to a request that a killed worker had accepted.
DEATHS = {"reset_before", "closed_before", "reset_mid", "truncated", "race"}
BODY = random.Random(1).randbytes(1024)
TAG = 'headers: { set = [ "X-Worker: $worker" ]; };'


def start(server, workers=2, server_part="", **kw):
    s = server(workers=workers, server=server_part or options(0), site=TAG, access_log=False,
               files={"1k.bin": BODY}, **kw)
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def options(i):
    """Differs with i, so that a reload has something to do."""
    return f"keepalive_requests = {1000000 + i};"


def generation(s):
    return s.status()["generation"]


def report(what, mode, n, r, **more):
    figure(TABLE, event=what, mode=mode, times=n, requests=r["ok"],
           refused=r["refused"], reset=r["reset_before"] + r["reset_mid"],
           truncated=r["truncated"] + r["closed_before"], race=r["race"], timeout=r["timeout"],
           wrong=r["bad"] + r["other"], **{"p99 ms": r["p99_ms"], "max ms": r["max_ms"],
                                           "gap ms": r["longest_gap_ms"]}, **more)


# ------------------------------------------------------------------------------- reload, upgrade

@pytest.mark.parametrize("mode", MODES)
def test_reloads(server, mode):
    """HUP, again and again; each brings up a new generation."""
    s, rng = start(server), random.Random(2)
    with Load(s, mode) as load:
        for i in range(1, RELOADS + 1):
            before = generation(s)
            s.rewrite(server=options(i), site=TAG, access_log=False)
            s.kill(signal.SIGHUP)
            wait_for(lambda: generation(s) > before, f"generation {before} is replaced")
            time.sleep(rng.uniform(0, 0.1))
        r = load.stop()
    report("reload (HUP)", mode, RELOADS, r)
    assert_nothing_lost(r)
    assert len(r["workers"]) >= RELOADS, "most generations never answered"


@pytest.mark.parametrize("mode", MODES)
def test_upgrades(server, mode):
    """The binary replaces itself; the master keeps its pid."""
    s = start(server)
    pid = s.pid
    with Load(s, mode) as load:
        for _ in range(UPGRADES):
            before = set(s.workers())
            s.cli("upgrade", check=0)
            wait_for(lambda: set(s.workers()) - before, "workers of the new binary")
            time.sleep(0.05)
        r = load.stop()
    report("binary upgrade", mode, UPGRADES, r)
    assert s.pid == pid and s.proc.poll() is None
    assert_nothing_lost(r)


@pytest.mark.parametrize("mode", MODES)
def test_worker_counts(server, mode):
    """2 -> 6 -> 1 -> 2 workers: shrinking is where others reset what is queued."""
    s = start(server)
    with Load(s, mode) as load:
        for _ in range(ROUNDS):
            for n in (6, 1, 2):
                s.rewrite(workers=n, server=options(n), site=TAG, access_log=False)
                s.cli("reload", check=0)
                wait_for(lambda: s.status()["workers_wanted"] == n, f"{n} workers serve")
                time.sleep(0.3)
        r = load.stop()
    report("workers 2-6-1-2", mode, ROUNDS, r)
    assert_nothing_lost(r)


@pytest.mark.parametrize("mode", MODES)
def test_everything_at_once(server, mode):
    """Reloads, upgrades and worker counts in one run of the load."""
    s = start(server)
    with Load(s, mode) as load:
        for i in range(1, UPGRADES + 1):
            s.rewrite(workers=(6, 1, 2)[i % 3], server=options(i), site=TAG, access_log=False)
            s.kill(signal.SIGHUP)
            s.cli("upgrade", check=0)
            s.rewrite(workers=2, server=options(-i), site=TAG, access_log=False)
            s.cli("reload", check=0)
        r = load.stop()
    report("all of them mixed", mode, UPGRADES, r)
    assert_nothing_lost(r)


def test_idle_connection_is_answered_once_more(server):
    """An idle kept-alive connection is not cut by a reload: its next request is answered, politely."""
    s = start(server)
    conns = [s.connect() for _ in range(20)]
    for c in conns:
        assert c.request("/1k.bin").response().body == BODY
    s.rewrite(server=options(1), site=TAG, access_log=False)
    s.cli("reload", check=0)
    time.sleep(0.5)
    for c in conns:
        r = c.request("/1k.bin").response()
        assert r.body == BODY and r.get("Connection") == "close"
        c.expect_closed()


def test_request_in_flight_survives(server):
    """Uploads and downloads that began before a reload, an upgrade and a change of workers end well."""
    s = start(server, routes='{ path = "/echo"; echo = true; }')
    s.write("big.bin", BODY * 20000)
    up = s.connect()
    up.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\none")
    down = s.connect(rcvbuf=4096, timeout=30)
    down.request("/big.bin")
    head = s.connect()
    head.send(b"GET /1k.bin HTTP/1.1\r\nHost: a\r\n")
    assert up.more(), "the answer has begun"
    for step in (("reload", 1), ("upgrade", 2), ("reload", 3)):
        s.rewrite(workers=step[1], server=options(step[1]), site=TAG, access_log=False,
                  routes='{ path = "/echo"; echo = true; }')
        s.cli(step[0], check=0)
    up.send(b"twosix")
    assert up.response("POST").body.endswith(b"\n\nonetwosix")
    head.send(b"\r\n")
    assert head.response().body == BODY
    r = down.response()
    assert r.status == 200 and r.body == BODY * 20000


def test_graceful_stop(server):
    """QUIT: requests in flight are finished, then the server ends with status 0."""
    s = start(server, routes='{ path = "/echo"; echo = true; }')
    up = s.connect()
    up.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none")
    assert up.more(), "the answer has begun"
    s.kill(signal.SIGQUIT)
    time.sleep(0.5)
    assert s.proc.poll() is None, "it did not wait for the request"
    up.send(b"two")
    assert up.response("POST").body.endswith(b"\n\nonetwo")
    assert s.proc.wait(patience(10)) == 0


def test_broken_reload_changes_nothing(server):
    """Errors are printed, the exit status is 78, generation and workers are the same, nothing is lost."""
    s = start(server)
    before, workers = generation(s), s.workers()
    with Load(s, "new", conns=8, rate=500) as load:
        with open(s.conf, "w") as f:
            f.write(s.text.replace("workers = 2;", 'workers = "many";\n\tlisten_on = 1;'))
        for _ in range(3):
            p = s.cli("reload")
            assert p.returncode == 78, p
            said = p.stdout + p.stderr
            assert "argand.conf:" in said and "workers" in said and "listen_on" in said, said
            time.sleep(0.1)
            s.kill(signal.SIGHUP)
        s.wait_log("reload failed")
        with open(s.conf, "w") as f:
            f.write(s.text[:-10])
        assert s.cli("reload").returncode == 78
        r = load.stop()
    assert generation(s) == before and s.workers() == workers
    report("broken reload", "new", 7, r)
    assert_nothing_lost(r)


# ------------------------------------------------------------------------------- dying, hanging

def kill_all(pids):
    """kill -9; (ms before it, ms after the last of them was gone). A killed process closes its connections itself,
    in a turn of the processor that it must wait for like everybody else: on a busy machine clients talk to it for
    many milliseconds after the kill. The kernel tells of its end when all it had is closed."""
    fds = [os.pidfd_open(p) for p in pids]
    at = time.monotonic() * 1000
    for p in pids:
        os.kill(p, signal.SIGKILL)
    for fd in fds:
        assert select.select([fd], [], [], patience(10))[0], "a killed process lives on"
    gone = time.monotonic() * 1000
    for fd in fds:
        os.close(fd)
    return at, gone


def kill_one(s, rng):
    """Kills a random worker; returns (ms of the kill, ms when it was gone, victim, pids of the others)."""
    victim = rng.choice(s.workers())
    others = set(s.workers()) - {victim}
    return *kill_all([victim]), victim, others


@pytest.mark.parametrize("mode", MODES)
def test_killed_workers(server, mode):
    """kill -9: only what the victim had accepted fails; the replacement serves within 100 ms."""
    s, rng, kills, ready = start(server), random.Random(7), [], []
    with Load(s, mode) as load:
        for _ in range(KILLS):
            # A worker that dies within a second of its birth begins a crash loop, which is held back.
            time.sleep(1.2)
            at, gone, victim, others = kill_one(s, rng)
            wait_for(lambda: set(s.workers()) - others - {victim}, "a replacement", 5, 0.005)
            new = (set(s.workers()) - others - {victim}).pop()
            ready.append(time.monotonic() * 1000 - at)
            kills.append((at, gone, victim, new))
        time.sleep(0.3)
        r = load.stop()
    first = {w["pid"]: w["first"] for w in r["workers"]}
    took = [first[new] - at for at, _, _, new in kills if new in first]
    report("kill -9 of a worker", mode, KILLS, r,
           **{"gone ms": middle([gone - at for at, gone, _, _ in kills]), "new one ready ms": middle(ready),
              "its first answer ms": middle(took)})
    assert_only_deaths(r)
    for f in r["failures"]:
        assert_was_the_victims(f, kills)
    assert r["ok"] > 100
    if mode == "new":
        assert len(took) == len(kills), f"{len(kills) - len(took)} replacements never answered"
        # One in twenty may meet a busy machine; the table tells the longest.
        slow = [t for t in took if t > 100 * harness.SLOW]
        assert len(slow) <= max(1, len(took) // 20) and max(took) <= 500 * harness.SLOW, sorted(took)[-5:]


def middle(times):
    return f"{sorted(times)[len(times) // 2]:.1f} (max {max(times):.1f})" if times else "-"


def assert_only_deaths(r):
    for k in set(FAILURES) - DEATHS:
        assert r[k] == 0, (k, r[k], r["failures"][:5])


def assert_was_the_victims(f, kills):
    """A failed request was in the hands of the worker that had just been killed: on a connection on which it had
    answered before, or on a new one that was begun before it was gone, so that it can have accepted it. What waits
    to be accepted is another's then, however late the victim goes."""
    mine = [k for k in kills if k[0] <= f["at"] <= k[1] + patience(1) * 1000]
    assert mine, f"a failure without a kill: {f}"
    at, gone, victim, _ = mine[-1]
    if f["worker"]:
        assert f["worker"] == victim, f"a request of another worker: {f}, victim {victim}"
    else:
        assert f["begun"] <= gone, f"begun after its end, so it had not accepted it: {f}, killed {at}, gone {gone}"


def test_all_workers_killed_at_once(server):
    """With nobody left to serve, connections wait in the queue for the replacements."""
    s = start(server, workers=3)
    with Load(s, "new", conns=16, rate=300, seconds=2) as load:
        time.sleep(0.5)
        _, gone = kill_all(s.workers())
        r = load.finish()
    report("all 3 workers killed at once", "new", 1, r, **{"longest wait ms": r["longest_wait_ms"]})
    assert_only_deaths(r)
    assert all(f["begun"] <= gone for f in r["failures"]), (gone, r["failures"])
    assert r["longest_wait_ms"] <= 500 * harness.SLOW


def test_crash_loop(server):
    """A seat whose workers die again and again is held back; its siblings serve its share meanwhile."""
    s = start(server, workers=2)
    with Load(s, "new", conns=16, rate=300, seconds=3) as load:
        time.sleep(0.3)
        survivor, end = s.workers()[0], time.monotonic() + 2
        while time.monotonic() < end:
            for p in set(s.workers(None)) - {survivor, 0}:
                try:
                    os.kill(p, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)
        r = load.finish()
    report("crash loop of one seat, 2 s", "new", s.status()["worker_deaths"], r,
           **{"longest wait ms": r["longest_wait_ms"]})
    assert_only_deaths(r)
    assert lost(r) <= 50 and r["ok"] > 500
    assert s.status()["worker_deaths"] < 20, "no back-off"
    wait_for(lambda: len(s.workers()) == 2, "the seat is taken again", 15)


def test_hung_worker_new_connections(server):
    """SIGSTOP of one worker: a sibling serves its connections within 500 ms."""
    s, waits = start(server), []
    for victim in s.workers():
        os.kill(victim, signal.SIGSTOP)
        with Load(s, "new", conns=32, rate=400, seconds=2) as load:
            r = load.finish()
        os.kill(victim, signal.SIGCONT)
        waits.append(r["longest_wait_ms"])
        assert_nothing_lost(r)
        time.sleep(1)
    report("SIGSTOP of a worker", "new", len(waits), r, **{"longest wait ms": max(waits)})
    assert max(waits) <= 500 * harness.SLOW, waits


def test_hung_worker_under_load(server):
    """Its own connections are delayed, not lost; the others do not notice."""
    s = start(server)
    with Load(s, "kept-alive", timeout=20) as load:
        time.sleep(0.3)
        victim = s.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(victim, signal.SIGCONT)
        time.sleep(0.5)
        r = load.stop()
    report("SIGSTOP 0.6 s, SIGCONT", "kept-alive", 1, r)
    assert_nothing_lost(r)
    assert r["longest_gap_ms"] < 300 * harness.SLOW, "the siblings stood still too"


@pytest.mark.parametrize("mode", MODES)
def test_master_killed(server, mode):
    """Without a service manager to restart it, the workers of a dead master go on serving."""
    s = start(server)
    workers = s.workers()
    with Load(s, mode, conns=16) as load:
        time.sleep(0.3)
        s.proc.send_signal(signal.SIGKILL)
        s.proc.wait()
        time.sleep(2)
        r = load.stop()
    report("kill -9 of the master", mode, 1, r)
    assert_nothing_lost(r)
    assert {p for p in workers if harness.proc_stat(p)} == set(workers), "a worker ended"
    last = {w["pid"]: w["last"] for w in r["workers"]}
    assert set(last) <= set(workers)


def test_worker_killed_while_master_is_gone(server):
    """Siblings adopt the slots of a dead worker without a master's help."""
    s = start(server, workers=3)
    workers = s.workers()
    s.proc.send_signal(signal.SIGKILL)
    s.proc.wait()
    with Load(s, "new", conns=16, rate=300, seconds=2) as load:
        time.sleep(0.5)
        os.kill(workers[0], signal.SIGKILL)
        r = load.finish()
    report("worker killed, no master", "new", 1, r, **{"longest wait ms": r["longest_wait_ms"]})
    assert_only_deaths(r)
    assert lost(r) <= 16 and r["ok"] > 100
    assert r["longest_wait_ms"] <= 500 * harness.SLOW
