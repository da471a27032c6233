"""The access log: what a line says, and that none is lost, torn or late whatever happens."""
import json
import os
import re
import signal
import socket
import threading
import time

import pytest
from harness import patience, wait_for

# What log analysers know as "combined".
COMBINED = re.compile(
    r'(?P<client>\S+) - (?P<user>\S+) \[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\] '
    r'"(?P<request>(?:[^"\\]|\\x[0-9A-F]{2})*)" (?P<status>\d{3}) (?P<bytes>\d+) '
    r'"(?P<referer>(?:[^"\\]|\\x[0-9A-F]{2})*)" "(?P<agent>(?:[^"\\]|\\x[0-9A-F]{2})*)"')


def lines(s, name="access.log"):
    """Whole lines only: a log never ends in half of one."""
    text = s.read(name)
    assert text == "" or text.endswith("\n"), repr(text[-200:])
    return text.splitlines()


def wait_lines(s, n, name="access.log"):
    wait_for(lambda: s.read(name).count("\n") >= n, f"{n} lines in {name}")
    return lines(s, name)


def numbers(all_lines):
    """The numbers of the requests /n/NUMBER in the order of the log."""
    out = []
    for line in all_lines:
        m = COMBINED.fullmatch(line)
        assert m, f"torn or mixed line: {line!r}"
        hit = re.match(r"GET /n/(\d+)", m["request"])
        if hit:
            out.append(int(hit[1]))
    return out


class Load:
    """Numbered requests on several kept-alive connections until told to stop; counts the answers."""

    def __init__(self, s, connections=4, pad=""):
        self.s, self.pad = s, pad
        self.answered, self.errors = [], []
        self.lock, self.next, self.stopping = threading.Lock(), 0, False
        self.threads = [threading.Thread(target=self.run) for _ in range(connections)]
        for t in self.threads:
            t.start()

    def run(self):
        c = None
        while not self.stopping:
            with self.lock:
                n, self.next = self.next, self.next + 1
            try:
                c = c or self.s.connect()
                c.request(f"/n/{n}{self.pad}")
                r = c.response()
                assert r.status == 404
                with self.lock:
                    self.answered.append(n)
                if (r.get("Connection") or "").lower() == "close":
                    c = None
            except (OSError, AssertionError) as e:
                c = None
                self.errors.append(f"{n}: {e!r}")
            if c:
                c.transcript.clear()

    def stop(self):
        self.stopping = True
        for t in self.threads:
            t.join(patience(20))
        return self


def test_combined(server):
    s = server(files={"a b.txt": "12345"}, workers=1)  # two would flush in any order
    s.get("/a%20b.txt?x=%22", {"Referer": "http://example.org/", "User-Agent": "probe/1.0 (test)"})
    s.get("/none")
    first, second = wait_lines(s, 2)
    m = COMBINED.fullmatch(first)
    assert m, first
    assert (m["client"], m["user"], m["status"], m["bytes"]) == ("127.0.0.1", "-", "200", "5")
    assert m["request"] == "GET /a%20b.txt?x=%22 HTTP/1.1"
    assert (m["referer"], m["agent"]) == ("http://example.org/", "probe/1.0 (test)")
    t = time.mktime(time.strptime(m["time"][:20], "%d/%b/%Y:%H:%M:%S"))
    assert abs(time.time() - t) < 60
    assert " 404 " in second and '"-" "-"' in second


def test_hostile_octets(server):
    s = server(files={"a": "x"}, server='access_log: { file = "@TMP@/access.log"; };', access_log=False)
    s.get("/a", {"User-Agent": 'a" 200 1 "x', "Referer": "b\\x41\xff\t"})
    (line,) = wait_lines(s, 1)
    m = COMBINED.fullmatch(line)
    assert m, line
    assert m["agent"] == "a\\x22 200 1 \\x22x"
    assert m["referer"] == "b\\x5Cx41\\xFF"


def test_json(server):
    s = server(files={"a": "12345"}, access_log=False, workers=1,
               server='access_log: { file = "@TMP@/access.log"; format = "json"; };')
    s.get("/a?q", {"User-Agent": 'x"\\\u00ff\u0080', "Referer": "/r"}, host="Example.org")
    s.raw(b"BROKEN\r\n\r\n")
    first = json.loads(wait_lines(s, 1)[0])
    assert first["client"] == "127.0.0.1" and first["host"] == "example.org"
    assert (first["method"], first["target"], first["protocol"]) == ("GET", "/a?q", "HTTP/1.1")
    assert (first["status"], first["bytes"], first["referer"]) == (200, 5, "/r")
    assert first["user_agent"] == 'x"\\\u00ff\u0080'
    assert first["handler"] == "files" and first["end"] == "ok"
    assert re.fullmatch(r"[0-9a-f]{16}", first["id"])
    assert 0 < first["duration_us"] < 10_000_000
    assert first["worker"] in s.workers()
    broken = json.loads(wait_lines(s, 2)[1])
    assert broken["status"] == 400 and broken["why"] != ""


def test_own_format_and_routes(server):
    s = server(
        files={"a": "12345", "q/a": "", "o/a": "1"},
        site='access_log: { file = "@TMP@/access.log"; format = "$status $bytes ${in:X-A} ${out:content-type}'
             ' $path $query $$"; skip = [ "404", "3xx" ]; };',
        routes='{ path = "/q"; access_log = "off"; }, { path = "/o"; access_log: { file = "@TMP@/o.log"; }; },'
               ' { path = "/"; }')
    s.get("/none")
    s.get("/q/a")
    s.get("/o/a", {"X-A": "v"})
    s.get("/a?k=v", {"X-A": "v"})
    own = wait_lines(s, 1)
    assert len(own) == 1 and re.fullmatch(r"200 5 v \S+ /a k=v \$", own[0]), own
    assert re.fullmatch(r"200 1 v \S+ /o/a - \$", wait_lines(s, 1, "o.log")[0])


@pytest.mark.parametrize("option, text", [
    ('format = "$status ${in:Authorization}"', "secrets"),
    ('format = "$status ${in:cookie}"', "secrets"),
    ('format = "$statsu"', "statsu"),
    ('format = "nothing"', "variables"),
    ('skip = "20"', "no status"),
    ('tag = "a b"', "tag"),
])
def test_refused(server, option, text):
    s = server(start=False, access_log=False,
               server='access_log: { file = "@TMP@/access.log"; ' + option + "; };")
    p = s.cli("check")
    assert p.returncode == 78
    assert text in p.stdout + p.stderr


def test_relative_path_refused(server):
    s = server(start=False, access_log=False, server='access_log = "access.log";')
    p = s.cli("check")
    assert p.returncode == 78 and "no destination" in p.stdout + p.stderr


def test_directory_missing(server):
    s = server(start=False, access_log=False, server='access_log = "/nonexistent/access.log";')
    s.start(wait=False)
    assert s.proc.wait(patience(10)) != 0
    assert "/nonexistent/access.log" in s.output()


def test_flush_soon(server):
    s = server(files={"a": "x"})
    s.get("/a")
    start = time.monotonic()
    wait_lines(s, 1)
    assert time.monotonic() - start < patience(2)


def test_none_lost_over_reloads_and_stop(server):
    s = server(workers=2)
    load = Load(s)
    for n in (3, 1, 4, 2):
        s.rewrite(workers=n)
        s.cli("reload", check=0)
    load.stop()
    assert load.errors == []
    assert s.stop() == 0
    got = numbers(lines(s))
    assert len(got) == len(set(got)), "a line twice"
    assert set(load.answered) == set(got)
    assert len(got) > 100


def test_rotation(server):
    s = server(workers=2)
    load = Load(s)
    path = os.path.join(s.tmp, "access.log")
    for i in range(5):
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "a line in the new file")
        os.rename(path, f"{path}.{i}")
        s.kill(signal.SIGUSR1)
    wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "a line in the last file")
    load.stop()
    assert load.errors == []
    assert s.stop() == 0
    got = []
    for name in ["access.log"] + [f"access.log.{i}" for i in range(5)]:
        got += numbers(lines(s, name))
    assert sorted(got) == sorted(load.answered)
    assert os.stat(path).st_mode & 0o777 == 0o640


def test_killed_worker_leaves_whole_lines(server):
    s = server(workers=2)
    load = Load(s)
    for _ in range(5):
        time.sleep(0.3)
        os.kill(s.workers()[0], signal.SIGKILL)
    load.stop()
    assert s.stop() == 0
    got = numbers(lines(s))
    assert len(got) == len(set(got))
    assert len(got) > 100


def test_pipe(server):
    s = server(workers=4, access_log=False, server='access_log = "|cat > @TMP@/piped.log";')
    load = Load(s)
    time.sleep(1.5)
    s.cli("reload", check=0)
    time.sleep(0.5)
    load.stop()
    assert s.stop() == 0
    wait_for(lambda: s.read("piped.log").count("\n") >= len(load.answered), "all lines from the command")
    assert sorted(numbers(lines(s, "piped.log"))) == sorted(load.answered)


def test_pipe_long_lines_do_not_mix(server):
    """Longer than a pipe takes at once without mixing, from four workers."""
    s = server(workers=4, access_log=False,
               server='access_log: { file = "|cat > @TMP@/piped.log"; flush = "0s"; };')
    load = Load(s, connections=4, pad="/" + "x" * 6000)
    time.sleep(1)
    load.stop()
    assert s.stop() == 0
    wait_for(lambda: s.read("piped.log").count("\n") >= len(load.answered), "all lines from the command")
    assert sorted(numbers(lines(s, "piped.log"))) == sorted(load.answered)


def test_pipe_command_ends(server):
    """A command that ends is started again, and lines wait for it."""
    s = server(workers=2, access_log=False,
               server='access_log: { file = "|head -n 3 >> @TMP@/piped.log"; flush = "0s"; };')
    for i in range(3):
        s.get(f"/n/{i}")
    wait_lines(s, 3, "piped.log")
    s.wait_log("starting it again")  # what is in the pipe of a command that ends, ends with it
    for i in range(3, 6):
        s.get(f"/n/{i}")
    assert sorted(numbers(wait_lines(s, 6, "piped.log"))) == [0, 1, 2, 3, 4, 5]


def test_stalled_reader(server):
    """A command that reads nothing: requests are answered as ever, memory is bounded, loss is told."""
    s = server(workers=1, access_log=False, files={"a": "x"},
               server='access_log: { file = "|exec sleep 1000"; }; max_line = "16k"; max_head = "32k";')
    c = s.connect()
    worst, pad = 0.0, "x" * 8000
    for i in range(3000):
        start = time.monotonic()
        c.request(f"/a?{pad}")
        assert c.response().status == 200
        worst = max(worst, time.monotonic() - start)
        c.transcript.clear()
    assert worst < patience(0.5), f"a request took {worst:.3f} s"
    s.wait_log("lines lost")
    counters = s.status()["counters"]
    assert counters["log_lines_lost"] > 500
    assert counters["rss_bytes"] < 64 << 20 or patience(1) > 1
    start = time.monotonic()
    s.stop(seconds=20)
    assert time.monotonic() - start < patience(8), "the stop waited for the reader"
    assert "lost at the end" in s.error_log()


def test_syslog(server, tmp):
    path = os.path.join(tmp, "log.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        os.chmod(path, 0o666)
        daemon.settimeout(patience(10))
        s = server(workers=1, files={"a": "x"}, access_log=False,
                   server=f'access_log: {{ file = "syslog:{path}"; format = "common"; facility = "local3";'
                          ' severity = "notice"; tag = "web"; };')
        for _ in range(3):
            s.get("/a")
        for _ in range(3):
            d = daemon.recv(65536).decode()
            assert re.fullmatch(r'<157>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d web: 127\.0\.0\.1 - - \[.*\] '
                                r'"GET /a HTTP/1\.1" 200 1', d), d
    # The daemon is away: lines wait, and come when there is another.
    os.unlink(path)
    s.get("/a?later")
    s.wait_log("tried again")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(path)
        os.chmod(path, 0o666)
        daemon.settimeout(patience(10))
        assert "/a?later" in daemon.recv(65536).decode()


def test_stdout(server):
    s = server(workers=2, files={"a": "x"}, access_log=False, server='access_log = "stdout";')
    for i in range(20):
        s.get(f"/n/{i}")
    assert s.stop() == 0
    assert sorted(numbers(line for line in lines(s, "stdout") if COMBINED.fullmatch(line))) == list(range(20))


def test_counted(server):
    s = server(files={"a": "x"})
    for _ in range(30):
        s.get("/a")
    wait_lines(s, 30)
    wait_for(lambda: s.status()["counters"]["log_lines"] >= 30, "the counter of lines")
    assert s.status()["counters"]["log_lines_lost"] == 0
