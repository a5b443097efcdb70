#!/usr/bin/env bash
# Builds upstream Kubernetes, as pinned in go.mod, into one binary. Usage: kubernetes/build.sh OUT
# Does nothing when OUT is newer than its sources.
set -euo pipefail
out=$(realpath -m "${1:?usage: kubernetes/build.sh OUT}")
cd "$(dirname "$0")"

if [ -x "$out" ] && [ -z "$(find . -type f -newer "$out" -print -quit)" ]; then
    exit 0
fi
command -v go >/dev/null || { echo "kubernetes: Go is missing: install Go 1.26 or newer" >&2; exit 1; }
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
IFS=. read -r major minor _ <<<"${version#v}"
printf '==> bin/kubernetes %s (about 5 minutes the first time on two cores)\n' "$version" >&2

# Without these kubectl and conformance tests cannot read the version.
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
    flags+=" -X $package.gitTreeState=clean -X $package.gitCommit=$version"
    flags+=" -X $package.buildDate=1970-01-01T00:00:00Z"
done
mkdir -p "$(dirname "$out")"
CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags "$flags" -o "$out.new" .
mv "$out.new" "$out"
