"""Uploads: whole at the backend, in every protocol and policy, and what they cost the server meanwhile.

Memory is the worker's peak (VmHWM, set back before), disk what went through write(2) to files (the worker's
counter spool_written, and where the file system counts them, write_bytes of /proc/PID/io beside it).

ARGAND_FULL=1: 1 GiB each, 1,000 early answers each, 200 slow uploads of 64 KiB; else smaller.
"""
import hashlib
import os
import random
import select
import socket
import subprocess
import threading
import time

import pytest

import harness
from backends import PROTOCOLS, pool, pool_status
from harness import FULL, figure, patience, wait_for

MIB = 1 << 20
SIZE = 1024 * MIB if FULL else 48 * MIB
POLICIES = ["auto", "buffer", "spool", "stream"]
TABLE = "gateway: uploads"
# How much more memory than before a worker may have. A sanitizer keeps what was freed for a while.
MEMORY = 4 * MIB if not harness.SANITIZED else 1 << 40
BLOCK = random.Random(11).randbytes(MIB)


def blocks(n):
    """The octets of an upload of n: no two MiB alike, so that one that is lost or doubled shows."""
    for i in range(0, n, MIB):
        yield (b"%016d" % i + BLOCK[16:])[:min(MIB, n - i)]


_digests = {}


def digest(n):
    if n not in _digests:
        h = hashlib.sha256()
        for b in blocks(n):
            h.update(b)
        _digests[n] = h.hexdigest()
    return _digests[n]


def start(server, conf, policy="auto", workers=1, more="", server_part=""):
    s = server(workers=workers, start=False)
    spool = os.path.join(s.tmp, "spool")
    os.makedirs(spool)
    os.chmod(spool, 0o777)
    s.rewrite(workers=workers, access_log=True, backends=conf, site='max_body = "8G";',
              server=f'spool: {{ directories = [ "{spool}" ]; }}; {server_part}',
              routes=f'{{ path = "/app"; gateway = {{ backend = "app"; request_body = "{policy}"; {more} }}; }}')
    s.start()
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


class Cost:
    """What workers use between two moments: peak memory, octets on disk."""

    def __init__(self, s):
        self.s, self.pids = s, s.workers()
        for p in self.pids:
            with open(f"/proc/{p}/clear_refs", "w", encoding="ascii") as f:
                f.write("5")  # VmHWM begins anew
        self.memory, self.disk = self.peak(), self.written()

    def peak(self):
        return sum(field(p, "status", "VmHWM") * 1024 for p in self.pids)

    def written(self):
        return self.s.status()["counters"]["spool_written"]

    def now(self):
        """(growth of memory, octets written)"""
        return self.peak() - self.memory, self.written() - self.disk


def field(pid, name, key):
    with open(f"/proc/{pid}/{name}", encoding="ascii") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise AssertionError(f"no {key} in /proc/{pid}/{name}")


def pss(pids):
    return sum(field(p, "smaps_rollup", "Pss") * 1024 for p in pids)


def upload(s, n, path="/app/hash", chunked=False, pace=None):
    """Sends n octets; the response. pace: called with the number sent so far before each block."""
    with s.connect(timeout=120) as c:
        c.transcript = Mute()
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {n}"
        c.send(f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{framing}\r\n\r\n")
        sent = 0
        for b in blocks(n):
            if pace:
                pace(sent)
            c.send(b"%x\r\n%b\r\n" % (len(b), b) if chunked else b)
            sent += len(b)
        if chunked:
            c.send(b"0\r\n\r\n")
        return c.response("POST")


class Mute(list):
    """A transcript of nothing: a GiB of it would be in memory."""

    def append(self, _):
        pass


# ------------------------------------------------------------------------------- whole, in bounded memory

@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large(server, peers, protocol, policy):
    app = peers(protocol)
    s = start(server, pool("app", app), policy)
    upload(s, 3 * MIB)
    cost, begun = Cost(s), time.monotonic()
    r = upload(s, SIZE)
    took = time.monotonic() - begun
    memory, disk = cost.now()
    figure(TABLE, upload=f"{SIZE // MIB} MiB, {protocol}, {policy}",
           sha256="right" if r.json()["sha256"] == digest(SIZE) else
           "WRONG", **{"MiB/s": SIZE / MIB / took, "memory KiB": memory / 1024, "disk MiB": disk / MIB})
    assert r.status == 200 and r.json()["length"] == SIZE and r.json()["sha256"] == digest(SIZE), r
    assert memory < MEMORY, f"memory grew by {memory}"
    if policy == "stream" or policy == "auto" and not harness.SANITIZED:  # its clock is not slow, only the server is
        assert disk == 0, f"{disk} octets on disk"
    if policy == "buffer":
        assert disk >= SIZE - 64 * 1024 - MIB, f"only {disk} octets on disk: where were the others?"
    assert os.listdir(os.path.join(s.tmp, "spool")) == [], "temporary files have no names"
    assert s.status()["counters"]["spool_bytes"] == 0, "what was forwarded is freed"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_chunked(server, peers, protocol):
    """Without a length: also where the protocol wants to know it before."""
    app = peers(protocol)
    for policy in POLICIES if FULL else ["auto", "stream"]:
        s = start(server, pool("app", app), policy)
        for n in (0, 1, 65536, 65537, 5 * MIB + 3):
            r = upload(s, n, chunked=True)
            assert r.status == 200 and (r.json()["length"], r.json()["sha256"]) == (n, digest(n)), (policy, n, r)
        s.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("policy", POLICIES)
def test_small_bodies(server, peers, protocol, policy):
    """Lengths around every boundary, on kept connections."""
    app = peers(protocol)
    s = start(server, pool("app", app), policy)
    with s.connect() as c:
        for n in (0, 1, 7, 8, 8185, 8186, 8187, 16384, 65535, 65536, 65537, 131072, 200001):
            body = b"".join(blocks(n))
            c.request("/app/hash", "POST", body=body)
            r = c.response()
            assert r.status == 200 and (r.json()["length"], r.json()["sha256"]) == (n, digest(n)), (n, r)
            assert r.json()["declared"] in (n, None)


def test_slow_backend(server, peers):
    """A backend that does not read: `stream` stops the client, `spool` takes all of it to disk; memory is bounded in both."""
    app, n = peers("fastcgi"), (200 if FULL else 40) * MIB
    for policy in ("stream", "spool"):
        s = start(server, pool("app", app), policy)
        cost, sent = Cost(s), [0]

        def pace(n_so_far):
            sent[0] = n_so_far
        answer = []
        t = threading.Thread(target=lambda: answer.append(upload(s, n, "/app/deaf?ms=1500", pace=pace)))
        t.start()
        time.sleep(1.2)
        so_far = sent[0]
        t.join(patience(60))
        memory, disk = cost.now()
        figure(TABLE, upload=f"backend deaf for 1.5 s, {policy}",
               sha256="right" if answer and answer[0].json()["sha256"] == digest(n)
               else "WRONG", **{"memory KiB": memory / 1024, "disk MiB": disk / MIB,
                                "taken meanwhile MiB": so_far / MIB})
        assert answer and answer[0].json()["sha256"] == digest(n)
        assert memory < MEMORY
        if policy == "stream":
            assert disk == 0 and so_far < n, "the client was not stopped"
        else:
            assert so_far >= n - MIB and disk > n / 2, "the client waited for the backend"
        s.stop()


# ------------------------------------------------------------------------------- slow clients

class Slow:
    """n uploads of size octets each, a KiB at a time; each step() sends one KiB on all."""

    def __init__(self, s, n, size):
        self.size, self.sent, self.socks = size, 0, []
        for _ in range(n):
            c = socket.create_connection(s.address, patience(10))
            c.sendall(b"POST /app/hash HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
            self.socks.append(c)

    def step(self, n=1024):
        n = min(n, self.size - self.sent)
        for c in self.socks:
            c.sendall(b"z" * n)
        self.sent += n

    def finish(self):
        """How many were answered rightly."""
        while self.sent < self.size:
            self.step()
        good, want = 0, hashlib.sha256(b"z" * self.size).hexdigest().encode()
        for c in self.socks:
            c.settimeout(patience(30))
            out = b""
            while d := c.recv(65536):
                out += d
            good += out.startswith(b"HTTP/1.1 200") and want in out
            c.close()
        return good


@pytest.mark.parametrize("policy", ["buffer", "auto"])
def test_slow_uploads_hold_no_backend(server, peers, policy):
    """200 clients of 20 KiB/s: no backend connection until a body is complete, and little memory each."""
    app, n, size = peers("fastcgi"), 200, 65536
    s = start(server, pool("app", app), policy)
    upload(s, MIB)
    time.sleep(0.2)
    app.zero()
    pids = s.workers()
    before, seen, held = pss(pids), [], 0
    slow = Slow(s, n, size)
    while slow.sent < size - 2048:
        slow.step()
        time.sleep(0.05)
        if slow.sent % 4096 == 0:
            seen.append((pss(pids) - before) / n / 1024)
            held = max(held, app.stats()["requests"])
    assert app.stats()["requests"] == 0 and pool_status(s)["in_flight"] == 0, "a backend is held by an unfinished body"
    good = slow.finish()
    each = sorted(seen)[len(seen) // 2]
    figure(TABLE, upload=f"{n} slow ones of {size // 1024} KiB, {policy}", sha256=f"{good} right",
           **{"memory KiB each": each, "peak": max(seen), "backends held": held})
    assert good == n
    if not harness.SANITIZED:  # the peak is higher when a busy machine lets many KiB wait in sockets at a time
        assert each < 8 and max(seen) < 16, f"KiB of memory for each: {seen}"


def test_auto_does_both(server, peers):
    """200 slow uploads hold no backend while a fast one of 256 MiB goes straight through, past the disk."""
    app, big = peers("fastcgi"), (256 if FULL else 64) * MIB
    s = start(server, pool("app", app), "auto")
    upload(s, MIB)
    slow = Slow(s, 200, 300 * 1024)
    for _ in range(20):
        slow.step()
        time.sleep(0.05)
    app.zero()
    cost, done = Cost(s), []
    of_slow = 200 * slow.sent - cost.disk  # what they have in memory still: it may go to disk at any time
    t = threading.Thread(target=lambda: done.append(upload(s, big)))
    begun, before = time.monotonic(), slow.sent
    t.start()
    while t.is_alive():
        slow.step(128)
        time.sleep(0.02)
        st = app.stats()
        assert st["requests"] <= 1 and st["open"] <= 2, f"slow ones hold backends: {st}"
        assert time.monotonic() - begun < patience(60)
    took = time.monotonic() - begun
    memory, disk = cost.now()
    of_slow += 200 * (slow.sent - before)
    requests = app.stats()["requests"]
    figure(TABLE, upload=f"auto: {big // MIB} MiB at full speed beside 200 slow ones", sha256="right" if done and
           done[0].json()["sha256"] == digest(big) else "WRONG", **{
               "MiB/s": big / MIB / took, "memory KiB": memory / 1024, "disk MiB": disk / MIB,
                   "backends held": requests - 1,
               "disk MiB, slow ones at most": of_slow / MIB})
    assert done and done[0].json()["sha256"] == digest(big)
    assert requests == 1, "only the fast one had a backend"
    if not harness.SANITIZED:  # its clock is not slow, only the server is
        assert disk <= of_slow, f"{disk} octets went to disk, the slow ones had {of_slow}"
    assert slow.finish() == 200


# ------------------------------------------------------------------------------- early answers

def early(s, path):
    """Sends 100 MiB until the answer is there; (the answer, octets sent, an error or None)."""
    block, sent, out, error = b"e" * 262144, 0, b"", None
    c = socket.create_connection(s.address, patience(10))
    with c:
        c.sendall(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (path.encode(), 100 * MIB))
        c.setblocking(False)
        end = time.monotonic() + patience(20)
        sending = True
        while True:
            assert time.monotonic() < end, f"no answer; {len(out)} octets of it, {sent} sent"
            can_read, can_write, _ = select.select([c], [c] if sending and sent < 100 * MIB else [], [], 1)
            if can_read:
                try:
                    d = c.recv(65536)
                except ConnectionResetError as e:
                    error = e
                    break
                if not d:
                    break
                out += d
                sending = False  # as a client does that sees the answer
            elif can_write:
                try:
                    sent += c.send(block)
                except (BrokenPipeError, ConnectionResetError) as e:
                    sending, error = False, e
    return out, sent, error


@pytest.mark.parametrize("protocol", ["fastcgi", "http"])
@pytest.mark.parametrize("how", ["close", "rst"])
@pytest.mark.parametrize("policy", ["stream", "spool", "auto"])
def test_early_answer(server, peers, protocol, how, policy):
    """413 after 1 KiB of 100 MiB, then the backend closes or resets: the client has the whole of it, always."""
    n = 1000 if FULL and policy == "stream" else 200 if FULL else 25
    app = peers(protocol, tcp=True)
    s = start(server, pool("app", app), policy, workers=2)
    whole = most = 0
    for _ in range(n):
        out, sent, error = early(s, f"/app/early?status=413&after=1024&how={how}&n=2000")
        head, _, body = out.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 "), f"{out[:300]!r} after {sent} octets, {error}"
        assert body.startswith(b"too large, says the application") and len(body) == 2000, f"{len(body)} of 2000: {error}"
        whole, most = whole + 1, max(most, sent)
    figure(TABLE, upload=f"413 after 1 KiB of 100 MiB, then {how}, {protocol}, {policy}",
           sha256=f"whole {whole} of {n}",
           **{"taken meanwhile MiB": most / MIB})
    assert whole == n


def test_before_the_body(server, peers):
    """An answer that comes before the body has been sent, from a backend that goes on reading."""
    for protocol in PROTOCOLS:
        app = peers(protocol)
        s = start(server, pool("app", app), "stream")
        r = upload(s, 2 * MIB, "/app/before")
        assert r.status == 200 and r.body == b"before the body\n", (protocol, r)
        s.stop()


# ------------------------------------------------------------------------------- limits

def test_too_large(server, peers):
    """max_body: 413 before an octet is read, and the backend is not asked."""
    app = peers("fastcgi")
    s = start(server, pool("app", app), "stream", more="")
    s.rewrite(workers=1, backends=pool("app", app), site='max_body = "1M";',
              routes='{ path = "/app"; gateway = "app"; }')
    s.cli("reload", check=0)
    with s.connect() as c:
        c.send("POST /app/hash HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")
        assert c.response().status == 413
    with s.connect() as c:
        c.send("POST /app/hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send(b"100000\r\n" + b"x" * MIB + b"\r\n1\r\nx\r\n")
        assert c.response().status == 413
    # What came before the limit was reached may have been forwarded, but never as a complete request.
    assert app.stats()["active"] == 0


def test_disk_full(server, peers):
    """No room: 507 and a line that says where, and the backend sees no half of a request."""
    app = peers("fastcgi")
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    s = start(server, pool("app", app), "buffer")
    small = os.path.join(s.tmp, "small")
    os.makedirs(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0777", "tmpfs", small], capture_output=True,
                      check=False).returncode:
        pytest.skip("cannot mount a small file system")
    try:
        conf = dict(workers=1, backends=pool("app", app), site='max_body = "8G";',
                    routes='{ path = "/app"; gateway = { backend = "app"; request_body = "buffer"; }; }')
        s.rewrite(server=f'spool: {{ directories = [ "{small}" ]; max = "none"; }};', **conf)
        s.cli("reload", check=0)
        wait_for(lambda: not s.workers("draining"), "the new workers")
        out, _, error = early(s, "/app/hash")
        assert out.startswith(b"HTTP/1.1 507 "), (out[:200], error)
        s.wait_log(small)
        assert app.stats()["requests"] == 0
        s.rewrite(server=f'spool: {{ directories = [ "{small}", "{s.tmp}/spool" ]; }};', **conf)
        s.cli("reload", check=0)
        wait_for(lambda: not s.workers("draining"), "the new workers")
        r = upload(s, 10 * MIB)
        assert r.status == 200 and r.json()["sha256"] == digest(10 * MIB), "the next directory was not taken"
    finally:
        s.stop()
        subprocess.run(["umount", small], check=False)


def test_client_gone(server, peers):
    """A client that leaves in the middle of its body: the backend is not left waiting, and sees no complete request."""
    for protocol in PROTOCOLS:
        app = peers(protocol)
        s = start(server, pool("app", app), "stream")
        with s.connect() as c:
            c.send(b"POST /app/hash HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 200000)
            wait_for(lambda: app.stats()["requests"] == 1, "the backend is asked")
        wait_for(lambda: app.stats()["active"] == 0, f"{protocol}: the backend is told")
        assert pool_status(s)["in_flight"] == 0
        app.may_err = True
        s.stop()

