#!/usr/bin/env bash
# Installs the Debian packages that a node needs. Idempotent: does nothing when all are there.
set -euo pipefail

packages=(
    busybox-static               # what the pause and demonstration images are made of
    ca-certificates
    conntrack                    # kube-proxy
    containerd                   # runs containers
    containernetworking-plugins  # bridge, host-local, portmap
    ethtool
    iproute2
    iptables
    nftables                     # kube-proxy's other mode
    runc
    socat                        # kubectl port-forward
    swtpm                        # a TPM 2.0 in software: tests of attestation and sealing
    util-linux
)

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "set-up: this is not Debian: install what these packages hold by hand: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "set-up: Debian packages are missing (${missing[*]}): run 'sudo deploy/setup/apt.sh' once, then this again" >&2
    exit 1
fi
printf '\033[1m==> Debian packages: %s\033[0m\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
# A package may bring a service of its own; ours run under k3s-daas.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 0755 "$policy"
    made_policy=yes
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
apt-get update -qq || { echo "set-up: apt-get update failed: is the network up?" >&2; exit 1; }
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    { echo "set-up: apt-get could not install: ${missing[*]} (see above; is the disk full?)" >&2; exit 1; }
