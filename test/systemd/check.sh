#!/bin/bash
# Tests the installed unit under a real systemd; see README.md. ARGAND_ROOTFS names the Debian tree that
# is used, and made when it is not there. Prints "ok NAME" or "FAILED NAME" and ends with the sum.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$(dirname "$here")")
root=${ARGAND_ROOTFS:-/var/tmp/argand-systemd-root}
packages=systemd,systemd-sysv,dbus,python3-minimal,libpython3-stdlib,iproute2,procps,libevent-core-2.1-7,libssl3,libconfig9,libpcre2-8-0,libcrypt1,libc-ares2,media-types

if [ "$(id -u)" -ne 0 ]; then
	echo 'check-systemd: mounts and namespaces need root' >&2
	exit 1
fi

# The mirror that this machine uses itself.
mirror() {
	awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } }' \
	    /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null
}

# A tree that was made for other packages is made anew.
if [ "$(cat "$root/.ready" 2>/dev/null)" != "$packages" ]; then
	echo "Making a Debian tree in $root (once)"
	rm -rf "$root" "$root.new"
	debootstrap --variant=minbase --include="$packages" bookworm "$root.new" "$(mirror)" >"$root.log" 2>&1 || {
		tail -n 20 "$root.log"
		exit 1
	}
	echo "$packages" >"$root.new/.ready"
	mv "$root.new" "$root"
fi

# Everything from here on happens in a mount namespace of its own: what is mounted ends with it.
if [ "${ARGAND_UNSHARED:-}" != yes ]; then
	ARGAND_UNSHARED=yes exec unshare -m --propagation private "$0" "$@"
fi
work=$(mktemp -d /var/tmp/argand-systemd.XXXXXX)
finish() {
	umount -l "$work/tree" 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
mkdir "$work/upper" "$work/work" "$work/tree"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/tree"

env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
    make -C "$top" -s DEPS=no B="${B:-build}" ${CC:+CC="$CC"} DESTDIR="$work/tree" install >/dev/null
mkdir -p "$work/tree/test"
cp "$here/inside.py" "$work/tree/test/"
ln -s "$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$work/tree"/usr/*/lib/systemd/system/argand.service \
    "$work/tree"/usr/lib/systemd/system/argand.service 2>/dev/null | head -n 1)" "$work/tree/test/argand"
units=$work/tree/etc/systemd/system
mkdir -p "$units/argand.service.d"
cp "$here/override.conf" "$units/argand.service.d/"
cp "$here/argand-test.target" "$here/argand-test.service" "$units/"

status=0
ROOTFS=$work/tree timeout -k 10 "${ARGAND_SYSTEMD_TIME:-300}" "$here/enter.sh" \
    /lib/systemd/systemd --system --unit=argand-test.target --log-target=console --show-status=no \
    >"$work/entered" 2>&1 || status=$?
cat "$work/upper/test/result" 2>/dev/null || true
if ! grep -q '^ok ' "$work/upper/test/result" 2>/dev/null || grep -q '^FAILED ' "$work/upper/test/result"; then
	echo "--- systemd (status $status)"
	tail -n 10 "$work/entered"
	tail -n 40 "$work/upper/test/console" 2>/dev/null || true
	echo '--- argand'
	tail -n 60 "$work/upper/test/argand.log" 2>/dev/null || true
fi
passed=$(grep -c '^ok ' "$work/upper/test/result" 2>/dev/null || true)
failed=$(grep -c '^FAILED ' "$work/upper/test/result" 2>/dev/null || true)
# Without the last line the test did not come to its end.
grep -q '^end$' "$work/upper/test/result" 2>/dev/null || failed=$((${failed:-0} + 1))
echo "${passed:-0} passed, ${failed:-1} failed"
[ "${failed:-1}" -eq 0 ]
