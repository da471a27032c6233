"""Node by HTTP: pages, early hints, streaming, and a WebSocket with frames of every length."""
import base64
import hashlib
import os
import random
import struct

import harness
from apps import App, Browser, can_connect, need
from harness import wait_for

HERE = os.path.join(harness.TOP, "test/system/applications")
KEY = base64.b64encode(b"0123456789abcdef").decode()
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
RNG = random.Random(6)


def start(server, tmp, app=None, **kw):
    need("node")
    port = harness.free_port()
    app = App(tmp, "node", ["node", HERE + "/server.js", str(port)], lambda: can_connect(("127.0.0.1", port)))
    return app, server(routes='{ path = "/closed"; gateway = { backend = "node"; upgrade = [ ]; }; }, '
                              '{ path = "/"; gateway = "node"; }',
                       backends=f'node = {{ protocol = "http"; hosts = [ "127.0.0.1:{port}" ]; }};', **kw)


def frame(opcode, data, fin=True):
    mask = RNG.randbytes(4)
    n = len(data)
    head = bytes([(0x80 if fin else 0) | opcode])
    if n < 126:
        head += bytes([0x80 | n])
    else:
        head += b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
    if n % 4:
        body = bytes(b ^ mask[i & 3] for i, b in enumerate(data))
    else:
        body = (int.from_bytes(data, "big") ^ int.from_bytes(mask * (n // 4), "big")).to_bytes(n, "big")
    return head + mask + body


def take(c):
    b0, n = c.take(2)
    assert n < 128, "a server does not mask"
    if n == 126:
        n = struct.unpack(">H", c.take(2))[0]
    elif n == 127:
        n = struct.unpack(">Q", c.take(8))[0]
    return b0 & 15, c.take(n)


def upgrade(s, path="/ws"):
    c = s.connect()
    c.request(path, headers={"Connection": "keep-alive, Upgrade", "Upgrade": "websocket",
                             "Sec-WebSocket-Version": "13",
                             "Sec-WebSocket-Key": KEY, "Origin": "http://localhost"})
    head = c.take_until(b"\r\n\r\n").decode()
    assert head.startswith("HTTP/1.1 101 ") and ACCEPT in head, head
    assert "\r\nupgrade: websocket" in head.lower() and "\r\nconnection: upgrade" in head.lower(), head
    return c


def test_pages(server, tmp):
    app, s = start(server, tmp)
    try:
        b, body = Browser(s), RNG.randbytes(2 << 20)
        r = b.ask("POST", "/hash?x=1", body)
        assert r.status == 200 and hashlib.sha256(body).hexdigest() in r.text and '"url":"/hash?x=1"' in r.text
        assert b.cookies == {"a": "1", "b": "2"}
        assert '"x-forwarded-for":"127.0.0.1"' in r.text and '"x-forwarded-proto":"http"' in r.text, r.text
        r = s.get("/early")
        assert [i.status for i in r.interim] == [103] and r.status == 200
        assert "style.css" in r.interim[0]["Link"]
        assert s.get("/pieces").body.count(b"piece") == 10
    finally:
        app.stop()


def test_websocket(server, tmp):
    app, s = start(server, tmp)
    try:
        with upgrade(s) as c:
            for n in (0, 1, 125, 126, 65535, 65536, 4 << 20):
                data = RNG.randbytes(n)
                c.send(frame(2, data))
                opcode, got = take(c)
                assert opcode == 2 and got == data, f"{n} octets came back wrong: {len(got)}"
            c.send(frame(1, "hällo".encode()) + frame(9, b"ping"))
            assert take(c) == (1, "hällo".encode()) and take(c) == (10, b"ping")
            c.send(frame(1, b"octet by octet"), split=True)
            assert take(c) == (1, b"octet by octet")
            c.send(frame(8, struct.pack(">H", 1000)))
            assert take(c) == (8, struct.pack(">H", 1000))
            c.expect_closed()
    finally:
        app.stop()


def test_websocket_survives_reload(server, tmp):
    """What was begun goes on; a client that leaves takes its backend connection along."""
    app, s = start(server, tmp)
    try:
        with upgrade(s) as c:
            s.rewrite(server="keepalive_requests = 99;", routes='{ path = "/"; gateway = "node"; }',
                      backends=s.text.split("backends = {")[1].split("};\nsites")[0])
            s.cli("reload", check=0)
            for i in range(5):
                c.send(frame(1, b"after the reload %d" % i))
                assert take(c) == (1, b"after the reload %d" % i)
        wait_for(lambda: not s.workers("draining"), "the old generation ends with its last tunnel")
    finally:
        app.stop()


def test_no_upgrade_where_none_is_permitted(server, tmp):
    app, s = start(server, tmp)
    try:
        r = s.get("/closed", headers=[("Connection", "Upgrade, close"), ("Upgrade", "websocket"),
                                      ("Sec-WebSocket-Version", "13"),
                                ("Sec-WebSocket-Key", KEY)])
        assert r.status == 200, r
    finally:
        app.stop()
