"""The last events of the server: what happened, to whom and why, in every form, over reloads, upgrades and masters."""
import html
import json
import os
import re
import signal
import socket
import struct
import threading
import time

import pytest

from harness import BIN, TOP, free_port, wait_for
from segment import Segment, fd_of
from test_hostile_segment import restarted
from test_master import FILES, serving
from test_master_manager import Manager, manager  # noqa: F401
from test_master_upgrade import install, patched, upgradable  # noqa: F401

ROUTES = '{ path = "/status"; status = true; }, { path = "/app"; gateway = "app"; }, { path = "/"; }'
QUICK = 'failover: { threshold = 1; refused = "100ms"; max = "200ms"; };'
FORGED = "nobody reloaded this"


def events(s, *kinds):
    """Those of these kinds; without: all."""
    text, status = s.control("events --json")
    assert status == 0
    return [e for e in json.loads(text)["events"] if not kinds or e["kind"] in kinds]


def one(s, kind):
    return wait_for(lambda: events(s, kind), f"a {kind}")[-1]


class Host:
    """A host of a pool that can go and come back at its address."""

    def __init__(self):
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self.sock = None

    def up(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", self.port))
        self.sock.listen(50)
        threading.Thread(target=self.serve, args=(self.sock,), daemon=True).start()
        return self

    def serve(self, sock):
        while True:
            try:
                c, _ = sock.accept()
                with c:
                    if c.recv(65536):
                        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:
                if sock.fileno() < 0:
                    return

    def down(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


def with_pool(make, *hosts, **kw):
    names = ", ".join(f'"{h.name}"' for h in hosts)
    return make(files=FILES, routes=ROUTES, backends=f'app: {{ hosts = ( {names} ); protocol = "http"; {QUICK} }};', **kw)


def asked(s):
    """A request that waits for a host, or whatever becomes of it."""
    ask = threading.Thread(target=lambda: s.get("/app", timeout=20), daemon=True)
    ask.start()
    return ask


def flap(s, host, times):
    def count(kind):
        return sum(e["times"] for e in events(s, kind))

    for i in range(times):
        before = count("host-up")
        host.down()
        asks = [asked(s)]
        # A worker that is about to go, of a master before this one, finds it out for itself alone.
        wait_for(lambda: count("host-down") > before or asks.append(asked(s)), "it is down", every=0.3)
        host.up()
        for ask in asks:
            ask.join()
        wait_for(lambda: count("host-up") > before, "it is up")


# ------------------------------------------------------------------------------- what the master knows

def test_reloads(server):
    s = server(files=FILES, routes=ROUTES.replace('{ path = "/app"; gateway = "app"; },', ""))
    e = events(s)
    assert [(x["kind"], x["by"], x["severity"]) for x in e] == [("start", "master", "good")]
    assert e[0]["pid"] == s.pid and "generation 1 serves with 2 workers" in e[0]["text"]
    assert abs(e[0]["time_ms"] / 1000 - time.time()) < 60
    s.rewrite(workers=3)
    s.cli("reload", check=0)
    with open(s.conf, "a") as f:
        f.write("wrokers = 4;\n")
    for _ in range(3):
        s.cli("reload", check=78)
    good, bad = events(s)[1:]
    assert (good["kind"], good["times"]) == ("reload", 1)
    assert re.fullmatch(r"generation 2 serves with 3 workers, \d changes", good["text"])
    assert (bad["kind"], bad["severity"], bad["times"]) == ("reload-refused", "bad", 3)
    assert "wrokers" in bad["text"] and bad["first_ms"] < bad["time_ms"]
    # In each form, from the master and from any worker.
    text = s.cli("status", check=0).stdout
    assert re.search(r"\nlast events\n[-0-9]+ [:0-9]+  start  .*\n.*  reload  .*\n.*  reload-refused .*wrokers"
                     r".*, 3 times since [-0-9]+ [:0-9]+\n$", text), text
    assert text.endswith(s.cli("events", check=0).stdout)
    assert json.loads(s.cli("events", "--json", check=0).stdout)["events"] == s.status()["events"] == events(s)


def test_few_and_all(server):
    s = server(files=FILES)
    for i in range(10):
        s.cli("reload", check=0)
        s.control(f"log-level {'warn' if i % 2 else 'notice'}")
    shown = s.cli("status", check=0).stdout.split("\nlast events (argand events: all)\n")[1].splitlines()
    everything = s.cli("events", check=0).stdout.splitlines()
    assert len(shown) == 10 and everything[-10:] == shown and len(everything) >= 1 + 10 + 2


def test_no_such_command(server):
    s = server(files=FILES)
    assert "did you mean 'events'?" in s.cli("evnets", check=2).stderr
    assert s.cli("events", "--jsno", check=2).stderr.startswith("usage: argand events [-c FILE]")


def test_deaths(server):
    """By signal, with core or without, and with what was said last; a loop of deaths is one event."""
    s = server(files=FILES, workers=2)
    first = s.workers()[1]
    os.kill(first, signal.SIGKILL)
    e = one(s, "worker-death")
    assert (e["text"], e["pid"], e["worker"], e["by"]) == ("killed by SIGKILL", first, 1, "master")
    started = one(s, "worker-start")
    assert started["worker"] == 1 and started["pid"] == wait_for(lambda: len(s.workers()) == 2 and s.workers(), "two")[1]
    assert re.search(rf"  worker-death +worker 1 \(pid {first}\) killed by SIGKILL\n", s.cli("events").stdout)
    for n in range(2, 5):
        os.kill(wait_for(lambda: len(s.workers()) == 2 and s.workers(), "two workers")[0], signal.SIGKILL)
        wait_for(lambda: one(s, "worker-death")["times"] == n, f"{n} deaths")
        time.sleep(1.05)  # older than a crash loop's sign
    os.kill(wait_for(lambda: len(s.workers()) == 2 and s.workers(), "two workers")[0], signal.SIGSEGV)
    assert wait_for(lambda: len(events(s, "worker-death")) == 2, "another death")
    assert re.fullmatch(r"killed by SIGSEGV( \(core dumped\))?", one(s, "worker-death")["text"])


def test_last_words(server):
    """What a dying worker has left in its row is text: it is shown as that."""
    s = server(files=FILES, workers=1)
    seg, pid = Segment(s.pid), s.workers()[0]
    row = next(r for r in range(seg.rows("workers")) if seg.get("workers", r, "pid") == pid)
    words = b"a.c:1: must(<b>x</b>)\x1b[31m\xff\n\0"
    at = seg.at("workers", row) + 40 + 8 * seg.rows("names")  # behind what is in FIELDS, and the counters
    seg.map[at:at + len(words)] = words
    os.kill(pid, signal.SIGABRT)
    assert re.fullmatch(r"killed by SIGABRT( \(core dumped\))?: a\.c:1: must\(<b>x</b>\)\?\[31m\?\?",
                        one(s, "worker-death")["text"])


def test_commands(server):
    host = Host().up()
    s = with_pool(server, host)
    s.get("/app")
    s.control("log-level debug")
    s.cli("reopen", check=0)
    s.cli("backend", "app", "weight", host.name, "7", check=0)
    s.cli("backend", "app", "drain", host.name, check=0)
    assert [e["text"] for e in events(s, "command")] == [
        "log level debug", "log files opened anew", f"backend app {host.name} has weight 7",
        f"backend app {host.name} is drained: it takes no new requests"]


def test_drain_that_ends_by_force(server):
    s = server(files=FILES, server='drain_timeout = "1s";', routes='{ path = "/echo"; echo = true; }')
    c = s.connect()
    c.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    wait_for(lambda: s.status()["counters"]["requests_active"] >= 1, "the request")
    s.rewrite(server='drain_timeout = "1s";', workers=3)
    s.cli("reload", check=0)
    e = one(s, "drain-cut")
    assert (e["text"], e["by"]) == ("generation 1: 1 request not finished in time", "worker")


def test_too_many_that_drain(server):
    s = server(files=FILES, server="max_generations = 1;", routes='{ path = "/echo"; echo = true; }')
    for _ in range(2):
        c = s.connect()
        c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
        s.cli("reload", check=0)
    assert one(s, "drain-forced")["text"] == "more than 1 generations drain: generation 1 is cut short"


def test_processes(server):
    script = ('import os, socket, sys\ns = socket.socket(fileno=0)\n'
              'while True:\n c, _ = s.accept()\n c.close()\n')
    s = server(files=FILES, routes=ROUTES, start=False)
    path = s.tmp + "/app.py"
    with open(path, "w") as f:
        f.write(script)
    user = 'user = "root";' if os.geteuid() == 0 else ""
    s.rewrite(routes=ROUTES, backends=f'app: {{ protocol = "scgi"; spawn: {{ command = [ "/usr/bin/python3", "{path}" ]; '
                                      f'processes = "2"; {user} }}; }};')
    s.start()
    e = wait_for(lambda: [e for e in events(s, "process-start") if e["times"] == 2], "two processes")[0]
    assert e["text"] == "backend app was started"
    os.kill(e["pid"], signal.SIGKILL)
    death = one(s, "process-death")
    assert (death["text"], death["pid"], death["by"]) == ("backend app was killed by SIGKILL", e["pid"], "master")


# ------------------------------------------------------------------------------- what workers say

def test_hosts(server):
    host = Host().up()
    s = with_pool(server, host)
    assert s.get("/app").status == 200
    host.down()
    ask = asked(s)
    down = one(s, "host-down")
    out = one(s, "pool-out")
    assert down["text"].startswith(f"app {host.name}: refused") and "failure" in down["text"]
    assert down["by"] == "worker" and down["pid"] in serving(s) and down["worker"] in (0, 1)
    assert out["text"] == f"app: no host takes requests; the last to go was {host.name}"
    host.up()
    ask.join()
    assert one(s, "host-up")["text"].startswith(f"app {host.name}")
    assert one(s, "pool-back")["text"] == f"app: {host.name} takes requests again"
    assert f"(said by worker {down['worker']} (pid {down['pid']}))" in s.cli("events").stdout


def test_pool_with_another_host_is_not_out(server):
    a, b = Host().up(), Host().up()
    s = with_pool(server, a, b)
    a.down()
    wait_for(lambda: s.get("/app").status == 200 and events(s, "host-down"), "one is down")
    a.up()
    wait_for(lambda: events(s, "host-up"), "it is up")
    assert not events(s, "pool-out", "pool-back")


def test_flapping_host_is_counted(server):
    host = Host().up()
    s = with_pool(server, host)
    s.rewrite(routes=ROUTES, workers=3, backends=f'app: {{ hosts = ( "{host.name}" ); protocol = "http"; {QUICK} }};')
    s.cli("reload", check=0)
    s.get("/app")
    flap(s, host, 12)
    assert [(e["kind"], e["times"]) for e in events(s) if e["by"] == "worker"] == [
        ("host-down", 12), ("pool-out", 12), ("host-up", 12), ("pool-back", 12)]
    assert [e["kind"] for e in events(s) if e["by"] == "master"] == ["start", "reload"]


# ------------------------------------------------------------------------------- what outlives whom

def test_upgrade_keeps_them(upgradable):  # noqa: F811
    host = Host().up()
    s = with_pool(upgradable, host)
    s.get("/app")
    flap(s, host, 1)
    os.kill(s.workers()[0], signal.SIGKILL)
    before = wait_for(lambda: events(s, "worker-start") and events(s), "the death is over")
    install(s, source=BIN)
    s.cli("upgrade", check=0)
    after = events(s)
    assert after[:len(before)] == before
    assert [e["kind"] for e in after[len(before):]] == ["reload", "upgrade"]
    assert after[-1]["pid"] == s.pid
    # A worker of the new generation has them, too.
    assert s.get("/status?format=json").json()["events"] == after
    install(s, text="#!/bin/sh\necho no more\nexit 3\n")
    assert s.control("upgrade")[1] == 1
    assert events(s)[:-1] == after and one(s, "upgrade-refused")["text"].endswith("(status 3)")
    s.control("log-level info")
    assert s.get("/status?format=json").json()["events"][-1]["text"] == "log level info"


def test_binary_that_goes_back_keeps_them(upgradable):  # noqa: F811
    """The new binary cannot read the record: the old one and its workers write and read the same file on."""
    s = upgradable(files=FILES, routes=ROUTES.replace('{ path = "/app"; gateway = "app"; },', ""))
    before = events(s)
    patched(s, b"argand-handover %d", b"argonn-handover %d")
    s.cli("upgrade", check=1)
    assert events(s)[:-1] == before
    assert one(s, "upgrade-refused")["text"] == "the new binary cannot read the hand-over record"
    s.control("log-level info")
    assert one(s, "command") == s.get("/status?format=json").json()["events"][-1]


def test_next_master_has_them(server, manager):  # noqa: F811
    host = Host().up()
    s = with_pool(server, host, env=manager.env)
    manager.wait(READY="1")
    s.get("/app")
    flap(s, host, 2)
    killed = s.workers()[0]
    os.kill(killed, signal.SIGKILL)
    before = wait_for(lambda: events(s, "worker-start") and events(s), "the death is over")
    try:
        restarted(s, manager)
        after = events(s)
        assert after[:len(before)] == before
        assert [e["kind"] for e in after[len(before):]] == ["restart", "reload"]
        assert "2 workers of a master before this one serve on" in after[len(before)]["text"]
        flap(s, host, 1)
        assert one(s, "host-down")["times"] == 3
    finally:
        assert s.stop(signal.SIGTERM) == 0


# ------------------------------------------------------------------------------- a worker that was taken over

def row_of(sequence, kind, text, now, by=0, pid=1, worker=1, times=1):
    """A whole row of the ring, as common/segment/history.c has it."""
    body = struct.pack("QqqIIiI", 1, now, now, kind, times, pid, worker) + text[:335].ljust(336, b"\0")
    return struct.pack("Q", sequence << 28 | kind << 22) + body


def kinds():
    with open(os.path.join(TOP, "common", "segment", "history.def")) as f:
        return re.findall(r'^HISTORY\(\w+, (\w+), \w+, "([^"]+)"', f.read(), re.M)


def test_lies(server):
    """It can say what it likes about hosts, in its own name, and neither hide nor make up anything else."""
    s = server(files=FILES, routes=ROUTES.replace('{ path = "/app"; gateway = "app"; },', ""))
    os.kill(s.workers()[0], signal.SIGKILL)
    true = wait_for(lambda: events(s, "worker-start") and events(s), "the death is over")
    seg, names = Segment(s.pid), [word for _, word in kinds()]
    evil = b'<script>alert(1)</script>"&\x1b[2J\x9b\xff\xe2\x80\xae\nexit 0'
    future = int(time.time() + 9e6) * 1000
    for r in range(seg.rows("events")):
        kind = names.index("host-down") if r % 2 else names.index("reload")
        text = evil if r % 2 else FORGED.encode()
        seg.write("events", r, row_of(r + 1, kind, text, future, pid=-5 if r % 3 else 77, worker=r * 1000))
    shown = events(s)
    assert [e for e in shown if e["by"] == "master"] == true
    lies = [e for e in shown if e["by"] == "worker"]
    assert lies and {e["kind"] for e in lies} == {"host-down"}
    assert all(e["time_ms"] <= time.time() * 1000 + 1 and (e["pid"] or 0) >= 0 and (e["worker"] or 0) < 256 for e in lies)
    for text in (s.cli("events").stdout, s.cli("status").stdout, s.get("/status?format=text").text):
        assert FORGED not in text and not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "start" in text and "worker-death" in text
    page = s.get("/status?format=html").text
    assert FORGED not in page and "<script>alert" not in page and "killed by SIGKILL" in page
    assert html.escape("<script>alert(1)</script>", quote=False) in page.replace("&#60;", "&lt;").replace("&#62;", "&gt;")
    # The whole table, of random octets: everything goes on.
    for r in range(seg.rows("events")):
        seg.write("events", r, os.urandom(seg.tables["events"][0]))
    assert [e for e in events(s) if e["by"] == "master"] == true
    assert s.get("/status?format=json").json()["workers_ready"] == 2


def test_workers_cannot_write_the_masters(server):
    s = server(files=FILES)
    assert fd_of(s.pid, "argand-events")
    s.cli("upgrade", check=0)
    for p in serving(s):
        assert not fd_of(p, "argand-events")
        with open(f"/proc/{p}/maps") as f:
            rights = re.findall(r"^\S+ (\S+) .*/memfd:argand-events", f.read(), re.M)
        assert rights == ["r--s"]


def test_events_of_the_dead_are_given_up(server):
    """Rows that a killed worker had begun are free again, and those of nobody."""
    s = server(files=FILES, workers=2)
    seg, pid = Segment(s.pid), s.workers()[0]
    half = row_of(5, [w for _, w in kinds()].index("host-down"), b"half", 0)
    for r, who in ((3, pid), (4, 4194303)):
        seg.write("events", r, half)
        seg.write("events", r, struct.pack("Q", struct.unpack_from("Q", half)[0] | who))
    assert not [e for e in events(s) if e["by"] == "worker"]
    wait_for(lambda: not any(seg.row("events", 4)[:8]), "who never was is forgotten")
    assert any(seg.row("events", 3)[:8])
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(seg.row("events", 3)[:8]), "the dead one's row is free")


def test_manual_has_every_kind():
    with open(os.path.join(TOP, "man", "argand.8")) as f:
        words = {w for line in re.findall(r"^\.It Cm (.*)$", f.read(), re.M) for w in re.split(r" , |\s+", line)}
    assert len(kinds()) > 10
    for _, word in kinds():
        assert word in words, f"{word} is not in argand(8)"
