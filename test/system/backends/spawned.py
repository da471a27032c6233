#!/usr/bin/python3 -S
"""An SCGI application that a server starts: accepts from its standard input, one request at a time.

    GET /?sleep=0.1&say=text&exit=3&signal=9
sleep: so long before the answer; say: a line for standard error; exit, signal: ends by it, without an
answer. The answer tells in JSON what this process is. First argument "graceful": SIGTERM ends it
after the request, else it has no handler, and SIGTERM kills it where it stands; "stubborn": it does not
care at all; "quit": it ends at once.
"""
import json
import os
import resource
import signal
import socket
import sys
import time
import urllib.parse


def exact(c, n):
    out = b""
    while len(out) < n:
        d = c.recv(n - len(out))
        if not d:
            raise EOFError
        out += d
    return out


def request(c):
    """The environment and the body."""
    digits = b""
    while (d := exact(c, 1)) != b":":
        digits += d
    block = exact(c, int(digits) + 1)[:-1].split(b"\0")[:-1]
    env = {k.decode(): v.decode() for k, v in zip(block[::2], block[1::2])}
    return env, exact(c, int(env.get("CONTENT_LENGTH") or 0))


def blocked():
    """The signals that are blocked or ignored, of all but Python's own and the two that libc keeps for itself."""
    with open("/proc/self/status") as f:
        lines = dict(line.split(":", 1) for line in f)
    own = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1 | 3 << 31
    return (int(lines["SigBlk"], 16) | int(lines["SigIgn"], 16)) & ~own


def what_i_am(body):
    files = sorted(int(f) for f in os.listdir("/proc/self/fd"))[:-1]  # the last one lists them
    return {
        "pid": os.getpid(), "ppid": os.getppid(), "pgid": os.getpgid(0), "uid": os.getuid(), "gid": os.getgid(),
        "groups": os.getgroups(), "cwd": os.getcwd(), "umask": os.umask(0o22), "environ": dict(os.environ),
        "files": {str(f): os.readlink(f"/proc/self/fd/{f}") for f in files if f <= 3}, "blocked": blocked(),
        "limits": {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n))[0]
                   for n in ("AS", "NOFILE", "CPU", "NPROC")},
        "privileges": open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0], "body": len(body),
    }


def serve(c):
    env, body = request(c)
    q = dict(urllib.parse.parse_qsl(env.get("QUERY_STRING", "")))
    if "say" in q:
        print(q["say"], file=sys.stderr, flush=True)
    time.sleep(float(q.get("sleep", 0)))
    if "exit" in q:
        os._exit(int(q["exit"]))
    if "signal" in q:
        os.kill(os.getpid(), int(q["signal"]))
    text = json.dumps(what_i_am(body))
    c.sendall(b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n" + text.encode())


def main():
    mode, ending = sys.argv[1:2], []
    if mode == ["quit"]:
        print("not today", file=sys.stderr)
        sys.exit(7)
    if mode == ["graceful"]:
        signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
    if mode == ["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sock = socket.socket(fileno=0)
    sock.settimeout(0.1 if mode == ["graceful"] else None)
    while not ending:
        try:
            c, _ = sock.accept()
        except TimeoutError:
            continue
        with c:
            c.setblocking(True)
            try:
                serve(c)
            except (EOFError, OSError, ValueError):
                pass


main()
