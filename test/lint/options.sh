#!/bin/sh
# Every option that the program knows stands in argand.conf(5) and in the sample configuration, and the
# samples are free of errors and warnings.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${ARGAND_BIN:=$PWD/build/argand}"

names=$("$ARGAND_BIN" options | sed -n 's/^\([a-z][a-z0-9_.]*\)\( .*\)\{0,1\}$/\1/p' | sort -u)
verdict() { if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAILED $1"; fi; }

missing() { # missing FILE PATTERN: names without a line in FILE that matches PATTERN with @ for it
	bad=0
	for name in $names; do
		# A member of a group stands in the sample by its last part, inside the group.
		pattern=$(printf '%s' "$2" | sed "s/@/${name##*.}/;s/%/$name/")
		grep -qE "$pattern" "$1" || { echo "$1: option $name is missing"; bad=1; }
	done
	[ -n "$names" ] || { echo "$ARGAND_BIN options prints nothing"; bad=1; }
	return $bad
}

missing man/argand.conf.5 '%'
verdict options-in-manual $?
missing etc/argand.conf.in '(^|[^a-z_.])@[[:space:]]*[:=]'
verdict options-in-sample $?

status=0
for sample in etc/demo.conf build/etc/argand.conf; do
	[ -f "$sample" ] || continue
	said=$("$ARGAND_BIN" check -c "$sample" 2>&1) || status=1
	case $said in *warning:*) status=1 ;; esac
	[ $status -eq 0 ] || { echo "$said"; break; }
done
verdict samples $status
