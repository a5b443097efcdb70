#!/usr/bin/env bash
# Prints the measurement of the committed sources: what `k3s-daas enclave allow` takes for the simulated platform, and what a TPM's
# runtime register is extended with. SGX, SEV-SNP, TDX and Nitro measure the image that the program is put into.
#   measure.sh K3S_DAAS KUBERNETES [SETTINGS]
# SETTINGS is what `k3s-daas attest configuration` prints for the cluster in question: the settings that are measured beside the programs.
set -euo pipefail
digest() { sha384sum "$1" | cut -d ' ' -f 1; }
printf -- '--measurement code=%s --measurement kubernetes=%s' "$(digest "$1")" "$(digest "$2")"
if [ -n "${3:-}" ]; then printf -- ' --measurement configuration=%s' "$(digest "$3")"; fi
printf '\n'
