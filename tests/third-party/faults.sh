#!/usr/bin/env bash
# Shows that the third-party suites notice a store with faults: each must fail on each fault that it can see.
set -euo pipefail
cd "$(dirname "$0")/../.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for fault in wrong-revision dropped-event unsynced-ack; do
    if tests/third-party/run.sh store/fault-injection "$fault" >"$log" 2>&1; then
        cat "$log"
        printf 'third-party suites: nobody noticed the fault %s\n' "$fault" >&2
        exit 1
    fi
    # Only the checker kills the store; Kubernetes' tests cannot see what a kill loses.
    suites="kubernetes-storage robustness"
    [ "$fault" = unsynced-ack ] && suites=robustness
    for suite in $suites; do
        grep -q "^FAIL.*tests/third-party/$suite" "$log" || {
            cat "$log"
            printf 'third-party suites: %s did not notice the fault %s\n' "$suite" "$fault" >&2
            exit 1
        }
        printf 'noticed: %s by %s: %s\n' "$fault" "$suite" "$(
            sed -n "/==> third-party suite: $suite/,/^FAIL.*$suite/p" "$log" |
                grep -m1 -E 'linearization: "Fail|watch: "Fail|^ +--- FAIL' | sed 's/^ *//' | cut -c1-120
        )"
    done
done
# What was built with faults must not be taken for the real thing.
cargo build --quiet --locked --workspace --examples
