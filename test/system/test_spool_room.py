"""How much disk bodies may have: a bound for all workers together, and what happens at it. The clients
here are slow ones, who let an answer wait, and uploads."""
import os
import subprocess

import pytest

from backends import pool
from backends.behave import pattern
from harness import wait_for
from test_gateway_upload import Mute

MIB = 1 << 20
MAX = 16 * MIB


def start(server, app, spool="", workers=2, more=""):
    s = server(workers=workers, start=False)
    room = os.path.join(s.tmp, "room")
    os.makedirs(room, exist_ok=True)
    os.chmod(room, 0o777)
    configure(s, app, f'directories = [ "{room}" ]; {spool}', workers, more)
    s.start()
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def configure(s, app, spool, workers=2, more=""):
    s.rewrite(workers=workers, backends=pool("app", app), server=f"spool: {{ {spool} }};", site='max_body = "8G";',
              routes='{ path = "/app/whole"; gateway = { backend = "app"; request_body = "buffer"; }; }, '
                     f'{{ path = "/app"; gateway = {{ backend = "app"; {more} }}; }}')


def on_disk(s):
    return s.status()["counters"]["spool_bytes"]


def slow_readers(s, n, size):
    """Clients that ask for a large answer and take nothing of it."""
    out = []
    for _ in range(n):
        c = s.connect(rcvbuf=4096, timeout=60)
        c.transcript = Mute()
        c.request(f"/app/body?n={size}")
        out.append(c)
    return out


def settled(s):
    """What waits on disk when it no longer grows."""
    last = [-1, 0]

    def still():
        n = on_disk(s)
        last[1] = last[1] + 1 if n == last[0] else 0
        last[0] = n
        return last[1] >= 10
    wait_for(still, "the disk use is steady", 30, 0.05)
    return last[0]


def test_slow_readers_of_all_workers(server, peers):
    """They took as much as each of their answers could have: 30 answers of 8 MiB, 240 MiB. Now three quarters
    of spool.max, whatever worker serves them, and a step that each worker may be beyond it. Uploads that have
    to be complete find room; and all get what they asked for."""
    app = peers("fastcgi")
    s = start(server, app, f'max = "{MAX}";', more='response_disk = "1G";')
    clients = slow_readers(s, 30, 8 * MIB)
    wait_for(lambda: on_disk(s) > MAX // 2, "answers wait on disk", 30)
    wait_for(lambda: s.status()["counters"]["spool_refused"] > 0, "the bound is met", 30)
    n = settled(s)
    assert n <= MAX * 3 // 4 + 2 * MIB, f"{n / MIB:.1f} MiB on disk"
    assert s.error_log().count("spool.max, 16777216 octets, is reached") in (1, 2), "once for each worker"
    status = s.status()
    assert status["counters"]["spool_full"] >= 1 and any("spool.max" in w for w in status["warnings"])
    assert "no room on disk" in s.cli("status").stdout
    r = s.ask("POST", "/app/whole/hash", body=pattern(1 * MIB), timeout=30)
    assert r.status == 200, "an upload finds the quarter that is kept for it"
    want = pattern(8 * MIB)
    for c in clients[:4]:
        assert c.response().body == want
    for c in clients:
        c.close()
    wait_for(lambda: on_disk(s) == 0, "the disk is free again", 30)
    wait_for(lambda: "there is room for bodies on disk again" in s.error_log(), "that it is over", 30)
    wait_for(lambda: s.status()["counters"]["spool_full"] == 0 and not
             any("spool.max" in w for w in s.status()["warnings"]), "the status says nothing any more", 30)


def test_uploads_at_the_bound(server, peers):
    """A body that must be complete gets 507; one that need not be waits with its client."""
    app = peers("fastcgi")
    s = start(server, app, 'max = "64k";', workers=1, more='request_body = "spool";')
    with s.connect(timeout=30) as c:
        c.transcript = Mute()
        c.request("/app/whole/hash", method="POST", headers=[("Content-Length", str(4 * MIB))])
        c.sock.settimeout(30)
        try:
            c.send(pattern(4 * MIB))
        except OSError:
            pass  # the answer is there
        assert c.response("POST").status == 507
    s.wait_log("spool.max, 65536 octets, is reached")
    r = s.ask("POST", "/app/hash", body=pattern(4 * MIB), timeout=60)
    assert r.status == 200 and r.json()["length"] == 4 * MIB, r.body


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("spool,least,most", [('', 0, 5 * MIB), ('max = "50%";', 5 * MIB, 10 * MIB),
                                              ('max = "90%"; ', 10 * MIB, 20 * MIB), ('max = "1T";', 10 * MIB, 20 * MIB),
                                              ('max = "none";', 15 * MIB, 20 * MIB)])
def test_share_of_a_small_file_system(server, peers, spool, least, most):
    """20 MiB of it, and slow readers for 64: the share by default is a quarter, a twentieth stays free in any case
    but "none"; what does not fit costs a line, and no worker."""
    app = peers("fastcgi")
    s = start(server, app, spool, workers=1, more='response_disk = "1G";')
    small = os.path.join(s.tmp, "small")
    os.makedirs(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0777", "tmpfs", small], capture_output=True,
                      check=False).returncode:
        pytest.skip("cannot mount a small file system")
    try:
        configure(s, app, f'directories = [ "{small}" ]; {spool}', workers=1, more='response_disk = "1G";')
        s.cli("reload", check=0)
        wait_for(lambda: not s.workers("draining"), "the new worker")
        workers = s.workers()
        clients = slow_readers(s, 8, 8 * MIB)
        wait_for(lambda: s.status()["counters"]["spool_refused"] > 0, "there is no room", 30)
        n, fs = settled(s), os.statvfs(small)
        assert least <= n <= most, f"{n / MIB:.1f} MiB"
        assert "none" in spool or fs.f_bfree >= fs.f_blocks // 20 - 256, "a twentieth stays free, but for a step"
        assert s.error_log().count("is reached") + s.error_log().count("no spool directory takes") == 1
        assert clients[0].response().body == pattern(8 * MIB)
        for c in clients:
            c.close()
        assert s.workers() == workers and s.status()["worker_deaths"] == 0
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def test_spellings(server):
    s = server()
    for value, said in [('"25%"', None), ('"1%"', None), ('"100%"', None), ('"none"', None), ("0", None), ('"20G"', None),
                        ('"0%"', "1%"), ('"101%"', "100%"), ('"x%"', "100%"), ('"all"', 'a share such as "25%"'), ("5", '"5"')]:
        s.rewrite(server=f"spool: {{ max = {value}; }};")
        done = s.cli("check")
        assert (done.returncode == 0) == (said is None), (value, done.stderr)
        if said:
            assert said in done.stderr and "'spool.max' wants" in done.stderr, (value, done.stderr)
