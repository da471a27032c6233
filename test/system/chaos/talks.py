"""The kinds of talks: each function is one conversation of a client with the server, polite, slow, rude or mad.

t is a clients.Person. What is drawn from t.rng is drawn before anything is answered or whatever was answered.
"""
import json
import time

from backends import PROTOCOLS
from backends.behave import pattern
from chaos.clients import FILES, Lost, body_of, chunks, digest

REQUEST_BODIES = ["auto", "buffer", "spool", "stream"]
RESPONSE_BODIES = ["spool", "stream", "buffer"]
MAX_BODY = 3 << 20
NEVER_SAID = {499, 500}             # to a head that is refused
# What a request asks a backend to do, and what the client may be told then, beside 502, 503 and 504.
TROUBLES = {
    "close": (), "reset": (), "reset?after=3000": (), "cut_head": (), "cut_head?how=close": (), "garbage": (),
    "cut_body?n=60000": (200,), "cut_body?n=60000&how=rst": (200,), "status?code=500": (500,), "status?code=404": (404,),
    "status?code=503": (503,), "slow_head?ms=300": (200,), "early?after=1000": (413,), "early?after=0&how=rst": (413,),
    "early?how=keep": (413,), "before": (200,), "deaf?ms=300": (200,), "stale": (200,), "interim": (200,),
    "trailers": (200,), "http10": (200,), "stderr": (200,), "fields?n=60&size=100": (200,),
    "body?n=9000&piece=500&ms=20": (200,), "body?n=3000&framing=close": (200,),
}
GARBAGE = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\r\n" * 500, b"GET / HTTP/1.1\r\nNo colon\r\n\r\n",
           b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
           b"POST /http/auto/spool/hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           b"POST /scgi/stream/spool/hash HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n",
           b"POST /ajp/spool/spool/hash HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: " + b"b" * 40000 + b"\r\n\r\n", b"HELLO\r\n", b"\0" * 100,
           b"GET / HTTP/1.1\r\nHost: a\r\n\tfolded\r\n\r\n", b"OPTIONS * HTTP/3.7\r\n\r\n"]


def route(t, pool=None):
    """(pool, the path of one of its routes)"""
    pool = pool or t.rng.choice(PROTOCOLS)
    return pool, f"/{pool}/{t.rng.choice(REQUEST_BODIES)}/{t.rng.choice(RESPONSE_BODIES)}"


def size(t, most=1 << 20):
    """Sizes of all magnitudes, many at the edges."""
    n = int(2 ** t.rng.uniform(0, most.bit_length() - 1)) - t.rng.choice([0, 0, 1])
    return t.rng.choice([n, n, n, 0, 1, 4096, 8184, 65535, 65536])


def several(t, most, one):
    """Up to so many requests on a connection, as long as it is kept."""
    n = t.rng.choice([1, 1, t.rng.randrange(1, most + 1)])
    for i in range(n):
        if i == 0:
            t.connect()
            r = small_file(t) if t.rng.random() < 0.5 else None
        if r and t.is_over(r):
            t.connect()
        r = one(t)


def talk_files(t):
    several(t, 6, file_request)


def file_request(t):
    name, what = t.rng.choice(list(FILES)), t.rng.randrange(8)
    data, begun = FILES[name], time.monotonic()
    method, path, fields, status, body = "GET", "/" + name, [], 200, data
    if what == 0:
        method, body = "HEAD", b""
    elif what == 1 and data:
        a, b = sorted(t.rng.randrange(len(data)) for _ in range(2))
        fields, status, body = [("Range", f"bytes={a}-{b}")], 206, data[a:b + 1]
    elif what == 2:
        path, status, body = f"/missing-{t.rng.randrange(99)}", 404, FILES["page.html"]
    elif what == 3:
        path, status, body = "/deny", 403, b"denied"
    elif what == 4:
        path, body = "/status?format=" + t.rng.choice(["json", "prometheus", "html"]), None
    t.send(t.head(method, path, fields))
    r = t.answer(method, "", begun)
    t.judge(r, "", {status}, body)
    return r


def talk_fetch(t):
    several(t, 5, fetch_request)


def fetch_request(t):
    pool, path = route(t)
    n, begun, method = size(t), time.monotonic(), t.rng.choice(["GET", "GET", "GET", "HEAD"])
    t.send(t.head(method, f"{path}/body?n={n}&framing={t.rng.choice(['length', 'chunked', 'close'])}"))
    r = t.answer(method, pool, begun)
    t.judge(r, pool, {200}, pattern(n) if method == "GET" else b"", begun)
    return r


def talk_post(t):
    several(t, 4, post_request)


def post_request(t, pause=0, most=1 << 20):
    pool, path = route(t)
    n = MAX_BODY + 1 if t.rng.random() < 0.03 else size(t, most)
    data, method, is_chunked = body_of(t.rng, n), t.rng.choice(["POST", "PUT"]), t.rng.random() < 0.5
    sizes = [t.rng.choice([1, 7, 100, 4096, 70000]) for _ in range(4)] if n < 20000 else [8192, 100000, 1 << 18]
    parts = t.rng.choice([3, 10] if pause else [0, 3, 10])
    begun = time.monotonic()
    said = t.head(method, path + "/hash", length=None if is_chunked else n, chunked=is_chunked)
    said += chunks(data, sizes) if is_chunked else data
    sent = t.send(said, len(said) // parts if parts else 0, pause or (0.01 if parts else 0))
    r = t.answer(method, pool, begun, sent)
    if n > MAX_BODY:
        t.judge(r, pool, {413}, None, begun)
    elif t.judge(r, pool, {200}, None, begun) and not t.is_other(r, pool, begun):
        told = json.loads(r.body)
        if (told["length"], told["sha256"], told["method"]) != (n, digest(data), method):
            t.fault(f"the backend had another body than {n} octets {digest(data)}: {told}")
    if not sent:
        t.connect()
    return r


def talk_echo(t):
    several(t, 5, echo_request)


def echo_request(t):
    pool, path = route(t)
    mark, begun = f"{t.rng.getrandbits(64):x}", time.monotonic()
    target = f"{path}/echo?{mark}&" + "q" * t.rng.choice([0, 100, 3000])
    method, body = t.rng.choice([("GET", None), ("DELETE", None), ("POST", b"x" * 100)])
    t.send(t.head(method, target, [("X-Mark", mark)], None if body is None else len(body)) + (body or b""))
    r = t.answer(method, pool, begun)
    if t.judge(r, pool, {200}, None, begun) and not t.is_other(r, pool, begun):
        told = json.loads(r.body)
        seen = {k.lower(): v for k, v in told["fields"]} | told["env"]
        got = (told["target"], seen.get("x-mark", seen.get("HTTP_X_MARK")), told["method"], told["length"])
        if got != (target, mark, method, len(body or b"")):
            t.fault(f"the backend was asked something else: {got}, not {target} {mark}")
    return r


def talk_trouble(t):
    several(t, 3, trouble_request)


def trouble_request(t):
    pool, path = route(t)
    what, n, begun = t.rng.choice(list(TROUBLES)), t.rng.choice([None, None, 10, 5000, 300000]), time.monotonic()
    method = "GET" if n is None else "POST"
    data = t.head(method, f"{path}/{what}", length=n) + (b"" if n is None else body_of(t.rng, n))
    sent = t.send(data)
    is_cut = what.startswith(("cut_body", "http10", "body?n=3000", "early"))
    try:
        r = t.answer(method, "*" if is_cut else pool, begun, sent)
    except Lost:
        t.connect()
        return small_file(t)
    t.judge(r, pool, TROUBLES[what], None, begun)
    if not sent:
        t.connect()
    return r


def small_file(t):
    """An answer that tells which worker has the connection."""
    begun = time.monotonic()
    t.send(t.head("GET", "/small.txt"))
    r = t.answer("GET", "", begun)
    t.judge(r, "", {200}, FILES["small.txt"])
    return r


def talk_slow_reader(t):
    pool, path = route(t)
    n, begun = t.rng.randrange(1, 600000), time.monotonic()
    pace = (max(1000, n // t.rng.randrange(5, 40)), t.rng.uniform(0.005, 0.05))
    c = t.connect(rcvbuf=4096)
    is_file = t.rng.random() < 0.3
    t.send(t.head("GET", "/big.bin" if is_file else f"{path}/body?n={n}", [("Connection", "close")]))
    c.pace = (60000, pace[1]) if is_file else pace
    r = t.answer("GET", "" if is_file else pool, begun)
    t.judge(r, "" if is_file else pool, {200}, FILES["big.bin"] if is_file else pattern(n), begun)


def talk_slow_sender(t):
    t.connect()
    r = small_file(t)
    if t.is_over(r):
        t.connect()
    post_request(t, t.rng.uniform(0.05, 0.25), 1 << 16)


def talk_half_close(t):
    """A last request, followed by the end of the client's side, is answered."""
    pool, path = route(t)
    kind, begun = t.rng.choice(["file", "get", "post", "1.0"]), time.monotonic()
    n, data = t.rng.randrange(1, 50000), body_of(t.rng, 3000)
    t.connect()
    if kind == "file":
        pool = ""
        t.send(t.head("GET", "/page.html"))
    elif kind == "get":
        t.send(t.head("GET", f"{path}/body?n={n}", [("Connection", "close")]))
    elif kind == "post":
        t.send(t.head("POST", f"{path}/hash", [("Connection", "close")], 3000) + data)
    else:
        t.is_old = True
        t.send(t.head("GET", f"{path}/body?n={n}").replace(b"HTTP/1.1", b"HTTP/1.0"))
    t.c.shutdown()
    r = t.answer("POST" if kind == "post" else "GET", pool, begun)
    bodies = {"file": FILES["page.html"], "post": None}
    if t.judge(r, pool, {200}, bodies.get(kind, pattern(n)), begun) and kind == "post" and not t.is_other(r, pool, begun):
        if json.loads(r.body)["sha256"] != digest(data):
            t.fault(f"the backend had another body: {r}")


def end(t):
    """Leaves, politely or not."""
    if t.rng.random() < 0.6:
        t.c.reset()
    else:
        t.c.close()


def talk_reset_head(t):
    _, path = route(t)
    t.connect()
    data = t.head("GET", path + "/body?n=1000", [("X-Long", "v" * 500)])
    t.send(data[:t.rng.randrange(1, len(data))])
    time.sleep(t.rng.choice([0, 0.01, 0.2]))
    end(t)


def talk_reset_body(t):
    _, path = route(t)
    n = t.rng.choice([2000, 70000, 900000])
    data, is_chunked = body_of(t.rng, n), t.rng.random() < 0.5
    head = t.head("POST", f"{path}/hash", length=None if is_chunked else n, chunked=is_chunked)
    data = chunks(data, [30000]) if is_chunked else data
    t.connect()
    t.send(head + data[:t.rng.randrange(len(data))], t.rng.choice([0, 50000]), 0.01)
    time.sleep(t.rng.choice([0, 0.05, 0.3]))
    end(t)


def talk_reset_response(t):
    _, path = route(t)
    t.connect(rcvbuf=4096)
    n = t.rng.choice([1000, 200000, 3000000])
    t.send(t.head("GET", t.rng.choice(["/big.bin", f"{path}/body?n={n}", f"{path}/body?n=20000&piece=1000&ms=50"])))
    wanted = t.rng.randrange(4000)
    try:
        while len(t.c.buf) < wanted and t.c.more():
            pass
    except ConnectionResetError:
        pass
    end(t)


def talk_pipeline(t):
    t.connect()
    asked, begun = [], time.monotonic()
    data = b""
    for _ in range(t.rng.randrange(2, 9)):
        if t.rng.random() < 0.5:
            name = t.rng.choice(["small.txt", "empty", "page.html"])
            asked.append(("GET", "", FILES[name]))
            data += t.head("GET", "/" + name)
        elif t.rng.random() < 0.7:
            pool, path = route(t)
            n = t.rng.randrange(20000)
            asked.append(("GET", pool, pattern(n)))
            data += t.head("GET", f"{path}/body?n={n}")
        else:
            pool, path = route(t)
            asked.append(("POST", pool, None))
            data += t.head("POST", f"{path}/hash", length=500) + body_of(t.rng, 500)
    t.send(data)
    for method, pool, body in asked:
        # What follows one that a backend cut is not answered.
        r = t.answer(method, pool, begun)
        t.judge(r, pool, {200}, body, begun)
        if t.is_over(r):
            break


def talk_expect(t):
    pool, path = route(t)
    n, begun = size(t, 1 << 18), time.monotonic()
    data, c = body_of(t.rng, n), t.connect()
    t.send(t.head("POST", f"{path}/hash", [("Expect", "100-continue")], n))
    waits = t.rng.random() < 0.7
    try:
        if waits and n and c.more() and not c.buf.startswith(b"HTTP/1.1 100"):
            data = None  # refused
    except ConnectionResetError:
        data = None
    sent = data is None or t.send(data)
    r = t.answer("POST", pool, begun, sent)
    if t.judge(r, pool, {200}, None, begun) and data is not None and not t.is_other(r, pool, begun):
        if json.loads(r.body)["sha256"] != digest(data):
            t.fault(f"the backend had another body: {r}")


def talk_upgrade(t):
    """A tunnel: what is sent comes back."""
    pool, path = route(t, "http")
    begun, parts = time.monotonic(), [body_of(t.rng, t.rng.choice([1, 100, 5000, 200000])) for _ in range(t.rng.randrange(1, 5))]
    c = t.connect()
    t.send(t.head("GET", path + "/upgrade", [("Connection", "Upgrade"), ("Upgrade", "echo")]))
    r = t.answer("GET", pool, begun)
    if r.status == 101:
        try:
            for p in parts:
                if not t.send(p) or c.take(len(p)) != p:
                    t.fault("a tunnel gave back something else")
        except (ConnectionResetError, AssertionError) as e:
            if "closed" not in str(e) and "reset" not in str(e):
                raise
            raise t.lost("*" if t.world.was_troubled(pool, begun, time.monotonic()) else pool, begun, True,
                         f"tunnel: {e}") from e
        end(t)
    else:
        t.judge(r, pool, {502, 503, 504}, None, begun)


def talk_garbage(t):
    """No head that could be served: refused, or not answered; never served."""
    c = t.connect()
    t.book.count("heads", 2)
    data = t.rng.choice(GARBAGE) if t.rng.random() < 0.8 else t.rng.randbytes(t.rng.randrange(1, 3000))
    t.send(data, t.rng.choice([0, 0, 100]))
    if t.rng.random() < 0.5:
        t.c.shutdown()
    else:
        t.send(b"\r\n\r\n")
    try:
        r = c.response("GET")
    except (ConnectionResetError, BrokenPipeError):
        return
    except AssertionError as e:
        if "closed before" not in str(e) and "truncated" not in str(e):
            raise
        return
    t.book.answered(r.status)
    if r.status < 400 or r.status in NEVER_SAID:
        t.fault(f"served: {data[:100]!r} {r}")


def talk_silent(t):
    """Half a head, and then nothing: 408."""
    t.connect()
    r = small_file(t)
    if t.is_over(r):
        return
    begun = time.monotonic()
    t.send(t.head("GET", "/small.txt")[:-t.rng.randrange(3, 20)])
    r = t.answer("GET", "", begun)
    t.judge(r, "", {408})


def talk_endless(t):
    """An answer without end is left when there is enough of it."""
    _, path = route(t)
    begun, wanted = time.monotonic(), t.rng.choice([1000, 50000, 2000000])
    c = t.connect()
    what = t.rng.choice(["stream?piece=2000&ms=10", "flood", "flood", "stream?piece=500&ms=50&nobuf=1"])
    t.send(t.head("GET", f"{path}/{what}"))
    if path.endswith("/buffer"):
        c.sock.settimeout(0.5)  # it is sent when it is complete: never
    try:
        while len(c.buf) < wanted and time.monotonic() - begun < 3 and c.more():
            pass
    except (ConnectionResetError, AssertionError):
        pass
    end(t)


KINDS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("talk_")}
