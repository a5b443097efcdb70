# `make up` and `make test` do all set-up themselves; nothing is rebuilt when nothing changed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

FRAMEWORK := .cache/framework.bcs
STATE_DIR ?= /var/lib/k3s-daas
UP_FLAGS ?=
DOWN_FLAGS ?=

say = @printf '\033[1m==> %s\033[0m\n' "$(1)" >&2

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: packages $(FRAMEWORK) ## Debian packages and the Sui framework's bytecode

.PHONY: packages
packages:
	@deploy/setup/apt.sh

$(FRAMEWORK): contracts/tools/framework.py
	$(call say,Sui framework bytecode)
	@python3 contracts/tools/framework.py --out $@
	@touch $@

.PHONY: build
build: setup bin-kubernetes bin-k3s-daas ## bin/k3s-daas and bin/kubernetes

.PHONY: bin-kubernetes
bin-kubernetes:
	@kubernetes/build.sh bin/kubernetes

# Cargo knows what changed; the copy keeps its time when it did not.
.PHONY: bin-k3s-daas
bin-k3s-daas:
	$(call say,bin/k3s-daas)
	@cargo build --release --locked -p k3s-daas
	@mkdir -p bin && cmp -s target/release/k3s-daas bin/k3s-daas || install -m 0755 target/release/k3s-daas bin/k3s-daas

.PHONY: measure
measure: bin-kubernetes ## Build the commit reproducibly and print the measurement that a cluster has to allow (SETTINGS=FILE: see measure.sh)
	$(call say,reproducible build of bin/k3s-daas)
	@deploy/reproducible/build.sh .cache/reproducible/k3s-daas
	@deploy/reproducible/measure.sh .cache/reproducible/k3s-daas bin/kubernetes $(SETTINGS)

.PHONY: up
up: build ## One command from a staked wallet to a running pod (runs until Ctrl-C)
	@bin/k3s-daas up --state-dir $(STATE_DIR) $(UP_FLAGS)

.PHONY: down
down: ## Stop everything that `make up` started (DOWN_FLAGS=--purge removes the state too)
	@bin/k3s-daas down --state-dir $(STATE_DIR) $(DOWN_FLAGS)

.PHONY: lint
lint: ## Formatting and lints: Rust, Go
	$(call say,rustfmt)
	@cargo fmt --all -- --check
	$(call say,clippy)
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	$(call say,gofmt)
	@test -z "$$(gofmt -l kubernetes tests/third-party tests/clients/etcd tests/clients/remotedialer)" || { gofmt -d kubernetes tests/third-party tests/clients/etcd tests/clients/remotedialer; exit 1; }

.PHONY: contracts-check
contracts-check: ## Prove that the committed Move bytecode is what the sources compile to, that Move tests pass and leave no gap, and that the threat model names what is there
	$(call say,contracts: sources compile to the committed bytecode)
	@cd contracts/tools && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; }
	@node contracts/tools/build.mjs --check
	@node contracts/tools/coverage.mjs
	@node contracts/tools/test.mjs
	@node contracts/tools/threats.mjs

.PHONY: walrus-check
walrus-check: ## Prove that the blob ids and the system object which our tests know are those of Walrus's own encoder and SDK
	$(call say,walrus: beside Walrus's own encoder and SDK)
	@cd crates/walrus/tests/oracle && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && node oracle.mjs --check && node system.mjs --check

.PHONY: seal-check
seal-check: ## Prove that Seal's own SDK opens what our tests know of Seal's objects, and what our code made
	$(call say,seal: beside Seal's own SDK)
	@cd crates/tee/tests/seal && { [ -d node_modules ] || npm ci --no-audit --no-fund --loglevel=error; } && node oracle.mjs --check

.PHONY: test
test: build contracts-check walrus-check seal-check remotedialer-client ## Every test, on real parts
	$(call say,unit and integration tests)
	@cargo test --workspace --locked --no-fail-fast
	$(call say,add-ons in bin/kubernetes)
	@kubernetes/test.sh
	@$(MAKE) test-third-party
	@$(MAKE) test-clients

.PHONY: remotedialer-client
remotedialer-client: ## The Go client of K3s' tunnel, which the gateway's tests run
	$(call say,remotedialer's client)
	@cd tests/clients/remotedialer && go build -o remotedialer-client .

.PHONY: test-third-party
test-third-party: ## Kubernetes' storage tests and etcd's robustness checker, against the store
	@tests/third-party/run.sh

.PHONY: conformance
conformance: build ## Kubernetes' conformance tests that need no image from outside, on a cluster of their own (an hour, root)
	@tests/third-party/conformance/run.py --report tests/third-party/conformance/RESULTS.md

.PHONY: test-clients
test-clients: bin-k3s-daas ## etcdctl, etcd-client, aetcd and etcd3 against the store, and its answers beside etcd's
	@tests/clients/run.py

.PHONY: fuzz
fuzz: ## Fuzz what reads bytes from disk and network, FUZZ_SECONDS (60) each; FUZZ_TARGETS for some
	@fuzz/run.sh $(FUZZ_TARGETS)

.PHONY: test-long
test-long: ## What takes long: 200 kills, thousands of simulated disks and histories, suites that must notice faults
	$(call say,store: 200 kills, 20000 simulated disks, 20000 histories)
	@STORE_CRASH_KILLS=200 STORE_DISK_SEEDS=20000 PROPTEST_CASES=20000 cargo test --locked -p store --test crash --test disk --test model -- --nocapture
	$(call say,machines in network namespaces: vxlan with nftables)
	@HOSTS_LONG=1 HOSTS_CLUSTER=$$'flannel_backend = "vxlan"\nkube_proxy_mode = "nftables"' cargo test --locked -p hosts
	$(call say,machines in network namespaces: host-gw)
	@HOSTS_CLUSTER='flannel_backend = "host-gw"' cargo test --locked -p hosts
	$(call say,third-party suites on a store with faults)
	@tests/third-party/faults.sh
	$(call say,conformance tests of Kubernetes)
	@tests/third-party/conformance/run.py
	$(call say,two builds of the same commit are the same bytes)
	@deploy/reproducible/build.sh --twice .cache/reproducible/k3s-daas
	$(call say,contracts: 4000 sequences of calls as bytecode)
	@INVARIANTS_SEQUENCES=4000 cargo test --locked -p devnet --test invariants -- --nocapture

.PHONY: verify
verify: lint test ## What CI runs

.PHONY: bench
bench: build ## The benchmarks of development chain, index, snapshots of 1 GiB, a thousand workers that verify and a thousand nodes that prove
	@cargo bench --locked -p devnet --bench stake
	@cargo bench --locked -p chain --bench index
	@cargo bench --locked -p archive --bench cold
	@cargo test --locked --release -p master --lib crowd -- --ignored --nocapture

# ROWS=put,range for some rows (`target/release/bench-store --list`), RUNS=1 for fewer rounds.
.PHONY: bench-store
bench-store: bench-store-build ## The store beside etcd and kine: a table of ratios, bench/RESULTS.md
	@target/release/bench-store --rows "$(ROWS)" --runs $(or $(RUNS),5) --report bench/RESULTS.md

.PHONY: bench-store-build
bench-store-build: bin-kubernetes
	@bench/peers/build.sh .cache/bench/bin
	$(call say,release builds of k3s-daas and bench-store)
	@cargo build --release --locked -p k3s-daas
	@cargo build --release --locked -p bench-store
