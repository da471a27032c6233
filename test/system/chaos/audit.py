"""What must be true when a chaos run is over and its backends are well again: nothing is left of it, and what was
told adds up."""
import collections
import os
import re
import time

import harness
from backends import PROTOCOLS
from chaos import clients, talks
from chaos.plan import Talk
from harness import wait_for

DEATH = re.compile(r"worker \d+ \(pid (\d+)\) of generation \d+ (killed by .*|ended with status [1-9].*)")
LINE = re.compile(r'[0-9.]+ - \S+ \[[^]]+\] "(?:[^"\\]|\\.)*" [1-5]\d\d (?:\d+|-) "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*"')
# Of a log that has one of these, somebody must read more.
NEVER = re.compile(r"must\(|no legal transition|Sanitizer|runtime error|Assertion|was not ready|killing it|has not finished in time|cut short")


def ordinary(world, strict):
    """One ordinary request on every route. strict: each must be answered as it should be, else the number that was."""
    person, ok = clients.Person(world, Talk(0, "ordinary", "ordinary")), 0
    for protocol in PROTOCOLS:
        for q in talks.REQUEST_BODIES:
            for r in talks.RESPONSE_BODIES:
                path = f"/{protocol}/{q}/{r}/hash"
                body = f"{path} {'x' * 5000}".encode()
                person.connect()
                person.send(person.head("POST", path, [("Connection", "close")], len(body)) + body)
                a = person.c.response("POST")
                world.book.answered(a.status)
                is_right = a.status == 200 and a.json()["sha256"] == clients.digest(body)
                assert is_right or not strict, f"{path} after all is well again: {a}"
                ok += is_right
    for name, data in clients.FILES.items():
        person.connect()
        person.send(person.head("GET", "/" + name, [("Connection", "close")]))
        a = person.c.response("GET")
        world.book.answered(a.status)
        assert (a.status, a.body) == (200, data), name
    person.c.close()
    return ok


def all_well(world):
    n = len(PROTOCOLS) * len(talks.REQUEST_BODIES) * len(talks.RESPONSE_BODIES)
    wait_for(lambda: ordinary(world, False) == n, "every route answers as it should", 30)
    ordinary(world, True)


def left(world):
    """What is still under way, by name; {}: nothing."""
    st = world.s.status()
    out = {k: st["counters"][k] for k in ("requests_active", "connections", "connections_idle", "spool_bytes", "pipes")}
    out |= {f"{p['name']} {k}": p[k] for p in st["pools"] for k in ("in_flight", "queued")}
    out |= {f"{p['name']} {h['host']} in_flight": h["in_flight"] for p in st["pools"] for h in p["hosts"]}
    out["generations but one"] = len(st["generations"]) - 1
    out["workers too many or few"] = len(st["workers"]) - st["workers_wanted"]
    out["processes too many or few"] = len(harness.session_pids(world.s.sid)) - 1 - st["workers_wanted"]
    return {k: v for k, v in out.items() if v}


def log_lines(world):
    """The access log, when all that waits is written: after a second, by default."""
    lines, since = None, 0
    while lines is None or time.monotonic() - since < 1.5:
        now = world.s.access_log().splitlines()
        if lines is None or len(now) != len(lines):
            lines, since = now, time.monotonic()
        time.sleep(0.1)
    return lines


def quiet(world):
    end = time.monotonic() + harness.patience(40)
    while what := left(world):
        assert time.monotonic() < end, f"left when all is over: {what}"
        time.sleep(0.05)


def files(world, pid):
    """The descriptors of a process, how many of each kind. Files below the root are the file cache's."""
    kinds = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            name = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if not name.startswith(world.s.root):
            kinds[re.sub(r"\[\d+\]|/#\d+", "", name)] += 1
    return kinds


def baseline(world):
    """Descriptors of the master, and the most that a worker has of each kind, when nothing is under way."""
    quiet(world)
    most = collections.Counter()
    for pid in world.s.workers():
        most |= files(world, pid)
    return files(world, world.s.pid), most


def descriptors(world, before):
    def more():
        now = baseline(world)
        return {"master": dict(now[0] - before[0]), "a worker": dict(now[1] - before[1])}
    end = time.monotonic() + harness.patience(20)
    while any((what := more()).values()):
        assert time.monotonic() < end, f"descriptors that were not there before: {what}"
        time.sleep(0.1)
    spool = os.listdir(os.path.join(world.s.tmp, "spool"))
    assert not spool, f"spool files: {spool}"


def deaths(world):
    log = world.s.error_log()
    for m in DEATH.finditer(log):
        assert int(m[1]) in world.killed and m[2] == "killed by SIGKILL", f"a death that nobody ordered: {m[0]}"
    n = world.s.status()["worker_deaths"]
    assert n <= len(world.kills), f"{n} deaths, of which {len(world.kills)} were ordered"
    said = [line for line in log.splitlines() if NEVER.search(line)]
    assert not said, "in the error log:\n" + "\n".join(said[:10])
    assert world.s.proc.poll() is None, "the master is gone"
    assert not world.s.sanitizer_reports()


def why_lost(world, loss):
    """What explains that an answer did not come whole; None: nothing does."""
    if world.was_killed(loss.begun, loss.ended, loss.workers):
        return "its worker was killed"
    if loss.pool == "*":
        return "the backend was asked to do so"
    if loss.pool and loss.is_begun and world.was_troubled(loss.pool, loss.begun, loss.ended):
        return "its backend was in trouble, and the answer had begun"
    if not loss.is_sent:
        return "it was refused before all of it had come"
    return None


def losses(world):
    odd = [x for x in world.book.losses if not why_lost(world, x)]
    assert not odd, f"{len(odd)} answers were lost for no reason, the first:\n" + "\n".join(
        f"  {x.begun - world.began:.3f} to {x.ended - world.began:.3f} pool {x.pool!r} workers {x.workers} {x.what}"
        for x in odd[:3])
    assert not world.book.faults, f"{len(world.book.faults)} answers were wrong, the first:\n" + "\n".join(world.book.faults[:3])


def counters(world):
    """What the server counted is what the clients know, but for what killed workers took along."""
    c, book = world.s.status()["counters"], world.book
    slack = len(world.kills) * 24  # no more than there are clients at a time
    classes = {k: c[f"responses_{k}xx"] for k in (2, 3, 4, 5)}
    assert abs(c["requests"] - sum(classes.values())) <= len(world.kills), (c["requests"], classes)
    whole = sum(book.whole.values())
    assert whole - slack <= c["requests"] <= book.heads + book.conns, \
        f"{whole} whole answers, {c['requests']} requests counted, {book.heads} heads on {book.conns} connections"
    for k, n in classes.items():
        assert book.whole[k] - slack <= n, f"{book.whole[k]} answers {k}xx came whole, {n} are counted"
    assert c["connections_accepted"] <= book.conns + 20, (c["connections_accepted"], book.conns)
    assert whole * 2 >= c["requests"], f"only {whole} of {c['requests']} requests were answered whole: no test at all"


def access_log(world):
    """A line for each request, whole; but a killed worker takes along what it had not written."""
    lines = log_lines(world)
    odd = [x for x in lines if not LINE.fullmatch(x)]
    assert len(odd) <= len(world.kills), f"{len(odd)} odd lines in the access log: {odd[:5]}"
    c = world.s.status()["counters"]
    assert c["log_lines"] <= len(lines) <= c["requests"] and c["log_lines_lost"] == 0, (len(lines), c)
    assert world.kills or c["log_lines"] == len(lines) == c["requests"], (len(lines), c)
