"""What happens when, computed from the seed before anything begins: the same seed, the same plan.

    plan = Plan(seed, seconds)
    plan.talks                       # [Talk]: conversations of clients, in order of time
    plan.lanes["server"]             # [Deed]: what is done to the server, its workers, its backends; one
                                     # lane after the other's back, each in order
A talk has a seed of its own, so that what a client does depends on nothing that another one met.
"""
import random
from typing import NamedTuple

from backends import PROTOCOLS

RATE = 45                            # talks a second
HOSTS = 2                            # of each pool
TALKS = {                            # kind: how often
    "files": 14, "fetch": 16, "post": 16, "echo": 8, "trouble": 12, "slow_reader": 4, "slow_sender": 4, "half_close": 5,
    "reset_head": 3, "reset_body": 5, "reset_response": 5, "pipeline": 5, "expect": 4, "upgrade": 4, "garbage": 4,
    "silent": 2, "endless": 4,
}
MODES = ["close", "reset", "cut_head?how=close", "cut_head", "cut_body?n=90000", "cut_body?n=90000&how=rst", "garbage",
         "status?code=500", "status?code=503", "status?code=503&retry=1", "slow_head?ms=1200", "stale?ms=1", "stale?ms=30",
         "early?after=1000&how=rst", "early?after=10", "stderr", "http10", "reset?after=5000", "close?after=100"]


class Talk(NamedTuple):
    at: float
    kind: str
    seed: str


class Deed(NamedTuple):
    at: float
    name: str
    args: tuple = ()


class Plan:
    def __init__(self, seed, seconds):
        self.seed, self.seconds = seed, seconds
        # From here on workers live: what they lose a little of with each request shows at the end.
        self.calm = max(0.6 * seconds, seconds - 120)
        self.talks = self.plan_talks(self.stream("talks"))
        self.lanes = {"backends": self.plan_backends(self.stream("backends")),
                      "server": self.plan_server(self.stream("server")), "observer": self.plan_observer(),
                      "workers": self.plan_workers(self.stream("workers"))}
        for deeds in self.lanes.values():
            deeds.sort(key=lambda d: d.at)

    def stream(self, name):
        return random.Random(f"{self.seed} {name}")

    def plan_talks(self, rng):
        n = max(1, int(self.seconds * RATE))
        kinds = rng.choices(list(TALKS), list(TALKS.values()), k=n)
        times = sorted(rng.uniform(0, self.seconds) for _ in range(n))
        return [Talk(t, k, f"{self.seed} {i} {k}") for i, (t, k) in enumerate(zip(times, kinds))]

    def plan_backends(self, rng):
        """Hosts of a pool have their troubles alone or together. Each host has one at a time, and each has its end."""
        out = []
        for first in range(0, len(PROTOCOLS) * HOSTS, HOSTS):
            t = rng.uniform(0.5, 3)
            while t < self.seconds - 1:
                hosts = range(first, first + HOSTS)
                if rng.random() < 0.6:
                    hosts = [rng.choice(hosts)]
                t += max([self.plan_trouble(rng, out, host, t) for host in hosts]) + rng.uniform(0.3, 3)
        return out

    def plan_trouble(self, rng, out, host, t):
        """Its length."""
        begin, end, longest = rng.choice([("kill", "start", 1.5), ("freeze", "thaw", 3), ("refuse", "listen", 1.5),
                                          ("flap", "listen", 1), ("mode", "mode", 2), ("mode", "mode", 2), ("cut", "cut", 0.5)])
        length, mode = rng.uniform(0.05, longest), rng.choice(MODES)
        if begin == "flap":
            return self.plan_flaps(rng, out, host, t)
        out.append(Deed(t, begin, (host, mode) if begin == "mode" else (host,)))
        out.append(Deed(t + length, end, (host, None) if end == "mode" else (host,)))
        return length

    def plan_flaps(self, rng, out, host, t):
        """Listens for a moment of each period."""
        n, period = rng.randrange(2, 6), rng.uniform(0.1, 0.5)
        for i in range(n):
            out.append(Deed(t + i * period, "refuse", (host,)))
            out.append(Deed(t + i * period + 0.7 * period, "listen", (host,)))
        return n * period

    def plan_server(self, rng):
        out, t = [Deed(self.calm, "reload_plain")], rng.uniform(0.5, 2)
        while t < self.seconds:
            weights = [10, 3, 6, 1, 2] if t < self.calm else [0, 0, 6, 1, 2]
            what = rng.choices(["reload", "upgrade", "operator", "reopen", "status"], weights)[0]
            if what == "operator":
                host = rng.randrange(len(PROTOCOLS) * HOSTS)
                verb = rng.choice([("drain",), ("disable",), ("weight", str(rng.randrange(1, 50)))])
                back = ("weight", "configured") if verb[0] == "weight" else ("enable",)
                out.append(Deed(t, what, (host, *verb)))
                out.append(Deed(t + rng.uniform(0.2, 3), what, (host, *back)))
            else:
                out.append(Deed(t, what, (rng.randrange(1 << 30),)))
            t += rng.uniform(0.2, 2.5)
        return out

    def plan_observer(self):
        return [Deed(i / 2, "look") for i in range(1, int(self.seconds * 2))]

    def plan_workers(self, rng):
        out, t = [], rng.uniform(1, 3)
        while t < self.seconds:
            which = rng.randrange(1000)
            if t < self.calm and (not out or rng.random() < 0.6):
                out.append(Deed(t, "kill_worker", (which,)))
            else:
                out.append(Deed(t, "stop_worker", (which, rng.choice([0.05, 0.3, 0.6, 1.2]))))
            t += rng.uniform(0.8, 4)
        return out
