"""Regular expressions that decide, and paths that take one to its limit: what cannot be decided is refused."""
import ctypes
import os
import sys

import pytest

EVIL = "^/admin/(a+)+$"
PATH = "/admin/" + "a" * 60 + "!"

MDWE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) and sys.exit('no PR_SET_MDWE'); " \
       "os.execv(sys.argv[1], sys.argv[1:])"


@pytest.fixture(params=["machine code", "interpreter"], autouse=True)
def regex_by(request, monkeypatch, tmp):
    """With the machine code that PCRE2 makes, and where the kernel forbids it, as the shipped unit asks for."""
    if request.param == "machine code":
        return
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE, Linux 6.3
        pytest.skip("this kernel has no PR_SET_MDWE")
    script = os.path.join(tmp, "mdwe.py")
    with open(script, "w", encoding="utf-8") as f:
        f.write(MDWE)
    monkeypatch.setenv("ARGAND_WRAP", f"{sys.executable} {script}")


def test_route_of_an_expression_fails_closed(server):
    """A deny by an expression does not let a path in because it is long."""
    s = server(workers=1, routes=f'{{ regex = "{EVIL}"; access: {{ deny = "all"; }}; }}, '
                                 '{ path = "/admin"; respond = "secret"; }, { path = "/"; respond = "home"; }')
    assert s.get("/admin/aaa").status == 403
    for _ in range(50):
        a = s.get(PATH)
        assert a.status == 500 and b"secret" not in a.body
    assert s.get("/admin/b").body == b"secret" and s.get("/").body == b"home"
    lines = [x for x in s.error_log().splitlines() if "cannot be decided" in x]
    assert 1 <= len(lines) <= 5, "at most one a second"
    assert EVIL in lines[0] and "argand.conf:" in lines[0] and "limit" in lines[0], lines[0]
    said = s.cli("check").stdout + s.cli("check").stderr
    assert "a repeat of a repeat" in said and "argand.conf:" in said, said
    said = s.cli("explain", "http://localhost" + PATH)
    assert "cannot be decided" in said.stdout and "secret" not in said.stdout, said


@pytest.mark.parametrize("kind,text", [
    ("rewrite", 'rewrite = ( { match = "%s"; to = "/keep"; } ); respond = "secret";'),
    ("redirect", 'redirect: { match = "%s"; to = "/keep"; }; respond = "secret";')])
def test_rules_of_expressions_fail_closed(server, kind, text):
    s = server(workers=1, routes='{ exact = "/keep"; respond = "kept"; }, { path = "/"; ' + text % EVIL + " }")
    assert s.get("/admin/b").body == b"secret"
    a = s.get("/admin/aaa")
    assert (a.status, a.body) == (200, b"kept") if kind == "rewrite" else a.status == 302
    a = s.get(PATH)
    assert a.status == 500 and b"secret" not in a.body
    assert EVIL in s.error_log()


def test_page_of_what_cannot_be_decided(server):
    """The answer has the site's own page, and where that cannot be decided either, ours; it ends."""
    for page, body in (("/err", b"the page"), (PATH, b"500 Internal")):
        s = server(workers=1, site=f'error_pages = ( {{ status = 500; path = "{page}"; }} );',
                   routes=f'{{ regex = "{EVIL}"; respond = "no"; }}, {{ path = "/err"; respond = "the page"; }}')
        a = s.get(PATH)
        assert a.status == 500 and a.body.startswith(body), a


def test_long_plain_paths_are_decided(server):
    """Ordinary expressions look at the longest paths within their bounds."""
    s = server(workers=1, routes='{ regex = "^/(?:[^/]+/)*x$"; respond = "x"; }, { regex = "^(.+)\\\\.php(/|$)"; '
                                 'respond = "php"; }, { path = "/"; respond = "home"; }')
    assert s.get("/a" * 4000 + "/x").body == b"x"
    assert s.get("/" + "a" * 8000 + ".php").body == b"php"
    assert s.get("/a.php" * 1000).body == b"php"
    assert s.get("/" + "a/" * 4000).body == b"home"
