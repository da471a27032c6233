"""The protocols as a backend speaks them, written for tests: strict about what comes, able to misbehave.

One class per protocol, all with the same face, used by a thread that owns the connection:

    p = PROTOCOLS[name](sock)
    while (q := p.next()) is not None:          # a Query; None: the connection ended between requests
        block = p.body(65536)                   # octets of the request's body, b"" when it is over
        p.head(200, [("Content-Type", "text/plain")], length=5)    # length None: the protocol's own framing
        p.data(b"hello")
        p.end()
        if not p.keep: break

What breaks the protocol on the other side's part is a WireError: the test sees it in the counter
"errors" of the backend, with its text. p.sock is there for those who want to send something else.
"""
import select
import socket
import struct
import urllib.parse

REASONS = {100: "Continue", 101: "Switching Protocols", 103: "Early Hints", 200: "OK", 204: "No Content",
           302: "Found", 304: "Not Modified", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           413: "Content Too Large", 500: "Internal Server Error", 503: "Service Unavailable"}


class WireError(Exception):
    """The other side did what the protocol does not allow."""


class Gone(Exception):
    """The other side closed, or gave the request up."""


class Query:
    """A request as it came."""

    def __init__(self, method, target, fields=(), env=None, length=None):
        self.method, self.target = method, target
        self.fields = list(fields)      # [(name, value)], HTTP and AJP13
        self.env = env or {}            # the CGI-like protocols; attributes of AJP13
        self.length = length            # of the body as announced; None: unknown
        self.received = 0
        url = urllib.parse.urlsplit(target)
        self.path = url.path
        self.ask = dict(urllib.parse.parse_qsl(url.query))

    def field(self, name, default=None):
        """A request field, whatever the protocol made of it."""
        for k, v in self.fields:
            if k.lower() == name.lower():
                return v
        return self.env.get("HTTP_" + name.upper().replace("-", "_"), default)


class Wire:
    """What all protocols share."""
    is_cgi = False

    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb", buffering=1 << 17)
        self.keep, self.query, self.aborted = False, None, False

    def exact(self, n):
        d = self.file.read(n)
        if len(d) < n:
            raise Gone(f"closed {n - len(d)} octets early")
        return d

    def start(self):
        """The first octet of a request, or None at the end of the connection."""
        try:
            return self.file.read(1) or None
        except ConnectionResetError:
            return None

    def send(self, data):
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Gone(str(e)) from e

    def raw(self):
        """Octets that come, outside of any protocol (tunnels)."""
        return self.file.read1(65536)

    def is_gone(self):
        """Whether the other side left or gave up, as far as it can be seen without waiting."""
        if not select.select([self.sock], [], [], 0)[0]:
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    def head_text(self, status, fields, length):
        """Head of a CGI response."""
        f = [("Status", f"{status} {REASONS.get(status, 'Status')}"), *fields]
        if length is not None:
            f.append(("Content-Length", length))
        return "".join(f"{k}: {v}\r\n" for k, v in f).encode("latin-1") + b"\r\n"

    def interim(self, status, fields=()):
        """A 1xx, where the protocol has them."""

    def stderr(self, text):
        """Words for the log, where the protocol has a place for them."""

    def cut_head(self):
        """The first octets of a response head, and no more."""
        return b"Status: 200 OK\r\nContent-Ty"


def cgi_query(env):
    """A Query from CGI variables. What a CGI program cannot do without must be there."""
    for name in ("REQUEST_METHOD", "SCRIPT_NAME", "SERVER_PROTOCOL", "REQUEST_URI"):
        if name not in env:
            raise WireError(f"no {name}")
    length = env.get("CONTENT_LENGTH", "")
    return Query(env["REQUEST_METHOD"], env["REQUEST_URI"], env=env, length=int(length) if length else None)


# ------------------------------------------------------------------------------- FastCGI

class FastCgi(Wire):
    BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, VALUES = range(1, 11)
    is_cgi = True

    def record(self, first=b""):
        """(type, request id, content)"""
        h = first + self.exact(8 - len(first))
        version, kind, rid, n, pad, _ = struct.unpack(">BBHHBB", h)
        if version != 1:
            raise WireError(f"FastCGI version {version}")
        return kind, rid, self.exact(n + pad)[:n]

    def put(self, kind, content, rid=None):
        rid = self.rid if rid is None else rid
        out, view = [], memoryview(content)
        for i in range(0, max(len(content), 1), 65528):
            piece = view[i:i + 65528]
            pad = -len(piece) % 8
            out += [struct.pack(">BBHHBB", 1, kind, rid, len(piece), pad, 0), piece, bytes(pad)]
        self.send(b"".join(out))

    def next(self):
        while True:
            first = self.start()
            if first is None:
                return None
            kind, rid, content = self.record(first)
            if kind == self.GET_VALUES:
                self.values(content)
            elif kind == self.BEGIN:
                break
            elif kind not in (self.ABORT, self.STDIN):  # of a request that was answered early
                raise WireError(f"record {kind} before a request")
        self.rid, (self.role, flags) = rid, struct.unpack(">HB", content[:3])
        if rid == 0 or self.role not in (1, 2):
            raise WireError(f"request {rid}, role {self.role}")
        self.keep, self.is_over, self.rest = bool(flags & 1), False, b""
        params = b""
        while True:
            kind, rid, content = self.record()
            if (kind, rid) != (self.PARAMS, self.rid):
                raise WireError(f"record {kind} of request {rid} among the parameters")
            if not content:
                break
            params += content
        env = {}
        for k, v in self.pairs(params):
            if k in env:
                raise WireError(f"{k} twice")
            env[k] = v
        self.query = cgi_query(env)
        return self.query

    def pairs(self, data):
        i = 0

        def length():
            nonlocal i
            n = data[i]
            if n < 128:
                i += 1
                return n
            n = struct.unpack(">I", data[i:i + 4])[0] & 0x7FFFFFFF
            i += 4
            return n
        while i < len(data):
            a = length()
            b = length()
            if i + a + b > len(data):
                raise WireError("a parameter longer than its records")
            yield data[i:i + a].decode("latin-1"), data[i + a:i + a + b].decode("latin-1")
            i += a + b

    def values(self, content):
        known = {"FCGI_MAX_CONNS": "100", "FCGI_MAX_REQS": "100", "FCGI_MPXS_CONNS": "0"}
        out = b"".join(bytes([len(k), len(known[k])]) + (k + known[k]).encode()
                       for k, _ in self.pairs(content) if k in known)
        self.put(self.VALUES, out, rid=0)

    def body(self, n):
        if not self.rest and not self.is_over:
            kind, rid, content = self.record()
            if kind == self.ABORT:
                self.give_up()
            if (kind, rid) != (self.STDIN, self.rid):
                raise WireError(f"record {kind} of request {rid} inside the body")
            self.rest, self.is_over = content, not content
            self.query.received += len(content)
        out, self.rest = self.rest[:n], self.rest[n:]
        return out

    def give_up(self):
        self.aborted = True
        self.put(self.END, struct.pack(">IB3x", 1, 0))
        raise Gone("aborted")

    def is_gone(self):
        while select.select([self.sock], [], [], 0)[0]:
            first = self.start()
            if first is None:
                return True
            kind, _, content = self.record(first)
            if kind == self.ABORT:
                self.give_up()
            if kind == self.STDIN:
                self.is_over = self.is_over or not content
        return False

    def head(self, status, fields=(), length=None):
        self.put(self.STDOUT, self.head_text(status, fields, length))

    def data(self, data):
        if data:
            self.put(self.STDOUT, data)

    def stderr(self, text):
        self.put(self.STDERR, text if isinstance(text, bytes) else text.encode())

    def end(self, trailers=()):
        self.send(struct.pack(">BBHHBB", 1, self.STDOUT, self.rid, 0, 0, 0) +
                  struct.pack(">BBHHBB", 1, self.END, self.rid, 8, 0, 0) + bytes(8))

    def cut_head(self):
        return struct.pack(">BBHHBB", 1, self.STDOUT, self.rid, 200, 0, 0) + super().cut_head()


# ------------------------------------------------------------------------------- SCGI, uwsgi

class Scgi(Wire):
    is_cgi = True

    def next(self):
        first = self.start()
        if first is None:
            return None
        digits = first
        while not digits.endswith(b":"):
            digits += self.exact(1)
            if len(digits) > 8 or not digits.rstrip(b":").isdigit():
                raise WireError(f"netstring begins with {digits!r}")
        block = self.exact(int(digits[:-1]) + 1)
        if not block.endswith(b"\0,"):
            raise WireError("the header's netstring does not end")
        items = block[:-2].split(b"\0")
        if len(items) % 2 or items[0] != b"CONTENT_LENGTH" or b"SCGI" not in items[::2]:
            raise WireError(f"SCGI header {items[:4]}")
        return self.accept(zip(items[::2], items[1::2]))

    def accept(self, items):
        env = {}
        for k, v in items:
            k = k.decode("latin-1")
            if k in env:
                raise WireError(f"{k} twice")
            env[k] = v.decode("latin-1")
        self.query = cgi_query(env)
        self.left, self.keep = self.query.length or 0, False
        return self.query

    def body(self, n):
        if self.left == 0:
            return b""
        d = self.file.read1(min(n, self.left))
        if not d:
            raise Gone(f"closed {self.left} octets early")
        self.left -= len(d)
        self.query.received += len(d)
        return d

    def head(self, status, fields=(), length=None):
        self.send(self.head_text(status, fields, length))

    def data(self, data):
        self.send(data)

    def end(self, trailers=()):
        pass


class Uwsgi(Scgi):
    def next(self):
        first = self.start()
        if first is None:
            return None
        modifier, size, modifier2 = struct.unpack("<BHB", first + self.exact(3))
        if modifier or modifier2:
            raise WireError(f"uwsgi modifiers {modifier} {modifier2}")
        block, items, i = self.exact(size), [], 0
        while i < size:
            n = struct.unpack_from("<H", block, i)[0]
            items.append(block[i + 2:i + 2 + n])
            i += 2 + n
        if i != size or len(items) % 2:
            raise WireError("the variables do not fill their block")
        return self.accept(zip(items[::2], items[1::2]))

    def head_text(self, status, fields, length):
        f = [*fields] + ([("Content-Length", length)] if length is not None else [])
        return (f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n" +
                "".join(f"{k}: {v}\r\n" for k, v in f) + "\r\n").encode("latin-1")


# ------------------------------------------------------------------------------- HTTP

class Http(Wire):
    def line(self):
        s = self.file.readline(65536)
        if not s.endswith(b"\r\n"):
            raise WireError(f"line {s[:80]!r}") if s.endswith(b"\n") else Gone("closed inside a head")
        return s[:-2]

    def next(self):
        first = self.start()
        if first is None:
            return None
        words = (first + self.line()).split(b" ")
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise WireError(f"request line {words}")
        fields = self.fields()
        names = [k.lower() for k, _ in fields]
        q = self.query = Query(words[0].decode(), words[1].decode("latin-1"), fields)
        self.version = words[2].decode()
        te = q.field("Transfer-Encoding")
        if names.count("host") != 1 and self.version == "HTTP/1.1":
            raise WireError(f"{names.count('host')} Host fields")
        if names.count("content-length") > 1 or te and "content-length" in names or te not in (None, "chunked"):
            raise WireError(f"framing {fields}")
        self.is_chunked, self.left = te == "chunked", int(q.field("Content-Length", 0))
        q.length = None if self.is_chunked else self.left
        connection = (q.field("Connection") or "").lower()
        self.keep = connection != "close" if self.version == "HTTP/1.1" else connection == "keep-alive"
        self.is_over, self.chunk, self.out_chunked, self.trailers = False, 0, False, []
        return q

    def fields(self):
        out = []
        while line := self.line():
            name, colon, value = line.partition(b":")
            if not colon or not name or name.strip() != name:
                raise WireError(f"field {line!r}")
            out.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        return out

    def body(self, n):
        if self.is_over:
            return b""
        if self.is_chunked and self.chunk == 0:
            self.chunk = int(self.line(), 16)
            if self.chunk == 0:
                self.is_over, self.trailers = True, self.fields()
                return b""
        left = self.chunk if self.is_chunked else self.left
        d = self.file.read1(min(n, left)) if left else b""
        if left and not d:
            raise Gone(f"closed {left} octets early")
        self.query.received += len(d)
        if self.is_chunked:
            self.chunk -= len(d)
            if self.chunk == 0 and self.exact(2) != b"\r\n":
                raise WireError("no CRLF after a chunk")
        else:
            self.left -= len(d)
        return d

    def interim(self, status, fields=()):
        self.send((f"HTTP/1.1 {status} {REASONS[status]}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields) +
                   "\r\n").encode())

    def head(self, status, fields=(), length=None, version="1.1"):
        f = list(fields)
        if length is not None:
            f.append(("Content-Length", length))
        elif status >= 200 and status not in (204, 304) and self.query.method != "HEAD":
            self.out_chunked = version == "1.1" and self.version == "HTTP/1.1"
            self.keep = self.keep and self.out_chunked
            f += [("Transfer-Encoding", "chunked")] if self.out_chunked else []
        if not self.keep and version == "1.1" and status != 101:
            f.append(("Connection", "close"))
        self.send((f"HTTP/{version} {status} {REASONS.get(status, 'Status')}\r\n" +
                   "".join(f"{k}: {v}\r\n" for k, v in f) + "\r\n").encode("latin-1"))

    def data(self, data):
        if self.out_chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.send(data)

    def end(self, trailers=()):
        if self.out_chunked:
            self.send(b"0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in trailers).encode() + b"\r\n")

    def cut_head(self):
        return b"HTTP/1.1 200 OK\r\nContent-Ty"


# ------------------------------------------------------------------------------- AJP13

class Ajp(Wire):
    METHODS = dict(enumerate(("OPTIONS GET HEAD POST PUT DELETE TRACE PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK "
                              "ACL REPORT VERSION-CONTROL CHECKIN CHECKOUT UNCHECKOUT SEARCH MKWORKSPACE UPDATE LABEL "
                              "MERGE BASELINE-CONTROL MKACTIVITY").split(), 1))
    FIELDS = dict(enumerate(("Accept Accept-Charset Accept-Encoding Accept-Language Authorization Connection "
                             "Content-Type Content-Length Cookie Cookie2 Host Pragma Referer User-Agent").split(),
                            0xA001))
    ATTRIBUTES = {1: "context", 2: "servlet_path", 3: "remote_user", 4: "auth_type", 5: "query_string", 6: "route",
                  7: "ssl_cert", 8: "ssl_cipher", 9: "ssl_session", 12: "secret", 13: "stored_method"}
    BODY, HEADERS, END, WANT, PONG = 3, 4, 5, 6, 9
    secret = None   # what a request must bring

    def packet(self, first=b""):
        h = first + self.exact(4 - len(first))
        if h[:2] != b"\x12\x34":
            raise WireError(f"packet begins with {h!r}")
        return self.exact(struct.unpack(">H", h[2:])[0])

    def put(self, content):
        self.send(b"AB" + struct.pack(">H", len(content)) + content)

    def next(self):
        while True:
            first = self.start()
            if first is None:
                return None
            p = self.packet(first)
            if p[:1] == b"\x0a":
                self.put(bytes([self.PONG]))
            elif p[:1] == b"\x02":
                break
            else:
                raise WireError(f"packet {p[:1]!r} before a request")
        self.query = self.forward(p)
        if self.secret is not None and self.query.env.get("secret") != self.secret:
            self.keep = False
            self.head(403, [], 0)
            self.end()
            return None
        self.keep, self.block, self.is_over = True, b"", self.query.length == 0
        self.is_first = bool(self.query.length)  # the first block comes unasked
        return self.query

    def forward(self, p):
        i = 2

        def byte():
            nonlocal i
            i += 1
            return p[i - 1]

        def number():
            nonlocal i
            i += 2
            return struct.unpack_from(">H", p, i - 2)[0]

        def string():
            nonlocal i
            n = number()
            if n == 0xFFFF:
                return None
            i += n + 1
            if p[i - 1] != 0:
                raise WireError("a string does not end in NUL")
            return p[i - 1 - n:i - 1].decode("latin-1")
        method, env = p[1], {"protocol": string()}
        uri = string()
        env.update(remote_addr=string(), remote_host=string(), server_name=string(), server_port=number(),
                   is_ssl=byte())
        fields = []
        for _ in range(number()):
            if p[i] == 0xA0:
                name = self.FIELDS[number()]
            else:
                name = string()
            fields.append((name, string()))
        while (a := byte()) != 0xFF:
            if a == 10:
                name = string()
                env[name] = string()
            elif a == 11:
                env["ssl_key_size"] = number()
            elif a in self.ATTRIBUTES:
                env[self.ATTRIBUTES[a]] = string()
            else:
                raise WireError(f"attribute {a}")
        if i != len(p):
            raise WireError(f"{len(p) - i} octets after the end of a request")
        q = Query(env.get("stored_method") if method == 0xFF else self.METHODS[method],
                  uri + (f"?{env['query_string']}" if env.get("query_string") else ""), fields, env)
        length = q.field("Content-Length")
        q.length = int(length) if length else None if q.field("Transfer-Encoding") else 0
        return q

    def body(self, n):
        if not self.block and not self.is_over:
            if not self.is_first:
                self.put(struct.pack(">BH", self.WANT, 8186))
            self.is_first = False
            p = self.packet()
            size = struct.unpack_from(">H", p)[0] if p else 0
            if len(p) > 2 + size or len(p) < size:
                raise WireError(f"a body packet of {len(p)} octets says {size}")
            self.block, self.is_over = p[2:2 + size], size == 0
            self.query.received += size
            if self.query.length is not None and self.query.received == self.query.length:
                self.is_over = True
        out, self.block = self.block[:n], self.block[n:]
        return out

    @staticmethod
    def string(s):
        b = str(s).encode("latin-1")
        return struct.pack(">H", len(b)) + b + b"\0"

    def head(self, status, fields=(), length=None):
        f = list(fields) + ([("Content-Length", length)] if length is not None else [])
        known = {"content-type": 0xA001, "content-length": 0xA003, "location": 0xA006, "set-cookie": 0xA007}
        out = struct.pack(">BH", self.HEADERS, status) + self.string(REASONS.get(status, "Status"))
        out += struct.pack(">H", len(f))
        for k, v in f:
            code = known.get(k.lower())
            out += (struct.pack(">H", code) if code else self.string(k)) + self.string(v)
        self.put(out)

    def data(self, data):
        for i in range(0, len(data), 8184):
            piece = data[i:i + 8184]
            self.put(struct.pack(">BH", self.BODY, len(piece)) + piece + b"\0")

    def end(self, trailers=()):
        # What was not read of the body would be taken for the next request.
        self.keep = self.keep and self.is_over
        self.put(struct.pack(">BB", self.END, self.keep))

    def cut_head(self):
        return b"AB\x00\x40" + struct.pack(">BH", self.HEADERS, 200) + b"\x00\x02OK\x00"


PROTOCOLS = {"fastcgi": FastCgi, "scgi": Scgi, "uwsgi": Uwsgi, "http": Http, "ajp": Ajp}
