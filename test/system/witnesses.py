"""The backends of test_hostile_requests.py: real servers, each with an application that writes down what it got
(applications/witness.*), and one Argand before them with a site for each.

    crowd = Crowd(tmp)               # starts all that are installed
    crowd.columns                    # {"gunicorn": Column, ...}
    column.record.take()             # what was written since the last time, as a list of dicts
    crowd.configuration()            # for Argand
"""
import http.client
import json
import os
import shutil

import harness
from apps import App, can_connect, give, user

HERE = os.path.join(harness.TOP, "test/system/applications")
TOMCAT = "/usr/share/tomcat10"
FPM = "/usr/sbin/php-fpm8.2"
NEEDS = {"http.server": [], "gunicorn": ["gunicorn"], "php-fpm": [FPM], "cgi": ["/usr/bin/perl"], "node": ["node"],
         **dict.fromkeys(("uwsgi-http", "uwsgi", "scgi"), ["uwsgi", "/usr/lib/uwsgi/plugins/python3_plugin.so"]),
         **dict.fromkeys(("tomcat-http", "tomcat-ajp"), [TOMCAT + "/bin/catalina.sh", "java"])}
PROTOCOLS = {"uwsgi": "uwsgi", "scgi": "scgi", "php-fpm": "fastcgi", "cgi": "cgi", "tomcat-ajp": "ajp"}
FILES = ("admin/secret", "admin/index.html", "auth/secret", "denied/secret", "srv/secret", "files/a.bak")
SCRIPTS = ("index.php", "admin/secret.php", "admin/index.php", "upload/picture.jpg")

# HTTP/1.1 and, inside of it, HTTP/2: what a smuggled upgrade would reach. Slashes are decoded, as those have it whose
# identifiers hold some.
SERVER_XML = """<?xml version="1.0"?>
<Server port="-1">
  <Service name="Catalina">
    <Connector protocol="HTTP/1.1" address="127.0.0.1" port="{http}" encodedSolidusHandling="decode"
        allowedTrailerHeaders="x-remote-user,x_remote_user,x-auth.level,x-internal-token,x_internal_token,forwarded"
        maxThreads="8" minSpareThreads="2"><UpgradeProtocol className="org.apache.coyote.http2.Http2Protocol"/></Connector>
    <Connector protocol="AJP/1.3" address="127.0.0.1" port="{ajp}" encodedSolidusHandling="decode"
        secretRequired="false" maxThreads="8" minSpareThreads="2"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" unpackWARs="false" autoDeploy="false" deployOnStartup="false">
        <Context path="" docBase="{base}/app" reloadable="false"/>
      </Host>
    </Engine>
  </Service>
</Server>
"""

HEAD = """
server: {
	listen = "127.0.0.1:@PORT@";
	workers = 1;
	control = "@TMP@/control.sock";
	error_log = "@TMP@/error.log";
	timeout: { header = "3s"; body = "3s"; linger = "200ms"; };
	access_log: { file = "@TMP@/access.log"; };
};
"""
# A backend that waits for more than it gets answers nobody for two seconds.
POOL = '{name} = {{ protocol = "{protocol}"; hosts = [ "{address}" ]; timeout: {{ first_byte = "2s"; }}; {more} }};\n'
SITE = """{{
	host = "{name}";
	root = "{root}";
	routes = (
		{{ path = "/admin"; access: {{ deny = "all"; }}; respond = "SECRET: the route of /admin"; }},
		{{ path = "/srv"; access: {{ deny = "all"; }}; respond = "SECRET: the route of /srv"; }},
		{{ regex = "^/denied(/|$)|\\\\.bak$"; access: {{ deny = "all"; }}; respond = "SECRET: the route of /denied"; }},
		{{ path = "/auth"; auth: {{ users = "{users}"; }}; {auth} }},
		{more}
		{{ path = "/app"; {app} }},
		{{ path = "/"; {root_route} }}
	);
}}"""


class Record:
    """The file that an application writes to, from where it was read last. last: whose lines those are that come late."""

    def __init__(self, name):
        self.name, self.at, self.last = name, 0, None
        write(name, "", 0o666)

    def take(self):
        with open(self.name, "rb") as f:
            f.seek(self.at)
            data = f.read()
        data = data[:data.rfind(b"\n") + 1]
        self.at += len(data)
        return [json.loads(line) for line in data.splitlines()]


class Column:
    """A backend of the table."""

    def __init__(self, name, record):
        self.name, self.protocol, self.record = name, PROTOCOLS.get(name, "http"), record
        self.is_http = self.protocol in ("http", "ajp")
        self.port = harness.free_port()

    def address(self):
        return f"127.0.0.1:{self.port}"


def is_installed(name):
    return all(os.path.exists(p) if p.startswith("/") else shutil.which(p) for p in NEEDS[name])


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def copy(name, path, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(os.path.join(HERE, name), path)
    os.chmod(path, mode)


def is_compiled(column):
    """Whether Tomcat listens; then its first answer is waited for, which comes when the page is compiled."""
    if not can_connect(("127.0.0.1", column.port)):
        return False
    conn = http.client.HTTPConnection("127.0.0.1", column.port, timeout=harness.patience(60))
    conn.request("GET", "/public/f")
    r = conn.getresponse()
    text = r.read()
    conn.close()
    assert r.status == 200, text
    return True


class Crowd:
    def __init__(self, tmp):
        self.tmp, self.apps = tmp, []
        # Two connectors are of one Tomcat, which writes to one file.
        records = {name: Record(os.path.join(tmp, name + ".record")) for name in {n.split("-")[0] for n in NEEDS}}
        records["uwsgi-http"] = Record(os.path.join(tmp, "uwsgi-http.record"))
        self.columns = {name: Column(name, records.get(name) or records[name.split("-")[0]])
                        for name in NEEDS if is_installed(name)}
        self.files()
        try:
            for name in self.columns:
                getattr(self, "start_" + name.replace(".", "_").replace("-", "_"))(self.columns[name])
            for app, ready in self.apps:
                harness.wait_for(lambda a=app, r=ready: self.is_up(a, r), f"{app.name} is ready", 90)
            for c in self.columns.values():
                c.record.take()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        for app, _ in self.apps:
            app.stop()

    @staticmethod
    def is_up(app, ready):
        assert app.p.poll() is None, f"{app.name} ended with {app.p.returncode}:\n{app.log()[-3000:]}"
        return ready()

    def files(self):
        """The directory of http.server, the one of PHP, the one of CGI; who is denied what would say so."""
        for root in ("www", "php", "cgi"):
            for name in FILES:
                write(os.path.join(self.tmp, root, name), f"SECRET: /{name}\n")
        for name in ("public/a", "public/f", "srv/a", "a/b"):
            write(os.path.join(self.tmp, "www", name), "seen\n")
        for name in SCRIPTS:
            copy("witness.php", os.path.join(self.tmp, "php", name))
        copy("witness.cgi", os.path.join(self.tmp, "cgi/witness.cgi"), 0o755)
        write(self.tmp + "/users", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")

    def start(self, column, command, ready=None, **kw):
        """Begins, and does not wait: all of them start at once."""
        env = {"ARGAND_RECORD": column.record.name, "PYTHONDONTWRITEBYTECODE": "1", **kw.pop("env", {})}
        app = App(self.tmp, column.name, command, lambda: True, env=env, **kw)
        self.apps.append((app, ready or (lambda: can_connect(("127.0.0.1", column.port)))))
        return app

    def start_http_server(self, c):
        self.start(c, ["/usr/bin/python3", HERE + "/witness.py", str(c.port), self.tmp + "/www"])

    def start_gunicorn(self, c):
        self.start(c, ["gunicorn", "-b", c.address(), "-k", "gthread", "--threads", "2", "--worker-tmp-dir", self.tmp,
                       "--chdir", HERE, "witness:application"])

    def uwsgi(self, c, option):
        self.start(c, ["uwsgi", "--plugin", "python3", option, c.address(), "--need-app", "--die-on-term",
                       "--wsgi-file", HERE + "/witness.py", "--buffer-size", "65535"])

    def start_uwsgi_http(self, c):
        self.uwsgi(c, "--http-socket")

    def start_uwsgi(self, c):
        self.uwsgi(c, "--uwsgi-socket")

    def start_scgi(self, c):
        self.uwsgi(c, "--scgi-socket")

    def start_php_fpm(self, c):
        own = f"user = {user()}\ngroup = {user()}\n" if os.geteuid() == 0 else ""
        write(self.tmp + "/fpm.conf", f"[global]\nerror_log = {self.tmp}/fpm.log\ndaemonize = no\n[www]\n{own}"
              f"listen = {c.address()}\npm = static\npm.max_children = 2\nenv[ARGAND_RECORD] = {c.record.name}\n"
              "security.limit_extensions =\n")
        self.start(c, [FPM, "-F", "-y", self.tmp + "/fpm.conf"], is_ours=True)

    def start_cgi(self, c):
        """Argand's own starter does it."""

    def start_node(self, c):
        self.start(c, ["node", HERE + "/witness.js", str(c.port)])

    def start_tomcat_http(self, c):
        base = self.tmp + "/base"
        for name in ("logs", "temp", "webapps", "work"):
            os.makedirs(os.path.join(base, name))
        write(base + "/conf/server.xml", SERVER_XML.format(http=c.port, ajp=self.columns["tomcat-ajp"].port, base=base))
        copy("witness.xml", base + "/conf/web.xml")
        copy("witness.jsp", base + "/app/witness.jsp")
        give(base)
        self.start(c, [TOMCAT + "/bin/catalina.sh", "run"], lambda: is_compiled(c),
                   env={"CATALINA_BASE": base, "CATALINA_HOME": TOMCAT, "CATALINA_TMPDIR": base + "/temp",
                        "JAVA_OPTS": "-Xmx128m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djava.awt.headless=true "
                                     f"-Djava.security.egd=file:/dev/urandom -Dargand.record={c.record.name}"})

    def start_tomcat_ajp(self, c):
        """It is the other's second connector."""

    # --- the configuration

    def configuration(self):
        sites = ['{ host = "*"; respond = "another site"; }'] + [self.site(c) for c in self.columns.values()]
        return HEAD + "backends = {\n" + "".join(self.pool(c) for c in self.columns.values()) + \
            "};\nsites = (\n" + ",\n".join(sites) + "\n);\n"

    @staticmethod
    def key(c):
        return c.name.replace(".", "_").replace("-", "_")

    def pool(self, c):
        if c.name == "cgi":
            return 'cgi = { protocol = "cgi"; spawn = { processes = "4"; %s }; };\n' % harness.CGI_USER
        # It closes each connection after its answer and does not say so: a POST may meet that.
        more = "keepalive = 0;" if c.name == "uwsgi-http" else ""
        return POOL.format(name=self.key(c), protocol=c.protocol, address=c.address(), more=more)

    def gateway(self, c, route, more=""):
        """A gateway that says which route it is of; what is set has no other way to the application."""
        if c.is_http:
            lines = ["X-Remote-User: gateway", "X-Auth-Level: 1", "X-Real-IP: $client", f"X-Route: {route}"]
            # Nothing of a body is waited for: trailers come when the head is gone.
            own = f'set = [ {", ".join(json.dumps(s) for s in lines)} ]; remove = "X-Internal-Token"; request_body = "stream";'
        else:
            lines = ["HTTP_X_REMOTE_USER=gateway", "HTTP_X_AUTH_LEVEL=1", "HTTP_X_REAL_IP=$client",
                     f"HTTP_X_ROUTE={route}", "HTTP_X_INTERNAL_TOKEN=", f"ARGAND_RECORD={c.record.name}"]
            own = f'environment = [ {", ".join(json.dumps(s) for s in lines)} ];'
        return f'gateway: {{ backend = "{self.key(c)}"; {own} {more} }};'

    def site(self, c):
        root, more, ways = self.tmp + "/nothing", "", {"auth": "", "root": "", "app": ""}
        if c.is_http:
            ways["app"] = 'path: { from = "/app"; to = "/srv"; };'
        elif c.name in ("cgi", "php-fpm"):
            script = "index.php" if c.name == "php-fpm" else "witness.cgi"
            root = self.tmp + "/" + c.name[:3]
            split = f'split = [ ".{script.split(".")[1]}" ];'
            ways = dict.fromkeys(ways, f'front = "/{script}"; {split}')
            pattern = "\\\\." + script.split(".")[1] + "(/|$)"
            more = (f'{{ regex = "{pattern}"; {self.gateway(c, "script", split)} }}, '
                    f'{{ path = "/try"; try = [ "$path", "/{script}" ]; }},')
        os.makedirs(root, exist_ok=True)
        return SITE.format(name=c.name, root=root, users=self.tmp + "/users", more=more, app=self.gateway(c, "app", ways["app"]),
                           auth=self.gateway(c, "auth", ways["auth"]), root_route=self.gateway(c, "root", ways["root"]))
