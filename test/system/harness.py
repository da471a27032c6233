"""Starts real servers on loopback and talks to them: what every system test stands on.

A test asks for the fixture `server` (conftest.py) and calls it; each call starts one Argand with a
directory, a port and logs of its own, and the fixture stops it again:

    def test_hello(server):
        s = server(files={"a.txt": "hello"})         # configuration for free
        r = s.get("/a.txt")                          # one request, one connection
        assert (r.status, r.body) == (200, b"hello")

    def test_options(server):
        s = server(server='timeout: { header = "1s"; };', # inside server: { }
                   site='index = "start.html";',                   # inside the one site
                   routes='{ path = "/echo"; echo = true; }',      # the site's routes
                   workers=4)
        c = s.connect()                              # a raw connection
        c.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        r = c.response()                             # parsed strictly, or AssertionError
        c.expect_closed()

    s = server(text=WHOLE_CONFIGURATION)             # @PORT@ @TMP@ @ROOT@ are replaced, everywhere
    s.cli("reload")   -> CompletedProcess            # argand reload -c FILE
    s.rewrite(site=...); s.cli("reload")             # another configuration into the same file
    s.status()        -> dict                        # as argand status --json
    s.workers()       -> [pid, ...]; s.pid           # those that serve; the master
    s.error_log(), s.access_log()                    # text so far
    s.wait_log("text")                               # until the error log says so
    wait_for(lambda: cond, "what")                   # polls; raises with "what"

When a test fails, the conversation of each of its connections, both logs, the configuration and the
counters are part of the report. ARGAND_BIN names the binary (default: argand in the top directory);
ARGAND_SLOW multiplies all patience (default 1; 5 for a sanitizer build, which is noticed);
ARGAND_KEEP=1 leaves the directories in place; ARGAND_WRAP is put before the command (strace -f ...).

Parallel runs are safe: ports are outside the ephemeral range and locked (two servers with
SO_REUSEPORT could otherwise share one and take each other's connections). Whatever a server starts
stays in the session that begins with its master, and only processes of that session are ended.
"""
import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("ARGAND_BIN") or os.path.join(TOP, "argand"))


# Scripts as root have to be asked for; nobody else can ask for another user.
CGI_USER = 'user = "root";' if os.geteuid() == 0 else ""


def is_sanitized():
    try:
        with open(BIN, "rb") as f:
            return b"__asan_init" in f.read()
    except OSError:
        return False


SANITIZED = is_sanitized()
SLOW = float(os.environ.get("ARGAND_SLOW") or (5 if SANITIZED else 1))
FULL = os.environ.get("ARGAND_FULL", "") not in ("", "0")
CRLF = b"\r\n"


def patience(seconds):
    """A time to wait for something that should have happened, on this machine and build."""
    return seconds * SLOW


def wait_for(cond, what, seconds=10, every=0.01):
    """Polls until cond() is true; returns its value."""
    end = time.monotonic() + patience(seconds)
    while True:
        v = cond()
        if v:
            return v
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience(seconds):g} s in vain: {what}")
        time.sleep(every)


_ports = []  # lock files, held open until this process ends


def free_port():
    """A port that nobody listens on and that no other test process will be given."""
    d = os.path.join(tempfile.gettempdir(), "argand-test-ports")
    os.makedirs(d, exist_ok=True)
    for _ in range(2000):
        port = random.randrange(10000, 20000)
        f = open(os.path.join(d, str(port)), "a")
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                s = socket.socket(family)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with s:
                    s.bind((host, port))
        except OSError:
            f.close()
            continue
        _ports.append(f)
        return port
    raise RuntimeError("no free port")


def tool(name):
    """Path of a helper in C from test/load: as make built it (ARGAND_TOOLS), or built here, once."""
    built = os.path.join(os.environ.get("ARGAND_TOOLS", ""), name)
    if os.environ.get("ARGAND_TOOLS") and os.path.exists(built):
        return built
    is_lib = name.endswith(".so")
    source = os.path.join(TOP, "test", "load", name.replace(".so", "") + ".c")
    with open(source, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()[:12]
    d = os.path.join(tempfile.gettempdir(), f"argand-test-tools-{os.getuid()}")
    os.makedirs(d, mode=0o755, exist_ok=True)
    out = os.path.join(d, f"{digest}-{name}")
    if not os.path.exists(out):
        part = f"{out}.{os.getpid()}"
        subprocess.run([os.environ.get("CC") or "cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-o", part, source,
                        *(["-fPIC", "-shared"] if is_lib else [])], check=True)
        os.rename(part, out)
    return out


# ------------------------------------------------------------------------------- responses

class Response:
    """One response, taken apart by the letter of RFC 9112: anything loose is an AssertionError."""

    def __init__(self, version, status, reason, fields):
        self.version, self.status, self.reason = version, status, reason
        self.fields = fields        # [(name, value)] in order
        self.body = b""
        self.trailers = []
        self.interim = []           # the 1xx responses before this one
        self.framing = ""           # "none", "length", "chunked", "close"

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name.lower()]

    def get(self, name, default=None):
        """The field's value; several are an error unless they are the same kind of list."""
        v = self.all(name)
        return ", ".join(v) if v else default

    def __getitem__(self, name):
        v = self.get(name)
        assert v is not None, f"no field {name} in {self.fields}"
        return v

    def __contains__(self, name):
        return bool(self.all(name))

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<Response {self.status} {self.reason} {self.fields} {self.body[:200]!r}>"


TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def parse_fields(block):
    fields = []
    for line in block.split(CRLF) if block else []:
        name, colon, value = line.partition(b":")
        assert colon and TOKEN.fullmatch(name), f"bad field line {line!r}"
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value), f"control octet in {line!r}"
        fields.append((name.decode(), value.strip(b" \t").decode("latin-1")))
    return fields


def parse_head(block):
    line, _, rest = block.partition(CRLF)
    m = re.fullmatch(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)", line)
    assert m, f"bad status line {line!r}"
    return Response(m[1].decode(), int(m[2]), m[3].decode("latin-1"), parse_fields(rest))


class Conn:
    """A raw connection that remembers what was said (self.transcript)."""

    def __init__(self, address, timeout=None, source=None, rcvbuf=None):
        unix = isinstance(address, str)
        self.sock = socket.socket(socket.AF_UNIX if unix else
                                  socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.timeout = patience(timeout or 10)
        self.sock.settimeout(self.timeout)
        if not unix:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(address)
        self.address = address
        self.buf = b""              # received, not yet taken
        self.is_eof = False
        self.transcript = []        # [(">" | "<" | "!", octets or text)]

    def send(self, data, split=False, pause=0):
        """Sends all; split: each octet in a segment of its own."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        self.transcript.append((">", data))
        for piece in ([data[i:i + 1] for i in range(len(data))] if split else [data]):
            self.sock.sendall(piece)
            if split:
                time.sleep(pause)

    def request(self, path="/", method="GET", headers=(), body=None, host="localhost", version="1.1"):
        """Sends a request; headers: {name: value} or [(name, value)]."""
        h = list(headers.items()) if isinstance(headers, dict) else list(headers)
        out = f"{method} {path} HTTP/{version}\r\n"
        if host is not None:
            out += f"Host: {host}\r\n"
        if isinstance(body, str):
            body = body.encode()
        if body is not None and not any(k.lower() == "transfer-encoding" for k, _ in h):
            out += f"Content-Length: {len(body)}\r\n"
        out += "".join(f"{k}: {v}\r\n" for k, v in h)
        self.send(out.encode("latin-1") + CRLF + (body or b""))
        self.last_method = method
        return self

    def more(self):
        """Reads once; False at the end of input."""
        if self.is_eof:
            return False
        try:
            d = self.sock.recv(262144)
        except socket.timeout:
            raise AssertionError(f"nothing came for {self.timeout:g} s; have {self.buf[:300]!r}")
        except ConnectionResetError:
            self.transcript.append(("!", "reset by the server"))
            raise
        if not d:
            self.is_eof = True
            self.transcript.append(("!", "closed by the server"))
            return False
        self.transcript.append(("<", d))
        self.buf += d
        return True

    def take(self, n):
        """Exactly n octets."""
        parts, have = [self.buf], len(self.buf)
        self.buf = b""
        while have < n:
            if not self.more():
                self.buf = b"".join(parts)
                raise AssertionError(f"truncated: closed {n - have} octets early")
            parts.append(self.buf)
            have += len(self.buf)
            self.buf = b""
        all_ = b"".join(parts)
        self.buf = all_[n:]
        return all_[:n]

    def take_until(self, mark, limit=1 << 20):
        """Up to and including mark."""
        while mark not in self.buf:
            assert len(self.buf) < limit, f"no {mark!r} in {limit} octets"
            assert self.more(), f"closed before {mark!r}; have {self.buf[:300]!r}"
        i = self.buf.index(mark) + len(mark)
        out, self.buf = self.buf[:i], self.buf[i:]
        return out

    def response(self, method=None):
        """The next final response, complete. method: what was asked (HEAD has no body)."""
        method = method or getattr(self, "last_method", "GET")
        interim = []
        while True:
            r = parse_head(self.take_until(CRLF + CRLF)[:-4])
            if r.status >= 200 or r.status == 101:
                break
            assert not r.get("Content-Length") and not r.get("Transfer-Encoding"), r
            interim.append(r)
        r.interim = interim
        self.body(r, method)
        return r

    def body(self, r, method):
        length, te = r.all("Content-Length"), r.all("Transfer-Encoding")
        assert not (length and te), f"both Content-Length and Transfer-Encoding: {r}"
        assert len(length) <= 1, f"Content-Length twice: {r}"
        if method == "HEAD" or r.status in (204, 304) or r.status < 200:
            r.framing = "none"
            assert r.status not in (204,) or not length, f"Content-Length in a 204: {r}"
        elif te:
            assert te == ["chunked"], r
            r.framing = "chunked"
            self.chunked(r)
        elif length:
            assert re.fullmatch(r"[0-9]+", length[0]), r
            r.framing = "length"
            r.body = self.take(int(length[0]))
        else:
            r.framing = "close"
            while self.more():
                pass
            r.body, self.buf = self.buf, b""

    def chunked(self, r):
        parts = []
        while True:
            line = self.take_until(CRLF)[:-2]
            assert re.fullmatch(rb"[0-9A-Fa-f]{1,16}", line), f"bad chunk size {line!r}"
            n = int(line, 16)
            if n == 0:
                break
            parts.append(self.take(n))
            assert self.take(2) == CRLF, "no CRLF after a chunk"
        block = b""
        while True:
            line = self.take_until(CRLF)
            if line == CRLF:
                break
            block += line
        r.trailers = parse_fields(block[:-2])
        r.body = b"".join(parts)

    def expect_closed(self, seconds=5):
        """The server closes, having said nothing more. A reset counts as a failure."""
        self.sock.settimeout(patience(seconds))
        try:
            while self.more():
                pass
        finally:
            self.sock.settimeout(self.timeout)
        assert self.buf == b"", f"more came before the end: {self.buf[:300]!r}"

    def expect_open(self, seconds=0.2):
        """Nothing comes, and the connection stays."""
        assert self.buf == b"", f"unexpected {self.buf[:300]!r}"
        self.sock.settimeout(seconds)
        try:
            d = self.sock.recv(1, socket.MSG_PEEK)
        except (socket.timeout, BlockingIOError):
            return
        finally:
            self.sock.settimeout(self.timeout)
        raise AssertionError("closed by the server" if not d else "unexpected octets from the server")

    def shutdown(self):
        """The client's last octet was sent."""
        self.sock.shutdown(socket.SHUT_WR)
        self.transcript.append(("!", "client ends its direction"))

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def conversation(self, limit=4000):
        out = []
        for who, data in self.transcript:
            if who == "!":
                out.append(f"! {data}")
                continue
            text = data[:limit].decode("latin-1").replace("\r", "\\r")
            text = re.sub(r"[^\n\x20-\x7e]", lambda m: "\\x%02x" % ord(m[0]), text)
            out += [f"{who} {line}" for line in text.split("\n")]
            if len(data) > limit:
                out.append(f"{who} ... {len(data)} octets in all")
        return "\n".join(out)


# ------------------------------------------------------------------------------- processes

def proc_stat(pid):
    """Fields of /proc/PID/stat after the name, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def session_pids(sid):
    """Live processes of a session."""
    out = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            st = proc_stat(p)
            if st and int(st[3]) == sid and st[0] not in "ZX":
                out.append(int(p))
    return out


def children(pid):
    """Live child processes, oldest first."""
    out = []
    for p in os.listdir("/proc"):
        if p.isdigit():
            st = proc_stat(p)
            if st and int(st[1]) == pid and st[0] not in "ZX":
                out.append((int(st[19]), int(p)))
    return [p for _, p in sorted(out)]


SERVER = """\
server: {
	listen = "127.0.0.1:@PORT@";
	workers = @WORKERS@;
	control = "@TMP@/control.sock";
	error_log = "@TMP@/error.log";
	log_level = "info";
	@LOG@
	@SERVER@
};
@BACKENDS@
sites = ( {
	host = "*";
	root = "@ROOT@";
	@SITE@
	routes = ( @ROUTES@ );
} );
"""
ACCESS_LOG = 'access_log: { file = "@TMP@/access.log"; };'


class Server:
    """A running Argand. See the top of this file."""

    def __init__(self, tmp, files=None, text=None, start=True, env=None, args=("run",), **parts):
        self.tmp, self.root = tmp, os.path.join(tmp, "www")
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.conf = os.path.join(tmp, "argand.conf")
        self.conns, self.proc, self.sid = [], None, None
        self.env, self.args = env or {}, list(args)
        os.makedirs(self.root, exist_ok=True)
        for path, data in (files or {}).items():
            self.write(path, data)
        self.rewrite(text, **parts)
        if start:
            self.start()

    # --- files

    def write(self, path, data=b"", mtime=None):
        """A file below the root; returns its path."""
        p = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)
        if mtime:
            os.utime(p, (mtime, mtime))
        return p

    def rewrite(self, text=None, workers=2, server="", site="", routes="", backends="", access_log=True):
        """Writes the configuration file (what is not given is the default again)."""
        t = text or SERVER
        backends = f"backends = {{ {backends} }};" if backends else ""
        for k, v in (("@LOG@", ACCESS_LOG if access_log else ""), ("@SERVER@", server), ("@SITE@", site),
                     ("@BACKENDS@", backends), ("@ROUTES@", routes), ("@WORKERS@", str(workers))):
            t = t.replace(k, v)
        t = re.sub(r"routes = \(\s*\);", "", t)
        self.text = self.fill(t)
        with open(self.conf + ".new", "w") as f:
            f.write(self.text)
        os.rename(self.conf + ".new", self.conf)

    def fill(self, t):
        return t.replace("@PORT@", str(self.port)).replace("@ROOT@", self.root).replace("@TMP@", self.tmp)

    # --- process

    def environment(self):
        env = dict(os.environ, **self.env)
        if "NOTIFY_SOCKET" not in self.env:
            env.pop("NOTIFY_SOCKET", None)
        # The last of a kind counts: reports go where the fixture looks for them.
        for name, more in (("ASAN_OPTIONS", "abort_on_error=1:detect_leaks=0"),
                           ("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")):
            env[name] = ":".join(filter(None, [env.get(name), more, f"log_path={self.tmp}/sanitizer"]))
        return env

    def start(self, wait=True):
        wrap = os.environ.get("ARGAND_WRAP", "").split()
        cmd = wrap + [BIN, *self.args] + (["-c", self.conf] if self.args == ["run"] else [])
        with open(self.tmp + "/stdout", "ab") as out, open(self.tmp + "/stderr", "ab") as err:
            self.proc = subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                         env=self.environment(), start_new_session=True)
        self.sid = self.proc.pid
        if wait:
            self.wait_ready()
        return self

    @property
    def pid(self):
        """The master."""
        return self.proc.pid

    def wait_ready(self, seconds=10):
        def ready():
            if self.proc.poll() is not None:
                raise AssertionError(f"argand ended with status {self.proc.returncode}:\n" + self.output())
            # A connection without a request: a worker has taken it when it closes.
            try:
                with socket.create_connection(self.address, 2) as s:
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(patience(2))
                    return s.recv(1) == b""
            except OSError:
                return False
        wait_for(ready, "the server takes no connection", seconds)

    def workers(self, state="ready"):
        """Pids of the workers that serve (state: "starting", "draining"; None: all), by seat."""
        return [w["pid"] for w in sorted(self.status()["workers"], key=lambda w: w["seat"])
                if state is None or w["state"] == state]

    def kill(self, sig):
        os.kill(self.pid, sig)

    def stop(self, sig=signal.SIGQUIT, seconds=10):
        """Ends the server; returns its exit status."""
        if self.proc is None:
            return None
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            return self.proc.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server did not stop on {signal.Signals(sig).name} "
                                 f"within {patience(seconds):g} s")

    def cleanup(self):
        """Ends what is left, whatever state it is in. Only processes of the server's own session."""
        for c in self.conns:
            c.close()
        if self.proc is None:
            return
        self.end(left=[self.pid] if self.proc.poll() is None else [], sig=signal.SIGTERM, seconds=3)
        self.end(left=session_pids(self.sid), sig=signal.SIGKILL, seconds=5)

    def end(self, left, sig, seconds):
        """Signals processes and waits until the session is empty, but not for ever."""
        for p in left:
            try:
                os.kill(p, sig)
                os.kill(p, signal.SIGCONT)
            except OSError:
                pass
        end = time.monotonic() + patience(seconds)
        while session_pids(self.sid) and time.monotonic() < end:
            self.proc.poll()
            time.sleep(0.01)
        self.proc.poll()

    # --- talking to it

    def connect(self, **kw):
        c = Conn(kw.pop("address", self.address), **kw)
        self.conns.append(c)
        return c

    def ask(self, method, path="/", headers=(), body=None, **kw):
        """One request on a connection of its own."""
        with self.connect(**{k: kw.pop(k) for k in ("timeout", "source", "address") if k in kw}) as c:
            h = list(headers.items()) if isinstance(headers, dict) else list(headers)
            if not any(k.lower() == "connection" for k, _ in h):
                h.append(("Connection", "close"))
            c.request(path, method, h, body, **kw)
            return c.response()

    def get(self, path="/", headers=(), **kw):
        return self.ask("GET", path, headers, **kw)

    def raw(self, data, method="GET", **kw):
        """Sends octets, returns one response."""
        with self.connect(**kw) as c:
            c.send(data)
            return c.response(method)

    # --- asking about it

    def cli(self, verb, *args, seconds=30, check=None):
        """Runs argand VERB -c FILE ARGS; check: the exit status it must have."""
        env = dict(self.environment(), NO_COLOR="1")
        p = subprocess.run([BIN, verb, "-c", self.conf, *args], stdin=subprocess.DEVNULL, env=env,
                           capture_output=True, text=True, timeout=patience(seconds))
        if check is not None:
            assert p.returncode == check, f"argand {verb}: {p.returncode}\n{p.stdout}\n{p.stderr}"
        return p

    def control(self, line, seconds=30):
        """One request to the control socket; (answer, exit status)."""
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(patience(seconds))
            c.connect(os.path.join(self.tmp, "control.sock"))
            c.sendall(line.encode() + b"\n")
            out = b""
            while d := c.recv(65536):
                out += d
        text, _, status = out.decode().rpartition("exit ")
        return text, int(status)

    def status(self):
        """What argand status --json prints: see "counters", "workers", "generation"."""
        for attempt in range(3):
            try:
                text, status = self.control("status --json")
            except (ConnectionResetError, ConnectionRefusedError, ValueError):
                # A question that meets the very moment of an upgrade may be lost; asking again is free.
                if attempt == 2:
                    raise
                time.sleep(0.05)
                continue
            assert status == 0, text
            return json.loads(text)
        return None

    def read(self, name):
        try:
            with open(os.path.join(self.tmp, name), encoding="utf-8", errors="backslashreplace") as f:
                return f.read()
        except OSError:
            return ""

    def error_log(self):
        return self.read("error.log")

    def access_log(self):
        return self.read("access.log")

    def wait_log(self, text, seconds=10):
        wait_for(lambda: text in self.error_log(), f"{text!r} in the error log", seconds)

    def output(self):
        return self.read("stdout") + self.read("stderr") + self.error_log()

    def sanitizer_reports(self):
        """What sanitizers found, as text; empty when nothing."""
        return "".join(self.read(f) for f in sorted(os.listdir(self.tmp)) if f.startswith("sanitizer."))

    def illegal_transitions(self):
        """What the error log says of states that may not follow each other (common/base/fsm.h)."""
        return "".join(line for line in self.error_log().splitlines(True) if "no legal transition" in line)

    def report(self):
        """Everything that explains a failure."""
        out = [("configuration", self.text)]
        for i, c in enumerate(self.conns[-5:]):
            out.append((f"conversation {i + max(0, len(self.conns) - 5)}", c.conversation()))
        out += [(n, self.read(n)[-6000:]) for n in ("stdout", "stderr", "error.log", "access.log")]
        out.append(("sanitizers", self.sanitizer_reports()[-8000:]))
        if self.proc:
            out.append(("exit status", str(self.proc.poll())))
            if self.proc.poll() is None:
                try:
                    out.append(("counters", self.cli("status", "--json", seconds=3).stdout))
                except (OSError, subprocess.SubprocessError) as e:
                    out.append(("counters", repr(e)))
        return [(n, t) for n, t in out if t]


# ------------------------------------------------------------------------------- figures

REPORT = os.environ.get("ARGAND_REPORT") or (
    os.path.join(os.environ["B"], "check") if os.environ.get("B") else
    os.path.join(tempfile.gettempdir(), "argand-report"))
tables = {}  # name: rows; printed and saved at the end of the run


def figure(table, **row):
    """Adds a row to a table of measured figures."""
    tables.setdefault(table, []).append({k: f"{v:.1f}" if isinstance(v, float) else str(v)
                                         for k, v in row.items()})


def table_text(name):
    """A table as Markdown."""
    rows = tables[name]
    head = list(dict.fromkeys(k for r in rows for k in r))
    width = {k: max(len(k), *(len(r.get(k, "")) for r in rows)) for k in head}
    lines = [[k for k in head], ["-" * width[k] for k in head]] + [[r.get(k, "") for k in head] for r in rows]
    return f"{name}\n\n" + "\n".join(
        "| " + " | ".join(c.ljust(width[k]) for k, c in zip(head, line)) + " |" for line in lines) + "\n"


def save_tables():
    """Writes each table to REPORT; returns the texts."""
    out = []
    for name in tables:
        os.makedirs(REPORT, exist_ok=True)
        text = table_text(name)
        with open(os.path.join(REPORT, re.sub(r"\W+", "-", name) + ".md"), "w", encoding="utf-8") as f:
            f.write(text)
        out.append(text)
    return out


def new_tmp():
    """A directory that workers can read when they run as somebody else."""
    d = tempfile.mkdtemp(prefix="argand-test-")
    os.chmod(d, 0o755)
    return d


def remove_tmp(d):
    if not os.environ.get("ARGAND_KEEP"):
        shutil.rmtree(d, ignore_errors=True)


if __name__ == "__main__":
    sys.exit("a library: run pytest")
