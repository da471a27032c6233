"""The status: the same figures in every form, from any worker."""
import html.parser
import json
import os
import re
import shutil
import subprocess

import pytest
from harness import patience, wait_for

ROUTES = ('{ path = "/status"; status = true; }, { path = "/metrics"; status = true; },'
          ' { path = "/open"; status: { enabled = true; remote = true; }; }, { path = "/"; }')


def sample(text, name):
    m = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert m, f"no {name} in\n{text}"
    return float(m[1])


def test_json(server):
    s = server(files={"a": "x"}, routes=ROUTES, workers=3)
    for _ in range(10):
        assert s.get("/a").status == 200
    wait_for(lambda: s.status()["counters"]["requests"] >= 10, "ten requests counted")
    r = s.get("/status?format=json")
    assert r["Content-Type"] == "application/json" and r["Cache-Control"] == "no-store"
    d = r.json()
    assert d["pid"] == s.pid and d["workers_wanted"] == 3 and d["state"] == "serving"
    assert sorted(w["pid"] for w in d["workers"]) == sorted(s.workers())
    assert {w["state"] for w in d["workers"]} == {"ready"}
    assert d["counters"]["responses_2xx"] >= 10
    assert d["counters"]["requests"] == sum(w["counters"]["requests"] for w in d["workers"])
    assert d["counters"]["connections"] >= 1
    assert d["counters"]["requests_active"] >= 1
    assert {w["row"] for w in d["workers"]} == set(d["slots"])
    assert sum(w["slots"] for w in d["workers"]) == len(d["slots"])
    assert d["reloads"]["last_ok"] is True


def test_any_worker_shows_all(server):
    """Each of many connections gets the same workers, whoever answers."""
    s = server(routes=ROUTES, workers=4)
    seen = set()
    for _ in range(40):
        d = s.get("/status?format=json").json()
        seen.add(tuple(sorted(w["pid"] for w in d["workers"])))
    assert seen == {tuple(sorted(s.workers()))}
    accepted = [w["counters"]["connections_accepted"] for w in d["workers"]]
    assert sum(1 for n in accepted if n) > 1, "one worker answered all: this shows nothing"


@pytest.mark.parametrize("path, accept, form", [
    ("/status", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
    ("/status", "application/json", "application/json"),
    ("/status", "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4", "0.0.4"),
    ("/status", "*/*", "text/plain; charset=utf-8"),
    ("/status", None, "text/plain; charset=utf-8"),
    ("/status?format=json", "text/html", "application/json"),
    ("/status?a=b&format=html", None, "text/html"),
    ("/status?format=prometheus", None, "version=0.0.4"),
    ("/status?format=text", "text/html", "text/plain; charset=utf-8"),
    ("/status/x.json", "text/html", "application/json"),
    ("/metrics", "*/*", "version=0.0.4"),
])
def test_forms(server, path, accept, form):
    s = server(routes=ROUTES)
    r = s.get(path, {"Accept": accept} if accept else {})
    assert r.status == 200 and form in r["Content-Type"]
    assert r["X-Content-Type-Options"] == "nosniff"
    asked = "format=" in path or path.endswith((".json", "/metrics"))
    assert ("Accept" in (r.get("Vary") or "")) == (not asked)
    h = s.ask("HEAD", path, {"Accept": accept} if accept else {})
    assert h.status == 200 and h.body == b"" and h["Content-Type"] == r["Content-Type"]


def test_methods(server):
    s = server(routes=ROUTES)
    r = s.ask("POST", "/status", body=b"x")
    assert r.status == 405 and r["Allow"] == "GET, HEAD"


def test_remote_refused(server):
    """A client behind a trusted proxy is not on this machine, though the connection is."""
    s = server(routes=ROUTES, server='trusted_proxies = "127.0.0.1"; realip = "x-forwarded-for";')
    far = {"X-Forwarded-For": "192.0.2.7"}
    assert s.get("/status", far).status == 403
    assert s.get("/metrics", far).status == 403
    assert s.get("/open", far).status == 200
    assert s.get("/status").status == 200


def test_prometheus(server):
    s = server(files={"a": "x"}, routes=ROUTES)
    before = s.get("/metrics").text
    for _ in range(7):
        s.get("/a")
    # A request counts when it is over, which may be just after the client has its answer.
    wait_for(lambda: sample(s.get("/metrics").text, "argand_requests_total") >=
             sample(before, "argand_requests_total") + 8, "eight requests more")
    text = s.get("/metrics").text
    assert sample(text, 'argand_responses_total{class="2xx"}') >= 8
    assert sample(text, 'argand_workers{state="ready"}') == 2
    assert sample(text, "argand_config_last_reload_success") == 1
    types = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)
    assert len(types) == len(dict(types)), "a metric is declared twice"
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        m = re.fullmatch(r'([a-z_0-9]+)(\{[a-z_]+="[^"\\\n]*"\})? -?[0-9.]+', line)
        assert m, line
        kind = dict(types)[m[1]]
        assert (kind == "counter") == m[1].endswith("_total"), line
    promtool = shutil.which("promtool")
    if promtool:
        p = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True)
        assert p.returncode == 0, p.stdout + p.stderr


class Page(html.parser.HTMLParser):
    """Looks for what the policy would refuse or the network would be needed for."""

    def __init__(self, text):
        super().__init__()
        self.nonces, self.rows, self.ids = [], 0, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        assert "style" not in a and not any(k.startswith("on") for k in a), (tag, a)
        assert "src" not in a and not (a.get("href") or "").startswith(("http", "//")), (tag, a)
        if tag in ("script", "style"):
            self.nonces.append(a["nonce"])
        self.rows += tag == "tr" and "data" not in a
        if "id" in a:
            assert a["id"] not in self.ids, a["id"]
            self.ids.add(a["id"])


def test_page(server):
    s = server(routes=ROUTES)
    seen = set()
    for _ in range(3):
        r = s.get("/status?format=html")
        policy = r["Content-Security-Policy"]
        page = Page(r.text)
        nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", policy)[1]
        assert set(page.nonces) == {nonce} and f"style-src 'nonce-{nonce}'" in policy
        assert "default-src 'none'" in policy
        seen.add(nonce)
        assert len(r.body) < 60 * 1024
        for pid in s.workers():
            assert f">{pid}<" in r.text, "readable without scripts"
    assert len(seen) == 3, "the nonce is new each time"


CHROMIUM = shutil.which("chromium")


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_page_in_a_browser(server, tmp):
    """The script runs under the policy and replaces the first figures."""
    s = server(routes=ROUTES)
    p = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--disable-dev-shm-usage", "--enable-logging=stderr", "--virtual-time-budget=4000",
         f"--user-data-dir={tmp}/profile", "--dump-dom", f"http://127.0.0.1:{s.port}/status?format=html"],
        capture_output=True, text=True, timeout=patience(60), env=dict(os.environ, HOME=tmp))
    assert "Content Security Policy" not in p.stderr, p.stderr
    assert "● ready" in p.stdout, p.stdout[:4000]
    assert "2 of 2 ready · busiest worker" in p.stdout
    assert "Uncaught" not in p.stderr, p.stderr


def test_reload_error_is_shown(server):
    s = server(routes=ROUTES)
    s.rewrite(routes=ROUTES, server="no_such_setting = 1;")
    assert s.cli("reload").returncode != 0
    d = s.get("/status?format=json").json()
    assert d["reloads"]["last_ok"] is False and d["reloads"]["failed"] == 1
    assert "no_such_setting" in d["reloads"]["error"]
    assert "The last reload failed" in s.get("/status?format=html").text
    assert sample(s.get("/metrics").text, "argand_config_last_reload_success") == 0
    s.rewrite(routes=ROUTES)
    s.cli("reload", check=0)
    d = s.get("/status?format=json").json()
    assert d["reloads"]["last_ok"] is True and d["reloads"]["error"] == ""
    assert d["generation"] > 1 and d["reloads"]["done"] == 1


def test_totals_survive_workers(server):
    """What a worker has counted stays in the sums when it is replaced."""
    s = server(files={"a": "x"}, routes=ROUTES)
    for _ in range(20):
        s.get("/a")
    before = s.get("/status?format=json").json()["counters"]["requests"]
    old = set(s.workers())
    s.cli("reload", check=0)

    def is_renewed():
        d = s.get("/status?format=json").json()
        return d if not {w["pid"] for w in d["workers"]} & old else None
    after = wait_for(is_renewed, "the old workers are gone")
    assert after["counters"]["requests"] >= before
    assert after["generation"] == 2


def test_terminal(server):
    s = server(routes=ROUTES)
    p = s.cli("status", check=0)
    assert f"pid {s.pid}" in p.stdout and "2 of 2 workers ready" in p.stdout
    assert "\033" not in p.stdout
    for pid in s.workers():
        assert str(pid) in p.stdout
    assert json.loads(s.cli("status", "--json", check=0).stdout)["pid"] == s.pid


def test_segment(server):
    """What stands in the shared memory, a line for each row; for a terminal as well."""
    s = server(routes=ROUTES, backends='app = { hosts = [ "127.0.0.1:1" ]; protocol = "http"; };')
    out = wait_for(lambda: (o := s.cli("status", "--segment", check=0).stdout) and "127.0.0.1:1" in o and o,
                   "the host has a row")
    rows = [json.loads(line) for line in out.splitlines()]
    heads = {r["table"]: r for r in rows if "row" not in r}
    assert {"master", "workers", "slots", "pools", "backends", "columns"} <= set(heads)
    for name, head in heads.items():
        assert head["used"] == sum(r["table"] == name and "row" in r for r in rows), name
        assert 0 < head["size"] <= head["reach"] <= head["rows"], name
    assert {r["pid"] for r in rows if r["table"] == "workers" and "row" in r} == set(s.workers())
    assert [r["pid"] for r in rows if r["table"] == "master" and "row" in r] == [s.pid]
