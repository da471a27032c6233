"""Every case of test/wire, as written and octet by octet. See wirecase.py for their language."""
import os

import pytest

import wirecase

MTIME = 1700000000  # Tue, 14 Nov 2023 22:13:20 GMT: the cases know it
FILES = {
    "index.html": "<!doctype html><title>index</title>\n",
    "hello.txt": "hello\n",
    "digits.txt": "0123456789",
    "empty.txt": "",
    "big.bin": bytes(range(256)) * 400,
    "space and %.txt": "odd\n",
    "sub/index.html": "sub\n",
    "sub/deep/leaf.txt": "leaf\n",
    "bare/x.txt": "x\n",
    ".hidden": "secret\n",
}
CASES = wirecase.cases()


def test_there_are_many():
    assert len(CASES) >= 150
    assert len({c.name.split("-")[0] + c.name.split("-")[1] for c in CASES}) == len(CASES), "a number twice"


@pytest.fixture(scope="module")
def wire_server(shared_server):
    running = {}

    def get(conf):
        if conf not in running:
            with open(os.path.join(wirecase.WIRE, conf + ".conf"), encoding="utf-8") as f:
                text = f.read()
            s = running[conf] = shared_server(text=text)
            for path, data in FILES.items():
                s.write(path, data, mtime=MTIME)
        return running[conf]

    return get


@pytest.mark.parametrize("mode", ["whole", "octets"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_case(wire_server, case, mode):
    if mode == "octets" and case.is_whole:
        pytest.skip("one way only")
    wirecase.run(case, wire_server(case.conf), split=mode == "octets")
