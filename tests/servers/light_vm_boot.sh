#!/bin/sh
# Boots a light VM (light_vm.py), as process 1 of its own namespaces:
#
#     light_vm_boot.sh ROOT HOME NAME ADDRESS/PREFIX GATEWAY
#
# ROOT is what all VMs have in common, and HOME/upper what this one writes.
set -eu
mount -t overlay light-vm -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
hostname "$3"
# Whoever starts us puts it into our namespace from outside.
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip address add "$4" dev eth0
ip link set eth0 up
ip route add default via "$5"
exec chroot "$2/root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux /usr/bin/tini -- /sbin/light-vm-init
