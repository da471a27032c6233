"""PHP as its users run it: DokuWiki behind php-fpm by TCP and by Unix socket, and behind php-cgi that the
server spawns: reading, login, editing a page, an upload through the media manager.
"""
import crypt
import os
import random
import shutil

import pytest

import harness
from apps import App, Browser, can_connect, give, need, user
from harness import children, wait_for

FPM, CGI, WIKI = "/usr/sbin/php-fpm8.2", "/usr/bin/php-cgi8.2", "/usr/share/dokuwiki"
# As an administrator writes it: scripts to PHP, the rest are files, what is nobody's business is closed.
SITE = """
	index = [ "doku.php", "index.php", "index.html" ];
	symlinks = "beneath";
	max_body = "64M";
"""
ROUTES = """
	{ regex = "^/(data|conf|bin|inc|vendor)/"; respond: { status = 403; }; },
	{ regex = "\\\\.php(/|$)"; gateway = { backend = "php"; split = [ ".php" ]; check = true; }; }
"""
PRELOAD = """<?php
define('DOKU_MAIN_CONF', '%(wiki)s/conf/');
define('DOKU_CONF', '%(wiki)s/conf/');
include('%(wiki)s/inc/preload.debian.php');
"""


def dokuwiki(root):
    """A copy of the package's tree with configuration, data and one user of its own."""
    shutil.copytree(WIKI, root, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    conf, data = os.path.join(root, "conf"), os.path.join(root, "data")
    os.makedirs(conf, exist_ok=True)
    for name in os.listdir("/etc/dokuwiki"):
        path = os.path.join("/etc/dokuwiki", name)
        if os.path.isfile(path) and not name.endswith(".auth.php"):
            shutil.copy(path, conf)
    for d in ("attic cache index locks log media media_attic media_meta meta pages tmp").split():
        os.makedirs(os.path.join(data, d), exist_ok=True)
    # The package's own preload says where its configuration is; ours is said before.
    os.rename(os.path.join(root, "inc/preload.php"), os.path.join(root, "inc/preload.debian.php"))
    write(root, "inc/preload.php", PRELOAD % {"wiki": root})
    write(conf, "local.php", f"<?php\n$conf['title'] = 'A wiki';\n$conf['useacl'] = 1;\n$conf['superuser'] = '@admin';\n"
                             f"$conf['savedir'] = '{data}';\n$conf['useheading'] = 1;\n")
    write(conf, "acl.auth.php", "# acl.auth.php\n# <?php exit()?>\n*\t@ALL\t1\n*\t@user\t8\n")
    hashed = crypt.crypt("sesame", "$1$saltsalt$")
    write(conf, "users.auth.php", f"# users.auth.php\n# <?php exit()?>\nann:{hashed}:Ann:ann@example.org:admin,user\n")
    give(root)


def write(d, name, text):
    with open(os.path.join(d, name), "w", encoding="utf-8") as f:
        f.write(text)


def fpm(tmp, listen, address):
    conf = os.path.join(tmp, "fpm.conf")
    own = f"user = {user()}\ngroup = {user()}\n" if os.geteuid() == 0 else ""
    write(tmp, "fpm.conf", f"[global]\nerror_log = {tmp}/fpm.log\ndaemonize = no\n[www]\n{own}listen = {listen}\n"
                           "listen.mode = 0666\npm = static\npm.max_children = 3\n"
                           "php_admin_value[upload_max_filesize] = 64M\nphp_admin_value[post_max_size] = 64M\n")
    return App(tmp, "php-fpm", [FPM, "-F", "-y", conf], lambda: can_connect(address), is_ours=True)


@pytest.fixture(scope="module")
def wiki():
    need(FPM, WIKI + "/doku.php")
    d = harness.new_tmp()
    dokuwiki(os.path.join(d, "www"))
    yield os.path.join(d, "www")
    harness.remove_tmp(d)


def start(server, wiki, backends):
    return server(**config(wiki, backends))


def config(wiki, backends):
    return dict(text=harness.SERVER.replace("@ROOT@", wiki), site=SITE, routes=ROUTES, backends=backends)


def use_wiki(s, page):
    """What an editor does of an afternoon."""
    b = Browser(s)
    r = b.get("/")
    assert r.status == 200 and "A wiki" in r.text and "DokuWiki" in r.text, r.text[:500]
    assert b.get("/lib/tpl/dokuwiki/images/logo.png").headers["Content-Type"] == "image/png"
    css = b.get("/lib/exe/css.php?t=dokuwiki")
    assert css.status == 200 and "text/css" in css.headers["Content-Type"] and len(css.body) > 10000
    assert b.get("/data/pages/").status == 403 and b.get("/conf/users.auth.php").status == 403
    login(b)
    edit(b, page)
    upload(b, page)


def login(b):
    form = b.get("/doku.php?id=start&do=login").form("p")
    r = b.post("/doku.php?id=start&do=login", {**form, "u": "ann", "p": "wrong"})
    assert "Logged in as" not in r.text
    r = b.post("/doku.php?id=start&do=login", {**form, "u": "ann", "p": "sesame"})
    assert r.status in (200, 302), r.text[:500]
    r = b.get("/doku.php?id=start")
    assert "Logged in as" in r.text and "Ann" in r.text


def edit(b, page):
    form = b.get(f"/doku.php?id=test:{page}&do=edit").form("wikitext")
    text = "====== A page ======\n\nWritten with **emphasis** and umlauts: äöü.\n\n" + "A line of text.\n" * 2000
    r = b.post(f"/doku.php?id=test:{page}", {**form, "wikitext": text, "summary": "test", "do[save]": "1"})
    assert r.status in (302, 303), r.text[:1000]
    assert r.headers["Location"].endswith(f"/doku.php?id=test:{page}"), r.headers["Location"]
    r = b.get(f"/doku.php?id=test:{page}")
    assert "<strong>emphasis</strong>" in r.text and "umlauts: äöü" in r.text and "A page" in r.text


def upload(b, page):
    data = random.Random(page).randbytes(5 << 20)
    form = b.get("/lib/exe/mediamanager.php?ns=test").form("mediaid")
    r = b.post("/lib/exe/mediamanager.php", {**form, "ns": "test", "mediaid": page + ".zip"},
               files={"upload": (page + ".zip", data)})
    assert r.status == 200 and "uccessful" in r.text, r.text[:2000]
    r = b.get(f"/lib/exe/fetch.php?media=test:{page}.zip")
    assert r.status == 200 and r.body == data
    r = b.ask("GET", f"/lib/exe/fetch.php?media=test:{page}.zip", headers={"Range": "bytes=1000-1999"})
    assert r.status == 206 and r.body == data[1000:2000]


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_dokuwiki_fpm(server, tmp, wiki, way):
    address = ("127.0.0.1", harness.free_port()) if way == "tcp" else tmp + "/fpm.sock"
    listen = address if way == "unix" else f"127.0.0.1:{address[1]}"
    app = fpm(tmp, listen, address)
    try:
        host = f"unix:{listen}" if way == "unix" else listen
        s = start(server, wiki, f'php = {{ protocol = "fastcgi"; hosts = [ "{host}" ]; }};')
        use_wiki(s, "fpm" + way)
        assert " 502 " not in s.access_log() and " 504 " not in s.access_log()
    finally:
        app.stop()


def test_fpm_says_what_it_got(server, tmp):
    """The environment as PHP sees it."""
    need(FPM)
    sock = tmp + "/fpm.sock"
    app = fpm(tmp, sock, sock)
    try:
        s = server(files={"a/info.php": "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);",
                          "log.php": "<?php error_log('a line from the script'); echo 'ok';",
                          "picture.jpg": b"not a script"},
                   routes='{ regex = "\\\\.php(/|$)"; gateway = { backend = "php"; split = [ ".php" ]; check = true; }; }',
                   backends=f'php = {{ protocol = "fastcgi"; hosts = [ "unix:{sock}" ]; }};')
        e = s.get("/a/info.php/more%20path?x=1&y=%2f", headers={"X-Test": "yes", "Proxy": "http://evil/"}).json()
        want = {"SCRIPT_NAME": "/a/info.php", "PATH_INFO": "/more path", "QUERY_STRING": "x=1&y=%2f",
                "REQUEST_URI": "/a/info.php/more%20path?x=1&y=%2f", "REQUEST_METHOD": "GET", "HTTP_X_TEST": "yes",
                "DOCUMENT_ROOT": s.root, "SCRIPT_FILENAME": s.root + "/a/info.php", "SERVER_PORT": str(s.port),
                "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1"}
        assert {k: e.get(k) for k in want} == want
        assert "HTTP_PROXY" not in e
        assert s.get("/picture.jpg/x.php").status == 404 and s.get("/no.php").status == 404
        assert s.get("/log.php").body == b"ok"
        s.wait_log("a line from the script")
    finally:
        app.stop()


def test_dokuwiki_spawned(server, wiki):
    """php-cgi started by the server itself: processes that are killed are replaced, unnoticed."""
    need(CGI)
    spawn = (f'php = {{ protocol = "fastcgi"; spawn = {{ command = [ "{CGI}", "-d", "upload_max_filesize=64M", "-d", '
             f'"post_max_size=64M" ]; processes = "2..4"; user = "{user()}"; environment = [ "PHP_FCGI_CHILDREN=0" ]; '
             "}; };")
    s = start(server, wiki, spawn)
    try:
        use_wiki(s, "spawned")

        def php():
            return [p for p in children(s.pid) if "php-cgi" in command_line(p)]
        assert len(php()) >= 2, "two processes at least"
        for pid in php():
            os.kill(pid, 9)
        assert Browser(s).get("/doku.php?id=start").status == 200
        wait_for(lambda: len(php()) >= 2, "killed processes are replaced")
        before = set(php())
        s.rewrite(server="keepalive_requests = 777;", **config(wiki, spawn))
        s.cli("reload", check=0)
        assert Browser(s).get("/doku.php?id=start").status == 200
        assert before, "processes before the reload"
    finally:
        assert s.stop() == 0
    wait_for(lambda: not any("php-cgi" in command_line(p) for p in harness.session_pids(s.sid)),
             "no process of PHP outlives the server")


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""

