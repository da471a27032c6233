#!/bin/bash
# Inside the namespaces, before systemd: the mounts that it expects, and then it.
set -e
tree=$ROOTFS
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t sysfs -o ro sysfs "$tree/sys"
# Root in here is root of the machine for these files: not one of them may be written.
for p in sys sysrq-trigger irq bus fs; do
	[ -e "$tree/proc/$p" ] || continue
	mount --bind "$tree/proc/$p" "$tree/proc/$p"
	mount -o remount,bind,ro "$tree/proc/$p"
done
mount -t tmpfs tmpfs "$tree/run"
mount -t tmpfs tmpfs "$tree/tmp"
mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
for d in null zero full random urandom tty; do
	: >"$tree/dev/$d"
	mount --bind /dev/$d "$tree/dev/$d"
done
mkdir "$tree/dev/shm" "$tree/dev/pts"
mount -t tmpfs tmpfs "$tree/dev/shm"
ln -s /proc/self/fd "$tree/dev/fd"
: >"$tree/dev/console"
: >"$tree/test/console"
mount --bind "$tree/test/console" "$tree/dev/console"
mount -t cgroup2 none "$tree/sys/fs/cgroup"
ip link set lo up
cd "$tree"
mkdir -p oldroot
pivot_root . oldroot
cd /
umount -l /oldroot
export container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec "$@"
