#!/usr/bin/env bash
# Tests of what is our own here, with the flags of build.sh, so that nothing is compiled twice.
set -euo pipefail
cd "$(dirname "$0")"
CGO_ENABLED=0 go test -mod=readonly -trimpath ./dns ./metrics ./podnetwork ./servicelb ./localpath
