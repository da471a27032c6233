"""loadmeter (test/load/loadmeter.c) as tests use it: load that compares every octet and names every failure."""
import json
import os
import signal
import subprocess

import harness
from harness import patience

CONNS = 64
FAILURES = ["refused", "reset_before", "closed_before", "reset_mid", "truncated", "race", "timeout", "bad",
            "other"]


class Load:
    """Load on a server until stop(). mode: "kept-alive" or "new" connections; file: what every answer must hold,
    by default the file below the root that the path names."""

    def __init__(self, s, mode, conns=CONNS, rate=0, seconds=600, timeout=10, path="/1k.bin", file=None, requests=0):
        cmd = [harness.tool("loadmeter"), "-c", str(conns), "-t", str(seconds), "-r", str(rate), "-m", str(requests),
               "-w", str(patience(timeout) * 1000), "-f", file or os.path.join(s.root, path[1:])]
        cmd += ["-n"] if mode == "new" else []
        self.p = subprocess.Popen(cmd + ["127.0.0.1", str(s.port), path], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)

    def finish(self):
        """Waits for the end; the figures."""
        out, err = self.p.communicate(timeout=700)
        assert self.p.returncode == 0 and out, f"loadmeter: {self.p.returncode} {err}"
        self.r = json.loads(out)
        self.r["stderr"] = err
        return self.r

    def stop(self):
        """No request is begun any more; those in flight are finished."""
        self.p.send_signal(signal.SIGINT)
        return self.finish()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()


def lost(r):
    return sum(r[k] for k in FAILURES)


def assert_nothing_lost(r):
    assert r["ok"] > 100, f"hardly any load: {r['ok']} requests"
    assert lost(r) == 0, {k: r[k] for k in FAILURES if r[k]} | {"first": r["failures"][:5], "said": r["stderr"][:500]}
