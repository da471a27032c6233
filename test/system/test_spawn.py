"""Local backends: processes that the master starts, watches, scales, rolls over and ends."""
import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
from harness import BIN, children, new_tmp, patience, proc_stat, remove_tmp, wait_for

APP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "backends", "spawned.py")
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become somebody else")

CONF = """\
server: {
	listen = "127.0.0.1:@PORT@";
	workers = @WORKERS@;
	control = "@TMP@/control.sock";
	error_log = "@TMP@/error.log";
	log_level = "info";
	stop_timeout = "5s";
	@SERVER@
};
backends = { @POOLS@ };
sites = ( { host = "*"; root = "@ROOT@"; @SITE@ routes = ( @ROUTES@ ); } );
"""


def spawn(name="app", mode="", protocol="scgi", command=None, more="", pool=""):
    """One pool as text of a configuration."""
    command = command or [APP] + ([mode] if mode else [])
    if "processes" not in more.split("limits")[0]:
        more += 'processes = "1";'
    if protocol == "cgi" and " user" not in " " + more:
        more += harness.CGI_USER
    return (f'{name} = {{ protocol = "{protocol}"; {pool} spawn = {{ command = {json.dumps(command)}; {more} }}; }};')


def conf(*pools):
    return CONF.replace("@POOLS@", " ".join(pools))


def alive(pid):
    st = proc_stat(pid)
    return bool(st) and st[0] not in "ZX"


def pids(s, command=None):
    """Processes of pools, oldest first: children of the master that are not Argand's."""
    out = []
    for p in children(s.pid):
        with contextlib.suppress(OSError):
            args = open(f"/proc/{p}/cmdline", "rb").read().split(b"\0")
            if os.readlink(f"/proc/{p}/exe") != BIN and (not command or command.encode() in args):
                out.append(p)
    return out


def connections(pid):
    """Sockets beyond the one that listens."""
    n = 0
    for f in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            n += os.readlink(f"/proc/{pid}/fd/{f}").startswith("socket:")
    return n - 1


def path(s, name="app"):
    return os.path.join(s.tmp, f"backend-{name}.sock")


def scgi(s, query="", body=b"", name="app", seconds=10, env=()):
    """A request to a pool's socket, as a worker would make it; the octets of the answer."""
    with connect(s, name, seconds) as c:
        send(c, query, body, env)
        return read_all(c)


def connect(s, name="app", seconds=10):
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(patience(seconds))
    c.connect(path(s, name))
    return c


def send(c, query="", body=b"", env=()):
    pairs = [("CONTENT_LENGTH", str(len(body))), ("SCGI", "1"), ("REQUEST_METHOD", "POST" if body else "GET"),
             ("QUERY_STRING", query), *env]
    block = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in pairs)
    c.sendall(b"%d:%s," % (len(block), block) + body)


def read_all(c):
    out = b""
    while d := c.recv(65536):
        out += d
    return out


def ask(s, query="", **kw):
    """What the process that answers says of itself."""
    return json.loads(scgi(s, query, **kw).partition(b"\r\n\r\n")[2])


def settled(s, n, what="processes"):
    """As many processes as that; all of them have been executed."""
    wait_for(lambda: len(pids(s)) == n and all(b"spawned" in open(f"/proc/{p}/cmdline", "rb").read()
                                               for p in pids(s)), f"{n} {what}, there are {pids(s)}")
    return pids(s)


class Load:
    """Requests to a pool's socket, all the time, from n threads."""

    def __init__(self, s, n=4, query="sleep=0.01", name="app"):
        self.s, self.query, self.name = s, query, name
        self.done, self.failed, self.pids, self.is_over = 0, [], set(), False
        self.threads = [threading.Thread(target=self.run) for _ in range(n)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.is_over:
            try:
                self.pids.add(ask(self.s, self.query, name=self.name)["pid"])
                self.done += 1
            except (OSError, ValueError) as e:
                self.failed.append(repr(e))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_over = True
        for t in self.threads:
            t.join(patience(10))


# ---- what a process is

def test_what_a_process_is_given(server):
    s = server(text=conf(spawn(more='processes = "2"; environment = [ "COLOUR=red", "EMPTY=" ];'
                                    'keep_environment = [ "KEPT", "NOT_SET" ]; umask = "0027";')),
               env={"KEPT": "yes", "SECRET": "no"})
    own = settled(s, 2)
    me = ask(s)
    assert me["pid"] in own and me["pgid"] == me["pid"] and me["ppid"] == s.pid
    assert set(me["environ"]) - {"LC_CTYPE"} == {"PATH", "COLOUR", "EMPTY", "KEPT"}
    assert (me["environ"]["COLOUR"], me["environ"]["EMPTY"], me["environ"]["KEPT"]) == ("red", "", "yes")
    assert me["environ"]["PATH"] == os.environ["PATH"]
    assert me["files"]["0"].startswith("socket:") and me["files"]["1"] == "/dev/null"
    assert me["files"]["2"].startswith("pipe:") and "3" not in {k for k in me["files"] if k > "3"}
    assert (me["cwd"], me["umask"], me["blocked"], me["privileges"]) == ("/", 0o027, 0, "1")
    assert me["limits"]["NOFILE"] <= 1024
    # Nothing of the master's is open in it: the socket twice, null, the pipe, the connection.
    assert len(os.listdir(f"/proc/{me['pid']}/fd")) <= 4


@needs_root
def test_user_group_and_limits(server):
    www = pwd.getpwnam("www-data")
    s = server(text=conf(spawn(more='user = "www-data"; directory = "/usr/share"; limits: { memory = "512M";'
                                    'files = 64; cpu = "1h"; processes = 500; };'),
                         spawn("other", more='user = "nobody"; group = "daemon";'),
                         spawn("plain")),
               server='user = "www-data"; group = "www-data";')
    s.server = 'user = "www-data";'
    me = ask(s)
    assert (me["uid"], me["gid"], me["groups"]) == (www.pw_uid, www.pw_gid, [www.pw_gid])
    assert me["cwd"] == "/usr/share"
    assert me["limits"] == {"AS": 512 << 20, "NOFILE": 64, "CPU": 3600, "NPROC": 500}
    other = ask(s, name="other")
    assert (other["uid"], other["gid"]) == (pwd.getpwnam("nobody").pw_uid, 1)
    assert ask(s, name="plain")["uid"] == www.pw_uid, "nobody becomes root by saying nothing"
    # Workers may connect, and nobody else.
    st = os.stat(path(s))
    assert (st.st_uid, st.st_mode & 0o777) == (www.pw_uid, 0o600)


@needs_root
def test_another_root(server):
    root = new_tmp()
    try:
        for f in ("/bin/sh", *re.findall(r"(/\S+) \(", subprocess.run(["ldd", "/bin/sh"], capture_output=True,
                                                                      text=True).stdout)):
            os.makedirs(root + os.path.dirname(f), exist_ok=True)
            shutil.copy(os.path.realpath(f), root + f)
        os.makedirs(root + "/inside")
        sh = "echo I am in $PWD and see $(echo /*) >&2; while read -r x; do :; done; sleep 100 <&2 & wait"
        s = server(text=conf(spawn(command=["/bin/sh", "-c", sh],
                                   more=f'chroot = "{root}"; directory = "/inside"; user = "www-data";')))
        s.wait_log("I am in /inside and see /bin /inside /lib")
    finally:
        remove_tmp(root)


def test_check_says_what_cannot_be_executed(server):
    s = server(text=conf(spawn(command=["/nonexistent/app"])), start=False)
    p = s.cli("check", check=78)
    assert 'no program "/nonexistent/app"' in p.stderr and "argand.conf:10" in p.stderr


# ---- deaths

def test_a_killed_process_is_replaced(server):
    s = server(text=conf(spawn(more='processes = "3";')))
    before = settled(s, 3)
    time.sleep(1.1)  # older than a second
    os.kill(before[1], signal.SIGKILL)
    wait_for(lambda: len(pids(s)) == 3 and before[1] not in pids(s), "another process", 1)
    s.wait_log(f"backend app: process {before[1]} was killed by SIGKILL after 1.")
    assert set(before) - {before[1]} < set(pids(s))
    assert ask(s)["pid"] in pids(s)
    assert "next try" not in s.error_log()


def test_what_is_queued_survives_the_processes(server):
    """The socket is the master's: whoever waits in its queue is served by the next process."""
    s = server(text=conf(spawn()))
    old, = settled(s, 1)
    time.sleep(1.1)
    os.kill(old, signal.SIGSTOP)
    wait_for(lambda: proc_stat(old)[0] == "T", "a process that has stopped")
    waiting = [connect(s) for _ in range(20)]
    for c in waiting:
        send(c)
    os.kill(old, signal.SIGKILL)
    for c in waiting:
        assert b"200 OK" in read_all(c)
        c.close()


def test_what_cannot_be_executed_is_said_and_tried_later(server):
    d = new_tmp()
    try:
        app = os.path.join(d, "app")
        with open(app, "w") as f:
            f.write("#!/nonexistent/python\n")
        os.chmod(app, 0o755)
        s = server(text=conf(spawn(command=[app]), spawn("good")))
        s.wait_log(f"error master: backend app: cannot execute {app}: No such file or directory")
        s.wait_log("ended with status 127 after 0.")
        s.wait_log("backend app: its processes die young: next try in 250 ms")
        s.wait_log("next try in 500 ms")
        assert ask(s, name="good")["pid"] in pids(s)
        assert s.get("/nothing").status == 404
        shutil.copy(APP, app + ".new")
        os.rename(app + ".new", app)
        assert ask(s)["pid"] in pids(s)
    finally:
        remove_tmp(d)


def test_back_off_doubles(server):
    s = server(text=conf(spawn(mode="quit", more='processes = "4";')))
    s.wait_log("next try in 2000 ms", 10)
    log = s.error_log()
    assert re.findall(r"next try in (\d+) ms", log) == ["250", "500", "1000", "2000"]
    # Four at first, then one alone is tried each time.
    assert len(re.findall(r"process \d+ ended with status 7 after 0\.\d+ s", log)) == 4 + 3
    assert log.count("not today") == 4 + 3


def test_a_command_that_goes_into_the_background(server):
    """It ends with status 0 at once: that is no reason to start it as fast as we can."""
    s = server(text=conf(spawn(command=["/bin/true"])))
    s.wait_log("next try in 1000 ms", 10)
    assert s.error_log().count("ended with status 0") <= 4


# ---- what they say

def test_standard_error_goes_to_the_log(server):
    s = server(text=conf(spawn()))
    me = ask(s, "say=" + "two%0Alines%1b[31m")
    s.wait_log(f"backend app[{me['pid']}]: two\n")
    s.wait_log(f"backend app[{me['pid']}]: lines\\x1B[31m\n")
    ask(s, "say=" + "x" * 5000)
    s.wait_log("x" * 997 + "...\n")
    assert "x" * 998 not in s.error_log()


def test_a_flood_on_standard_error_is_bounded(server):
    sh = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done >&2; echo over >&2; sleep 100"
    s = server(text=conf(spawn(command=["/bin/sh", "-c", sh]), spawn("good")))
    for _ in range(20):  # the master goes on with everything else
        began = time.monotonic()
        s.status()
        assert time.monotonic() - began < patience(1)
        assert ask(s, name="good")
    s.wait_log("lines of its standard error left out", 15)
    seconds = patience(15)
    assert s.error_log().count("]: line ") < 200 * seconds


# ---- reload

def test_reload_leaves_what_is_unchanged(server):
    s = server(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    s.cli("reload", check=0)
    s.rewrite(conf(spawn(more='processes = "3";')))
    s.cli("reload", check=0)
    assert settled(s, 3)[:2] == before
    s.rewrite(conf(spawn(more='processes = "1";')))
    s.cli("reload", check=0)
    settled(s, 1)


@pytest.mark.parametrize("mode", ["", "graceful"])
def test_reload_rolls_over_what_is_changed(server, mode):
    """No request is lost, though without a handler SIGTERM kills where it meets."""
    s = server(text=conf(spawn(mode=mode, more='processes = "3";')))
    before = settled(s, 3)
    with Load(s, 6, "sleep=0.05") as load:
        wait_for(lambda: load.done > 20, "requests")
        s.rewrite(conf(spawn(mode=mode, more='processes = "3"; environment = [ "NEW=1" ];')))
        s.cli("reload", check=0)
        wait_for(lambda: not set(before) & set(pids(s)), "the end of the old processes", 15)
        done = load.done
        wait_for(lambda: load.done > done + 20, "requests")
    assert load.failed == []
    assert len(load.pids - set(before)) == 3
    assert ask(s)["environ"]["NEW"] == "1"
    s.wait_log("backend app: 3 processes with the new settings serve")
    assert "error" not in s.error_log()


def test_settings_that_do_not_work_take_nothing_away(server):
    s = server(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    with Load(s, 2) as load:
        s.rewrite(conf(spawn(mode="quit", more='processes = "2";')))
        s.cli("reload", check=0)
        s.wait_log("next try in 1000 ms")
        assert set(before) <= set(pids(s))
        s.rewrite(conf(spawn(more='processes = "2";')))
        s.cli("reload", check=0)
        assert set(settled(s, 2)) == set(before)
    assert load.failed == []


def test_a_reload_that_fails_starts_nothing(server):
    s = server(text=conf(spawn()))
    before = settled(s, 1)
    s.rewrite(conf(spawn(more='environment = [ "X=1" ];'), spawn("more")) + "nonsense")
    s.cli("reload", check=78)
    assert pids(s) == before and not os.path.exists(path(s, "more"))


def test_pools_come_and_go(server):
    s = server(text=conf(spawn("one")))
    one, = settled(s, 1)
    s.rewrite(conf(spawn("two")))
    s.cli("reload", check=0)
    assert ask(s, name="two")["pid"] != one
    wait_for(lambda: not alive(one), "the end of the process of a pool that is gone")
    wait_for(lambda: not os.path.exists(path(s, "one")), "the end of its socket")
    s.rewrite(conf(spawn("one"), spawn("two")))
    s.cli("reload", check=0)
    assert ask(s, name="one")["pid"] not in (one, ask(s, name="two")["pid"])
    s.rewrite(CONF.replace("backends = { @POOLS@ };", ""))
    s.cli("reload", check=0)
    wait_for(lambda: not pids(s), "the end of all processes")


# ---- upgrade and the end

def test_upgrade_keeps_processes(server):
    s = server(text=conf(spawn(more='processes = "2"; environment = [ "A=1" ];')))
    before = settled(s, 2)
    with Load(s, 2) as load:
        s.cli("upgrade", check=0)
        wait_for(lambda: load.done > 5, "requests")
        assert pids(s) == before
    assert load.failed == [] and load.pids <= set(before)
    me = ask(s, "say=still+heard")
    s.wait_log(f"backend app[{me['pid']}]: still heard")
    time.sleep(1.1)
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(pids(s)) == 2 and before[0] not in pids(s), "another process")
    s.wait_log(f"backend app: process {before[0]} was killed by SIGKILL")
    s.rewrite(conf(spawn(more='processes = "2"; environment = [ "A=2" ];')))
    s.cli("upgrade", check=0)
    wait_for(lambda: before[1] not in pids(s), "the roll over with an upgrade", 15)
    assert ask(s)["environ"]["A"] == "2"


def test_stop_ends_processes_and_sockets(server):
    s = server(text=conf(spawn(mode="graceful", more='processes = "2";'), spawn("other")))
    own = settled(s, 3)
    with connect(s) as c:
        send(c, "sleep=0.5")
        wait_for(lambda: any(connections(p) for p in own), "a process that has it")
        s.kill(signal.SIGQUIT)
        assert b"200 OK" in read_all(c), "a request in flight is finished"
    assert s.stop() == 0
    assert not any(alive(p) for p in own)
    assert not os.path.exists(path(s)) and not os.path.exists(path(s, "other"))


def test_who_does_not_end_is_killed(server):
    s = server(text=conf(spawn(mode="stubborn", more='stop_timeout = "1s";')))
    own = ask(s)["pid"]  # now it has said that it does not care
    began = time.monotonic()
    assert s.stop() == 0
    assert 0.9 < time.monotonic() - began < patience(4) and not alive(own)
    s.wait_log(f"backend app: process {own} did not end on SIGTERM: killing it")


def test_nobody_outlives_a_killed_master(server):
    s = server(text=conf(spawn(more='processes = "2";'), spawn("other", mode="graceful")))
    own = settled(s, 3)
    workers = s.workers()
    s.kill(signal.SIGKILL)
    wait_for(lambda: not any(alive(p) for p in own), "the end of the processes of a killed master")
    s.proc.wait()
    for w in workers:
        os.kill(w, signal.SIGKILL)
    wait_for(lambda: not any(alive(w) for w in workers), "the end of its workers")
    again = s.start()  # the sockets' files are still there
    assert ask(again)["ppid"] == again.pid


@pytest.mark.parametrize("is_rolled", [False, True])
def test_the_service_manager_keeps_the_socket(server, tmp, is_rolled):
    """A master is killed: what waits at its pool's socket is served by processes of the next one."""
    from test_master_manager import Manager
    manager = Manager(tmp + "/notify")
    try:
        s = server(text=conf(spawn(more='processes = "2";')), env=manager.env)
        own = settled(s, 2)
        if is_rolled:
            s.rewrite(conf(spawn(more='processes = "2"; environment = [ "N=1" ];')))
            s.cli("reload", check=0)
            wait_for(lambda: not set(own) & set(pids(s)), "the roll over", 15)
            own = pids(s)
        manager.settle()
        workers = s.workers()
        s.kill(signal.SIGKILL)
        s.proc.wait()
        wait_for(lambda: not any(alive(p) for p in own), "the end of its processes")
        waiting = [connect(s) for _ in range(10)]
        for c in waiting:
            send(c)
        manager.start(s)
        for c in waiting:
            assert json.loads(read_all(c).partition(b"\r\n\r\n")[2])["ppid"] == s.pid
            c.close()
        wait_for(lambda: not any(alive(w) for w in workers), "the end of the old workers", 15)
        assert len(settled(s, 2)) == 2
    finally:
        manager.close()
