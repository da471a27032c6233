#!/usr/bin/python3
"""The loss table: what a client loses while a server is reloaded, upgraded, or loses a worker; Argand and others.

  ARGAND_BIN=PROGRAM [ARGAND_TOOLS=DIR] test/bench/loss/loss.py [--rounds N] [--peers nginx,Argand] [--events kill]
      [--out FILE.md]

Every server gets the same load from the same program (test/load/loadmeter.c, which compares every octet and
names every failure): connections that are kept alive, or a new one for each request, always at one pace that all
of them can hold. Under it an event happens a few times. Servers take turns within a round, rounds follow each
other. Without --out the table is printed; with it the file is written only when everything was measured.
"""
import argparse
import collections
import datetime
import os
import platform
import random
import sys
import time

from peers import PEERS, WORKERS, peers_adopt  # this line sets the path for the next two
from harness import new_tmp, remove_tmp
from load import Load

CONNS, RATE, TIMEOUT = 64, 2000, 5
BODY = random.Random(1).randbytes(1024)
MODES = ["new", "kept-alive"]
# A worker that dies within its first second looks like a crash loop and is held back, so kills wait longer.
EVENTS = {
    "reload": (5, .3, lambda p, i: p.reload()),
    "workers": (6, .3, lambda p, i: p.reload((6, 1, 2)[i % 3])),
    "upgrade": (3, .3, lambda p, i: p.upgrade()),
    "kill": (4, 1.2, lambda p, i: p.kill()),
}
TITLES = {"reload": "reload", "workers": f"workers {WORKERS}-6-1-2-6-1-2", "upgrade": "binary upgrade",
          "kill": "kill -9 of a worker"}
LOST = {  # columns of the table: loadmeter's kinds
    "refused": ["refused"], "reset before": ["reset_before"], "closed before": ["closed_before"],
    "reset inside": ["reset_mid"], "cut short": ["truncated"], "timed out": ["timeout"], "wrong": ["bad", "other"],
}


def measure(peer_class, event, mode):
    """One server under load while an event happens several times; loadmeter's figures."""
    times, pause, act = EVENTS[event]
    tmp = new_tmp()
    peer = peer_class(tmp, BODY)
    rng = random.Random(event)
    try:
        peer.start()
        with Load(peer, mode, conns=CONNS, rate=RATE, seconds=90, timeout=TIMEOUT) as load:
            time.sleep(pause)
            for i in range(times):
                act(peer, i)
                time.sleep(pause + rng.uniform(0, .1))
            time.sleep(.5)
            return load.stop()
    except Exception:
        for name in ("stdout", "stderr", "error.log"):
            path = os.path.join(tmp, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    print(f"--- {name}\n{f.read()[-3000:]}", file=sys.stderr)
        raise
    finally:
        if peer.proc:
            peer.stop()
        remove_tmp(tmp)


def has(peer, event):
    """Whether a server has an event that is not one of the others under another name."""
    return peer.how.get(event, "as reload") != "as reload"


def lost(event, r):
    """Requests without an answer. Nobody closes in order what a killed process held, so there it is lost too."""
    return sum(r[k] for kinds in LOST.values() for k in kinds) + (r["race"] if event == "kill" else 0)


def run(peers, events, rounds):
    """{(peer's name, event, mode): [figures of each round]}, and how many could not be measured."""
    out, failed = collections.defaultdict(list), 0
    for n in range(rounds):
        for event in events:
            for mode in MODES:
                for p in [p for p in peers if has(p, event)]:
                    try:
                        r = measure(p, event, mode)
                    except Exception as e:  # the others are measured all the same
                        print(f"!! {p.name}, {event}, {mode}: {e!r}", file=sys.stderr)
                        failed += 1
                        continue
                    out[p.name, event, mode].append(r)
                    print(f"{n + 1} {event:8} {mode:10} {p.name:26} ok {r['ok']:6} lost {lost(event, r):5} "
                          f"crossed {r['race']:4} gap {r['longest_gap_ms']:6.0f}", file=sys.stderr, flush=True)
    return out, failed


# ------------------------------------------------------------------------------- the results file

HEADER = """\
# What is lost, and by whom

Written by `make bench-loss`, never by hand. {date}, {rounds} rounds, {system}, Linux {kernel}, {cpus} CPUs.
{versions}.

Each cell of the first two tables says how many requests were lost in all rounds together, of how many, and in
brackets round by round. A request is lost when it got no complete and correct answer: its connection was refused,
reset, or closed without one, the answer was cut short, or nothing came for {timeout} s. "crossed" is explained below.
"-": the server does not have the event.

"""
LEGEND = """\
## All figures

Sums of all rounds; of the gap the longest.

- **before**, **inside**: before the first octet of an answer to the first request of a connection, or within an answer.
- **crossed**: a request on a connection kept alive met the closing of that connection: it ended before the first
  octet of an answer. HTTP lets a client repeat the request when its method is idempotent (RFC 9110 9.2.2, RFC 9112
  9.3.1); a POST is lost. It is not counted as lost here, except after kill -9, where it is a request that the dead
  process held.
- **closed idle**: a connection kept alive was closed while nothing was asked on it. It costs a new connection and loses
  nothing.
- **gap**: the longest time in milliseconds in which nobody got an answer. Other work ran on this machine, so only its
  order of magnitude means something; this is a comparison of what is lost, not of speed.

"""
HOW = """\
## The same for everybody

- {conns} connections from `test/load/loadmeter.c`, which compares every octet, one file of 1 KiB, {rate} requests a
  second in all, each on a new connection (`Connection: close`) or on connections that are kept alive. Where everybody
  had to wait, for a server or for the busy machine, the pace was less, down to {slowest:.0f}. A load goes on until
  {after} s after its last event, then finishes what it has begun. Servers take turns within a round.
- {workers} workers, whatever a server calls so, and in the event "workers" other numbers of them, one after the other:
{units}
- An event is done when a new connection is answered by the new configuration (a field of the response tells), and the
  processes before it have left, or 4 s later. Times that it happens in one load: {times}.
- Configurations: the templates beside this file, with what the packaged versions offer against losses. nginx with and
  without `reuseport`, `worker_shutdown_timeout`; HAProxy in master-worker mode, which hands listeners to the new
  process by itself, `idle-close-on-response`, `hard-stop-after`, with one listener or one for each thread; lighttpd as
  one process, without and with `server.graceful-restart-bg`, and with workers, always with a socket from a service
  manager; Caddy with `grace_period`; h2o under the Server::Starter that it brings; Argand with its defaults.
- The kernel's `net.ipv4.tcp_migrate_req` is {migrate}; 0 is its default.

## What is done to whom

"""

def md_table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(c) for c in line) + " |\n" for line in lines) + "\n"


def summary_cell(peer, event, mode, out):
    if event not in peer.how:
        return "-"
    if not has(peer, event):
        return peer.how[event]
    rs = out[peer.name, event, mode]
    each, race = [lost(event, r) for r in rs], sum(r["race"] for r in rs)
    text = str(sum(each)) if not sum(each) else f"**{sum(each)}**"
    text += f" of {sum(r['begun'] for r in rs):,}"
    text += f" ({', '.join(map(str, each))})" if sum(each) and len(each) > 1 else ""
    return text + (f" + {race} crossed" if race and event != "kill" else "")


def figures_row(peer, event, mode, rs):
    def total(*kinds):
        return sum(r[k] for r in rs for k in kinds)
    return [peer.name, event, mode, EVENTS[event][0] * len(rs), total("begun"), sum(lost(event, r) for r in rs),
            *[total(*kinds) for kinds in LOST.values()], total("race"), total("idle_closed"),
            f"{max(r['longest_gap_ms'] for r in rs):.0f}"]


def migrate_req():
    with open("/proc/sys/net/ipv4/tcp_migrate_req", encoding="ascii") as f:
        return f.read().strip()


def results(peers, events, rounds, out):
    versions = {p.program: f"{p.name.split(' ')[0]} {p.version()}" for p in peers}
    paces = [r["begun"] / r["seconds"] for rs in out.values() for r in rs]
    units = "\n".join(f"  - {u or 'none, it is one process'}: {', '.join(p.name for p in peers if p.unit == u)}"
                      for u in dict.fromkeys(p.unit for p in peers))
    text = HEADER.format(date=datetime.date.today(), kernel=platform.release().split("-")[0], cpus=os.cpu_count(),
                         rounds=rounds, versions=", ".join(versions.values()), timeout=TIMEOUT,
                         system=platform.freedesktop_os_release()["PRETTY_NAME"])
    for mode, title in zip(MODES, ("A new connection for each request", "Kept-alive connections")):
        text += f"## {title}\n\n" + md_table(
            ["server", *[TITLES[e] for e in events]],
            [[p.name, *[summary_cell(p, e, mode, out) for e in events]] for p in peers])
    text += LEGEND + md_table(
        ["server", "event", "connections", "times", "requests", "lost", *LOST, "crossed", "closed idle", "gap ms"],
        [figures_row(p, e, m, out[p.name, e, m]) for e in events for m in MODES for p in peers if out[p.name, e, m]])
    text += HOW.format(conns=CONNS, rate=RATE, after=.5, workers=WORKERS, units=units,
                       slowest=min(paces), migrate=migrate_req(),
                       times=", ".join(f"{e} {EVENTS[e][0]}" for e in events))
    return text + md_table(["server", *[TITLES[e] for e in events]],
                           [[p.name, *[p.how.get(e, "-") for e in events]] for p in peers]).rstrip("\n") + "\n"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--peers", default="")
    ap.add_argument("--events", default=",".join(EVENTS))
    ap.add_argument("--out")
    args = ap.parse_args()
    wanted, events = args.peers.split(","), args.events.split(",")
    peers = [p for p in PEERS if not args.peers or p.name in wanted]
    missing = sorted({p.program for p in peers if not os.access(p.program, os.X_OK)})
    if missing or not peers or not set(events) <= set(EVENTS):
        sys.exit(f"loss: not there: {', '.join(missing)}" if missing else
                 f"loss: servers are {'; '.join(p.name for p in PEERS)}, events {', '.join(EVENTS)}")
    peers_adopt()
    out, failed = run(peers, events, args.rounds)
    text = results(peers, events, args.rounds, out)
    if failed:
        print(text)
        sys.exit(f"loss: {failed} could not be measured; no file was written")
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            f.write(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
