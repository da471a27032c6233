#!/bin/sh
# dist.sh NAME-VERSION: the source package, the same octets for the same sources. It has configure, so
# that autoconf is not needed where it is built.
set -eu
name=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	# As it stands in the tree, so that a change can be tried before it is committed.
	git -c core.quotePath=false ls-files --deduplicate |
	    while IFS= read -r f; do [ ! -e "$f" ] || printf '%s\n' "$f"; done >"$dir/files"
else
	find . \( -path ./build -o -name __pycache__ -o -name autom4te.cache -o -name .configure.lock \) -prune \
	    -o \( -type f -o -type l \) ! -name 'config.*' ! -name "argand-*.tar.gz" ! -path ./argand -print |
	    sed 's|^\./||' >"$dir/files"
	for f in build-aux/config.mk.in build-aux/config.h.in; do echo $f; done >>"$dir/files"
fi
echo configure >>"$dir/files"
mkdir "$dir/$name"
sort -u "$dir/files" | tar -cf - -T - | tar -xf - -C "$dir/$name"
when=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y configure.ac)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$when" -C "$dir" -cf - "$name" |
    gzip -n -9 >"$name.tar.gz"
echo "$name.tar.gz"
