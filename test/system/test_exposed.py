"""What a document root would give away: sources of scripts where no gateway runs them, and what `argand check`
says of keys, dumps and configurations.
"""
import pytest

from backends import pool

KEY = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n"
WP = "<?php define('DB_PASSWORD', 'secret');\n"
FILES = {"index.php": WP, "wp-config.php": WP, "static/lib.php": WP, "static/lib.php~": WP, "static/LIB2.PHP": WP, "static/a.css": "a{}",
         "static/d/index.php": WP, "page.html": "<p>"}


@pytest.fixture
def php(server, peers):
    """A PHP site with a route that has no gateway, as people write it."""
    app = peers("fastcgi")

    def start(static="", **more):
        files = dict(FILES, **more.pop("files", {}))
        return server(workers=1, files=files, backends=pool("php", app),
                      routes='{ path = "/static"; ' + static + ' }, { regex = "\\\\.php(/|$)"; gateway = "php"; }', **more)
    return start


def test_no_source_is_sent(php):
    s = php()
    assert s.get("/page.html").status == 200 and s.get("/static/a.css").body == b"a{}"
    for path in ("/static/lib.php", "/static/lib%2Ephp", "/static/l%69b.p%68p?x", "/static/lib.php~", "/static/LIB2.PHP",
                 "/static//lib.php", "/static/./lib.php", "/static/d/", "/static/d/index.php"):
        r = s.get(path)
        assert r.status in (403, 404) and b"secret" not in r.body, (path, r)
        r = s.ask("GET", path, [("Range", "bytes=0-4"), ("Accept-Encoding", "gzip, br")])
        assert r.status in (403, 404) and b"php" not in r.body, (path, r)
    assert s.get("/wp-config.php").status != 404, "where the gateway runs it, it runs"
    log = [line for line in s.error_log().splitlines() if "scripts_as_text" in line]
    assert len(log) == 1 and "static/lib.php is a script of the site, and route" in log[0] and " warn " in log[0], log
    assert "/static" in log[0]


def test_unless_they_are_text(php):
    s = php("scripts_as_text = true;")
    assert s.get("/static/lib.php").body == WP.encode()
    assert "scripts_as_text" not in s.error_log()


def test_index_and_try(php):
    s = php('index = [ "index.php" ]; try = [ "$path", "/static/lib.php", "=410" ];')
    assert s.get("/static/none").status == 410
    assert b"secret" not in s.get("/static/d/").body


def test_reload_of_the_route(php):
    """The answer is the configuration's: a cached refusal does not outlive it, nor a cached file the refusal."""
    s = php()
    assert s.get("/static/lib.php").status == 404
    s.rewrite(s.text.replace('{ path = "/static";', '{ path = "/static"; scripts_as_text = true;'), workers=1)
    s.cli("reload", check=0)
    assert s.get("/static/lib.php").status == 200
    s.rewrite(s.text.replace("scripts_as_text = true;", ""), workers=1)
    s.cli("reload", check=0)
    assert s.get("/static/lib.php").status == 404


def test_check_warns(php):
    s = php(files={"www.key": KEY, "old/dump.sql.gz": "x", ".env": "A=b", ".git/HEAD": "ref", "wp-config.txt": WP, "talk.key": "slides"})
    r = s.cli("check", check=0)
    warned = [line for line in r.stderr.splitlines() if "everybody can fetch" in line]
    for path in ("/www.key", "/old/dump.sql.gz", "/wp-config.txt"):
        assert sum(f"fetch {path}, which is" in line for line in warned) == 1, (path, r.stderr)
    assert len(warned) == 3, r.stderr
    assert 'exact = "/wp-config.txt"; respond: { status = 404; };' in r.stderr, "the remedy"
    assert "everybody can fetch" not in s.output(), "only who asks is told"
    s.rewrite(s.text.replace("root =", "hidden = true; root =").replace("routes = (", 'routes = ( { exact = "/wp-config.txt"; respond: { status = 404; }; },'))
    r = s.cli("check", check=0)
    assert "fetch /.env, which" in r.stderr and "fetch /.git/HEAD, which" in r.stderr and "wp-config.txt, which" not in r.stderr
    assert s.get("/www.key").status == 200, "it was no false alarm"
