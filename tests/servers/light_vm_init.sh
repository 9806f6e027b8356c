#!/bin/sh
# What a light VM does when it boots: file systems, devices, the four stages of cloud-init, sshd.
set -eu
mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 dev /dev
mkdir -p /dev/pts /dev/shm /run/lock /run/sshd
device() { mknod -m 666 "/dev/$1" c "$2" "$3"; }
device null 1 3
device zero 1 5
device full 1 7
device random 1 8
device urandom 1 9
device tty 5 0
mount -t devpts -o newinstance,ptmxmode=666 devpts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
ln -s /dev/stdout /dev/console
# A stage that fails does not keep a VM from booting: user data that is wrong is one.
cloud-init init --local || true
cloud-init init || true
cloud-init modules --mode=config || true
/usr/sbin/sshd
cloud-init modules --mode=final || true
echo "light VM: booted"
exec sleep infinity
