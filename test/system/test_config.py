"""The configuration as its users meet it: check, explain, options, and reloads that are refused."""
import os
import re
import subprocess

import pytest

import harness

TEN_MISTAKES = """server: {
  listn = "127.0.0.1:8080";
  workers = 20000000000;
  timeout: { header = 30; };
  listen = "127.0.0.1:8080";
};
sites = (
  { host = "a.example";
    root = "/srv/a;
    debug = yes;
    document_root = "/x";
    routes = (
      { path = "/x"; max_body = 10M; }
      { regex = "("; },
      { path = "/y"; methods = [ "get" ]; }
    );
  }
);
"""

# Line, a part of what is said, a part of the suggestion.
TEN_ERRORS = [
    (2, "unknown setting 'listn'", "did you mean 'listen'?"),
    (3, "from 1 to 128, not the number 20000000000", ""),
    (4, "'timeout.header' wants a time", 'write "30s"'),
    (9, "string opened here is never closed", "add the closing quote"),
    (10, "'debug' wants true or false", "write true"),
    (11, "unknown setting 'document_root'", "did you mean 'root'?"),
    (13, "'max_body' wants a size", 'write "10M"'),
    (13, "a comma is missing", "put ',' here"),
    (14, "missing closing parenthesis", "pcre2pattern"),
    (15, '"get" is not a method', "in upper case"),
]


def argand(*args, **env):
    return subprocess.run([harness.BIN, *args], capture_output=True, text=True, timeout=harness.patience(30),
                          env={**os.environ, **env})


def write(tmp, name, text):
    path = os.path.join(tmp, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def messages(text):
    """[(file, line, column, kind, text, what follows it)]"""
    out = []
    for block in re.split(r"^(?=\S+?:(?:\d+:)*(?:\d+:)? (?:error|warning): )", text, flags=re.M):
        m = re.match(r"(\S+?):(?:(\d+):)?(?:(\d+):)? (error|warning): (.*)\n((?:.*\n)*)", block)
        if m:
            out.append((m[1], int(m[2] or 0), int(m[3] or 0), m[4], m[5], m[6]))
    return out


@pytest.mark.parametrize("verb", [("check",), ("-t",)])
def test_ten_mistakes_are_ten_errors(tmp, verb):
    path = write(tmp, "argand.conf", TEN_MISTAKES)
    r = argand(*verb, "-c", path)
    said = messages(r.stderr)
    assert r.returncode == 78
    assert len(said) == 10, r.stderr
    for (line, text, hint), m in zip(TEN_ERRORS, said):
        assert m[0] == path and m[1] == line and m[2] > 0 and m[3] == "error"
        assert text in m[4] and hint in m[5]
        # The source line, and a caret below the column.
        source, caret = m[5].splitlines()[:2]
        assert source == f"{line:5d} | {TEN_MISTAKES.splitlines()[line - 1]}"
        assert caret.index("^") == len("      | ") + m[2] - 1
    assert r.stderr.endswith("10 errors\n")
    assert "\033" not in r.stderr


def test_errors_of_included_files(tmp):
    main = write(tmp, "argand.conf", 'server: { listen = "127.0.0.1:1"; user = "nobody"; };\ninclude = "sites";\n')
    b = write(tmp, "sites/b.conf", 'sites = ( { host = "b"; rooot = "/"; } );\n')
    a = write(tmp, "sites/a.conf", 'sites = ( { host = "a"; root = "/" }\n')
    r = argand("check", "-c", main)
    assert r.returncode == 78
    assert [(m[0], m[1]) for m in messages(r.stderr)] == [(a, 1), (b, 1)], r.stderr
    write(tmp, "sites/a.conf", 'sites = ( { host = "a"; root = "/" } );\n')
    write(tmp, "sites/b.conf", 'sites = ( { host = "b"; root = "/"; } );\n')
    r = argand("check", "-c", main)
    assert (r.returncode, r.stderr) == (0, "")
    assert "2 sites" in r.stdout


def test_a_file_that_is_not_there(tmp):
    r = argand("check", "-c", tmp + "/none.conf")
    assert r.returncode == 78
    assert f"{tmp}/none.conf: error: cannot be read: No such file or directory" in r.stderr


def test_usage():
    for args in (("check", "--nonsense"), ("check", "extra"), ("explain",), ("options", "a", "b")):
        r = argand(*args)
        assert r.returncode == 2 and "usage:" in r.stderr, args


def test_reload_with_a_broken_configuration_changes_nothing(server):
    s = server(files={"a.txt": "hello"}, workers=2)
    before = sorted(s.workers())
    conf = os.path.join(s.tmp, "argand.conf")
    text = open(conf).read()
    with open(conf, "w") as f:
        f.write(text.replace("workers", "wrokers") + "nonsense = yes;\n")
    r = s.cli("reload")
    said = r.stdout + r.stderr
    assert r.returncode != 0
    assert "unknown setting 'wrokers'" in said and "did you mean 'workers'?" in said
    assert "unknown setting 'nonsense'" in said
    assert sorted(s.workers()) == before
    assert s.get("/a.txt").status == 200
    with open(conf, "w") as f:
        f.write(text)
    assert s.cli("reload").returncode == 0
    assert s.get("/a.txt").status == 200


def test_check_diff_tells_what_a_reload_would_change(server):
    s = server(files={"a.txt": "hello"}, workers=2, routes='{ path = "/old"; respond = "x"; }')
    r = s.cli("check", "--diff")
    assert (r.returncode, r.stdout) == (0, "A reload would change nothing.\n"), r.stderr
    s.rewrite(workers=3, routes='{ path = "/new"; respond = "x"; }')
    r = s.cli("check", "--diff")
    assert r.returncode == 0, r.stderr
    lines = r.stdout.splitlines()
    assert "~ server: workers 2 -> 3" in lines
    assert "+ route * /new" in lines and "- route * /old" in lines
    assert s.get("/new").status == 404  # nothing has been changed


def test_explain_says_what_a_request_meets(server):
    s = server(files={"a.txt": "hello"}, site='expire = "1d";',
               routes='{ path = "/p"; methods = "PUT"; }, { path = "/p"; respond = "here"; }')
    conf = os.path.join(s.tmp, "argand.conf")
    text = open(conf).read().splitlines()
    r = argand("explain", "-c", conf, f"http://localhost:{s.port}/p/./x?q=1")
    assert r.returncode == 0, r.stderr
    out = re.sub(" +", " ", r.stdout)
    for wanted in (f"127.0.0.1:{s.port}", '"/p PUT" not for this method', '"/p" matches',
                   "path /p/x (normalised)", 'respond.body = "here"', 'expire.default = "1d"'):
        assert wanted in out, out
    # Each option names the line that it was set on.
    where = re.search(r'expire\.default = "1d" \S+:(\d+)', out)
    assert 'expire = "1d"' in text[int(where[1]) - 1]
    # What it says is what happens.
    assert s.get("/p/x").text == "here"
    assert re.search(r"handler respond", out)
    r = argand("explain", "-c", conf, "PUT", "/p")
    assert '"/p PUT" matches' in re.sub(" +", " ", r.stdout)
    for bad in ("/../x", "/%00", "http://"):
        assert argand("explain", "-c", conf, bad).returncode == 2, bad


BACKENDS = """app: { protocol = "http"; hosts = [ "10.0.0.3:80", "app.example:81" ]; };
java: { protocol = "ajp"; hosts = "127.0.0.1:8009"; secret = "hush-hush"; };"""


def test_explain_names_the_backends(server):
    s = server(backends=BACKENDS, routes='{ path = "/app"; gateway = "app"; }, { path = "/one"; gateway = "http://Local"; }')
    conf = os.path.join(s.tmp, "argand.conf")
    out = re.sub(" +", " ", argand("explain", "-c", conf, "/app/x").stdout)
    assert "backend app (http): 10.0.0.3:80" in out and "app (http): app.example:81" in out, out
    out = re.sub(" +", " ", argand("explain", "-c", conf, "/one").stdout)
    assert "backend http://local:80 (http): local:80" in out, out
    assert "backend" not in re.sub(" +", " ", argand("explain", "-c", conf, "/two").stdout).split("handler")[1]


def test_backends_in_dumps_and_differences(server):
    s = server(backends=BACKENDS, routes='{ path = "/app"; gateway = "app"; }, { path = "/j"; gateway = "java"; }')
    shown = s.cli("config").stdout
    assert "10.0.0.3:80" in shown and "hush" not in shown, shown
    s.rewrite(backends=BACKENDS.replace('"10.0.0.3:80"', '{ address = "10.0.0.3:80"; weight = 3; }').replace("[", "(").replace("]", ")") +
              'new = "http://10.0.0.9";',
              routes='{ path = "/app"; gateway = "app"; }, { path = "/j"; gateway = "java"; }')
    lines = s.cli("check", "--diff").stdout.splitlines()
    assert "+ backend new" in lines and any(x.startswith("~ backend app: hosts ") and "weight = 3" in x for x in lines), lines
    assert len(lines) == 2
    assert s.cli("reload").returncode == 0


def test_backends_in_included_files(tmp):
    """Pools may stand in any file; a second one of the same name is told where the first is."""
    conf = write(tmp, "a.conf", 'include = "b.conf";\nbackends: { x = "http://a"; };\nsites = ( { host = "*"; gateway = "y"; } );\n')
    write(tmp, "b.conf", 'backends: { y = "http://unix:rel.sock"; };\n')
    r = argand("check", "-c", conf)
    assert r.returncode == 0, r.stderr
    assert f"unix:{tmp}/rel.sock" in argand("explain", "-c", conf, "/").stdout
    write(tmp, "b.conf", 'backends: { y = "http://c";\n x = "http://d"; };\n')
    r = argand("check", "-c", conf)
    assert r.returncode != 0
    assert [m[1] for m in messages(r.stderr)] == [2], r.stderr
    assert 'two pools "x"' in r.stderr and "a.conf, line 2" in r.stderr


def test_certificates_of_backends_are_read(tmp):
    pem = write(tmp, "ca.pem", "no certificate\n")
    conf = write(tmp, "a.conf", f'backends: {{ x: {{ hosts = "https://a"; tls: {{ ca = "{pem}"; }}; }}; }};\n'
                 'sites = ( { host = "*"; gateway = "x"; } );\n')
    r = argand("check", "-c", conf)
    assert r.returncode != 0 and 'pool "x": TLS: ' in r.stderr, r.stderr


def test_options_describe_themselves():
    r = argand("options")
    names = re.findall(r"^([a-z][a-z0-9_.]*)$", r.stdout, flags=re.M)
    assert r.returncode == 0 and len(names) > 40 and "timeout.header" in names
    for name in names:
        one = argand("options", name)
        assert one.returncode == 0 and one.stdout.startswith(name + "\n"), name
    r = argand("options", "workrs")
    assert r.returncode == 2 and "did you mean 'workers'?" in r.stderr
    r = argand("options", "client_max_body_size")
    assert r.returncode == 2 and "did you mean 'max_body'?" in r.stderr


def test_workers_auto_counts_the_cpus_of_the_process(tmp):
    path = write(tmp, "argand.conf", 'server: { listen = "127.0.0.1:1"; slots = 1; };\n')
    cpus = sorted(os.sched_getaffinity(0))
    r = subprocess.run(["taskset", "-c", str(cpus[0]), harness.BIN, "check", "-c", path],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    if len(cpus) > 1 and not quota():
        r = argand("check", "-c", path)
        assert r.returncode == 78 and f"the number of workers, which is {len(cpus)}" in r.stderr


def quota():
    """Whether a control group bounds the CPU time of this process."""
    for line in open("/proc/self/cgroup"):
        path = line.rstrip("\n").split(":", 2)[2]
        while True:
            try:
                if not open(f"/sys/fs/cgroup{path}/cpu.max").read().startswith("max"):
                    return True
            except OSError:
                pass
            if path in ("", "/"):
                break
            path = os.path.dirname(path)
    return os.path.exists("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
