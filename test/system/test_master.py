"""The master: start, reload, replacement of workers, stop, signals, sockets, privileges."""
import grp
import os
import pwd
import signal
import socket
import subprocess
import threading
import time

import pytest

from harness import BIN, children, free_port, patience, proc_stat, wait_for

ROOT = os.geteuid() == 0


def command(*args, **kw):
    return subprocess.run([BIN, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=patience(20), **kw)


class Load:
    """Requests on new connections, one after the other, until it is stopped; counts what fails."""

    def __init__(self, s, n=2, path="/a.txt"):
        self.s, self.path, self.done, self.failed, self.ok = s, path, False, [], 0
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.done:
            try:
                with socket.create_connection(self.s.address, patience(5)) as c:
                    c.settimeout(patience(5))
                    c.sendall(f"GET {self.path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
                    data = b""
                    while d := c.recv(65536):
                        data += d
                assert data.startswith(b"HTTP/1.1 200") and data.endswith(b"hello"), data[:200]
                self.ok += 1
            except (OSError, AssertionError) as e:
                self.failed.append(repr(e))

    def stop(self):
        self.done = True
        for t in self.threads:
            t.join()
        return self.failed


FILES = {"a.txt": "hello"}


def generation(s):
    return s.status()["generation"]


def serving(s):
    """Pids of the workers of the serving generation, by seat."""
    st = s.status()
    return [w["pid"] for w in sorted(st["workers"], key=lambda w: w["seat"])
            if w["generation"] == st["generation"] and w["state"] == "ready"]


# --------------------------------------------------------------------------------- start

def test_bad_configuration_ends_with_78(server):
    s = server(text='server: { listn = 1; workers = 0; };\n', start=False)
    r = command("run", "-c", s.conf)
    assert r.returncode == 78
    assert "did you mean 'listen'" in r.stderr and "2 errors" in r.stderr, r.stderr


def test_port_in_use_says_by_whom(server):
    s = server(files=FILES)
    other = server(start=False)
    other.rewrite(text=s.text.replace("control.sock", "other.sock"))
    r = command("run", "-c", other.conf)
    assert r.returncode == 75, r.stderr
    assert f"127.0.0.1:{s.port}" in r.stderr and "in use by argand (pid" in r.stderr, r.stderr
    assert s.get("/a.txt").status == 200


def test_second_server_with_the_same_control_socket_is_refused(server):
    s = server(files=FILES)
    r = command("run", "-c", s.conf)
    assert r.returncode == 75
    assert f"another argand (pid {s.pid})" in r.stderr
    assert s.status()["generation"] == 1


def test_checking_binds_nothing(server):
    s = server(files=FILES)
    assert s.cli("check").returncode == 0
    assert s.get("/a.txt").body == b"hello"


# -------------------------------------------------------------------------------- reload

def test_reload_tells_what_changed(server):
    s = server(files=FILES)
    s.rewrite(workers=3)
    r = s.cli("reload", check=0)
    assert "workers 2 -> 3" in r.stdout and "generation 2 serves with 3 workers" in r.stdout, r.stdout
    assert len(serving(s)) == 3
    r = s.cli("reload", check=0)
    assert "unchanged" in r.stdout and "generation 3" in r.stdout
    wait_for(lambda: len(s.workers(None)) == 3, "the old generations end")


def test_broken_reload_changes_nothing(server):
    s = server(files=FILES)
    before = serving(s)
    good = s.text
    s.rewrite(text=good.replace("workers = 2", "workers = 2; nonsense = 1"))
    r = s.cli("reload", check=78)
    assert "nonsense" in r.stderr and "Nothing was changed; generation 1" in r.stderr, r.stderr
    with open(s.conf, "w") as f:
        f.write(good.replace("};", "", 1))  # no configuration at all any more
    assert s.cli("reload").returncode == 78
    assert serving(s) == before and s.get("/a.txt").status == 200
    for empty in ("", "# to be written\n"):  # as an editor may leave it for a moment
        with open(s.conf, "w") as f:
            f.write(empty)
        text, status = s.control("reload")
        assert status == 78 and "the file is empty" in text, text
    assert s.status()["reloads"]["failed"] == 4
    s.rewrite(text=good)
    assert "generation 2 serves" in s.cli("reload", check=0).stdout


def test_reload_that_cannot_bind_changes_nothing(server):
    s = server(files=FILES)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        s.rewrite(text=s.text.replace("workers", f'listen = [ "127.0.0.1:@PORT@", "127.0.0.1:{port}" ]; workers', 1)
                  .replace('listen = "127.0.0.1:@PORT@";', "", 1))
        text = s.text.replace(f'listen = "127.0.0.1:{s.port}";', "", 1)
        s.rewrite(text=text)
        r = s.cli("reload")
    assert r.returncode == 75, r.stderr + r.stdout
    assert f"127.0.0.1:{port}" in r.stderr and "in use" in r.stderr
    assert s.get("/a.txt").status == 200 and generation(s) == 1
    assert "generation 2" in s.cli("reload", check=0).stdout  # the port is free now
    assert s.get("/a.txt", address=("127.0.0.1", port)).status == 200


def test_log_level_changes_in_place(server):
    s = server(files=FILES)
    before = serving(s)
    s.rewrite(text=s.text.replace('"info"', '"debug"'))
    r = s.cli("reload", check=0)
    assert "in place" in r.stdout, r.stdout
    assert serving(s) == before and generation(s) == 1
    s.cli("log-level", "warn", check=0)
    assert s.cli("log-level", "loud").returncode != 0


def test_reload_by_signal_and_coalescing(server):
    s = server(files=FILES)
    for _ in range(10):
        s.kill(signal.SIGHUP)
    wait_for(lambda: generation(s) >= 2, "a reload")
    s.cli("reload", check=0)
    assert generation(s) < 12


def test_concurrent_reloads_all_get_an_answer(server):
    s = server(files=FILES)
    results = []
    threads = [threading.Thread(target=lambda: results.append(s.cli("reload").returncode)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [0] * 8
    assert generation(s) <= 9


def test_reloads_under_load_lose_nothing(server):
    s = server(files=FILES)
    load = Load(s)
    for workers in (3, 1, 4, 2):
        s.rewrite(workers=workers)
        s.cli("reload", check=0)
    assert load.stop() == []
    assert load.ok > 20


def test_removed_and_added_addresses(server):
    s = server(files=FILES)
    other = free_port()
    one = f'listen = "127.0.0.1:{s.port}"'
    two = f'listen = [ "127.0.0.1:{s.port}", "127.0.0.1:{other}" ]'
    text = s.text
    s.rewrite(text=text.replace(one, two))
    s.cli("reload", check=0)
    assert s.get("/a.txt", address=("127.0.0.1", other)).status == 200
    held = s.connect()  # keeps a worker of the old generation alive, which must not keep the address
    held.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.rewrite(text=text)
    s.cli("reload", check=0)
    start, answered = time.monotonic(), 0
    while True:
        age = time.monotonic() - start
        assert age < patience(6), "the removed address is still open"
        try:
            assert s.get("/a.txt", address=("127.0.0.1", other)).status == 200
            answered += 1
        except ConnectionRefusedError:
            break
        except (OSError, AssertionError):  # queued in the very moment of closing
            assert age > 2.4, f"not answered after {age:.1f} s"
        time.sleep(0.01)
    assert answered > 20 and age > 2.4
    held.send(b"\r\n")
    assert held.response().body == b"hello"
    assert s.get("/a.txt").status == 200


def test_old_generation_finishes_its_requests(server):
    s = server(files=FILES)
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.cli("reload", check=0)
    time.sleep(0.3)
    c.send(b"\r\n")
    r = c.response()
    assert r.status == 200 and r.body == b"hello"


def test_control_socket_and_pid_file_follow_the_configuration(server):
    s = server(files=FILES, server='pid_file = "@TMP@/one.pid";')
    old = s.tmp + "/control.sock"
    s.rewrite(server='pid_file = "@TMP@/two.pid";')
    with open(s.conf) as f:
        text = f.read()
    with open(s.conf, "w") as f:
        f.write(text.replace("control.sock", "moved.sock"))
    text, status = s.control("reload")
    assert status == 0, text
    assert not os.path.exists(old) and s.cli("status").returncode == 0
    assert not os.path.exists(s.tmp + "/one.pid")
    with open(s.tmp + "/two.pid") as f:
        assert int(f.read()) == s.pid
    assert s.stop() == 0
    assert not os.path.exists(s.tmp + "/two.pid") and not os.path.exists(s.tmp + "/moved.sock")


def test_drain_is_bounded_in_time(server):
    s = server(files=FILES, server='drain_timeout = "1s";')
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    start = time.monotonic()
    s.cli("reload", check=0)
    wait_for(lambda: len(s.workers(None)) == 2, "the old generation ends", 6)
    assert time.monotonic() - start >= 0.9


def test_drain_is_bounded_in_number(server):
    s = server(files=FILES, server="max_generations = 1;")
    idle = []
    for _ in range(2):
        c = s.connect()
        c.request("/a.txt")
        assert c.response().status == 200
        idle.append(c)
        s.cli("reload", check=0)
    s.wait_log("generation 1 is cut short")
    idle[0].expect_closed()
    idle[1].request("/a.txt")
    r = idle[1].response()
    assert r.status == 200 and r["Connection"] == "close"


# ------------------------------------------------------------------------------- workers

def test_killed_worker_is_replaced_within_100_ms(server):
    s = server(files=FILES)
    for _ in range(5):
        before = serving(s)
        os.kill(before[0], signal.SIGKILL)
        start = time.monotonic()
        while before[0] in serving(s) or len(serving(s)) != 2:
            assert time.monotonic() - start < patience(1), "no replacement"
        assert time.monotonic() - start < patience(0.1)
        time.sleep(1.1)  # not in its youth
    s.wait_log("killed by SIGKILL")
    st = s.status()
    assert st["worker_deaths"] == 5 and st["worker_restarts"] == 5, st


def test_crash_loop_backs_off_while_siblings_serve(server):
    s = server(files=FILES)
    load = Load(s, 1)
    end = time.monotonic() + 1.5
    kills, last = 0, None
    while time.monotonic() < end:
        pids = {w["seat"]: w["pid"] for w in s.status()["workers"] if w["state"] == "ready"}
        if 0 in pids and pids[0] != last:
            last = pids[0]
            os.kill(last, signal.SIGKILL)
            kills += 1
        time.sleep(0.005)
    failed = load.stop()
    assert 3 <= kills <= 6, f"{kills} deaths: no back-off"
    s.wait_log("died 3 times in a row")
    assert len(failed) <= kills, failed  # only what a victim had accepted
    wait_for(lambda: len(serving(s)) == 2, "the seat is filled again")


def test_stopped_worker_is_reported_and_covered(server):
    s = server(files=FILES)
    victim = serving(s)[0]
    os.kill(victim, signal.SIGSTOP)
    try:
        time.sleep(0.4)
        slowest = 0
        for _ in range(20):
            start = time.monotonic()
            assert s.get("/a.txt").status == 200
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < patience(0.5)
        s.wait_log("hangs: no heartbeat")
    finally:
        os.kill(victim, signal.SIGCONT)
    s.wait_log("alive again")
    assert victim in serving(s)


def test_worker_that_cannot_start_fails_the_reload(server):
    s = server(files=FILES)
    before = serving(s)
    # More seats than free rows are left: some worker of the next generation cannot be started.
    s.rewrite(workers=128)
    s.cli("reload", check=0)
    s.rewrite(workers=127)
    c = s.connect()  # holds the first big generation
    c.send(b"GET /a")
    time.sleep(0.2)
    r = s.cli("reload")
    if r.returncode == 0:
        r = s.cli("reload")
    assert r.returncode == 1 and "did not come up" in r.stderr, r.stdout + r.stderr
    c.send(b".txt HTTP/1.0\r\n\r\n")
    assert c.response().status == 200
    assert before and s.get("/a.txt").status == 200


# ---------------------------------------------------------------------------------- stop

@pytest.mark.parametrize("sig", [signal.SIGQUIT, signal.SIGTERM, signal.SIGINT])
def test_signals_that_stop(server, sig):
    s = server(files=FILES)
    pids = serving(s)
    idle = s.connect()
    idle.request("/a.txt")
    assert idle.response().status == 200
    assert s.stop(sig, seconds=4) == 0
    assert not any(proc_stat(p) for p in pids)
    assert not os.path.exists(s.tmp + "/control.sock")
    assert "stopped" in s.error_log()


def test_graceful_stop_waits_fast_stop_waits_little(server):
    s = server(files=FILES, server='stop_timeout = "20s";')
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.kill(signal.SIGQUIT)
    time.sleep(0.5)
    assert s.proc.poll() is None
    c.send(b"\r\n")
    assert c.response().body == b"hello"
    assert s.proc.wait(patience(3)) == 0


def test_second_term_is_immediate(server):
    s = server(files=FILES)
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.kill(signal.SIGTERM)
    time.sleep(0.2)
    assert s.proc.poll() is None, "a request in flight has five seconds"
    start = time.monotonic()
    s.kill(signal.SIGTERM)
    s.proc.wait(patience(2))
    assert time.monotonic() - start < patience(1)


def test_stop_command_waits(server):
    s = server(files=FILES, server='pid_file = "@TMP@/pid";')
    with open(s.tmp + "/pid") as f:
        assert int(f.read()) == s.pid
    assert "stopped" in s.cli("stop", check=0).stdout
    s.proc.wait(patience(1))
    assert not os.path.exists(s.tmp + "/pid")
    r = s.cli("status")
    assert r.returncode == 1 and "no server answers" in r.stderr


# ----------------------------------------------------------------------- logs and control

def test_logs_are_opened_anew(server):
    s = server(files=FILES)
    s.get("/a.txt")
    wait_for(lambda: "/a.txt" in s.access_log(), "the first line")
    os.rename(s.tmp + "/error.log", s.tmp + "/error.log.1")
    os.rename(s.tmp + "/access.log", s.tmp + "/access.log.1")
    s.kill(signal.SIGUSR1)
    s.wait_log("opened anew")
    for _ in range(10):
        s.get("/a.txt")
    wait_for(lambda: s.access_log().count("/a.txt") == 10, "lines in the new access log")
    assert s.read("access.log.1").count("/a.txt") == 1
    os.rename(s.tmp + "/access.log", s.tmp + "/access.log.2")
    s.cli("reopen", check=0)
    s.get("/a.txt")
    wait_for(lambda: s.access_log().count("/a.txt") == 1, "a line in the third")


def test_log_command_is_started_again(server):
    s = server(files=FILES, access_log=False,
               server='access_log: { file = "|exec cat >>@TMP@/piped"; };')
    s.get("/a.txt")
    wait_for(lambda: "/a.txt" in s.read("piped"), "a line through the pipe")
    cats = [p for p in children(s.pid) if open(f"/proc/{p}/comm").read() == "cat\n"]
    assert len(cats) == 1
    os.kill(cats[0], signal.SIGKILL)
    s.wait_log("starting it again")
    s.get("/a.txt?again")
    wait_for(lambda: "again" in s.read("piped"), "a line through the new pipe")


def test_control_socket_is_bounded(server):
    s = server(files=FILES)
    assert os.stat(s.tmp + "/control.sock").st_mode & 0o777 == 0o600
    assert s.control("nonsense")[1] == 64
    with socket.socket(socket.AF_UNIX) as c:  # a line without end
        c.connect(s.tmp + "/control.sock")
        c.settimeout(patience(5))
        c.sendall(b"x" * 2000)
        try:
            assert c.recv(100) == b""
        except ConnectionResetError:
            pass
    held = []
    for _ in range(40):  # more than it takes; none of them says anything
        c = socket.socket(socket.AF_UNIX)
        c.connect(s.tmp + "/control.sock")
        held.append(c)
    time.sleep(0.2)
    for c in held:
        c.close()

    def answers():
        try:
            return s.control("status")[1] == 0
        except OSError:
            return False
    wait_for(answers, "the socket answers again")
    text, status = s.control("config")
    assert status == 0 and "workers" in text


# ------------------------------------------------------------------------------- sockets

def test_unix_listener(server):
    path = "/tmp/argand-test-%d.sock" % os.getpid()
    try:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        s = server(files=FILES, server="", text=None, start=False)
        s.rewrite(text=s.text.replace(
            f'listen = "127.0.0.1:{s.port}"',
            f'listen = ( "127.0.0.1:{s.port}", {{ address = "unix:{path}"; mode = "0666"; }} )'))
        s.start()
        assert os.stat(path).st_mode & 0o777 == 0o666

        def ask():
            with socket.socket(socket.AF_UNIX) as c:
                c.connect(path)
                c.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
                c.settimeout(patience(5))
                data = b""
                while d := c.recv(4096):
                    data += d
            return data
        assert ask().endswith(b"hello")
        s.cli("reload", check=0)
        assert ask().endswith(b"hello")
        r = command("run", "-c", s.conf)
        assert r.returncode == 75
        assert ask().endswith(b"hello")
        s.stop()
        assert not os.path.exists(path)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def test_ipv4_and_ipv6_side_by_side(server):
    s = server(files=FILES, start=False)
    s.rewrite(text=s.text.replace(f'"127.0.0.1:{s.port}"', f'"*:{s.port}"'))
    s.start()
    assert s.get("/a.txt").status == 200
    assert s.get("/a.txt", address=("::1", s.port)).status == 200
    # State 0A is LISTEN; both families have sockets of their own, V6ONLY, all slots of them.
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}") as f:
            listening = [line for line in f if f":{s.port:04X} " in line.split(" 0A ")[0] and " 0A " in line]
        assert len(listening) == 16, (table, listening)


def test_connections_spread_over_workers(server):
    s = server(files=FILES, workers=2)
    # Who is ready first may have adopted the other's slots for a moment.
    wait_for(lambda: s.status()["slots"].count(0) == s.status()["slots"].count(1) == 8, "8 slots each")
    for _ in range(60):
        s.get("/a.txt")
    by = [w["counters"]["connections_accepted"] for w in s.status()["workers"]]
    assert len(by) == 2 and min(by) >= 10, by


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_privileges_are_dropped(server):
    user = "www-data" if "www-data" in [p.pw_name for p in pwd.getpwall()] else "nobody"
    pw = pwd.getpwnam(user)
    s = server(files=FILES, server=f'user = "{user}";')
    for pid in serving(s):
        with open(f"/proc/{pid}/status") as f:
            st = dict(line.split(":\t", 1) for line in f.read().splitlines() if ":\t" in line)
        assert st["Uid"].split() == [str(pw.pw_uid)] * 4
        assert st["Gid"].split() == [str(pw.pw_gid)] * 4
        groups = {g.gr_gid for g in grp.getgrall() if user in g.gr_mem} | {pw.pw_gid}
        assert {int(g) for g in st["Groups"].split()} <= groups
        assert int(st["CapEff"], 16) == 0 and st["NoNewPrivs"].strip() == "1"
    assert s.get("/a.txt").status == 200
    s.kill(signal.SIGUSR1)
    s.wait_log("opened anew")
    assert s.get("/a.txt").status == 200


def test_worker_inherits_nothing_else(server):
    s = server(files=FILES)
    pid = serving(s)[0]
    links = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    assert not [x for x in links if "signalfd" in x or "pidfd" in x], links
    unix = [x for x in links if x.startswith("socket:")]
    master = {os.readlink(f"/proc/{s.pid}/fd/{n}") for n in os.listdir(f"/proc/{s.pid}/fd")}
    # Of the master's sockets only the listening ones (16 slots) are the worker's as well.
    assert len([x for x in unix if x in master]) == 16, (unix, master)


# ---------------------------------------------------------------------------- command line

@pytest.mark.parametrize("args,status,text", [
    ([], 0, "usage: argand"),
    (["help"], 0, "reload"),
    (["relaod"], 2, "did you mean 'reload'"),
    (["version"], 0, "argand "),
    (["version", "-v"], 0, "libevent"),
    (["-V"], 0, "argand "),
    (["run", "--nonsense"], 2, "usage: argand run"),
    (["status", "-c", "/nonexistent"], 1, "no server answers"),
    (["check", "-c", "/nonexistent"], 78, "nonexistent"),
    (["-c", "/nonexistent", "-t"], 78, "nonexistent"),
])
def test_command_line(args, status, text):
    r = command(*args)
    assert r.returncode == status, r.stderr
    assert text in r.stdout + r.stderr


def test_serve_a_directory(tmp):
    with open(tmp + "/a.txt", "w") as f:
        f.write("hello")
    port = free_port()
    p = subprocess.Popen([BIN, "serve", tmp, "--port", str(port)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    try:
        assert "Serving" in p.stdout.readline()
        with socket.create_connection(("127.0.0.1", port), patience(5)) as c:
            c.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
            data = b""
            while d := c.recv(4096):
                data += d
        assert data.endswith(b"hello")
        p.send_signal(signal.SIGINT)
        assert p.wait(patience(5)) == 0
        assert "/a.txt" in p.stdout.read()
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()


def test_serve_takes_the_next_port(tmp):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass  # somebody has it: as good
        p = subprocess.Popen([BIN, "serve", tmp, "-q"], stdout=subprocess.PIPE, text=True)
        try:
            line = p.stdout.readline()
            assert "http://127.0.0.1:80" in line and ":8000/" not in line, line
        finally:
            p.terminate()
            assert p.wait(patience(5)) == 0
