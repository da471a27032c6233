"""Hosts that come and go: every request of a pool that cannot be reached waits and is answered, by one worker that
lives on, however its waits are cut up."""
import threading
import time

from backends import pool
from harness import free_port


def test_refusing_hosts(server):
    """Each request finds both hosts refusing again and again, and waits anew each time, for what is left of its
    timeout.queue: a thousand different times."""
    names = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    s = server(workers=1, routes='{ path = "/app"; gateway = "app"; }', backends=pool(
        "app", *names, protocol="http", failover={"threshold": 1000}, timeout={"queue": "3s"}))
    before, answers = s.workers(), []

    def ask(i):
        time.sleep(i * 0.013)  # so that no two wait for the same time
        began = time.monotonic()
        answers.append((s.get("/app/x").status, time.monotonic() - began))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [status for status, _ in answers] == [503] * 40
    assert min(took for _, took in answers) >= 2.9, "nobody is sent away early"
    assert s.workers() == before, "the worker lives"
    assert "aborted" not in s.error_log()
