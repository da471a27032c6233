#!/bin/sh
# The part of lint that takes seconds and is in `make check`: "ok RULE" or "FAILED RULE" for each.
set -u
cd "$(dirname "$0")/../.." || exit 1
status=0
/usr/bin/python3 test/lint/house.py || status=1
test/lint/options.sh || status=1
exit $status
