#!/bin/sh
# The unit file as it would be installed: systemd accepts it and rates its exposure 2.0 or lower.
set -eu
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fill() {
	sed -e 's|@sbindir@|/usr/bin|g' -e 's|@sysconfdir@|/etc|g' -e 's|@runstatedir@|/run|g' \
	    -e 's|@localstatedir@|/var|g' -e 's|@datadir@|/usr/share|g' -e 's|@user@|www-data|g' \
	    -e 's|/usr/bin/argand|/bin/true|' "$1"
}
fill etc/argand.service.in >"$dir/argand.service"
fill etc/argand.socket.example.in >"$dir/argand.socket"
# Anything that it says about these two units counts, not what the machine's own units are accused of.
systemd-analyze verify --man=no "$dir/argand.service" "$dir/argand.socket" 2>&1 |
    grep -E "^($dir/)?argand\.|Failed|Unknown|failed" >"$dir/said" || true
if [ -s "$dir/said" ]; then
	cat "$dir/said"
	exit 1
fi
score=$(systemd-analyze security --offline=true "$dir/argand.service" --no-pager |
    sed -n 's/.*Overall exposure level for argand.service: \([0-9.]*\).*/\1/p')
echo "exposure $score"
awk -v s="$score" 'BEGIN { exit !(s != "" && s <= 2.0) }'
