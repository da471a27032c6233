"""The world of a chaos run: a server with a route for each protocol and policy, its backends, and the deeds that
are done to them. What is done is noted with its time, because the end judges by it.
"""
import os
import random
import select
import signal
import threading
import time

import harness
from backends import PROTOCOLS, pool
from chaos import clients, plan
from chaos.talks import KINDS, MAX_BODY, REQUEST_BODIES, RESPONSE_BODIES

THREADS = 24
# What outlasts every patience of the server that a polite client could meet is no part of this test. The wait for
# a host is a single one, and short, so that an outage is answered and not waited for.
TIMEOUTS = {"connect": "1s", "send": "3s", "first_byte": "2s", "between_bytes": "2s", "queue": "3s"}
MORE_TIMEOUTS = {"http": {"keepalive": "1s", "tunnel": "5s"}, "fastcgi": {"keepalive": "1s"}, "ajp": {"keepalive": "1s"}}
FAILOVER = {"refused": "200ms", "unreachable": "200ms", "errors": "200ms", "overload": "200ms", "max": "400ms"}
SERVER_PART = """
	timeout: { header = "5s"; body = "8s"; write = "10s"; keepalive = "8s"; linger = "2s"; };
	spool: { directories = [ "@TMP@/spool" ]; };
	max_generations = 32; drain_timeout = "60s";
"""
SITE = f"""
	max_body = "{MAX_BODY}"; headers: {{ set = [ "X-Worker: $worker" ]; }};
	error_pages = ( {{ status = 404; path = "/page.html"; }} );
"""
GAUGES = {"connections", "connections_idle", "requests_active", "file_cache_bytes", "file_cache_files", "spool_bytes",
          "loop_lag_max_ms", "rss_bytes", "pipes"}
REQUESTS_AT_ONCE = 10 * THREADS # a client that left may be noticed later
SETTLED = 3                     # after its last trouble a pool is as it was


class World:
    def __init__(self, s, peers, seed, seconds):
        self.s, self.plan, self.book = s, plan.Plan(seed, seconds), clients.Book()
        self.address = s.address
        self.peers = [(p, peers(p, tcp=bool(k))) for p in PROTOCOLS for k in range(plan.HOSTS)]
        self.lock, self.journal = threading.Lock(), []
        self.killed = set()     # pids
        self.kills = []         # [pid, before the kill, when the kernel said that it is gone]
        self.counted = {}       # what the observer saw last
        self.troubles = {p: [] for p in PROTOCOLS}  # [what, begin, end or None]
        self.began = time.monotonic()
        self.errors = []
        self.asked = iter(self.plan.talks)

    # --- the configuration

    def configure(self, rng=None):
        """Writes one: the plain one, or one that rng makes up."""
        def one(*choices):
            return rng.choice(choices) if rng else choices[0]

        server = SERVER_PART + f"\tkeepalive_requests = {one(10000, rng.randrange(2, 9) if rng else 0, 500)};"
        server += f'file_cache: {{ max_files = {one(10000, 2, 0)}; }};'
        pools = ""
        for p in PROTOCOLS:
            hosts = [peer for q, peer in self.peers if q == p]
            options = {"timeout": TIMEOUTS | MORE_TIMEOUTS.get(p, {}),
                       "failover": FAILOVER | {"grace": one("10s", "0", "300ms")},
                       "retry": {"attempts": one(3, 1, 2)}, "max_queue": one(1024, 2), "max_head": one("64k", "128k"),
                       "balance": one("two-choices", "round-robin", "least-connections", "static")}
            keepalive = one(32, 0, 1)
            if p in MORE_TIMEOUTS:
                options["keepalive"] = keepalive
            if one(False, True):
                options["health"] = {"path": f"/{p}/echo", "interval": "300ms", "timeout": "300ms"}
            pools += pool(p, *one(hosts, hosts[:1], hosts[::-1], hosts), protocol=p, **options)
        routes = ['{ path = "/status"; status = true; }',
                  '{ path = "/deny"; respond: { status = 403; type = "text/plain"; body = "denied"; }; }']
        for p in PROTOCOLS:
            for q in REQUEST_BODIES:
                for r in RESPONSE_BODIES:
                    routes.append(f'{{ path = "/{p}/{q}/{r}"; gateway = {{ backend = "{p}"; upgrade = "websocket"; '
                                  f'request_body = "{q}"; response_body = "{r}"; response_disk = "8M"; '
                                  f'response_memory = "{one("64k", "4k")}"; }}; }}')
        self.s.rewrite(workers=one(3, 1, 2, 4), server=server, site=SITE, routes=", ".join(routes), backends=pools)

    def start(self):
        spool = os.path.join(self.s.tmp, "spool")
        os.makedirs(spool)
        os.chmod(spool, 0o777)
        for name, data in clients.FILES.items():
            self.s.write(name, data, mtime=time.time() - 100)
        self.configure()
        self.s.start()

    # --- noting

    def note(self, text):
        with self.lock:
            self.journal.append((time.monotonic() - self.began, text))

    def last(self, n=60):
        with self.lock:
            return "\n".join(f"  {t:8.3f} {text}" for t, text in self.journal[-n:])

    def trouble(self, protocol, what):
        with self.lock:
            self.troubles[protocol].append([what, time.monotonic(), None])

    def trouble_ends(self, protocol):
        with self.lock:
            for t in self.troubles[protocol]:
                t[2] = t[2] or time.monotonic()

    def was_troubled(self, protocol, begin, end, what=None):
        if protocol == "*":
            return True
        with self.lock:
            return any(t[1] <= end and (t[2] is None or t[2] + SETTLED >= begin) and what in (None, t[0])
                       for t in self.troubles.get(protocol, []))

    def was_told(self, protocol, begin, end):
        return self.was_troubled(protocol, begin, end, "mode")

    def was_killed(self, begin, end, workers=()):
        """A connection that was answered on is its worker's for ever; whose any other was, only the time says."""
        with self.lock:
            return any(at <= end + 0.05 and (str(pid) in workers if workers else gone is None or begin <= gone + 0.05)
                       for pid, at, gone in self.kills)

    # --- running

    def run(self):
        """Everything that was planned; returns when it is over."""
        self.began = time.monotonic()
        end = self.began + 2 * self.plan.seconds + harness.patience(60)
        threads = [threading.Thread(target=self.lane, args=(name, deeds), daemon=True) for name, deeds in self.plan.lanes.items()]
        threads += [threading.Thread(target=self.talker, args=(end,), daemon=True) for _ in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(max(0, end + harness.patience(clients.PATIENCE + 30) - time.monotonic()))
            assert not t.is_alive(), "a client or a lane of deeds does not end"
        assert not self.errors, "\n".join(self.errors[:5])

    def sleep_until(self, at):
        time.sleep(max(0, self.began + at - time.monotonic()))

    def talker(self, end):
        while True:
            with self.lock:
                talk = next(self.asked, None)
            if talk is None or time.monotonic() > end:
                return
            self.sleep_until(talk.at)
            person = clients.Person(self, talk)
            self.book.count("talks")
            try:
                KINDS[talk.kind](person)
                with self.lock:
                    self.book.kinds[talk.kind] += 1
            except clients.Lost:
                pass
            except Exception as e:  # whatever it is: the run shall go on, and tell at its end
                person.fault(f"{type(e).__name__}: {e}")
            finally:
                if person.c:
                    person.c.close()

    def lane(self, name, deeds):
        for deed in deeds:
            self.sleep_until(deed.at)
            try:
                getattr(self, "do_" + deed.name)(*deed.args)
            except Exception as e:
                self.note(f"{name}: {deed.name} {deed.args} failed: {e!r}")
                self.errors.append(f"{deed.name} {deed.args}: {type(e).__name__}: {e}")

    # --- to backends

    def to_peer(self, host, what, *args, begins=None):
        protocol, peer = self.peers[host]
        self.note(f"{what} {protocol} {peer.host} {args or ''}")
        if begins:
            self.trouble(protocol, begins)
        getattr(peer, what)(*args)
        if begins is None:
            self.trouble_ends(protocol)

    def do_kill(self, host):
        self.to_peer(host, "kill", begins="kill")

    def do_start(self, host):
        # The pipes of the dead one are not needed any more.
        for f in (self.peers[host][1].p.stdin, self.peers[host][1].p.stdout):
            f.close()
        self.to_peer(host, "start")

    def do_freeze(self, host):
        self.to_peer(host, "freeze", begins="freeze")

    def do_thaw(self, host):
        self.to_peer(host, "thaw")

    def do_refuse(self, host):
        self.to_peer(host, "refuse", begins="refuse")

    def do_listen(self, host):
        self.to_peer(host, "listen")

    def do_mode(self, host, mode):
        self.to_peer(host, "mode", mode, begins=mode and "mode")

    def do_cut(self, host):
        self.to_peer(host, "ask", "cut", begins="cut")
        self.trouble_ends(self.peers[host][0])

    # --- to the server

    def command(self, *words):
        begun = time.monotonic()
        p = self.s.cli(*words, seconds=60)
        self.note(f"argand {' '.join(words)}: {p.returncode} after {time.monotonic() - begun:.3f} s {p.stderr.strip()[-200:]}")
        # A new generation may fail when one of its workers was killed; nothing else is a reason.
        if p.returncode and words[0] != "backend" and not self.was_killed(begun, time.monotonic()):
            self.errors.append(f"argand {' '.join(words)}: {p.returncode} {p.stderr}")
        return p.returncode

    def do_reload(self, seed):
        self.configure(random.Random(seed))
        self.command("reload")

    def do_reload_plain(self):
        for _ in range(3):  # the first may meet a worker that was killed while it was born
            self.configure()
            if self.command("reload") == 0:
                return
        raise AssertionError("no reload succeeds")

    def do_upgrade(self, seed):
        if seed % 2:
            self.configure(random.Random(seed))
        self.command("upgrade")

    def do_reopen(self, _):
        self.command("reopen")

    def do_status(self, _):
        self.command("status")

    def do_operator(self, host, verb, *more):
        protocol, peer = self.peers[host]
        self.command("backend", protocol, verb, peer.host, *more)

    # --- looking on

    def do_look(self):
        """Totals never fall, whoever dies or is replaced, and gauges are sums of what is there."""
        try:
            st = self.s.status()
        except (OSError, ValueError):
            return  # the control socket of a program that is just being replaced
        now = st["counters"]
        for name, value in now.items():
            is_gauge = name in GAUGES
            if value < self.counted.get(name, 0) and not is_gauge or value >= 1 << 60:
                self.errors.append(f"counter {name} went from {self.counted.get(name)} to {value}")
        if now["requests_active"] > REQUESTS_AT_ONCE or now["connections"] > REQUESTS_AT_ONCE:
            self.errors.append(f"more under way than there are clients: {now}")
        self.counted = now

    # --- to workers

    def pick(self, which):
        """A worker, of any generation; None: there is none to be found just now."""
        try:
            pids = [p for p in sorted(self.s.workers(None)) if p and int((harness.proc_stat(p) or [0] * 4)[3]) == self.s.sid]
        except (OSError, AssertionError, ValueError, TypeError):
            return None
        return pids[which % len(pids)] if pids else None

    def signal(self, pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return False
        self.note(f"{signal.Signals(sig).name} to worker {pid}")
        return True

    def do_kill_worker(self, which):
        pid = self.pick(which)
        if pid:
            self.kill(pid)

    def kill(self, pid):
        """Until the kernel has closed what it had, clients may begin on its connections; on a busy machine for long."""
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        entry = [pid, time.monotonic(), None]
        with self.lock:  # before, because a client may learn of it at once
            self.killed.add(pid)
            self.kills.append(entry)
        self.signal(pid, signal.SIGKILL)
        select.select([fd], [], [], harness.patience(10))
        entry[2] = time.monotonic()
        os.close(fd)

    def do_stop_worker(self, which, seconds):
        pid = self.pick(which)
        if pid and self.signal(pid, signal.SIGSTOP):
            time.sleep(seconds)
            self.signal(pid, signal.SIGCONT)

    # --- afterwards

    def heal(self):
        """Backends and their standing with the server as in the beginning."""
        for i, (protocol, peer) in enumerate(self.peers):
            if peer.p.poll() is not None:
                self.do_start(i)
            peer.thaw()
            peer.mode(None)
        for protocol, peer in self.peers:
            for words in (["enable", peer.host], ["weight", peer.host, "configured"]):
                p = self.s.cli("backend", protocol, *words)
                assert p.returncode == 0, p.stderr
