#!/bin/bash
# The first process of the node: gives it a file system view of its own, and then waits. When it ends, the kernel ends
# everything in the node. Started by scripts/cluster in new namespaces.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/lib/cluster.sh
. "$root/scripts/lib/cluster.sh"
node=$state/node

# /proc is still the one outside, which is where this number will be used.
read -r pid _ </proc/self/stat
record node "$pid"

mount --make-rprivate /
mkdir -p "$node"/{cgroup,run,etc,sysctl}

# A /sys that shows the node's network, with the cgroups of the old one.
mount --rbind /sys/fs/cgroup "$node/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$node/cgroup" /sys/fs/cgroup
umount -l "$node/cgroup"
mount -t proc proc /proc

# An empty /run, but for the sockets that are used from outside.
mount --bind "$run" "$node/run"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$run" /run/lock
mount --bind "$node/run" "$run"
umount "$node/run"

for directory in /var/lib/{kubelet,containerd,cni} /var/log/{pods,containers} /etc/{cni,kubernetes}; do
    [ -d "$directory" ] || echo "$directory" >>"$state/made"
    mkdir -p "$directory" "$node$directory"
    mount --bind "$node$directory" "$directory"
done

printf '127.0.0.1 localhost\n%s %s\n' "$node_address" "$node_name" >"$node/etc/hosts"
echo "# No name server: nothing leads out of this cluster." >"$node/etc/resolv.conf"
for file in /etc/hosts /etc/resolv.conf; do
    [ ! -e $file ] || mount --bind "$node$file" "$(readlink -f $file)"
done

# kubelet sets these, which no namespace covers. It finds them as it wants them, and this machine keeps its own.
while read -r name value; do
    [ -e "/proc/sys/$name" ] || continue
    echo "$value" >"$node/sysctl/${name//\//.}"
    mount --bind "$node/sysctl/${name//\//.}" "/proc/sys/$name"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

# Volumes are mounted into containers that run already; nothing of this is seen outside.
mount --make-rshared /
hostname "$node_name"
: >"$run/node.ready"
exec </dev/null
while :; do
    sleep infinity &
    wait $! || :
done
