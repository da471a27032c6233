#!/bin/bash
# ROOTFS=DIR enter.sh COMMAND...: runs it as process 1 of namespaces of its own, in that tree, with a
# cgroup that it may divide. All that it starts ends with it.
set -u
: "${ROOTFS:?names the tree}"
export ROOTFS
cgroups=/sys/fs/cgroup/unified
[ -d $cgroups ] || cgroups=/sys/fs/cgroup
before=$cgroups$(sed -n 's/^0:://p' /proc/self/cgroup)
own=$cgroups/argand-test-$$
mkdir "$own" || exit 1
echo $$ >"$own/cgroup.procs"

# A process that holds a user namespace in which root is root, for the mounts that systemd makes.
unshare -U sleep infinity &
holder=$!
until [ "$(readlink /proc/$holder/ns/user)" != "$(readlink /proc/$$/ns/user)" ]; do sleep .02; done
echo '0 0 65536' >/proc/$holder/uid_map
echo '0 0 65536' >/proc/$holder/gid_map
nsenter -U -t $holder unshare -m -p -f -i -u -n -C --kill-child \
    bash "$(dirname "$(readlink -f "$0")")/inner.sh" "$@"
status=$?
kill $holder
wait $holder 2>/dev/null
echo $$ >"$before/cgroup.procs"
find "$own" -depth -type d -exec rmdir {} \;
exit $status
