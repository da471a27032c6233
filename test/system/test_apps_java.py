"""Tomcat 10 by AJP13 with a secret: its examples (servlets, sessions, JSP, POST with a body), a wrong secret."""
import os
import random

import pytest

import harness
from apps import App, Browser, can_connect, give, need

HOME, EXAMPLES = "/usr/share/tomcat10", "/usr/share/tomcat10-examples/examples"
SERVER_XML = """<?xml version="1.0"?>
<Server port="-1">
  <Service name="Catalina">
    <Connector protocol="AJP/1.3" address="127.0.0.1" port="{port}" secret="{secret}" packetSize="{packet}"
        maxThreads="8" minSpareThreads="2"/>
    <Engine name="Catalina" defaultHost="localhost" jvmRoute="tc1">
      <Host name="localhost" appBase="webapps" unpackWARs="false" autoDeploy="false" deployOnStartup="false">
        <Context path="/examples" docBase="{examples}" reloadable="false"/>
      </Host>
    </Engine>
  </Service>
</Server>
"""
SECRET = "between us"
WEB_XML = os.path.join(harness.TOP, "test/system/applications/web.xml")
ROUTES = '{ path = "/examples"; gateway = "java"; }'


@pytest.fixture(scope="module")
def tomcat():
    """One for the whole file: it takes seconds to start."""
    need(HOME + "/bin/catalina.sh", EXAMPLES + "/index.html", "java")
    d = harness.new_tmp()
    base = os.path.join(d, "base")
    for name in ("conf", "logs", "temp", "webapps", "work"):
        os.makedirs(os.path.join(base, name))
    port = harness.free_port()
    for name, text in (("server.xml", SERVER_XML.format(port=port, secret=SECRET, examples=EXAMPLES, packet=65536)),
                       ("web.xml", open(WEB_XML, encoding="utf-8").read())):
        with open(os.path.join(base, "conf", name), "w", encoding="utf-8") as f:
            f.write(text)
    give(base)
    app = App(d, "tomcat", [HOME + "/bin/catalina.sh", "run"], lambda: can_connect(("127.0.0.1", port)), seconds=90,
              env={"CATALINA_BASE": base, "CATALINA_HOME": HOME, "CATALINA_TMPDIR": base + "/temp",
                   "JAVA_OPTS": "-Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.awt.headless=true "
                                "-Djava.security.egd=file:/dev/urandom"})
    yield port
    app.stop()
    harness.remove_tmp(d)


def pool(port, secret=SECRET):
    return f'java = {{ protocol = "ajp"; hosts = [ "127.0.0.1:{port}" ]; secret = "{secret}"; packet_size = "64k"; }};'


def test_examples(server, tomcat):
    s = server(routes=ROUTES, backends=pool(tomcat))
    b = Browser(s)
    r = b.get("/examples/servlets/servlet/HelloWorldExample")
    assert r.status == 200 and "Hello World!" in r.text
    r = b.get("/examples/servlets/servlet/RequestInfoExample/more%20path?a=1&b=2")
    for text in ("GET", "/examples/servlets/servlet/RequestInfoExample/more%20path", "/more path", "127.0.0.1"):
        assert text in r.text, r.text
    r = b.get("/examples/servlets/servlet/RequestHeaderExample",
              headers={"X-Test": "a value", "Accept-Language": "de"})
    # The page lists every header it got; names that AJP has codes for, and others.
    assert "x-test" in r.text.lower() and "a value" in r.text and "accept-language" in r.text.lower()
    r = b.get("/examples/jsp/jsp2/el/basic-arithmetic.jsp")
    assert r.status == 200 and "Basic Arithmetic" in r.text
    assert b.get("/examples/nothing").status == 404
    r = b.get("/examples")
    assert r.status in (302, 301) and r.headers["Location"].endswith("/examples/"), r.headers
    assert " 502 " not in s.access_log()


def test_session(server, tomcat):
    s = server(routes=ROUTES, backends=pool(tomcat))
    b = Browser(s)
    path = "/examples/servlets/servlet/SessionExample"
    assert b.get(path).status == 200
    assert b.cookies["JSESSIONID"].endswith(".tc1"), b.cookies
    r = b.post(path, {"dataname": "colour", "datavalue": "green & blue"})
    assert r.status == 200
    r = b.get(path)
    assert "colour" in r.text and "green &amp; blue" in r.text, "the session was forgotten"


@pytest.mark.parametrize("n", [1, 8186, 8187, 65536, 1 << 20, 10 << 20])
def test_body(server, tomcat, n):
    """A servlet that counts what it reads, without blocking; lengths around the size of a packet."""
    s = server(routes=ROUTES, backends=pool(tomcat))
    body = random.Random(n).randbytes(n)
    r = Browser(s).ask("POST", "/examples/servlets/nonblocking/bytecounter", body,
                       {"Content-Type": "application/octet-stream"})
    assert r.status == 200 and f"[{n}]" in r.text, r.text
    with s.connect() as c:
        c.send("POST /examples/servlets/nonblocking/bytecounter HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        c.send(b"%x\r\n%b\r\n0\r\n\r\n" % (n, body))
        r = c.response()
        assert r.status == 200 and f"[{n}]" in r.text, r


def test_form(server, tomcat):
    s = server(routes=ROUTES, backends=pool(tomcat))
    r = Browser(s).post("/examples/servlets/servlet/RequestParamExample", {"firstname": "Aimé", "lastname": "Argand"})
    assert r.status == 200 and "Argand" in r.text


def test_wrong_secret(server, tomcat):
    s = server(routes=ROUTES, backends=pool(tomcat, "guessed"))
    assert s.get("/examples/servlets/servlet/HelloWorldExample").status == 403


def test_health(server, tomcat):
    """CPing and CPong are the check; no servlet sees it."""
    s = server(routes=ROUTES, backends=pool(tomcat)[:-2] + ' health = { interval = "200ms"; }; };')
    harness.wait_for(lambda: s.get("/examples/index.html").status == 200, "an answer")
    assert "is down" not in s.error_log()
