"""Connections that the kernel keeps to itself until their first octet has come (TCP_DEFER_ACCEPT)."""
import time

import pytest

from harness import Conn, free_port, patience, wait_for

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def accepted(s):
    return s.status()["counters"]["connections_accepted"]


def test_connection_without_an_octet_comes_late(server):
    """It is kept for about a second and then is one like any other."""
    s = server(files={"a": b"hello"})
    before = accepted(s)
    with s.connect() as c:
        wait_for(lambda: accepted(s) == before + 1, "the silent connection is accepted", patience(4))
        c.send(GET)
        assert c.response().body == b"hello"


def test_first_octet_is_all_it_takes(server):
    s = server(files={"a": b"hello"})
    with s.connect() as c:
        c.send(GET[:1])
        before = accepted(s)
        wait_for(lambda: accepted(s) >= max(before, 1), "accepted with its first octet", 2)
        c.send(GET[1:])
        assert c.response().body == b"hello"


@pytest.mark.parametrize("defer", ["true", "false"])
def test_removed_address_loses_nobody_who_waits(server, defer):
    """Connections that have said nothing yet when their address leaves the configuration are served all the same."""
    port = free_port()
    s = server(files={"a": b"hello"}, start=False)
    listen = f'listen = ( {{ address = "127.0.0.1:{s.port}"; }}, {{ address = "127.0.0.1:{port}"; defer = {defer}; }} );'
    text = s.read("argand.conf")
    one = f'listen = "127.0.0.1:{s.port}";'
    assert one in text, text
    with open(s.conf, "w", encoding="utf-8") as f:
        f.write(text.replace(one, listen))
    s.start()
    silent = [Conn(("127.0.0.1", port)) for _ in range(40)]
    with open(s.conf, "w", encoding="utf-8") as f:
        f.write(text)
    assert s.cli("reload").returncode == 0
    until = time.monotonic() + patience(10)
    while True:  # and those that come until it is closed
        try:
            silent.append(Conn(("127.0.0.1", port)))
        except ConnectionRefusedError:
            break
        assert time.monotonic() < until, "the address is never closed"
        time.sleep(0.03)
    lost = 0
    for c in silent:
        try:
            c.send(GET)
            assert c.response().body == b"hello"
        except OSError:
            lost += 1
        c.close()
    assert lost <= 3, f"{lost} of {len(silent)}: more than what came in the very moment of closing"
