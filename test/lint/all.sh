#!/bin/sh
# Everything that reads the project without running its tests: "ok RULE" or "FAILED RULE" for each, and
# the summary at the end. Needs what `etc/install-deps.sh lint` installs.
#   COMPILE="cc and flags" ARGAND_BIN=program test/lint/all.sh
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${COMPILE:=cc -std=gnu17 -D_GNU_SOURCE -I.}"
export COMPILE
out=$(mktemp) && trap 'rm -f "$out"' EXIT

# rule NAME COMMAND...: its output is shown only when it fails.
rule() {
	name=$1
	shift
	if "$@" >"$out" 2>&1; then
		echo "ok $name"
	else
		cat "$out"
		echo "FAILED $name"
	fi
}

sources=$(find common master worker modules -name '*.c' | sort)
tests=$(find test -name '*.c' | sort)
headers=$(find common master worker modules test -name '*.h' | sort)
scripts=$(find . -name build -prune -o -name .git -prune -o -name '*.sh' -print | sort)
flags=$(echo "$COMPILE" | tr ' ' '\n' | grep -E '^-(I|D)' | grep -v FORTIFY | tr '\n' ' ')

tidy() {
	# shellcheck disable=SC2086
	printf '%s\n' $sources |
	    xargs -P "$(nproc)" -I {} clang-tidy --quiet {} -- -std=gnu17 $flags -Wno-unknown-warning-option
}

check_cpp() {
	# shellcheck disable=SC2086
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
	    --enable=warning,performance,portability --suppressions-list=test/lint/cppcheck.txt \
	    --template='{file}:{line}: {severity}: {message} [{id}]' $flags $sources
}

# The other compiler's opinion, without objects.
second() {
	for compiler in gcc clang; do
		command -v $compiler >/dev/null || continue
		for f in $sources; do
			# shellcheck disable=SC2086
			$compiler -std=gnu17 $flags -O1 -fsyntax-only -Wall -Wextra -Wshadow -Wstrict-prototypes \
			    -Wmissing-prototypes -Werror "$f" || return 1
		done
	done
}

manuals() {
	mandoc -T lint -W warning man/*.[58]
}

python() {
	find test -name '*.py' -print0 | xargs -0 /usr/bin/python3 -W error -c '
import ast, sys
for f in sys.argv[1:]:
    ast.parse(open(f).read(), f)'
}

{
	# shellcheck disable=SC2086
	rule format clang-format --dry-run -Werror $sources $headers $tests
	rule compilers second
	rule cppcheck check_cpp
	rule clang-tidy tidy
	# shellcheck disable=SC2086
	rule shellcheck shellcheck -S warning $scripts .ci/run etc/argand.bash-completion
	rule python python
	rule manuals manuals
	rule units test/lint/units.sh
	test/lint/fast.sh
} | tee build/lint.log
failed=$(grep -c '^FAILED ' build/lint.log)
echo "lint: $(grep -c '^ok ' build/lint.log) rules kept, $failed broken"
[ "$failed" -eq 0 ]
