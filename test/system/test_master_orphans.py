"""A master that is killed with nobody to start another: what becomes of its workers."""
import os
import signal
import time

from harness import children, proc_stat, wait_for


def lives(pid):
    st = proc_stat(pid)
    return bool(st) and st[0] not in "ZX"


def test_killed_in_the_middle_of_a_reload(server):
    """Those that serve serve on; those that were starting never will, and end."""
    s = server(workers=2, files={"index.html": b"here"})
    old = children(s.pid)
    s.rewrite(workers=60)
    try:
        os.kill(s.pid, signal.SIGHUP)
        new, end = [], time.monotonic() + 30
        while len(new) < 4 and time.monotonic() < end:
            new = [p for p in children(s.pid) if p not in old]
        os.kill(s.pid, signal.SIGSTOP)  # between two of them
        new = [p for p in children(s.pid) if p not in old]
        assert 4 <= len(new) <= 60
        os.kill(s.pid, signal.SIGKILL)
        s.proc.wait(10)
        wait_for(lambda: not any(lives(p) for p in new), "the end of those that were starting", 15)
        assert all(lives(p) for p in old)
        assert s.get("/").status == 200
    finally:
        for p in old:
            if lives(p):
                os.kill(p, signal.SIGTERM)
        wait_for(lambda: not any(lives(p) for p in old), "the end", 15)
