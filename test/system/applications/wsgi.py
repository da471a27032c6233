"""A small WSGI application: what it is sent, hashed or as it is; what it sends, at once or in pieces."""
import hashlib
import json
import time


def hashed(env, start):
    h, n, stream = hashlib.sha256(), 0, env["wsgi.input"]
    left = int(env.get("CONTENT_LENGTH") or 0)
    while left:
        d = stream.read(min(65536, left))
        if not d:
            break
        h.update(d)
        n, left = n + len(d), left - len(d)
    return answer(start, {"length": n, "sha256": h.hexdigest()})


def environment(env, start):
    return answer(start, {k: v for k, v in env.items() if isinstance(v, (str, int))})


def pieces(env, start):
    start("200 OK", [("Content-Type", "text/plain")])
    for i in range(10):
        yield b"piece %d\n" % i
        time.sleep(0.05)


def login(env, start):
    start("302 Found", [("Location", "/app/environment"), ("Set-Cookie", "a=1; Path=/app"), ("Set-Cookie", "b=2")])
    return [b""]


def answer(start, what):
    body = json.dumps(what).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


PAGES = {"hashed": hashed, "environment": environment, "pieces": pieces, "login": login}


def application(env, start):
    name = (env["SCRIPT_NAME"] + env["PATH_INFO"]).rstrip("/").rsplit("/", 1)[-1]
    if name in PAGES:
        return PAGES[name](env, start)
    start("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such page\n"]
