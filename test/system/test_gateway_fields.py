"""Which fields pass the gateway, both ways: heads, interim heads, trailers; and changes of protocol."""
import pathlib
import re

import pytest

import harness
from test_gateway_http import OK, script, start  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]


def seen(back, n=-1):
    """The last request's fields, names in lower case."""
    fields = {}
    for line in back.seen[n].split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        fields.setdefault(name.lower(), []).append(value)
    return fields


# --- requests

SPELT = [("X_Remote_User", "admin"), ("X.Remote-User", "admin"), ("X_Forwarded_Proto", "https"), ("X_Real_IP", "1.1.1.1"),
         ("Content_Length", "30"), ("Transfer_Encoding", "chunked"), ("X_Original_URL", "/admin"), ("Proxy_", "x")]


@pytest.mark.parametrize("names", ["plain", "any"])
def test_no_name_is_taken_for_another(server, script, names):  # noqa: F811
    back = script(OK)
    s = start(server, back, f'set = "X-Remote-User: $user"; remove = "X-Gone"; field_names = "{names}";')
    s.get("/", headers=SPELT + [("X_Gone", "1"), ("X-Plain", "2"), ("x_odd", "3")])
    got = seen(back)
    folded = {re.sub("[^a-z0-9]", "-", name) for name in got}
    assert not folded & {"x-remote-user", "x-real-ip", "content-length", "transfer-encoding", "x-original-url", "x-gone"}, got
    assert got["x-forwarded-proto"] == ["http"] and "x_forwarded_proto" not in got
    assert got["x-plain"] == ["2"] and ("x_odd" in got) == (names == "any")


def test_dropped_names_are_told_to_who_asks(server, script):  # noqa: F811
    back = script(OK)
    s = start(server, back)
    s.cli("log-level", "debug", check=0)
    harness.wait_for(lambda: s.get("/", headers={"X_Odd": "1"}) and 'the field "X_Odd" is not passed on' in s.error_log(),
                     "workers have the new level")


def test_what_proxies_say(server, script):  # noqa: F811
    sent = {"X-Real-IP": "1.1.1.1", "X-Forwarded-Port": "443", "X-Original-URL": "/admin", "True-Client-IP": "1.1.1.1",
            "Front-End-Https": "on", "Forwarded": "for=1.1.1.1"}
    back = script(OK)
    s = start(server, back)
    s.get("/", headers=sent)
    assert not {name.lower() for name in sent} & set(seen(back))
    s = start(server, back, top='trusted_proxies = "127.0.0.1";')
    s.get("/", headers={**sent, "Connection": "close, X-Real-IP, True-Client-IP"})
    assert {name.lower() for name in sent} <= set(seen(back))
    s = start(server, back, 'pass = "X-Original-URL";')
    s.get("/", headers=sent)
    assert {name.lower() for name in sent} & set(seen(back)) == {"x-original-url"}


def test_the_manual_names_all_claims():
    claims = set(re.findall(r'STR_INIT\("([^"]+)"\), CLAIM_FRONT', (ROOT / "modules/gateway/codec/claim.c").read_text()))
    manual = (ROOT / "man/argand.conf.5.in").read_text().replace("\\-", "-")
    assert claims and {c for c in claims if not re.search(r"\.Li " + re.escape(c) + r"( |\*|\n)", manual)} == set()


def test_too_many_options_of_connection(server, script):  # noqa: F811
    back = script(OK)
    s = start(server, back)
    assert s.get("/", headers={"Connection": ",".join(f"a{i}" for i in range(33))}).status == 400
    assert s.get("/", headers={"Connection": ",".join(f"a{i}" for i in range(32))}).status == 200
    assert len(back.seen) == 1
    assert s.status()["pools"][0]["hosts"][0]["failures"] == 0, "that was the client's fault"


def test_trailers_of_requests(server, script):  # noqa: F811
    back = Trailers()
    try:
        s = start(server, back, 'set = "X-Remote-User: nobody"; remove = "X-Gone"; request_body = "stream";')
        with s.connect() as c:
            c.send("POST / HTTP/1.1\r\nHost: a\r\nConnection: X-Hop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
            harness.wait_for(lambda: back.said.endswith(b"\r\nab\r\n"), "the body is on its way")
            c.send("0\r\nX-Remote-User: admin\r\nX_Remote_User: admin\r\nX-Gone: 1\r\nX-Hop: 2\r\nX-Forwarded-Port: 443\r\n"
                   "Authorization: x\r\nPragma: y\r\nX-Checksum: 3\r\n\r\n")
            assert c.response("POST").status == 200
        assert back.said.endswith(b"\r\n0\r\nX-Checksum: 3\r\n\r\n"), back.said
    finally:
        back.stop()


class Trailers:
    """Reads a request in chunks as it stands."""

    def __init__(self):
        import socket
        import threading

        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.said = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        sock, _ = self.listener.accept()
        with sock:
            while not re.search(rb"\r\n0\r\n(.+\r\n)*\r\n$", self.said):
                self.said += sock.recv(65536)
            sock.sendall(OK)

    def stop(self):
        self.listener.close()


# --- answers

SECRETS = (b"X-Powered-By: PHP\r\nX_Powered_By: PHP\r\nX-Accel-Redirect: /secret\r\nX-Sendfile: /secret\r\n"
           b"X-LIGHTTPD-send-file: /secret\r\nServer: backend\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n")


def test_interim_heads_and_trailers(server, script):  # noqa: F811
    back = script(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nSet-Cookie: a=b\r\nLocation: /v2/x\r\n" + SECRETS +
                  b"\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\n" + SECRETS +
                  b"\r\n2\r\nok\r\n0\r\n" + SECRETS + b"Set-Cookie: a=b\r\nContent-Length: 5\r\nCache-Control: public\r\n"
                  b"X-Checksum: 7\r\n\r\n")
    s = start(server, back, 'path = "/v2"; hide = "X-Powered-By";', path="/app")
    r = s.get("/app/x")
    assert r.status == 200 and r.body == b"ok" and r["X-A"] == "1"
    assert r.interim[0].fields == [("Link", "</a>"), ("Location", "/app/x")]
    assert r.trailers == [("X-Checksum", "7")]
    said = str(r.fields) + str(r.interim[0].fields) + str(r.trailers)
    assert "secret" not in said and "PHP" not in said and "backend" not in said


# --- changes of protocol

def ask(s, protocol, path="/"):
    c = s.connect()
    c.request(path, headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": protocol, "HTTP2-Settings": "AAA"})
    return c


def switch(protocol):
    return b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n%s\r\n" % protocol


# What is permitted, what the client offers, what the backend is asked for, what it answers, what the client gets.
CHANGES = [
    ("", "h2c", None, b"Upgrade: h2c\r\n", 502),
    ("", "h2c", None, None, 200),
    ("", "TLS/1.2, HTTP/2.0", None, None, 200),
    ("", "websocket", "websocket", b"Upgrade: websocket\r\n", 101),
    ("", "WebSocket", "WebSocket", b"Upgrade: websocket\r\n", 101),
    ("", "h2c, websocket", "websocket", b"Upgrade: websocket\r\n", 101),
    ("", "websocket", "websocket", b"Upgrade: h2c\r\n", 502),
    ("", "websocket", "websocket", b"Upgrade: websocket, h2c\r\n", 502),
    ("", "websocket", "websocket", b"Upgrade: websocket\r\nUpgrade: h2c\r\n", 502),
    ("", "websocket", "websocket", b"", 502),
    ("", "websocket/13", None, None, 200),
    ("upgrade = [ ];", "websocket", None, None, 200),
    ('upgrade = [ "mine/2", "websocket" ];', "other, MINE/2, websocket", "MINE/2", b"Upgrade: mine/2\r\n", 101),
]


@pytest.mark.parametrize("n", range(len(CHANGES)))
def test_changes_of_protocol(server, script, n):  # noqa: F811
    permitted, offered, asked, answer, status = CHANGES[n]
    back = script(OK if answer is None else switch(answer) + b"RAW")
    s = start(server, back, permitted)
    with ask(s, offered) as c:
        head = harness.parse_head(c.take_until(b"\r\n\r\n")[:-4])
        assert head.status == status
        if status == 101:
            assert c.take(3) == b"RAW"
    got = seen(back)
    assert got.get("upgrade") == ([asked] if asked else None) and "http2-settings" not in got
    assert got.get("connection") == (["upgrade"] if asked else None)
