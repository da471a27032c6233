"""Whatever happens, in whatever order: the server does what it says, and nothing is left of it afterwards.

Clients of all manners talk to a server for a while, in every combination of protocol and body policy. Meanwhile
backends die, freeze, flap and lie; the configuration is changed, the program replaced, hosts are taken out and in,
workers are killed and stopped. When it is over and the backends are well:

  - no process died that was not told to, no sanitizer has anything to say;
  - no request, connection, descriptor, process, spool file is left;
  - every answer that came whole was right, and each that did not has its reason: a worker that was killed, a
    backend that broke off;
  - the counters add up, with what clients know and among themselves;
  - a round of ordinary requests on every route succeeds.

Everything that happens is computed from a seed beforehand: SEED=7 make chaos CHAOS_TIME=1800. A run that failed
tells its seed.
"""
import os

import harness
from chaos import audit
from chaos.deeds import World
from harness import figure

SECONDS = float(os.environ.get("CHAOS_TIME") or 20)
SEED = os.environ.get("SEED") or "1"


def warm_up(world):
    """Everything once, so that what is opened at the first need is open."""
    assert world.command("reload") == 0 and world.command("upgrade") == 0
    harness.wait_for(lambda: len(world.s.workers()) == 3, "all workers are there", 30)
    for _ in range(3):
        audit.ordinary(world, True)
    before = audit.baseline(world)
    audit.access_log(world)
    return before


def test_chaos(server, peers):
    print(f"chaos: SEED={SEED} CHAOS_TIME={SECONDS:g}", flush=True)
    world = World(server(start=False), peers, SEED, SECONDS)
    try:
        world.start()
        before = warm_up(world)
        world.run()
        world.heal()
        audit.deaths(world)
        audit.losses(world)
        audit.all_well(world)
        audit.quiet(world)
        audit.descriptors(world, before)
        audit.counters(world)
        audit.access_log(world)
        audit.deaths(world)
    except Exception as e:
        raise AssertionError(f"{e}\nThe last of what happened:\n{world.last()}\n"
                             f"Again: SEED={SEED} CHAOS_TIME={SECONDS:g} make chaos") from e
    c = world.s.status()
    figure("chaos", seed=SEED, seconds=SECONDS, talks=world.book.talks, requests=c["counters"]["requests"],
           whole=sum(world.book.whole.values()), lost=len(world.book.losses), killed=len(world.kills),
           reloads=c["reloads"]["done"], upgrades=c["upgrades"], deeds=len(world.journal))
