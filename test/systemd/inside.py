"""Assertions about argand.service under a real systemd; see README.md. Each prints a line for check.sh."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

UNIT = "argand.service"
CONF = pathlib.Path("/test/argand.conf")
TEXT = """
server: {{
	listen = [ "127.0.0.1:80", "[::1]:80" ];
	workers = {workers};
	stop_timeout = "10s";
}};
sites = ( {{ root = "/test/www"; headers: {{ set = [ "X-Test: {mark}" ]; }}; }} );
"""
BODY = b"x" * 20000


def run(*command, ok=True, timeout=60):
    p = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if ok and p.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {p.returncode}\n{p.stdout}{p.stderr}")
    return p


def show(prop):
    return run("systemctl", "show", "-P", prop, UNIT).stdout.strip()


def main_pid():
    pid = int(show("MainPID") or 0)
    assert pid > 0, "the unit has no main process"  # kill(0) would be this test's own end
    return pid


def status():
    return json.loads(run("/test/argand", "status", "--json", "-c", str(CONF)).stdout)


def write_conf(mark="a", workers=2):
    CONF.write_text(TEXT.format(mark=mark, workers=workers))


def wait_for(cond, what, seconds=15):
    end = time.monotonic() + seconds
    while not cond():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def pids():
    """Everything in the unit's cgroup."""
    group = pathlib.Path("/sys/fs/cgroup" + show("ControlGroup") + "/cgroup.procs")
    return [int(p) for p in group.read_text().split()] if group.exists() else []


def fetch(host="127.0.0.1", timeout=20):
    """One request on a connection of its own, checked to the last octet; returns the response's head."""
    with socket.create_connection((host, 80), timeout=timeout) as s:
        s.sendall(b"GET /body HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        data = b""
        while True:
            part = s.recv(65536)
            if not part:
                break
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == BODY, f"not whole: {data[:200]!r} ... {len(body)}"
    return head


class Load:
    """New connections without a pause from some threads; any that fails is an error of the test."""

    def __init__(self, threads=3):
        self.done, self.errors, self.slowest, self.stop = 0, [], 0.0, threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(i,)) for i in range(threads)]

    def work(self, i):
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                fetch("::1" if i % 3 == 2 else "127.0.0.1")
                self.done += 1
            except (OSError, AssertionError) as e:
                self.errors.append(f"{time.strftime('%T')} {e!r}")
            self.slowest = max(self.slowest, time.monotonic() - began)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        time.sleep(0.3)
        self.stop.set()
        for t in self.threads:
            t.join()
        print(f"   load: {self.done} requests, {len(self.errors)} errors, slowest {self.slowest * 1000:.0f} ms")
        if exc[0] is None:
            assert not self.errors, f"{len(self.errors)} of {self.done} failed: {self.errors[:5]}"
            assert self.done > 50, f"only {self.done} requests: no load"


def test_start_is_ready():
    run("systemctl", "start", UNIT)
    assert show("ActiveState") == "active" and show("SubState") == "running"
    fetch()
    fetch("::1")
    assert show("StatusText"), "no STATUS= line"
    print("   " + show("StatusText"))


def test_runs_unprivileged_and_confined():
    for pid in pids():
        fields = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        assert "0" not in fields["Uid"].split(), f"process {pid} is root"
        assert int(fields["CapEff"], 16) & ~(1 << 10) == 0, f"process {pid} has {fields['CapEff']}"
        assert fields["NoNewPrivs"].strip() == "1" and fields["Seccomp"].strip() == "2"
    assert len(pids()) >= 3


def test_fd_store_has_sockets_and_segment():
    stored = int(show("NFileDescriptorStore"))
    sockets = sum(1 for fd in pathlib.Path(f"/proc/{main_pid()}/fd").iterdir()
                  if os.readlink(fd).startswith("socket:"))
    print(f"   {stored} descriptors stored, the master has {sockets} sockets")
    assert stored >= 2 * 2 + 1, "two addresses, at least a slot per worker, and the segment"
    assert stored <= int(show("FileDescriptorStoreMax"))


def test_reload_waits_until_the_new_configuration_serves():
    before = status()
    for mark in ("b", "c", "d"):
        write_conf(mark)
        run("systemctl", "reload", UNIT)
        assert b"X-Test: " + mark.encode() in fetch(), f"not in effect when reload returned: {mark}"
    assert status() != before


def test_reload_under_load():
    with Load():
        for i, workers in enumerate((2, 4, 1, 2, 3, 2)):
            write_conf(f"load{i}", workers)
            run("systemctl", "reload", UNIT)


def test_broken_reload_fails_and_changes_nothing():
    write_conf("good")
    run("systemctl", "reload", UNIT)
    pid = main_pid()
    CONF.write_text('server: { listne = "127.0.0.1:80"; };\n')
    with Load():
        p = run("systemctl", "reload", UNIT, ok=False)
        assert p.returncode != 0, "systemctl reload reported success"
    assert show("ActiveState") == "active" and main_pid() == pid
    assert b"X-Test: good" in fetch()
    write_conf("good")
    run("systemctl", "reload", UNIT)


def test_upgrade_keeps_the_pid_and_every_connection():
    pid = main_pid()
    with Load():
        for _ in range(3):
            run("/test/argand", "upgrade", "-c", str(CONF))
            assert main_pid() == pid
    assert show("ActiveState") == "active"


def test_master_killed_refuses_nothing():
    with Load():
        for _ in range(5):
            pid = main_pid()
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: int(show("MainPID")) not in (0, pid) and show("ActiveState") == "active",
                     "a new master")
            time.sleep(0.5)
    wait_for(lambda: len(pids()) == 3, f"one master and two workers, and no others: {pids()}", 20)


def test_restart_refuses_nothing():
    with Load():
        for _ in range(3):
            pid = main_pid()
            run("systemctl", "restart", UNIT)
            assert main_pid() != pid
    assert show("ActiveState") == "active"


def test_hung_master_is_replaced_by_the_watchdog():
    pid = main_pid()
    with Load():
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: int(show("MainPID")) not in (0, pid) and show("ActiveState") == "active",
                 "the watchdog", 20)


def test_worker_killed_is_replaced():
    with Load() as load:
        master = main_pid()
        victim = next(p for p in pids() if p != master)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in pids() and len(pids()) == 3, "the replacement")
        # What the victim had accepted is lost, and only that: at most one request of each thread.
        assert len(load.errors) <= len(load.threads), load.errors
        load.errors.clear()


def test_logs_are_reopened():
    log = next(iter(pathlib.Path("/var/log/argand").glob("*.log")), None)
    if log is None:  # the unit logs to standard output here; rotation by name is a test of its own
        run("systemctl", "kill", "--kill-whom=main", "--signal=USR1", UNIT)
        fetch()
        return
    log.rename(f"{log}.1")
    run("systemctl", "kill", "--kill-whom=main", "--signal=USR1", UNIT)
    wait_for(log.exists, "the new log file")


def test_bad_configuration_at_start_is_not_retried():
    run("systemctl", "stop", UNIT)
    CONF.write_text("server: {")
    assert run("systemctl", "start", UNIT, ok=False).returncode != 0
    assert show("ExecMainStatus") == "78", show("ExecMainStatus")
    time.sleep(0.5)
    assert show("ActiveState") == "failed" and show("NRestarts") == "0"
    write_conf()
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "start", UNIT)
    fetch()


def test_stop_leaves_nothing():
    before = pids()
    run("systemctl", "stop", UNIT)
    left = [p for p in before if os.path.exists(f"/proc/{p}")]
    assert not left, f"still there: {left}"
    assert show("ActiveState") == "inactive" and show("Result") == "success"
    try:
        fetch(timeout=2)
    except OSError:
        return
    raise AssertionError("somebody still answers")


def prepare():
    """The installed unit with the test's configuration in place of the sample."""
    os.makedirs("/test/www", exist_ok=True)
    pathlib.Path("/test/www/body").write_bytes(BODY)
    text = run("systemctl", "cat", UNIT).stdout
    conf = next(w for line in text.splitlines() if line.startswith("ExecStart=")
                for w in line.split() if w.endswith("argand.conf"))
    os.unlink(conf)
    os.symlink(CONF, conf)
    write_conf()


def main():
    prepare()
    wanted = os.environ.get("ARGAND_TESTS", "").split()
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (wanted and name[5:] not in wanted):
            continue
        began = time.monotonic()
        try:
            test()
            print(f"ok {name[5:]} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:  # one that fails must not hide the others
            traceback.print_exc(file=sys.stdout)
            print(run("systemctl", "status", "--no-pager", "-n", "0", UNIT, ok=False).stdout)
            print(f"FAILED {name[5:]}", flush=True)
            run("systemctl", "reset-failed", UNIT, ok=False)
            write_conf()
            run("systemctl", "restart", UNIT, ok=False)
    print("end", flush=True)


main()
