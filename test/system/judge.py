"""What no request may bring about: the properties of test_hostile_requests.py, computed from what a backend wrote down.

breaches(outcome, port) gives pairs of a kind and a text:
    path      the backend's own reading of the path is what another route denies
    naive     the most naive reading of it is
    secret    an answer with what nobody may have
    field     a field that the route sets or removes arrived otherwise
    client    the backend was told something else of the client than we say
    framing   the body has another length, or the backend waited for more
    switch    a protocol was changed that nobody permitted
    count     requests that nobody sent, an answer to another request
"""
import re
import urllib.parse

from hostile import REMOVED, SET

DENIED = re.compile(r"/+(admin|auth|denied|srv)(/|$)|.*\.bak$", re.DOTALL)
# Fields that only we say, and what they may be; None: whatever host was asked for.
FAMILY = {"x_forwarded_for": "127.0.0.1", "x_forwarded_proto": "http", "x_forwarded_host": None}
# Names that other servers know: none of them may arrive in another spelling than with "-".
KNOWN = {"authorization", "connection", "content_length", "content_type", "cookie", "expect", "host", "http2_settings",
         "transfer_encoding", "upgrade", *SET, *FAMILY}
EVIL = {"10.9.8.7", "admin", "evil.test", "text/evil", "/etc", "/etc/passwd", "on", "https", "http://evil.test/"}


def fold(name):
    """As CGI, WSGI and PHP make variables of names."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def fields_of(r):
    variables = r.get("variables", {})
    return [*r.get("fields", []), *r.get("trailers", []),
            *((k[5:], v) for k, v in variables.items() if k.startswith("HTTP_"))]


# --- paths

def squeeze(path):
    """Without dots and empty segments; a slash at the end stays."""
    out, parts = [], path.split("/")
    for s in parts:
        if s == "..":
            out = out[:-1]
        elif s not in ("", "."):
            out.append(s)
    return "/" + "/".join(out) + ("/" if out and parts[-1] in ("", ".", "..") else "")


def readings(raw):
    """All that the most naive readers make of a path: decoded up to twice; '\\' a '/'; parameters, what is behind a NUL and
    an authority in front gone; in any order."""
    seen, todo = set(), [(raw, 0)]
    while todo:
        path, decoded = todo.pop()
        if (path, decoded) in seen or len(path) > 9000:
            continue
        seen.add((path, decoded))
        todo += [(path.replace("\\", "/"), decoded), (re.sub(r";[^/]*", "", path), decoded), (path.split("\0")[0], decoded)]
        if path.startswith("//"):
            todo.append((re.sub(r"^//[^/]*", "", path), decoded))
        if decoded < 2:
            todo.append((urllib.parse.unquote(path, "latin-1"), decoded + 1))
    return {path for path, _ in seen}


def raw_path(r):
    v = r.get("variables", {})
    target = r.get("target") or v.get("RAW_URI") or v.get("REQUEST_URI") or ""
    return re.sub(r"^https?://[^/?]*", "", target.split("?")[0])


def resolved(column, r):
    """The backend's own readings."""
    v = r.get("variables", {})
    out = list(r.get("resolved", []))
    if column.name == "cgi":
        out.append(urllib.parse.unquote(raw_path(r), "latin-1"))
    if column.name in ("php-fpm", "cgi"):  # the script that was run, and what it finds behind its name
        out += [v.get("PATH_INFO", ""), v.get("SCRIPT_NAME", "")]
    elif v:  # PEP 3333
        out.append((v.get("SCRIPT_NAME", "") if not column.is_http else "") + v.get("PATH_INFO", ""))
    return list(dict.fromkeys(p for p in out if p))


def is_allowed(column, route, path):
    """Whether a request of this route may be one for this path."""
    if not path.startswith("/"):
        return True
    views = (path, squeeze(path))
    if route == "app":
        base = "/srv" if column.is_http else "/app"
        scripts = ("/index.php", "/witness.cgi")
        return path in scripts or all(p == base or p.startswith(base + "/") for p in views[1:])
    return route in ("root", "script") and not any(DENIED.match(p) for p in views)


def paths(o, r, route):
    raw = raw_path(r)
    for p in resolved(o.column, r):
        if not is_allowed(o.column, route, p):
            yield "path", f"{route}: {p}"
    name = r.get("variables", {}).get("SCRIPT_NAME", "")
    if o.column.name == "php-fpm" and not name.endswith(".php"):
        yield "path", f"run as a script: {name}"
    wrong = sorted(p for p in readings(raw) if not is_allowed(o.column, route, p))
    if wrong:
        yield "naive", f"{route}: {raw} read as {wrong[0]}"


# --- fields

def fields(r):
    for name, value in fields_of(r):
        f = fold(name)
        if f in SET and value != SET[f]:
            yield "field", f"{name.lower()}: {value}"
        if f == REMOVED and value:
            yield "field", f"{name.lower()}: {value}"
        if f in KNOWN and re.search(r"[^A-Za-z0-9-]", name) and "fields" in r:
            yield "field", f"{name.lower()}: {value}"
    for name, value in SET.items():
        if not any(fold(k) == name and v == value for k, v in fields_of(r)):
            yield "field", f"no {name}"


def client(o, r, port):
    hosts = {o.column.name, f"{o.column.name}:{port}"}
    for name, value in fields_of(r):
        f = fold(name)
        if f == "forwarded" or f.startswith("x_forwarded_"):
            if f not in FAMILY or (value != FAMILY[f] if FAMILY[f] else value not in hosts):
                yield "client", f"{name.lower()}: {value}"
        elif f == "proxy" or f == "http2_settings":
            yield "client", f"{name.lower()}: {value}"
    for name, value in r.get("variables", {}).items():
        if not name.startswith("HTTP_") and value in EVIL:
            yield "client", f"{name}={value}"
    for name, value in (("scheme", "http"), ("client", "127.0.0.1"), ("user", None)):
        if r.get(name) not in (None, value):
            yield "client", f"{name}: {r[name]}"


# --- bodies and connections

def framing(o, r):
    if r.get("length") not in (None, o.attack.length):
        yield "framing", f"a body of {r['length']} octets"
    v = r.get("variables", {}).get("CONTENT_LENGTH")
    if v and v != str(o.attack.length):
        yield "framing", f"CONTENT_LENGTH={v}"


def connections(o):
    kinds = [str(agent(r)) for r in o.records if "tunnel" not in r]
    want = {f"attack/{o.attack.name}", f"next/{o.attack.name}"}
    for k in kinds:
        if k not in want:
            yield "count", f"a request of {k!r}"
    for k in want:
        if kinds.count(k) > 1:
            yield "count", f"{k} arrived {kinds.count(k)} times"
    if o.followed != f"200 next/{o.attack.name}":
        yield "count", f"the next request got {o.followed!r}"
    if o.witness not in ("", f"attack/{o.attack.name}"):
        yield "count", f"it got the answer of {o.witness!r}"


def agent(r):
    named = [v for k, v in fields_of(r) if fold(k) == "user_agent"]
    return named[0] if named else None


def breaches(o, port):
    out = []
    if b"SECRET" in o.body:
        out.append(("secret", o.body.decode("latin-1").strip()[:60]))
    if o.status in (502, 504):
        out.append(("framing", f"the backend was waited for: {o.status}"))
    if o.status == 101 and not o.attack.may_switch:
        out.append(("switch", "101"))
    for r in o.records:
        if "tunnel" in r:
            if not o.attack.may_switch:
                out.append(("switch", f"a tunnel: {r['tunnel'][:40]}"))
            continue
        route = next((v for k, v in fields_of(r) if fold(k) == "x_route"), None)
        out += [*paths(o, r, route), *fields(r), *client(o, r, port)]
        if agent(r) == f"attack/{o.attack.name}":
            out += framing(o, r)
    return list(dict.fromkeys([*out, *connections(o)]))
