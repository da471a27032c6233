"""A directory that takes uploads without an application: stored whole or not at all, under names that lead nowhere else."""
import os
import random
import stat

import pytest

from harness import wait_for

BIG = random.Random(9).randbytes(3 << 20)


def drop(server, extra="", more="", sync="false", **kw):
    """A server with a drop box at /drop/; what is stored can be read there."""
    s = server(start=False, routes='{ path = "/drop/"; receive: { directory = "@TMP@/drop"; sync = %s; %s };'
               ' alias = "@TMP@/drop"; %s }' % (sync, extra, more), **kw)
    os.mkdir(f"{s.tmp}/drop")
    os.chmod(f"{s.tmp}/drop", 0o777)
    os.chmod(s.tmp, 0o755)
    s.start()
    return s


def stored(s):
    return sorted(n for n in os.listdir(f"{s.tmp}/drop") if n != ".uploads")


def unfinished(s):
    d = f"{s.tmp}/drop/.uploads"
    return sorted(os.listdir(d)) if os.path.isdir(d) else []


def test_put(server):
    s = drop(server)
    r = s.ask("PUT", "/drop/a%20b.bin", body=BIG)
    assert (r.status, r["Location"]) == (201, "/drop/a%20b.bin")
    again = s.get("/drop/a%20b.bin")
    assert again.body == BIG and again["ETag"] == r["ETag"] and again["Last-Modified"] == r["Last-Modified"]
    assert stored(s) == ["a b.bin"] and unfinished(s) == []
    assert stat.S_IMODE(os.stat(f"{s.tmp}/drop/a b.bin").st_mode) == 0o640


def test_put_does_not_overwrite(server):
    s = drop(server)
    assert s.ask("PUT", "/drop/a", body=b"one").status == 201
    assert s.ask("PUT", "/drop/a", body=b"two").status == 409
    assert s.ask("DELETE", "/drop/a").status == 405
    assert s.get("/drop/a").body == b"one"


def test_put_overwrites_where_told(server):
    s = drop(server, "overwrite = true; delete = true;")
    first = s.ask("PUT", "/drop/a", body=b"one")
    assert s.ask("PUT", "/drop/a", body=b"two", headers={"If-Match": '"other"'}).status == 412
    assert s.ask("PUT", "/drop/a", body=b"two", headers={"If-None-Match": "*"}).status == 412
    assert s.ask("PUT", "/drop/b", body=b"two", headers={"If-Match": "*"}).status == 412
    assert s.ask("PUT", "/drop/a", body=b"two", headers={"If-Match": first["ETag"]}).status == 204
    assert s.get("/drop/a").body == b"two"
    assert s.ask("DELETE", "/drop/a", headers={"If-Match": first["ETag"]}).status == 412
    assert s.ask("DELETE", "/drop/a").status == 204
    assert s.ask("DELETE", "/drop/a").status == 404
    assert stored(s) == []


def test_of_two_with_if_none_match_one_wins(server):
    s = drop(server, "overwrite = true;", workers=2)
    a, b = s.connect(), s.connect()
    for c, octet in ((a, b"a"), (b, b"b")):
        c.send(b"PUT /drop/x HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nContent-Length: 10\r\n\r\n" + octet * 9)
    a.send(b"a")
    assert a.response("PUT").status == 201
    b.send(b"b")
    assert b.response("PUT").status == 412
    assert s.get("/drop/x").body == b"a" * 10


def test_put_of_a_part_is_refused(server):
    s = drop(server)
    assert s.ask("PUT", "/drop/a", body=b"x", headers={"Content-Range": "bytes 0-0/5"}).status == 400
    assert s.ask("PUT", "/drop/a", body=b"x", headers={"Content-Encoding": "gzip"}).status == 415
    assert stored(s) == []


def test_broken_off_leaves_nothing(server):
    s = drop(server)
    c = s.connect()
    c.send(b"PUT /drop/half HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
    wait_for(lambda: os.path.isdir(f"{s.tmp}/drop/.uploads"), "the upload has begun")
    assert stored(s) == [] and unfinished(s) == []
    c.close()
    assert s.ask("PUT", "/drop/half", body=b"whole").status == 201
    assert s.get("/drop/half").body == b"whole" and unfinished(s) == []


def test_post(server):
    s = drop(server)
    r = s.ask("POST", "/drop/", body=b"hello", headers={
        "Content-Disposition": "attachment; filename=\"x.txt\"; filename*=UTF-8''%C3%A4.txt"})
    assert (r.status, r["Location"]) == (201, "/drop/%C3%A4.txt")
    assert s.get(r["Location"]).body == b"hello"
    r = s.ask("POST", "/drop/", body=b"nameless")
    assert r.status == 201 and s.get(r["Location"]).body == b"nameless"
    assert s.ask("POST", "/drop/", body=b"x", headers={"Content-Type": "multipart/form-data; boundary=x"}).status == 415


def test_post_for_another_site(server):
    s = drop(server)
    assert s.ask("POST", "/drop/", body=b"x", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
    assert stored(s) == []
    assert s.ask("POST", "/drop/", body=b"x", headers={"Sec-Fetch-Site": "same-origin"}).status == 201


def test_quota_counts_empty_files(server):
    s = drop(server, 'quota = "40k";')
    statuses = [s.ask("PUT", f"/drop/{i}", body=b"").status for i in range(12)]
    assert statuses == [201] * 10 + [507] * 2


def test_chunked(server):
    s = drop(server, 'max_size = "100";')
    c = s.connect()
    c.send(b"PUT /drop/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert c.response("PUT").status == 201
    assert s.get("/drop/c").body == b"hello"
    c = s.connect()
    c.send(b"PUT /drop/d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
    assert c.response("PUT").status == 413
    assert s.ask("PUT", "/drop/e", body=b"x" * 101).status == 413
    assert stored(s) == ["c"]


def test_quota(server):
    s = drop(server, "quota = 1M; overwrite = true;".replace("1M", '"1M"'))
    assert s.ask("PUT", "/drop/a", body=b"x" * (600 << 10)).status == 201
    assert s.ask("PUT", "/drop/b", body=b"x" * (600 << 10)).status == 507
    # Announced is as good as there.
    t = {"Tus-Resumable": "1.0.0", "Upload-Length": str(300 << 10)}
    assert s.ask("POST", "/drop/", headers=t, body=b"").status == 201
    assert s.ask("POST", "/drop/", headers=t, body=b"").status == 507
    # Two that come at once and fit alone: what does not fit when it is complete is refused then.
    c = s.connect()
    c.send(b"PUT /drop/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n80000\r\n" + b"x" * 0x80000 + b"\r\n0\r\n\r\n")
    assert c.response("PUT").status == 507
    assert stored(s) == ["a"]


ESCAPES = [
    "..", ".", "%2e%2e", "%2E", "..%2fx", "%2e%2e%2fx", "..%5cx", "a%5cb", "a/b", "a/../b", "a//b", ".hidden", "%2ehidden",
    ".uploads", ".uploads/x", ".uploads/../../x", "x/.uploads/y", "%00", "a%00b", "a%00/../../x", "a%0ab", "a%0d%0ab", "a%7f",
    "a%1b[0m", "%ff%fe", "%c0%ae%c0%ae%c0%afx", "%e2%80%ae.txt", "a%c2%85", "a.", "a%20", "%20a", "a" * 241, "a%2f..%2f..%2fx",
    "link/x", "%2fetc%2fx", "/etc/x", "//x", "sub/x",
]


def tree(top):
    return sorted(os.path.join(d, n) for d, dirs, files in os.walk(top) for n in dirs + files)


@pytest.mark.parametrize("how", ["put", "delete", "tus", "disposition", "extended"])
def test_no_name_leads_out(server, how):
    """Each name in each place where one can be said; what is outside, and what is inside, stays as it was."""
    import base64
    import urllib.parse
    s = drop(server, "overwrite = true; delete = true;")
    d = f"{s.tmp}/drop"
    for path in ("outside", "drop/sub"):
        os.mkdir(f"{s.tmp}/{path}")
    for path in ("outside/x", "x", "drop/sub/x"):
        s.write(f"{s.tmp}/{path}", b"safe")
    os.symlink("../outside", f"{d}/link")
    before = [p for p in tree(s.tmp) if "/drop/" in p or "/outside" in p or p.endswith("/x")]
    wrong = []
    for name in ESCAPES:
        if how in ("put", "delete") and name in ("a/../b", "a//b", "//x"):
            continue  # the server makes /drop/b, /drop/a/b and /drop/x of them before anybody looks at names
        raw = urllib.parse.unquote_to_bytes(name)
        if how in ("put", "delete"):
            status = s.ask(how.upper(), f"/drop/{name}", body=b"evil" if how == "put" else None).status
        elif how == "tus":
            meta = "filename " + base64.b64encode(raw).decode()
            status = s.ask("POST", "/drop/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "0", "Upload-Metadata": meta},
                           body=b"").status
        else:
            if how == "disposition":
                if any(b < 32 or b == 127 for b in raw):
                    continue
                value = 'attachment; filename="' + raw.decode("latin-1").replace("\\", "\\\\") + '"'
            else:
                value = "attachment; filename*=UTF-8''" + urllib.parse.quote(raw, safe="")
            status = s.ask("POST", "/drop/", headers={"Content-Disposition": value}, body=b"evil").status
        if not 400 <= status < 500:
            wrong.append((name, status))
    after = [p for p in tree(s.tmp) if "/drop/" in p or "/outside" in p or p.endswith("/x")]
    assert not [p for p in set(after) ^ set(before) if not p.endswith("/.uploads")]
    assert wrong == []
    for path in ("outside/x", "x", "drop/sub/x"):
        assert open(f"{s.tmp}/{path}", "rb").read() == b"safe"


def test_a_link_in_the_directory_is_replaced_not_followed(server):
    s = drop(server, "overwrite = true; delete = true;")
    s.write(f"{s.tmp}/secret", b"safe")
    os.symlink("../secret", f"{s.tmp}/drop/link")
    assert s.ask("PUT", "/drop/link", body=b"evil").status in (409, 204)
    assert s.ask("DELETE", "/drop/link").status in (204, 404, 409)
    assert open(f"{s.tmp}/secret", "rb").read() == b"safe"


def test_configuration(server):
    s = server(start=False, routes='{ path = "/d/"; receive: { directory = "@TMP@/d"; mode = "0755"; group = "nosuchgroup"; }; }')
    r = s.cli("check")
    assert r.returncode != 0
    assert "no mode of a file" in r.stderr + r.stdout and "no group" in r.stderr + r.stdout


def test_off_is_off(server):
    s = server(files={"a.txt": "hello"})
    assert s.ask("PUT", "/a.txt", body=b"x").status == 405
