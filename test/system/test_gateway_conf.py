"""Gateways as sites have them: which script a request means, what it is told, and what little must be written."""
import os

import pytest

from backends import pool


def env(s, path, **kw):
    r = s.get(path, **kw)
    assert r.status == 200, (path, r)
    return r.json()["env"]


@pytest.fixture
def php(peers):
    """Tells what it was asked, like a script that prints its environment."""
    p = peers("fastcgi", name="php")
    p.mode("echo")
    return p


def files(s, *names):
    for n in names:
        path = os.path.join(s.tmp, n)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write("file")


def test_a_php_site_is_one_line(server, php):
    """Files are sent, scripts are run, "/" is index.php, what is no file is not found."""
    s = server(backends=pool("php", php), site='gateway = "php"; index = [ "index.html", "index.php" ];')
    files(s, "www/index.php", "www/a.txt", "www/sub/x.php", "www/up/evil.jpg")
    assert s.get("/a.txt").text == "file"
    e = env(s, "/")
    assert (e["SCRIPT_NAME"], e["SCRIPT_FILENAME"], e["DOCUMENT_ROOT"]) == ("/index.php", s.root + "/index.php", s.root)
    e = env(s, "/sub/x.php/info?q=1")
    assert (e["SCRIPT_NAME"], e["PATH_INFO"], e["QUERY_STRING"]) == ("/sub/x.php", "/info", "q=1")
    assert e["REQUEST_URI"] == "/sub/x.php/info?q=1"
    before = php.stats()["requests"]
    for path in ("/none.php", "/up/evil.jpg/x.php", "/sub/none/x.php"):
        assert s.get(path).status == 404, path
    assert php.stats()["requests"] == before, "nothing of it reached PHP"


def test_an_index_is_the_first_that_is_there(server, php):
    """Whether it is a file or a script; and no script's text is ever sent."""
    s = server(backends=pool("php", php), site='gateway = "php"; index = [ "index.html", "start.php" ];',
               routes='{ path = "/front"; gateway: { backend = "php"; front = "/front/f.php"; }; }')
    files(s, "www/both/index.html", "www/both/start.php", "www/script/start.php", "www/other/index.php", "www/none/x.txt",
          "www/front/f.php", "www/front/html/index.html", "www/front/none/x.txt")
    assert s.get("/both/").text == "file"
    assert env(s, "/script/")["SCRIPT_NAME"] == "/script/start.php"
    for path in ("/other/", "/none/"):
        assert s.get(path).status in (403, 404), path
    assert s.get("/front/html/").text == "file"
    assert env(s, "/front/none/")["SCRIPT_NAME"] == "/front/f.php"
    assert env(s, "/front/")["SCRIPT_NAME"] == "/front/f.php"


def test_a_url_is_enough(server, php):
    s = server(site=f'gateway = "fastcgi://{php.host}";')
    files(s, "www/x.php")
    assert env(s, "/x.php")["SCRIPT_NAME"] == "/x.php"
    assert [p["name"] for p in s.status()["pools"]] == [f"fastcgi://{php.host}"[:63]] or len(php.host) > 52


def test_front_controller(server, php):
    s = server(backends=pool("php", php), site='gateway: { backend = "php"; front = "/index.php"; };')
    files(s, "www/index.php", "www/a.txt", "www/other.php")
    assert s.get("/a.txt").text == "file"
    assert env(s, "/other.php")["SCRIPT_NAME"] == "/other.php"
    for path in ("/", "/blog/2026/title", "/none.txt"):
        e = env(s, path)
        assert (e["SCRIPT_NAME"], e["REQUEST_URI"]) == ("/index.php", path)


def test_a_package_at_an_alias(server, php):
    """As distributions install web applications: a folder elsewhere, below a path."""
    s = server(backends=pool("php", php),
               routes='{ path = "/wiki"; alias = "@TMP@/share/doku"; gateway = "php"; index = "doku.php"; }')
    files(s, "share/doku/doku.php", "share/doku/index.php", "share/doku/lib/x.css", "www/wiki/no.php")
    assert s.get("/wiki/lib/x.css").text == "file"
    e = env(s, "/wiki/doku.php/start")
    assert (e["SCRIPT_NAME"], e["PATH_INFO"]) == ("/wiki/doku.php", "/start")
    assert e["SCRIPT_FILENAME"] == s.tmp + "/share/doku/doku.php"
    assert env(s, "/wiki/")["SCRIPT_FILENAME"] == s.tmp + "/share/doku/doku.php"
    assert s.get("/wiki/no.php").status == 404, "it is not below the alias"


def test_many_hosts(server, php):
    s = server(backends=pool("php", php), site="", text=None, start=False)
    s.text = s.fill('server: { listen = "127.0.0.1:@PORT@"; control = "@TMP@/control.sock"; error_log = "@TMP@/error.log"; };\n'
                    f'backends: {{ {pool("php", php)} }};\n'
                    'sites = ( { host = "*"; root = "@TMP@/hosts/$host"; gateway = "php"; } );\n')
    with open(s.conf, "w") as f:
        f.write(s.text)
    files(s, "hosts/a.test/x.php", "hosts/b.test/y.php", "secret.php")
    s.start()
    assert env(s, "/x.php", host="A.test")["DOCUMENT_ROOT"] == s.tmp + "/hosts/a.test"
    assert env(s, "/y.php", host="b.test")["SCRIPT_FILENAME"] == s.tmp + "/hosts/b.test/y.php"
    for host, path in (("b.test", "/x.php"), ("c.test", "/x.php"), ("..", "/secret.php")):
        assert s.get(path, host=host).status in (400, 404), (host, path)


def test_environment_is_merged_and_ends(server, php, peers):
    app = peers("http")
    s = server(backends=pool("php", php) + pool("app", app),
               site='gateway: { backend = "php"; check = false; environment = [ "A=site", "B=site $host" ]; };',
               routes='{ path = "/r"; gateway: { environment = "A=route"; }; },'
                      '{ path = "/app"; gateway: { backend = "app"; path = "/"; set = [ "X-Of: $path", "X-No:" ]; }; },'
                      '{ path = "/off"; gateway = "off"; }')
    files(s, "www/off/a.txt", "www/off/x.php")
    e = env(s, "/x.php", host="a.test")
    assert (e["A"], e["B"]) == ("site", "site a.test")
    e = env(s, "/r/x.php", host="a.test")
    assert (e["A"], e["B"]) == ("route", "site a.test")
    assert s.get("/off/a.txt").text == "file"
    assert s.get("/off/x.php").status == 404, "without a gateway it is a source, and nobody's"
    q = s.get("/app/some/echo?x", headers={"X-No": "1", "X-Yes": "2"}).json()
    seen = {k.lower(): v for k, v in q["fields"]}
    assert q["target"] == "/some/echo?x" and seen["x-of"] == "/app/some/echo"
    assert "x-no" not in seen and seen["x-yes"] == "2"
