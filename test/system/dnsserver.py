"""A DNS server for tests: answers A and AAAA from a table that a test changes while it runs."""

import socket
import struct
import threading


class DnsServer:
    """names: {"app.test": {"A": ["127.0.0.2"], "AAAA": [], "ttl": 1, "cname": None}}. A name that is
    not there does not exist. mode: "answer", "silent" (no answer at all) or "fail" (SERVFAIL)."""

    def __init__(self):
        self.names = {}
        self.mode = "answer"
        self.queries = []  # (name, type) in order of arrival
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.mode = "closed"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            wake.sendto(b"", self.sock.getsockname())
        self.thread.join(5)
        self.sock.close()

    def set(self, name, a=(), aaaa=(), ttl=1, cname=None):
        self.names[name] = {"A": list(a), "AAAA": list(aaaa), "ttl": ttl, "cname": cname}

    def count(self, name):
        return sum(1 for asked, _ in self.queries if asked == name)

    def _run(self):
        while True:
            query, peer = self.sock.recvfrom(4096)
            if self.mode == "closed":
                return
            if len(query) < 17:
                continue
            answer = self._answer(query)
            if answer and self.mode != "silent":
                self.sock.sendto(answer, peer)

    def _answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        kind = {1: "A", 28: "AAAA"}.get(struct.unpack(">H", query[at + 1:at + 3])[0])
        question = query[12:at + 5]
        name = ".".join(labels).lower()
        self.queries.append((name, kind))
        record = self.names.get(name)
        rcode = 2 if self.mode == "fail" else 3 if record is None else 0
        records = b"" if rcode else self._records(record, kind)
        count = records[0] if records else 0
        return (query[:2] + struct.pack(">HHHHH", 0x8180 | rcode, 1, count, 0, 0) + question +
                (records[1:] if records else b""))

    def _records(self, record, kind):
        """The number of records as one octet, then the records."""
        body, count, owner = b"", 0, b"\xc0\x0c"
        ttl = record["ttl"]
        if record["cname"]:
            target = b"".join(bytes([len(x)]) + x.encode() for x in record["cname"].split(".")) + b"\0"
            body += owner + struct.pack(">HHIH", 5, 1, ttl, len(target)) + target
            count, owner = 1, target
            record = self.names[record["cname"]]
            ttl = record["ttl"]
        for address in record.get(kind) or []:
            family = socket.AF_INET if kind == "A" else socket.AF_INET6
            data = socket.inet_pton(family, address)
            body += owner + struct.pack(">HHIH", 1 if kind == "A" else 28, 1, ttl, len(data)) + data
            count += 1
        return bytes([count]) + body
