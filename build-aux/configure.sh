#!/bin/sh
# Brings configure, config.mk and config.h up to date; run by the Makefile from the top of the tree.
#   build-aux/configure.sh [configure arguments]
# Without arguments those of the last run are used again. Several makes may run at once in one tree:
# one does the work, the others wait for it.
set -eu

fresh() { # fresh TARGET SOURCE...: TARGET is not older than any SOURCE
	# -nt: not in POSIX, in every sh there is.
	target=$1
	shift
	[ -e "$target" ] || return 1
	for source; do
		# shellcheck disable=SC3013
		[ ! "$source" -nt "$target" ] || return 1
	done
}

work() {
	if ! fresh configure configure.ac; then
		if ! command -v autoconf >/dev/null 2>&1; then
			echo 'configure has to be made first, and autoconf is not installed. As root:' >&2
			printf '\n    apt-get install %s\n\n' \
			    "$(etc/install-deps.sh --list build | tr '\n' ' ')" >&2
			exit 1
		fi
		autoconf -Wall -o configure.new
		mv configure.new configure
	fi
	if [ $# -eq 0 ] && fresh config.mk configure build-aux/config.mk.in &&
	    fresh config.h build-aux/config.h.in; then
		exit 0
	fi
	./configure "$@"
	touch config.mk config.h
}

if command -v flock >/dev/null 2>&1; then
	exec 9>.configure.lock
	flock 9
fi
work "$@"
