"""An application that is a witness: it writes down each request as it arrived, one line of JSON in $ARGAND_RECORD.

Two faces: WSGI (application), and Python's own http.server over a directory (witness.py PORT ROOT). What may arrive is
said in judge.py; here nothing is judged. The field X-Witness of an answer repeats the client's User-Agent: which
request is answered.
"""
import json
import os
import sys

LIMIT = 1 << 20


def record(what):
    with open(os.environ["ARGAND_RECORD"], "ab", buffering=0) as f:
        f.write(json.dumps(what).encode() + b"\n")


def application(env, start):
    stream = env["wsgi.input"]
    length = len(stream.read(LIMIT if env.get("wsgi.input_terminated") else int(env.get("CONTENT_LENGTH") or 0)))
    if "HTTP_TRANSFER_ENCODING" in env and not env.get("wsgi.input_terminated"):
        length = None  # chunks that this server leaves to the application
    record({"method": env["REQUEST_METHOD"], "scheme": env["wsgi.url_scheme"], "length": length,
            "variables": {k: v for k, v in env.items() if isinstance(v, str) and k.isupper()}})
    body = b"seen\n"
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))),
                     ("X-Witness", env.get("HTTP_USER_AGENT", ""))])
    return [body]


def files(port, root):
    import http.server  # of no use to WSGI

    class Files(http.server.SimpleHTTPRequestHandler):
        """As python3 -m http.server: which file is sent is its own decision."""

        def __init__(self, *args):
            super().__init__(*args, directory=root)

        def send_head(self):
            name = self.translate_path(self.path)
            path = "/" + os.path.relpath(name, root) + ("/" if name.endswith("/") else "")
            length = len(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            if "Transfer-Encoding" in self.headers:
                length = None  # it knows no chunks
            record({"method": self.command, "target": self.path, "resolved": [path],
                    "fields": self.headers.items(), "length": length})
            return super().send_head()

        def do_POST(self):
            self.do_GET()

        def end_headers(self):
            self.send_header("X-Witness", self.headers.get("User-Agent", ""))
            super().end_headers()

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Files).serve_forever()


if __name__ == "__main__":
    files(int(sys.argv[1]), sys.argv[2])
