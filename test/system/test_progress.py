"""Upload progress: told by any worker, through every policy, and over reloads, upgrades and killed workers."""
import http.server
import json
import os
import random
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
import xml.etree.ElementTree

import pytest

from harness import FULL, patience, wait_for
from test_master_upgrade import upgradable  # noqa: F401

MB = 1 << 20
SECRET = "0123456789abcdef"
ORDER = ["starting", "uploading", "forwarding", "done"]


class App(http.server.BaseHTTPRequestHandler):
    """Reads all of a body, waits as long as the path says, and answers with the number of octets."""
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        n, left = 0, int(self.headers["Content-Length"] or 0)
        while n < left and (d := self.rfile.read(min(65536, left - n))):
            n += len(d)
        if "/wait/" in self.path:
            self.server.gate.wait(20)
        body = str(n).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT

    def log_message(self, *_):
        pass


class Apps(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 256


@pytest.fixture
def app():
    a = Apps(("127.0.0.1", 0), App)
    a.gate = threading.Event()
    threading.Thread(target=a.serve_forever, args=(0.05,), daemon=True).start()
    yield a
    a.gate.set()
    a.shutdown()
    a.server_close()


def parts(app, uploads=1024):
    policy = "".join(f'{{ path = "/{p}"; gateway: {{ backend = "app"; request_body = "{p}"; }}; progress = true; }},'
                     for p in ("buffer", "stream", "auto", "spool"))
    return {
        "backends": f'app = {{ hosts = [ "127.0.0.1:{app.server_port}" ]; protocol = "http"; }};' if app else "",
        "routes": (policy if app else "") + """
            { path = "/drop"; respond = "dropped"; progress = true; },
            { path = "/small"; respond = "ok"; progress = true; max_body = "1k"; },
            { path = "/slow"; respond = "ok"; progress: { enabled = true; keep = "1s"; }; },
            { path = "/status"; status = true; },
            { path = "/secret"; progress: { report = true; secret = "%s"; }; },
            { path = "/progress"; progress: { report = true; }; }""" % SECRET,
        "server": "progress: { uploads = %d; }; " % uploads,
    }


def serve(server, app, workers=4, uploads=1024, **kw):
    return server(workers=workers, **parts(app, uploads), **kw)


def report(s, id_, form="json"):
    """Through a connection of its own, so that any worker may be asked."""
    r = s.get(f"/progress?format={form}&X-Progress-ID={id_}")
    assert r.status == 200 and "no-store" in r["Cache-Control"], r
    return r.json() if form == "json" else r.text


def begin(s, path, id_, size, sent=0, method="PUT", keep=False):
    """An upload of which some octets are sent."""
    c = s.connect(timeout=60)
    c.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Progress-ID: {id_}\r\nContent-Length: {size}\r\n"
           f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n")
    c.last_method = method
    if sent:
        c.send(b"x" * sent)
    return c


def until(s, id_, cond, what):
    return wait_for(lambda: (lambda p: p if cond(p) else None)(report(s, id_)), what)


class Watch:
    """What is told of an upload must be of one moment, and never less than before."""

    def __init__(self, s, id_, size):
        self.s, self.id, self.size = s, id_, size
        self.received, self.rank, self.polls, self.last, self.errors = 0, 0, 0, None, []

    def poll(self):
        p = self.last = report(self.s, self.id)
        self.polls += 1
        if p["state"] == "error":
            return p
        if not p["known"]:
            self.errors.append(f"unknown: {p}")
        elif p["size"] != self.size or not self.received <= p["received"] <= p["size"]:
            self.errors.append(f"after {self.received}: {p}")
        elif p["forwarded"] > p["received"] or ORDER.index(p["state"]) < self.rank:
            self.errors.append(f"after {ORDER[self.rank]}: {p}")
        elif p["state"] in ("done", "forwarding") and p["received"] != p["size"]:
            self.errors.append(f"not all: {p}")
        else:
            self.received, self.rank = p["received"], ORDER.index(p["state"])
        return p


@pytest.mark.parametrize("policy", ["buffer", "stream", "auto", "spool", "drop"])
def test_policies(server, app, policy):
    """Octets are counted as they come, whatever becomes of them; exact at the end."""
    s = serve(server, app)
    size, id_ = 3 * MB if policy != "drop" else 60000, f"{policy}-1"
    w = Watch(s, id_, size)
    # What nobody reads is read to its end where the connection goes on (RFC 9112 9.3).
    c = begin(s, f"/{policy}/a", id_, size, keep=True)
    assert wait_for(lambda: report(s, id_)["known"], "the upload is known")
    for k in range(1, 4):
        c.send(b"x" * (size // 3))
        if k < 3:
            wait_for(lambda k=k: w.poll()["received"] == k * (size // 3), f"{k} thirds")
            assert w.last["state"] == "uploading", w.last
    r = c.response()
    assert r.status == 200, r
    wait_for(lambda: w.poll()["state"] == "done", "it is done")
    assert w.last["received"] == size and w.last["status"] == 200, w.last
    if policy != "drop":
        assert r.text == str(size) and w.last["forwarded"] == size, w.last
    assert not w.errors, w.errors
    assert s.status()["counters"]["upload_bytes"] == size


def test_forwarding(server, app):
    s = serve(server, app)
    c = begin(s, "/stream/wait/1", "fw", 100000, 100000, "POST")
    p = until(s, "fw", lambda p: p["state"] == "forwarding", "all is here")
    assert p["received"] == 100000 and p["status"] is None
    until(s, "fw", lambda p: p["forwarded"] == 100000, "all is forwarded")
    assert "'state' : 'done', 'received' : 100000, 'size' : 100000}" in report(s, "fw", "lighttpd")
    assert json.loads(report(s, "fw", "nginx")) == {"state": "uploading", "received": 100000, "size": 100000}
    app.gate.set()
    assert c.response().status == 200
    until(s, "fw", lambda p: p["state"] == "done", "it is done")


def test_chunked(server, app):
    s = serve(server, app)
    c = s.connect()
    c.send("PUT /stream/x?X-Progress-ID=ch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n")
    c.send(b"y" * 1000)
    p = until(s, "ch", lambda p: p["received"] == 1000, "content alone counts")
    assert p["size"] is None and p["state"] == "uploading"
    c.send("\r\n0\r\n\r\n")
    c.last_method = "PUT"
    assert c.response().status in (200, 411)
    assert until(s, "ch", lambda p: p["state"] == "done", "it is done")["received"] == 1000


def test_errors(server, app):
    """Too large, and left by the client."""
    s = serve(server, app)
    assert s.ask("POST", "/small/x", {"X-Progress-ID": "large"}, b"z" * 2000).status == 413
    p = until(s, "large", lambda p: p["known"], "it is told of")
    assert (p["state"], p["status"]) == ("error", 413)
    assert json.loads(report(s, "large", "nginx")) == {"state": "error", "status": 413}
    assert report(s, "large", "lighttpd") == "new Object({ 'state' : 'error', 'status' : 413 })\r\n"
    c = begin(s, "/stream/x", "left", 100000, 500)
    until(s, "left", lambda p: p["received"] == 500, "some has come")
    c.close()
    p = until(s, "left", lambda p: p["state"] == "error", "it has failed")
    assert p["received"] == 500 and p["status"] >= 400
    assert s.status()["counters"]["uploads"] == 0


def test_killed_worker(server, app):
    """At once, and only what that worker had."""
    s = serve(server, app)
    conns = {f"k{i}": begin(s, "/stream/x", f"k{i}", 100000, 1000 + i) for i in range(12)}
    for i in range(12):
        until(s, f"k{i}", lambda p, i=i: p["received"] == 1000 + i, "it is told of")
    rows = {w["pid"]: w["row"] for w in s.status()["workers"]}
    listed = s.status()["uploads"]
    assert len(listed) == 12 and all(u["site"] and "id" not in u for u in listed)
    victim = next(pid for pid, row in rows.items() if any(u["worker"] == row for u in listed))
    had = {u["received"] for u in listed if u["worker"] == rows[victim]}
    os.kill(victim, signal.SIGKILL)
    start = time.monotonic()
    for i in range(12):
        if 1000 + i in had:
            p = until(s, f"k{i}", lambda p: p["state"] == "error", "its worker is gone")
            assert p["received"] == 1000 + i and p["status"] is None
    assert time.monotonic() - start < patience(1.5)
    for i in range(12):
        if 1000 + i not in had:
            conns[f"k{i}"].send(b"x" * (100000 - 1000 - i))
            assert conns[f"k{i}"].response().status == 200
            until(s, f"k{i}", lambda p: p["state"] == "done", "it is done")


def test_reload(server, app):
    """Entries stay, in another size of the table too; uploads go on and are told of by the new workers."""
    s = serve(server, app)
    assert s.ask("PUT", "/drop/a", {"X-Progress-ID": "before"}, b"1234").status == 200
    c = begin(s, "/stream/x", "during", 10000, 4000)
    until(s, "during", lambda p: p["received"] == 4000, "some has come")
    s.rewrite(workers=3, **parts(app, uploads=9000))
    s.cli("reload", check=0)
    assert report(s, "before")["state"] == "done"
    assert report(s, "during")["received"] == 4000
    c.send(b"x" * 1000)
    until(s, "during", lambda p: p["received"] == 5000, "the old worker goes on telling")
    c.send(b"x" * 5000)
    assert c.response().status == 200
    until(s, "during", lambda p: p["state"] == "done", "it is done")


def test_upgrade(upgradable, app):
    s = upgradable(workers=2, **parts(app))
    assert s.ask("PUT", "/drop/a", {"X-Progress-ID": "before"}, b"1234").status == 200
    c = begin(s, "/stream/x", "during", 10000, 4000)
    until(s, "during", lambda p: p["received"] == 4000, "some has come")
    s.cli("upgrade", check=0)
    assert report(s, "before")["state"] == "done"
    c.send(b"x" * 6000)
    assert c.response().status == 200
    until(s, "during", lambda p: p["state"] == "done", "it is done")


def node(script):
    return subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True, timeout=60).stdout


def test_forms(server, app):
    s = serve(server, app)
    begin(s, "/stream/x", "form", 1000, 250)
    until(s, "form", lambda p: p["received"] == 250, "some has come")
    x = xml.etree.ElementTree.fromstring(report(s, "form", "xml"))
    assert (x.tag, [(e.tag, e.text) for e in x]) == ("upload", [("size", "1000"), ("received", "250")])
    assert report(s, "unknown", "xml") == "not in progress"
    want = {"state": "uploading", "received": 250, "size": 1000}
    assert json.loads(report(s, "form", "nginx")) == want
    if not shutil.which("node"):
        pytest.skip("no node to evaluate the other forms")
    for form in ("lighttpd", "nginx-object"):
        out = node(f"console.log(JSON.stringify(eval({json.dumps(report(s, 'form', form))})))")
        assert json.loads(out) == want
    for form in ("jsonp", "nginx-jsonp"):
        text = report(s, "form", form + "&callback=my.cb")
        out = node(f"const my = {{ cb: o => console.log(JSON.stringify(o)) }}; eval({json.dumps(text)})")
        assert want.items() <= json.loads(out).items()


def test_who_may_ask(server, app):
    s = serve(server, app)
    for target in ("/progress", "/progress?X-Progress-ID=a%20b", "/progress?X-Progress-ID=" + "a" * 129,
                   "/progress?X-Progress-ID=", "/progress/a.b", "/progress?format=jsonp&callback=a(b)&X-Progress-ID=a"):
        assert s.get(target).status == 400, target
    assert s.get("/progress?X-Progress-ID=" + "a" * 128).json()["state"] == "starting"
    assert s.get("/secret/abc").status == 403
    assert s.get("/secret/abc?secret=x" + SECRET[1:]).status == 403
    assert s.get("/secret/abc", {"X-Progress-Secret": SECRET}).status == 200
    assert s.get(f"/secret/abc?secret={SECRET}").status == 200
    r = s.ask("POST", "/progress/abc", body=b"x")
    assert r.status == 405 and "GET" in r["Allow"]


def test_sites_are_apart(server):
    s = server(text="""
        server: { listen = "127.0.0.1:@PORT@"; workers = 2; control = "@TMP@/control.sock"; error_log = "@TMP@/error.log"; };
        sites = (
            { host = "a.example"; routes = ( { path = "/up"; progress = true; respond = "ok"; },
              { path = "/progress"; progress: { report = true; }; } ); },
            { host = "b.example"; routes = ( { path = "/progress"; progress: { report = true; }; } ); } );""")
    assert s.ask("PUT", "/up/mine", body=b"12345", host="a.example").status == 200
    assert s.get("/progress/mine", host="a.example").json()["state"] == "done"
    assert not s.get("/progress/mine", host="b.example").json()["known"]


def test_live(server, app):
    """Server-Sent Events: each change, then the end."""
    s = serve(server, app)
    c = begin(s, "/stream/x", "live", 3000, 1000)
    until(s, "live", lambda p: p["received"] == 1000, "some has come")
    e = s.connect()
    e.send("GET /progress/live HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nConnection: close\r\n\r\n")
    assert b"text/event-stream" in e.take_until(b"\r\n\r\n")
    e.take_until(b'"received":1000')
    c.send(b"x" * 1000)
    e.take_until(b'"received":2000')
    c.send(b"x" * 1000)
    assert c.response().status == 200
    e.take_until(b'"state":"done","received":3000')
    while e.more():
        pass
    assert e.buf.endswith(b"0\r\n\r\n"), e.buf
    # Nothing is known yet, then it begins; a client that leaves leaves nothing behind.
    e = s.connect()
    e.send("GET /progress/later?format=sse HTTP/1.1\r\nHost: a\r\n\r\n")
    e.take_until(b'"known":false')
    begin(s, "/stream/x", "later", 3000, 10)
    e.take_until(b'"received":10')
    e.close()
    wait_for(lambda: s.status()["counters"]["requests_active"] <= 1, "the stream is over")


def test_full_table(server, app):
    """An upload is never refused for it: the oldest that has ended is forgotten, and then nothing is tracked."""
    s = serve(server, app, workers=2, uploads=16)
    for i in range(40):
        assert s.ask("PUT", "/drop/a", {"X-Progress-ID": f"f{i}"}, b"1234").status == 200
    known = [i for i in range(40) if report(s, f"f{i}")["known"]]
    # Two workers end some at the same time: which of those is the older one nobody can say.
    assert 16 <= len(known) <= 32 and known[-16:] == list(range(24, 40)), known
    conns = [begin(s, "/stream/x", f"g{i}", 1000, 10) for i in range(40)]
    wait_for(lambda: s.status()["counters"]["uploads"] + s.status()["counters"]["uploads_missed"] == 40, "all have begun")
    assert s.status()["counters"]["uploads_missed"] == 8
    for c in conns:
        c.send(b"x" * 990)
        assert c.response().status == 200
    assert s.status()["counters"]["uploads"] == 0


def test_finished_ones_go(server, app):
    s = serve(server, app)
    assert s.ask("PUT", "/slow/x", {"X-Progress-ID": "gone"}, b"1234").status == 200
    assert report(s, "gone")["state"] == "done"
    until(s, "gone", lambda p: not p["known"], "it is forgotten")


def test_in_the_status(server, app):
    s = serve(server, app)
    begin(s, "/stream/x", "seen-id", 1000, 10)
    until(s, "seen-id", lambda p: p["received"] == 10, "some has come")
    text = s.cli("status", check=0).stdout
    assert re.search(r"uploads in progress 1\n +uploading ", text), text
    st = s.status()
    assert [(u["state"], u["received"], u["size"]) for u in st["uploads"]] == [("uploading", 10, 1000)]
    metrics = s.get("/status?format=prometheus").text
    assert "argand_uploads 1\n" in metrics and "argand_uploads_tracked_total 1\n" in metrics
    page = s.get("/status?format=html").text
    for told in (text, json.dumps(st), page, metrics, s.cli("status", "--segment", check=0).stdout):
        assert "seen-id" not in told


def test_off_is_off(server, app):
    s = server(routes='{ path = "/progress"; progress: { report = true; }; }, { path = "/"; respond = "x"; }')
    assert s.ask("PUT", "/x/abcdefghijklmnop", {"X-Progress-ID": "off"}, b"1234").status == 200
    assert not report(s, "off")["known"]
    assert s.status()["counters"]["uploads_tracked"] == 0


class Upload(threading.Thread):
    """Sends size octets evenly within some seconds."""

    def __init__(self, s, id_, policy, size, seconds):
        super().__init__(daemon=True)
        self.s, self.id, self.policy, self.size, self.seconds = s, id_, policy, size, seconds
        self.status = None

    def run(self):
        steps, data = 100, b"x" * (self.size // 100)
        try:
            with socket.create_connection(self.s.address, 60) as c:
                c.sendall(f"PUT /{self.policy}/x HTTP/1.1\r\nHost: a\r\nX-Progress-ID: {self.id}\r\nContent-Length: "
                          f"{len(data) * steps}\r\nConnection: close\r\n\r\n".encode())
                begin_ = time.monotonic()
                for i in range(steps):
                    c.sendall(data)
                    time.sleep(max(0, begin_ + (i + 1) * self.seconds / steps - time.monotonic()))
                c.settimeout(60)
                self.status = int(c.recv(64).split()[1])
        except (OSError, IndexError):
            self.status = 0


def test_crowd(upgradable, app):
    """Many uploads at limited speed, each polled ten times a second through random connections; during it a reload,
    an upgrade, and a killed worker: only its uploads turn to errors."""
    n, size, seconds = (100, 64 * MB, 60) if FULL else (16, MB, 5)
    s = upgradable(workers=4, **parts(app))
    size -= size % 100
    ups = [Upload(s, f"crowd-{i}", random.choice(["buffer", "stream", "auto"]), size, seconds) for i in range(n)]
    watches = [Watch(s, u.id, size) for u in ups]
    for u in ups:
        u.start()
    for w in watches:
        wait_for(lambda w=w: report(s, w.id)["known"], "it is known", 30)
    over, lost = threading.Event(), []

    def poll(mine):
        while not over.is_set():
            at = time.monotonic()
            for w in mine:
                try:
                    w.poll()
                except (OSError, AssertionError) as e:
                    lost.append(repr(e))
            time.sleep(max(0, at + 0.1 - time.monotonic()))

    pollers = [threading.Thread(target=poll, args=(watches[i::4],), daemon=True) for i in range(4)]
    for p in pollers:
        p.start()
    time.sleep(seconds / 8)
    s.cli("reload", check=0, seconds=60)
    time.sleep(seconds / 8)
    s.cli("upgrade", check=0, seconds=60)
    # The uploads are with the workers of before.
    st = s.status()
    victim = max(st["workers"], key=lambda w: sum(u["worker"] == w["row"] for u in st["uploads"]))
    os.kill(victim["pid"], signal.SIGKILL)
    for u in ups:
        u.join(patience(seconds * 4))
    wait_for(lambda: all(w.last["state"] in ("done", "error") for w in watches), "all are over", 30)
    over.set()
    for p in pollers:
        p.join(patience(20))
    errors = [w.id for w in watches if w.last["state"] == "error"]
    assert not [e for w in watches for e in w.errors]
    # A poll that was under way with the victim is lost with it.
    assert len(lost) <= 8, lost
    assert 0 < len(errors) < n
    for u, w in zip(ups, watches):
        assert (u.status == 200) == (w.last["state"] == "done"), (u.status, w.last)
        assert w.last["state"] == "error" or w.last["received"] == size
    assert sum(w.polls for w in watches) > n * seconds
