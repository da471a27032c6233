#!/bin/sh
# Installs the Debian packages that Argand is built and tested with, where they are missing.
#   etc/install-deps.sh [build|check|full|lint|fuzz|systemd|bench ...]        (default: build)
#   etc/install-deps.sh --list SET ...                         prints the packages and does nothing
# Changes nothing when all are there. Needs root or sudo otherwise, and says so.
set -eu

packages_of() {
	case $1 in
	build) echo gcc libc6-dev make autoconf pkg-config libevent-dev libssl-dev \
	    libconfig-dev libpcre2-dev libcrypt-dev libc-ares-dev check media-types ;;
	check) echo python3 python3-pytest curl strace iproute2 "$(packages_of applications)" ;;
	# Real ones, tried as users would; without the services that their packages would start.
	applications) echo php8.2-fpm php8.2-cgi dokuwiki tomcat10-common tomcat10-examples uwsgi-core \
	    uwsgi-plugin-python3 gunicorn nodejs php8.2-cli ruby ;;
	lint) echo clang-tidy cppcheck clang-format python3 systemd shellcheck mandoc ;;
	fuzz) echo clang libclang-rt-14-dev llvm ;;
	systemd) echo debootstrap util-linux iproute2 systemd python3 ;;
	full) echo valgrind ;;
	# Their packages start services on port 80 where the system lets them (no policy-rc.d).
	bench) echo wrk strace valgrind nginx-light lighttpd haproxy caddy h2o perl python3 ;;
	*) echo "install-deps: no set of packages is called \"$1\"" >&2; exit 2 ;;
	esac
}

list=no
[ "${1:-}" != --list ] || { list=yes; shift; }
[ $# -gt 0 ] || set -- build
wanted=
for set; do
	wanted="$wanted $(packages_of "$set")"
done
if [ $list = yes ]; then
	# shellcheck disable=SC2086
	printf '%s\n' $wanted | sort -u
	exit 0
fi

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo 'install-deps: not a Debian system; configure will say what it does not find' >&2
	exit 0
fi
missing=
for p in $wanted; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

echo "Installing what is missing:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		printf 'install-deps: that needs root, and there is no sudo here. As root:\n\n    apt-get install%s\n\n' \
		    "$missing" >&2
		exit 1
	fi
	as_root='sudo -E'
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
get() { $as_root apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null; }
# shellcheck disable=SC2086
install() { get install --no-install-recommends $missing; }
# The package lists of a fresh machine are empty, those of an idle one old.
known() { ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1; }
if ! { known && install; } && ! { get update && install; }; then
	printf 'install-deps: apt-get could not install them. By hand, as root:\n\n    apt-get update\n    apt-get install%s\n\n' \
	    "$missing" >&2
	exit 1
fi
