#!/usr/bin/env bash
# Runs the suites of Kubernetes and etcd against the store: run.sh [FEATURES [FAULT]]
# With the feature fault-injection and a FAULT (see crates/store/src/fault.rs) they must fail; faults.sh checks that.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v go >/dev/null || { echo "third-party suites: Go is missing: install Go 1.26 or newer" >&2; exit 1; }
features=${1:-}
export STORE_FAULT=${2:-}
cargo build --quiet --locked --workspace --examples ${features:+--features "$features"}
STORE_EXAMPLES=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/examples
export STORE_EXAMPLES
# Built as bin/kubernetes is, so that both share what they compile.
export CGO_ENABLED=0
failed=0
for suite in kubernetes-storage robustness; do
    printf '==> third-party suite: %s\n' "$suite" >&2
    go test -C "tests/third-party/$suite" -mod=readonly -trimpath -vet=off -count=1 -parallel=8 -timeout=8m ./... || failed=1
done
exit $failed
