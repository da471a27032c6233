"""How many rows the shared segment has for hosts and pools follows from the configuration."""
import json
import os

from harness import wait_for
from segment import fd_of


def pools(n, hosts, first=0):
    """So many pools of so many hosts each; nothing listens there."""
    out = []
    for i in range(first, first + n):
        names = ", ".join(f'"127.{i // 200 + 1}.{i % 200}.{k + 1}:9"' for k in range(hosts))
        out.append(f'p{i} = {{ hosts = [ {names} ]; protocol = "http"; }};')
    return "".join(out)


def table(s, name):
    lines = s.cli("status", "--segment", check=0).stdout.splitlines()
    return next(r for r in map(json.loads, lines) if r["table"] == name and "row" not in r)


def reload(s, backends):
    s.rewrite(backends=backends)
    s.cli("reload", check=0)


def octets(s):
    """What the segment takes of memory: pages that nobody has touched take none."""
    return os.stat(fd_of(s.pid, "argand")).st_blocks * 512


def test_more_hosts_than_were_ever_there(server):
    """With 1,024 rows for all of them the last 92 of these were never asked: 'no room in the segment'."""
    s = server(backends=pools(18, 62))
    wait_for(lambda: sum(len(p["hosts"]) for p in s.status()["pools"]) >= 1000, "the pools", 30)
    assert "no room in the segment" not in s.error_log()
    wait_for(lambda: sum(len(p["hosts"]) for p in s.status()["pools"]) == 18 * 62, "all hosts have rows", 30)
    assert table(s, "backends")["size"] >= 18 * 62


def test_reload(server):
    s = server(backends=pools(2, 3))
    small, size = octets(s), table(s, "backends")
    assert size["size"] < 100 and size["reach"] == size["size"] and size["rows"] > 1000
    reload(s, pools(20, 10, first=5))
    wait_for(lambda: table(s, "backends")["used"] >= 200, "all hosts have rows", 30)
    large = table(s, "backends")
    assert large["size"] > 400 and table(s, "pools")["used"] >= 20
    reload(s, pools(2, 3))
    # Rows of hosts that are gone are found until they are forgotten.
    after = table(s, "backends")
    assert after["size"] == size["size"] and after["reach"] == large["reach"]
    assert small < 1 << 20, f"{small} octets for six hosts"


def test_too_many(server):
    s = server(backends=pools(2, 3))
    s.rewrite(backends=pools(33, 63))
    p = s.cli("check", check=78)
    assert "all pools together have at most 2048 hosts" in p.stderr
