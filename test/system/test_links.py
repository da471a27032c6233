"""Signed links: only who has a good one gets an answer, and nobody behind the server sees it. The signatures come from
other programs: openssl, PHP, Python's hashlib, and the recipes that the documentation has.
"""
import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import time

import pytest

from backends import PROTOCOLS, pool
from harness import wait_for
from test_request_rules import Recorder

HERE = os.path.dirname(os.path.abspath(__file__))
RECIPES = os.path.join(HERE, "..", "..", "etc", "recipes")
OLD, NEW = "an old secret, 0123456789", "a new secret, 9876543210"
FILES = {"files/a.txt": b"hello", "files/a.iso": b"image", "files/ä b.txt": b"umlaut", "files/d/e.txt": b"below",
         "filesx/a.txt": b"sibling", "public.txt": b"public"}


def b64(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def openssl(*args, text):
    return subprocess.run(["openssl", "dgst", *args, "-binary"], input=text.encode(), capture_output=True,
                          check=True).stdout


def own(path, query="", key="new", secret=NEW, until=None, methods="", segments="", network="", signed=None):
    """A link of our own, its signature by openssl."""
    front = f"v1~{key}~{until or int(time.time()) + 600}~{methods}~{segments}~{network}~"
    mac = b64(openssl("-sha256", "-hmac", secret, text=f"{front}\n{signed or path}\n{query}"))
    return f"{path}?{query + '&' if query else ''}link={front}~{mac}"


def nginx(path, expires, client="127.0.0.1", secret=OLD):
    """secure_link as nginx's manual makes it, by openssl."""
    mac = b64(openssl("-md5", text=f"{expires}{path}{client} {secret}"))
    return f"{path}?md5={mac}&expires={expires}"


def php_md5(text):
    return subprocess.run(["php", "-r", "echo md5(stream_get_contents(STDIN));"], input=text.encode(),
                          capture_output=True, check=True).stdout.decode()


def secdownload(algorithm, rel, at=None, secret=OLD):
    """As mod_secdownload's documentation makes it: by PHP where that is there, else by hashlib."""
    stamp = f"{at or int(time.time()):08x}"
    if algorithm == "md5":
        text = secret + rel + stamp
        mac = php_md5(text) if shutil.which("php") else hashlib.md5(text.encode()).hexdigest()
    else:
        mac = b64(hmac.new(secret.encode(), f"/{stamp}{rel}".encode(), algorithm.replace("hmac-", "")).digest())
    return f"/{mac}/{stamp}{rel}"


def keys(s):
    for name, secret in (("old", OLD), ("new", NEW), ("links", NEW)):
        with open(os.path.join(s.tmp, name + ".key"), "w") as f:
            f.write(secret + "\n")
        os.chmod(f.name, 0o600)


ROUTES = '''
{ path = "/files"; listing = true; signed_links = ( { secrets = [ "new.key", "old.key", "links.key" ]; },
  { format = "secure_link"; secrets = "old.key"; md5 = "$secure_link_expires$uri$remote_addr $secret"; } ); },
{ path = "/md5"; alias = "@ROOT@/files"; signed_links: { format = "secdownload-md5"; secrets = "old.key"; }; },
{ path = "/sha1"; alias = "@ROOT@/files"; signed_links: { format = "secdownload-hmac-sha1"; secrets = "old.key"; }; },
{ path = "/sha256"; alias = "@ROOT@/files"; signed_links: { format = "secdownload-hmac-sha256"; secrets = "old.key";
  path_segments = 1; hash_query = true; }; },
{ path = "/word"; alias = "@ROOT@/files"; signed_links: { format = "secure_link_secret"; secrets = "old.key"; }; }
'''


@pytest.fixture(scope="module")
def links(shared_server):
    s = shared_server(files=FILES)
    keys(s)
    s.rewrite(routes=ROUTES)
    s.cli("reload", check=0)
    return s


def status(s, target, method="GET", **kw):
    return s.ask(method, target, **kw).status


def test_own_by_openssl(links):
    a = links.get(own("/files/a.txt"))
    assert (a.status, a.body) == (200, b"hello")
    assert "private" in a["Cache-Control"]
    now = int(time.time())
    assert status(links, own("/files/a.txt", key="old", secret=OLD)) == 200
    assert status(links, own("/files/a.txt", key="new", secret=OLD)) == 403
    assert status(links, own("/files/a.txt", until=now - 1)) == 410
    assert status(links, own("/files/a.txt", until=now - 1, secret=OLD)) == 403, "410 is for links that once were good"
    assert status(links, own("/files/a.txt").replace("a.txt", "d/e.txt")) == 403
    assert status(links, "/files/a.txt") == 403
    assert status(links, "/files/none.txt") == 403, "who has no link does not learn what there is"
    assert status(links, own("/files/none.txt")) == 404
    assert status(links, "/public.txt") == 200
    assert status(links, own("/files/a.txt"), "HEAD") == 200
    assert status(links, own("/files/a.txt"), "POST") == 403
    assert status(links, own("/files/a.txt", methods="POST"), "HEAD") == 403
    assert status(links, own("/files/a.txt", network="127.0.0.0/8")) == 200
    assert status(links, own("/files/a.txt", network="192.0.2.0/24")) == 403


def test_own_spellings(links):
    """What is signed is the path that is served, however it is spelled."""
    good = own("/files/d/e.txt")
    for spelled in ("/files//d/./e.txt", "/files/x/../d/e.txt", "/%66iles/d/%65.txt", "//files/d/e.txt"):
        assert status(links, good.replace("/files/d/e.txt", spelled)) == 200, spelled
    for spelled in ("/files/d%2Fe.txt", "/files/d/e.txt/", "/files/D/e.txt", "/files/d/e.txt;x", "/files/d\\e.txt"):
        assert status(links, good.replace("/files/d/e.txt", spelled)) == 403, spelled
    link = own("/files/X", signed="/files/ä b.txt").replace("X", "%C3%A4%20b.txt", 1)
    assert links.get(link).body == b"umlaut"


def test_own_query_and_prefix(links):
    good = own("/files/a.txt", "v=1&w")
    assert status(links, good) == 200
    for bad in (good.replace("v=1", "v=2"), good.replace("v=1&w", "w&v=1"), good + "&more",
                good + "&" + good.split("&")[-1], good.replace("link=", "%6Cink=1&link=")):
        assert status(links, bad) == 403, bad
    assert status(links, good.replace("v=1&w&link", "v=1&link") + "&w") == 200, "the link may stand anywhere"
    below = own("/files/d/e.txt", segments=1, signed="/files")
    assert status(links, below) == 200
    assert status(links, below.replace("d/e.txt", "a.txt")) == 200
    assert status(links, below.replace("?", "?t=1&")) == 200
    for out in ("/files/..%2ffilesx/a.txt", "/files/..%5cfilesx/a.txt", "/files/%252e%252e/filesx/a.txt"):
        assert status(links, below.replace("/files/d/e.txt", out)) == 403, out
    narrow = own("/files/d/e.txt", segments=2, signed="/files/d")
    assert status(links, narrow) == 200
    assert status(links, narrow.replace("d/e.txt", "a.txt")) == 403
    assert status(links, narrow.replace("/files/d/e.txt", "/files/dd")) == 403


def test_ranges_and_conditions(links):
    link = own("/files/a.txt")
    a = links.get(link, headers={"Range": "bytes=1-3"})
    assert (a.status, a.body, a["Content-Range"]) == (206, b"ell", "bytes 1-3/5")
    etag = links.get(link)["ETag"]
    assert status(links, link, headers={"If-None-Match": etag}) == 304
    assert status(links, "/files/a.txt", headers={"Range": "bytes=1-3"}) == 403


def test_directory_without_its_slash(links):
    """A client is sent on with its link, which is good there when it is for all that is below."""
    link = own("/files/d", segments=2)
    a = links.get(link)
    assert (a.status, a["Location"]) == (301, link.replace("?", "/?"))
    assert b"e.txt" in links.get(a["Location"]).body
    assert status(links, "/files/d/") == 403


def test_nginx_by_openssl(links):
    now = int(time.time())
    assert links.get(nginx("/files/a.txt", now + 60)).body == b"hello"
    assert status(links, nginx("/files/a.txt", now - 1)) == 410
    assert status(links, nginx("/files/a.txt", now - 1, secret=NEW)) == 403
    assert status(links, nginx("/files/a.txt", now + 60, client="127.0.0.2")) == 403
    with links.connect(source="127.0.0.2") as c:
        c.request(nginx("/files/a.txt", now + 60, client="127.0.0.2"))
        assert c.response().status == 200
    good = nginx("/files/a.txt", now + 60)
    for bad in (good.replace("a.txt", "d/e.txt"), good.replace(f"={now + 60}", f"={now + 61}"), good + "&expires=1",
                good + "&md5=x", good.replace("expires=", "expires=0"), good.partition("&")[0], "/files/a.txt?md5=x"):
        assert status(links, bad) == 403, bad
    assert status(links, good + "&x=1") == 200, "as there: the query is signed where the expression has it"


@pytest.mark.parametrize("algorithm", ["md5", "hmac-sha1", "hmac-sha256"])
def test_secdownload(links, algorithm):
    at = "/" + algorithm.replace("hmac-", "")
    now = int(time.time())
    has_segments = algorithm == "hmac-sha256"
    link = at + secdownload(algorithm, "/d" if has_segments else "/d/e.txt") + ("/e.txt" if has_segments else "")
    assert links.get(link).body == b"below"
    assert links.get(link, headers={"Range": "bytes=0-0"}).status == 206
    assert status(links, link, "HEAD") == 200
    assert status(links, at + secdownload(algorithm, "/d", now - 100)) == 410
    assert status(links, at + secdownload(algorithm, "/d", now + 100)) == 410, "as there: the clock is off"
    assert status(links, at + secdownload(algorithm, "/d", secret=NEW)) == 403
    assert status(links, at + "/a.txt") == 403
    # What extends an MD5 (or SHA-1) has the padding of what it extends in its text, and so zeros in its path.
    assert status(links, link.replace("e.txt", "e.txt%80" + "%00" * 7)) == 400
    assert status(links, link.replace("/d/e.txt", "/a.txt")) == 403
    assert status(links, link.replace("/d/e.txt", "/dd/e.txt")) == 403
    if has_segments:  # one segment is signed; and the query, when there is one
        assert status(links, link + "?q") == 403
        assert status(links, link.replace("e.txt", "none")) == 404
    else:
        assert status(links, link + "x") == 403
        assert status(links, link + "?q") == 200


def test_secure_link_secret(links):
    mac = hashlib.md5(("d/e.txt" + OLD).encode()).hexdigest()
    assert links.get(f"/word/{mac}/d/e.txt").body == b"below"
    assert links.get(f"/word/{mac.upper()}/d/./e.txt").body == b"below"
    assert status(links, f"/word/{mac}/a.txt") == 403
    assert status(links, "/word/d/e.txt") == 403


# --- what is behind the server


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_backends_see_no_link(server, peers, protocol):
    """Whatever the form of the link and the spelling of the path."""
    b = peers(protocol)
    s = server(workers=1, start=False)
    keys(s)
    s.rewrite(workers=1, backends=pool("app", b), routes='''
{ path = "/echo"; gateway = "app"; signed_links = ( { secrets = "new.key"; }, { format = "secure_link";
  secrets = "old.key"; md5 = "$secure_link_expires$uri$remote_addr $secret"; } ); }''')
    s.start()
    for spelled in ("/echo/a%20b", "/%65cho//./a%20b"):
        a = s.get(own("/echo/X", "v=%41&w", signed="/echo/a b").replace("/echo/X", spelled)).json()
        text = str(a)
        assert "link" not in text and "v1~" not in text, text
        assert a["target"] in ("/echo/a%20b?v=%41&w", ""), a["target"]
        for name, value in (("REQUEST_URI", "/echo/a%20b?v=%41&w"), ("QUERY_STRING", "v=%41&w")):
            assert a["env"].get(name, value) == value, a["env"]
    a = s.get(nginx("/echo/a", int(time.time()) + 60) + "&z=1").json()
    assert "md5=" not in str(a) and "expires" not in str(a) and "z=1" in str(a)
    a = s.get(own("/echo/a")).json()
    assert a["env"].get("QUERY_STRING", "") == "" and "?" not in a["target"] + a["env"].get("REQUEST_URI", "")
    with s.connect() as c:
        c.send(f"GET http://other.example{own('/echo/a', 'q')} HTTP/1.1\r\nHost: other.example\r\n\r\n".encode())
        a = c.response().json()
    assert "link" not in str(a) and "other.example" in str(a), "the host of an absolute target stays"
    assert own("/echo/a").partition("?")[2] not in s.access_log()
    wait_for(lambda: "/echo/a" in s.access_log(), "the log has the request")
    assert "v1~" not in s.access_log(), "nobody can use an access log as a list of links"


@pytest.mark.parametrize("protocol", ["http", "fastcgi"])
def test_backends_see_no_link_in_paths(server, peers, protocol):
    b = peers(protocol)
    s = server(workers=1, start=False)
    keys(s)
    s.rewrite(workers=1, backends=pool("app", b), routes='''
{ path = "/echo"; gateway = "app"; signed_links: { format = "secdownload-md5"; secrets = "old.key"; }; }''')
    s.start()
    a = s.get("/echo" + secdownload("md5", "/d/x y").replace(" ", "%20") + "?q=1").json()
    assert a["target"] in ("/echo/d/x%20y?q=1", "")
    assert a["env"].get("REQUEST_URI", "/echo/d/x%20y?q=1") == "/echo/d/x%20y?q=1"
    mac = secdownload("md5", "/d/x%2Fy")
    a = s.get("/echo" + mac).json()
    assert a["target"] in ("/echo/d/x%2Fy", "") and mac.split("/")[1] not in str(a)


def test_page_of_a_refusal_sees_no_link(server, peers):
    """A link that is refused now may be good for somebody else."""
    b = peers("fastcgi")
    s = server(workers=1, start=False)
    keys(s)
    s.rewrite(workers=1, backends=pool("app", b), site='error_pages = ( { status = 403; path = "/echo/403"; } );',
              routes='''{ path = "/echo"; gateway = "app"; },
{ path = "/files"; signed_links: { secrets = "new.key"; }; }''')
    s.start()
    a = s.get(own("/files/a.txt", "q", network="192.0.2.0/24"))
    assert a.status == 403 and a.json()["env"]["QUERY_STRING"] == "q"
    assert "link=" not in str(a.json()) and a.json()["env"]["REQUEST_URI"] == "/echo/403?q"


# --- secrets


def test_rotation(server):
    """The new secret in front, reload: both are good; the old one away, reload: its links are not."""
    s = server(files=FILES, start=False)
    keys(s)
    route = '{ path = "/files"; signed_links: { secrets = [ %s ]; }; }'
    s.rewrite(routes=route % '"old.key"')
    s.start()
    old, new = own("/files/a.txt", key="old", secret=OLD), own("/files/a.txt")
    assert (status(s, old), status(s, new)) == (200, 403)
    s.rewrite(routes=route % '"new.key", "old.key"')
    s.cli("reload", check=0)
    assert (status(s, old), status(s, new)) == (200, 200)
    s.rewrite(routes=route % '"new.key"')
    s.cli("reload", check=0)
    assert (status(s, old), status(s, new)) == (403, 200)
    with open(s.tmp + "/new.key", "w") as f:  # another secret in the same file
        f.write(OLD)
    s.cli("reload", check=0)
    assert status(s, new) == 403
    assert status(s, own("/files/a.txt", secret=OLD)) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that workers cannot read")
def test_workers_cannot_read_secrets(server):
    s = server(files=FILES, start=False)
    keys(s)
    os.chmod(s.tmp, 0o755)
    s.rewrite(server='user = "nobody";', routes=ROUTES)
    s.start()
    assert os.stat(s.tmp + "/new.key").st_uid == 0 and os.stat(s.tmp + "/new.key").st_mode & 0o777 == 0o600
    assert status(s, own("/files/a.txt")) == 200
    assert NEW not in s.output() + s.error_log() + s.cli("config").stdout


def test_bad_secrets(server):
    s = server(start=False)
    keys(s)
    s.rewrite(routes=ROUTES)
    os.chmod(s.tmp + "/old.key", 0o644)
    done = s.cli("check", check=0)
    assert "old.key: everybody on this machine can read the secret" in done.stderr and "chmod 640" in done.stderr
    os.chmod(s.tmp + "/old.key", 0o666)
    assert "everybody on this machine can change the secret" in s.cli("check", check=78).stderr
    os.unlink(s.tmp + "/old.key")
    done = s.cli("check", check=78)
    assert "old.key: No such file" in done.stderr and "openssl rand -base64 32" in done.stderr
    keys(s)
    s.rewrite(routes=ROUTES.replace("secdownload-md5", "secdownload-md4"))
    assert '"secdownload-md5"' in s.cli("check", check=78).stderr


# --- the commands


def made(s, *args):
    return s.cli("sign", *args, check=0).stdout.strip()


def test_sign(links):
    """A link for each format, found by the same look-up as a request's."""
    at = f"http://127.0.0.1:{links.port}"
    url = made(links, at + "/files/a.txt?x=1")
    assert url.startswith(at + "/files/a.txt?x=1&link=v1~new~") and status(links, url[len(at):]) == 200
    assert status(links, made(links, "/files/a.txt", "--key", "old")) == 200
    assert status(links, made(links, "/files/a.txt", "--network", "192.0.2.0/24")) == 403
    assert status(links, made(links, "/files/a.txt", "--method", "PUT,GET")) == 200
    assert status(links, made(links, "/files/a.txt", "--method", "PUT")) == 403
    below = made(links, "/files/d/", "--prefix", "--expires", "1m")
    assert status(links, below.replace("/d/", "/d/e.txt")) == 200
    assert status(links, below.replace("/d/", "/a.txt")) == 403
    assert links.get(made(links, "/files/%C3%A4%20b.txt")).body == b"umlaut"
    ng = made(links, "/files/a.txt", "--format", "secure_link", "--client", "127.0.0.1")
    assert "md5=" in ng and status(links, ng) == 200
    for route in ("md5", "sha1", "word"):
        assert links.get(made(links, f"/{route}/d/e.txt")).body == b"below", route
    assert links.get(made(links, "/sha256/d", "--prefix", "--expires", "60s") + "/e.txt").body == b"below"
    soon = made(links, "/files/a.txt", "--expires", "1s")
    wait_for(lambda: status(links, soon) == 410, "a link of a second has ended")


def test_sign_says_why_not(links):
    for args, why in ((("/public.txt",), "does not ask for links"),
                      (("/files/a.txt", "--key", "x"), "no secret of this name"),
                      (("/files/a.txt", "--format", "x"), "no links of this format"),
                      (("/md5/a", "--network", "10.0.0.0/8"), "say nothing of methods, networks"),
                      (("/md5/a", "--expires", "1h"), "timeout"), (("/word/a", "--expires", "1h"), "never end"),
                      (("/files/a.txt", "--format", "secure_link"), "--client"),
                      (("/files/a.txt", "--network", "x"), "--network")):
        assert why in links.cli("sign", *args, check=1).stderr, args
    assert "a time" in links.cli("sign", "/files/a.txt", "--expires", "soon", check=2).stderr
    assert "usage" in links.cli("sign", check=2).stderr


def test_explain(links):
    def explained(url, *args):
        return links.cli("explain", *args, url, check=0).stdout
    now = int(time.time())
    good = own("/files/a.txt", "v=1")
    text = explained(good)
    assert "good (argand) until " in text and "goes on as /files/a.txt?v=1" in text
    text = explained(good.replace("a.txt", "b.txt"))
    assert "refused with 403: the signature is not of this path" in text and "/files/b.txt LF" in text
    assert "refused with 410: the link has expired" in explained(own("/files/a.txt", until=now - 5))
    assert "the link is for GET and HEAD" in links.cli("explain", "PUT", good, check=0).stdout
    bound = own("/files/a.txt", network="192.0.2.0/24")
    assert "the link is for clients of 192.0.2.0/24" in explained(bound, "--client", "127.0.0.1")
    assert "good" in explained(bound, "--client", "192.0.2.9")
    assert "no secret has the name" in explained(own("/files/a.txt", key="gone"))
    assert "more than once" in explained(good + "&link=x")
    assert "there is no link" in explained("/files/a.txt")
    ng = nginx("/files/a.txt", now + 60)
    assert "say it with --client" in explained(ng)
    assert "good (secure_link)" in explained(ng, "--client", "127.0.0.1")
    assert f"{now + 60}/files/a.txt127.0.0.9 SECRET" in explained(ng, "--client", "127.0.0.9")
    assert "goes on as /md5/a.txt" in explained("/md5" + secdownload("md5", "/a.txt"))
    for text in (explained(good), explained(ng), explained(good + "x")):
        assert OLD not in text and NEW not in text


# --- the recipes


@pytest.mark.parametrize("program, file", [("php", "links.php"), (sys.executable, "links.py"), ("node", "links.js"),
                                           ("ruby", "links.rb")])
def test_recipes(links, program, file):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")

    def run(path, seconds):
        return subprocess.run([program, os.path.join(RECIPES, file), links.tmp + "/new.key", path, str(seconds)],
                              capture_output=True, text=True, check=True).stdout.strip()
    assert links.get(run("/files/a.txt", 60)).body == b"hello"
    assert links.get(run("/files/ä b.txt", 60)).body == b"umlaut"
    assert status(links, run("/files/a.txt", -5)) == 410
    assert status(links, run("/files/a.txt", 60).replace("a.txt", "d/e.txt")) == 403


PREFIXES = {
    "php": ["php", "-r", 'require $argv[1]; echo link_sign($argv[2], "new", "/files/d/", "", 60, "GET,PUT", 2, '
            '"127.0.0.0/8", "65536");'],
    "python": [sys.executable, "-c", "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1]"
               ".rpartition('/')[0]); import links; print(links.sign(sys.argv[2].encode(), 'new', '/files/d/', '', 60, "
               "'GET,PUT', 2, '127.0.0.0/8', 65536))"],
    "node": ["node", "-e", 'const { sign } = require(process.argv[1]); console.log(sign(process.argv[2], "new",'
             ' "/files/d/", { seconds: 60, methods: "GET,PUT", segments: 2, network: "127.0.0.0/8", rate: 65536 }))'],
    "ruby": ["ruby", "-e", 'require ARGV[0]; puts link_sign(ARGV[1], "new", "/files/d/", seconds: 60, '
             'methods: "GET,PUT", segments: 2, network: "127.0.0.0/8", rate: 65536)'],
}


@pytest.mark.parametrize("name, suffix", [("php", "php"), ("python", "py"), ("node", "js"), ("ruby", "rb")])
def test_recipes_terms(links, name, suffix):
    """All that a link can say, and one for a directory."""
    if not shutil.which(PREFIXES[name][0]):
        pytest.skip(f"{name} is not installed")
    recipe = os.path.abspath(os.path.join(RECIPES, "links." + suffix))
    link = subprocess.run([*PREFIXES[name], recipe, NEW], capture_output=True, text=True, check=True).stdout.strip()
    assert "~GET,PUT~2~127.0.0.0/8~65536~" in link
    assert links.get(link.replace("/d/", "/d/e.txt")).body == b"below"
    assert status(links, link.replace("/d/", "/a.txt")) == 403
    assert status(links, link, "DELETE") == 403


def test_manual_by_hand(links):
    """The lines of argand.conf(5), as a shell runs them."""
    with open(os.path.join(HERE, "..", "..", "man", "argand.conf.5.in"), encoding="utf-8") as f:
        text = f.read()
    start = text.index('front="v1~')
    lines = text[start:text.index(".Ed", start)].replace("\\e", "\\").replace("\\-", "-")
    url = subprocess.run(["sh", "-c", lines], cwd=links.tmp, capture_output=True, text=True, check=True).stdout.strip()
    assert url.startswith("http://example.org/files/a.iso?link=v1~links~")
    assert links.get(url.removeprefix("http://example.org")).body == b"image"


# --- what the request becomes


def test_applications_redirect_asks_anew(server):
    """A local redirect (RFC 3875 6.2.2) is like any request for that path: the link was for another one."""
    r = Recorder("scgi", answer=lambda head: ("200 OK", {"Location": "/files/a.txt"}, b""))
    try:
        s = server(files=FILES, start=False)
        keys(s)
        s.rewrite(backends=pool("app", r.host, protocol="scgi"), site='signed_links: { secrets = "new.key"; };',
                  routes='{ exact = "/go"; gateway = "app"; }')
        s.start()
        assert status(s, own("/go")) == 403
        assert r.wait()[0][0]["QUERY_STRING"] == ""
        s.rewrite(backends=pool("app", r.host, protocol="scgi"), site='signed_links: { secrets = "new.key"; };',
                  routes='{ exact = "/go"; gateway = "app"; }, { path = "/files"; signed_links = (); }')
        s.cli("reload", check=0)
        assert s.get(own("/go")).body == b"hello"
    finally:
        r.close()


def test_index_and_try_need_no_second_link(server):
    """What the site makes of a path by itself, under the same rules."""
    s = server(files={"d/index.html": b"index", "fallback.html": b"fallback"}, start=False)
    keys(s)
    s.rewrite(site='signed_links: { secrets = "new.key"; }; try = [ "$path", "/fallback.html" ];')
    s.start()
    assert s.get(own("/d/")).body == b"index"
    assert s.get(own("/none")).body == b"fallback"
    assert status(s, "/d/") == 403 and status(s, "/fallback.html") == 403 and status(s, "/none") == 403
