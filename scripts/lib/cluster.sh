# shellcheck shell=bash
# What scripts/cluster and its parts share: places, addresses, processes. Sourced, never run.
# shellcheck disable=SC2034

# Contents of the cluster and its certificates; pid files and sockets; one log for each daemon; what was built once.
state=/var/lib/telepresence-cluster
run=/run/telepresence-cluster
logs=/var/log/telepresence-cluster
cache=/var/cache/telepresence-cluster
kubeconfig=$state/admin.kubeconfig
containerd_socket=$run/containerd.sock

node_name=telepresence-node
link=tp-kube0
laptop_address=172.31.254.1
node_address=172.31.254.2
pod_network=10.42.0.0/16
# Of the only node.
node_pods=10.42.0.0/24
service_network=10.43.0.0/16
api_service_address=10.43.0.1
dns_service_address=10.43.0.10
dns_port=10053
domain=cluster.local
pause_image=localhost/pause:1
cgroup=telepresence-node

daemons=(containerd etcd kube-apiserver kubelet kube-controller-manager kube-scheduler kube-proxy cluster-dns)

PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

verbose=${verbose-false}
detail() { ! $verbose || note "$@"; }

kube() { "$cache/bin/kubectl" --kubeconfig "$kubeconfig" "$@"; }

# start_time PID: when the process started, in ticks since boot: with its number, a name for it that is never used again.
start_time() {
    local stat
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    # shellcheck disable=SC2086
    set -- ${stat##*) }
    [ "$1" != Z ] && echo "${20}"
}

# running NAME: the process recorded under that name (`PID START`) still runs; sets `pid`.
running() {
    local start
    pid=
    { read -r pid start <"$run/$1.pid"; } 2>/dev/null && [ -n "$pid" ] && [ "$(start_time "$pid" || :)" = "$start" ]
}

record() { # record NAME PID
    echo "$2 $(start_time "$2")" >"$run/$1.pid.new" && mv "$run/$1.pid.new" "$run/$1.pid"
}

# stop NAME [SECONDS]: ends the process recorded under that name, with SIGKILL after that long.
stop() {
    local tries
    if running "$1"; then
        [ "${2-5}" = 0 ] || kill -TERM "$pid" 2>/dev/null || :
        for ((tries = 0; tries < ${2-5} * 50; tries++)); do
            running "$1" || break
            sleep 0.02
        done
        ! running "$1" || kill -KILL "$pid" 2>/dev/null || :
        while running "$1"; do sleep 0.02; done
    fi
    rm -f "$run/$1.pid"
}

# in_node CMD…: CMD in the namespaces of the node.
in_node() {
    running node || fail "the cluster is down: start it with scripts/cluster up"
    nsenter -t "$pid" --mount --net --pid --uts --ipc -- "$@"
}

# launch NAME CMD…: a daemon in the node, unless it runs already.
launch() {
    local name=$1 parent child='' tries niceness
    shift
    ! running "$name" || return 0
    running node || fail "the node's first process has ended: see $logs/node.log"
    # A build in the background is nice; what it starts shall not be.
    niceness=$(nice)
    setsid nice -n "-$niceness" nsenter -t "$pid" --mount --net --pid --uts --ipc -- \
        env -i PATH="$PATH" HOME=/root LANG=C.UTF-8 "$@" </dev/null >>"$logs/$name.log" 2>&1 9>&- &
    parent=$!
    disown
    # nsenter stays behind as the parent of what it started. The file has no newline, which `read` calls a failure.
    for ((tries = 0; tries < 250; tries++)); do
        { read -r child _ <"/proc/$parent/task/$parent/children"; } 2>/dev/null || :
        [ -z "$child" ] || break
        sleep 0.02
    done
    [ -n "$child" ] && record "$name" "$child" || fail "$name did not start: see $logs/$name.log"
}

# wait_for WHAT SECONDS DAEMON CMD…: until CMD succeeds; fails when it takes too long or the daemon has ended.
wait_for() {
    local what=$1 deadline=$((SECONDS + $2)) daemon=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ! running "$daemon"; then
            tail -n 5 "$logs/$daemon.log" >&2
            fail "$daemon has ended; its log is $logs/$daemon.log"
        fi
        [ $SECONDS -lt $deadline ] || fail "gave up waiting for $what; the logs are in $logs"
        sleep 0.1
    done
    detail "$what, after $((SECONDS - started)) s"
}
