"""The PROXY protocol on a listening address, as a balancer before us speaks it."""
import socket
import struct

import harness

V2 = b"\r\n\r\n\0\r\nQUIT\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def proxied(server, trusted='"127.0.0.0/8"'):
    return server(text=f"""
server: {{
	listen = ( {{ address = "127.0.0.1:@PORT@"; proxy_protocol = true; }} );
	control = "@TMP@/control.sock";
	error_log = "@TMP@/error.log";
	workers = 2;
	{f'trusted_proxies = [ {trusted} ];' if trusted else ''}
}};
sites = ( {{ host = "*"; respond = "hello"; headers: {{ set = [ "X-Client: $client", "X-Scheme: $scheme" ]; }}; }} );
""")


def told(s, preface, request=GET, split=False):
    c = s.connect()
    if split:
        for octet in preface + request:
            c.send(bytes([octet]))
    else:
        c.send(preface + request)
    r = c.response()
    assert (r.status, r.body) == (200, b"hello")
    return r.get("X-Client"), r.get("X-Scheme")


def assert_closed(c):
    """Without an answer; a reset is what the kernel makes of octets that nobody read."""
    try:
        assert c.sock.recv(1) == b""
    except ConnectionResetError:
        pass


def v2(family, addresses, command=0x21, tlvs=b""):
    return V2 + struct.pack("!BBH", command, family, len(addresses) + len(tlvs)) + addresses + tlvs


def test_version_1(server):
    s = proxied(server)
    assert told(s, b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n") == ("192.0.2.7", "http")
    assert told(s, b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n") == ("2001:db8::7", "http")
    assert told(s, b"PROXY UNKNOWN\r\n") == ("127.0.0.1", "http")


def test_version_2(server):
    s = proxied(server)
    four = socket.inet_aton("192.0.2.9") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 1, 80)
    six = (socket.inet_pton(socket.AF_INET6, "2001:db8::9") +
           socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack("!HH", 1, 80))
    assert told(s, v2(0x11, four)) == ("192.0.2.9", "http")
    assert told(s, v2(0x21, six)) == ("2001:db8::9", "http")
    assert told(s, v2(0x00, b"", command=0x20)) == ("127.0.0.1", "http")
    tls = struct.pack("!BHBI", 0x20, 5, 1, 0)
    assert told(s, v2(0x11, four, tlvs=tls)) == ("192.0.2.9", "https")


def test_octet_by_octet(server):
    s = proxied(server)
    assert told(s, b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n", split=True)[0] == "192.0.2.7"


def test_requests_after_the_first_keep_the_address(server):
    s = proxied(server)
    c = s.connect()
    c.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n" + GET + GET)
    assert [c.response().get("X-Client") for _ in range(2)] == ["192.0.2.7"] * 2


def test_what_is_no_header_is_closed(server):
    s = proxied(server)
    for octets in (GET, b"PROXY nonsense\r\n" + GET, V2 + b"\xff\xff\0\0"):
        c = s.connect()
        c.send(octets)
        assert_closed(c)
    harness.wait_for(lambda: s.status()["counters"]["bad_requests"] == 3, "three are counted")


def test_who_is_not_trusted_is_closed(server):
    s = proxied(server, trusted='"192.0.2.0/24"')
    c = s.connect()
    c.send(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n" + GET)
    assert_closed(c)


def test_trusting_nobody_is_warned_of(server):
    s = proxied(server, trusted="")
    said = s.cli("check")
    assert said.returncode == 0
    assert "believed from nobody" in said.stdout + said.stderr
