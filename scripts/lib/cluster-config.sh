# shellcheck shell=bash
# The daemons' files and command lines. Sourced, never run.

config=$state/config

# write FILE: standard input, if it is something new: kube-proxy ends when its file is written.
write() {
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

write_config() {
    mkdir -p "$config" "$state/node/etc/cni/net.d"
    write "$config/containerd.toml" <<END
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
address = "$containerd_socket"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "$pause_image"
stream_server_address = "127.0.0.1"
# Some machines' root may not lower it.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
END
    write "$state/node/etc/cni/net.d/10-pods.conflist" <<END
{
  "cniVersion": "0.4.0", "name": "pods",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": "$node_pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
END
    write "$config/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet-server.crt
tlsPrivateKeyFile: $pki/kubelet-server.key
healthzBindAddress: 127.0.0.1
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
clusterDNS: [$dns_service_address]
clusterDomain: $domain
resolvConf: /etc/resolv.conf
failSwapOn: false
serializeImagePulls: false
nodeStatusUpdateFrequency: 2s
# A full disk is somebody else's concern.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%}
END
    # A network namespace does not let conntrack's limits be set.
    write "$config/kube-proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $node_name
clientConnection: {kubeconfig: $pki/kube-proxy.kubeconfig}
clusterCIDR: $pod_network
bindAddress: $node_address
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 500ms, syncPeriod: 60s}
END
    # The name server runs in the node, not in a pod: its service has endpoints, but no selector.
    write "$config/dns.yaml" <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:cluster-dns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kube-dns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:cluster-dns"}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns, kubernetes.io/name: KubeDNS}}
spec:
  clusterIP: $dns_service_address
  ports:
  - {name: dns, port: 53, targetPort: $dns_port, protocol: UDP}
  - {name: dns-tcp, port: 53, targetPort: $dns_port, protocol: TCP}
---
apiVersion: v1
kind: Endpoints
metadata: {name: kube-dns, namespace: kube-system}
subsets:
- addresses: [{ip: $node_address}]
  ports:
  - {name: dns, port: $dns_port, protocol: UDP}
  - {name: dns-tcp, port: $dns_port, protocol: TCP}
END
}

# Tokens as all newer versions have them: bound to their pod, and ending.
gates=BoundServiceAccountTokenVolume=true

launch_containerd() { launch containerd containerd --config "$config/containerd.toml" --log-level warn; }

# Nobody needs what is in it after a power failure.
launch_etcd() {
    local client=http://127.0.0.1:2379 peer=http://127.0.0.1:2380
    (umask 077 && mkdir -p "$state/etcd")
    launch etcd etcd --name default --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
        --listen-client-urls $client --advertise-client-urls $client \
        --listen-peer-urls $peer --initial-advertise-peer-urls $peer --initial-cluster default=$peer
}

launch_apiserver() {
    launch kube-apiserver "$cache/bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
        --advertise-address="$node_address" --bind-address=0.0.0.0 --secure-port=6443 --insecure-port=0 \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --kubelet-client-certificate="$pki/apiserver-kubelet-client.crt" --kubelet-client-key="$pki/apiserver-kubelet-client.key" \
        --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
        --service-account-issuer="https://kubernetes.default.svc.$domain" --service-account-key-file="$pki/sa.pub" \
        --service-account-signing-key-file="$pki/sa.key" --api-audiences="https://kubernetes.default.svc.$domain" \
        --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$pki/front-proxy-client.crt" --proxy-client-key-file="$pki/front-proxy-client.key" \
        --service-cluster-ip-range="$service_network" --allow-privileged=true --profiling=false --feature-gates="$gates"
}

launch_kubelet() {
    launch kubelet "$cache/bin/kubelet" --config="$config/kubelet.yaml" --kubeconfig="$pki/kubelet.kubeconfig" \
        --hostname-override="$node_name" --node-ip="$node_address" --root-dir=/var/lib/kubelet \
        --container-runtime=remote --container-runtime-endpoint="unix://$containerd_socket" \
        --image-service-endpoint="unix://$containerd_socket" --pod-infra-container-image="$pause_image" --feature-gates="$gates"
}

# It gives no network to the node: its allocator waits for ten seconds first, and everything else with it.
launch_controller_manager() {
    local own=$pki/kube-controller-manager.kubeconfig
    launch kube-controller-manager "$cache/bin/kube-controller-manager" --kubeconfig="$own" --authentication-kubeconfig="$own" \
        --authorization-kubeconfig="$own" --bind-address=127.0.0.1 --port=0 --leader-elect=false --profiling=false \
        --kube-api-qps=200 --kube-api-burst=400 --use-service-account-credentials=true --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" \
        --cluster-cidr="$pod_network" --service-cluster-ip-range="$service_network" --allocate-node-cidrs=false \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" --client-ca-file="$pki/ca.crt" \
        --requestheader-client-ca-file="$pki/front-proxy-ca.crt" --feature-gates="$gates"
}

launch_scheduler() {
    local own=$pki/kube-scheduler.kubeconfig
    launch kube-scheduler "$cache/bin/kube-scheduler" --kubeconfig="$own" --authentication-kubeconfig="$own" \
        --authorization-kubeconfig="$own" --bind-address=127.0.0.1 --port=0 --leader-elect=false --feature-gates="$gates"
}

launch_proxy() { launch kube-proxy "$cache/bin/kube-proxy" --config="$config/kube-proxy.yaml"; }

launch_dns() {
    launch cluster-dns /usr/bin/python3 -u "$root/scripts/lib/cluster-dns.py" --server "$node_address:6443" --ca "$pki/ca.crt" \
        --certificate "$pki/cluster-dns.crt" --key "$pki/cluster-dns.key" --listen "$node_address:$dns_port" --zone "$domain"
}
