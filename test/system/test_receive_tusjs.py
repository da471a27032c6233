"""tus-js-client from npm, unmodified, in Node: files are whole, whatever is done to the server meanwhile."""
import hashlib
import os
import random
import shutil
import subprocess
import tempfile
import threading

import pytest

from harness import patience
from test_receive import drop
from test_receive_resume import disturb

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def modules():
    """The directory with tus-js-client; installed for these tests, or where TUS_JS says."""
    if os.environ.get("TUS_JS"):
        yield os.environ["TUS_JS"]
        return
    if not shutil.which("npm") or not shutil.which("node"):
        pytest.skip("no Node with npm here")
    with tempfile.TemporaryDirectory(prefix="argand-tusjs-") as d:
        try:
            p = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "tus-js-client@4"], cwd=d,
                               capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            pytest.skip("npm took too long to install tus-js-client")
        if p.returncode != 0:
            pytest.skip("npm cannot install tus-js-client: " + p.stderr[-200:])
        yield d


@pytest.mark.parametrize("protocol", ["tus-v1", "ietf-draft-05"])
@pytest.mark.parametrize("what", ["cut", "reload", "upgrade", "kill"])
def test_tus_js_client(server, modules, what, protocol):
    s = drop(server, workers=2)
    files, clients, stop = {}, [], threading.Event()
    for i in range(4):
        files[f"f{i}"] = random.Random(i).randbytes((1 << 20) + i * 600001)
        s.write(f"{s.tmp}/f{i}", files[f"f{i}"])
    trouble = threading.Thread(target=disturb, args=(s, what, stop))
    for i, name in enumerate(files):
        clients.append(subprocess.Popen(
            ["node", os.path.join(HERE, "tusclient.js"), modules, f"http://127.0.0.1:{s.port}/drop/", f"{s.tmp}/{name}",
             protocol, str(11 + i)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    trouble.start()
    try:
        outputs = [c.communicate(timeout=patience(60))[0] for c in clients]
    finally:
        stop.set()
        trouble.join()
        for c in clients:
            c.kill()
    assert all(o.startswith("done http") for o in outputs), outputs
    stored = [hashlib.sha256(open(e.path, "rb").read()).digest() for e in os.scandir(f"{s.tmp}/drop") if e.is_file()]
    assert sorted(stored) == sorted(hashlib.sha256(d).digest() for d in files.values())
