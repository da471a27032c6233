"""Checks against real applications, in every protocol: they pass what is well, and find out what is not."""
import http.server
import os
import signal
import ssl
import subprocess
import threading

import pytest

import harness
import test_apps_java
import test_apps_php
import test_apps_python
from apps import need
from backends import hosts
from harness import wait_for
from test_apps_java import tomcat  # noqa: F401  a fixture

ROUTES = '{ path = "/app"; gateway = "app"; }'
HEALTH = 'health: { interval = "200ms"; timeout = "%s"; fall = 2; rise = 1; %s };'


def start(server, protocol, host, health, more="", timeout="150ms"):
    s = server(routes=ROUTES, backends=f'app = {{ protocol = "{protocol}"; hosts = [ "{host}" ]; {HEALTH % (timeout, health)} {more} }};')
    return s, lambda: hosts(s)[host]


def is_well(host):
    wait_for(lambda: host()["checks"] >= 4, "checks are made")
    h = host()
    assert (h["state"], h["check_failures"]) == ("up", 0), h


def is_found_out(s, host, why):
    wait_for(lambda: host()["state"] == "down", "it is found out")
    assert host()["cause"] == "check" and why in s.error_log(), s.error_log()


def comes_back(host):
    wait_for(lambda: host()["state"] == "up", "it is back")


@pytest.mark.parametrize("health", ["enabled = true;", 'path = "/ping"; body = "pong";'])
def test_php_fpm(server, tmp, health):
    """By its own ping page, and by the protocol's question."""
    need(test_apps_php.FPM)
    os.chmod(tmp, 0o777)
    address = tmp + "/fpm.sock"
    app = test_apps_php.fpm(tmp, address + "\nping.path = /ping", address)
    try:
        s, host = start(server, "fastcgi", "unix:" + address, health)
        is_well(host)
        if "path" not in health:
            return  # who is busy cannot answer the question: silence is no proof
        os.killpg(app.p.pid, signal.SIGSTOP)
        is_found_out(s, host, "no answer in time")
        os.killpg(app.p.pid, signal.SIGCONT)
        comes_back(host)
    finally:
        app.stop()


def test_php_page_that_is_missing(server, tmp):
    need(test_apps_php.FPM)
    os.chmod(tmp, 0o777)
    address = tmp + "/fpm.sock"
    app = test_apps_php.fpm(tmp, address, address)
    try:
        s, host = start(server, "fastcgi", "unix:" + address, 'path = "/nowhere.php";')
        is_found_out(s, host, "status 404")
    finally:
        app.stop()


@pytest.mark.parametrize("protocol", ["uwsgi", "scgi", "fastcgi"])
@pytest.mark.parametrize("health", ["enabled = true;", 'path = "/environment?a=1"; body = "REQUEST_METHOD";'])
def test_uwsgi(server, tmp, protocol, health):
    if protocol == "fastcgi" and "path" in health:
        pytest.skip("uwsgi takes no PATH_INFO from a FastCGI SCRIPT_NAME")
    os.chmod(tmp, 0o777)
    address = tmp + "/uwsgi.sock"
    option = {"uwsgi": "--uwsgi-socket", "scgi": "--scgi-socket", "fastcgi": "--fastcgi-socket"}[protocol]
    app = test_apps_python.uwsgi(tmp, option, address)
    try:
        s, host = start(server, protocol, "unix:" + address, health)
        is_well(host)
        app.stop()
        is_found_out(s, host, " is down: check, ")
    finally:
        app.stop()


def test_gunicorn(server, tmp):
    os.chmod(tmp, 0o777)
    app = test_apps_python.gunicorn(tmp, tmp + "/gunicorn.sock")
    try:
        s, host = start(server, "http", f"unix:{tmp}/gunicorn.sock", 'path = "/environment"; body = "REQUEST_METHOD";')
        is_well(host)
    finally:
        app.stop()


@pytest.mark.parametrize("health", ["enabled = true;", 'path = "/examples/index.html"; body = "Tomcat";'])
def test_tomcat(server, tomcat, health):  # noqa: F811
    s, host = start(server, "ajp", f"127.0.0.1:{tomcat}", health, f'secret = "{test_apps_java.SECRET}";', "10s")
    wait_for(lambda: host()["checks"] >= 4, "checks are made")
    assert host()["state"] == "up", s.error_log()


def test_tomcat_without_its_secret(server, tomcat):  # noqa: F811
    s, host = start(server, "ajp", f"127.0.0.1:{tomcat}", 'path = "/examples/index.html";', "", "10s")
    is_found_out(s, host, "status 403")


# --------------------------------------------------------------------------------------------------------- TLS

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"fine")

    def log_message(self, *_):
        pass


@pytest.fixture
def https(tmp):
    """A server with a certificate for backend.test; (port, path of the certificate)."""
    need("openssl")
    pem = tmp + "/backend.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=backend.test", "-addext", "subjectAltName=DNS:backend.test", "-keyout", pem + ".key",
                    "-out", pem], check=True, capture_output=True)
    os.chmod(pem, 0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem + ".key")
    web = http.server.ThreadingHTTPServer(("127.0.0.1", harness.free_port()), Page)
    web.daemon_threads = True
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    os.chmod(tmp, 0o755)
    yield web.server_address[1], pem
    web.shutdown()
    web.server_close()


@pytest.mark.parametrize("health", ["enabled = true;", 'path = "/up"; body = "fine";'])
def test_https(server, https, health):
    port, pem = https
    s, host = start(server, "http", f"127.0.0.1:{port}", health, f'tls: {{ enabled = true; name = "backend.test"; ca = "{pem}"; }};')
    is_well(host)
    assert s.get("/app").status == 200


def test_https_of_somebody_else(server, https):
    """A certificate for another name is no answer, and a probe does not take a handshake that fails for one."""
    port, pem = https
    s, host = start(server, "http", f"127.0.0.1:{port}", 'path = "/up";', f'tls: {{ enabled = true; name = "other.test"; ca = "{pem}"; }};')
    is_found_out(s, host, "TLS: ")
