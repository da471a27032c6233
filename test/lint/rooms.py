#!/usr/bin/python3
"""The rooms of the sources and which of them include which, read from the files.

`make rooms` prints them from the ground up; DOT=1 (--dot) makes a graph for Graphviz. house.py proves with
the table here that no room includes what it may not, and that no rooms include each other in a circle.
"""
import collections
import pathlib
import re
import sys

DIRS = ("common", "master", "worker", "modules")
# Each room and the rooms below it that it may include: these, and what these may include.
ROOMS = {
    "common/base": (),
    "common/config": ("common/base",),
    "common/segment": ("common/config",),
    "common/balance": ("common/segment",),
    "common/status": ("common/balance",),
    "worker": ("common/segment",),
    "modules": ("worker",),
    "modules/files": ("worker",),
    "modules/log": ("worker",),
    "modules/auth": ("worker",),
    "modules/links": ("worker",),
    "modules/progress": ("worker",),
    "modules/receive": ("worker",),
    "modules/status": ("worker", "common/status"),
    "modules/gateway/codec": ("worker",),
    "modules/gateway/pool": ("modules/gateway/codec", "common/balance"),
    "modules/gateway": ("modules/gateway/pool",),
    "master/base": ("common/segment",),
    "master/local": ("master/base", "common/balance"),
    "master": ("master/local", "common/status"),
    "master/cli": ("master",),
}
# Of a room that lies beside, these headers alone.
WORKER = tuple(f"worker/{h}.h" for h in
               ("worker", "request", "res", "resfile", "body", "spool", "chunked", "uri", "cond", "vars", "pipe"))
HEADERS = {room: WORKER for room in ROOMS if room.startswith("modules")}
HEADERS |= {"master": ("worker/worker.h",), "master/cli": ("worker/uri.h",)}

INCLUDE = re.compile(r'#\s*include\s+"([^"]+)"')


def room_of(path):
    return path.rpartition("/")[0]


def below(room):
    """All rooms that a room may include."""
    found = set()
    for r in ROOMS[room]:
        found |= {r} | below(r)
    return found


def includes():
    """(file, line, included) for each include of a file of ours."""
    for path in sorted(p for d in DIRS for e in ("*.c", "*.h", "*.def") for p in pathlib.Path(d).rglob(e)):
        for n, text in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(text)
            if found and "/" in found.group(1):
                yield path, n, found.group(1)


def breaches():
    for path, n, header in includes():
        room, other = room_of(str(path)), room_of(header)
        if room not in ROOMS:
            yield path, n, f"{room} is no room of test/lint/rooms.py"
        elif other == room:
            continue
        elif other == "worker" and room in HEADERS:
            if header not in HEADERS[room]:
                yield path, n, f"{room} does not include {header}"
        elif other not in below(room):
            yield path, n, f"{room} does not include {header}"
    circle = find_circle(edges())
    if circle:
        yield pathlib.Path("test/lint/rooms.py"), 0, "a circle: " + " -> ".join(circle)


def edges():
    """How many includes lead from each room to each other one."""
    found = collections.defaultdict(collections.Counter)
    for path, _, header in includes():
        room, other = room_of(str(path)), room_of(header)
        found[room]
        if other != room:
            found[room][other] += 1
    return found


def find_circle(graph):
    done = set()

    def walk(room, trail):
        if room in trail:
            return trail[trail.index(room):] + [room]
        if room in done:
            return None
        for other in graph.get(room, ()):
            circle = walk(other, trail + [room])
            if circle:
                return circle
        done.add(room)
        return None

    return next((c for c in (walk(r, []) for r in list(graph)) if c), None)


def height(room, graph):
    return 1 + max((height(r, graph) for r in graph.get(room, ())), default=-1)


def needed(room, graph):
    """The rooms it includes, without those that are reached through another one of them."""
    def reach(r):
        return set(graph.get(r, ())).union(*(reach(o) for o in graph.get(r, ())))
    direct = set(graph[room])
    return sorted(direct - set().union(*(reach(o) for o in direct)), key=list(ROOMS).index)


def print_text(graph):
    lines = {r: [sum(1 for _ in p.open()) for e in ("*.c", "*.h", "*.def") for p in pathlib.Path(r).glob(e)]
             for r in graph}
    print(f"{'room':24}{'files':>6}{'lines':>8}  stands on (includes)")
    for room in sorted(graph, key=lambda r: (height(r, graph), list(ROOMS).index(r))):
        on = ", ".join(f"{o} {graph[room][o]}" for o in needed(room, graph))
        print(f"{room:24}{len(lines[room]):6}{sum(lines[room]):8}  {on or '-'}")


def print_dot(graph):
    print("digraph rooms {\n\trankdir = BT;\n\tnode [shape = box];")
    for room in graph:
        for other in needed(room, graph):
            print(f'\t"{room}" -> "{other}" [label = {graph[room][other]}];')
    print("}")


if __name__ == "__main__":
    circle = find_circle(edges())
    if circle:
        sys.exit("a circle of rooms: " + " -> ".join(circle))
    (print_dot if "--dot" in sys.argv else print_text)(edges())
