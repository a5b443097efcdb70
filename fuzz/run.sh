#!/usr/bin/env bash
# Fuzzes every target (or those named) for FUZZ_SECONDS each, two at a time. Stable Rust: libFuzzer is linked in, and the
# compiler instruments for it. A crash leaves its input in fuzz/crashes/ and says how to run it again.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${FUZZ_SECONDS:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
# --target keeps build scripts free of the instrumentation, which they could not link.
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Ccodegen-units=1 --cfg fuzzing"
export CARGO_TARGET_DIR=$PWD/target CARGO_INCREMENTAL=0
if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(sed -n 's/^name = "\(.*_.*\)"$/\1/p' Cargo.toml); fi
# Recorded evidence is longer than what a store reads.
case " ${targets[*]} " in *" evidence_"*) python3 seed.py target/seeds ;; esac
features=()
case " ${targets[*]} " in *" archive_"*) features=(--features archive) ;; esac
cargo build --quiet --release --locked --target "$host" "${features[@]}" "${targets[@]/#/--bin=}"

# New inputs go to a directory of their own; what is committed in corpus/ stays as small as it is.
fuzz() {
    local name=$1 log=target/$1.log
    local length=4096
    case $name in evidence_*) length=16384 ;; esac
    mkdir -p "crashes" "target/corpus/$name" "corpus/$name" "target/seeds/$name"
    if "target/$host/release/$name" -max_total_time="$seconds" -max_len="$length" -timeout=10 -rss_limit_mb=1024 \
        -artifact_prefix="crashes/$name-" "target/corpus/$name" "corpus/$name" "target/seeds/$name" >"$log" 2>&1; then
        printf '%-16s %s\n' "$name" "$(grep -o '^Done.*' "$log") $(grep -o 'cov: [0-9]*' "$log" | tail -1)"
        return
    fi
    tail -40 "$log"
    printf '%s crashed. Run it again: fuzz/target/%s/release/%s %s\n' "$name" "$host" "$name" \
        "$(grep -o 'crashes/[^ ]*' "$log" | tail -1 | sed 's#^#fuzz/#')"
    return 1
}
export -f fuzz
export seconds host
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -euo pipefail -c 'fuzz {}'
