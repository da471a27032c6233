"""Uploads that applications are handed as files (gateway.upload): over every protocol, what applications are told,
what clients cannot say, limits, and that nothing is left of a file whoever dies when.

ARGAND_FULL=1: 2 GiB to PHP; else 64 MiB.
"""
import hashlib
import os
import random
import resource
import signal
import subprocess
import urllib.parse

import pytest

import harness
from apps import App, can_connect, need, user
from backends import PROTOCOLS, pool
from harness import FULL, figure, patience, wait_for
from test_apps_php import FPM

MIB = 1 << 20
BLOCK = random.Random(9).randbytes(MIB)
B = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


def part(name, data, filename=None, type_=None, more=""):
    head = f'Content-Disposition: form-data; name="{name}"'
    head += "" if filename is None else f'; filename="{filename}"'
    head += "" if type_ is None else f"\r\nContent-Type: {type_}"
    return f"--{B}\r\n{head}{more}\r\n\r\n".encode() + (data.encode() if isinstance(data, str) else data) + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{B}--\r\n".encode()


TYPE = {"Content-Type": f"multipart/form-data; boundary={B}"}


# Workers without root's rights, as they should be: the kernel asks more of them.
WORKER = f'user = "{user()}";' if os.geteuid() == 0 else ""


def start(server, conf, more="", workers=1, site="", server_part="", directory=None, who=WORKER):
    s = server(workers=workers, start=False)
    s.dir, s.kept = directory or os.path.join(s.tmp, "uploads"), os.path.join(s.tmp, "kept")
    for d in (s.dir, s.kept):
        os.makedirs(d, exist_ok=True)
        os.chmod(d, 0o777)
    s.rewrite(workers=workers, access_log=True, backends=conf, site=f'max_body = "8G"; {site}', server=who + server_part,
              routes=f'{{ path = "/app"; gateway = {{ backend = "app"; upload = {{ directory = "{s.dir}"; {more} }}; }}; }}')
    s.start()
    wait_for(lambda: len(s.workers()) == workers, "all workers are there")
    return s


def files(r):
    """What the form of an answer tells of files: a list of groups."""
    found = {}
    for k, v in r.json()["form"]:
        if k.startswith("argand_upload["):
            i, member = k[len("argand_upload["):-1].split("][")
            found.setdefault(int(i), {})[member] = v
    return [found[i] for i in sorted(found)]


def fields(r):
    return [(k, v) for k, v in r.json()["form"] if not k.startswith("argand_upload[")]


def is_empty(s):
    wait_for(lambda: os.listdir(s.dir) == [], f"nothing is left: {os.listdir(s.dir)}", patience(10))
    wait_for(lambda: s.status()["counters"]["spool_bytes"] == 0, "the disk is given back", patience(10))


# ------------------------------------------------------------------------------- what applications are told

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_form(server, peers, protocol):
    s = start(server, pool("app", peers(protocol)))
    data = BLOCK[:300000]
    body = form(part("title", "ä & b=c\r\n+%41"), part("doc", data, "../x/Bericht %22ä%22.bin", "image/png"),
                part("none", "", "", "application/octet-stream"), part("title", ""),
                part("doc", "", "empty.txt"), part("doc", "\r\n--x", "C:\\a\\.b"))
    r = s.ask("POST", "/app/files?a=b", TYPE, body)
    assert r.status == 200, r
    assert fields(r) == [("title", "ä & b=c\r\n+%41"), ("title", "")]
    told = files(r)
    assert [(f["field"], f["name"], f["type"], f["size"]) for f in told] == [
        ("doc", 'Bericht "ä".bin', "image/png", "300000"), ("doc", "empty.txt", "", "0"), ("doc", "_b", "", "5")]
    for f, octets, found in zip(told, (data, b"", b"\r\n--x"), r.json()["found"]):
        assert f["sha256"] == found["sha256"] == hashlib.sha256(octets).hexdigest()
        assert found["size"] == len(octets) and found["mode"] == 0o640
        assert os.path.dirname(f["path"]) == s.dir and "/" not in os.path.basename(f["path"])
    assert r.json()["type"] == "application/x-www-form-urlencoded"
    assert r.json()["fields"]["x-upload-files"] == "3" and "x-upload-path" not in r.json()["fields"]
    is_empty(s)
    for chunked in (False, True):
        r = send_slowly(s, body, chunked)
        assert [f["sha256"] for f in files(r)] == [f["sha256"] for f in told]
    is_empty(s)


def send_slowly(s, body, chunked):
    """In pieces of odd sizes."""
    with s.connect(timeout=60) as c:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        c.send(f"POST /app/files HTTP/1.1\r\nHost: a\r\nContent-Type: {TYPE['Content-Type']}\r\n{framing}\r\n\r\n")
        at, n = 0, 1
        while at < len(body):
            piece = body[at:at + n]
            c.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            at, n = at + n, n * 3 % 7001 + 1
        if chunked:
            c.send(b"0\r\n\r\n")
        return c.response("POST")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_raw(server, peers, protocol):
    s = start(server, pool("app", peers(protocol)))
    data = BLOCK[:200001]
    r = s.ask("PUT", "/app/files", {"Content-Type": "video/mp4", "Content-Disposition":
                                    "attachment; filename=x; filename*=UTF-8''a%2f%c3%a4%20b"}, data)
    told = r.json()["fields"]
    assert r.status == 200 and r.json()["length"] == 0 and r.json()["declared"] in (0, None)
    assert (told["x-upload-files"], told["x-upload-size"]) == ("1", "200001")
    assert told["x-upload-sha256"] == r.json()["found"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    assert told["x-upload-type"] == r.json()["type"] == "video/mp4"
    assert told["x-upload-name"] == "%C3%A4%20b"
    assert os.path.dirname(told["x-upload-path"]) == s.dir
    is_empty(s)
    # A form without files is a body like any other: nobody reads names of ours in it.
    r = s.ask("POST", "/app/files", {"Content-Type": "application/x-www-form-urlencoded"},
              b"argand_upload[0][path]=/etc/passwd")
    assert r.json()["form"] == [] and r.json()["fields"]["x-upload-size"] == "34"
    r = s.ask("POST", "/app/files", {}, b"")
    assert r.status == 200 and r.json()["found"] == []
    is_empty(s)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_else_says_it(server, peers, protocol):
    s = start(server, pool("app", peers(protocol)), 'mode = "0600";')
    for name in ("X-Upload-Path", "x-upload-path", "X_Upload_Path", "X.Upload-Path", "X-Upload-Files", "X_UPLOAD_FILES"):
        r = s.get("/app/files", {name: "/etc/hostname"})
        assert r.status == 200 and not any(k.startswith("x-upload") for k in r.json()["fields"]), (name, r)
        r = s.ask("POST", "/app/files", {name: "/etc/hostname", "Connection": "X-Upload-Path, X-Upload-Files"}, b"xyz")
        assert r.json()["fields"]["x-upload-path"].startswith(s.dir) and r.json()["fields"]["x-upload-files"] == "1"
        assert len(r.json()["found"]) == 1
        r = s.ask("POST", "/app/files", {name: "/etc/hostname", **TYPE}, form(part("a", "b")))
        assert r.json()["fields"]["x-upload-files"] == "0" and "x-upload-path" not in r.json()["fields"]
    for query in ("argand_upload[0][path]=/etc/hostname", "a&argand%5Fupload%5b0]=x", "+argand.upload=", ".Argand[upload="):
        assert s.get("/app/files?" + query).status == 400, query
        assert s.ask("POST", "/app/files?" + query, {}, b"x").status == 400, query
    for name in ("argand_upload[0][path]", " argand.upload", "ARGAND_UPLOAD", "[argand upload"):
        assert s.ask("POST", "/app/files", TYPE, form(part(name, "/etc/hostname"))).status == 400, name
    is_empty(s)


def test_the_application_keeps_it(server, peers):
    app = peers("http")
    s = start(server, pool("app", app))
    r = s.ask("POST", f"/app/files?keep={urllib.parse.quote(s.kept)}", TYPE, form(part("f", BLOCK[:99999], "x")))
    assert r.status == 200
    is_empty(s)
    with open(os.path.join(s.kept, "kept"), "rb") as f:
        assert f.read() == BLOCK[:99999]


def test_another_attempt(server, peers):
    """The first host breaks; the second one is given the same."""
    a, b = peers("http"), peers("http")
    s = start(server, pool("app", a, b, balance="round-robin"))
    a.mode("files?fail=1000")
    for _ in range(2):
        r = s.ask("PUT", "/app/files", {}, BLOCK[:70000])
        assert r.status == 200 and r.json()["found"][0]["size"] == 70000, r
    assert a.stats()["requests"] > 0, "the first one was asked"
    is_empty(s)


def test_no_backend_is_held(server, peers):
    """Nobody is asked before all has come."""
    app = peers("http")
    s = start(server, pool("app", app))
    with s.connect(timeout=20) as c:
        c.send(f"PUT /app/files HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * MIB}\r\n\r\n")
        c.send(BLOCK)
        wait_for(lambda: s.status()["counters"]["spool_bytes"] == MIB, "half of it is stored")
        assert app.stats()["requests"] == 0 and os.listdir(s.dir) == [], "no name before the end"
        c.send(BLOCK)
        assert c.response("PUT").json()["found"][0]["size"] == 2 * MIB
    is_empty(s)


# ------------------------------------------------------------------------------- refused

BAD = {
    "no boundary": ({"Content-Type": "multipart/form-data"}, b"x", 400),
    "long boundary": ({"Content-Type": "multipart/form-data; boundary=" + "x" * 71}, b"x", 400),
    "no last boundary": (TYPE, part("a", "b", "c"), 400),
    "not a form": (TYPE, b"hello", 400),
    "bare LF": (TYPE, form(part("a", "b", "c")).replace(b"\r\n", b"\n"), 400),
    "no name": (TYPE, form(part("", "b", "c")), 400),
    "coding": (TYPE, form(part("a", "b", "c", more="\r\nContent-Transfer-Encoding: base64")), 400),
    "compressed": (dict(TYPE, **{"Content-Encoding": "gzip"}), form(part("a", "b")), 415),
    "large file": (TYPE, form(part("a", BLOCK[:200001], "c")), 413),
    "large raw": ({}, BLOCK[:200001], 413),
    "parts": (TYPE, form(*[part("a", "b")] * 6), 413),
    "files": (TYPE, form(*[part("a", "b", "c")] * 6), 413),
    "fields": (TYPE, form(part("a", "b" * 5000)), 413),
    "head": (TYPE, form(part("a", "b", "c", more="\r\nX: " + "y" * 600)), 413),
    "name": (TYPE, form(part("a" * 65, "b")), 400),
    "file name": (TYPE, form(part("a", "b", "c" * 65)), 400),
    "raw name": ({"Content-Disposition": "attachment; filename=" + "c" * 65}, b"x", 400),
    "max_body": (TYPE, form(*[part("a", BLOCK[:150000], "c")] * 3), 413),
}


@pytest.fixture(scope="module")
def strict(shared_server, tmp_path_factory):
    import backends
    d = harness.new_tmp()
    made = backends.Peers(d)
    up = os.path.join(d, "uploads")
    os.makedirs(up)
    os.chmod(up, 0o777)
    s = shared_server(workers=1, server=WORKER, backends=pool("app", made("http")), site='max_body = "400k";', routes=f'''
        {{ path = "/app"; gateway = {{ backend = "app"; upload = {{ directory = "{up}"; max_file = "200000"; max_parts = 5;
           max_fields = "4k"; max_head = "512"; max_name = 64; }}; }}; }}''')
    s.dir = up
    yield s
    made.stop()
    s.cleanup()
    harness.remove_tmp(d)


@pytest.mark.parametrize("name", BAD)
def test_refused(strict, name):
    head, body, status = BAD[name]
    for chunked in (False, True):
        with strict.connect(timeout=20) as c:
            lines = "".join(f"{k}: {v}\r\n" for k, v in head.items())
            framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
            c.send(f"POST /app/files HTTP/1.1\r\nHost: a\r\n{lines}{framing}\r\n\r\n")
            try:
                c.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            except OSError:
                pass  # refused before all was sent
            assert c.response("POST").status == status, (name, chunked)
    is_empty(strict)


def test_two_types(strict):
    with strict.connect() as c:
        c.send("POST /app/files HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
               f"Content-Type: {TYPE['Content-Type']}\r\nContent-Length: 1\r\n\r\nx")
        assert c.response("POST").status == 400


@pytest.mark.parametrize("text,why", [
    ('upload = "/nonexistent/uploads"', "No such file or directory"),
    ('upload = "uploads"', "no absolute path"),
    ('upload = { directory = "/tmp"; mode = "0440"; }', "not a file's mode in octal"),
    ('upload = { directory = "/tmp"; group = "nobodys-group"; }', 'there is no group "nobodys-group"'),
    ('upload = "/tmp"; set = [ "x_upload-path: /etc/passwd" ]', "is the server's own"),
])
def test_configuration(server, text, why):
    s = server(start=False, routes=f'{{ path = "/a"; gateway = {{ backend = "http://127.0.0.1:9"; {text}; }}; }}')
    out = s.cli("check", "-c", s.conf)
    assert out.returncode != 0 and why in out.stdout + out.stderr, out


# ------------------------------------------------------------------------------- who dies when

def begun(s, octets=MIB):
    """A connection on which an upload is half done."""
    c = s.connect(timeout=30)
    c.send(f"PUT /app/files HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * octets}\r\n\r\n")
    c.send(BLOCK[:octets])
    return c


def holds_a_file(pid, directory):
    """A file in it that the process has open, with or without a name."""
    try:
        names = os.listdir(f"/proc/{pid}/fd")
        return any(os.readlink(f"/proc/{pid}/fd/{n}").startswith(directory + "/") for n in names)
    except OSError:
        return False


def test_client_leaves(server, peers):
    app = peers("http")
    s = start(server, pool("app", app))
    with begun(s):
        wait_for(lambda: s.status()["counters"]["spool_bytes"] == MIB, "half of it is stored")
    is_empty(s)
    assert not holds_a_file(s.workers()[0], s.dir)
    # While the application works.
    c = s.connect()
    c.send("PUT /app/files?ms=1500 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    wait_for(lambda: len(os.listdir(s.dir)) == 1, "the file has a name")
    c.close()
    is_empty(s)


def test_a_worker_is_killed(server, peers):
    s = start(server, pool("app", peers("http")))
    with begun(s):
        wait_for(lambda: s.status()["counters"]["spool_bytes"] == MIB, "half of it is stored")
        old = s.workers()[0]
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: s.workers() and s.workers() != [old], "another worker is there", patience(10))
    is_empty(s)
    # While the application works: the file has its name already.
    with s.connect(timeout=30) as c:
        c.send("PUT /app/files?ms=1000 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        wait_for(lambda: len(os.listdir(s.dir)) == 1, "the file has a name")
        old = s.workers()[0]
        os.kill(old, signal.SIGKILL)
        is_empty(s)
    s.wait_log("removed 1 files of uploads whose worker has died")


def test_what_lives_is_not_swept(server, peers):
    """A new worker removes neither the files of another one's requests nor what is not ours."""
    s = start(server, pool("app", peers("http")), workers=2)
    theirs = [os.path.join(s.dir, n) for n in ("argand-upload-x", "photo.jpg", "argand-upload-" + "0" * 31)]
    for path in theirs:
        with open(path, "w", encoding="ascii"):
            pass
    left = os.path.join(s.dir, "argand-upload-" + "0" * 32)
    os.symlink("/etc/hostname", left + "x")
    with open(left, "w", encoding="ascii"):
        pass
    os.chmod(left, 0o666)
    with s.connect(timeout=30) as c:
        c.send("PUT /app/files?ms=2500 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        wait_for(lambda: len(os.listdir(s.dir)) == 6, "the file has a name")
        owner = [p for p in s.workers() if holds_a_file(p, s.dir)]
        other = [p for p in s.workers() if p not in owner]
        assert len(owner) == 1 and len(other) == 1
        os.kill(other[0], signal.SIGKILL)
        wait_for(lambda: not os.path.exists(left), "what nobody holds is removed", patience(10))
        assert c.response("PUT").status == 200
    wait_for(lambda: sorted(os.listdir(s.dir)) == sorted(map(os.path.basename, [*theirs, left + "x"])), "only theirs is left")


def test_the_master_dies(server, peers):
    s = start(server, pool("app", peers("http")))
    with s.connect(timeout=30) as c:
        c.send("PUT /app/files?ms=20000 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
        wait_for(lambda: len(os.listdir(s.dir)) == 1, "the file has a name")
        old = s.workers()[0]
        s.proc.kill()
        s.proc.wait()
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: not can_connect(s.address), "both are gone")
        assert len(os.listdir(s.dir)) == 1
    s.start()
    is_empty(s)


def test_reload_meanwhile(server, peers):
    s = start(server, pool("app", peers("http")))
    with begun(s) as c:
        wait_for(lambda: s.status()["counters"]["spool_bytes"] == MIB, "half of it is stored")
        s.cli("reload", "-c", s.conf, check=0)
        c.send(BLOCK)
        r = c.response("PUT")
        assert r.status == 200 and r.json()["found"][0]["size"] == 2 * MIB
    is_empty(s)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_disk_full(server, peers, tmp):
    d = os.path.join(tmp, "small")
    os.makedirs(d)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "none", d], check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        s = start(server, pool("app", peers("http")), directory=d)
        r = s.ask("PUT", "/app/files", {}, BLOCK + b"x")
        assert r.status == 507
        r = s.ask("POST", "/app/files", TYPE, form(part("a", BLOCK[:1000], "x"), part("b", BLOCK, "y")))
        assert r.status == 507
        is_empty(s)
        assert s.ask("PUT", "/app/files", {}, BLOCK[:500000]).status == 200
        is_empty(s)
        s.wait_log("No space left on device")
        s.stop()
    finally:
        subprocess.run(["umount", d], check=True)


def test_spool_max(server, peers):
    s = start(server, pool("app", peers("http")), server_part='spool = { max = "2M"; };')
    assert s.ask("PUT", "/app/files", {}, BLOCK * 4).status == 507
    is_empty(s)
    assert s.ask("PUT", "/app/files", {}, BLOCK).status == 200


def test_descriptors_are_bounded(server, peers):
    """Forms of many small files take a quarter of what the worker may open, and it goes on to accept."""
    s = start(server, pool("app", peers("http")), "max_parts = 1000;", who="")
    worker = s.workers()[0]
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (400, 400))
    body = form(*[part("f", "x", f"{i}") for i in range(150)])
    r = s.ask("POST", "/app/files", TYPE, body)
    assert r.status == 503
    is_empty(s)
    r = s.ask("POST", "/app/files", TYPE, form(*[part("f", "x", f"{i}") for i in range(90)]))
    assert r.status == 200 and len(files(r)) == 90
    is_empty(s)


def test_time_is_over_while_it_comes(server, peers):
    """timeout.total: what came is given back, though the client goes on."""
    s = start(server, pool("app", peers("http"), timeout={"total": "1s"}))
    with begun(s) as c:
        assert c.response("PUT").status == 504
        is_empty(s)


def test_directory_that_went_away(server, peers):
    s = start(server, pool("app", peers("http")))
    os.rmdir(s.dir)
    assert s.ask("PUT", "/app/files", {}, b"x").status == 500
    s.wait_log("No such file or directory")


# ------------------------------------------------------------------------------- PHP

RECIPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "etc", "recipes", "upload.php")
MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "man", "argand.conf.5.in")
SIZE = 2048 * MIB if FULL else 64 * MIB


def fpm(tmp):
    """One process that could not take an upload of its own."""
    path, conf = os.path.join(tmp, "fpm.sock"), os.path.join(tmp, "fpm.conf")
    own = f"user = {user()}\ngroup = {user()}\n" if os.geteuid() == 0 else ""
    with open(conf, "w", encoding="ascii") as f:
        f.write(f"[global]\nerror_log = {tmp}/fpm.log\ndaemonize = no\n[www]\n{own}listen = {path}\nlisten.mode = 0666\n"
                "pm = static\npm.max_children = 1\nphp_admin_value[memory_limit] = 8M\n"
                "php_admin_value[upload_max_filesize] = 1M\nphp_admin_value[post_max_size] = 1M\n")
    return App(tmp, "php-fpm", [FPM, "-F", "-y", conf], lambda: can_connect(path), is_ours=True), path


def status_of(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_the_manual_says_the_recipe():
    with open(RECIPE, encoding="utf-8") as f:
        recipe = f.read()
    with open(MANUAL, encoding="utf-8") as f:
        text = f.read()
    start_ = text.index("foreach ($_POST['argand_upload']")
    assert text[start_:text.index(".Ed", start_)] in recipe


def test_php(server, tmp):
    need(FPM)
    app, path = fpm(tmp)
    try:
        s = server(workers=1, start=False)
        s.dir, s.kept = os.path.join(s.tmp, "uploads"), os.path.join(s.tmp, "kept")
        for d in (s.dir, s.kept):
            os.makedirs(d)
            os.chmod(d, 0o777)
        with open(RECIPE, encoding="utf-8") as f:
            s.write("upload.php", f.read())
        s.rewrite(workers=1, server=WORKER, backends=f'php = {{ protocol = "fastcgi"; hosts = "unix:{path}"; }}', site='max_body = "8G";',
                  routes=f'''{{ path = "/upload.php"; gateway = {{ backend = "php"; split = ".php"; check = true;
                  environment = [ "STORE={s.kept}" ]; upload = {{ directory = "{s.dir}"; max_file = "4G"; }}; }}; }}''')
        s.start()
        wait_for(lambda: len(s.workers()) == 1, "the worker is there")
        worker = s.workers()[0]
        with open(f"/proc/{worker}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # VmHWM begins anew
        memory, cpu = status_of(worker, "VmHWM"), cpu_of(worker)
        child = harness.children(app.p.pid)[0]
        cpu_php = cpu_of(child)
        r, digest = send_large(s)
        told = r.json()
        assert r.status == 200 and told["title"] == "ä b", r
        assert [(f["name"], f["size"], f["sha256"]) for f in told["files"]] == [("film.bin", SIZE, digest)]
        memory, cpu = status_of(worker, "VmHWM") - memory, cpu_of(worker) - cpu
        figure("gateway: hand-off", upload=f"{SIZE // MIB} MiB, form, PHP with 8 MiB", sha256="right",
               **{"server KiB more": memory, "server CPU s": cpu, "PHP peak KiB": status_of(child, "VmHWM"),
                  "PHP CPU s": cpu_of(child) - cpu_php})
        assert memory < 4096 or harness.SANITIZED, f"memory grew by {memory} KiB"
        assert [f["kept"] for f in told["files"]] == [os.path.join(s.kept, n) for n in os.listdir(s.kept)]
        with open(told["files"][0]["kept"], "rb") as f:
            assert hashlib.file_digest(f, "sha256").hexdigest() == digest
        is_empty(s)
    finally:
        app.stop()


def send_large(s):
    """A form with a field and a file of SIZE octets; the answer and the file's digest."""
    front = part("title", "ä b") + part("film", "", "film.bin", "video/mp4")[:-2]
    back = f"\r\n--{B}--\r\n".encode()
    h = hashlib.sha256()
    with s.connect(timeout=120) as c:
        c.transcript = Mute()
        c.send(f"POST /upload.php HTTP/1.1\r\nHost: a\r\nContent-Type: {TYPE['Content-Type']}\r\n"
               f"Content-Length: {len(front) + SIZE + len(back)}\r\n\r\n".encode() + front)
        for i in range(SIZE // MIB):
            block = b"%016d" % i + BLOCK[16:]
            h.update(block)
            c.send(block)
        c.send(back)
        return c.response("POST"), h.hexdigest()


class Mute(list):
    """A transcript of nothing: all of it would be in memory."""

    def append(self, _):
        pass
