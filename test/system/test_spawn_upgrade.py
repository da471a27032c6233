"""Local backends over a binary upgrade that meets them in the middle of something, or goes back."""
import os
import shutil
import signal
import subprocess
import time

import pytest

import harness
from harness import BIN, wait_for
from test_master_upgrade import SABOTAGE, install, patched, upgradable  # noqa: F401
from test_spawn import APP, Load, alive, ask, conf, path, pids, spawn


def own(s):
    return pids(s, APP)


def settled(s, n):
    return wait_for(lambda: len(own(s)) == n and own(s), f"{n} processes")


def test_in_the_middle_of_a_roll_over(upgradable):  # noqa: F811
    """The new settings have been started, and have not taken over."""
    s = upgradable(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    with Load(s, 3) as load:
        s.rewrite(conf(spawn(more='processes = "2"; environment = [ "N=1" ];')))
        s.cli("reload", check=0)
        both = settled(s, 4)
        install(s, source=BIN)
        s.cli("upgrade", check=0)
        wait_for(lambda: not set(before) & set(own(s)), "the end of the old ones", 15)
        assert sorted(own(s)) == sorted(set(both) - set(before)), "those that were coming have come"
    assert load.failed == []
    assert ask(s)["environ"]["N"] == "1"
    assert not os.path.exists(path(s) + ".next")


def test_settings_that_are_taken_back_with_an_upgrade(upgradable):  # noqa: F811
    s = upgradable(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    with Load(s, 3) as load:
        s.rewrite(conf(spawn(more='processes = "2"; environment = [ "N=1" ];')))
        s.cli("reload", check=0)
        settled(s, 4)
        s.rewrite(conf(spawn(more='processes = "2";')))
        s.cli("upgrade", check=0)
        wait_for(lambda: own(s) == before, "the end of those that were coming", 15)
    assert load.failed == []
    assert "N" not in ask(s)["environ"]


def test_a_removed_pool_ends_after_an_upgrade(upgradable):  # noqa: F811
    s = upgradable(text=conf(spawn("one"), spawn("two")))
    settled(s, 2)
    one = ask(s, name="one")["pid"]
    s.rewrite(conf(spawn("two")))
    s.cli("upgrade", check=0)
    wait_for(lambda: not alive(one), "the end of the process of a pool that is gone", 15)
    assert ask(s, name="two")["pid"] in own(s) and not os.path.exists(path(s, "one"))


def goes_back(s, before, environment="N"):
    """The old binary serves, with the processes that there were, and watches them."""
    assert own(s) == before
    time.sleep(1.1)
    os.kill(before[0], signal.SIGKILL)
    wait_for(lambda: before[0] not in own(s) and len(own(s)) == len(before), "another process")
    me = ask(s, "say=still+heard")
    assert me["pid"] in own(s)
    s.wait_log(f"backend app[{me['pid']}]: still heard")


def test_a_record_that_cannot_be_read(upgradable):  # noqa: F811
    s = upgradable(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    with Load(s, 2) as load:
        patched(s, b"argand-handover %d", b"argonn-handover %d")
        assert s.cli("upgrade").returncode == 1
    assert load.failed == []
    goes_back(s, before)


@pytest.mark.skipif(not shutil.which("cc") or harness.SANITIZED, reason="needs cc, and no sanitizer")
def test_workers_that_do_not_come_up(upgradable):  # noqa: F811
    """What the new binary has started for the new configuration ends again."""
    s = upgradable(text=conf(spawn(more='processes = "2";')))
    before = settled(s, 2)
    with open(s.tmp + "/s.c", "w") as f:
        f.write(SABOTAGE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", s.tmp + "/s.so", s.tmp + "/s.c"], check=True)
    install(s, f"""#!/bin/sh
case $1 in run) export LD_PRELOAD={s.tmp}/s.so;; esac
exec {BIN} "$@"
""")
    text = s.text
    s.rewrite(conf(spawn(more='processes = "2"; environment = [ "N=1" ];'), spawn("more")))
    with Load(s, 2) as load:
        assert s.cli("upgrade").returncode == 1
        wait_for(lambda: own(s) == before, "the end of what was started for nothing")
    assert load.failed == []
    assert not os.path.exists(path(s, "more"))
    s.rewrite(text)
    s.cli("reload", check=0)
    goes_back(s, before)
    assert s.stop() == 0
