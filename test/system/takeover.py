"""Everything at once: while a worker that was taken over (test/load/hostile.c) writes into the segment,
the master starts, answers every command, reloads, upgrades, buries and replaces killed workers, scales
local backends, is killed itself and followed by another, and stops.

    takeover.py DIRECTORY SEED SECONDS

Workers may die of what they read; of the master it is asked that it
  - is ended by no signal but ours and has no report of a sanitizer,
  - answers each command within a bound,
  - signals nobody but its children (other processes are named everywhere), and starts no more of them
    than the configuration allows,
  - serves again when the writer has gone and the configuration was loaded anew.
Run by test_hostile_segment.py in namespaces of its own. The order of the commands follows from the seed.
"""
import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import harness
from harness import SANITIZED, Server, children, tool
from segment import fd_of
from test_master_manager import Manager
from test_spawn import APP

QUICK, SLOW = (10, 90) if SANITIZED else (4, 60)  # seconds in which a command answers
MOST = 4    # processes of the local pool
POOLS = f"""
	web = {{ hosts = [ "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3" ]; protocol = "http"; }};
	app = {{ protocol = "scgi"; spawn = {{ command = [ "{APP}" ]; processes = "1..{MOST}";
		idle = "1s"; stop_timeout = "1s"; }}; }};
"""
ROUTES = """{ path = "/status"; status = true; }, { path = "/app"; gateway = "app"; },
	{ path = "/web"; gateway = "web"; }"""
OPTIONS = 'stop_timeout = "1s"; drain_timeout = "2s"; max_generations = 8;'


def loopback_up():
    """A new network has no address."""
    with socket.socket() as s:
        req = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(s, 0x8913, req))[1]
        fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", b"lo", flags | 1))


def command_of(pid):
    """Who goes while it is looked at has none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


class Hostile:
    def __init__(self, tmp, seed):
        self.random = random.Random(seed)
        user = 'user = "nobody";' if os.geteuid() == 0 else ""
        self.manager = Manager(tmp + "/notify")
        self.s = Server(tmp, files={"a.txt": "hello"}, start=False, env=self.manager.env,
                        server=user + OPTIONS, routes=ROUTES, backends=POOLS, workers=3)
        self.texts = [self.s.text, self.s.text.replace("workers = 3", "workers = 4"),
                      self.s.text.replace('"127.0.0.1:3"', '"127.0.0.1:4"'), self.s.text + "nonsense"]
        self.decoys = [subprocess.Popen(["sleep", "1000000"]) for _ in range(3)]
        if os.geteuid() == 0:
            self.decoys.append(subprocess.Popen(["sleep", "1000000"], user="nobody"))
        self.writer, self.writes, self.masters, self.longest, self.done = None, 0, [], {}, {}
        self.stopping = False

    # --- the writer

    def write(self):
        path = fd_of(self.s.pid, "argand")
        pids = [d.pid for d in self.decoys] + [os.getpid(), self.s.pid, 1, 0, -1]
        self.writer = subprocess.Popen([tool("hostile"), path, str(self.random.getrandbits(32)), *map(str, pids)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def write_no_more(self):
        out, _ = self.writer.communicate()
        assert self.writer.returncode == 0
        self.writes += int(out)
        self.writer = None

    # --- the server

    def start(self):
        self.manager.start(self.s)
        self.masters.append(self.s.pid)
        self.wait(lambda: self.is_there(), "the master answers", QUICK)
        # A server whose very first worker is killed ends: that is how it is, and not what is asked here.
        self.manager.wait(READY="1", MAINPID=str(self.s.pid))

    def is_there(self):
        self.look()
        try:
            return self.s.control("status", 2 * QUICK)[1] == 0
        except (OSError, ValueError):
            return False

    def wait(self, cond, what, seconds):
        end = time.monotonic() + seconds
        while not cond():
            assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
            time.sleep(0.02)

    def look(self):
        """What must hold at any time."""
        status = self.s.proc.poll()
        assert status is None, f"the master ended: status {status}\n{self.s.output()[-3000:]}"
        for d in self.decoys:
            assert d.poll() is None, f"process {d.pid} was ended: {d.returncode}"
        apps = [p for p in children(self.s.pid) if APP.encode() in command_of(p)]
        assert len(apps) <= 2 * MOST, f"{len(apps)} local processes"
        for name in os.listdir(self.s.tmp):
            if name.startswith("sanitizer.") and int(name.rsplit(".", 1)[1]) in self.masters:
                raise AssertionError("the master:\n" + self.s.read(name)[:8000])

    def ask(self, what, bound, fn):
        begun = time.monotonic()
        try:
            answer = fn()
        except (TimeoutError, subprocess.TimeoutExpired) as e:
            raise AssertionError(f"{what}: no answer in {bound} s") from e
        took = time.monotonic() - begun
        self.longest[what] = max(self.longest.get(what, 0), took)
        self.done[what] = self.done.get(what, 0) + 1
        assert took < bound, f"{what}: {took:.1f} s"
        return answer

    def command(self, line, bound=QUICK):
        return self.ask(line.split()[0], bound, lambda: self.s.control(line, bound / harness.SLOW + 1))

    def cli(self, verb, *args, bound=SLOW):
        return self.ask(verb, bound, lambda: self.s.cli(verb, *args, seconds=bound / harness.SLOW + 1))

    # --- what is done

    def do_status(self):
        self.command(self.random.choice(["status", "status --json", "status --color", "status --segment"]))

    def do_backend(self):
        pool, host = self.random.choice(["web", "app", "nobody"]), f"127.0.0.1:{self.random.randrange(1, 5)}"
        verb = self.random.choice(["drain", "disable", "enable"])
        self.command("backend" + self.random.choice(["", " " + pool, f" {pool} {verb} {host}",
                                                     f" {pool} weight {host} 7", " --color"]))

    def do_small(self):
        self.command(self.random.choice(["config", "log-level debug", "log-level info", "reopen"]))

    def do_check(self):
        self.cli("check", bound=QUICK)
        self.cli("explain", "http://localhost/app/x", bound=QUICK)

    def do_reload(self):
        with open(self.s.conf + ".new", "w") as f:
            f.write(self.random.choice(self.texts))
        os.rename(self.s.conf + ".new", self.s.conf)
        self.cli("reload")

    def good_file(self):
        with open(self.s.conf + ".new", "w") as f:
            f.write(self.texts[0])
        os.rename(self.s.conf + ".new", self.s.conf)

    def do_upgrade(self):
        self.good_file()
        self.cli("upgrade")

    def do_kill_worker(self):
        pids = [p for p in children(self.s.pid)]
        if pids:
            os.kill(self.random.choice(pids), self.random.choice([signal.SIGKILL, signal.SIGABRT]))

    def do_kill_master(self):
        self.good_file()
        self.s.kill(signal.SIGKILL)
        self.s.proc.wait()
        self.manager.settle()
        self.start_again()

    def do_stop(self):
        self.good_file()
        self.stop()
        self.start_again()

    def start_again(self):
        """While the segment before is written to: then the new one is."""
        self.start()
        self.write_no_more()
        self.write()

    def stop(self):
        self.s.proc.send_signal(self.random.choice([signal.SIGTERM, signal.SIGQUIT]))
        status = self.ask("stop", SLOW, lambda: self.s.proc.wait(SLOW))
        assert status == 0, f"stopped with status {status}\n{self.s.output()[-3000:]}"
        self.manager.settle()

    STEPS = [(do_status, 12), (do_backend, 8), (do_small, 3), (do_check, 1), (do_reload, 3), (do_upgrade, 1),
             (do_kill_worker, 3), (do_kill_master, 1), (do_stop, 1)]

    def traffic(self):
        while not self.stopping:
            for path in ("/a.txt", "/app/?sleep=0.02", "/web", "/status?format=prometheus", "/status?format=json"):
                try:
                    with socket.create_connection(self.s.address, 1) as c:
                        c.settimeout(1)
                        c.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                        while c.recv(65536):
                            pass
                except OSError:
                    time.sleep(0.01)

    def run(self, seconds):
        self.start()
        self.write()
        threads = [threading.Thread(target=self.traffic, daemon=True) for _ in range(2)]
        for t in threads:
            t.start()
        end, fns = time.monotonic() + seconds, [f for f, n in self.STEPS for _ in range(n)]
        first = [Hostile.do_status, Hostile.do_backend, Hostile.do_reload, Hostile.do_kill_worker,
                 Hostile.do_upgrade, Hostile.do_kill_master, Hostile.do_stop]
        while first or time.monotonic() < end:
            fn = first.pop(0) if first else self.random.choice(fns)
            fn(self)
            self.look()
        self.write_no_more()
        self.stopping = True
        for t in threads:
            t.join()

    def finish(self):
        """Nobody writes any more: a reload, and all is as it was."""
        self.good_file()
        p = self.cli("reload")
        assert p.returncode == 0, p.stdout + p.stderr
        self.s.wait_ready(30)
        self.wait(lambda: self.s.get("/a.txt").body == b"hello", "it serves", QUICK)
        self.wait(lambda: len([w for w in self.s.status()["workers"] if w["state"] == "ready"]) >= 3,
                  "all workers serve", SLOW)
        self.look()
        self.stop()
        for d in self.decoys:
            assert d.poll() is None, f"process {d.pid} was ended: {d.returncode}"
            d.kill()

    def tell(self):
        print(f"{self.writes} hostile writes; masters {len(self.masters)}; " + ", ".join(
            f"{k} {n} (at most {self.longest[k]:.2f} s)" for k, n in self.done.items()))
        for name in sorted(os.listdir(self.s.tmp)):
            if name.startswith("sanitizer."):
                lines = [line for line in self.s.read(name).split("\n") if "ERROR" in line or "runtime error" in line]
                print(f"worker {name}: {(lines or [''])[0][:300]}")


def main(tmp, seed, seconds):
    print(f"seed {seed}", flush=True)
    if os.getpid() < 10 and os.geteuid() == 0:
        loopback_up()
    h = Hostile(tmp, int(seed))
    try:
        h.run(float(seconds))
        h.finish()
        h.tell()
    except BaseException:
        h.tell()
        print(h.s.output()[-4000:])
        raise
    finally:
        h.stopping = True
        if h.writer:
            h.writer.kill()
        for d in h.decoys:
            d.kill()


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main(*sys.argv[1:4])
    sys.stdout.flush()
    os._exit(0)
