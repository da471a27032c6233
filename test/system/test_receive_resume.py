"""Uploads that go on after they broke off: tus 1.0 and the IETF's draft, against cut connections and dying workers."""
import base64
import hashlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import patience, wait_for
from test_receive import drop, stored, unfinished

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
PART = {"Content-Type": "application/partial-upload"}
VERSIONS = ["8", "6"]


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def create(s, length, name=None, body=b"", **more):
    h = {**TUS, "Upload-Length": str(length), **more}
    if name:
        h["Upload-Metadata"] = "filename " + b64(name)
    return s.ask("POST", "/drop/", headers=h, body=body)


def patch(s, at, offset, body, **more):
    return s.ask("PATCH", at, headers={**TUS, **OCTETS, "Upload-Offset": str(offset), **more}, body=body)


# --- tus

@pytest.mark.parametrize("sync", ["false", "true"])
def test_tus(server, sync):
    s = drop(server, workers=2, sync=sync)
    r = create(s, 10, "a.txt")
    at = r["Location"]
    assert (r.status, r["Tus-Resumable"], r["Upload-Offset"]) == (201, "1.0.0", "0") and "Upload-Expires" in r
    assert at.startswith("/drop/.uploads/") and len(at) == 15 + 32
    r = patch(s, at, 0, b"hello")
    assert (r.status, r["Upload-Offset"]) == (204, "5")
    r = s.ask("HEAD", at, headers=TUS)
    assert (r.status, r["Upload-Offset"], r["Upload-Length"], r["Cache-Control"]) == (200, "5", "10", "no-store")
    assert r["Upload-Metadata"] == "filename " + b64("a.txt")
    assert patch(s, at, 4, b"x").status == 409
    assert patch(s, at, 5, b"x" * 6).status == 413
    assert s.ask("PATCH", at, headers={**TUS, "Upload-Offset": "5"}, body=b"world").status == 415
    assert stored(s) == []
    r = s.ask("POST", at, headers={**TUS, **OCTETS, "Upload-Offset": "5", "X-HTTP-Method-Override": "PATCH"}, body=b"world")
    assert (r.status, r["Upload-Offset"]) == (204, "10")
    assert s.get("/drop/a.txt").body == b"helloworld"
    r = s.ask("HEAD", at, headers=TUS)
    assert (r.status, r["Upload-Offset"]) == (200, "10")
    assert patch(s, at, 10, b"x").status == 409


def test_tus_core_and_creation(server):
    s = drop(server, 'max_size = "1k";')
    r = s.ask("OPTIONS", "/drop/")
    assert r.status == 204 and r["Tus-Version"] == "1.0.0" and r["Tus-Max-Size"] == "1024"
    assert {"creation", "creation-with-upload", "termination", "checksum", "expiration"} <= set(r["Tus-Extension"].split(","))
    assert "max-size=1024" in r["Upload-Limit"]
    r = s.ask("POST", "/drop/", headers={"Tus-Resumable": "0.2.2", "Upload-Length": "5"}, body=b"")
    assert (r.status, r["Tus-Version"]) == (412, "1.0.0")
    assert s.ask("POST", "/drop/", headers=TUS, body=b"").status == 400
    assert create(s, 1025).status == 413
    assert create(s, 5, "a", b"hello", **OCTETS)["Upload-Offset"] == "5"
    assert s.get("/drop/a").body == b"hello"
    assert create(s, 5, "a").status == 409
    assert create(s, 0, "empty").status == 201 and s.get("/drop/empty").body == b""
    r = s.ask("POST", "/drop/", headers={**TUS, "Upload-Defer-Length": "1"}, body=b"")
    at = r["Location"]
    assert s.ask("HEAD", at, headers=TUS)["Upload-Defer-Length"] == "1"
    assert patch(s, at, 0, b"abc").status == 204
    assert patch(s, at, 3, b"def", **{"Upload-Length": "6"}).status == 204
    assert open(f"{s.tmp}/drop/{at[-32:]}", "rb").read() == b"abcdef"


def test_tus_termination(server):
    s = drop(server)
    at = create(s, 10)["Location"]
    assert len(unfinished(s)) == 2
    assert s.ask("DELETE", at, headers=TUS).status == 204
    assert unfinished(s) == []
    for method in ("HEAD", "DELETE"):
        assert s.ask(method, at, headers=TUS).status == 404
    assert patch(s, at, 0, b"x").status == 404
    assert s.ask("HEAD", "/drop/.uploads/" + "z" * 32, headers=TUS).status == 404


def test_tus_checksum(server):
    s = drop(server)
    at = create(s, 10, "c")["Location"]
    good = lambda d, how="sha1": f"{how} {b64(hashlib.new(how, d).digest())}"
    assert patch(s, at, 0, b"hello", **{"Upload-Checksum": good(b"hello")}).status == 204
    assert patch(s, at, 5, b"WORLD", **{"Upload-Checksum": good(b"world")}).status == 460
    assert s.ask("HEAD", at, headers=TUS)["Upload-Offset"] == "5"
    assert patch(s, at, 5, b"x", **{"Upload-Checksum": "crc99 AAAA"}).status == 400
    assert patch(s, at, 5, b"wor", **{"Upload-Checksum": good(b"wor", "sha256")}).status == 204
    # What broke off was never compared, and is gone; what comes after it without a checksum stays.
    c = s.connect()
    c.request(at, "PATCH", {**TUS, **OCTETS, "Upload-Offset": "8", "Upload-Checksum": good(b"ld"), "Content-Length": "2"})
    c.send(b"X")
    wait_for(lambda: os.path.getsize(f"{s.tmp}/drop/.uploads/{at[-32:]}.part") == 9, "the octet is written")
    c.close()
    assert s.ask("HEAD", at, headers=TUS)["Upload-Offset"] == "8"
    assert patch(s, at, 8, b"l").status == 204
    assert s.ask("HEAD", at, headers=TUS)["Upload-Offset"] == "9"
    assert patch(s, at, 9, b"d").status == 204
    assert s.get("/drop/c").body == b"helloworld"


def test_tus_concatenation(server):
    s = drop(server, 'max_size = "20";', workers=2)
    join = lambda parts, name: s.ask("POST", "/drop/", headers={
        **TUS, "Upload-Concat": "final;" + " ".join(parts), "Upload-Metadata": "filename " + b64(name)}, body=b"")
    a, b = (create(s, n, **{"Upload-Concat": "partial"})["Location"] for n in (5, 6))
    assert patch(s, a, 0, b"hello").status == 204
    assert patch(s, b, 0, b" worl").status == 204
    assert join([a, b], "j").status == 409 and stored(s) == []
    assert patch(s, b, 5, b"d").status == 204
    assert s.ask("HEAD", a, headers=TUS)["Upload-Concat"] == "partial" and stored(s) == []
    assert join([a, b, a, b], "j").status == 413
    for wrong in ("/drop/.uploads/" + "0" * 32, "/etc/passwd", "../" + a[-32:-1], "x"):
        assert join([a, wrong], "j").status == 404
    assert stored(s) == []
    r = join([a, f"http://localhost{b}"], "j")
    assert r.status == 201 and s.get("/drop/j").body == b"hello world"
    h = s.ask("HEAD", r["Location"], headers=TUS)
    assert h["Upload-Concat"].startswith("final;") and (h["Upload-Offset"], h["Upload-Length"]) == ("11", "11")
    assert patch(s, r["Location"], 11, b"").status == 403


def test_unfinished_expire(server):
    s = drop(server, 'expires = "1s";')
    at = create(s, 10)["Location"]
    assert patch(s, at, 0, b"x").status == 204
    wait_for(lambda: unfinished(s) == [], "it has expired", seconds=15)
    assert s.ask("HEAD", at, headers=TUS).status == 404


def test_the_newer_append_wins(server):
    """The older one's client hangs; the newer one need not wait for its timeout, on whichever worker it is."""
    s = drop(server, workers=3)
    data = b"a" * 4 + b"b" * 6
    for n in range(4):
        at = create(s, 10, f"f{n}")["Location"]
        old = s.connect()
        old.request(at, "PATCH", {**TUS, **OCTETS, "Upload-Offset": "0", "Content-Length": "10"})
        old.send(b"a" * 4)
        wait_for(lambda: os.path.getsize(f"{s.tmp}/drop/.uploads/{at[-32:]}.part") == 4, "the octets are written")
        r = s.ask("HEAD", at, headers=TUS)
        assert r["Upload-Offset"] == "4"
        assert old.response("PATCH").status == 409
        assert patch(s, at, 4, b"b" * 6).status == 204
        assert s.get(f"/drop/f{n}").body == data


# --- the draft

def test_draft_in_one(server):
    s = drop(server)
    for v in VERSIONS:
        c = s.connect()
        c.request("/drop/", "POST", {"Upload-Draft-Interop-Version": v, "Upload-Complete": "?1",
                                     "Content-Disposition": f'inline; filename="v{v}"'}, b"whole")
        r = c.response()
        assert r.status == 201 and r["Upload-Complete"] == "?1" and r["Location"] == f"/drop/v{v}"
        [i] = r.interim
        assert i.status == 104 and i["Upload-Draft-Interop-Version"] == v and "/.uploads/" in i["Location"]
        assert ("max-age=" if v == "8" else "expires=") in i["Upload-Limit"] and "max-size=" in i["Upload-Limit"]
        assert s.get(f"/drop/v{v}").body == b"whole"
        h = s.ask("HEAD", i["Location"], headers={"Upload-Draft-Interop-Version": v})
        assert (h.status, h["Upload-Complete"], h["Upload-Offset"], h["Upload-Length"]) == (204, "?1", "5", "5")
        assert h["Cache-Control"] == "no-store"


@pytest.mark.parametrize("version", [None, "3", "5", "7", "08", "8;a=b", "?1"])
def test_draft_no_104_for_others(server, version):
    s = drop(server)
    h = {"Upload-Complete": "?1", **({"Upload-Draft-Interop-Version": version} if version else {})}
    c = s.connect()
    c.request("/drop/f", "PUT", h, b"whole")
    r = c.response()
    assert r.status == 201 and r.interim == []
    r = s.ask("PUT", "/drop/part", headers={**h, "Upload-Complete": "?0"}, body=b"part")
    assert r.status == (400 if version else 201) and "part" not in stored(s)


def test_draft_104_is_not_100(server):
    s = drop(server)
    c = s.connect()
    c.request("/drop/f", "PUT", {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1", "Expect": "100-continue",
                                 "Content-Length": "5"})
    first, second = c.take_until(b"\r\n\r\n"), c.take_until(b"\r\n\r\n")
    assert sorted([first[:12], second[:12]]) == [b"HTTP/1.1 100", b"HTTP/1.1 104"]
    c.send(b"hello")
    assert c.response("PUT").status == 201


@pytest.mark.parametrize("sync", ["false", "true"])
def test_draft_progress(server, sync):
    s = drop(server, sync=sync)
    c = s.connect()
    c.request("/drop/f", "PUT", {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?1", "Incremental": "?1",
                                 "Content-Length": "100"})
    c.take_until(b"\r\n\r\n")
    c.send(b"x" * 40)
    told = c.take_until(b"\r\n\r\n").lower()
    assert told.startswith(b"http/1.1 104") and b"upload-offset: 40" in told and b"location" not in told
    assert b"upload-draft-interop-version: 8" in told
    c.send(b"x" * 60)
    assert c.response("PUT").status == 201


@pytest.mark.parametrize("v", VERSIONS)
def test_draft_in_parts(server, v):
    s = drop(server, 'append_min = "4"; append_max = "8";', workers=2)
    h = {"Upload-Draft-Interop-Version": v}
    r = s.ask("POST", "/drop/", headers={**h, "Upload-Complete": "?0", "Content-Disposition": 'inline; filename="p"'}, body=b"")
    at = r["Location"]
    assert (r.status, r["Upload-Complete"], r["Upload-Offset"]) == (201, "?0", "0")
    assert "min-append-size=4" in r["Upload-Limit"] and "max-append-size=8" in r["Upload-Limit"]
    add = lambda offset, body, done="?0", **more: s.ask("PATCH", at, headers={
        **h, **PART, "Upload-Offset": str(offset), "Upload-Complete": done, **more}, body=body)
    assert (add(0, b"abc").status, add(0, b"x" * 9).status) == (400, 413)
    r = add(0, b"abcd")
    assert (r.status, r["Upload-Offset"], r["Upload-Complete"]) == (204, "4", "?0")
    r = add(3, b"dddd")
    assert r.status == 409 and r["Content-Type"] == "application/problem+json" and r["Upload-Offset"] == "4"
    assert r.json()["expected-offset"] == 4 and r.json()["provided-offset"] == 3
    assert r.json()["type"].endswith("#mismatching-upload-offset")
    assert s.ask("PATCH", at, headers={**h, "Upload-Offset": "4", "Upload-Complete": "?0"}, body=b"abcd").status == 415
    assert s.ask("HEAD", at, headers={**h, "Upload-Offset": "4"}).status == 400
    assert add(4, b"efgh", **{"Upload-Length": "9"}).status == 204
    r = add(8, b"ij", "?1")
    assert r.status == 400 and r.json()["type"].endswith("#inconsistent-upload-length")
    assert stored(s) == []
    assert add(8, b"i", "?1").status == 201
    assert s.get("/drop/p").body == b"abcdefghi"
    r = add(9, b"j")
    assert r.status == 400 and r.json()["type"].endswith("#completed-upload")


def test_draft_cancel_and_empty(server):
    s = drop(server)
    h = {"Upload-Draft-Interop-Version": "8"}
    at = s.ask("PUT", "/drop/x", headers={**h, "Upload-Complete": "?0"}, body=b"part")["Location"]
    assert s.ask("DELETE", at, headers=h).status == 204
    assert s.ask("HEAD", at, headers=h).status == 404 and unfinished(s) == []
    at = s.ask("PUT", "/drop/x", headers={**h, "Upload-Complete": "?0"}, body=b"all")["Location"]
    r = s.ask("PATCH", at, headers={**h, **PART, "Upload-Offset": "3", "Upload-Complete": "?1"}, body=b"")
    assert r.status == 201 and s.get("/drop/x").body == b"all"


@pytest.mark.skipif(not shutil.which("strace") or os.geteuid() != 0, reason="needs strace and root")
@pytest.mark.parametrize("sync", ["true", "false"])
def test_what_is_told_is_on_disk(server, sync):
    s = drop(server, workers=1, sync=sync)
    at = create(s, 10, "a")["Location"]
    trace = f"{s.tmp}/trace"
    p = subprocess.Popen(["strace", "-f", "-s", "40", "-p", str(s.workers()[0]), "-o", trace, "-e",
                          "trace=fdatasync,fsync,renameat,linkat,pwritev,writev,write,sendmsg,sendto"],
                         stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in p.stderr.readline()
        assert patch(s, at, 0, b"hello").status == 204
        assert s.ask("HEAD", at, headers=TUS).status == 200
        assert patch(s, at, 5, b"world").status == 204
    finally:
        p.terminate()
        p.wait()
    lines = [l.split(None, 1)[1] for l in open(trace) if "unfinished" not in l]
    steps = [word for l in lines for word in ("pwritev", "fdatasync", "fsync", "linkat", "renameat", "HTTP/1.1 20") if word in l]
    answer = "HTTP/1.1 20"
    if sync == "true":
        assert steps == ["pwritev", "fdatasync", answer, "fdatasync", answer,
                         "pwritev", "fsync", "linkat", "fsync", "fsync", "renameat", "fsync", answer]
    else:
        assert steps == ["pwritev", answer, answer, "pwritev", "linkat", "renameat", answer]


# --- everything breaks off

class Cut(Exception):
    pass


def some(s, head, body, n):
    """Sends a request and of its body n octets, then nothing more; all of it: the answer."""
    with s.connect(timeout=patience(20)) as c:
        try:
            c.send(head)
            c.send(body[:n])
            if n < len(body):
                raise Cut
            return c.response("PATCH")
        except (OSError, AssertionError):
            raise Cut


def ask(s, *args, **kw):
    """Asked again until somebody answers: workers die while this runs."""
    end = time.monotonic() + patience(30)
    while True:
        try:
            return s.ask(*args, **kw)
        except (OSError, AssertionError):
            assert time.monotonic() < end
            time.sleep(0.05)


def upload(s, name, data, rng, draft):
    """A client that is cut off again and again; nothing that was acknowledged may be lost."""
    h = {"Upload-Draft-Interop-Version": draft} if draft else TUS
    if draft:
        at = ask(s, "PUT", f"/drop/{name}", headers={**h, "Upload-Complete": "?0", "Upload-Length": str(len(data))},
                 body=b"")
    else:
        at = ask(s, "POST", "/drop/", headers={**h, "Upload-Length": str(len(data)),
                                               "Upload-Metadata": "filename " + b64(name)}, body=b"")
    assert at.status == 201, at
    at, known = at["Location"], 0
    while True:
        r = ask(s, "HEAD", at, headers=h)
        assert r.status in (200, 204), r
        offset = int(r["Upload-Offset"])
        assert offset >= known
        if offset == len(data) and r.get("Upload-Complete", "?1") == "?1":
            return
        known, rest = offset, data[offset:]
        cut = rng.randrange(len(rest) + 1) if rng.random() < 0.7 else len(rest)
        part = rest if rng.random() < 0.5 else rest[:rng.randrange(len(rest) + 1)]
        cut = min(cut, len(part))
        if draft:
            more = {**PART, "Upload-Complete": "?1" if len(part) == len(rest) else "?0"}
        else:
            more = {**OCTETS, **({"Upload-Checksum": f"sha1 {b64(hashlib.sha1(part).digest())}"} if rng.random() < .3 else {})}
        fields = {**h, **more, "Upload-Offset": str(offset), "Content-Length": str(len(part)), "Host": "a"}
        head = f"PATCH {at} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        try:
            r = some(s, head.encode(), part, cut)
            if r.status in (201, 204):
                known = offset + len(part)
        except Cut:
            pass


def disturb(s, what, stop):
    while not stop.wait(0.4):
        if what == "reload":
            s.cli("reload")
        elif what == "upgrade":
            s.cli("upgrade")
        elif what == "kill":
            for pid in s.workers()[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass


@pytest.mark.parametrize("draft", [None, "8", "6"], ids=["tus", "draft-8", "draft-6"])
@pytest.mark.parametrize("what", ["cut", "reload", "upgrade", "kill"])
def test_every_file_is_whole(server, what, draft):
    seed = int(os.environ.get("SEED", 2611)) + len(what)
    s = drop(server, workers=2)
    files = {f"f{i}": random.Random(seed + i).randbytes(1 + (i * 700001) % (2 << 20)) for i in range(6)}
    failures, stop = [], threading.Event()

    def one(name):
        try:
            upload(s, name, files[name], random.Random(seed + int(name[1:])), draft)
        except BaseException as e:
            failures.append((name, repr(e)))

    threads = [threading.Thread(target=one, args=(n,)) for n in files]
    trouble = threading.Thread(target=disturb, args=(s, what, stop))
    for t in threads + [trouble]:
        t.start()
    for t in threads:
        t.join(patience(60))
    stop.set()
    trouble.join()
    assert failures == []
    for name, data in files.items():
        with open(f"{s.tmp}/drop/{name}", "rb") as f:
            assert hashlib.sha256(f.read()).digest() == hashlib.sha256(data).digest(), name
    assert [n for n in unfinished(s) if not n.endswith(".info")] == []


def test_after_the_master_was_killed(server):
    """The machine's restart, as far as a test can have one: all processes gone, another server on the same directory."""
    s = drop(server)
    data = random.Random(5).randbytes(1 << 20)
    at = create(s, len(data), "m")["Location"]
    assert patch(s, at, 0, data[:700000]).status == 204
    s.kill(signal.SIGKILL)
    wait_for(lambda: s.proc.poll() is not None, "the master is gone")
    s.start()
    assert s.ask("HEAD", at, headers=TUS)["Upload-Offset"] == "700000"
    assert patch(s, at, 700000, data[700000:]).status == 204
    assert s.get("/drop/m").body == data
