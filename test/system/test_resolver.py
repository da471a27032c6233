"""Names of backends: all their addresses, followed when they change, and a server that outlives its DNS."""
import http.server
import threading
import time

import pytest

import harness
from dnsserver import DnsServer
from harness import wait_for


class Backend:
    """An HTTP server that says where it is; every one of a test has the same port."""

    def __init__(self, address, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = address.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer((address, port), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self):
        if self.http:
            self.http.shutdown()
            self.http.server_close()
            self.thread.join()
            self.http = None


class Net:
    """A DNS server, backends on addresses of the loopback network, and a server in front of them."""

    def __init__(self, server):
        self.dns = DnsServer()
        self.port = harness.free_port()
        self.backends = {}
        self.server = server

    def up(self, *addresses):
        for a in addresses:
            self.backends[a] = Backend(a, self.port)

    def start(self, name="app.test", more="", workers=1):
        self.s = self.server(
            workers=workers, server=f'resolver = "{self.dns.address}";',
            backends=f'app: {{ protocol = "http"; hosts = "{name}:{self.port}"; balance = "round-robin"; keepalive = 0; '
                     f'timeout: {{ queue = "500ms"; connect = "500ms"; resolve = "500ms"; }}; {more} }};',
            site='gateway = "app";')
        return self.s

    def ask(self):
        r = self.s.get("/")
        return r.text if r.status == 200 else r.status

    def seen(self, n=12):
        return {self.ask() for _ in range(n)}

    def close(self):
        for b in self.backends.values():
            b.stop()
        self.dns.close()


@pytest.fixture
def net(server):
    n = Net(server)
    yield n
    n.close()


def lines(s, text):
    return sum(text in line for line in s.error_log().splitlines())


def test_all_addresses(net):
    net.dns.set("app.test", ["127.0.0.2", "127.0.0.3"], ttl=60)
    net.up("127.0.0.2", "127.0.0.3")
    net.start()
    assert net.seen() == {"127.0.0.2", "127.0.0.3"}
    assert net.dns.count("app.test") == 2, "one question for A, one for AAAA"


def test_an_alias(net):
    net.dns.set("real.test", ["127.0.0.2"], ttl=60)
    net.dns.set("app.test", cname="real.test", ttl=1)
    net.up("127.0.0.2")
    net.start()
    assert net.seen(3) == {"127.0.0.2"}
    before = net.dns.count("app.test")
    wait_for(lambda: net.dns.count("app.test") > before, "the alias' own lifetime counts", 5)


def test_followed_by_lifetime(net):
    """No request fails while a name moves to another address."""
    net.dns.set("app.test", ["127.0.0.2"], ttl=1)
    net.up("127.0.0.2", "127.0.0.4")
    net.start()
    assert net.seen(3) == {"127.0.0.2"}
    net.dns.set("app.test", ["127.0.0.4"], ttl=1)
    seen = []
    wait_for(lambda: seen.append(net.ask()) or seen[-1] == "127.0.0.4", "the new address is used", 5)
    assert set(seen) == {"127.0.0.2", "127.0.0.4"}
    assert net.seen(5) == {"127.0.0.4"}


def test_starts_without(net):
    """A name that does not resolve: the server starts, says so once, and finds it when it comes."""
    net.up("127.0.0.2")
    s = net.start()
    assert net.ask() == 503
    s.wait_log("the name app.test does not resolve: no such name")
    wait_for(lambda: net.dns.count("app.test") >= 4, "it is asked for again", 10)
    assert lines(s, "does not resolve") == 1
    net.dns.set("app.test", ["127.0.0.2"], ttl=60)
    wait_for(lambda: net.ask() == "127.0.0.2", "the name is found", 10)
    s.wait_log("the name app.test resolves")


@pytest.mark.parametrize("mode", ["silent", "fail"])
def test_outlives_its_dns(net, mode):
    net.dns.set("app.test", ["127.0.0.2"], ttl=1)
    net.up("127.0.0.2")
    s = net.start()
    assert net.ask() == "127.0.0.2"
    net.dns.mode = mode
    s.wait_log("its last addresses stay in use", 15)
    assert net.seen(5) == {"127.0.0.2"}
    net.dns.set("app.test", ["127.0.0.2", "127.0.0.3"], ttl=1)
    net.up("127.0.0.3")
    net.dns.mode = "answer"
    s.wait_log("the name app.test resolves again", 40)
    wait_for(lambda: net.seen() == {"127.0.0.2", "127.0.0.3"}, "both addresses are used", 10)
    assert lines(s, "does not resolve") == 1


def test_asked_again_after_failures(net):
    """A container that came back with another address long before the lifetime ends."""
    net.dns.set("app.test", ["127.0.0.2"], ttl=3600)
    net.up("127.0.0.2", "127.0.0.5")
    net.start()
    assert net.ask() == "127.0.0.2"
    time.sleep(1.1)  # two lookups are a second apart
    net.dns.set("app.test", ["127.0.0.5"], ttl=3600)
    net.backends["127.0.0.2"].stop()
    begin = time.monotonic()
    wait_for(lambda: net.ask() == "127.0.0.5", "the name is asked for again", 5)
    harness.figure("names", what="seconds until another address is used", value=round(time.monotonic() - begin, 2))
    assert net.dns.count("app.test") <= 8, "not once for each failure"


def test_hosts_file(net):
    """localhost is in /etc/hosts: no DNS server is asked for its IPv4 address."""
    net.dns.mode = "silent"
    net.up("127.0.0.1")
    net.start(name="localhost")
    assert net.ask() == "127.0.0.1"


def test_reload_and_workers(net):
    """Workers that are new ask for themselves; requests wait for the answer."""
    net.dns.set("app.test", ["127.0.0.2"], ttl=60)
    net.up("127.0.0.2")
    s = net.start(workers=3)
    for n in range(1, 4):
        wait_for(lambda: lines(s, "the name app.test is 127.0.0.2") == n, "one line for each generation", 5)
        assert s.cli("reload").returncode == 0
        assert net.seen(6) == {"127.0.0.2"}
