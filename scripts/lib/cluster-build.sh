# shellcheck shell=bash
# What a cluster is made of: packages, Kubernetes built from Debian's source package, and the image of the pods' first
# process. All of it is built once. Sourced, never run.

binaries=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)

# require_machine: fails with one line where no cluster can be.
require_machine() {
    [ "$(id -u)" = 0 ] || fail "a cluster needs root: run it with sudo, or as root"
    command -v apt-get >/dev/null && grep -qs '^ID=debian' /etc/os-release ||
        fail "this is no Debian: please point TELEPRESENCE_TEST_KUBECONFIG at a cluster of yours (kind, k3d, …)"
    [ -d /sys/fs/cgroup ] && grep -q cgroup /proc/self/mounts || fail "this machine has no cgroups, which containers need"
    unshare --mount --net --pid --uts --ipc --fork true 2>/dev/null ||
        fail "root may make no namespaces here: a container must be privileged for this"
}

# Their services would start by themselves, and are kept from it.
install_quietly() {
    local guard=/usr/sbin/policy-rc.d ours=false status=0
    if [ ! -e $guard ]; then
        printf '#!/bin/sh\nexit 101\n' >$guard
        chmod 755 $guard
        ours=true
    fi
    (install_packages "$@") || status=$?
    ! $ours || rm -f $guard
    [ $status = 0 ] || exit $status
}

build_all() {
    local missing=() name
    mkdir -p "$cache/bin" "$cache/images"
    install_quietly etcd-server containerd runc containernetworking-plugins iptables conntrack ethtool socat iproute2 \
        openssl kmod python3 python3-dnslib
    for name in "${binaries[@]}"; do
        [ -x "$cache/bin/$name" ] || missing+=("$name")
    done
    [ ${#missing[@]} = 0 ] || build_kubernetes
    [ -s "$cache/images/pause.tar" ] || build_pause
}

# --- Kubernetes --------------------------------------------------------------------------------------------------

build_kubernetes() {
    local work=$cache/build log=$cache/build.log tree started=$SECONDS
    install_quietly golang-go dpkg-dev
    # GOPATH's own layout, as the generator below knows no other.
    tree=$work/src/k8s.io/kubernetes
    : >"$log"
    if [ ! -e "$work/fetched" ]; then
        step "fetching Kubernetes from Debian's source package"
        rm -rf "$work"
        mkdir -p "$work"
        fetch_kubernetes "$work" "$tree" >>"$log" 2>&1 || give_up_building "could not fetch Debian's source package kubernetes"
        : >"$work/fetched"
    fi
    step "building Kubernetes, once: three minutes on two cores"
    compile_kubernetes "$work" "$tree" || give_up_building "could not build Kubernetes"
    rm -rf "$work" "$log"
    note "built in $((SECONDS - started)) s: $("$cache/bin/kube-apiserver" --version)"
}

give_up_building() {
    tail -n 15 "$cache/build.log" >&2
    fail "$*: the log is $cache/build.log"
}

# By lists of apt's own beside this machine's: those seldom have sources.
fetch_kubernetes() { # fetch_kubernetes WORK TREE
    local work=$1 tree=$2 options
    mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/fixed"
    # shellcheck disable=SC2016
    apt-get indextargets --format 'deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(CODENAME) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' | sort -u >"$work/apt/sources.list"
    [ -s "$work/apt/sources.list" ] || { echo "apt knows no archive of Debian: run apt-get update"; return 1; }
    options=(-o "Dir::Etc::sourcelist=$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/apt/lists" -o "Dir::Cache=$work/apt" -o APT::Sandbox::User=root)
    (
        set -e
        cd "$work"
        apt-get "${options[@]}" update
        apt-get "${options[@]}" source --only-source --download-only kubernetes
        mkdir -p "$(dirname "$tree")"
        dpkg-source -x kubernetes_*.dsc "$tree"
        # The tree's reflect2 1.0.1 corrupts memory when compiled by Go 1.18 or later: kube-apiserver dies of it at the
        # first answer of a mutating webhook. Debian has 1.0.2 in a package of its own.
        apt-get -o APT::Sandbox::User=root download golang-github-modern-go-reflect2-dev
        dpkg-deb -x golang-github-modern-go-reflect2-dev_*.deb fixed
        cd fixed/usr/share/gocode/src/github.com/modern-go/reflect2
        [ -e go_above_118.go ]
        rm -f "$tree"/vendor/github.com/modern-go/reflect2/*.{go,s}
        cp ./*.go ./*.s "$tree/vendor/github.com/modern-go/reflect2"
    )
}

# Not by the tree's own make, which first generates again what the package has already. The one thing missing there is
# the description of the API. What is for clouds and for docker is left out: it is a third of the whole.
compile_kubernetes() { # compile_kubernetes WORK TREE
    local work=$1 tree=$2 version flags name progress status=0
    version=v$(dpkg-parsechangelog -l "$tree/debian/changelog" -S Version | sed -E 's/^.*really//; s/[-+~].*$//')
    flags="-s -w -X k8s.io/kubernetes/vendor/k8s.io/client-go/pkg/version.gitVersion=$version"
    for name in "Version=$version" "Major=$(cut -d. -f1 <<<"${version#v}")" "Minor=$(cut -d. -f2 <<<"$version")"; do
        flags+=" -X k8s.io/kubernetes/vendor/k8s.io/component-base/version.git$name"
    done
    mkdir -p "$work/out"
    while sleep 20 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        note "$(grep -cE '^[a-z0-9./-]+$' "$cache/build.log") of $(cat "$work/packages" 2>/dev/null || echo '?') packages"
    done 9>&- &
    progress=$!
    (
        # Rather memory than time.
        export GOPATH=$work GOCACHE=$work/cache GO111MODULE=off GOFLAGS=-tags=providerless,dockerless CGO_ENABLED=0 GOGC=400
        cd "$tree" && generate_description "$work" && go list -deps "${binaries[@]/#/./cmd/}" | wc -l >"$work/packages" &&
            nice -n 10 go build -v -ldflags "$flags" -o "$work/out/" "${binaries[@]/#/./cmd/}"
    ) >>"$cache/build.log" 2>&1 || status=1
    kill "$progress" 2>/dev/null || :
    [ $status = 0 ] || return 1
    # What is in the cache is whole.
    for name in "${binaries[@]}"; do
        mv "$work/out/$name" "$cache/bin/$name" || return 1
    done
}

generate_description() { # generate_description WORK
    local directories
    nice -n 10 go build -o "$1/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen || return 1
    directories=$(grep -Rl --include='*.go' '^// *+k8s:openapi-gen=' vendor/k8s.io/*/ pkg/apis | xargs -n 1 dirname | sort -u |
        grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver)/' | sed 's#^#k8s.io/kubernetes/#' | paste -sd,)
    nice -n 10 "$1/openapi-gen" --logtostderr -i "$directories" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
        -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$1/violations"
}

# --- the pause image ---------------------------------------------------------------------------------------------

# A file in one layer: small enough to be written by hand.
build_pause() {
    local work digest config
    step "building the image of the pods' first process"
    install_packages gcc libc6-dev
    work=$(mktemp -d)
    mkdir "$work/root" "$work/image"
    gcc -Os -static -s -o "$work/root/pause" "$root/scripts/lib/cluster-pause.c"
    tar -C "$work/root" --owner=0 --group=0 --mtime=@0 -cf "$work/image/layer.tar" pause
    digest=$(sha256sum "$work/image/layer.tar" | cut -d' ' -f1)
    config="{\"architecture\":\"$(dpkg --print-architecture)\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/pause\"]},"
    config+="\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:$digest\"]}}"
    echo "$config" >"$work/image/config.json"
    echo "[{\"Config\":\"config.json\",\"RepoTags\":[\"$pause_image\"],\"Layers\":[\"layer.tar\"]}]" >"$work/image/manifest.json"
    tar -C "$work/image" -cf "$cache/images/pause.tar.new" manifest.json config.json layer.tar
    mv "$cache/images/pause.tar.new" "$cache/images/pause.tar"
    rm -rf "$work"
}
