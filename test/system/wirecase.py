"""Conversations as data: reads test/wire/*.case and holds them with a server.

A case is one connection. Its file name says area-number-words; its lines are, in order:

    # text                  a comment
    spec RFC 9112 6.1       the section it proves (required, may be repeated)
    conf NAME               configuration test/wire/NAME.conf (default: plain)
    whole                   not to be repeated octet by octet
    > text                  sends text and CRLF
    >> text                 sends text as it is
    end                     the client's last octet was sent (half-close)
    pause MS                does nothing for a while
    method NAME             the next response answers this method (HEAD has no body)
    < STATUS                the next final response, strictly parsed, has this status. "400|431": one of
                            them; "cut": it breaks off before its end, or the
                            connection is reset; "eof": closed without a word
    < Name: value           it has this field, once, with exactly this value
    < Name ~ regex          the field matches (search)
    < !Name                 it has no such field
    body text               its body is exactly this
    body ~ regex            its body matches (search)
    body !~ regex           its body does not match
    size N                  its body has N octets
    framing KIND            none, length, chunked, close
    interim N ...           the 1xx responses that came before it ("interim" alone: none)
    continue                a 100 (Continue) comes now
    trailer Name: value     its trailer section has this field
    keep NAME FIELD         remembers a field's value for \\{NAME} further on
    silent MS               nothing comes for this long, and the connection stays
    open                    the same, briefly: the server waits for the next request
    closed                  the server closes in an orderly way and says nothing more

Escapes in text: \\r \\n \\t \\0 \\\\ \\xNN \\{NAME} and \\(N:text), which is text N times.

Every case runs twice: as written, and octet by octet, where each octet is a segment of its own (the
parser must be resumable everywhere).

    wirecase.py --seeds DIR     writes what each case sends to DIR/wire-NAME, for the fuzzers
"""
import os
import re
import sys
import time

import harness

SEED_MAX = 2048  # octets: the sizes that matter to a parser's states are small
WIRE = os.path.join(harness.TOP, "test", "wire")
ESCAPE = re.compile(r"\\(?:([rnt0\\])|x([0-9a-fA-F]{2})|\{(\w+)\}|\((\d+):((?:[^)\\]|\\.)*)\))")
SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


class Case:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)[:-5]
        self.conf, self.spec, self.is_whole, self.steps = "plain", [], False, []
        with open(path, encoding="utf-8") as f:
            for n, line in enumerate(f, 1):
                self.line(n, line.rstrip("\n"))
        if not self.spec:
            raise ValueError(f"{path}: no spec line")

    def line(self, n, line):
        word, _, rest = line.partition(" ")
        if not word or word.startswith("#"):
            return
        if word == "spec":
            self.spec.append(rest)
        elif word == "conf":
            self.conf = rest
        elif word == "whole":
            self.is_whole = True
        elif word in STEPS:
            self.steps.append((n, word, rest))
        else:
            raise ValueError(f"{self.path}:{n}: unknown word {word!r}")

    def octets(self):
        """All that the client says, for the fuzzers; kept values are not known here."""
        out = ""
        for _, word, rest in self.steps:
            if word in (">", ">>"):
                out += expand(rest, {}) + ("\r\n" if word == ">" else "")
        return out.encode("latin-1")


def expand(text, kept):
    def one(m):
        if m[1]:
            return SIMPLE[m[1]]
        if m[2]:
            return chr(int(m[2], 16))
        if m[3]:
            return kept.get(m[3], "kept")
        return expand(m[5], kept) * int(m[4])

    return ESCAPE.sub(one, text)


class Talk:
    """One conversation in progress."""

    def __init__(self, conn, split):
        self.c, self.split, self.kept = conn, split, {}
        self.method, self.r, self.pending = "GET", None, ""
        self.is_cut = False     # the server broke an answer off: a reset is in order, too

    def flush(self):
        """Consecutive > lines leave together, as a client would send them."""
        data, self.pending = self.pending.encode("latin-1"), ""
        if not data:
            return
        try:
            self.speak(data)
        except (BrokenPipeError, ConnectionResetError):
            self.is_cut = True  # what comes next decides whether it may

    def speak(self, data):
        if not self.split:
            self.c.send(data)
        elif len(data) <= 600:
            self.c.send(data, split=True, pause=0.00005)
        else:  # long runs of the same are no news
            self.c.send(data[:200], split=True, pause=0.00005)
            self.c.send(data[200:-200])
            self.c.send(data[-200:], split=True, pause=0.00005)

    def step(self, word, rest):
        if word not in (">", ">>"):
            self.flush()
        STEPS[word](self, rest)

    def text(self, rest):
        return expand(rest, self.kept)

    # --- the client speaks

    def send_line(self, rest):
        self.pending += self.text(rest) + "\r\n"

    def send(self, rest):
        self.pending += self.text(rest)

    def end(self, _):
        self.c.shutdown()

    def pause(self, rest):
        time.sleep(float(rest) / 1000)

    def set_method(self, rest):
        self.method = rest

    def keep(self, rest):
        name, field = rest.split()
        self.kept[name] = self.r[field]

    # --- what must come

    def expect(self, rest):
        if re.fullmatch(r"[0-9a-z|]+", rest):
            return self.expect_status(rest.split("|"))
        if rest.startswith("!"):
            assert rest[1:] not in self.r, f"{rest[1:]} must not be there: {self.r}"
            return None
        m = re.fullmatch(r"([^:~ ]+)(:| ~) ?(.*)", rest)
        assert m, f"what does {rest!r} mean?"
        got = self.r.all(m[1])
        if m[2] == ":":
            assert got == [self.text(m[3])], f"{m[1]}: {got} instead of {self.text(m[3])!r}"
        else:
            assert got and re.search(m[3], ", ".join(got)), f"{m[1]}: {got} does not match {m[3]!r}"
        return None

    def expect_status(self, wanted):
        was_cut, self.is_cut = self.is_cut, False
        try:
            if "eof" in wanted and not self.c.buf and not self.c.more():
                return
            self.r = self.c.response(self.method)
        except (AssertionError, ConnectionResetError) as e:
            if "cut" in wanted and (self.c.is_eof or isinstance(e, ConnectionResetError)):
                self.c.buf, self.is_cut = b"", True
                return
            raise AssertionError(f"wanted {'|'.join(wanted)}: {e}") from None
        assert not was_cut or "cut" in wanted, "the server reset the connection while the client was sending"
        self.is_cut = was_cut
        self.method = "GET"
        assert str(self.r.status) in wanted, f"{self.r.status} instead of {'|'.join(wanted)}: {self.r}"

    def body(self, rest):
        got = self.r.body.decode("latin-1")
        if rest.startswith("~ "):
            assert re.search(rest[2:], got), f"body {got[:500]!r} does not match {rest[2:]!r}"
        elif rest.startswith("!~ "):
            assert not re.search(rest[3:], got), f"body {got[:500]!r} matches {rest[3:]!r}"
        else:
            assert got == self.text(rest), f"body {got[:500]!r} instead of {self.text(rest)!r}"

    def size(self, rest):
        assert len(self.r.body) == int(rest), f"{len(self.r.body)} octets instead of {rest}"

    def framing(self, rest):
        assert self.r.framing == rest, f"framing {self.r.framing} instead of {rest}"

    def interim(self, rest):
        got = [r.status for r in self.r.interim]
        assert got == [int(x) for x in rest.split()], f"interim {got} instead of {rest}"

    def trailer(self, rest):
        name, _, value = rest.partition(": ")
        assert (name, value) in self.r.trailers, f"trailers {self.r.trailers}"

    def continue_(self, _):
        r = harness.parse_head(self.c.take_until(b"\r\n\r\n")[:-4])
        assert r.status == 100, f"{r} instead of 100"

    def silent(self, rest):
        self.c.expect_open(float(rest) / 1000)

    def open(self, _):
        self.c.expect_open(0.02)

    def closed(self, _):
        try:
            self.c.expect_closed()
        except ConnectionResetError:
            assert self.is_cut, "reset instead of closed"


STEPS = {
    ">": Talk.send_line, ">>": Talk.send, "end": Talk.end, "pause": Talk.pause,
    "method": Talk.set_method, "keep": Talk.keep, "<": Talk.expect, "body": Talk.body,
    "size": Talk.size, "framing": Talk.framing, "interim": Talk.interim, "trailer": Talk.trailer,
    "continue": Talk.continue_, "silent": Talk.silent, "open": Talk.open, "closed": Talk.closed,
}


def run(case, server, split):
    with server.connect(timeout=8) as c:
        talk = Talk(c, split)
        for n, word, rest in case.steps:
            try:
                talk.step(word, rest)
            except (AssertionError, OSError) as e:
                raise AssertionError(f"{case.path}:{n}: {word} {rest}\n{e}\n"
                                     f"({', '.join(case.spec)})\n{c.conversation()}") from None
        talk.flush()


def cases():
    return [Case(os.path.join(WIRE, f)) for f in sorted(os.listdir(WIRE)) if f.endswith(".case")]


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "--seeds":
        sys.exit("usage: wirecase.py --seeds DIR")
    os.makedirs(sys.argv[2], exist_ok=True)
    for k in cases():
        with open(os.path.join(sys.argv[2], "wire-" + k.name), "wb") as out:
            out.write(k.octets()[:SEED_MAX])
