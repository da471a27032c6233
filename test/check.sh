#!/bin/sh
# Runs the parts of `make check` that are named and adds up their results.
#   B=BUILD ARGAND_BIN=PROGRAM SANITIZE=LIST test/check.sh unit|replay|lint|system ...
# Every part prints as it goes, is bounded in time, and leaves its output in $B/check/PART.log. The last
# line is "N passed, N failed"; the exit status is 0 only when nothing failed and something passed.
set -u
: "${B:=build}" "${ARGAND_BIN:=$PWD/$B/argand}" "${SANITIZE:=}" "${ARGAND_FULL:=0}"
export ARGAND_BIN ARGAND_FULL B SANITIZE
# A finding ends the process that has it, with a status that no test takes for success.
export ASAN_OPTIONS="${ASAN_OPTIONS:-abort_on_error=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1:abort_on_error=1}"
: "${CHECK_TIME:=1}" # multiplies the bounds below, for slow machines
logs=$B/check
mkdir -p "$logs"
passed=0 failed=0 table=

# bounded SECONDS PART COMMAND...: its output on the terminal and in the log; its status.
bounded() {
	seconds=$(($1 * CHECK_TIME)) log=$logs/$2.log
	shift 2
	{ timeout -k 10 "$seconds" "$@" 2>&1; echo $? >"$log.status"; } | tee "$log"
	status=$(cat "$log.status")
	rm -f "$log.status"
	[ "$status" -ne 124 ] || echo "check: stopped after $seconds s"
	return "$status"
}

# sum PATTERN LOG: adds up the numbers that stand before a word, "12 passed" or "Failures: 3".
sum() {
	grep -oE "$1" "$2" | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n + 0 }'
}

# tally PART PASSED FAILED STATUS [REMARK]: a part that failed without saying where counts as one.
tally() {
	p=$2 f=$3
	if [ "$4" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	passed=$((passed + p)) failed=$((failed + f))
	table="$table$(printf '  %-8s %6d passed %6d failed  %s' "$1" "$p" "$f" "${5:-}")
"
}

# With sanitizers a process per suite in place of one per test: thousands of children would take long,
# and a leak shows at the end of each process. Suites that expect a process to die need theirs.
run_unit() {
	status=0
	for folder in unit master engine; do
		run_suites "$B/$folder-tests" "test/$folder" || status=1
	done
	return $status
}

# run_suites PROGRAM FOLDER
run_suites() {
	if [ -z "$SANITIZE" ]; then
		"$1"
		return
	fi
	bad=0
	for file in "$2"/test_*.c; do
		fork=no
		! grep -qE 'tcase_add_(loop_)?(test_raise_signal|exit_test)' "$file" || fork=yes
		name=${file##*/test_}
		CK_FORK=$fork "$1" "${name%.c}" || { echo "unit: $name failed"; bad=1; }
	done
	return $bad
}

part_unit() {
	bounded 900 unit "$0" run_unit
	status=$?
	checks=$(sum 'Checks: [0-9]+' "$logs/unit.log")
	bad=$(($(sum 'Failures: [0-9]+' "$logs/unit.log") + $(sum 'Errors: [0-9]+' "$logs/unit.log")))
	tally unit $((checks - bad)) "$bad" $status
}

part_replay() {
	p=0 f=0 inputs=0
	for program in "$B"/replay/*; do
		[ -x "$program" ] || continue
		name=$(basename "$program")
		if timeout -k 10 $((300 * CHECK_TIME)) "$program" "$PWD/test/fuzz/corpus/$name" \
		    >"$logs/replay-$name.log" 2>&1; then
			p=$((p + 1))
			inputs=$((inputs + $(sum '[0-9]+ inputs replayed' "$logs/replay-$name.log")))
		else
			f=$((f + 1))
			echo "replay: $name FAILED:"
			tail -n 30 "$logs/replay-$name.log"
		fi
	done
	tally replay $p $f 0 "$inputs inputs"
}

part_lint() {
	bounded 300 lint test/lint/fast.sh
	status=$?
	tally lint "$(grep -c '^ok ' "$logs/lint.log")" \
	    "$(grep -c '^FAILED ' "$logs/lint.log")" $status
}

# Two lanes side by side, because most of them wait most of the time: what has backends, and the rest. With
# ARGAND_FULL one after the other, since that measures. Debian's own python has the packages that
# install-deps.sh installs.
BACKENDS='test_apps_*.py test_backends_*.py test_gateway*.py test_resolver.py test_spawn*.py'

# lane NAME [pytest's arguments]
lane() {
	name=$1
	shift
	bounded $((ARGAND_FULL ? 7200 : 2400)) "$name" /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@"
}

# lane_tally NAME STATUS
lane_tally() {
	last=$(grep -E '(passed|failed|error|skipped).* in [0-9.]+s' "$logs/$1.log" | tail -n 1)
	echo "$last" >"$logs/$1.last"
	bad=$(($(sum '[0-9]+ failed' "$logs/$1.last") + $(sum '[0-9]+ error' "$logs/$1.last")))
	tally "$1" "$(sum '[0-9]+ passed' "$logs/$1.last")" $bad "$2" \
	    "$(grep -oE '[0-9]+ skipped' "$logs/$1.last")"
}

part_system() {
	gateway='' rest=''
	for pattern in $BACKENDS; do
		for file in test/system/$pattern; do
			gateway="$gateway $file"
			rest="$rest --ignore=$file"
		done
	done
	# shellcheck disable=SC2086
	if [ "$ARGAND_FULL" = 1 ]; then
		lane backends $gateway
		first=$?
		lane system $rest test/system
		second=$?
	else
		lane backends $gateway >"$logs/backends.out" &
		lane system $rest test/system
		second=$?
		wait $!
		first=$?
		echo "== system, with backends"
		cat "$logs/backends.out"
	fi
	lane_tally backends $first
	lane_tally system $second
}

# The script itself is what can be bounded in time: a function cannot.
if [ "${1:-}" = run_unit ]; then
	run_unit
	exit
fi
for part; do
	echo "== $part"
	part_"$part"
done
printf '\n%s%d passed, %d failed\n' "$table" $passed $failed
[ $failed -eq 0 ] && [ $passed -gt 0 ]
