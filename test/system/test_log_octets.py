"""What others write into our logs: whatever octets clients and backends send, each log is UTF-8 that can be
decoded strictly, a line stays a line, and nothing reaches a terminal or a viewer that it might obey.
"""
import json
import os
import re
import socket
import threading

import pytest

from backends import pool
from harness import SERVER, wait_for
from test_spawn import conf, spawn

# No UTF-8 (a lone octet, overlong, a surrogate, beyond U+10FFFF, cut off), C0, C1, a separator, directions.
EVIL = [b"\xfe", b"\x9b31m", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xc2\x9b31m",
        b"\xe2\x80\xa8", b"\xe2\x80\xaegpj", b"\xe2\x81\xa6"]
CONTROL = [b"\x1b[31m", b"\x7f"]
GOOD = "naïve-€-🕯".encode()
ALL = b"|".join(EVIL + [GOOD])

ODD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORMATS = {"common": "common", "combined": "combined", "gateway": "gateway", "json": "json", "short": "short",
           "own": "$client\\t$path $raw_path $query $host ${in:user-agent} ${out:x-a} $why",
           "ownjson": '{\\"p\\":\\"$path\\",\\"q\\":\\"$query\\",\\"h\\":\\"$host\\",\\"u\\":\\"${in:user-agent}\\",\\"x\\":\\"${out:x-a}\\"}'}


def plain(s, name, tab=False):
    """The log as text; fails where it is not what the top of this file says."""
    with open(os.path.join(s.tmp, name), "rb") as f:
        octets = f.read()
    assert octets.endswith(b"\n"), octets[-100:]
    text = octets.decode("utf-8")  # strictly
    found = ODD.search(text.replace("\t", "") if tab else text)
    assert not found, (found, text[max(0, found.start() - 80):found.end() + 20])
    return text


class Answers:
    """An HTTP backend that answers each connection with given octets."""

    def __init__(self, octets):
        self.octets, self.listener = octets, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            with c:
                c.recv(65536)
                c.sendall(self.octets)


def ask(s, target, agent=b"", host=b"localhost"):
    """The status, 0 when there is none: what is asked here may be anything."""
    with s.connect() as c:
        c.send(b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\nUser-Agent: " + agent +
               b"\r\nReferer: " + agent + b"\r\nConnection: close\r\n\r\n")
        return c.response().status


def percent(octets):
    return b"".join(b"%%%02x" % o for o in octets)


@pytest.fixture
def logs(server, peers):
    """A server that logs each request in every format, by the first segment of its path."""
    app = peers("fastcgi")
    odd = Answers(b"HTTP/1.1 200 " + ALL + b"\r\nX-A: " + ALL + b"\r\nContent-Length: 0\r\n\r\n")
    bad = Answers(b"HTTP/1.1 200 \x1b[31m" + ALL + b"\r\n\r\n" + ALL)
    backends = pool("app", app) + "".join(
        f'{n} = {{ protocol = "http"; hosts = [ "127.0.0.1:{b.port}" ]; }};' for n, b in (("odd", odd), ("bad", bad)))
    routes = []
    for name, fmt in FORMATS.items():
        log = f'access_log: {{ file = "@TMP@/{name}.log"; format = "{fmt}"; }};'
        routes += [f'{{ path = "/{name}/{p}"; gateway = "{p}"; {log} }}' for p in ("app", "odd", "bad")]
        routes.append(f'{{ path = "/{name}"; alias = "@ROOT@"; {log} listing = true; }}')
    yield server(text=SERVER.replace('"info"', '"debug"'), workers=1, backends=backends, routes=", ".join(routes))
    odd.listener.close()
    bad.listener.close()


@pytest.mark.parametrize("name", FORMATS)
def test_access_log(logs, name):
    s, base = logs, b"/" + name.encode() + b"/"
    statuses = []
    for evil in EVIL + CONTROL + [GOOD, ALL]:
        statuses.append(ask(s, base + percent(evil) + b"?q=" + percent(evil), b"agent/1"))
        statuses.append(ask(s, base + evil + b"?q=" + evil, evil))
        statuses.append(ask(s, base + b"x", evil, b"a" + evil + b".example"))
    for target in (b"app/status?code=404&" + percent(ALL), b"app/close?" + ALL, b"odd/" + percent(ALL), b"bad/x"):
        statuses.append(ask(s, base + target, ALL))
    assert 200 in statuses and 502 in statuses and 400 in statuses, statuses
    known = [n for n in statuses if n != 400]  # the others are logged by the default route
    wait_for(lambda: s.read(name + ".log").count("\n") >= len(known), f"{len(known)} lines")
    text = plain(s, name + ".log", tab=name == "own")
    wait_for(lambda: s.read("access.log").count("\n") >= statuses.count(400), "the lines of what was refused")
    plain(s, "access.log")
    if "json" in name:
        lines = [json.loads(line) for line in text.splitlines()]
        if name == "json":
            assert GOOD.decode() in [x["user_agent"] for x in lines]
            assert "\xfe" in [x["user_agent"] for x in lines] and "\u202egpj" in [x["user_agent"] for x in lines]
    else:
        assert text.isascii()
        if name in ("combined", "own"):
            assert "\\xFE" in text and "\\xE2\\x80\\xAEgpj" in text and "\\xC2\\x9B31m" in text


def test_error_log(logs):
    """The target, the host, what a backend says of a request and how it fails: each at its level."""
    s = logs
    for evil in EVIL + CONTROL + [GOOD]:
        ask(s, b"/own/app/stderr?hex=" + (b"say:" + evil + b"\n").hex().encode())
        ask(s, b"/own/app/" + percent(evil) + b"/close")
        ask(s, b"/own/app/" + evil + b"/close")
        ask(s, b"/own/app/close", b"", b"a" + evil)
    ask(s, b"/own/app/stderr?hex=" + b"before\0behind\n".hex().encode())
    s.wait_log(": behind\n")
    long = ("€" * 5000).encode()
    ask(s, b"/own/app/stderr?hex=" + long.hex().encode()[:6000])
    s.wait_log("€€€")
    path = s.write("cut-" + os.fsdecode(ALL), b"x" * (32 << 20))
    with s.connect(rcvbuf=4096) as c:
        c.send(b"GET /own/cut-" + percent(ALL) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        c.more()
        os.truncate(path, 10)
        with pytest.raises((AssertionError, ConnectionResetError)):
            c.response()
    s.wait_log("file became shorter")
    text = plain(s, "error.log")
    for seen in ("say:\\xFE", "say:\\x1B[31m", "say:\\x9B31m", "say:\\xC0\\xAF", "say:\\xC2\\x9B31m", "say:\\xE2\\x80\\xAEgpj",
                 "say:" + GOOD.decode(), "cut-\\xFE|", "|" + GOOD.decode() + ": file became shorter"):
        assert seen in text, seen
    assert "/own/app/\\xFE/close" in text, "the target as it was sent"


def test_listing(logs):
    """Names in a directory: a page that viewers may trust, JSON that is JSON."""
    s = logs
    for evil in EVIL + CONTROL + [GOOD]:
        s.write("list/n-" + os.fsdecode(evil), b"x")
    page = s.get("/own/list/").body.decode("utf-8")
    assert not ODD.search(page.replace("\n", "").replace("\t", ""))
    assert "n-" + GOOD.decode() in page and "n-\ufffdgpj" in page
    body = s.get("/own/list/?format=json").body
    assert "n-\u202egpj" in body.decode("utf-8").encode().decode("unicode_escape", "replace") or b"\\u202egpj" in body
    json.loads(body)


def test_local_backend(server):
    """What a program of ours writes to its standard error."""
    octets = "".join(f"\\{o:03o}" for o in ALL + b"|\x1b[31m\r|\0|")
    sh = f"printf '{octets}\\n' >&2; printf '%02000d\\n' 0 | tr 0 '\\r' >&2; printf 'last\\n' >&2; exec sleep 100"
    s = server(text=conf(spawn(command=["/bin/sh", "-c", sh])))
    s.wait_log(": last\n")
    text = plain(s, "error.log")
    assert ": |\n" in text, "what stands behind a NUL"
    assert "\\xFE|\\x9B31m|\\xC0\\xAF|" in text and GOOD.decode() + "|\\x1B[31m\\x0D|" in text
