"""Hostile requests against real backends: what hostile.py sends, and what arrives at each of witnesses.py.

All of it is sent once, before the first test: each request to each backend, with a second request behind it in the same
segment. The table of what became of it, a row per request and a column per backend, is written to
hostile-requests.md beside the other figures ($B/check). The tests are the properties that no cell may breach; they do not
say how a request ends that breaches none.
"""
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

import harness
import witnesses
from hostile import FIELDS, PATHS
from judge import agent, breaches, fields_of, fold, resolved

# Requests of good people that look like attacks: where these are refused, the rest proves nothing.
MUST_PASS = (b"/public/a", b"/app/a", b"/a%2Fb", b"/public/a;jsessionid=0")
MUST_PASS_AIMS = ("control: a body", "control: chunks", "control: the name itself", "an extension", "capitals", "httpoxy",
                  "Connection: Authorization", "RFC 7239", "the family", "cookies", "ranges")


@dataclass
class Outcome:
    attack: object
    column: object
    status: int = 0                 # of the answer; 0: the connection was closed without one
    witness: str = ""               # whose answer it is, as the backend says
    body: bytes = b""
    followed: str = ""              # what came in answer to the request behind it
    records: list = field(default_factory=list)
    found: list = field(default_factory=list)

    def received(self):
        """What the application got of the request itself."""
        return next((r for r in self.records if agent(r) == f"attack/{self.attack.name}"), None)


def answer(conn, method):
    """The next answer, or None where the connection ends before one."""
    try:
        return conn.response(method)
    except ConnectionResetError:
        return None
    except AssertionError:
        if conn.is_eof and not conn.buf:
            return None
        raise


def ask(server, column, attack):
    """Both requests in one segment; the second one again, where the first one closed the connection."""
    o = Outcome(attack, column)
    behind = f"GET /public/f HTTP/1.1\r\nHost: {column.name}\r\nUser-Agent: next/{attack.name}\r\n\r\n".encode()
    before, column.record.last = column.record.last, o
    n = None
    try:
        with server.connect(timeout=8) as c:
            c.send(attack.octets(column.name, f"attack/{attack.name}") + behind)
            if r := answer(c, attack.method.strip().decode()):
                o.status, o.witness, o.body = r.status, r.get("X-Witness", ""), r.body
                n = answer(c, "GET") if r.status != 101 else None
        if not n:
            with server.connect(timeout=8) as c:
                c.send(behind)
                n = answer(c, "GET")
        o.followed = f"{n.status} {n.get('X-Witness', '')}" if n else "no answer"
    except AssertionError as e:  # silence, or an answer that is none
        o.followed = str(e)[:100]
    for r in column.record.take():
        is_late = before and before.attack is not attack and agent(r) == f"attack/{before.attack.name}"
        (before if is_late else o).records.append(r)
    return o


def ask_all(server, columns):
    """Several backends at once, each of them one request after the other."""
    groups = {}
    for c in columns:
        groups.setdefault(c.record, []).append(c)

    def ask_group(group):
        return [ask(server, column, attack) for attack in PATHS + FIELDS for column in group]
    with ThreadPoolExecutor(4) as pool:
        out = [o for found in pool.map(ask_group, groups.values()) for o in found]
    order = {a.name: i for i, a in enumerate(PATHS + FIELDS)}
    return sorted(out, key=lambda o: order[o.attack.name])


@pytest.fixture(scope="module")
def outcomes(shared_server):
    tmp = harness.new_tmp()
    os.chmod(tmp, 0o777)
    crowd = witnesses.Crowd(tmp)
    try:
        server = shared_server(text=crowd.configuration())
        out = ask_all(server, crowd.columns.values())
        server.stop()
        for c in crowd.columns.values():
            c.record.last.records += c.record.take()
        for o in out:
            o.found = breaches(o, server.port)
        write_table(out)
    finally:
        crowd.stop()
        harness.remove_tmp(tmp)
    return out


# --- the table

def quoted(text, limit):
    text = "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text).replace("|", "\\|").replace("`", "'")
    return f"`{text if len(text) <= limit else text[:limit - 1] + '…'}`"


def cell(o):
    """A refusal by its status; else what arrived. Bold: the breach of a property."""
    r = o.received()
    text = [str(o.status) if o.status else "closed"]
    if r:
        text += [quoted(s, 40) for s in arrived(o, r)] or ["–"]
    out = " ".join(text)
    return f"{out} **{'; '.join(quoted(what, 60) for _, what in o.found[:2])}**" if o.found else out


def arrived(o, r):
    if o.attack.name[0] == "p":
        return [p for p in resolved(o.column, r) if p not in ("/index.php", "/witness.cgi")][:2]
    names = {fold(line.split(b":")[0].strip().decode("latin-1")) for line in re.split(rb"[\r\n]+", o.attack.lines + o.attack.body)}
    return [f"{k}: {v}" for k, v in fields_of(r) if fold(k) in names][:3]


def write_table(out):
    columns = list(dict.fromkeys(o.column.name for o in out))
    lines = ["# Hostile requests and what each backend received", "",
             "A number is the status of a refusal, or of the answer with what the application received behind it; – is "
             "nothing of the attack. Bold is what must not be.", ""]
    for title, attacks in (("Paths", PATHS), ("Fields", FIELDS)):
        lines += [f"## {title}", "", f"| | {title.lower()} | aim | " + " | ".join(columns) + " |",
                  "|---" * (len(columns) + 3) + "|"]
        for a in attacks:
            cells = [cell(o) for o in out if o.attack is a]
            lines.append(f"| {a.name} | {quoted(a.text(), 120)} | {a.aim.replace('|', '/')} | " + " | ".join(cells) + " |")
        lines.append("")
    os.makedirs(harness.REPORT, exist_ok=True)
    with open(os.path.join(harness.REPORT, "hostile-requests.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines))


# --- the properties

def complain(outcomes, *kinds):
    found = {}
    for o in outcomes:
        for kind, what in o.found:
            if kind in kinds:
                found.setdefault(o.attack.name, (o.attack, {}))[1].setdefault(what, []).append(o.column.name)
    lines = []
    for a, whats in found.values():
        lines.append(f"{a.name} {a.text()} ({a.aim})")
        lines += [f"    {what}  at {', '.join(columns)}" for what, columns in whats.items()]
    assert not lines, f"{len(found)} requests:\n" + "\n".join(lines)


@pytest.mark.parametrize("name", witnesses.NEEDS)
def test_backend_is_there(outcomes, name):
    """A column for each; and good requests arrive in it."""
    mine = [o for o in outcomes if o.column.name == name]
    if not mine:
        pytest.skip(f"{' or '.join(witnesses.NEEDS[name])} is not installed: etc/install-deps.sh check")
    assert len(PATHS) >= 60 and len(FIELDS) >= 40 and len(mine) == len(PATHS) + len(FIELDS)
    for o in mine:
        if o.attack.target in MUST_PASS or o.attack.aim in MUST_PASS_AIMS:
            assert o.received(), f"{o.attack.name} {o.attack.text()}: {o.status}"


def test_paths_as_backends_resolve_them(outcomes):
    """No request reaches what is denied, what asks for a password, or what is outside its route's mapping."""
    complain(outcomes, "path", "secret")


def test_paths_as_the_most_naive_would(outcomes):
    """The same for one who decodes twice, takes '\\' for '/', parameters for nothing and '//' for an authority."""
    complain(outcomes, "naive")


def test_fields_that_are_ours(outcomes):
    """What the route sets has our value, in whatever spelling it arrives; what it removes does not arrive."""
    complain(outcomes, "field")


def test_what_is_said_of_the_client(outcomes):
    """Address, scheme, user and variables are those that we say."""
    complain(outcomes, "client")


def test_framing(outcomes):
    """Bodies have the length they were sent with, and no backend waits for more."""
    complain(outcomes, "framing")


def test_no_other_protocol(outcomes):
    complain(outcomes, "switch")


def test_requests_stay_apart(outcomes):
    """As many requests arrive as were sent, and each gets its own answer."""
    complain(outcomes, "count")
