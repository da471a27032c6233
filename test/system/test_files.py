"""Static files where time, other processes and hostile names matter. What a single request is answered is
in test/unit/test_files.c."""
import concurrent.futures
import ctypes
import hashlib
import html.parser
import itertools
import json
import multiprocessing
import os
import random
import re
import time
import urllib.parse

import pytest

import harness
from harness import SLOW, patience, wait_for

OLD, MTIME, NEW = 999000000, 1000000000, 1001000000
NO_CACHE = 'file_cache: { valid = "0ms"; };'


def date(t):
    return time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(t))


# ------------------------------------------------------------------------------- links exchanged

def exchange_forever(a, b, stop):
    """Exchanges two names atomically, as fast as it goes."""
    libc = ctypes.CDLL(None, use_errno=True)
    a, b, n = a.encode(), b.encode(), 0
    while not stop.is_set():
        for _ in range(100):
            if libc.renameat2(-100, a, -100, b, 2) < 0:
                raise OSError(ctypes.get_errno(), "renameat2")
            n += 1
            if n % 3 == 0:
                time.sleep(0.0001)


@pytest.mark.parametrize("policy", ["beneath", "none"])
def test_link_race(server, tmp, policy):
    """A directory that is exchanged for a link to outside in a loop: nothing of outside is ever sent."""
    s = server(files={"d/secret": "inside", "d/index.html": "inside", "d/sub/secret": "inside"}, workers=1,
               server=NO_CACHE, site=f'symlinks = "{policy}"; listing = true;')
    outside = os.path.join(tmp, "outside")
    os.makedirs(outside + "/sub")
    for name in ("secret", "index.html", "sub/secret", "only-outside"):
        with open(os.path.join(outside, name), "w", encoding="ascii") as f:
            f.write("OUTSIDE")
    os.symlink(outside, os.path.join(s.root, "absolute"))
    os.symlink(os.path.relpath(outside, s.root), os.path.join(s.root, "link"))
    stop = multiprocessing.Event()
    p = multiprocessing.Process(target=exchange_forever,
                                args=(s.root + "/d", s.root + "/link", stop))
    p.start()
    seen = {}
    try:
        paths = ["/d/secret", "/d/", "/d/sub/secret", "/d/only-outside", "/d/sub/?format=json", "/d/sub/"]
        c = s.connect()
        for i in range(10000):
            path = paths[i % len(paths)]
            r = c.request(path).response()
            seen[path, r.status] = seen.get((path, r.status), 0) + 1
            assert b"OUTSIDE" not in r.body, f"{path}: {r}"
            assert b"only-outside" not in r.body.replace(b"/d/only-outside", b""), f"{path}: {r}"
            if r.status == 200 and path == "/d/secret":
                assert r.body == b"inside"
            c.transcript.clear()
    finally:
        stop.set()
        p.join()
    assert p.exitcode == 0
    # The race was one: both states were met.
    assert seen.get(("/d/secret", 200), 0) > 100, seen
    assert seen.get(("/d/secret", 403), 0) > 100, seen
    assert not seen.get(("/d/only-outside", 200)), seen


# ------------------------------------------------------------------------------- files that change

def test_truncated_during_transfer(server):
    """The connection ends early, so that the client can tell; nobody else is harmed."""
    size = 64 << 20
    s = server(files={"other": "fine"}, workers=1)
    p = s.write("big", b"x" * size)
    c = s.connect(rcvbuf=65536)
    c.request("/big")
    head = c.take_until(b"\r\n\r\n")
    assert f"Content-Length: {size}".encode() in head
    c.take(1 << 20)
    os.truncate(p, 2 << 20)
    got = 1 << 20
    try:
        while c.more():
            got += len(c.buf)
            c.buf = b""
            c.transcript.clear()
    except ConnectionResetError:
        pass
    assert got < size
    assert s.get("/other").body == b"fine"

    def is_seen():
        d = s.connect()
        d.request("/big")
        return b"Content-Length: 2097152\r" in d.take_until(b"\r\n\r\n")
    wait_for(is_seen, "the new size is seen")


def test_growing_file(server):
    """What is appended during a transfer is not part of it."""
    s = server(workers=1)
    p = s.write("log", b"x" * (8 << 20))
    c = s.connect(rcvbuf=65536)
    c.request("/log")
    with open(p, "ab") as f:
        f.write(b"y" * (8 << 20))
    r = c.response()
    # The length is that of the moment when the file was opened, in the middle of the writing perhaps.
    assert r.body == (b"x" * (8 << 20) + b"y" * (8 << 20))[:len(r.body)] and len(r.body) >= 8 << 20
    assert s.connect().request("/log").response().status == 200


def replace(s, path, data):
    p = os.path.join(s.root, path)
    with open(p + ".new", "wb") as f:
        f.write(data)
    os.rename(p + ".new", p)


def until(s, path, want, what):
    """How long after the change the last request was sent that got the old answer (want None: 404)."""
    c, begin, stale = s.connect(), time.monotonic(), 0
    while True:
        sent = time.monotonic()
        r = c.request(path).response()
        c.transcript.clear()
        if not (r.status == 404 if want is None else r.body == want):
            stale = sent - begin
            assert stale < patience(5), what
        elif sent - begin > stale + 0.05:
            return stale
        time.sleep(0.002)


def test_changes_are_seen_within_a_second(server, tmp):
    """Replaced, written in place with the same size and time, removed, new, and a directory link switched."""
    s = server(workers=1, files={"a": "1", "b": "1", "c": "1"})
    seen = {}
    for path in ("/a", "/b", "/c", "/new"):
        s.get(path)
    replace(s, "a", b"2")
    seen["replaced"] = until(s, "/a", b"2", "a replaced file")
    s.write("b", "2", mtime=MTIME)
    seen["in place"] = until(s, "/b", b"2", "a file written in place")
    s.write("b", "3", mtime=MTIME)
    seen["in place, same time"] = until(s, "/b", b"3", "the same size and time of modification")
    os.remove(s.root + "/c")
    seen["removed"] = until(s, "/c", None, "a file removed")
    s.write("new", "n")
    seen["new"] = until(s, "/new", b"n", "a new file")
    for k, v in seen.items():
        harness.figure("files: a change is seen after", change=k, seconds=f"{v:.2f}")
    assert max(seen.values()) < 1.1, seen


def test_switch_of_the_root(server, tmp):
    """A deployment by switching a link: each answer is wholly old or new, and new within a second."""
    for v in ("v1", "v2"):
        os.makedirs(f"{tmp}/{v}")
        with open(f"{tmp}/{v}/f", "w", encoding="ascii") as f:
            f.write(v)
    os.symlink("v1", f"{tmp}/current")
    s = server(workers=1, routes='{ path = "/"; root = "%s/current"; }' % tmp)
    assert s.get("/f").body == b"v1"
    os.symlink("v2", f"{tmp}/next")
    os.rename(f"{tmp}/next", f"{tmp}/current")
    assert until(s, "/f", b"v2", "the new root") < 1.1


# ------------------------------------------------------------------------------- listings

class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.tags, self.text = {}, set(), ""
        self.href = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "a":
            self.href = dict(attrs)["href"]
            self.links[self.href] = ""

    def handle_endtag(self, tag):
        if tag == "a":
            self.href = None

    def handle_data(self, data):
        self.text += data
        if self.href is not None:
            self.links[self.href] += data


WEIRD = [b"<script>alert(1)</script>".replace(b"/", b"\\"), b"quote\"quote'", b"a&amp;b", b"percent%41%2F",
         b"quest?ion#hash", b"space  two", b"\xff\xfe latin", "ünï😀".encode(), b"javascript:alert(1)",
         b"back\\slash", b"-dash", b"~tilde", b"\xe2\x80\xae rtl", b"semi;colon=plus+", b"{[]}|^`"]


def test_weird_names(server):
    """Every name that a URL can carry is listed, harmless, and its link leads to it; the others have none."""
    s = server(site="listing = true;", workers=1)
    for i, name in enumerate(WEIRD + [b"new\nline", b"tab\there"]):
        with open(os.path.join(s.root.encode(), name), "wb") as f:
            f.write(b"%d" % i)
    r = s.get("/")
    page = Links(r.text)
    assert "script" not in page.tags
    assert r["Content-Security-Policy"].startswith("default-src 'none'")
    files = {k: v for k, v in page.links.items() if not k.startswith("?") and k != "../"}
    assert sorted(urllib.parse.unquote_to_bytes(k) for k in files) == sorted(WEIRD)
    for href in files:
        name = urllib.parse.unquote_to_bytes(href)
        # As a browser would: nothing in the name is a scheme, a host, a query or a fragment.
        u = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://127.0.0.1:{s.port}/", href))
        assert (u.hostname, u.query, u.fragment) == ("127.0.0.1", "", "")
        assert s.get(u.path).body == b"%d" % WEIRD.index(name), name
    assert "new\ufffdline" in page.text
    doc = json.loads(s.get("/", headers={"Accept": "application/json"}).body)
    assert len(doc["entries"]) == len(WEIRD) + 2
    assert sum("href" in e for e in doc["entries"]) == len(WEIRD)


def test_listing_of_100000(server, tmp):
    """Bounded, says so, and holds up nobody."""
    s = server(site="listing = true;", workers=1, files={"small": "x"})
    os.makedirs(s.root + "/many")
    fd = os.open(s.root + "/many", os.O_RDONLY)
    for i in range(100000):
        os.close(os.open(f"f{i}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    c, d = s.connect(), s.connect(timeout=30)
    slowest = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        big = pool.submit(lambda: d.request("/many/?format=json&sort=time").response())
        while not big.done():
            begin = time.monotonic()
            assert c.request("/small").response().status == 200
            slowest = max(slowest, time.monotonic() - begin)
    doc = json.loads(big.result().body)
    assert doc["truncated"] and len(doc["entries"]) == 10000
    harness.figure("files: a listing of 100,000 entries", octets=len(big.result().body),
                   slowest_other_ms=f"{slowest * 1000:.0f}")
    assert slowest < 0.5 * SLOW
    page = s.get("/many/")
    assert page.text.count("<tr>") == 10002 and "There is more here" in page.text
    c.transcript.clear()


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def test_listing_for_many_clients(server):
    """Two hundred slow clients of one listing share it: 900 KB each would be 180 MB."""
    s = server(site="listing = true;", workers=1)
    for i in range(10000):
        s.write(f"many/{i}")
    one = s.get("/many/?format=json").body
    before = resident(s.workers()[0])
    time.sleep(1.1)  # the document made above is too old now
    conns = [s.connect(rcvbuf=4096).request("/many/?format=json") for _ in range(199)]
    conns.append(s.connect().request("/many/?format=json"))
    for c in conns:
        c.take_until(b"\r\n\r\n")
    grown = resident(s.workers()[0]) - before
    harness.figure("files: 200 clients of one listing", octets=len(one), grown_KiB=grown)
    assert grown < (30 << 10) * SLOW
    assert conns[-1].take(len(one)) == one


# ------------------------------------------------------------------------------- ranges

def parse_multipart(r):
    m = re.fullmatch(r"multipart/byteranges; boundary=([0-9a-f]{32})", r["Content-Type"])
    assert m, r
    sep = b"--" + m[1].encode()
    first, *parts, last = (b"\r\n" + r.body).split(b"\r\n" + sep)
    assert first == b"" and last == b"--\r\n"
    out = []
    for p in parts:
        head, body = p[2:].split(b"\r\n\r\n", 1)
        fields = dict(harness.parse_fields(head))
        a, b, n = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", fields["Content-Range"]).groups())
        assert len(body) == b - a + 1
        out.append((a, b, n, body))
    return m[1], out


@pytest.mark.parametrize("size", [10, 3000, 1 << 20])
def test_random_ranges(server, size):
    """Whatever is asked, what comes is what the file has there, and never more than the file."""
    rnd = random.Random(size)
    data = rnd.randbytes(size)
    s = server(files={"f": data}, workers=1)
    c, boundaries, kinds = s.connect(), set(), {}
    for _ in range(400):
        specs = []
        for _ in range(rnd.choice([1, 1, 2, 3, 5, 20])):
            a = rnd.randrange(size + 3)
            specs.append(rnd.choice([f"{a}-", f"{a}-{a + rnd.randrange(size)}", f"-{a}", f"{a}-{a}"]))
        r = c.request("/f", headers={"Range": "bytes=" + ",".join(specs)}).response()
        kinds[r.status] = kinds.get(r.status, 0) + 1
        if r.status == 200:
            assert r.body == data
        elif r.status == 416:
            assert r["Content-Range"] == f"bytes */{size}"
        elif "Content-Range" in r:
            a, b, n = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", r["Content-Range"]).groups())
            assert r.status == 206 and n == size and r.body == data[a:b + 1]
        else:
            boundary, parts = parse_multipart(r)
            assert boundary not in boundaries
            boundaries.add(boundary)
            assert 2 <= len(parts) <= 16 and sum(len(p[3]) for p in parts) <= size
            assert all(n == size and body == data[a:b + 1] for a, b, n, body in parts)
        c.transcript.clear()
    assert kinds.get(206) and kinds.get(200), kinds


def test_range_floods(server):
    """Thousands of ranges, overlapping or tiny, cost no more than the file."""
    data = bytes(range(256)) * 256
    s = server(files={"f": data}, workers=1)
    floods = [",".join("0-" for _ in range(1300)), ",".join(f"{i * 2}-{i * 2}" for i in range(900)),
              ",".join(f"-{i}" for i in range(1, 1000)), ",".join(f"{i}-" for i in range(1000)),
              "0-0," * 900 + "1-1", ",".join("5-0,1-2" for _ in range(500))]
    for f in floods:
        r = s.get("/f", headers={"Range": "bytes=" + f})
        assert r.status in (200, 206, 416, 431), r
        assert len(r.body) <= len(data) + 16 * 200


# ------------------------------------------------------------------------------- conditions

ETAG = '"3b9aca00-4"'
TAGS = [None, ETAG, '"other"', "*", f'"x", W/{ETAG}']
DATES = [None, OLD, MTIME, NEW]


def expected(im, ius, inm, ims):
    """RFC 9110 13.2.2 for a GET of a file with ETAG and MTIME."""
    if im is not None:
        if im != "*" and im != ETAG:        # strong comparison
            return 412
    elif ius is not None and MTIME > ius:
        return 412
    if inm is not None:
        return 200 if inm == '"other"' else 304  # weak comparison
    if ims is not None and MTIME <= ims:
        return 304
    return 200


def test_conditional_matrix(server):
    """All combinations of the four conditions, for GET and HEAD."""
    s = server(workers=1)
    s.write("f", "body", mtime=MTIME)
    c, n = s.connect(), 0
    for im, ius, inm, ims in itertools.product(TAGS, DATES, TAGS, DATES):
        h = [(k, v if isinstance(v, str) else date(v)) for k, v in (
            ("If-Match", im), ("If-Unmodified-Since", ius), ("If-None-Match", inm),
            ("If-Modified-Since", ims)) if v is not None]
        want = expected(im, ius, inm, ims)
        for method in ("GET", "HEAD"):
            r = c.request("/f", method, headers=h).response()
            assert r.status == want, f"{method} {h}: {r.status} in place of {want}"
            if want != 412:
                assert r["ETag"] == ETAG
            if want == 200 and method == "GET":
                assert r.body == b"body"
            n += 1
        c.transcript.clear()
    assert n == 800


# ------------------------------------------------------------------------------- transfers

def test_parallel_downloads(server):
    """Many large and small files at a time arrive as they are."""
    rnd = random.Random(7)
    files = {f"f{i}": rnd.randbytes(rnd.choice([0, 1, 1000, 65535, 65536, 65537, 300000, 5 << 20])) for i in range(24)}
    s = server(files=files, workers=2)
    digests = {k: hashlib.sha256(v).digest() for k, v in files.items()}

    def fetch(i):
        c = s.connect(rcvbuf=random.choice([4096, None]))
        for name in random.Random(i).sample(sorted(files), 12):
            r = c.request("/" + name).response()
            assert r.status == 200 and hashlib.sha256(r.body).digest() == digests[name], name
            c.transcript.clear()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, range(16)))


def test_fifos_and_devices_are_no_files(server):
    """Nobody waits for a FIFO's other end."""
    s = server(files={"f": "x"}, workers=1, site='listing = true; symlinks = "all";')
    os.mkfifo(s.root + "/fifo")
    os.symlink("/dev/zero", s.root + "/zero")
    begin = time.monotonic()
    assert s.get("/fifo").status == 404
    assert s.get("/zero").status == 404
    assert time.monotonic() - begin < patience(2)
    assert [e["name"] for e in s.get("/?format=json").json()["entries"]] == ["f"]
