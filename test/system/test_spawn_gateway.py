"""Local backends through the gateway, as a client sees them."""
import json
import os
import shutil
import signal
import threading
import time

import pytest

from harness import Conn, patience, wait_for
from test_spawn import alive, conf, pids, settled, spawn

ROUTE = '{ path = "/app"; gateway = { backend = "app"; prefix = "/app"; }; }'


def start(server, *pools, routes=ROUTE, **kw):
    s = server(text=conf(*pools), routes=routes, **kw)
    s.routes = routes
    return s


def again(s, *pools):
    s.rewrite(conf(*pools), routes=s.routes)
    s.cli("reload", check=0)


def processes(s, name="app"):
    return next(p for p in s.status()["pools"] if p["name"] == name)["processes"]


class Clients:
    """n clients that ask all the time, each on a connection of its own as long as the server keeps it."""

    def __init__(self, s, n, target="/app?sleep=0.05"):
        self.s, self.target, self.is_over = s, target, False
        self.done, self.failed, self.slowest = 0, [], 0
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]

    def run(self):
        c = None
        while not self.is_over:
            try:
                c = c or Conn(self.s.address)
                began = time.monotonic()
                r = c.request(self.target).response()
                self.slowest = max(self.slowest, time.monotonic() - began)
                if r.status != 200:
                    self.failed.append(f"{r.status} {r.body[:100]!r}")
                self.done += 1
                if r.get("Connection") == "close":
                    c.close()
                    c = None
            except (OSError, AssertionError) as e:
                if c and self.is_over:
                    return
                self.failed.append(repr(e))
                c = None

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for t in self.threads:
            t.join(patience(15))


def test_as_many_processes_as_are_needed(server):
    s = start(server, spawn(more='processes = "1..6"; idle = "1s";'))
    settled(s, 1)
    assert s.get("/app").json()["pid"] in pids(s)
    with Clients(s, 4) as c:
        wait_for(lambda: len(pids(s)) == 4, "a process for each request", 10)
        time.sleep(patience(1.5))
        assert len(pids(s)) == 4, "and no more"
        p = processes(s)
        assert (p["running"], p["least"], p["most"]) == (4, 1, 6)
    assert c.failed == []
    first = pids(s)[0]
    wait_for(lambda: len(pids(s)) == 1, "as few as are needed", 15)
    assert pids(s) == [first], "the newest go first"
    assert s.get("/app").status == 200


def test_fewer_processes_lose_no_request(server):
    """Those that are spared have no handler for SIGTERM, and requests go on meanwhile."""
    s = start(server, spawn(more='processes = "1..6"; idle = "1s";'))
    for _ in range(2):
        with Clients(s, 6, "/app?sleep=0.02") as c:
            wait_for(lambda: len(pids(s)) >= 5, "more processes", 10)
        assert c.failed == []
        with Clients(s, 1, "/app?sleep=0.005") as c:
            wait_for(lambda: len(pids(s)) <= 3, "fewer processes", 10)
        assert c.failed == []


@pytest.mark.parametrize("mode", ["", "graceful"])
def test_whatever_an_operator_does(server, mode):
    """Reloads with other settings, upgrades, other numbers: no request fails."""
    def pool(n, more='processes = "3..4";'):
        return spawn(mode=mode, more=f'environment = [ "N={n}" ]; {more}')
    s = start(server, pool(0))
    settled(s, 3)
    with Clients(s, 6, "/app?sleep=0.03") as c:
        for n in range(1, 3):
            again(s, pool(n))
            wait_for(lambda n=n: s.get("/app").json()["environ"]["N"] == str(n), "the new settings", 15)
        s.cli("upgrade", check=0)
        again(s, pool(2, 'processes = "2";'))
        s.rewrite(conf(pool(3)), routes=s.routes)
        s.cli("upgrade", check=0)
        wait_for(lambda: s.get("/app").json()["environ"]["N"] == "3", "the new settings", 15)
        wait_for(lambda: len(pids(s)) == 3 or len(pids(s)) == 4, "the end of the old ones", 15)
        done = c.done
        wait_for(lambda: c.done > done + 50, "requests")
    assert c.failed == []
    assert "error" not in s.error_log(), s.error_log()


def test_processes_that_die(server):
    """A request whose process dies is tried again where that is safe, so no GET is lost."""
    s = start(server, spawn(more='processes = "3";'))
    settled(s, 3)
    with Clients(s, 4, "/app?sleep=0.02") as c:
        for _ in range(5):
            time.sleep(1.1)
            own = pids(s)
            os.kill(own[-1], signal.SIGKILL)
            wait_for(lambda own=own: own[-1] not in pids(s) and len(pids(s)) == 3, "another process", 5)
    assert c.failed == []
    p = processes(s)
    assert p["deaths"] == 5 and p["starts"] == 8 and p["last_status"] == signal.SIGKILL


@pytest.mark.skipif(not shutil.which("php-cgi"), reason="no php-cgi")
def test_php(server):
    s = start(server, spawn("php", protocol="fastcgi", command=["/usr/bin/php-cgi"],
                            more='processes = "2..8"; environment = [ "PHP_FCGI_MAX_REQUESTS=50" ];'),
              routes='{ path = "/"; gateway = { backend = "php"; split = ".php"; }; }',
              files={"a.php": "<?php header('X-Pid: ' . getmypid()); error_log('said'); usleep(1000*($_GET['ms'] ?? 0));"
                              "echo json_encode([$_SERVER['PATH_INFO'] ?? '', file_get_contents('php://input')]);"})
    s.routes = '{ path = "/"; gateway = { backend = "php"; split = ".php"; }; }'
    r = s.ask("POST", "/a.php/x/y", body=b"hello")
    assert (r.status, json.loads(r.body)) == (200, ["/x/y", "hello"])
    assert int(r["X-Pid"]) in pids(s)
    with Clients(s, 4, "/a.php?ms=1") as c:  # each process ends after 50 requests, of its own will
        wait_for(lambda: c.done > 1000, "requests", 30)
        again(s, spawn("php", protocol="fastcgi", command=["/usr/bin/php-cgi", "-d", "precision=9"],
                       more='processes = "2..8";'))
        done = c.done
        wait_for(lambda: c.done > done + 300, "requests", 20)
    assert c.failed == []
    assert "next try" not in s.error_log()
    s.wait_log("said")


def test_http_with_the_masters_socket(server):
    """An HTTP server that is told of its socket as a service manager tells it."""
    app = ("import http.server, os, socket\n"
           "assert os.environ['LISTEN_FDS'] == '1' and os.environ['LISTEN_PID'] == str(os.getpid())\n"
           "class H(http.server.BaseHTTPRequestHandler):\n"
           "    def do_GET(self):\n"
           "        out = str(os.getpid()).encode()\n"
           "        self.send_response(200); self.send_header('Content-Length', str(len(out))); self.end_headers()\n"
           "        self.wfile.write(out)\n"
           "    def address_string(self): return 'peer'\n"
           "s = http.server.HTTPServer(('x', 0), H, bind_and_activate=False)\n"
           "s.socket = socket.socket(fileno=3)\n"
           "s.serve_forever()\n")
    s = server(files={})
    path = s.write("app.py", app)
    s.rewrite(conf(spawn(protocol="http", command=["/usr/bin/python3", path])), routes='{ path = "/"; gateway = "app"; }')
    s.cli("reload", check=0)
    assert int(s.get("/").body) in pids(s)


def test_http_that_binds_for_itself(server):
    """It is replaced with a gap, which the queue of the pool bridges."""
    from harness import free_port
    port = free_port()
    app = f"""
import http.server, os, signal, threading
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        out = os.environ["N"].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(out))); self.end_headers()
        self.wfile.write(out)
class S(http.server.ThreadingHTTPServer):
    daemon_threads = False
s = S(("127.0.0.1", {port}), H)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=s.shutdown).start())
s.serve_forever()
s.server_close()
"""
    s = server(files={})
    path = s.write("app.py", app)

    def text(n):
        return conf(spawn(protocol="http", command=["/usr/bin/python3", path], pool=f'hosts = "127.0.0.1:{port}";',
                          more=f'environment = [ "N={n}" ];'))
    routes = '{ path = "/"; gateway = "app"; }'
    s.rewrite(text(1), routes=routes)
    s.cli("reload", check=0)
    assert s.get("/").body == b"1"
    old, = pids(s)
    with Clients(s, 2, "/") as c:
        s.rewrite(text(2), routes=routes)
        s.cli("reload", check=0)
        wait_for(lambda: not alive(old), "the end of the old one")
        wait_for(lambda: s.get("/").body == b"2", "the new one")
    assert c.failed == []


def test_cgi(server):
    s = start(server, spawn("scripts", protocol="cgi", command=["/bin/sh"], more='processes = "4";'),
              routes='{ path = "/cgi"; gateway = { backend = "scripts"; split = ".sh"; }; }')
    s.write("cgi/hello.sh", "echo 'Content-Type: text/plain'\necho 'X-Path: '$PATH_INFO\necho\ncat\necho from $SCRIPT_NAME\n")
    r = s.ask("POST", "/cgi/hello.sh/a/b?x", body=b"body ")
    assert (r.status, r.body, r["X-Path"]) == (200, b"body from /cgi/hello.sh\n", "/a/b")
    assert s.get("/cgi/nothing.sh").status == 404
    s.write("cgi/big.sh", "echo Status: 200; echo; head -c 10000000 /dev/zero\n")
    assert len(s.get("/cgi/big.sh").body) == 10000000
    with Clients(s, 12, "/cgi/hello.sh") as c:
        wait_for(lambda: c.done > 200, "requests", 30)
    assert c.failed == []
