"""Binary upgrade: same process, other program; and the way back."""
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

import harness
from harness import BIN, wait_for
from test_master import FILES, Load, generation, serving


@pytest.fixture
def upgradable(server):
    """A server that was started from a binary of its own, which can be replaced."""
    saved = harness.BIN

    def make(**kw):
        s = server(start=False, **kw)
        own = s.tmp + "/argand"
        shutil.copy(BIN, own)
        harness.BIN = own
        s.start()
        s.exe = own
        return s
    yield make
    harness.BIN = saved


def install(s, text=None, source=None):
    """Replaces the program by a rename, as packages do."""
    new = s.exe + ".new"
    if source:
        shutil.copy(source, new)
    else:
        with open(new, "w") as f:
            f.write(text)
    os.chmod(new, 0o755)
    os.rename(new, s.exe)


def exe_of(pid):
    return os.readlink(f"/proc/{pid}/exe")


def test_upgrade_keeps_the_process_and_serves(upgradable):
    s = upgradable(files=FILES)
    s.get("/a.txt")
    pid, before = s.pid, serving(s)
    install(s, source=BIN)
    assert exe_of(pid).endswith("(deleted)")
    r = s.cli("upgrade", check=0)
    assert "generation 2 serves" in r.stdout, r.stdout
    assert s.status()["pid"] == pid and exe_of(pid) == s.exe
    assert not set(before) & set(serving(s))
    assert s.status()["upgrades"] == 1
    assert s.status()["counters"]["requests"] >= 1, "counters are carried over"
    assert s.get("/a.txt").status == 200
    wait_for(lambda: len(s.workers(None)) == 2, "the old workers end")
    assert not [p for p in harness.session_pids(s.sid) if p != pid and p not in s.workers(None)]
    # and all goes on as ever
    os.kill(serving(s)[0], signal.SIGKILL)
    wait_for(lambda: len(serving(s)) == 2, "a replacement by the new binary")
    s.cli("reload", check=0)
    s.kill(signal.SIGUSR1)
    s.wait_log("opened anew")
    assert s.stop() == 0


def test_old_worker_finishes_under_the_new_binary(upgradable):
    s = upgradable(files=FILES)
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    s.cli("upgrade", check=0)
    # Its log is reopened through a channel that was handed over.
    os.rename(s.tmp + "/access.log", s.tmp + "/access.log.1")
    s.cli("reopen", check=0)
    c.send(b"\r\n")
    assert c.response().body == b"hello"
    c.close()
    wait_for(lambda: "/a.txt" in s.access_log(), "the old worker's line in the new log")
    wait_for(lambda: len(s.workers(None)) == 2, "the old worker ends")


def test_upgrades_and_reloads_under_load_lose_nothing(upgradable):
    s = upgradable(files=FILES)
    load = Load(s)
    for i in range(4):
        install(s, source=BIN)
        s.cli("upgrade", check=0)
        s.rewrite(workers=1 + i)
        s.cli("reload", check=0)
    assert load.stop() == []
    assert s.status()["upgrades"] == 4


def test_upgrade_by_signal(upgradable):
    s = upgradable(files=FILES)
    s.kill(signal.SIGUSR2)
    wait_for(lambda: s.status()["upgrades"] == 1, "the upgrade")
    assert s.get("/a.txt").status == 200


REFUSALS = {
    "not a program": ("this is no program\n", "cannot execute"),
    "gone": (None, "cannot execute"),
    "does not know the question": ("#!/bin/sh\necho what\n", "hand-over record"),
    "another record": ("#!/bin/sh\necho handover 999\n", "hand-over record"),
    "rejects the configuration":
        ('#!/bin/sh\n[ $1 = version ] && echo "handover 1" && exit\necho "no such option"; exit 78\n',
         "no such option"),
    "crashes": ("#!/bin/sh\nkill -SEGV $$\n", "killed by SIGSEGV"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_binary_that_refuses_leaves_all_as_it_is(upgradable, kind):
    s = upgradable(files=FILES)
    before = serving(s)
    text, message = REFUSALS[kind]
    if text is None:
        os.unlink(s.exe)
    else:
        install(s, text)
    r = subprocess.run([BIN, "upgrade", "-c", s.conf], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and message in r.stderr, r.stdout + r.stderr
    assert "generation 1 goes on serving" in r.stderr
    assert serving(s) == before and s.get("/a.txt").status == 200
    assert exe_of(s.pid) in (s.exe, s.exe + " (deleted)")


def patched(s, old, new):
    """Installs this binary with a text in it changed."""
    with open(BIN, "rb") as f:
        data = f.read()
    assert old in data and len(old) == len(new)
    with open(s.exe + ".patched", "wb") as f:
        f.write(data.replace(old, new))
    install(s, source=s.exe + ".patched")


def test_binary_that_cannot_read_the_record_goes_back(upgradable):
    s = upgradable(files=FILES)
    before = serving(s)
    load = Load(s)
    patched(s, b"argand-handover %d", b"argonn-handover %d")
    r = s.cli("upgrade")
    assert r.returncode == 1 and "cannot read the hand-over record" in r.stderr, r.stdout + r.stderr
    assert load.stop() == []
    assert serving(s) == before and generation(s) == 1
    assert exe_of(s.pid).endswith("(deleted)"), "the old binary runs"
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: len(serving(s)) == 2, "the old binary replaces a worker")
    install(s, source=BIN)
    s.cli("upgrade", check=0)
    assert exe_of(s.pid) == s.exe and s.get("/a.txt").status == 200


def test_record_that_nobody_can_read_ends_the_master_not_the_workers(upgradable):
    s = upgradable(files=FILES)
    before = serving(s)
    install(s, f"""#!/bin/sh
case $1 in run) ;; *) exec {BIN} "$@";; esac
: > /proc/self/fd/${{ARGAND_HANDOVER%%:*}}
exec {BIN} "$@"
""")
    assert s.cli("upgrade").returncode == 1
    assert s.proc.wait(harness.patience(5)) == 1
    assert all(harness.proc_stat(p) for p in before)
    assert s.get("/a.txt").body == b"hello"


def test_upgrade_to_another_layout_of_the_segment(upgradable):
    s = upgradable(files=FILES)
    for _ in range(5):
        s.get("/a.txt")
    wait_for(lambda: s.status()["counters"]["requests"] == 5, "the counters")
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    load = Load(s)
    patched(s, b"\0file_cache_misses\0", b"\0file_cache_missez\0")
    s.cli("upgrade", check=0)
    assert load.stop() == []
    assert "another layout" in s.error_log()
    assert s.status()["counters"]["requests"] >= 5
    c.send(b"\r\n")
    assert c.response().body == b"hello", "a worker with the old segment finishes"
    c.close()
    wait_for(lambda: len([p for p in harness.children(s.pid)]) == 2, "the old workers end")
    install(s, source=BIN)
    s.cli("upgrade", check=0)
    assert s.status()["counters"]["requests"] >= 5
    assert s.get("/a.txt").status == 200


SABOTAGE = """
#include <stdlib.h>
void *event_base_new_with_config(const void *c) { (void)c; return 0; }
__attribute__((constructor)) static void hide(void) { unsetenv("LD_PRELOAD"); }
"""


@pytest.mark.skipif(not shutil.which("cc") or harness.SANITIZED, reason="needs cc, and no sanitizer")
def test_new_generation_that_does_not_come_up_goes_back(upgradable):
    s = upgradable(files=FILES)
    before = serving(s)
    with open(s.tmp + "/s.c", "w") as f:
        f.write(SABOTAGE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", s.tmp + "/s.so", s.tmp + "/s.c"], check=True)
    c = s.connect()
    c.send(b"GET /a.txt HTTP/1.1\r\nHost: a\r\n")
    time.sleep(0.2)
    load = Load(s)
    install(s, f"""#!/bin/sh
case $1 in run) export LD_PRELOAD={s.tmp}/s.so;; esac
exec {BIN} "$@"
""")
    r = s.cli("upgrade")
    assert load.stop() == []
    assert r.returncode == 1 and "did not come up" in r.stderr and "must(" in r.stderr, r.stdout + r.stderr
    assert serving(s) == before and generation(s) == 1
    c.send(b"\r\n")
    assert c.response().body == b"hello"
    os.kill(before[1], signal.SIGKILL)
    wait_for(lambda: len(serving(s)) == 2, "the old binary replaces a worker")
    install(s, source=BIN)
    s.cli("reload", check=0)  # it has its sockets still
    s.cli("upgrade", check=0)
    assert s.get("/a.txt").status == 200
    assert s.stop() == 0


def test_upgrade_and_reload_at_the_same_time(upgradable):
    s = upgradable(files=FILES)
    out = []
    verbs = ["reload", "upgrade", "reload", "upgrade", "reload"]
    threads = [threading.Thread(target=lambda v=v: out.append((v, s.cli(v)))) for v in verbs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.returncode for _, r in out] == [0] * 5, [(v, r.stdout, r.stderr) for v, r in out]
    assert generation(s) >= 2 and s.get("/a.txt").status == 200


def test_requests_to_the_control_socket_survive_the_upgrade(upgradable):
    s = upgradable(files=FILES)
    done, failed, asked = threading.Event(), [], []

    def ask():
        while not done.is_set():
            try:
                assert s.control("status")[1] == 0
                asked.append(1)
            except (OSError, AssertionError, ValueError) as e:
                failed.append(repr(e))
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(5):
        s.cli("upgrade", check=0)
    done.set()
    for t in threads:
        t.join()
    assert not failed and len(asked) > 20, failed[:5]
