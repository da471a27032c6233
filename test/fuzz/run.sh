#!/bin/sh
# One fuzzer for a while: run.sh PROGRAM NAME SECONDS. New inputs that reach new code stay in
# build/fuzz/found/NAME; a finding goes to build/fuzz/crash-NAME-*, and the status is not 0.
set -eu
program=$1 name=$2 seconds=$3
# Absolute: a driver may change its directory.
found=$PWD/build/fuzz/found/$name
mkdir -p "$found"
corpus=$PWD/test/fuzz/corpus/$name
[ -d "$corpus" ] || { echo "fuzz: $corpus is missing" >&2; exit 1; }
set -- "$found" "$corpus"
[ ! -f "test/fuzz/$name.dict" ] || set -- "-dict=$PWD/test/fuzz/$name.dict" "$@"
echo "fuzz: $name for $seconds s"
"$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$PWD/build/fuzz/crash-$name-" "$@" \
    >"build/fuzz/$name.log" 2>&1 || {
	tail -n 60 "build/fuzz/$name.log"
	echo "fuzz: $name FAILED; build/fuzz/$name.log has it all" >&2
	exit 1
}
grep -E '^stat::(number_of_executed_units|average_exec_per_sec)|^Done' "build/fuzz/$name.log" |
    sed "s/^/fuzz: $name: /"
