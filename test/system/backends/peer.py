"""A backend process for tests: peer.py PROTOCOL NAME ADDRESS [SECRET]

A thread for each connection does what behave.py says. Asked by lines of JSON on its standard input,
it answers by one line each: {"do": "stats" | "zero" | "mode" | "refuse" | "listen" | "cut"}. It ends when its input does, so
that it never outlives the test that started it.
"""
import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from backends import behave, wire  # noqa: E402


class PeerProcess:
    def __init__(self, protocol, name, address, secret=None):
        self.protocol, self.name, self.address = wire.PROTOCOLS[protocol], name, address
        self.secret, self.mode, self.socks = secret, None, set()
        self.lock, self.stats, self.notes = threading.Lock(), {}, []
        self.zero()

    # --- counting

    def zero(self):
        with self.lock:
            live = {k: self.stats.get(k, 0) for k in ("open", "active")}
            self.stats = dict(conns=0, requests=0, max_open=live["open"], max_active=live["active"], errors=0,
                              aborts=0,
                              gone=0, octets_in=0, octets_out=0, pieces=0, **live)
            self.notes = []

    def count(self, what, n=1):
        with self.lock:
            self.stats[what] += n
            peak = "max_" + what
            if peak in self.stats:
                self.stats[peak] = max(self.stats[peak], self.stats[what])

    def note(self, text):
        with self.lock:
            self.stats["errors"] += 1
            self.notes = (self.notes + [text])[-20:]

    # --- connections

    def listen(self):
        if isinstance(self.address, str):
            if os.path.exists(self.address):
                os.unlink(self.address)
            s = socket.socket(socket.AF_UNIX)
        else:
            s = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(self.address)
        if isinstance(self.address, str):
            os.chmod(self.address, 0o777)
        s.listen(1024)
        self.listener = s
        threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def refuse(self):
        # shutdown() wakes the thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.count("conns")
            self.count("open")
            with self.lock:
                self.socks.add(sock)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        p = None
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            p = self.protocol(sock)
            p.peer, p.secret, p.stale = self, self.secret, None
            self.requests(p)
        except wire.WireError as e:
            self.note(str(e))
        except wire.Gone:
            self.count("gone")
        except OSError:
            self.count("gone")
        except Exception as e:
            self.note(repr(e))
            raise
        finally:
            with self.lock:
                self.socks.discard(sock)
            if p:
                p.file.close()  # the last reference: now it is closed, or reset
            sock.close()
            self.count("open", -1)

    def requests(self, p):
        while (q := p.next()) is not None:
            self.count("requests")
            self.count("active")
            try:
                behave.choose(q, self.mode)(p, q)
            finally:
                self.count("octets_in", q.received)
                self.count("active", -1)
                if p.aborted:
                    self.count("aborts")
            if p.stale is not None:
                time.sleep(p.stale)
                return
            if not p.keep:
                return

    # --- the test's questions

    def obey(self, ask):
        do = ask["do"]
        if do == "stats":
            with self.lock:
                return dict(self.stats, notes=self.notes)
        if do == "zero":
            self.zero()
        elif do == "mode":
            self.mode = ask["mode"]
        elif do == "refuse":
            self.refuse()
        elif do == "listen":
            self.listen()
        elif do == "cut":
            with self.lock:
                socks = list(self.socks)
            for s in socks:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has just ended by itself
        return {}

    def run(self):
        self.listen()
        print("{}", flush=True)
        for line in sys.stdin:
            print(json.dumps(self.obey(json.loads(line))), flush=True)


def main():
    protocol, name, address = sys.argv[1:4]
    host, _, port = address.rpartition(":")
    threading.stack_size(256 * 1024)
    PeerProcess(protocol, name, address if address.startswith("/") else (host.strip("[]"), int(port)),
                sys.argv[4] if len(sys.argv) > 4 else None).run()


if __name__ == "__main__":
    main()
