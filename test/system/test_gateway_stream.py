"""Responses that never end, clients that do not read, and what a client's leaving means to a backend."""
import os
import time

import pytest

from backends import PROTOCOLS, pool, pool_status
from backends.behave import pattern
from harness import FULL, SLOW, figure, wait_for
from test_gateway_upload import MEMORY, Cost, Mute

MIB = 1 << 20
TABLE = "gateway: streams"


def start(server, conf, more="", **kw):
    s = server(workers=1, start=False)
    spool = os.path.join(s.tmp, "spool")
    os.makedirs(spool)
    os.chmod(spool, 0o777)
    s.rewrite(workers=1, backends=conf, server=f'spool: {{ directories = [ "{spool}" ]; }};',
              routes=f'{{ path = "/app"; gateway = {{ backend = "app"; {more} }}; }}', **kw)
    return s.start()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_endless(server, peers, protocol):
    """4 KiB every 100 ms, for ever: the first octet and each piece are there within 50 ms, byte for byte."""
    app, pieces = peers(protocol), 600 if FULL else 20
    s = start(server, pool("app", app))
    with s.connect() as c:
        asked = time.monotonic()
        c.request("/app/stream?piece=4096&ms=100", headers={"User-Agent": "player"})
        head = c.take_until(b"\r\n\r\n")
        first = (time.monotonic() - asked) * 1000
        assert head.startswith(b"HTTP/1.1 200 ") and b"audio/mpeg" in head, head
        chunked = b"chunked" in head.lower()
        late, rest, mark = [], b"", b""
        for i in range(pieces):
            piece = rest
            while len(piece) < 4096:
                if chunked:  # the end of a chunk may come with the next one
                    assert c.take(len(mark)) == mark
                    n, mark = int(c.take_until(b"\r\n")[:-2], 16), b"\r\n"
                    assert n, "it ended"
                    piece += c.take(n)
                else:
                    piece += c.take(4096 - len(piece))
            now = time.monotonic_ns()
            piece, rest = piece[:4096], piece[4096:]
            written, number = piece.split()[:2]
            assert int(number) == i and piece.endswith(b".\n"), piece[:40]
            late.append((now - int(written)) / 1e6)
    late.sort()
    figure(TABLE, stream=f"endless, {protocol}", pieces=pieces,
           **{"first octet ms": first, "piece ms, median": late[len(late) // 2],
                                                                "most": late[-1]})
    assert first < 50 * SLOW, first
    # One in a hundred may meet a busy machine; the table tells the longest.
    assert late[-2 - len(late) // 100] < 50 * SLOW and late[-1] < 500 * SLOW, late[-10:]
    wait_for(lambda: app.stats()["active"] == 0, "the backend is told that the client left")
    assert pool_status(s)["in_flight"] == 0


@pytest.mark.parametrize("policy", ["spool", "stream"])
@pytest.mark.parametrize("protocol", ["fastcgi", "http"])
def test_stalled_client(server, peers, protocol, policy):
    """A client that stops reading an endless flood: the backend is stopped at the limit; memory and disk are bounded."""
    app, disk_max = peers(protocol), 8 * MIB
    s = start(server, pool("app", app), f'response_body = "{policy}"; response_memory = "256k"; response_disk = "8M";')
    cost = Cost(s)
    with s.connect(rcvbuf=65536) as c:
        c.request("/app/flood")
        c.take_until(b"\r\n\r\n")
        last, still, end = -1, 0, time.monotonic() + 20 * SLOW
        while still < 5:
            time.sleep(0.2)
            now = app.stats()["octets_out"]
            still, last = still + 1 if now == last else 0, now
            assert time.monotonic() < end, f"the backend is never stopped: {now}"
        memory, disk = cost.now()
        on_disk = s.status()["counters"]["spool_bytes"]
        figure(TABLE, stream=f"flood to a stalled client, {protocol}, {policy}", **{
            "taken from the backend MiB": last / MIB, "memory KiB": memory / 1024, "on disk MiB": on_disk / MIB})
        assert memory < MEMORY, memory
        assert on_disk <= disk_max + MIB and disk <= disk_max + 2 * MIB, (on_disk, disk)
        if policy == "stream":
            assert disk == 0, disk
        c.transcript = Mute()
        got = c.take(last + 4 * MIB)  # it goes on when the client does
        assert len(got) == last + 4 * MIB
        wait_for(lambda: app.stats()["octets_out"] > last, "the backend goes on")
    wait_for(lambda: app.stats()["active"] == 0, "the backend is told that the client left")
    wait_for(lambda: s.status()["counters"]["spool_bytes"] == 0, "the disk is free again")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_large_responses(server, peers, protocol):
    """Every policy, every framing: byte for byte."""
    app, n = peers(protocol), (200 if FULL else 20) * MIB
    want = pattern(n)
    for policy in ("spool", "stream", "buffer"):
        s = start(server, pool("app", app), f'response_body = "{policy}"; response_disk = "1G";')
        for framing in ("length", "chunked", "close"):
            with s.connect(timeout=60) as c:
                c.transcript = Mute()
                c.request(f"/app/body?n={n}&framing={framing}")
                r = c.response()
                assert r.status == 200 and r.body == want, (policy, framing, len(r.body))
                if framing == "length" or policy == "buffer":
                    assert r.framing == "length"
        s.stop()


def test_slow_client_frees_the_backend(server, peers):
    """`spool`: the backend is done long before a slow client is."""
    app, n = peers("fastcgi"), 30 * MIB
    s = start(server, pool("app", app), 'response_body = "spool"; response_disk = "1G";')
    cost = Cost(s)
    with s.connect(rcvbuf=16384) as c:
        c.transcript = Mute()
        c.request(f"/app/body?n={n}")
        wait_for(lambda: app.stats()["requests"] == 1 and app.stats()["active"] == 0, "the backend is free")
        memory, disk = cost.now()
        figure(TABLE, stream=f"{n // MIB} MiB to a client that reads nothing, spool", **{"memory KiB": memory / 1024,
               "on disk MiB": disk / MIB})
        assert memory < MEMORY and disk > 20 * MIB
        assert pool_status(s)["in_flight"] == 0
        assert c.response().body == pattern(n)


def test_accel_buffering_no(server, peers):
    """A backend may ask not to be buffered: each piece comes although the policy is `buffer`."""
    app = peers("fastcgi")
    s = start(server, pool("app", app), 'response_body = "buffer";')
    with s.connect() as c:
        c.request("/app/stream?piece=100&ms=50&nobuf=1")
        head = c.take_until(b"\r\n\r\n")
        assert b"x-accel-buffering" not in head.lower()
        c.take_until(b"0000000003 ")


def test_client_gone_is_told(server, peers):
    """Each protocol in its way; but not where the application is to finish in any case."""
    for protocol in PROTOCOLS:
        app = peers(protocol)
        s = start(server, pool("app", app))
        with s.connect() as c:
            c.request("/app/stream?piece=100&ms=20")
            c.take_until(b"0000000001 ")
        wait_for(lambda: app.stats()["active"] == 0, f"{protocol}: the backend is told")
        s.stop()
    app = peers("fastcgi")
    s = start(server, pool("app", app), "ignore_client_abort = true;")
    with s.connect() as c:
        c.request("/app/slow-head?ms=700")
        wait_for(lambda: app.stats()["active"] == 1, "it is asked")
    time.sleep(0.3)
    assert app.stats()["active"] == 1 and app.stats()["gone"] == 0
    wait_for(lambda: app.stats()["active"] == 0, "it has finished")
    assert app.stats()["gone"] == 0 and app.stats()["aborts"] == 0
