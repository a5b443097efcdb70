#!/usr/bin/env bash
# What `etcdctl snapshot save` and `etcdutl snapshot restore` take for a million keys of 1 KiB. Usage: bench/peers/snapshot.sh BIN_DIR WORK_DIR
# (bench/peers/build.sh makes BIN_DIR; WORK_DIR is made, and needs 6 GB). Beside it: `cargo bench -p archive --bench cold`.
set -euo pipefail
bin=$(realpath "${1:?usage: bench/peers/snapshot.sh BIN_DIR WORK_DIR}")
mkdir "${2:?usage: bench/peers/snapshot.sh BIN_DIR WORK_DIR}"
work=$(realpath "$2")
keys=${KEYS:-1000000}
pid=
trap 'if [ -n "$pid" ]; then kill "$pid"; fi; rm -rf "$work"' EXIT

url=http://127.0.0.1:23790
start() { # DATA_DIR
    "$bin/etcd" --data-dir="$1" --listen-client-urls=$url --advertise-client-urls=$url --listen-peer-urls=http://127.0.0.1:23800 \
        --initial-advertise-peer-urls=http://127.0.0.1:23800 --initial-cluster=default=http://127.0.0.1:23800 \
        --quota-backend-bytes=17179869184 --log-level=error &
    pid=$!
    for _ in $(seq 1 6000); do
        if "$bin/etcdctl" --endpoints=$url get ready >/dev/null 2>&1; then return; fi
        sleep 0.02
    done
    echo "etcd does not answer" >&2
    return 1
}
memory() { awk "/$1/ { print int(\$2 / 1024) \" MiB\" }" "/proc/$pid/status"; } # VmRSS|VmHWM
# The tools log on stderr; shown when they fail.
quietly() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}
timed() { # WHAT COMMAND...
    local what=$1 from
    shift
    from=$(date +%s.%N)
    quietly "$@"
    echo "$what: $(awk "BEGIN { printf \"%.1f\", $(date +%s.%N) - $from }") s"
}

start "$work/data"
quietly "$bin/benchmark" --endpoints=$url --clients=100 --conns=10 put --total="$keys" --key-space-size="$keys" --sequential-keys \
    --key-size=64 --val-size=1024
echo "etcd with $keys keys of 1 KiB: $(memory VmRSS)"
timed "snapshot save" "$bin/etcdctl" --endpoints=$url --command-timeout=600s snapshot save "$work/snapshot"
echo "snapshot: $(($(stat -c %s "$work/snapshot") / 1048576)) MiB; etcd's peak: $(memory VmHWM)"
kill "$pid" && wait "$pid" || true
pid=
timed "snapshot restore" "$bin/etcdutl" snapshot restore "$work/snapshot" --data-dir="$work/restored" \
    --initial-cluster=default=http://127.0.0.1:23800 --initial-advertise-peer-urls=http://127.0.0.1:23800
timed "until it serves" start "$work/restored"
