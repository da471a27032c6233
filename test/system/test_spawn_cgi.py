"""The CGI starter: scripts that are executed for a connection, spoken to as a worker speaks to it."""
import contextlib
import os
import pwd
import re
import signal
import socket
import threading
import time

import pytest

from harness import children, patience, wait_for
from test_spawn import alive, conf, connect, needs_root, path, read_all, send, spawn


def cgi(more="", pool="", command=()):
    return spawn("app", protocol="cgi", command=list(command) or "none", more=more, pool=pool).replace(
        'command = "none";', "")


class Scripts:
    """A server with a CGI pool, and scripts below its root."""

    def __init__(self, server, more='processes = "8";', **kw):
        self.s = server(text=conf(cgi(more, **kw)))
        self.root = self.s.root

    def write(self, name, text, mode=0o755):
        p = self.s.write(name, text)
        os.chmod(p, mode)
        return p

    def env(self, name):
        return [("DOCUMENT_ROOT", self.root), ("SCRIPT_FILENAME", name if name[0] == "/" else f"{self.root}/{name}")]

    def open(self, name, query="", body=b"", length=None):
        c = connect(self.s)
        send(c, query, body, self.env(name))
        return c

    def run(self, name, query="", body=b"", env=(), seconds=10):
        with connect(self.s, seconds=seconds) as c:
            send(c, query, body, self.env(name) + list(env))
            c.shutdown(socket.SHUT_WR)
            return read_all(c)

    @property
    def starter(self):
        """The process of the pool, when it has been executed."""
        def find():
            for p in children(self.s.pid):
                with contextlib.suppress(OSError), open(f"/proc/{p}/cmdline", "rb") as f:
                    if b"--cgi-starter" in f.read():
                        return p
            return None
        return wait_for(find, "the starter")


@pytest.fixture
def scripts(server):
    return Scripts(server)


def test_a_script(scripts):
    scripts.write("a/hello.sh", "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n"
                                "echo \"$REQUEST_METHOD $QUERY_STRING $PWD\"; cat; env >&2\n")
    out = scripts.run("a/hello.sh", "x=1", b"the body", [("HTTP_HOST", "example.org")])
    assert out == b"Content-Type: text/plain\r\n\r\nPOST x=1 %s/a\nthe body" % scripts.root.encode()
    log = scripts.s.error_log
    for line in ("HTTP_HOST=example.org", "CONTENT_LENGTH=8", f"SCRIPT_FILENAME={scripts.root}/a/hello.sh"):
        scripts.s.wait_log(f"backend app[{scripts.starter}]: {line}")
    assert "SCGI=" not in log()


def test_the_body_is_the_scripts(scripts):
    """Not an octet of it is read by the starter, however the request is cut."""
    scripts.write("count", "#!/bin/sh\necho; wc -c\n")
    env = scripts.env("count")
    for first in (1, 3, 5, 40, 300):
        with connect(scripts.s) as c:
            pairs = [("CONTENT_LENGTH", "5000"), ("SCGI", "1"), *env, ("PAD", "x" * 500)]
            block = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs)
            data = b"%d:%s," % (len(block), block) + b"b" * 5000
            c.sendall(data[:first])
            time.sleep(0.02)
            c.sendall(data[first:])
            c.shutdown(socket.SHUT_WR)
            assert read_all(c).split() == [b"5000"]


@pytest.mark.parametrize("name, mode, text, status, why", [
    ("missing", None, "", "404 Not Found", "No such file or directory"),
    ("plain", 0o644, "#!/bin/sh\n", "403 Forbidden", "Permission denied"),
    ("dir", "dir", "", "403 Forbidden", "it is no file"),
    ("noprogram", 0o755, "just text\n", "500 Internal Server Error", "it is no program"),
    ("nointerpreter", 0o755, "#!/nonexistent/sh\n", "500 Internal Server Error", ""),
    ("/bin/true", None, "", "403 Forbidden", "it is not below the document root"),
    ("../../bin/true", None, "", "404 Not Found", ""),
    ("link", "link", "/bin/true", "403 Forbidden", "it is not below the document root"),
])
def test_what_cannot_be_executed(scripts, name, mode, text, status, why):
    if mode == "dir":
        os.makedirs(os.path.join(scripts.root, name))
    elif mode == "link":
        os.symlink(text, os.path.join(scripts.root, name))
    elif mode:
        scripts.write(name, text, mode)
    out = scripts.run(name)
    assert out.startswith(b"Status: %s\r\nContent-Type: text/plain" % status.encode()), out
    scripts.s.wait_log(why)
    scripts.s.wait_log(f"backend app[{scripts.starter}]: cannot execute ")


def test_what_is_no_request(scripts):
    scripts.write("ok", "#!/bin/sh\necho; echo fine\n")
    block = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in scripts.env("ok"))
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"x", b":", b"0123:", b"999999999:", b"%d:%s;" % (len(block), block)):
        with connect(scripts.s) as c:
            c.sendall(data)
            with contextlib.suppress(ConnectionResetError):
                assert read_all(c) == b""
    for block in (b"A=B\0x\0", b"\0x\0", b"A\0b", b"A\0b\0C\0", b"A\0\0\0"):
        with connect(scripts.s) as c:
            c.sendall(b"%d:%s," % (len(block), block))
            assert read_all(c).startswith(b"Status: 400 ")
    assert scripts.run("ok") == b"\nfine\n"


def test_an_interpreter(server):
    s = Scripts(server, 'processes = "4"; environment = [ "FLAVOUR=plum" ];', command=["/bin/sh", "-e"])
    s.write("script", 'echo; echo "$FLAVOUR $0 $-"\n', 0o644)
    assert re.fullmatch(rb"\nplum %s/script \w*e\w*\n" % s.root.encode(), s.run("script"))


def test_who_gives_up_ends_the_script(scripts):
    scripts.write("polite", "#!/bin/sh\necho; echo $$; trap 'echo ended >&2; exit' TERM\nwhile :; do sleep 0.05; done\n")
    scripts.write("deaf", "#!/bin/sh\ntrap '' TERM\necho; echo $$\nsleep 60\n")
    for name, signal_name in (("polite", "TERM"), ("deaf", "KILL")):
        c = scripts.open(name)
        out = b""
        while out.count(b"\n") < 2:
            out += c.recv(100)
        pid = int(out)
        assert alive(pid)
        c.close()
        wait_for(lambda p=pid: not alive(p), f"the end of a script by SIG{signal_name}")
    scripts.s.wait_log("]: ended\n")


def test_the_answer_ends_with_the_script(scripts):
    """Not with what it leaves in the background, which goes on."""
    mark = os.path.join(scripts.s.tmp, "mark")
    scripts.write("leave", f"#!/bin/sh\necho; echo done\n(sleep 0.7; echo x >{mark}; echo more) &\n")
    os.chmod(scripts.s.tmp, 0o777)
    began = time.monotonic()
    assert scripts.run("leave") == b"\ndone\n"
    assert time.monotonic() - began < 0.6
    wait_for(lambda: os.path.exists(mark), "the end of what is in the background")


def test_a_body_that_nobody_reads(scripts):
    """The whole answer and a clean end, not a reset."""
    scripts.write("deaf", "#!/bin/sh\necho; head -c 100000 /dev/zero\n")
    for _ in range(20):
        with connect(scripts.s) as c:
            send(c, "", b"x" * 100000, scripts.env("deaf"))
            assert read_all(c) == b"\n" + bytes(100000)


def test_a_script_that_crashes(scripts):
    p = scripts.write("crash", "#!/bin/sh\nkill -SEGV $$\n")
    assert scripts.run("crash") == b""
    scripts.s.wait_log(f"script {p} (pid ")
    scripts.s.wait_log("was killed by SIGSEGV")


def test_so_many_at_the_same_time(server):
    s = Scripts(server, 'processes = "3";')
    s.write("count", f"#!/bin/sh\necho; mkdir $PWD/run.$$; ls -d $PWD/run.* | wc -l; sleep 0.1; rmdir $PWD/run.$$\n")
    os.chmod(s.root, 0o777)
    out = []
    threads = [threading.Thread(target=lambda: out.append(int(s.run("count")))) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(patience(20))
    assert len(out) == 20 and max(out) == 3, out


@needs_root
def test_user_limits_and_privileges(server):
    s = Scripts(server, 'user = "www-data"; processes = "2"; umask = "0077"; limits: { memory = "64M"; files = 33; cpu = "1s"; };')
    s.write("me", "#!/bin/sh\necho; id -u; id -G; umask; ulimit -v; ulimit -n; ulimit -t; grep NoNewPrivs /proc/$$/status;"
                  "ls /proc/$$/fd | wc -l\n")
    s.write("burn", "#!/bin/sh\necho; while :; do :; done\n")
    www = pwd.getpwnam("www-data").pw_uid
    out = s.run("me").split()
    assert out[:6] == [b"%d" % www, b"%d" % www, b"0077", b"65536", b"33", b"1"], out
    assert out[6:8] == [b"NoNewPrivs:", b"1"] and int(out[8]) <= 4
    assert s.run("burn", seconds=40) == b"\n"
    s.s.wait_log("was killed by SIGXCPU")
    with open(f"/proc/{s.starter}/status") as f:
        assert f"Uid:\t{www}\t{www}\t{www}\t{www}" in f.read()


def test_reload_and_stop_let_scripts_finish(server):
    s = Scripts(server)
    s.write("slow", "#!/bin/sh\necho; sleep 1.5; echo done\n")
    first = s.starter
    c = s.open("slow")
    s.s.rewrite(conf(cgi('processes = "8"; environment = [ "NEW=1" ];')))
    s.s.cli("reload", check=0)
    assert read_all(c) == b"\ndone\n"
    wait_for(lambda: not alive(first), "the end of the old starter")
    c = s.open("slow")
    time.sleep(0.2)
    s.s.kill(signal.SIGQUIT)
    assert read_all(c) == b"\ndone\n"
    assert s.s.stop() == 0 and not os.path.exists(path(s.s))


def test_a_killed_starter_ends_its_scripts_and_is_replaced(scripts):
    scripts.write("slow", "#!/bin/sh\necho $$ >&2; exec sleep 60\n")
    scripts.write("ok", "#!/bin/sh\necho; echo fine\n")
    first = scripts.starter
    c = scripts.open("slow")
    pid = int(wait_for(lambda: re.search(rf"app\[{first}\]: (\d+)\n", scripts.s.error_log()), "its pid")[1])
    time.sleep(1)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not alive(pid), "the end of its script")
    assert read_all(c) == b""
    assert scripts.run("ok") == b"\nfine\n"
