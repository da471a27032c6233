"""Bodies that pass through the kernel (splice): right, on time, back to nothing, and nobody ever gets another's octets.

That they did pass there is the counter bytes_spliced; what waits for much on the socket is seen by when octets arrive.
ARGAND_FULL=1: 256 MiB each; else smaller.
"""
import hashlib
import http.client
import os
import resource
import socket
import subprocess
import threading
import time

import pytest

import harness
from backends import pool, pool_status
from harness import FULL, patience, wait_for

MIB = 1 << 20
SIZE = (256 if FULL else 32) * MIB
UNIT = hashlib.sha256(b"splice").digest() * (MIB // 32)


def blocks(n):
    """No two MiB alike, and none of two uploads of different names."""
    for i in range(0, n, MIB):
        yield (b"%016d" % i + UNIT[16:])[:min(MIB, n - i)]


def digest(parts):
    h = hashlib.sha256()
    for b in parts:
        h.update(b)
    return h.hexdigest()


def start(server, conf, policy="auto", part="", gateway="", workers=1, site="", largest="8G"):
    s = server(workers=workers, start=False)
    s.rewrite(workers=workers, access_log=False, backends=conf, server=part, site=f'max_body = "{largest}"; {site}',
              routes=f'{{ path = "/app"; gateway = {{ backend = "app"; request_body = "{policy}"; {gateway} }}; }}')
    s.start()
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    s.born_with = ends(s)
    return s


def counter(s, name):
    return s.status()["counters"][name]


def descriptors(s):
    return sum(len(os.listdir(f"/proc/{p}/fd")) for p in s.workers())


def ends(s):
    """The ends of pipes that workers hold."""
    n = 0
    for p in s.workers():
        for fd in os.listdir(f"/proc/{p}/fd"):
            try:
                n += os.readlink(f"/proc/{p}/fd/{fd}").startswith("pipe:")
            except FileNotFoundError:
                pass
    return n


def pipes(s):
    """Pipes for bodies: what a worker was born with left aside."""
    return (ends(s) - s.born_with) / 2


def head(path, n, method="POST", close=True):
    return (f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\n"
            f"{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n").encode()


def upload(s, n, path="/app/hash", method="POST", piece=MIB):
    """(status, what the backend says) of an upload of n octets in writes of a piece."""
    host, port = s.address
    c = socket.create_connection((host, port), timeout=patience(60))
    with c:
        c.sendall(head(path, n, method))
        for b in blocks(n):
            for i in range(0, len(b), piece):
                c.sendall(b[i:i + piece])
        r = http.client.HTTPResponse(c)
        r.begin()
        return r.status, r.read()


def is_right(answer, n):
    import json
    status, text = answer
    said = json.loads(text)
    return status == 200 and said["length"] == n and said["sha256"] == digest(blocks(n))


class Backend:
    """One that does with its one connection at a time what a test says: serve(connection, head's fields' text)."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.serve, self.conns = serve, 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.conns += 1
            threading.Thread(target=self.one, args=(c,), daemon=True).start()

    def one(self, c):
        with c:
            try:
                self.serve(c)
            except OSError:
                pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture(name="backend")
def backend_fixture():
    made = []

    def make(serve):
        made.append(Backend(serve))
        return made[-1]
    yield make
    for b in made:
        b.stop()


def read_head(c):
    data = b""
    while b"\r\n\r\n" not in data:
        d = c.recv(4096)
        if not d:
            return None
        data += d
    return data.split(b"\r\n\r\n", 1)


# ------------------------------------------------------------------------------- right, both ways

@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
@pytest.mark.parametrize("policy", ["auto", "stream"])
def test_upload(server, peers, protocol, policy):
    app = peers(protocol, tcp=True)
    s = start(server, pool("app", app), policy)
    assert is_right(upload(s, SIZE), SIZE)
    assert counter(s, "bytes_spliced") > SIZE // 2, "it was read and written"
    assert is_right(upload(s, SIZE // 4, method="PUT"), SIZE // 4)
    wait_for(lambda: pipes(s) == 0, "idle pipes are closed", seconds=8)
    assert counter(s, "pipes") == 0 or wait_for(lambda: counter(s, "pipes") == 0, "the gauge")


@pytest.mark.parametrize("piece", [1448, 4096, 100001])
def test_upload_in_pieces(server, peers, piece):
    """Segments of any size; ends of every kind behind what was waited for."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream")
    for n in (65536, 131071, 2 * MIB - 1, 4 * MIB, 6 * MIB + 131073):
        assert is_right(upload(s, n, piece=piece), n), n


@pytest.mark.parametrize("response", ["stream", "spool", "buffer"])
def test_download(server, peers, response):
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), gateway=f'response_body = "{response}";')
    with s.connect(timeout=60) as c:
        for n in (SIZE, 65536, 200001):  # the connection is kept: what follows is its own
            c.transcript = []
            c.request(f"/app/body?n={n}")
            got = c.response().body
            whole = s.get(f"/app/body?n={n}&framing=chunked").body
            assert hashlib.sha256(got).digest() == hashlib.sha256(whole).digest() and len(got) == n
    if response != "buffer":
        assert counter(s, "bytes_spliced") > SIZE // 2
    wait_for(lambda: pipes(s) == 0, "idle pipes are closed", seconds=8)


def test_slow_reader_gets_all(server, peers):
    """What it does not take goes to memory and disk in order, pipes and all."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), gateway='response_body = "spool"; response_memory = "128k";')
    with s.connect(timeout=60, rcvbuf=65536) as c:
        c.request(f"/app/body?n={8 * MIB}")
        time.sleep(0.5)
        slow = hashlib.sha256(c.response().body).digest()
    assert slow == hashlib.sha256(s.get(f"/app/body?n={8 * MIB}&framing=chunked").body).digest()
    assert counter(s, "spool_bytes") == 0


def test_switched_off(server, peers):
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream", part="splice = false;")
    assert is_right(upload(s, 8 * MIB), 8 * MIB)
    assert len(s.get(f"/app/body?n={8 * MIB}").body) == 8 * MIB
    assert counter(s, "bytes_spliced") == 0 and pipes(s) == 0


def test_not_where_it_is_read(server, peers):
    """Bodies that are waited for or kept for another attempt, chunked ones, and short ones, are read."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "buffer")
    assert is_right(upload(s, 4 * MIB), 4 * MIB)
    assert is_right(upload(s, 4 * MIB, method="PUT"), 4 * MIB)
    assert counter(s, "bytes_spliced") == 0
    s = start(server, pool("app", app), "stream")
    for _ in range(20):
        assert is_right(upload(s, 60000), 60000)
    assert counter(s, "bytes_spliced") == 0


def test_no_pipes_to_be_had(server, peers):
    """No descriptor is left for a pipe: octets are read and written, and nothing fails."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream")
    assert is_right(upload(s, 4 * MIB), 4 * MIB)
    assert counter(s, "bytes_spliced") > 0
    wait_for(lambda: pipes(s) == 0, "idle pipes are closed", seconds=8)
    worker = s.workers()[0]
    was = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    used = {int(fd) for fd in os.listdir(f"/proc/{worker}/fd")}
    free = (n for n in range(100000) if n not in used)
    # One for the client; the connection to the backend is kept.
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (next(free) + 1, was[1]))
    before = counter(s, "bytes_spliced")
    assert is_right(upload(s, 4 * MIB), 4 * MIB)
    assert counter(s, "bytes_spliced") == before
    resource.prlimit(worker, resource.RLIMIT_NOFILE, was)
    wait_for(lambda: is_right(upload(s, 4 * MIB), 4 * MIB) and counter(s, "bytes_spliced") > before, "pipes again")


HOLDER = """
import fcntl, os, sys
ends = []
while True:
    ends.append(os.pipe())
    if fcntl.fcntl(ends[-1][0], fcntl.F_GETPIPE_SZ) < 65536:
        break
print(len(ends), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_no_pages_left(server, peers):
    """Another program of the same user has all the pages of pipes that the kernel gives it: a new pipe is too small."""
    app = peers("http", tcp=True)
    with open("/proc/sys/fs/pipe-user-pages-soft", encoding="ascii") as f:
        pages = int(f.read())
    if not 0 < pages <= 1 << 16:
        pytest.skip(f"pipe-user-pages-soft is {pages}")
    holder = subprocess.Popen(["/usr/bin/python3", "-c", HOLDER], user="www-data", group="www-data", extra_groups=[],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000)))
    try:
        assert int(holder.stdout.readline()) > 1
        s = start(server, pool("app", app), "stream", part='user = "www-data"; group = "www-data";')
        assert is_right(upload(s, 4 * MIB), 4 * MIB)
        assert len(s.get(f"/app/body?n={4 * MIB}").body) == 4 * MIB
        assert counter(s, "bytes_spliced") == 0 and pipes(s) == 0
    finally:
        holder.communicate(b"")
    wait_for(lambda: is_right(upload(s, 4 * MIB), 4 * MIB) and counter(s, "bytes_spliced") > 0, "pipes again")


# ------------------------------------------------------------------------------- on time

class Arrivals:
    """A backend that notes when each octet of a body has come."""

    def __init__(self):
        self.came, self.at = threading.Condition(), 0

    def __call__(self, c):
        while (got := read_head(c)) is not None:
            left = int(got[0].lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            data = got[1]
            while True:
                with self.came:
                    self.at += len(data)
                    self.came.notify_all()
                left -= len(data)
                if left == 0:
                    break
                data = c.recv(1 << 20)
                if not data:
                    return
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def wait(self, n, seconds=10):
        """Seconds until n octets had come."""
        begun = time.monotonic()
        with self.came:
            assert self.came.wait_for(lambda: self.at >= n, patience(seconds)), f"{self.at} of {n} octets came"
        return time.monotonic() - begun


def test_slow_pieces_pass_at_once(server, backend):
    """After a burst so fast that the socket is waited for until much has come, each small piece arrives."""
    arrivals = Arrivals()
    s = start(server, pool("app", backend(arrivals).host, protocol="http"), "stream")
    burst = 24 * MIB
    total = burst + 40 * 1000 + 131072 + 65536
    with socket.create_connection(s.address) as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.sendall(head("/app/x", total))
        for b in blocks(burst):
            c.sendall(b)
        first = arrivals.wait(burst)  # its rest, less than is waited for
        assert counter(s, "bytes_spliced") > burst // 2
        waits = []
        for i in range(40):
            c.sendall(b"y" * 1000)
            waits.append(arrivals.wait(burst + (i + 1) * 1000))
        waits.sort()
        assert first < patience(1)
        assert waits[20] < patience(0.01) and waits[-1] < patience(0.25), waits
        # A tail shorter than what is waited for.
        c.sendall(b"z" * (131072 + 65536))
        assert c.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("tail", [1, 1000, 65535, 131071, 131073, 262143])
def test_tail_arrives(server, backend, tail):
    """A last piece of any size, after a pause in which the socket is called readable for one octet again, or not yet."""
    arrivals = Arrivals()
    s = start(server, pool("app", backend(arrivals).host, protocol="http"), "stream")
    burst, done = 8 * MIB, 0
    with socket.create_connection(s.address) as c:
        for pause in (0, 0.005, 0.05):
            c.sendall(head("/app/x", burst + tail, close=False))
            for b in blocks(burst):
                c.sendall(b)
            time.sleep(pause)
            c.sendall(b"z" * tail)
            done += burst + tail
            assert arrivals.wait(done) < patience(1)
            assert c.recv(1000).startswith(b"HTTP/1.1 200")
        # What comes next on the connection is few octets, and nothing waits for more.
        c.sendall(head("/app/x", 5, close=False) + b"hello")
        assert c.recv(1000).startswith(b"HTTP/1.1 200")


def test_idle_timeout(server, backend):
    """A client that stops in the middle of its burst is too slow after timeout.body, as any other."""
    arrivals = Arrivals()
    s = start(server, pool("app", backend(arrivals).host, protocol="http"), "stream", site='timeout = { body = "1s"; };')
    with socket.create_connection(s.address) as c:
        c.sendall(head("/app/x", 64 * MIB))
        for b in blocks(16 * MIB):
            c.sendall(b)
        c.sendall(b"x" * 1000)
        begun = time.monotonic()
        arrivals.wait(16 * MIB + 1000)
        c.settimeout(patience(10))
        got = c.recv(1000)
        assert got.startswith(b"HTTP/1.1 408"), got
        assert 0.8 < time.monotonic() - begun < patience(4)


# ------------------------------------------------------------------------------- ends of every kind

def settled(s):
    """Nothing is in flight, and no pipe is left."""
    wait_for(lambda: pool_status(s)["in_flight"] == 0, "nothing is in flight")
    wait_for(lambda: pipes(s) == 0, "pipes are closed", seconds=8)


def test_early_answer(server, peers):
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream")
    app.may_err = True
    for i in range(20):
        how = "rst&ms=10" if i % 2 else "close"
        with socket.create_connection(s.address, timeout=patience(20)) as c:
            c.sendall(head(f"/app/early?after={MIB * (1 + i % 5)}&how={how}", 64 * MIB))
            try:
                for b in blocks(64 * MIB):
                    c.sendall(b)
            except (BrokenPipeError, ConnectionResetError):
                pass
            got = b""
            try:
                while d := c.recv(65536):
                    got += d
            except ConnectionResetError:
                pass
            assert got.startswith((b"HTTP/1.1 413", b"HTTP/1.1 502")) or not got
        assert is_right(upload(s, 2 * MIB), 2 * MIB)
    settled(s)


def test_too_large(server, peers):
    """max_body holds for what goes by unseen."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream", largest="10M")
    with s.connect(timeout=20) as c:
        c.send(head("/app/hash", 20 * MIB))
        assert c.response("POST").status == 413
    assert is_right(upload(s, 10 * MIB), 10 * MIB)
    app.may_err = True


def test_client_aborts(server, peers):
    """In the middle: by end, by reset; the next one on the same worker is whole."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream")
    app.may_err = True
    for i in range(12):
        with socket.create_connection(s.address) as c:
            c.sendall(head("/app/hash", 64 * MIB))
            for b in blocks((3 + i % 3) * MIB + i * 1111):
                c.sendall(b)
            if i % 2:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert is_right(upload(s, 3 * MIB), 3 * MIB)
    wait_for(lambda: app.stats()["active"] == 0, "the backend is told")
    settled(s)


def test_client_aborts_an_answer(server, peers):
    app = peers("http", tcp=True)
    s = start(server, pool("app", app))
    app.may_err = True
    for i in range(12):
        with socket.create_connection(s.address) as c:
            c.sendall(f"GET /app/body?n={64 * MIB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            n = 0
            while n < (1 + i) * 200000:
                n += len(c.recv(65536))
        r = s.get("/app/body?n=300001")
        assert r.status == 200 and r.body == s.get("/app/body?n=300001&framing=chunked").body
    settled(s)


def test_backend_dies(server, peers):
    """With octets in pipes, in both directions: what follows is right, on a connection of its own."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app, failover={"threshold": 1000}), "stream")
    for i in range(6):
        app.may_err = True
        with socket.create_connection(s.address, timeout=patience(20)) as c, \
                socket.create_connection(s.address, timeout=patience(20)) as d:
            c.sendall(head("/app/deaf?ms=60000" if i % 2 else "/app/hash", 64 * MIB))
            d.sendall(f"GET /app/body?n={256 * MIB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            c.settimeout(0.3)
            try:
                for b in blocks(64 * MIB):
                    c.sendall(b)
                    if not i % 2 and counter(s, "bytes_spliced") > 0:
                        break
            except TimeoutError:
                pass
            d.recv(200000)
            app.kill()
            c.settimeout(patience(20))
            try:
                assert c.recv(100).startswith(b"HTTP/1.1 502")
            except (BrokenPipeError, ConnectionResetError):
                pass
            while True:
                try:
                    if not d.recv(1 << 20):
                        break
                except ConnectionResetError:
                    break
        app.start()
        assert is_right(upload(s, 3 * MIB), 3 * MIB)
        assert s.get("/app/body?n=300001").body == s.get("/app/body?n=300001&framing=chunked").body
    settled(s)


def test_resent_as_before(server, peers, backend):
    """A body of which all is at hand is sent again to another host when the first one closes; a longer one is not."""
    first = backend(lambda c: read_head(c))
    second = peers("http", tcp=True)
    conf = pool("app", first.host, second, balance="round-robin", protocol="http", failover={"threshold": 1000})
    s = start(server, conf, "stream")
    for _ in range(6):
        assert is_right(upload(s, 50000, method="PUT"), 50000)
    assert first.conns > 0


def test_many_at_once(server, peers):
    """More transfers than pipes, both ways, some that nobody takes: all are right and nothing stays."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream", gateway='response_body = "stream";')
    wrong, stuck = [], []

    def up(i):
        n = 2 * MIB + i * 4099
        if not is_right(upload(s, n), n):
            wrong.append(("up", i))

    def down(i):
        n = 2 * MIB + i * 4099
        if s.get(f"/app/body?n={n}", timeout=60).body != s.get(f"/app/body?n={n}&framing=chunked", timeout=60).body:
            wrong.append(("down", i))
    for i in range(40):
        c = socket.create_connection(s.address)
        c.sendall(f"GET /app/body?n={64 * MIB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        stuck.append(c)
    ts = [threading.Thread(target=f, args=(i,)) for i in range(12) for f in (up, down)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()
    assert not wrong
    assert pipes(s) <= 64
    app.may_err = True
    for c in stuck:
        c.close()
    settled(s)


def test_reload_meanwhile(server, peers):
    """A transfer each way goes on over a reload, and its worker ends with it."""
    app = peers("http", tcp=True)
    s = start(server, pool("app", app), "stream")
    old = s.workers()
    with socket.create_connection(s.address, timeout=patience(30)) as c:
        c.sendall(head("/app/hash", 8 * MIB))
        parts = list(blocks(8 * MIB))
        for b in parts[:4]:
            c.sendall(b)
        s.cli("reload", check=0)
        for b in parts[4:]:
            c.sendall(b)
            time.sleep(0.02)
        r = http.client.HTTPResponse(c)
        r.begin()
        assert is_right((r.status, r.read()), 8 * MIB)
    wait_for(lambda: not set(old) & set(s.workers("draining")), "the old worker ends")


def test_descriptors_come_back(server, peers):
    app = peers("http", tcp=True)
    s = start(server, pool("app", app, keepalive=0), "stream")
    upload(s, MIB)
    wait_for(lambda: pipes(s) == 0, "pipes are closed", seconds=8)
    before = descriptors(s)
    for _ in range(3):
        assert is_right(upload(s, 4 * MIB), 4 * MIB)
        assert len(s.get(f"/app/body?n={4 * MIB}").body) == 4 * MIB
    wait_for(lambda: descriptors(s) <= before, "all descriptors came back", seconds=8)
