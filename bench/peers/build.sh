#!/usr/bin/env bash
# Builds what the store is measured against, from Go modules as pinned here. Usage: bench/peers/build.sh OUT_DIR
# Does nothing for a program that is newer than its go.mod.
set -euo pipefail
out=$(realpath -m "${1:?usage: bench/peers/build.sh OUT_DIR}")
cd "$(dirname "$0")"
mkdir -p "$out"

# build MODULE PROGRAM PACKAGE [LDFLAGS]
build() {
    local program="$out/$2"
    if [ -x "$program" ] && [ "$program" -nt "$1/go.mod" ]; then return; fi
    command -v go >/dev/null || { echo "bench: Go is missing: install Go 1.26 or newer" >&2; exit 1; }
    printf '==> %s\n' "$2" >&2
    (cd "$1" && go build -mod=readonly -trimpath -ldflags "-s -w ${4:-}" -o "$program.new" "$3")
    mv "$program.new" "$program"
}

build etcd etcd go.etcd.io/etcd/server/v3
build etcd etcdctl go.etcd.io/etcd/etcdctl/v3
build etcd etcdutl go.etcd.io/etcd/etcdutl/v3
build etcd benchmark go.etcd.io/etcd/v3/tools/benchmark
build kine kine github.com/k3s-io/kine "-X github.com/k3s-io/kine/pkg/version.Version=v0.17.5"
build kwok kwok sigs.k8s.io/kwok/cmd/kwok

# kwok plays nodes and pods by these stages; the module brings them.
stages=$(cd kwok && go list -mod=readonly -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
if [ ! -e "$out/stages.yaml" ] || [ kwok/go.mod -nt "$out/stages.yaml" ]; then
    for stage in "$stages"/node/fast/node-initialize.yaml "$stages"/pod/fast/pod-*.yaml; do
        echo ---
        cat "$stage"
    done >"$out/stages.yaml"
fi
