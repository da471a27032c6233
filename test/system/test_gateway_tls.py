"""TLS to HTTP backends: who is believed, what comes through, and what connections are saved.

A fake backend stands behind a terminator of TLS, which is a thread here.
"""
import hashlib
import os
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest

import harness
from backends import pool, pool_status
from backends.behave import pattern

MIB = 1 << 20


def certificate(folder, name, names, issuer=None):
    """Makes name.pem and name.key; signed by itself, or by issuer."""
    base = os.path.join(folder, name)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", f"/CN={name}", "-addext", "subjectAltName=" + names, "-keyout", base + ".key", "-out", base + ".pem"]
    if issuer:
        command += ["-CA", issuer + ".pem", "-CAkey", issuer + ".key", "-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(command, check=True, capture_output=True)
    for suffix in (".pem", ".key"):
        os.chmod(base + suffix, 0o644)
    return base


@pytest.fixture(scope="module")
def certs():
    d = harness.new_tmp()
    made = {"folder": d, "good": certificate(d, "good", "DNS:localhost,DNS:app.example,IP:127.0.0.1"),
            "other": certificate(d, "other", "DNS:elsewhere.example"), "client": certificate(d, "client", "DNS:client.example")}
    yield made
    harness.remove_tmp(d)


class Terminator:
    """Takes TLS off and hands the octets to a backend's socket."""

    def __init__(self, base, target, client_ca=None, version=None, close=True):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(base + ".pem", base + ".key")
        if client_ca:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(client_ca + ".pem")
        if version:
            self.context.maximum_version = version
        self.target, self.close = target, close
        self.conns = self.reused = self.failed = 0
        self.live = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            front = self.context.wrap_socket(sock, server_side=True)
        except (ssl.SSLError, OSError):
            self.failed += 1
            return
        self.conns += 1
        self.reused += front.session_reused
        back = socket.socket(socket.AF_UNIX)
        back.connect(self.target)
        self.live.add(front)
        there = threading.Thread(target=self.carry, args=(front, back), daemon=True)
        there.start()
        self.carry(back, front)
        try:
            if self.close:
                front.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            pass
        self.live.discard(front)
        for s in (front, back):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    @staticmethod
    def carry(a, b):
        try:
            while d := a.recv(65536):
                b.sendall(d)
        except (OSError, ValueError):
            pass
        try:
            if isinstance(b, ssl.SSLSocket):
                return
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Ends the connections there are, without a word."""
        for s in list(self.live):
            s.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()


@pytest.fixture
def front(peers, certs):
    made = []

    def make(cert="good", **more):
        t = Terminator(certs[cert], peers("http").address, **more)
        made.append(t)
        return t

    yield make
    for t in made:
        t.stop()


def start(server, host, tls, **options):
    return server(workers=1, backends=pool("app", host, protocol="http", tls=tls, **options),
                  routes='{ path = "/app"; gateway = "app"; }')


def test_verified(server, front, certs):
    t = front()
    tls = {"ca": certs["good"] + ".pem"}
    for host, more in ((f"https://localhost:{t.port}", {}), (f"https://127.0.0.1:{t.port}", {}),
                       (f"https://127.0.0.1:{t.port}", {"name": "app.example"})):
        s = start(server, host, {**tls, **more})
        r = s.get("/app/echo?x=1")
        assert r.status == 200 and r.json()["target"] == "/app/echo?x=1"


@pytest.mark.parametrize("what", ["name", "authority", "plain", "no_client"])
def test_refused(server, front, certs, peers, what):
    """No answer, and a log that says why; nothing is sent to whom is not believed."""
    t = front(cert="other" if what == "name" else "good", client_ca=certs["client"] if what == "no_client" else None)
    port, why = t.port, {"name": "certificate is not trusted: hostname mismatch", "authority": "certificate is not trusted: self",
                         "plain": "closed during the handshake|wrong version", "no_client": "TLS|closed|reset"}[what]
    tls = {"ca": certs["other" if what in ("name", "authority") else "good"] + ".pem"}
    if what == "plain":
        app = peers("http", tcp=True)
        app.may_err = True  # it is spoken to in TLS
        port = int(app.host.rpartition(":")[2])
    s = start(server, f"https://localhost:{port}", tls, timeout={"queue": "300ms"})
    assert s.get("/app/echo").status in (502, 503)
    assert any(w in s.error_log() for w in why.split("|")), s.error_log()
    if what in ("name", "authority"):
        s = start(server, f"https://localhost:{port}", {"verify": False})
        assert s.get("/app/echo").status == 200


def test_client_certificate(server, front, certs):
    """Its key is read before rights are dropped."""
    t = front(client_ca=certs["client"])
    os.chmod(certs["client"] + ".key", 0o600)
    s = start(server, f"https://localhost:{t.port}",
              {"ca": certs["good"] + ".pem", "certificate": certs["client"] + ".pem", "key": certs["client"] + ".key"})
    assert s.get("/app/echo").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_connections_are_saved(server, front, certs, version):
    """Kept ones are used again, and new ones begin with the session of the last."""
    t = front(version=version)
    s = start(server, f"https://localhost:{t.port}", {"ca": certs["good"] + ".pem"})
    for _ in range(5):
        assert s.get("/app/echo").status == 200
    assert t.conns == 1
    for _ in range(3):
        t.cut()
        harness.wait_for(lambda: not t.live, "the connection is gone")
        time.sleep(0.05)
        assert s.get("/app/echo").status == 200
    assert t.conns == 4 and t.reused == 3, (t.conns, t.reused)
    assert pool_status(s)["in_flight"] == 0


def test_large_bodies(server, front, certs):
    t = front()
    s = start(server, f"https://localhost:{t.port}", {"ca": certs["good"] + ".pem"})
    body = random.Random(3).randbytes(12 * MIB + 17)
    with s.connect() as c:
        r = c.request("/app/hash", "POST", body=body).response()
        assert r.status == 200 and r.json()["length"] == len(body)
        assert r.json()["sha256"] == hashlib.sha256(body).hexdigest()
        for framing in ("length", "chunked"):
            r = c.request(f"/app/body?n={12 * MIB + 17}&framing={framing}").response()
            assert r.status == 200 and r.body == pattern(12 * MIB + 17)
    assert t.conns == 1


def test_slow_client(server, front, certs):
    """Octets that wait inside TLS while the client does not read are not forgotten."""
    t = front()
    s = server(workers=1, backends=pool("app", f"https://localhost:{t.port}", protocol="http", tls={"ca": certs["good"] + ".pem"}),
               routes='{ path = "/app"; gateway = { backend = "app"; response_body = "stream"; response_memory = "64k"; }; }')
    n = 8 * MIB
    with s.connect() as c:
        c.send(f"GET /app/body?n={n} HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.5)  # everything on the way is full
        r = c.response()
        assert r.status == 200 and r.body == pattern(n)


def test_cut_short(server, front, certs):
    """A body that ends with the connection, but without TLS's own goodbye, may have been cut: the client is told."""
    for close, whole in ((True, True), (False, False)):
        t = front(close=close)
        s = start(server, f"https://localhost:{t.port}", {"ca": certs["good"] + ".pem"})
        with s.connect() as c:
            c.request("/app/body?n=5000&framing=close")
            if whole:
                assert c.response().body == pattern(5000)
                continue
            with pytest.raises((AssertionError, ConnectionResetError)):
                c.response()
        harness.wait_for(lambda: "close_notify" in s.error_log() + s.access_log(), "the reason is told")
