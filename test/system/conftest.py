"""Fixtures of the system tests. See harness.py for how to use them."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import backends  # noqa: E402
import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "full: only with ARGAND_FULL=1 (make check-full)")
    if not os.path.exists(harness.BIN) and not config.option.collectonly:
        pytest.exit(f"there is no {harness.BIN}: run make, or name a program in ARGAND_BIN", 2)


def pytest_collection_modifyitems(config, items):
    skip = pytest.mark.skip(reason="needs ARGAND_FULL=1")
    for item in items:
        if "full" in item.keywords and not harness.FULL:
            item.add_marker(skip)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "rep_" + report.when, report)
    if report.when == "call" and report.failed:
        servers = list(getattr(item, "servers", []))
        servers += [v for v in getattr(item, "funcargs", {}).values() if isinstance(v, harness.Server)]
        for i, s in enumerate(servers):
            for name, text in s.report():
                report.sections.append((f"server {i}: {name}", text))


def pytest_terminal_summary(terminalreporter):
    texts = harness.save_tables()
    if texts:
        terminalreporter.section(f"figures (saved in {harness.REPORT})")
        for t in texts:
            terminalreporter.write_line(t)


@pytest.fixture
def tmp():
    """A directory of its own, readable by everybody."""
    d = harness.new_tmp()
    yield d
    harness.remove_tmp(d)


@pytest.fixture
def server(request):
    """Starts servers: server(files={...}, site="...", routes="...", ...) -> harness.Server."""
    item, dirs = request.node, []
    item.servers = []

    def make(*args, **kw):
        d = harness.new_tmp()
        dirs.append(d)
        kw.setdefault("start", True)
        wanted = kw.pop("start")
        s = harness.Server(d, *args, start=False, **kw)
        item.servers.append(s)
        return s.start() if wanted else s

    yield make
    found = ""
    for s in item.servers:
        s.cleanup()
        found += s.sanitizer_reports() + s.illegal_transitions()
    for d in dirs:
        harness.remove_tmp(d)
    assert not found, "a sanitizer, or a table of states, found something:\n" + found[:10000]


@pytest.fixture(scope="module")
def shared_server(request):
    """Like server, but what it starts lives until the end of the test file."""
    made = []

    def make(*args, **kw):
        d = harness.new_tmp()
        s = harness.Server(d, *args, start=False, **kw)
        made.append((s, d))
        return s.start()

    yield make
    found = ""
    for s, d in made:
        s.cleanup()
        found += s.sanitizer_reports() + s.illegal_transitions()
        harness.remove_tmp(d)
    assert not found, "a sanitizer, or a table of states, found something:\n" + found[:10000]


@pytest.fixture
def peers(tmp):
    """Fake backends: peers("fastcgi") -> backends.Peer. A breach of its protocol fails the test."""
    made = backends.Peers(tmp)
    yield made
    seen = made.stop()
    assert not seen, "backends complain:\n" + "\n".join(seen)
