"""The service manager's side: notifications, watchdog, the store of descriptors, socket activation."""
import array
import fcntl
import os
import select
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness
from harness import free_port, patience, proc_stat, wait_for
from test_master import FILES, Load, generation, serving


class Manager:
    """What systemd is to a service: takes its messages and keeps its descriptors."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind("\0" + path[1:] if path[0] == "@" else path)
        self.env = {"NOTIFY_SOCKET": path}
        self.messages, self.store, self.done = [], {}, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.done:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, anc, _, _ = self.sock.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
            fds = array.array("i")
            for level, kind, raw in anc:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(raw[:len(raw) - len(raw) % 4])
            for fd in fds:
                os.set_inheritable(fd, False)
            m = dict(line.split("=", 1) for line in data.decode().split("\n"))
            if "FDSTORE" in m:
                assert len(fds) == 1 and ":" not in m["FDNAME"] and len(m["FDNAME"]) <= 255
                assert m["FDPOLL"] == "0"
                # Like systemd: the same description is kept once.
                self.store.setdefault(m["FDNAME"], []).append(fds[0])
            elif "FDSTOREREMOVE" in m:
                for fd in self.store.pop(m["FDNAME"], []):
                    os.close(fd)
            else:
                self.messages.append(m)

    def settle(self):
        """Until everything that was sent has been taken."""
        n = -1
        while n != len(self.store) + len(self.messages) or select.select([self.sock], [], [], 0)[0]:
            n = len(self.store) + len(self.messages)
            time.sleep(0.15)

    def wait(self, **wanted):
        """The next message in which these variables have (or contain) these values."""
        end = time.monotonic() + patience(10)
        while time.monotonic() < end:
            time.sleep(0.01)
            while self.messages:
                m = self.messages.pop(0)
                if all(v in m.get(k, "\0") for k, v in wanted.items()):
                    return m
        raise AssertionError(f"no message with {wanted}")

    def fds(self):
        return [(name, fd) for name, v in self.store.items() for fd in v[:1]]

    def start(self, s, extra=()):
        """Starts the server again with what is kept, as systemd does. extra: [(name, fd)]."""
        fds = self.fds() + list(extra)
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 300) for _, fd in fds]
        env = dict(s.environment(), **self.env, LISTEN_FDS=str(len(fds)),
                   LISTEN_FDNAMES=":".join(n for n, _ in fds))

        def place():
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i, inheritable=True)
        with open(s.tmp + "/stdout", "ab") as out, open(s.tmp + "/stderr", "ab") as err:
            # The shell is there to know the pid.
            s.proc = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" run -c "$1"', harness.BIN, s.conf],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env, preexec_fn=place,
                close_fds=False)  # pass_fds wants each number to be open here, too
        for fd in high:
            os.close(fd)
        return s

    def close(self):
        self.done = True
        self.thread.join()
        self.sock.close()
        for v in self.store.values():
            for fd in v:
                os.close(fd)


@pytest.fixture
def manager(tmp):
    m = Manager(tmp + "/notify")
    yield m
    m.close()


def test_messages(server, manager):
    s = server(files=FILES, env=manager.env)
    m = manager.wait(READY="1")
    assert m["MAINPID"] == str(s.pid) and "generation 1, 2 workers" in m["STATUS"]
    s.kill(signal.SIGHUP)
    before = time.monotonic_ns() // 1000
    m = manager.wait(RELOADING="1")
    assert abs(int(m["MONOTONIC_USEC"]) - before) < 5e6
    assert "generation 2" in manager.wait(READY="1")["STATUS"]
    s.rewrite(text=s.text + "nonsense")
    assert s.cli("reload").returncode == 78
    manager.wait(RELOADING="1")
    assert "generation 2 serves on" in manager.wait(STATUS="reload failed")["STATUS"]
    manager.wait(READY="1")
    s.kill(signal.SIGQUIT)
    manager.wait(STOPPING="1")
    assert s.proc.wait(patience(5)) == 0


def test_abstract_socket(server):
    m = Manager(f"@argand-test-{os.getpid()}")
    try:
        server(files=FILES, env=m.env)
        m.wait(READY="1")
    finally:
        m.close()


def test_watchdog_is_fed_while_workers_live(server, manager):
    s = server(files=FILES, env=dict(manager.env, WATCHDOG_USEC="400000"))
    for _ in range(3):
        manager.wait(WATCHDOG="1")
    pids = serving(s)
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        time.sleep(2.5)
        manager.messages.clear()
        time.sleep(1)
        assert not [m for m in manager.messages if "WATCHDOG" in m]
    finally:
        for p in pids:
            os.kill(p, signal.SIGCONT)
    manager.wait(WATCHDOG="1")


def test_store_follows_the_configuration(server, manager):
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    names = set(manager.store)
    assert names == {"argand-segment", "argand-ledger", "argand-events"} | {f"argand.127.0.0.1;{s.port}.{i}" for i in range(16)}
    other = free_port()
    text = s.text
    s.rewrite(text=text.replace(f'"127.0.0.1:{s.port}"', f'[ "127.0.0.1:{s.port}", "127.0.0.1:{other}" ]'))
    s.cli("reload", check=0)
    manager.settle()
    assert len(manager.store) == 35
    s.rewrite(text=text)
    s.cli("reload", check=0)

    wait_for(lambda: set(manager.store) == names, "the removed address leaves the store", 10)


def test_killed_master_is_followed_by_another_that_loses_nothing(server, manager):
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    for _ in range(5):
        s.get("/a.txt")
    old = serving(s)
    load = Load(s)
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.kill(signal.SIGKILL)
    s.proc.wait()
    time.sleep(0.3)
    assert s.get("/a.txt").status == 200, "the workers go on serving"
    manager.settle()
    manager.start(s)
    try:
        m = manager.wait(READY="1")
        assert m["MAINPID"] == str(s.pid) and "generation 2" in m["STATUS"], m
        assert generation(s) == 2 and not set(old) & set(serving(s))
        assert s.status()["counters"]["requests"] >= 5
        c.send(b"\r\n")
        assert c.response().body == b"hello"
        c.close()
        wait_for(lambda: not any(proc_stat(p) and proc_stat(p)[0] not in "ZX" for p in old), "the orphans end")
        wait_for(lambda: len(s.workers(None)) == 2, "their rows are free")
        assert load.stop() == []
        assert "go on serving" in s.error_log()
    finally:
        load.stop()
        assert s.stop(signal.SIGTERM) == 0


def test_slow_manager_does_not_hold_the_master(server, manager):
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.done = True
    manager.thread.join()
    other = free_port()
    s.rewrite(text=s.text.replace(f'"127.0.0.1:{s.port}"', f'[ "127.0.0.1:{s.port}", "127.0.0.1:{other}" ]')
              .replace("workers = 2;", "workers = 2; slots = 200;"))
    for _ in range(3):
        s.cli("reload", check=0, seconds=5)
    manager.done = False
    manager.thread = threading.Thread(target=manager.run, daemon=True)
    manager.thread.start()
    wait_for(lambda: len(manager.store) == 403, "all that waited")


def test_restart_keeps_connections_waiting(server, manager):
    """`systemctl restart`: the sockets stay open in the store, who connects meanwhile is answered."""
    s = server(files=FILES, env=manager.env)
    manager.wait(READY="1")
    manager.settle()
    assert s.stop() == 0
    manager.settle()
    waiting = s.connect()
    waiting.request("/a.txt", headers=[("Connection", "close")])
    manager.start(s)
    try:
        assert waiting.response().body == b"hello"
        manager.wait(READY="1")
    finally:
        assert s.stop(signal.SIGTERM) == 0


def test_damaged_store_does_no_harm(server, manager):
    s = server(files=FILES, env=manager.env, start=False)
    fds = []
    for name in ("argand-segment", f"argand.127.0.0.1;{s.port}.0", "argand.127.0.0.1;1.7", "stranger"):
        fds.append((name, os.open("/dev/null", os.O_RDWR)))
    manager.start(s, fds)
    try:
        manager.wait(READY="1")
        assert s.get("/a.txt").status == 200
    finally:
        assert s.stop(signal.SIGTERM) == 0
        for _, fd in fds:
            os.close(fd)


@pytest.mark.parametrize("reuseport", [False, True])
def test_socket_activation(server, manager, reuseport):
    s = server(files=FILES, env=manager.env, start=False)
    with socket.socket() as given:
        if reuseport:
            given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        given.bind(("127.0.0.1", s.port))
        given.listen(100)
        early = s.connect()
        early.request("/a.txt", headers=[("Connection", "close")])
        manager.start(s, [("http", given.fileno())])
        try:
            assert early.response().body == b"hello"
            manager.wait(READY="1")
            manager.settle()
            own = [n for n in manager.store if n.startswith("argand.")]
            assert len(own) == (15 if reuseport else 0), own
            for _ in range(20):
                assert s.get("/a.txt").status == 200
            s.cli("reload", check=0)
            for _ in range(20):
                assert s.get("/a.txt").status == 200
            s.cli("upgrade", check=0)
            for _ in range(20):
                assert s.get("/a.txt").status == 200
        finally:
            assert s.stop(signal.SIGTERM) == 0
