"""Real applications from Debian's packages, started as their users start them, below a test's directory.

    app = App(tmp, "node", ["node", "server.js"], ready=lambda: can_connect(("127.0.0.1", port)))
    app.log()                       # what it wrote
    app.stop()                      # with all of its children

    b = Browser(server)             # keeps cookies, follows nothing by itself
    r = b.get("/doku.php?id=start"); r.status, r.text, r.headers
    b.post("/login", {"u": "ann"})  # a form; files={"name": ("a.png", octets)} makes it multipart
"""
import http.client
import os
import pwd
import re
import shutil
import socket
import subprocess
import urllib.parse
import uuid
from html.parser import HTMLParser

import pytest

import harness
from harness import wait_for


def need(*programs):
    """Skips the test when a program or file of a package is not installed."""
    for p in programs:
        if not (os.path.exists(p) if p.startswith("/") else shutil.which(p)):
            pytest.skip(f"{p} is not installed: etc/install-deps.sh check")


def can_connect(address):
    s = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    with s:
        s.settimeout(2)
        return s.connect_ex(address) == 0


def user():
    """Who the applications run as: not root where that can be chosen."""
    return "www-data" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def give(path):
    """Everything below path belongs to user()."""
    if os.geteuid() != 0:
        return
    who = pwd.getpwnam(user())
    for d, dirs, files in os.walk(path):
        for name in (".", *dirs, *files):
            os.chown(os.path.join(d, name), who.pw_uid, who.pw_gid, follow_symlinks=False)


class App:
    """A running application."""

    def __init__(self, tmp, name, command, ready, env=None, seconds=60, cwd=None, is_ours=False):
        self.tmp, self.name = tmp, name
        self.logname = os.path.join(tmp, name + ".log")
        more = {} if is_ours or os.geteuid() else {"user": user(), "group": user(), "extra_groups": []}
        with open(self.logname, "ab") as out:
            self.p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd or tmp,
                                      env={**os.environ, **(env or {})}, start_new_session=True, **more)

        def is_up():
            assert self.p.poll() is None, f"{name} ended with {self.p.returncode}:\n{self.log()[-3000:]}"
            return ready()
        try:
            wait_for(is_up, f"{name} is ready", seconds)
        except AssertionError as e:
            self.stop()
            raise AssertionError(f"{e}\n{self.log()[-3000:]}") from e

    def log(self):
        with open(self.logname, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        """All of its session: it began one."""
        if self.p.poll() is None:
            self.p.terminate()
            try:
                self.p.wait(harness.patience(10))
            except subprocess.TimeoutExpired:
                pass
        for pid in harness.session_pids(self.p.pid):
            try:
                os.kill(pid, 9)
            except OSError:
                pass
        self.p.wait()


class Form(HTMLParser):
    """The fields of the form of a page that has a field called `has`."""

    def __init__(self, text, has):
        super().__init__()
        self.forms, self.area = [], None
        self.feed(text)
        found = [f for f in self.forms if has in f]
        assert found, f"no form with a field {has}"
        self.fields = found[0]

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "form":
            self.forms.append({})
        elif tag == "input" and self.forms and a.get("name"):
            self.forms[-1][a["name"]] = a.get("value") or ""
        elif tag == "textarea" and self.forms and a.get("name"):
            self.area = a["name"]
            self.forms[-1][self.area] = ""

    def handle_data(self, data):
        if self.area:
            self.forms[-1][self.area] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.area = None


class Page:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def form(self, has):
        return Form(self.text, has).fields


class Browser:
    def __init__(self, server):
        self.server, self.cookies = server, {}

    def ask(self, method, path, body=None, headers=()):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=harness.patience(30))
        h = {"User-Agent": "Mozilla/5.0 (test)", **dict(headers)}
        if self.cookies:
            h["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        c.request(method, path, body, h)
        r = c.getresponse()
        page = Page(r.status, r.headers, r.read())
        c.close()
        for line in r.headers.get_all("Set-Cookie") or []:
            k, v = re.match(r"([^=]+)=([^;]*)", line).groups()
            if v == "deleted":
                self.cookies.pop(k, None)
            else:
                self.cookies[k] = v
        return page

    def get(self, path, **kw):
        return self.ask("GET", path, **kw)

    def post(self, path, fields, files=None, headers=()):
        if files is None:
            body, kind = urllib.parse.urlencode(fields).encode(), "application/x-www-form-urlencoded"
        else:
            mark = uuid.uuid4().hex
            body = b"".join(b"--%b\r\nContent-Disposition: form-data; name=\"%b\"\r\n\r\n%b\r\n" %
                            (mark.encode(), k.encode(), v.encode()) for k, v in fields.items())
            body += b"".join(b"--%b\r\nContent-Disposition: form-data; name=\"%b\"; filename=\"%b\"\r\n"
                             b"Content-Type: application/octet-stream\r\n\r\n%b\r\n" %
                             (mark.encode(), k.encode(), n.encode(), d) for k, (n, d) in files.items())
            body, kind = body + b"--%b--\r\n" % mark.encode(), f"multipart/form-data; boundary={mark}"
        return self.ask("POST", path, body, {"Content-Type": kind, **dict(headers)})
