# Sourced by `up` and `part`: how each process of the cluster is started, from the folder `home`.
# shellcheck shell=bash disable=SC2154

# spawn PART COMMAND...: a process of its own session; kept: its id, and when it began.
spawn() {
    setsid "${@:2}" >>"log/$1.log" 2>&1 </dev/null 9>&- &
    local id=$!
    disown $id
    echo "$id $(born $id)" >"$1.pid"
}

start_etcd() {
    local client=http://127.0.0.1:$etcd_port peer=http://127.0.0.1:$etcd_peer_port
    spawn etcd "$(program etcd)" --data-dir etcd --unsafe-no-fsync --log-level warn --quota-backend-bytes 8589934592 \
        --listen-client-urls "$client" --advertise-client-urls "$client" \
        --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer"
}

# CLUSTER_API_FLAGS and the like: what a test needs otherwise, such as shorter grace for lost nodes.
start_api() {
    # shellcheck disable=SC2086 # flags
    spawn api "$(program kube-apiserver)" --etcd-servers "http://127.0.0.1:$etcd_port" --bind-address "$node" --secure-port "$api_port" \
        --advertise-address "$node" --tls-cert-file pki/api.crt --tls-private-key-file pki/api.key --client-ca-file pki/ca.crt \
        --token-auth-file pki/tokens.csv --authorization-mode Node,RBAC --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file pki/accounts.key --service-account-signing-key-file pki/accounts.key \
        --service-cluster-ip-range "$services" --allow-privileged --kubelet-preferred-address-types InternalIP \
        --kubelet-client-certificate pki/client.crt --kubelet-client-key pki/client.key ${CLUSTER_API_FLAGS:-}
}

start_controllers() {
    # shellcheck disable=SC2086 # flags
    spawn controllers "$(program kube-controller-manager)" --kubeconfig kubeconfig --root-ca-file pki/ca.crt \
        --service-account-private-key-file pki/accounts.key --use-service-account-credentials --leader-elect=false \
        --bind-address 127.0.0.1 --kube-api-qps 200 --kube-api-burst 400 ${CLUSTER_CONTROLLER_FLAGS:-}
}

start_scheduler() {
    # shellcheck disable=SC2086 # flags
    spawn scheduler "$(program kube-scheduler)" --kubeconfig kubeconfig --leader-elect=false --bind-address 127.0.0.1 \
        --kube-api-qps 200 --kube-api-burst 400 ${CLUSTER_SCHEDULER_FLAGS:-}
}

# Without CAP_SYS_RESOURCE a container may not be given a better OOM score than containerd's own: restrict_oom_score_adj.
start_containerd() {
    cat >containerd.toml <<TOML
version = 2
root = "$home/containerd"
state = "$home/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
address = "$home/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "$home/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "$(snapshotter)"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$cni"
conf_dir = "$home/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "$home/registries"
TOML
    trust_registry
    cat >cni/10-bridge.conflist <<JSON
{"cniVersion": "1.0.0", "name": "causeway", "plugins": [
  {"type": "bridge", "bridge": "$bridge", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$home/leases", "ranges": [[{"subnet": "$pods", "gateway": "$node"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
    spawn containerd containerd --config containerd.toml
}

# That it speaks HTTP; read with each pull. A registry that is not started is asked for nothing.
trust_registry() {
    mkdir -p "registries/$registry_url"
    printf 'server = "http://%s"\n[host."http://%s"]\n' "$registry_url" "$registry_url" >"registries/$registry_url/hosts.toml"
}

# Whether layers can be laid over each other here (not where this folder is such a layer itself), or have to be copied.
snapshotter() {
    local try=$home/try-overlay
    mkdir -p "$try"/{low,high,work,all}
    if unshare --mount mount -t overlay overlay -o "lowerdir=$try/low,upperdir=$try/high,workdir=$try/work" "$try/all" 2>/dev/null; then
        echo overlayfs
    else
        echo native
    fi
    rm -rf "$try"
}

start_dns() {
    cat >Corefile <<CORE
.:53 {
  bind $node
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $kubeconfig local
  }
}
CORE
    spawn dns "$(program coredns)" -conf Corefile
}

# --masquerade-all: a pod's answer to its neighbour comes back by way of the node, which knows the service's address.
start_proxy() {
    spawn proxy "$(program kube-proxy)" --kubeconfig kubeconfig --cluster-cidr "$pods" --hostname-override node-1 --bind-address "$node" \
        --healthz-bind-address 127.0.0.1 --metrics-bind-address 127.0.0.1 --masquerade-all --iptables-localhost-nodeports=false \
        --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
}

# Its notes about objects are extended attributes of the files, or files beside them where the file system has none.
start_store() {
    local notes=() key secret
    read -r key secret <pki/store
    "$python" -c "import os; os.setxattr('store', 'user.causeway', b'1')" 2>/dev/null || notes=(--sidecar "$home/store-notes")
    mkdir -p "store/$bucket" store-notes
    spawn store env ROOT_ACCESS_KEY_ID="$key" ROOT_SECRET_ACCESS_KEY="$secret" "$(program versitygw)" --quiet --port "$node:$store_port" \
        --region us-east-1 posix "${notes[@]}" "$home/store"
}

# Images are imported once and are not to be had again: nothing may throw them away, whatever the disk looks like.
start_kubelet() {
    cat >kubelet.yaml <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$home/containerd.sock
address: $node
clusterDNS: [$node]
clusterDomain: cluster.local
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $home/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
failSwapOn: false
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {"memory.available": "100Mi"}
evictionPressureTransitionPeriod: 10s
maxPods: 250
podLogsDir: $home/pod-logs
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
YAML
    # shellcheck disable=SC2086 # flags
    spawn kubelet "$(program kubelet)" --kubeconfig kubeconfig --config kubelet.yaml --root-dir "$home/kubelet" --cert-dir kubelet/pki \
        --hostname-override node-1 --node-ip "$node" ${CLUSTER_KUBELET_FLAGS:-}
}

start_kueue() {
    spawn kueue env KUBECONFIG="$kubeconfig" "$(program kueue)" --config kueue/config.yaml --feature-gates VisibilityOnDemand=false
}

# Its webhook has nothing to say here: its configuration is empty, and it waits for its certificates (`operators`).
start_training() {
    spawn training env KUBECONFIG="$kubeconfig" MY_POD_NAMESPACE=operators "$(program training)" \
        --metrics-bind-address 0 --health-probe-bind-address "127.0.0.1:$training_health_port" --webhook-server-port 9448 \
        --enable-scheme pytorchjob --enable-scheme tfjob \
        --pytorch-init-container-image localhost/task:1 --pytorch-init-container-template-file "$home/training/init.yaml"
}

start_mpi() { spawn mpi "$(program mpi)" -kubeConfig "$kubeconfig" -lock-namespace operators; }

start_ray() {
    spawn ray env KUBECONFIG="$kubeconfig" "$(program ray)" --enable-leader-election=false --use-kubernetes-proxy \
        --metrics-addr 0 --health-probe-bind-address "127.0.0.1:$ray_health_port"
}

# Whoever can reach it may push and delete: it is for tests.
start_registry() {
    mkdir -p registry
    cat >registry.yaml <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $home/registry}, delete: {enabled: true}}
http: {addr: "$registry_url"}
YAML
    spawn registry env OTEL_TRACES_EXPORTER=none "$(program registry)" serve registry.yaml
}

# Without its webhook. It submits by a spark-submit for each, to the API server that its environment names.
start_spark() {
    spawn spark env KUBECONFIG="$kubeconfig" KUBERNETES_SERVICE_HOST="$node" KUBERNETES_SERVICE_PORT="$api_port" \
        SPARK_HOME="$home/spark/packages/pyspark" "$(program spark)" controller start --metrics-bind-address 0 --health-probe-bind-address "127.0.0.1:$spark_health_port"
}

start_dask() { spawn dask env KUBECONFIG="$kubeconfig" "$(program dask)" run --standalone -A -m dask_kubernetes.operator.controller; }

start_gpus() { spawn gpus "$python" "$here/gpus.py" "$gpu_resource=$gpus"; }

# stop_part PART [--kill]: asked first, ended after ten seconds; or ended at once.
stop_part() {
    local id turn
    if runs "$1"; then
        read -r id _ <"$home/$1.pid"
        if [ "${2:-}" = --kill ]; then kill -KILL "$id"; else kill -TERM "$id"; fi
        for turn in $(seq 100); do
            runs "$1" || break
            [ "$turn" != 100 ] || kill -KILL "$id"
            sleep 0.1
        done
    fi
    rm -f "$home/$1.pid"
}
