#!/usr/bin/python3
"""The rules of the house that ARCHITECTURE.md lists, proved on the text of the sources.

Prints "ok RULE" or, for each breach, "file:line: text" and then "FAILED RULE". The sources have one
shape (.clang-format: return type and name on lines of their own, braces of a function in column 0),
so that reading them needs no C parser.
"""
import pathlib
import re
import sys

import rooms

PURE = ("h1_parse", "chunked", "uri", "cond", "proxyproto")  # of worker/: parse and compute only
MAX_FILE, MAX_HEADER, MAX_FUNCTION, MEDIAN = 800, 150, 70, 20

NAME = re.compile(r"^(?:[A-Za-z_][\w\s*]*?[\s*])?(\w+)\(")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
CONDITIONAL = re.compile(r"#\s*(if|ifdef|ifndef|elif)\b")


class Function:
    def __init__(self, name, line, length, is_static):
        self.name, self.line, self.length, self.is_static = name, line, length, is_static


def sources(*patterns):
    return sorted(p for d in rooms.DIRS for pat in patterns for p in pathlib.Path(d).rglob(pat))


def functions(path):
    """Each function of a file: the name stands in the lines above a "{" in column 0."""
    lines = path.read_text().splitlines()
    start = name = None
    for i, text in enumerate(lines):
        if text == "{":
            start, (name, is_static) = i, head_above(lines, i)
        elif text == "}" and name:
            yield Function(name, start + 1, i - start + 1, is_static)
            start = name = None


def head_above(lines, brace):
    """Name of the function whose body begins at this line, and whether it is static."""
    for i in range(brace - 1, max(0, brace - 12), -1):
        text = lines[i]
        if not text or text[0] in "}/#":
            break
        found = NAME.match(text) if text[0] not in "\t *" else None
        if found:
            return found.group(1), "static" in lines[i - 1] or text.startswith("static")
    return None, False


def rule_rooms():
    """Folders include the folders below them and nothing else; no circle. See rooms.py."""
    yield from rooms.breaches()


def rule_includes():
    # request.h: for the address that a PROXY header tells, a plain struct.
    allowed = ("common/", "config.h", "worker/request.h") + tuple(f"worker/{p}.h" for p in PURE)
    for path, n, header in rooms.includes():
        if path.parts[0] == "worker" and path.stem in PURE and not header.startswith(allowed):
            yield path, n, f"{path.stem} parses and computes only: it does not include {header}"


def rule_lengths():
    for path in sources("*.c", "*.h", "*.def"):
        n, limit = len(path.read_text().splitlines()), MAX_FILE if path.suffix == ".c" else MAX_HEADER
        if n > limit:
            yield path, n, f"{n} lines, the limit is {limit}"
    lengths = []
    for path in sources("*.c"):
        for f in functions(path):
            lengths.append(f.length - 2)
            if f.length - 2 > MAX_FUNCTION:
                yield path, f.line, f"{f.name} has {f.length - 2} lines, the limit is {MAX_FUNCTION}"
    if lengths and sorted(lengths)[len(lengths) // 2] >= MEDIAN:
        yield pathlib.Path("."), 0, f"the median function has {sorted(lengths)[len(lengths) // 2]} lines"


SHORT = {"request": ("req", "res"), "cond": ("etag", "accept"), "shm": ("ctr",)}


def nouns_of(path):
    """files/page_html.c: page, html, page_html, each after its folder too, and page_html.h's structs."""
    header = path.with_suffix(".h")
    structs = re.findall(r"^struct (\w+) \{", header.read_text(), re.M) if header.exists() else []
    own = {path.stem, path.stem.rstrip("s"), *path.stem.split("_")}
    room = path.parent.name
    return {room, *own, *(room + n for n in own), *structs, *SHORT.get(path.stem, ())}


def is_named(name, nouns):
    return any(name == n or name.startswith(n + "_") for n in nouns)


def rule_names():
    """noun_verb; what others call is named after its file or after the header that declares it."""
    declared = {}
    for path in sources("*.h"):
        for name in re.findall(r"(\w+)\(", path.read_text()):
            declared.setdefault(name, set()).update(nouns_of(path))
    for path in sources("*.c"):
        for f in functions(path):
            if f.name == "main" or f.is_static and "_" in f.name:
                continue
            if not is_named(f.name, nouns_of(path) | declared.get(f.name, set())):
                yield path, f.line, f"{f.name}() is not named after {path.name}"


def rule_leftovers():
    for path in sources("*.c", "*.h", "*.def"):
        for n, text in enumerate(path.read_text().splitlines(), 1):
            if LEFTOVER.search(text):
                yield path, n, "unfinished: " + text.strip()


def rule_openings():
    """A file over 150 lines says in its first lines what it owns, or its header does."""
    for path in sources("*.c"):
        texts = [p.read_text() for p in (path, path.with_suffix(".h")) if p.exists()]
        if texts[0].count("\n") > 150 and not any(t.startswith("/*") for t in texts):
            yield path, 1, "over 150 lines and no paragraph on what it owns"


def rule_guards():
    seen = {}
    for path in sources("*.h"):
        guard = re.sub(r"\W", "_", "/".join(path.parts[-2:])).upper()  # the innermost folder's
        if f"#ifndef {guard}\n#define {guard}\n" not in path.read_text():
            yield path, 1, f"the include guard is not {guard}"
        if seen.setdefault(guard, path) != path:
            yield path, 1, f"{seen[guard]} has the same include guard"


RULES = {name[5:]: rule for name, rule in list(globals().items()) if name.startswith("rule_")}


def main():
    failed = 0
    for name, rule in RULES.items():
        breaches = list(rule())
        for path, line, text in breaches:
            print(f"{path}:{line}: {text}")
        print(("FAILED " if breaches else "ok ") + name)
        failed += bool(breaches)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
