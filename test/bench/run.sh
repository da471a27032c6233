#!/bin/sh
# Benchmarks. BENCH names a folder with bench.py, which starts this server and others side by side from
# templates; without one, only what this repository measures on its own.
#   ARGAND_BIN=PROGRAM [BENCH=FOLDER] [ROUNDS=3] [SECONDS_EACH=2] [SERVERS=a,b] [GATEWAYS=c,d] [OURS=,stream=1]
#       [OUT=FILE] test/bench/run.sh [SCENARIO...]
# OURS are conditions of argand.conf: the policy for uploads.
set -eu
cd "$(dirname "$0")/../.."
: "${ARGAND_BIN:=$PWD/argand}" "${ROUNDS:=3}" "${SECONDS_EACH:=2}" "${SERVERS:=limit,nginx-ofc,lighttpd,h2o}" \
	"${GATEWAYS:=proxylimit,nginx,nginx-nobuf,lighttpd,lighttpd-nobuf,haproxy,h2o}" "${OURS:=}"
export ARGAND_BIN
[ $# -gt 0 ] || set -- static-1k static-1k-close static-10k-files static-304 static-100M idle-10k \
	syscalls-static instr-static proxy-1k fastcgi-1k fastcgi-php upload-256M-http upload-256M-fcgi \
	upload-slow-200 syscalls-proxy syscalls-fastcgi
if [ -z "${BENCH:-}" ]; then
	echo "bench: BENCH names no folder: system calls, allocations and instructions per request only"
	exec env ARGAND_FULL=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider test/system/test_perf.py
fi
template=$(mktemp)
trap 'rm -f "$template"' EXIT
sed "s|@ARGAND@|$ARGAND_BIN|" test/bench/argand.conf >"$template"
status=0
for scenario; do
	logs='' servers=$SERVERS
	case $scenario in
	*+log) logs=--log scenario=${scenario%+log} ;;
	esac
	case $scenario in
	fastcgi-php) servers=${GATEWAYS#proxylimit,} ;;
	*proxy* | *fastcgi* | upload*) servers=$GATEWAYS ;;
	esac
	/usr/bin/python3 "$BENCH/bench.py" "$scenario" --servers "$servers" --ours "$template$OURS" \
		--rounds "$ROUNDS" --seconds "$SECONDS_EACH" $logs ${OUT:+--md "$OUT"} || status=1
done
exit $status
