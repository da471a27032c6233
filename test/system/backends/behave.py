"""What a fake backend does with a request: each behaviour is a function of the wire and the query.

The last word of the path names it, the query string gives its numbers: /app/body?n=100000. A backend
that was given a mode (Peer.mode) does that with every request instead.
"""
import hashlib
import json
import os
import random
import socket
import struct
import time
import urllib.parse

BLOCK = random.Random(7).randbytes(1 << 20)


def pattern(n):
    """The n octets that `body` answers with."""
    return (BLOCK * (n // len(BLOCK) + 1))[:n]


def number(q, name, default=0):
    return int(q.ask.get(name, default))


def drain(p, limit=None):
    """Reads the body, all of it or limit octets; the number read."""
    n = 0
    while limit is None or n < limit:
        d = p.body(65536 if limit is None else min(65536, limit - n))
        if not d:
            break
        n += len(d)
    return n


def reset(p):
    """Closes with a RST, whatever is queued."""
    p.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    p.keep = False


def answer(p, status, text, fields=(), kind="text/plain"):
    text = text.encode() if isinstance(text, str) else text
    p.head(status, [("Content-Type", kind), *fields], len(text))
    p.data(b"" if p.query.method == "HEAD" else text)
    p.end()


def do_hash(p, q):
    """Reads the body; what it was, as JSON."""
    h, n, first = hashlib.sha256(), 0, None
    while d := p.body(1 << 17):
        first = first or time.monotonic()
        h.update(d)
        n += len(d)
    answer(p, 200, json.dumps({"length": n, "declared": q.length, "sha256": h.hexdigest(), "method": q.method,
                               "peer": p.peer.name, "trailers": getattr(p, "trailers", [])}), kind="application/json")


def do_echo(p, q):
    """The request, as JSON."""
    n = drain(p)
    answer(p, 200, json.dumps({"method": q.method, "target": q.target, "fields": q.fields, "env": q.env, "length": n,
                               "declared": q.length, "peer": p.peer.name}), kind="application/json")


def do_files(p, q):
    """An upload that was handed over (gateway.upload), as JSON: the form or the fields, and the files as they
    are found. ms: time until the answer; keep: a directory that they are renamed to; fail: ends without an
    answer as often as that."""
    body = b"".join(iter(lambda: p.body(65536), b""))
    told = [(k, v) for k, v in urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)]
    named = {k.lower(): v for k, v in q.fields} | {k[5:].replace("_", "-").lower(): v for k, v in q.env.items()
                                                   if k.startswith("HTTP_")}
    type_ = named.get("content-type") or q.env.get("CONTENT_TYPE")
    paths = [v for k, v in told if k.endswith("[path]")] + [named[k] for k in ("x-upload-path",) if k in named]
    found = []
    for path in paths:
        st = os.stat(path)
        with open(path, "rb") as f:
            h = hashlib.file_digest(f, "sha256").hexdigest()
        found.append({"path": path, "size": st.st_size, "sha256": h, "mode": st.st_mode & 0o7777, "gid": st.st_gid})
    if p.peer.stats["requests"] <= number(q, "fail"):
        reset(p)
        return
    time.sleep(number(q, "ms") / 1000)
    for path in paths if "keep" in q.ask else ():
        os.rename(path, os.path.join(q.ask["keep"], "kept"))
    answer(p, 200, json.dumps({"form": told, "fields": named, "type": type_, "found": found, "declared": q.length,
                               "length": len(body)}), kind="application/json")


def do_slow_head(p, q):
    """ms: time until the head."""
    drain(p)
    time.sleep(number(q, "ms", 1000) / 1000)
    answer(p, 200, "slow head\n")


def do_body(p, q):
    """n octets of pattern(n); framing: length, chunked (the protocol's own), close; piece, ms: slowly."""
    drain(p)
    n, framing = number(q, "n", 1024), q.ask.get("framing", "length")
    piece, pause = number(q, "piece"), number(q, "ms")
    if framing == "close":
        p.keep = False
    if framing == "close" and hasattr(p, "out_chunked"):
        p.head(200, [("Content-Type", "application/octet-stream")], version="1.0")
    else:
        p.head(200, [("Content-Type", "application/octet-stream")], n if framing == "length" else None)
    if q.method != "HEAD":
        for i in range(0, n, piece or len(BLOCK)):
            size = min(piece or len(BLOCK), n - i)
            at = i % len(BLOCK)
            p.data(BLOCK[at:at + size] + BLOCK[:max(0, at + size - len(BLOCK))])
            time.sleep(pause / 1000)
    p.end()


def do_stream(p, q):
    """For ever: a piece of octets every ms that begins with when it was written and its number."""
    drain(p)
    piece, pause, i = number(q, "piece", 4096), number(q, "ms", 100) / 1000, 0
    p.head(200, [("Content-Type", "audio/mpeg"), *([("X-Accel-Buffering", "no")] if "nobuf" in q.ask else [])])
    due = time.monotonic()
    while not p.is_gone():
        p.data((b"%020d %010d " % (time.monotonic_ns(), i)).ljust(piece - 1, b".") + b"\n")
        i += 1
        p.peer.count("pieces")
        due += pause
        time.sleep(max(0, due - time.monotonic()))


def do_flood(p, q):
    """For ever, as fast as it is taken."""
    drain(p)
    p.head(200, [("Content-Type", "application/octet-stream")])
    while True:
        p.data(BLOCK)
        p.peer.count("octets_out", len(BLOCK))


def do_early(p, q):
    """status after `after` octets of the body; how: close, rst, keep (says nothing, reads on)."""
    drain(p, number(q, "after", 1024))
    how, text = q.ask.get("how", "close"), b"too large, says the application\n".ljust(number(q, "n", 2000), b"*")
    if how != "keep":
        p.keep = False
    answer(p, number(q, "status", 413), text)
    if how == "rst":
        time.sleep(number(q, "ms") / 1000)
        reset(p)
    elif how == "keep":
        drain(p)


def do_before(p, q):
    """Answers before it reads any of the body."""
    answer(p, 200, "before the body\n")
    drain(p)


def do_deaf(p, q):
    """Reads nothing for ms, then does as hash."""
    time.sleep(number(q, "ms", 1000) / 1000)
    do_hash(p, q)


def do_close(p, q):
    """No answer; after: octets of the body read before."""
    drain(p, number(q, "after"))
    p.keep = False


def do_reset(p, q):
    drain(p, number(q, "after"))
    reset(p)


def do_cut_head(p, q):
    """A part of a head, then how: rst or close."""
    drain(p)
    p.send(p.cut_head())
    p.keep = False
    if q.ask.get("how", "rst") == "rst":
        time.sleep(0.01)  # so that the octets are there before the reset takes them away
        reset(p)


def do_cut_body(p, q):
    """Announces n octets, sends half of them."""
    drain(p)
    n = number(q, "n", 100000)
    p.head(200, [("Content-Type", "application/octet-stream")], n)
    p.data(pattern(n)[:n // 2])
    p.keep = False
    if q.ask.get("how", "close") == "rst":
        time.sleep(0.01)
        reset(p)


def do_garbage(p, q):
    drain(p)
    p.send(b"\x00\x01this is none of the protocols\r\n\r\n\xff" * 3)
    p.keep = False


def do_status(p, q):
    """code, with retry: a Retry-After of so many seconds."""
    drain(p)
    more = [("Retry-After", q.ask["retry"])] if "retry" in q.ask else []
    answer(p, number(q, "code", 500), f"status {number(q, 'code', 500)}\n", more)


def do_stale(p, q):
    """Says that it keeps the connection, and closes it after ms."""
    drain(p)
    answer(p, 200, "stale\n")
    p.stale = number(q, "ms") / 1000


def do_interim(p, q):
    """A 103 before the answer."""
    p.interim(103, [("Link", "</style.css>; rel=preload")])
    drain(p)
    answer(p, 200, "after hints\n")


def do_trailers(p, q):
    drain(p)
    p.head(200, [("Content-Type", "text/plain"), ("Trailer", "X-Sum")])
    p.data(b"with trailers\n")
    p.end([("X-Sum", "42")])


def do_http10(p, q):
    """Answers as HTTP/1.0, where the protocol is HTTP: no framing but the end."""
    drain(p)
    p.keep = False
    p.head(200, [("Content-Type", "text/plain")], **({"version": "1.0"} if hasattr(p, "out_chunked") else {}))
    p.data(b"old\n")


def do_upgrade(p, q):
    """101, then every octet comes back."""
    p.head(101, [("Connection", "Upgrade"), ("Upgrade", q.field("Upgrade", "echo"))])
    p.keep = False
    while d := p.raw():
        p.send(d)


def do_stderr(p, q):
    drain(p)
    p.stderr(bytes.fromhex(q.ask["hex"]) if "hex" in q.ask else q.ask.get("text", "a complaint") + "\n")
    answer(p, 200, "complained\n")


def do_fields(p, q):
    """n fields of size octets each in the head."""
    drain(p)
    answer(p, 200, "many fields\n", [(f"X-Field-{i}", "v" * number(q, "size", 100))
                                     for i in range(number(q, "n", 10))])


def do_say(p, q):
    """What the JSON in hex says: status, fields, body; length: whether it is told; ms: between head and body; early:
    before the request's body is read; interim: fields of a 103 before it; trailers."""
    said = json.loads(bytes.fromhex(q.ask["hex"]))
    if not said.get("early"):
        drain(p)
    if "interim" in said and hasattr(p, "interim"):
        p.interim(103, [tuple(f) for f in said["interim"]])
    body = said.get("body", "").encode("latin-1")
    p.head(said.get("status", 200), [tuple(f) for f in said["fields"]], len(body) if said.get("length") else None)
    time.sleep(said.get("ms", 0) / 1000)
    if body and q.method != "HEAD":
        p.data(body)
    p.end(*([[tuple(f) for f in said["trailers"]]] if "trailers" in said else []))
    drain(p)


BEHAVIOURS = {name[3:]: f for name, f in list(globals().items()) if name.startswith("do_")}


def choose(q, mode):
    """The function for a request; a mode "NAME?a=b" goes before the path and replaces its numbers."""
    if mode:
        name, _, numbers = mode.partition("?")
        q.ask = dict(kv.split("=", 1) for kv in numbers.split("&") if kv)
    else:
        name = q.path.rstrip("/").rsplit("/", 1)[-1].split(".")[0]
    return BEHAVIOURS.get(name.replace("-", "_"), do_echo)
