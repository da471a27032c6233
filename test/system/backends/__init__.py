"""Fake backends for system tests: processes that speak any protocol and misbehave on demand.

    peers = Peers(tmp)                         # the fixture `peers` (conftest.py) makes one and stops all
    a = peers("fastcgi")                       # a Unix socket; a.host is what stands in the configuration
    b = peers("http", tcp=True)                # a port of its own
    f = peers.fast("http", tcp=True)           # test/load/peer.c: little to say, but quickly
    conf = pool("app", a, b, balance="round-robin")      # text of backends = { app = { ... } };
    a.stats()["requests"]                      # conns, open, max_open, requests, active, max_active, errors ...
    a.mode("status?code=503")                  # every request from now on; None: what the path says
    a.refuse(), a.listen()                     # closes its listener; opens it again
    a.kill(), a.start(), a.freeze(), a.thaw()
    Backlog()                                  # an address that never answers a connect
    Namespace(...)                             # a host behind a wire that can be cut

What behaviours there are: behave.py. A backend notes each breach of its protocol; `errors` counts them, and
the fixture fails a test that left one unasked for.
"""
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.abspath(__file__))
PROTOCOLS = ("fastcgi", "scgi", "uwsgi", "http", "ajp")


class Peer:
    """A backend process. host: as the configuration names it."""

    def __init__(self, command, protocol, name, address, prefix=()):
        self.command, self.protocol, self.name, self.address = command, protocol, name, address
        self.host = "unix:" + address if address.startswith("/") else address
        self.prefix, self.p, self.may_err = list(prefix), None, False
        self.start()

    def start(self):
        self.p = subprocess.Popen(self.prefix + self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.line("its start")
        return self

    def line(self, what):
        if not select.select([self.p.stdout], [], [], harness.patience(20))[0]:
            raise AssertionError(f"backend {self.name}: no answer to {what}")
        text = self.p.stdout.readline()
        assert text, f"backend {self.name} ended at {what}"
        return json.loads(text)

    def ask(self, do, **more):
        self.p.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.p.stdin.flush()
        return self.line(do)

    def stats(self):
        return self.ask("stats")

    def zero(self):
        self.ask("zero")

    def mode(self, mode):
        self.ask("mode", mode=mode)

    def refuse(self):
        self.ask("refuse")

    def listen(self):
        self.ask("listen")

    def kill(self):
        self.p.kill()
        self.p.wait()

    def freeze(self):
        self.p.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.p.send_signal(signal.SIGCONT)

    def stop(self):
        if self.p.poll() is None:
            self.thaw()
            self.p.kill()
            self.p.wait()
        self.p.stdin.close()
        self.p.stdout.close()


class Peers:
    """Starts backends below a directory and stops them all."""

    def __init__(self, tmp):
        self.tmp, self.all = tmp, []

    def address(self, tcp, name):
        return f"127.0.0.1:{harness.free_port()}" if tcp else os.path.join(self.tmp, name + ".sock")

    def add(self, program, protocol, tcp, name, at, more, prefix):
        name = name or f"peer{len(self.all)}"
        at = at or self.address(tcp, name)
        self.all.append(Peer([*program, protocol, name, at, *more], protocol, name, at, prefix))
        return self.all[-1]

    def __call__(self, protocol="http", tcp=False, name=None, at=None, secret=None, prefix=()):
        return self.add(["/usr/bin/python3", os.path.join(HERE, "peer.py")], protocol, tcp, name, at,
                        [secret] if secret else [], prefix)

    def fast(self, protocol="http", tcp=False, name=None, at=None, body=None, prefix=()):
        """The C one: HTTP and FastCGI, a fixed body (a file)."""
        return self.add([harness.tool("peer")], protocol, tcp, name, at, [body] if body else [], prefix)

    def stop(self):
        """Ends them; what breaches of protocols they saw."""
        seen = []
        for p in self.all:
            if p.p.poll() is None and not p.may_err:
                p.thaw()
                try:
                    seen += [f"{p.name} ({p.protocol}): {n}" for n in p.stats().get("notes", [])]
                except (AssertionError, OSError, ValueError) as e:
                    seen.append(f"{p.name} ({p.protocol}): {e}")
            p.stop()
        return seen


def pool(name, *hosts, **options):
    """Text of a pool: hosts are peers, addresses, or texts of groups; options: name = value or ready text."""
    protocol = options.pop("protocol", None) or next(h.protocol for h in hosts if isinstance(h, Peer))

    def host(h):
        h = h.host if isinstance(h, Peer) else h
        return h if h.startswith("{") else f'"{h}"'
    listed = [host(h) for h in hosts]
    inside = ", ".join(listed)
    out = f'{name} = {{ protocol = "{protocol}"; '
    out += f"hosts = ( {inside} ); " if any(h.startswith("{") for h in listed) else f"hosts = [ {inside} ]; "
    for k, v in options.items():
        out += f"{k} = {value(v)}; "
    return out + "};"


def value(v):
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, dict):
        return "{ " + " ".join(f"{k} = {value(x)};" for k, x in v.items()) + " }"
    if isinstance(v, (list, tuple)):
        return "[ " + ", ".join(value(x) for x in v) + " ]"
    return f'"{v}"' if isinstance(v, str) else str(v)


# ------------------------------------------------------------------------------- what the server says of them

def pool_status(s, name="app"):
    """A pool as `argand status` tells of it."""
    return next(p for p in s.status()["pools"] if p["name"] == name)


def hosts(s, name="app"):
    """Its hosts by address."""
    return {h["host"]: h for h in pool_status(s, name)["hosts"]}


def host_state(s, peer, name="app"):
    return hosts(s, name)[peer.host]["state"]


# ------------------------------------------------------------------------------- hosts that do not answer

class Backlog:
    """A listening socket whose queue is full: a SYN to it is dropped, a connect hangs."""

    def __init__(self):
        self.port = harness.free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(0)
        self.fill = []
        while True:
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.fill.append(s)
            if not select.select([], [s], [], 0.3)[1]:
                break

    def stop(self):
        for s in (*self.fill, self.listener):
            s.close()


class Namespace:
    """A network namespace behind a pair of virtual wires: .here and .there are its two addresses.

    cut(): what is sent there is dropped without a word, in both directions of every connection; mend() ends that.
    """
    count = 0

    def __init__(self):
        Namespace.count += 1
        self.name = f"argand-{os.getpid()}-{Namespace.count}"
        a, b = (f"ag{os.getpid() % 100000}{x}{Namespace.count}" for x in "ab")
        net = f"10.{200 + os.getpid() % 50}.{Namespace.count % 250}"
        self.here, self.there, self.device = net + ".1", net + ".2", a
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", a, "type", "veth", "peer", "name", b, "netns", self.name)
            run("ip", "addr", "add", self.here + "/24", "dev", a)
            run("ip", "link", "set", a, "up")
            for words in (f"addr add {self.there}/24 dev {b}", f"link set {b} up", "link set lo up"):
                run("ip", "-n", self.name, *words.split())
            run("ip", "neigh", "show")
        except subprocess.CalledProcessError:
            self.stop()
            raise
        self.prefix = ["ip", "netns", "exec", self.name]

    def cut(self):
        # Frames for a card that is not there: the other end drops them, nobody is told.
        run("ip", "neigh", "replace", self.there, "lladdr", "02:00:00:00:00:99", "dev", self.device, "nud",
            "permanent")

    def mend(self):
        run("ip", "neigh", "del", self.there, "dev", self.device)

    def stop(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)

    @staticmethod
    def why_not():
        """Why there can be none here, or None."""
        if os.geteuid() != 0:
            return "network namespaces need root"
        if not shutil.which("ip"):
            return "there is no ip (package iproute2)"
        try:
            Namespace().stop()
        except subprocess.CalledProcessError as e:
            return f"no network namespace: {e.stderr.strip()}"
        return None


def run(*words):
    subprocess.run(words, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit("a library: run pytest")
