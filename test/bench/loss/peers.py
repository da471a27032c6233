"""The servers of the loss table: how each is started and what its documentation says to do for each event.

A peer is a class with a template beside this file. Its configuration bears a number that every answer shows
(X-Generation), so that an event counts as done only when a new connection is answered by the new configuration.

The process that runs this takes in the orphans (peers_adopt), because a master that upgrades itself may leave
its child to nobody: whatever a server started is below us, and is ended with it.
"""
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "system"))
from harness import BIN, children, free_port, proc_stat, wait_for  # noqa: E402

WORKERS = 2
RESTART = 0.1  # RestartSec of a service manager that was not told otherwise
PR_SET_CHILD_SUBREAPER = 36


def peers_adopt():
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def descendants(pid):
    return [d for c in children(pid) for d in (c, *descendants(c))]


def is_gone(pid):
    st = proc_stat(pid)
    return st is None or st[0] in "ZX"


class Peer:
    """name: in the table; template, flags: its configuration; how: what each event is for it, in words for the
    table. An event that is missing there does not exist; "as reload": the same signal does both."""
    name, template, flags = "", "", ()
    program, version_args = "", ("-v",)
    unit = ""  # what the configuration counts as workers
    how = {}

    def __init__(self, tmp, body):
        self.tmp, self.root, self.port = tmp, os.path.join(tmp, "www"), free_port()
        self.generation, self.proc, self.rng = 0, None, random.Random(self.name)
        self.variables = {}
        os.chmod(tmp, 0o777)
        os.makedirs(self.root)
        with open(os.path.join(self.root, "1k.bin"), "wb") as f:
            f.write(body)
        self.conf = os.path.join(tmp, "conf")
        self.configure(WORKERS)

    # --- configuration

    def configure(self, workers):
        self.generation += 1
        with open(os.path.join(HERE, self.template), encoding="utf-8") as f:
            text = self.chosen(f.read())
        for k, v in dict(self.variables, PORT=self.port, WORKERS=workers, RUN=self.tmp, ROOT=self.root,
                         GENERATION=self.generation).items():
            text = text.replace(f"@{k}@", str(v))
        assert not re.search("@[A-Z]+@", text), text
        with open(self.conf + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.conf + ".new", self.conf)

    def chosen(self, text):
        """Lines between %if FLAG, %else and %endif."""
        flags, out, wanted = set(self.flags) | ({"root"} if os.getuid() == 0 else set()), [], True
        for line in text.splitlines(True):
            if line.startswith("%if "):
                wanted = line[4:].strip() in flags
            elif line.startswith("%else"):
                wanted = not wanted
            elif line.startswith("%endif"):
                wanted = True
            elif wanted:
                out.append(line)
        return "".join(out)

    @classmethod
    def version(cls):
        p = subprocess.run([cls.program, *cls.version_args], capture_output=True, text=True, check=False)
        return re.search(r"\d+\.\d+[.\d]*(-\S+)?", p.stdout + p.stderr)[0]

    # --- processes

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def launch(self, cmd, **kw):
        with open(self.tmp + "/stdout", "ab") as out, open(self.tmp + "/stderr", "ab") as err:
            return subprocess.Popen(cmd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.tmp,
                                    env=dict(os.environ, **self.environment()), **kw)

    def start(self):
        self.proc = self.launch(self.command())
        self.wait_serving()

    def run(self, *cmd):
        """A command of the server's own that must succeed."""
        p = subprocess.run(cmd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert p.returncode == 0, f"{' '.join(cmd)}: {p.returncode}\n{p.stdout}{p.stderr}"

    def master(self):
        return self.proc.pid

    def workers(self):
        """Those that serve or drain."""
        return children(self.master())

    def stop(self):
        """Ends everything that was started below us, whatever state that is in."""
        for sig, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 5)):
            for p in descendants(os.getpid()):
                try:
                    os.kill(p, sig)
                except ProcessLookupError:
                    pass
            end = time.monotonic() + seconds
            while descendants(os.getpid()) and time.monotonic() < end:
                self.reap()
                time.sleep(0.02)
        self.reap()

    def reap(self):
        self.proc.poll()
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass

    # --- is it there, and which one

    def serving(self):
        """The generation that answers a new connection; None when nobody does."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                s.sendall(b"GET /1k.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                head = s.recv(65536)
        except OSError:
            return None
        m = re.search(rb"\r\nX-Generation: (\d+)\r\n", head, re.I)
        return int(m[1]) if m else None

    def wait_serving(self):
        wait_for(lambda: self.serving() == self.generation, f"{self.name} serves configuration {self.generation}", 20)

    def wait_left(self, old):
        """Until the processes of the last generation are gone; they may take their time, and then we go on."""
        end = time.monotonic() + 4
        while not all(is_gone(p) for p in old) and time.monotonic() < end:
            time.sleep(0.02)

    # --- events

    def reload(self, workers=WORKERS):
        old = self.workers()
        self.configure(workers)
        self.tell()
        self.wait_serving()
        self.wait_left(old)

    def tell(self):
        """Tells it that there is another configuration."""
        raise NotImplementedError

    def upgrade(self):
        raise NotImplementedError

    def kill(self):
        before = self.workers()
        victim = self.rng.choice(before)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(set(self.workers()) - {victim}) >= len(before), f"{self.name} replaces a dead worker", 20)


class Argand(Peer):
    name, template, program, unit = "Argand", "argand.conf", BIN, "processes"
    version_args = ("version",)
    how = {"reload": "`argand reload`", "workers": "`workers`, `argand reload`", "upgrade": "`argand upgrade`",
           "kill": "kill -9; its master starts another"}

    def command(self):
        return [BIN, "run", "-c", self.conf]

    def tell(self):
        self.run(BIN, "reload", "-c", self.conf)

    def upgrade(self):
        old = self.workers()
        self.configure(WORKERS)
        self.run(BIN, "upgrade", "-c", self.conf)
        self.wait_serving()
        self.wait_left(old)


class Nginx(Peer):
    name, template, program, unit = "nginx", "nginx.conf", "/usr/sbin/nginx", "processes"
    how = {"reload": "`nginx -s reload`", "workers": "`worker_processes`, `nginx -s reload`",
           "upgrade": "USR2, then WINCH and QUIT to the old master", "kill": "kill -9; its master starts another"}

    def command(self):
        return [self.program, "-p", self.tmp, "-c", self.conf]

    def start(self):
        super().start()
        self.proc.wait()  # the one that became a daemon

    def master(self):
        with open(self.tmp + "/nginx.pid", encoding="ascii") as f:
            return int(f.read())

    def tell(self):
        self.run(*self.command(), "-s", "reload")

    def upgrade(self):
        old, workers = self.master(), self.workers()
        self.configure(WORKERS)
        os.kill(old, signal.SIGUSR2)
        wait_for(lambda: self.has_other_master(old), "nginx has a second master", 20)
        self.wait_serving()
        os.kill(old, signal.SIGWINCH)
        self.wait_left(workers)
        os.kill(old, signal.SIGQUIT)
        wait_for(lambda: self.is_ended(old), "nginx' first master ends", 40)

    def has_other_master(self, old):
        try:
            return self.master() != old and self.workers()
        except (OSError, ValueError):
            return False

    def is_ended(self, pid):
        if os.getpid() == int((proc_stat(pid) or (0, 0))[1]):
            os.waitpid(pid, os.WNOHANG)
        return is_gone(pid)


class NginxReuseport(Nginx):
    name, flags = "nginx (reuseport)", ("reuseport",)


class Haproxy(Peer):
    name, template, program, unit = "HAProxy", "haproxy.conf", "/usr/sbin/haproxy", "threads"
    how = {"reload": "`haproxy -c`, USR2 to the master", "workers": "`nbthread`, then the same", "upgrade": "as reload",
           "kill": "kill -9; its master ends too, and is restarted after 100 ms as its unit says"}

    def command(self):
        return [self.program, "-Ws", "-f", self.conf, "-p", self.tmp + "/haproxy.pid"]

    def tell(self):
        self.run(self.program, "-Ws", "-c", "-q", "-f", self.conf)
        self.proc.send_signal(signal.SIGUSR2)

    def kill(self):
        os.kill(self.workers()[0], signal.SIGKILL)
        self.proc.wait(20)
        time.sleep(RESTART)
        self.start()


class HaproxyShards(Haproxy):
    name, flags = "HAProxy (shards by-thread)", ("shards",)


class Lighttpd(Peer):
    """One process. The test is its service manager, which holds the listening socket."""
    name, template, program, unit = "lighttpd", "lighttpd.conf", "/usr/sbin/lighttpd", ""
    how = {"reload": "USR1", "upgrade": "INT, and started anew; the socket is its service manager's",
           "kill": "kill -9; restarted after 100 ms, the socket is its service manager's"}
    sock = None

    def command(self):
        return ["/bin/sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh", self.program, "-D", "-f", self.conf]

    def start(self):
        if self.sock is None:
            self.sock = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        fd = self.sock.fileno()
        self.proc = self.launch(self.command(), close_fds=False, preexec_fn=lambda: os.dup2(fd, 3))
        self.wait_serving()

    def tell(self):
        self.proc.send_signal(signal.SIGUSR1)

    def upgrade(self):
        self.configure(WORKERS)
        self.proc.send_signal(signal.SIGINT)
        self.proc.wait(60)
        self.start()

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        time.sleep(RESTART)
        self.start()

    def stop(self):
        super().stop()
        if self.sock:
            self.sock.close()


class LighttpdBackground(Lighttpd):
    """Its former self goes on as a child while the process executes the program anew."""
    name, flags = "lighttpd (graceful-restart-bg)", ("bg",)
    how = {"reload": "USR1", "upgrade": "as reload", "kill": Lighttpd.how["kill"]}

    def reload(self, workers=WORKERS):
        super().reload(workers)
        self.wait_left(self.workers())


class LighttpdWorkers(Lighttpd):
    name, flags, unit = "lighttpd (workers)", ("workers",), "processes"
    how = {"reload": "USR1", "workers": "`server.max-worker`, USR1", "upgrade": Lighttpd.how["upgrade"],
           "kill": "kill -9; its parent starts another"}
    kill = Peer.kill


class Caddy(Peer):
    name, template, program, unit = "Caddy", "caddy.conf", "/usr/bin/caddy", ""
    version_args = ("version",)
    how = {"reload": "`caddy reload`"}

    def __init__(self, tmp, body):
        self.adminport = free_port()
        super().__init__(tmp, body)

    def configure(self, workers):
        self.variables = {"ADMINPORT": self.adminport}
        super().configure(workers)

    def command(self):
        return [self.program, "run", "--adapter", "caddyfile", "--config", self.conf]

    def environment(self):
        return {"GOMAXPROCS": str(WORKERS), "HOME": self.tmp, "XDG_DATA_HOME": self.tmp, "XDG_CONFIG_HOME": self.tmp}

    def workers(self):
        return []

    def tell(self):
        self.run(self.program, "reload", "--adapter", "caddyfile", "--config", self.conf, "--address",
                 f"127.0.0.1:{self.adminport}")


class H2o(Peer):
    name, template, program, unit = "h2o", "h2o.conf", "/usr/bin/h2o", "threads"
    how = {"reload": "HUP to the master", "workers": "`num-threads`, HUP", "upgrade": "as reload",
           "kill": "kill -9; its master starts another"}

    def command(self):
        return [self.program, "-m", "master", "-c", self.conf]

    def tell(self):
        self.proc.send_signal(signal.SIGHUP)


PEERS = [Argand, Nginx, NginxReuseport, Haproxy, HaproxyShards, Lighttpd, LighttpdBackground,
         LighttpdWorkers, Caddy, H2o]
