#!/usr/bin/env python3
"""Runs the conformance tests of Kubernetes that need no image from outside against a cluster made by `k3s-daas up`.

    tests/third-party/conformance/run.py [--focus REGEX] [--procs N] [--minutes N] [--report FILE]

Needs root, Go, and bin/ as `make build` leaves it. Tests that want the cluster for themselves ([Serial]) run after the others,
one at a time. The report is a list of all tests with how each ended. Fails when one of them fails that failing.json
does not name, or when none ran.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import images
import report

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "conformance"
VERSION = "v1.36.3"
FOCUS = r"\[(sig-api-machinery|sig-auth|sig-apps|sig-node)\].*\[Conformance\]"
# Of the cluster's own, so that one on the usual ports is left alone.
CONFIGURATION = """
[devnet]
listen = "127.0.0.1:29000"
[master]
listen = "127.0.0.1:29345"
apiserver_listen = "0.0.0.0:26443"
[worker]
listen = "127.0.0.1:29346"
[node]
kubelet_port = 30250
healthz_port = 30248
proxy_healthz_port = 30256
proxy_metrics_port = 30249
"""


def say(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def call(*command, cwd=ROOT, **environment):
    subprocess.run([str(part) for part in command], cwd=cwd, env={**os.environ, **environment}, check=True)


def build():
    """The tests and the programs in their images; Go knows what changed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    say("conformance tests of Kubernetes (about 7 minutes the first time on two cores)")
    # As bin/kubernetes is built, so that both share what they compile.
    common = ["-mod=readonly", "-trimpath"]
    static = {"CGO_ENABLED": "0"}
    tools = subprocess.run(["go", "list", "-C", HERE, "tool"], check=True, capture_output=True, text=True)
    call("go", "build", "-C", HERE, *common, "-ldflags=-s -w", "-o", f"{CACHE}/", *tools.stdout.split(), **static)
    major, minor, _ = VERSION[1:].split(".")
    package = "-X k8s.io/component-base/version."
    flags = f"-s -w {package}gitVersion={VERSION} {package}gitMajor={major} {package}gitMinor={minor}"
    tests = "k8s.io/kubernetes/test/e2e"
    call("go", "test", "-C", HERE, "-c", *common, "-vet=off", f"-ldflags={flags}", "-o", CACHE / "e2e.test", tests, **static)


def upstream():
    """Where the module k8s.io/kubernetes lies."""
    listed = ["go", "list", "-C", HERE, "-mod=readonly", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"]
    return Path(subprocess.run(listed, check=True, capture_output=True, text=True).stdout.strip())


class Cluster:
    """One made by `k3s-daas up`, with the images in its containerd; ended and removed on exit."""

    def __init__(self, directory):
        self.state = directory / "state"
        self.config = directory / "config.toml"
        self.archive = directory / "images.tar"

    def cli(self, *arguments):
        call(ROOT / "bin/k3s-daas", "--state-dir", self.state, "--config", self.config, *arguments)

    def __enter__(self):
        self.config.write_text(CONFIGURATION)
        try:
            self.cli("up", "--detach", "--no-demo")
            architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
            images.write(self.archive, CACHE, upstream(), architecture)
            socket = self.state / "node" / "containerd.sock"
            call("ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", self.archive)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.cli("down", "--purge")


def play(cluster, focus, procs, serial, until, out):
    """Runs the chosen tests; a list of what ginkgo reports of each."""
    excluded = [re.escape(name) for names in report.excluded().values() for name in names]
    unwanted = excluded + ([] if serial else [r"\[Serial\]"])
    left = max(60, int(until - time.monotonic()))
    command = [
        CACHE / "ginkgo",
        f"--procs={1 if serial else procs}",
        f"--timeout={left}s",
        "--no-color",
        "--silence-skips",
        "--json-report=report.json",
        f"--output-dir={out}",
        f"--focus={focus}",
        *([f"--skip={'|'.join(unwanted)}"] if unwanted else []),
        *([r"--label-filter=Serial"] if serial else []),
        CACHE / "e2e.test",
        "--",
        f"--kubeconfig={cluster.state / 'kubeconfig'}",
        "--provider=skeleton",
        f"--kubectl-path={CACHE / 'kubectl'}",
    ]
    with open(out / "ginkgo.log", "wb") as log:
        subprocess.run([str(part) for part in command], cwd=out, stdout=log, stderr=log, check=False)
    found = json.loads((out / "report.json").read_text())
    return [spec for suite in found for spec in suite["SpecReports"] or [] if spec["LeafNodeType"] == "It"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--focus", default=FOCUS, help="regular expression over the tests' full names")
    parser.add_argument("--procs", type=int, default=6, help="tests at a time")
    parser.add_argument("--minutes", type=int, default=60, help="stop the tests after so long")
    parser.add_argument("--report", type=Path, help="write the list there")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("conformance: a cluster with a kubelet is started: run it as root")
    build()
    kubectl = CACHE / "kubectl"
    kubectl.write_text(f'#!/bin/sh\nexec "{ROOT}/bin/kubernetes" kubectl "$@"\n')
    kubectl.chmod(0o755)
    logs = CACHE / "logs"
    specs = []
    until = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory(prefix="k3sd-conf-", dir="/var/tmp") as directory, Cluster(Path(directory)) as cluster:
        for serial in (False, True):
            out = logs / ("serial" if serial else "parallel")
            out.mkdir(parents=True, exist_ok=True)
            if time.monotonic() < until:
                say(f"tests that run {'alone' if serial else 'beside others'}; log: {out / 'ginkgo.log'}")
                specs += play(cluster, arguments.focus, arguments.procs, serial, until, out)
    ends = report.ends(specs, arguments.focus)
    if arguments.report:
        arguments.report.write_text(report.markdown(ends, VERSION))
    count = Counter(end.state for end in ends)
    print(f"conformance: {', '.join(f'{number} {state}' for state, number in sorted(count.items()))}")
    unexpected = [end for end in ends if end.state == "failed" and end.name not in report.failing()]
    for end in unexpected:
        print(f"FAILED {end.name}: {end.why}")
    sys.exit(1 if unexpected or not count["passed"] else 0)


if __name__ == "__main__":
    main()
