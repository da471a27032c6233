#!/bin/sh
# Every option that the program knows stands in argand.conf(5) and in the sample configuration, and the
# samples are free of errors and warnings.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${ARGAND_BIN:=$PWD/build/argand}"

verdict() { if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "FAILED $1"; fi; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$ARGAND_BIN" options --mdoc >"$dir/options"
names=$(sed -n 's/^\.It Ic //p' "$dir/options" | sort -u)

# The reference in the manual is printed by the program; a new option wants it printed again.
manual() {
	[ -n "$names" ] || { echo "$ARGAND_BIN options --mdoc prints nothing"; return 1; }
	/usr/bin/python3 -c '
import sys
manual, options = (open(f).read() for f in sys.argv[1:])
sys.exit(options.strip() not in manual)' man/argand.conf.5 "$dir/options" && return
	echo "man/argand.conf.5 does not hold what \"argand options --mdoc\" prints; differing lines:"
	grep -vxF -f man/argand.conf.5 "$dir/options" | head -n 20
	return 1
}
manual
verdict options-in-manual $?

sample() {
	bad=0
	for name in $names; do
		# A member of a group stands there by its last part, inside the group.
		grep -qE "(^|[^a-z_.])${name##*.}[[:space:]]*[:=]" etc/argand.conf.in ||
		    { echo "etc/argand.conf.in: option $name is missing"; bad=1; }
	done
	return $bad
}
sample
verdict options-in-sample $?

# As it would be installed: its paths lead to the demo.
ln -s "$PWD/etc" "$dir/argand"
sed -e "s|@datadir@|$dir|g" -e "s|@[a-z]*statedir@|$dir|g" -e "s|@user@|nobody|g" etc/argand.conf.in >"$dir/argand.conf"
status=0
for sample in etc/demo.conf "$dir/argand.conf"; do
	said=$("$ARGAND_BIN" check -c "$sample" 2>&1) || status=1
	case $said in *warning:*) status=1 ;; esac
	[ $status -eq 0 ] || { echo "$said"; break; }
done
verdict samples $status
