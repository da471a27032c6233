"""The attacks of test_hostile_requests.py, as data: octets that a client sends, and the reader that each aims at.

Behind one gateway stand readers that take one path, and one field, for different things: some decode "%2F", some take
"\\" for "/" or ";x" for nothing, some fold "_", "." and "-" into one. Whoever is denied a path or forbidden a field here
looks for a spelling that the gateway takes for something else, and the application for just that.

HOST in an attack stands for the name of the site.
"""
from dataclasses import dataclass

SET = {"x_remote_user": "gateway", "x_auth_level": "1", "x_real_ip": "127.0.0.1"}  # what the sites set
REMOVED = "x_internal_token"                                                       # what they remove
SMUGGLED = b"GET /admin/secret HTTP/1.1\r\nHost: a\r\nUser-Agent: smuggled\r\n\r\n"


@dataclass
class Attack:
    aim: str
    target: bytes = b"/public/f"
    lines: bytes = b""              # field lines, without the last CRLF
    method: bytes = b"GET"
    body: bytes = b""               # octets as they are sent, chunked or not
    length: int = 0                 # octets of the body as everybody must see it
    host: bytes = b"Host: HOST\r\n"
    version: bytes = b"HTTP/1.1"
    may_switch: bool = False        # a WebSocket: 101 is right where the backend knows it
    name: str = ""

    def octets(self, host, agent):
        head = b"%b %b %b\r\n%bUser-Agent: %b\r\n%b\r\n" % (self.method, self.target, self.version, self.host,
                                                            agent.encode(), self.lines)
        return (head + self.body).replace(b"HOST", host.encode())

    def text(self):
        """What the table's first column says."""
        what = self.target if not self.lines and self.host == Attack.host and not self.body else \
            b" / ".join(filter(None, [b"" if self.target == Attack.target else self.target,
                                      b"" if self.host == Attack.host else self.host.strip(),
                                      b"" if self.version == Attack.version else self.version,
                                      self.lines.strip(b"\r\n"), self.body]))
        if self.method != b"GET":
            what = self.method + b" " + what
        s = "".join(chr(c) if 32 <= c < 127 else {10: "\\n", 13: "\\r", 9: "\\t"}.get(c, f"\\x{c:02x}") for c in what)
        return s if len(s) <= 90 else f"{s[:60]} ... {s[-20:]} ({len(what)} octets)"


# --- paths: denied are /admin, /srv and, by regular expression, /denied and *.bak; /auth asks for a password; /app is
# mapped to the backend's /srv.

PATHS = [Attack(aim, target) for target, aim in (
    (b"/admin/secret", "control: denied as it is"),
    (b"/admin", "control"),
    (b"/auth/secret", "control: 401"),
    (b"/denied/secret", "control: by regular expression"),
    (b"/files/a.bak", "control: by regular expression, at the end"),
    (b"/srv/secret", "control"),
    (b"/public/a", "control: what everybody may have"),
    (b"/app/a", "control: mapped to /srv/a"),
    (b"/a%2Fb", "an encoded slash that changes no rule may pass"),
    # "%2F"
    (b"/%2fadmin/secret", "decodes once: //admin"),
    (b"/%2Fadmin%2Fsecret", "the same, with capitals and no slash"),
    (b"/admin%2fsecret", "decodes once: a segment that our prefix does not see"),
    (b"/auth%2fsecret", "the same, past the password"),
    (b"/srv%2Fsecret", "the same, what is mapped to"),
    (b"/x%2f..%2fadmin/secret", "decodes, then resolves dots"),
    (b"/public/..%2fadmin/secret", "the same in one segment"),
    (b"/public%2f..%2f..%2fadmin/secret", "the same, beyond the root"),
    (b"/public/%2e%2e%2fadmin/secret", "dots encoded too"),
    (b"/public/%2E.%2fadmin/secret", "mixed"),
    (b"/%2e%2e%2fadmin/secret", "from the root"),
    (b"/.%2fadmin/secret", "a single dot"),
    (b"/%2e%2F%2fadmin/secret", "a single dot and two slashes"),
    (b"/public/%2e%2e%2f%2e%2e%2f%61dmin/secret", "letters encoded too"),
    (b"/admin%2f..%2fpublic/a", "prefix matching before dots"),
    (b"/app/..%2fadmin/secret", "out of the mapped path"),
    (b"/app/..%2f..%2fadmin/secret", "the same, further"),
    (b"/app%2f..%2fadmin/secret", "the prefix itself"),
    (b"/app/%2e%2e%2F%2e%2e%2fauth/secret", "out of the mapped path, past the password"),
    (b"/app/%2fadmin", "an absolute path behind the mapped one, for those who join paths"),
    # decoded twice
    (b"/%252fadmin/secret", "decodes twice"),
    (b"/admin%252fsecret", "decodes twice"),
    (b"/public/..%252fadmin/secret", "decodes twice, resolves dots"),
    (b"/public/%252e%252e/admin/secret", "the dots twice"),
    (b"/public/%252e%252e%252fadmin/secret", "all twice"),
    (b"/app/%252e%252e/admin/secret", "all twice, out of the mapped path"),
    (b"/%2561dmin/secret", "a letter twice"),
    (b"/public/%25252e%25252e%25252fadmin/secret", "three times: nobody should"),
    # dots in the open
    (b"/public/../admin/secret", "resolves dots: so do we"),
    (b"/public/%2e%2e/admin/secret", "encoded"),
    (b"/public/.%2E/admin/secret", "half encoded"),
    (b"/public/./..//./admin/secret", "with dots and empty segments"),
    (b"/public//../admin/secret", "whether '..' takes an empty segment"),
    (b"/%61dmin/secret", "an encoded letter"),
    (b"/admin/../public/a", "prefix matching on what has dots"),
    (b"/admin/%2e%2e/public/a", "the same, encoded, for front controllers that decode REQUEST_URI"),
    (b"/admin/.", "a dot at the end"),
    (b"/admin/./secret", "a dot within"),
    (b"/../admin/secret", "above the root"),
    (b"/public/.../admin/secret", "three dots"),
    (b"/public/.\\./admin/secret", "a backslash between dots"),
    # backslashes
    (b"/\\admin/secret", "WHATWG URL: '\\' is '/'"),
    (b"/admin\\secret", "the same, the prefix hidden"),
    (b"/public/..\\admin/secret", "with dots"),
    (b"/public\\..\\admin\\secret", "no slash at all"),
    (b"/%5cadmin/secret", "encoded"),
    (b"/admin%5Csecret", "encoded, the prefix hidden"),
    (b"/public/..%5cadmin/secret", "encoded, with dots"),
    (b"/public%5c..%5cadmin%5csecret", "encoded, no slash at all"),
    (b"/public/..%255cadmin/secret", "encoded twice"),
    (b"/app/..\\admin\\secret", "out of the mapped path"),
    (b"/app/..%5c..%5cadmin", "out of the mapped path, encoded"),
    (b"/\\host/admin/secret", "WHATWG URL: an authority"),
    # path parameters
    (b"/public/..;/admin/secret", "Tomcat, Jetty: parameters go before dots are resolved"),
    (b"/public/..;x=1/admin/secret", "with a value"),
    (b"/public/%2e%2e;/admin/secret", "dots encoded"),
    (b"/public/.;/..;a/admin/secret", "two kinds"),
    (b"/public/..%3b/admin/secret", "the semicolon encoded"),
    (b"/;/admin/secret", "a segment that vanishes"),
    (b"/;x=1/admin/secret", "the same with a value"),
    (b"/.;/admin/secret", "a dot that vanishes"),
    (b"/admin;/secret", "the prefix is hidden by a parameter"),
    (b"/admin;jsessionid=0/secret", "the same with a session"),
    (b"/admin;x", "the same without a rest"),
    (b"/auth;x/secret", "past the password"),
    (b"/admin%3bx/secret", "the semicolon encoded"),
    (b"/denied;x/secret", "past a regular expression"),
    (b"/files/a.bak;x=1", "past the end of a regular expression"),
    (b"/files/a.bak%3bx", "the same, encoded"),
    (b"/app/..;/admin/secret", "out of the mapped path"),
    (b"/app/..;/..;/auth/secret", "the same, further"),
    (b"/public/a;jsessionid=0", "a session that changes no rule may pass"),
    # slashes
    (b"//admin/secret", "merges slashes: so do we"),
    (b"///admin///secret", "more of them"),
    (b"/.//admin/secret", "with a dot"),
    (b"//host/admin/secret", "an authority for those who parse a URL"),
    (b"///host/admin/secret", "an empty authority"),
    (b"//user@host:80/admin/secret", "an authority with a user"),
    (b"//host\\admin/secret", "an authority, ended by a backslash"),
    (b"/public//a", "an empty segment within, which may pass"),
    # octets
    (b"/admin%00/secret", "C strings: /admin"),
    (b"/public/a%00.bak", "C strings"),
    (b"/adm\x00in/secret", "NUL"),
    (b"/adm\tin/secret", "WHATWG URL: a tab vanishes"),
    (b"/adm%09in/secret", "the same, encoded"),
    (b"/adm\rin/secret", "a bare CR"),
    (b"/x%0d%0aX-Remote-User:%20admin", "decodes into fields"),
    (b"/admin /secret", "a space ends the target"),
    (b"/admin%20", "Windows: a trailing space"),
    (b"/admin%20/secret", "the same within"),
    (b"/admin.", "Windows: a trailing dot"),
    (b"/admin%2e/secret", "the same, encoded"),
    (b"/files/a.bak%20", "past a regular expression"),
    (b"/files/a.bak.", "past a regular expression"),
    (b"/files/a.ba%6b", "an encoded letter"),
    (b"/files/a.bak%0a", "'$' matches before a line feed"),
    (b"/files/a.bak%2f", "a slash at the end"),
    (b"/files/a.bak/.", "a dot behind"),
    (b"/ADMIN/secret", "readers that ignore case: not ours"),
    (b"/public/%c0%ae%c0%ae/admin/secret", "overlong UTF-8: dots"),
    (b"/%c0%afadmin/secret", "overlong UTF-8: a slash"),
    (b"/%e0%80%afadmin/secret", "overlong UTF-8: three octets"),
    (b"/\xc0\xafadmin/secret", "overlong UTF-8 as it is"),
    (b"/public/\xef\xbc\x8e\xef\xbc\x8e/admin/secret", "full-width dots as they are"),
    (b"/public/%ef%bc%8e%ef%bc%8e/admin/secret", "full-width dots"),
    (b"/%ef%bc%8fadmin/secret", "a full-width slash"),
    (b"/%ff%fe/\x80", "no UTF-8 at all"),
    (b"/public/%u002e%u002e/admin/secret", "IIS's escapes"),
    (b"/%u2215admin/secret", "the same: a division slash"),
    (b"/%2/admin", "half an escape"),
    (b"/%zzadmin", "no escape"),
    (b"/admin%3fx", "an encoded '?'"),
    (b"/admin%23x", "an encoded '#'"),
    (b"/admin#x", "a fragment"),
    (b"/public/a?/../../admin/secret", "a query is no path"),
    (b"/public/a%3f/../../admin/secret", "and what is encoded is no query"),
    # forms of a target
    (b"http://HOST/admin/secret", "absolute form"),
    (b"http://HOST/..%2fadmin/secret", "absolute form, encoded"),
    (b"http://HOST//host/admin/secret", "absolute form and an authority"),
    (b"http://HOST\\admin/secret", "absolute form, ended by a backslash"),
    (b"http://other.test/admin/secret", "another site"),
    (b"http://HOST@other.test/admin/secret", "a user"),
    (b"http://other.test@HOST/admin/secret", "a user"),
    (b"http:///admin/secret", "no host"),
    (b"ftp://HOST/admin/secret", "another scheme"),
    (b"*", "for OPTIONS only"),
    (b"admin/secret", "no slash"),
    (b"?/admin/secret", "no path"),
    # long ones
    (b"/" + b"a/" * 1500 + b"../" * 1500 + b"admin/secret", "long, resolved"),
    (b"/" + b"a%2f" * 900 + b"..%2f" * 901 + b"admin/secret", "long, encoded"),
    (b"/" + b";" * 3000 + b"/admin/secret", "long, with parameters"),
    (b"/public/" + b"a" * 7000, "long"),
    # scripts
    (b"/index.php/admin/secret", "front controllers: the path behind the script"),
    (b"/index.php/x/..%2f..%2fadmin/secret", "the same, encoded"),
    (b"/index.php%2fadmin/secret", "the same, hidden from the split"),
    (b"/witness.cgi/admin/secret", "CGI: the path behind the script"),
    (b"/admin/secret.php", "control: a script, denied"),
    (b"/admin%2fsecret.php", "FastCGI decodes the script's name"),
    (b"/public%2f..%2fadmin%2fsecret.php", "the same"),
    (b"/public/..;/admin/secret.php", "path parameters"),
    (b"/admin;x/secret.php", "path parameters"),
    (b"/upload/picture.jpg/x.php", "php.ini's cgi.fix_pathinfo: what was uploaded is run"),
    (b"/upload/picture.jpg%00.php", "C strings"),
    (b"/upload/picture.jpg%2fx.php", "the same, encoded"),
    (b"/index.php/../admin/secret.php", "dots behind a script"),
    (b"/try/..%2fadmin/secret", "a try list: files"),
    (b"/try/%2e%2e%2fadmin%2fsecret.php", "a try list: scripts"),
)]

# --- fields


def F(aim, lines, **kw):
    """An attack by fields: lines without CRLF at the end."""
    if isinstance(lines, bytes):
        lines = lines + b"\r\n" if lines else b""
    return Attack(aim, lines=lines, **kw)


def P(aim, lines, body, length, **kw):
    return F(aim, lines, body=body, length=length, **{"method": b"POST", **kw})


CHUNKED = b"Transfer-Encoding: chunked"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"
WEBSOCKET = b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="

FIELDS = [
    # what the route sets
    F("control: the name itself", b"X-Remote-User: admin"),
    F("twice", b"X-Remote-User: admin\r\nX-Remote-User: admin"),
    F("case", b"x-rEMOTE-uSER: admin"),
    F("CGI: '_' is '-'", b"X_Remote_User: admin"),
    F("the same, mixed", b"X-Remote_User: admin"),
    F("another one", b"X_Auth-Level: 9"),
    F("PHP: '.' is '_'", b"X.Remote.User: admin"),
    F("CGI: all other octets are '_'", b"X!Remote~User: admin\r\nX'Auth*Level: 9"),
    F("beside the good name", b"X-Remote-User: admin\r\nX_Remote_User: admin"),
    F("the variable's name", b"HTTP_X_REMOTE_USER: admin"),
    F("what we say of addresses", b"X_Real_IP: 10.9.8.7\r\nX-Real-IP: 10.9.8.7"),
    F("Connection takes it away (RFC 9110 7.6.1)", b"Connection: X-Remote-User, X-Auth-Level"),
    F("Connection takes the copy away", b"Connection: X_Remote_User\r\nX_Remote_User: admin"),
    F("Connection takes away what we say of clients", b"Connection: close, X-Forwarded-For, X-Forwarded-Proto, X-Real-IP"),
    # what the route removes
    F("control: the name itself", b"X-Internal-Token: t"),
    F("spelt otherwise", b"X_Internal_Token: t"),
    F("spelt otherwise", b"X-Internal.Token: t"),
    F("spelt otherwise, with others", b"x_internal-TOKEN: t\r\nX-Internal_Token: u"),
    # lines
    F("space before the colon", b"X-Remote-User : admin"),
    F("tab before the colon", b"X-Remote-User\t: admin"),
    F("a folded line (RFC 9112 5.2)", b"X-A: b\r\n X-Remote-User: admin"),
    F("folded within the name's value", b"X-Remote-User:\r\n admin"),
    F("an empty name", b": admin"),
    F("no colon", b"X-Remote-User"),
    F("NUL in a name", b"X-Remote\x00-User: admin"),
    F("NUL in a value", b"X-A: b\x00X-Remote-User: admin"),
    F("a bare CR in a value", b"X-A: b\rX-Remote-User: admin"),
    F("a bare LF ends a line", b"X-A: b\nX_Remote_User: admin"),
    F("a bare CR before the end", b"X-A: b\r\r\nX_Remote_User: admin"),
    F("VT in a value", b"X-A: b\x0bX-Remote-User: admin"),
    F("NEL, where lines are split as Unicode has it", b"X-A: b\x85X-Remote-User: admin"),
    F("octets above 0x7f in a name", b"X\xe2\x80\x91Remote\xe2\x80\x91User: admin"),
    F("octets above 0x7f in a name", b"X-Remote-User\xad: admin"),
    F("a space in a name", b"X-Remote User: admin"),
    F("a long name that ends well", b"X-" + b"a" * 6000 + b": b"),
    F("many fields", b"\r\n".join(b"X-A%d: %d" % (i, i) for i in range(90))),
    # what is said of the client
    F("the family", b"X-Forwarded-For: 10.9.8.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test"),
    F("the family in CGI's spelling",
      b"X_Forwarded_For: 10.9.8.7\r\nX_Forwarded_Proto: https\r\nX_Forwarded_Host: evil.test"),
    F("PHP's spelling", b"X.Forwarded.Proto: https\r\nX-Forwarded.For: 10.9.8.7"),
    F("RFC 7239", b"Forwarded: for=10.9.8.7;proto=https;host=evil.test"),
    F("Spring: links", b"X-Forwarded-Prefix: /evil"),
    F("Spring, Rack: links", b"X-Forwarded-Port: 443"),
    F("Spring, Rack: links", b"X-Forwarded-Server: evil.test"),
    F("gunicorn, uwsgi, Rack: the scheme", b"X-Forwarded-Ssl: on"),
    F("gunicorn: the scheme", b"X-Forwarded-Protocol: ssl"),
    F("uwsgi's spelling", b"X_Forwarded_Ssl: on"),
    F("Rack: the scheme", b"X-Forwarded-Scheme: https"),
    # what CGI programs take for the server's word
    F("gunicorn: SCRIPT_NAME is taken off the path", b"SCRIPT_NAME: /public", target=b"/public/admin/secret"),
    F("the same with '-'", b"SCRIPT-NAME: /public", target=b"/public/admin/secret"),
    F("PATH_INFO", b"PATH_INFO: /admin/secret"),
    F("REQUEST_URI", b"REQUEST_URI: /admin/secret\r\nX-Original-URL: /admin/secret\r\nX-Rewrite-URL: /admin/secret"),
    F("REMOTE_USER", b"REMOTE_USER: admin\r\nRemote-User: admin\r\nAuth-Type: Basic\r\nAUTH_TYPE: Basic"),
    F("REMOTE_ADDR", b"REMOTE_ADDR: 10.9.8.7\r\nREMOTE-ADDR: 10.9.8.7"),
    F("HTTPS", b"HTTPS: on\r\nREQUEST_SCHEME: https\r\nwsgi.url_scheme: https"),
    F("SCRIPT_FILENAME", b"SCRIPT_FILENAME: /etc/passwd\r\nDOCUMENT_ROOT: /etc\r\nPHP_VALUE: auto_prepend_file=/etc/passwd"),
    F("httpoxy", b"Proxy: http://evil.test/"),
    F("httpoxy, twice", b"PROXY: http://evil.test/\r\nproxy: http://evil.test/"),
    F("httpoxy, the variable", b"HTTP_PROXY: http://evil.test/\r\nHTTP-PROXY: http://evil.test/"),
    F("methods", b"X-HTTP-Method-Override: DELETE\r\nX_HTTP_Method_Override: DELETE"),
    # what only backends say
    F("nginx: a file from us", b"X-Accel-Redirect: /admin/secret"),
    F("Apache: a file from us", b"X-Sendfile: /etc/passwd\r\nX-Lighttpd-Send-File: /etc/passwd"),
    # lengths
    F("CGI: a length from nowhere", b"Content_Length: 30"),
    F("the same, for PHP", b"Content.Length: 30"),
    P("a second length in disguise", b"Content-Length: 5\r\nContent_Length: 80", b"hello", 5),
    F("gunicorn of old: eight octets of body", b"Sec-WebSocket-Key1: x"),
    F("CGI: chunks from nowhere", b"Transfer_Encoding: chunked"),
    F("CGI: a type from nowhere", b"Content_Type: text/evil"),
    P("control: a body", b"Content-Length: 5", b"hello", 5),
    P("control: chunks", CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", 5),
    P("GET with a body that is a request", b"Content-Length: %d" % len(SMUGGLED), SMUGGLED, len(SMUGGLED), method=b"GET"),
    P("chunks that are a request", CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), len(SMUGGLED)),
    P("length twice, the same", b"Content-Length: 5\r\nContent-Length: 5", b"hello", 5),
    P("length twice, not the same", b"Content-Length: 5\r\nContent-Length: 0", b"hello", 5),
    P("a list", b"Content-Length: 5, 5", b"hello", 5),
    P("a plus", b"Content-Length: +5", b"hello", 5),
    P("a minus", b"Content-Length: -5", b"hello", 5),
    P("hexadecimal", b"Content-Length: 0x5", b"hello", 5),
    P("wraps around", b"Content-Length: 18446744073709551621", b"hello", 5),
    P("white space", b"Content-Length: 5\x0c", b"hello", 5),
    P("both", b"Content-Length: 5\r\n" + CHUNKED, b"0\r\n\r\n", 0),
    P("both, the other way round", CHUNKED + b"\r\nContent-Length: 4", b"5\r\nhello\r\n0\r\n\r\n", 5),
    P("no coding that we know", b"Transfer-Encoding: xchunked", b"0\r\n\r\n", 0),
    P("not the last coding", b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n", 0),
    P("identity", b"Transfer-Encoding: identity, chunked", b"0\r\n\r\n", 0),
    P("twice", CHUNKED + b"\r\n" + CHUNKED, b"0\r\n\r\n", 0),
    P("capitals", b"tRANSFER-eNCODING: CHUNKED", b"5\r\nhello\r\n0\r\n\r\n", 5),
    P("a space before the colon", b"Transfer-Encoding : chunked\r\nContent-Length: 5", b"0\r\n\r\n", 0),
    P("VT before the value", b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5", b"0\r\n\r\n", 0),
    P("a folded line", b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5", b"0\r\n\r\n", 0),
    P("in quotes", b"Transfer-Encoding: \"chunked\"", b"0\r\n\r\n", 0),
    P("parameters", b"Transfer-Encoding: chunked;x=1", b"0\r\n\r\n", 0),
    P("in HTTP/1.0", CHUNKED, b"0\r\n\r\n", 0, version=b"HTTP/1.0"),
    P("a size with 0x", CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n", 5),
    P("a size with a plus", CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n", 5),
    P("a size ended by LF", CHUNKED, b"5\nhello\r\n0\r\n\r\n", 5),
    P("an extension with LF", CHUNKED, b"5;x\nhello\r\n0\r\n\r\n", 5),
    P("an extension", CHUNKED, b"5;x=\"a\"\r\nhello\r\n0\r\n\r\n", 5),
    P("a size that wraps around", CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n", 5),
    P("no CRLF behind a chunk", CHUNKED, b"5\r\nhelloXX0\r\n\r\n", 5),
    P("Connection takes the length away", b"Connection: Content-Length\r\nContent-Length: 5", b"hello", 5),
    P("Connection takes the chunks away", b"Connection: Transfer-Encoding\r\n" + CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", 5),
    P("Expect", b"Expect: 100-continue\r\nContent-Length: 5", b"hello", 5),
    P("Expect something", b"Expect: x\r\nContent-Length: 5", b"hello", 5),
    # trailers
    P("a trailer that the route sets", CHUNKED + b"\r\nTrailer: X-Remote-User\r\nTE: trailers",
      b"5\r\nhello\r\n0\r\nX-Remote-User: admin\r\n\r\n", 5),
    P("a trailer in disguise", CHUNKED, b"5\r\nhello\r\n0\r\nX_Remote_User: admin\r\nX-Auth.Level: 9\r\n\r\n", 5),
    P("a trailer that the route removes", CHUNKED,
      b"5\r\nhello\r\n0\r\nX-Internal-Token: t\r\nX_Internal_Token: t\r\n\r\n", 5),
    P("trailers of the family", CHUNKED,
      b"5\r\nhello\r\n0\r\nX-Forwarded-Proto: https\r\nForwarded: proto=https\r\nX-Real-IP: 10.9.8.7\r\n\r\n", 5),
    P("framing in a trailer (RFC 9110 6.5.1)", CHUNKED,
      b"5\r\nhello\r\n0\r\nContent-Length: 80\r\nTransfer-Encoding: chunked\r\nHost: evil.test\r\n\r\n", 5),
    P("a trailer that takes fields away", CHUNKED,
      b"5\r\nhello\r\n0\r\nConnection: X-Remote-User\r\nAuthorization: Basic eDp5\r\n\r\n", 5),
    # fields that Connection may not take
    F("Connection: Host", b"Connection: Host"),
    F("Connection: Authorization", b"Connection: Authorization, Cookie\r\nAuthorization: Basic eDp5\r\nCookie: a=b"),
    F("Connection: much", b"Connection: close, Host, Via, Forwarded, X-Forwarded-Host, Cache-Control"),
    # other protocols
    F("HTTP/2 in a tunnel", H2C),
    F("the same without settings", b"Connection: Upgrade\r\nUpgrade: h2c"),
    F("the same beside websocket", H2C.replace(b"h2c", b"h2c, websocket"), may_switch=True),
    F("the other way round", H2C.replace(b"h2c", b"websocket, h2c"), may_switch=True),
    F("in two fields", b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + WEBSOCKET),
    F("settings that Connection does not name", b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
    F("without Connection", b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"),
    F("settings alone", b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nHTTP2_Settings: AAMA"),
    F("TLS in a tunnel", b"Connection: Upgrade\r\nUpgrade: TLS/1.0"),
    F("a version", b"Connection: Upgrade\r\nUpgrade: websocket/1, h2c/2"),
    F("in capitals", b"Connection: upgrade\r\nUpgrade: H2C"),
    F("a WebSocket: the one change that is meant", b"Connection: Upgrade\r\n" + WEBSOCKET, may_switch=True),
    F("a WebSocket where access is denied", b"Connection: Upgrade\r\n" + WEBSOCKET, target=b"/admin/ws"),
    P("a WebSocket with a body", b"Connection: Upgrade\r\n" + WEBSOCKET + b"\r\nContent-Length: %d" % len(SMUGGLED), SMUGGLED,
      len(SMUGGLED), method=b"GET"),
    P("a WebSocket by POST", b"Connection: Upgrade\r\n" + WEBSOCKET + b"\r\nContent-Length: 5", b"hello", 5),
    P("h2c with a body", H2C + b"\r\nContent-Length: 5", b"hello", 5),
    F("HTTP/2's preface", b"", method=b"PRI", target=b"*", version=b"HTTP/2.0", host=b""),
    # hosts
    F("Host twice", b"Host: evil.test"),
    F("Host in disguise", b"Host_: evil.test\r\nHTTP_HOST: evil.test"),
    F("Host with a path", b"", host=b"Host: HOST/admin\r\n"),
    F("Host with a user", b"", host=b"Host: HOST:80@evil.test\r\n"),
    F("Host with a space", b"", host=b"Host: HOST evil.test\r\n"),
    F("a list of hosts", b"", host=b"Host: HOST, evil.test\r\n"),
    F("no Host", b"", host=b""),
    F("an empty Host", b"", host=b"Host:\r\n"),
    F("the target says otherwise", b"", target=b"http://HOST/public/f", host=b"Host: evil.test\r\n"),
    F("the target says so, Host does not", b"", target=b"http://evil.test/public/f"),
    # much
    F("ranges", b"Range: bytes=" + b",".join(b"%d-%d" % (i, i) for i in range(60)) + b"\r\nIf-Range: \"x\""),
    F("Connection: many options", b"Connection: " + b",".join(b"x%d" % i for i in range(300))),
    F("cookies", b"Cookie: a=b\r\nCookie: X-Remote-User=admin\r\nCook_ie: c=d"),
    # methods
    F("TRACE tells fields (RFC 9110 9.3.8)", b"X-A: b", method=b"TRACE"),
    F("a tunnel", b"", method=b"CONNECT", target=b"127.0.0.1:80"),
    F("a method in small letters", b"", method=b"get"),
    F("no method", b"", method=b"G(T"),
    F("two spaces", b"", method=b"GET "),
    F("another version", b"", version=b"HTTP/1.1\t"),
    F("a version with a field", b"", version=b"HTTP/1.1 X-Remote-User: admin"),
]
for letter, attacks in (("p", PATHS), ("f", FIELDS)):
    for i, a in enumerate(attacks):
        a.name = f"{letter}{i + 1}"
