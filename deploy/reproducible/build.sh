#!/usr/bin/env bash
# Builds k3s-daas from the committed sources in a clean directory, so that whoever does the same gets the same bytes.
#   build.sh OUT          builds once and puts the binary at OUT
#   build.sh --twice OUT  builds twice, in different directories, and fails when one byte differs
# What counts: the commit, Cargo.lock, the toolchain (printed), and the C compiler of ring's assembly. Paths, user, time and
# the number of processors do not.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}

build() { # DIRECTORY OUT
    local dir=$1 out=$2
    rm -rf "$dir" && mkdir -p "$dir/source"
    git -C "$repo" archive --format=tar HEAD | tar -x -C "$dir/source"
    (
        cd "$dir/source"
        # Nothing of the caller's environment reaches the compiler but what it needs to run.
        env -i PATH="$PATH" HOME="$HOME" CARGO_HOME="$cargo_home" ${RUSTUP_HOME:+RUSTUP_HOME="$RUSTUP_HOME"} \
            LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH="$(git -C "$repo" log -1 --format=%ct)" \
            CARGO_TARGET_DIR="$dir/target" CARGO_INCREMENTAL=0 \
            CFLAGS="-ffile-prefix-map=$dir=/build -ffile-prefix-map=$cargo_home=/cargo" \
            RUSTFLAGS="--remap-path-prefix=$dir=/build --remap-path-prefix=$cargo_home=/cargo" \
            cargo build --release --locked -p k3s-daas
    )
    install -m 0755 "$dir/target/release/k3s-daas" "$out"
}

twice=
if [ "${1:-}" = --twice ]; then twice=1 && shift; fi
out=${1:?where to put the binary}
work=$(mktemp -d "${TMPDIR:-/tmp}/k3s-daas-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$out")"
{ rustc --version && cargo --version && cc --version | head -n 1; } >&2
build "$work/first" "$out"
if [ -n "$twice" ]; then
    rm -rf "$work/first"
    build "$work/the-second-directory" "$work/again"
    cmp "$out" "$work/again" || { echo "two builds of the same commit differ" >&2; exit 1; }
    echo "two builds of $(git -C "$repo" rev-parse HEAD) are the same bytes" >&2
fi
