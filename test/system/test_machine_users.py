"""Other users of this machine against the master, which may be root: what they put into directories
where they may, and what it opens, removes or hands on there. Another user is uid 65534, and only root
can make things his: elsewhere there is nothing to show."""
import os
import signal
import socket
import stat
import subprocess

import pytest
from harness import BIN, wait_for

OTHER = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


def theirs(*path):
    """A directory of the other user."""
    d = os.path.join(*path)
    os.makedirs(d, exist_ok=True)
    os.chown(d, OTHER, OTHER)
    os.chmod(d, 0o755)
    return d


def their_link(target, path):
    os.symlink(target, path)
    os.lchown(path, OTHER, OTHER)


def secret(s, name="target", text="of root's\n"):
    path = os.path.join(s.tmp, name)
    with open(path, "w") as f:
        f.write(text)
    return path


def read(path):
    with open(path) as f:
        return f.read()


def log_to(s, path):
    return s.text.replace(f'"{s.tmp}/access.log"', f'"{path}"')


def refuses(s, *words):
    """The server does not start, and says why."""
    s.start(wait=False)
    assert s.proc.wait(10) != 0
    said = s.output()
    for word in words:
        assert word in said, said
    return said


# ----------------------------------------------------------------------------------- log files


def test_log_through_their_link_at_the_start(server):
    """logs/ is www-data's, logs/a.log a link of his: root wrote request lines where it led."""
    s = server(start=False)
    target, logs = secret(s), theirs(s.tmp, "logs")
    their_link(target, logs + "/a.log")
    s.rewrite(text=log_to(s, logs + "/a.log"))
    refuses(s, "cannot open log", "symbolic link of user", "not followed", logs)
    assert read(target) == "of root's\n"
    os.unlink(logs + "/a.log")
    s.start()
    assert s.get("/a-line-for-the-log").status == 404
    wait_for(lambda: "a-line-for-the-log" in read(logs + "/a.log"), "the line")


@pytest.mark.parametrize("how", ["USR1", "reload"])
def test_log_through_their_link_later(server, how):
    """The same at the reopening and with a new configuration: the old file is written on."""
    s = server(start=False)
    target, logs = secret(s), theirs(s.tmp, "logs")
    s.rewrite(text=log_to(s, logs + "/a.log"))
    s.start()
    if how == "USR1":
        os.rename(logs + "/a.log", logs + "/old.log")
        their_link(target, logs + "/a.log")
        s.kill(signal.SIGUSR1)
        s.wait_log("cannot open log")
        assert "not followed" in s.error_log()
    else:
        their_link(target, logs + "/b.log")
        s.rewrite(text=s.text.replace("a.log", "b.log"))
        s.kill(signal.SIGHUP)
        s.wait_log("reload failed")
        assert "not followed" in s.error_log()
        os.rename(logs + "/a.log", logs + "/old.log")  # where the open file is to be found
    assert s.get("/a-line-for-the-log").status == 404
    wait_for(lambda: "a-line-for-the-log" in read(logs + "/old.log"), "the line in the file before")
    assert read(target) == "of root's\n"


def test_error_log_through_their_link(server):
    s = server(start=False)
    target, logs = secret(s), theirs(s.tmp, "logs")
    their_link(target, logs + "/e.log")
    s.rewrite(text=s.text.replace(f"{s.tmp}/error.log", logs + "/e.log"))
    refuses(s, "cannot open error log", "not followed")
    assert read(target) == "of root's\n"


def test_log_in_their_directory_by_a_hard_link(server):
    s = server(start=False)
    target, logs = secret(s), theirs(s.tmp, "logs")
    os.link(target, logs + "/a.log")
    s.rewrite(text=log_to(s, logs + "/a.log"))
    refuses(s, "cannot open log", "second name")
    assert read(target) == "of root's\n"


def test_check_warns_of_their_log_directory(server):
    s = server(start=False)
    logs = theirs(s.tmp, "logs")
    s.rewrite(text=log_to(s, logs + "/a.log"))
    done = subprocess.run([BIN, "check", "-c", s.conf], capture_output=True, text=True)
    assert done.returncode == 0
    assert f"{logs} belongs to user" in done.stderr and f"chown root {logs}" in done.stderr, done.stderr


def test_logs_elsewhere_by_the_choice_of_root(server):
    """/var/log/argand -> /data/log, a FIFO, and what logrotate has made for the workers' user."""
    s = server(start=False)
    os.makedirs(s.tmp + "/data")
    os.symlink("data", s.tmp + "/log")
    os.symlink(s.tmp + "/data/b.log", s.tmp + "/data/a.log")
    with open(s.tmp + "/data/b.log", "w"):
        pass
    os.chown(s.tmp + "/data/b.log", OTHER, 4)
    os.chmod(s.tmp + "/data/b.log", 0o640)
    s.rewrite(text=log_to(s, s.tmp + "/log/a.log"))
    s.start()
    assert s.get("/first").status == 404
    wait_for(lambda: "/first" in read(s.tmp + "/data/b.log"), "the line")
    os.rename(s.tmp + "/data/b.log", s.tmp + "/data/b.log.1")
    fd = os.open(s.tmp + "/data/b.log", os.O_CREAT | os.O_WRONLY, 0o640)
    os.fchown(fd, OTHER, 4)
    os.close(fd)
    s.kill(signal.SIGUSR1)
    s.wait_log("log files opened anew")
    assert s.get("/second").status == 404
    wait_for(lambda: "/second" in read(s.tmp + "/data/b.log"), "the line after the rotation")


@pytest.mark.parametrize("path", ["/dev/stdout", "/proc/self/fd/1", "/dev/stderr"])
def test_log_to_what_the_kernel_links(server, path):
    s = server(start=False)
    s.rewrite(text=log_to(s, path))
    s.start()
    assert s.get("/a-line-for-the-log").status == 404
    name = "stderr" if "err" in path else "stdout"
    wait_for(lambda: "a-line-for-the-log" in s.read(name), "the line")


# ------------------------------------------------------------------------------------- sockets


def listening(path, serves=True):
    l = socket.socket(socket.AF_UNIX)
    l.bind(path)
    if serves:
        l.listen(5)
    return l


def test_control_is_a_regular_file(server):
    """It was replaced by a socket, and gone after the stop."""
    s = server(start=False)
    path = secret(s, "notes.txt")
    s.rewrite(text=s.text.replace("control.sock", "notes.txt"))
    refuses(s, path, "not a socket")
    assert read(path) == "of root's\n"


def test_control_moves_to_a_regular_file(server):
    s = server()
    path = secret(s, "notes.txt")
    s.rewrite(text=s.text.replace("control.sock", "notes.txt"))
    s.kill(signal.SIGHUP)
    s.wait_log("not a socket")
    assert read(path) == "of root's\n"


def test_a_socket_left_behind_is_replaced(server):
    s = server(start=False)
    listening(s.tmp + "/control.sock").close()
    s.start()
    assert s.cli("status").returncode == 0
    assert s.stop() == 0
    assert not os.path.exists(s.tmp + "/control.sock")


def test_what_took_the_place_of_the_control_socket_stays(server):
    """At the stop only the file that was bound is removed."""
    s = server()
    os.unlink(s.tmp + "/control.sock")
    path = secret(s, "control.sock")
    assert s.stop() == 0
    assert read(path) == "of root's\n"


def test_another_socket_in_its_place_stays(server):
    s = server()
    os.unlink(s.tmp + "/control.sock")
    other = listening(s.tmp + "/control.sock")
    assert s.stop() == 0
    assert stat.S_ISSOCK(os.stat(s.tmp + "/control.sock").st_mode)
    other.close()


def test_control_through_their_link(server):
    """A directory of theirs: the link is not followed, nothing is removed, made or changed behind it."""
    s = server(start=False)
    target, run = secret(s), theirs(s.tmp, "run")
    their_link(target, run + "/c.sock")
    s.rewrite(text=s.text.replace(s.tmp + "/control.sock", run + "/c.sock"))
    refuses(s, "not followed")
    assert read(target) == "of root's\n" and os.path.islink(run + "/c.sock")


def unix_text(s, path, more=""):
    """The configuration with a Unix socket beside its address."""
    old = f'listen = "127.0.0.1:{s.port}"'
    assert old in s.text, s.text
    return s.text.replace(old, f'listen = ( {{ address = "127.0.0.1:{s.port}"; }}, '
                               f'{{ address = "unix:{path}"; {more} }} )')


def test_listener_is_a_regular_file(server):
    s = server(start=False)
    path = secret(s, "http.sock")
    s.rewrite(text=unix_text(s, path))
    refuses(s, path, "not a socket")
    assert read(path) == "of root's\n"


def test_listener_that_is_served_is_left_alone(server):
    s = server(start=False)
    other = listening(s.tmp + "/http.sock")
    s.rewrite(text=unix_text(s, s.tmp + "/http.sock"))
    refuses(s, "in use")
    assert os.path.exists(s.tmp + "/http.sock")
    other.close()


def test_mode_and_owner_of_the_socket_that_was_bound(server):
    s = server(start=False)
    path = s.tmp + "/http.sock"
    s.rewrite(text=unix_text(s, path, 'mode = "0640"; user = "nobody";'))
    s.start()
    st = os.stat(path)
    assert (stat.S_IMODE(st.st_mode), st.st_uid) == (0o640, OTHER)
    assert s.stop() == 0
    assert not os.path.exists(path)


def test_backend_socket_is_a_regular_file(server):
    s = server(start=False)
    path = secret(s, "backend-app.sock")
    s.rewrite(backends='app: { protocol = "scgi"; spawn: { command = "/bin/cat"; }; };',
              routes='{ path = "/"; gateway = "app"; }')
    refuses(s, path, "not a socket")
    assert read(path) == "of root's\n"


# ------------------------------------------------------------------------------------- pid file


@pytest.mark.parametrize("what", ["link", "hard link", "other file"])
def test_pid_file_writes_over_nothing_else(server, what):
    s = server(start=False)
    target, run = secret(s), theirs(s.tmp, "run")
    path = run + "/argand.pid"
    if what == "link":
        their_link(target, path)
    elif what == "hard link":
        os.link(target, path)
    else:
        with open(path, "w") as f:
            f.write("notes of theirs\n")
    s.rewrite(server=f'pid_file = "{path}";')
    s.start()
    s.wait_log("pid file " + path)
    assert read(target) == "of root's\n"
    assert s.stop() == 0
    assert os.path.lexists(path), "what is not ours stays"


def test_pid_file_is_written_and_removed(server):
    s = server(start=False)
    with open(s.tmp + "/argand.pid", "w") as f:
        f.write("4194000\n")  # of one that was killed
    s.rewrite(server=f'pid_file = "{s.tmp}/argand.pid";')
    s.start()
    wait_for(lambda: read(s.tmp + "/argand.pid") == f"{s.pid}\n", "the pid")
    assert s.stop() == 0
    assert not os.path.exists(s.tmp + "/argand.pid")


# ------------------------------------------------------------------------------------- root


def test_workers_as_root_are_told_of(server):
    """In `check`, in the log, and in the status, with the remedy; no longer when that is mended."""
    s = server()
    done = s.cli("check")
    assert done.returncode == 0 and "'user' is not set" in done.stderr and 'user = "www-data"' in done.stderr
    assert s.error_log().count("workers run as root") == 1
    assert any("workers run as root" in w for w in s.status()["warnings"])
    assert "warning: workers run as root" in s.cli("status").stdout
    os.chmod(s.tmp, 0o755)
    s.rewrite(server='user = "nobody";')
    assert s.cli("reload").returncode == 0
    assert s.status()["warnings"] == []
    assert "'user'" not in s.cli("check").stderr
    s.rewrite()
    assert s.cli("reload").returncode == 0
    assert s.error_log().count("workers run as root") == 2


def test_scripts_as_root_must_be_meant(server):
    s = server(start=False)
    cgi = 'cgi: { protocol = "cgi"; spawn: { %s }; };'
    s.rewrite(backends=cgi % "")
    refuses(s, "scripts of pool \"cgi\" would run as root", 'user = "root"')
    s.rewrite(backends=cgi % 'user = "root";')
    s.start()
    assert any("backends run as root" in w for w in s.status()["warnings"])
    s.rewrite(server='user = "nobody";', backends=cgi % "")
    os.chmod(s.tmp, 0o755)
    assert s.cli("reload").returncode == 0
    assert s.status()["warnings"] == []
