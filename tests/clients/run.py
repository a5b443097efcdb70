#!/usr/bin/env python3
"""Runs other people's clients against `k3s-daas store`, and compares its answers with those of etcd itself.

    tests/clients/run.py [--only NAME]... [--binary bin/k3s-daas]

Parts: compare (raw requests, answers compared with etcd's), etcdctl (commands, output compared with etcd's), snapshot
(saved by etcdctl, restored, keys rotated), rust (etcd-client), python (aetcd), node (etcd3). Needs Rust, Go, Node with npm and Python with venv; everything else is
installed below .cache from pinned versions.
"""

import argparse
import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "clients"
PARTS = ["compare", "etcdctl", "snapshot", "rust", "python", "node"]
# Fixed, so that a failure can be run again; each is a random history of its own.
SEEDS = [1, 2]


def say(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def call(*command, cwd=ROOT, **environment):
    subprocess.run([str(part) for part in command], cwd=cwd, env={**os.environ, **environment}, check=True)


def go(directory, *packages):
    """Builds Go programs into the cache; Go knows what changed."""
    out = CACHE / "bin"
    out.mkdir(parents=True, exist_ok=True)
    call("go", "build", "-C", directory, "-o", f"{out}/", *packages)
    return out


def python():
    """A virtual environment with what requirements.txt pins."""
    wanted = (HERE / "python" / "requirements.txt").read_bytes()
    place = CACHE / f"venv-{hashlib.sha256(wanted).hexdigest()[:12]}"
    interpreter = place / "bin" / "python"
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        call(sys.executable, "-m", "venv", place)
        call(interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "python" / "requirements.txt")
        (place / "done").touch()
    return interpreter


def node():
    """The packages of package-lock.json."""
    if not (HERE / "node" / "node_modules").exists():
        call("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=HERE / "node")


def rust(interpreter):
    """The program on etcd-client, whose build wants protoc: the one that the Python packages bring."""
    protoc = CACHE / "protoc"
    protoc.write_text(f'#!/bin/sh\nexec "{interpreter}" -m grpc_tools.protoc "$@"\n')
    protoc.chmod(0o755)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    manifest = HERE / "rust" / "Cargo.toml"
    call("cargo", "build", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", target, PROTOC=str(protoc))
    return Path(target) / "debug" / "store-client-test"


def free_ports(count):
    """Ports that nobody uses now: etcd cannot be told to choose."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def healthy(url, process, log):
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
                if answer.status == 200:
                    return url
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{url} does not come up:\n{log.read_text()[-2000:]}")


class Servers:
    """A fresh etcd and a fresh store, gone at the end."""

    def __init__(self, binary, etcd):
        self.home = Path(tempfile.mkdtemp(prefix="clients-"))
        self.processes = []
        self.etcd = self.start_etcd(etcd) if etcd else None
        self.store = self.start_store(binary)

    def spawn(self, name, command):
        log = self.home / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process, log

    def start_etcd(self, binary):
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        process, log = self.spawn("etcd", [
            binary, "--data-dir", self.home / "etcd", "--log-level", "error",
            "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
            "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        ])
        return healthy(client, process, log)

    def start_store(self, binary):
        process, log = self.spawn("store", [
            binary, "store", "--data-dir", self.home / "store", "--listen-client-urls", "http://127.0.0.1:0",
        ])
        for _ in range(300):
            found = re.search(r"serving etcd's v3 API at revision \d+: (http://\S+)", log.read_text())
            if found:
                return healthy(found.group(1), process, log)
            if process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"the store does not come up:\n{log.read_text()[-2000:]}")

    def __enter__(self):
        return self

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.processes.clear()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def restored(binary, etcdctl):
    """Saves a snapshot, rotates keys, restores, looks; tells what went wrong."""
    with Servers(binary, None) as servers:
        saved, data = servers.home / "saved.db", servers.home / "store"

        def run(*command):
            return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)

        def ctl(*command):
            return run(etcdctl, f"--endpoints={servers.store}", *command)

        ctl("put", "kept", "in the snapshot")
        ctl("snapshot", "save", saved)
        ctl("put", "late", "after the snapshot")
        rotated = run(binary, "rotate-store-key", "--endpoint", servers.store, "-o", "json")
        if '"keyEpoch": 1' not in rotated.stdout:
            return f"rotate-store-key: {rotated}"
        again = ctl("get", "late", "--print-value-only")
        if again.stdout != "after the snapshot\n":
            return f"after the rotation: {again}"
        servers.stop()
        restore = [binary, "snapshot", "restore", saved, "--data-dir", data]
        refused = run(*restore)
        if refused.returncode == 0 or "move it away" not in refused.stderr:
            return f"restored over a store: {refused}"
        shutil.move(data / "log", servers.home / "old-log")
        shutil.move(data / "anchor", servers.home / "old-anchor")
        done = run(*restore)
        if done.returncode != 0 or "revision 2" not in done.stdout:
            return f"snapshot restore: {done}"
        servers.store = servers.start_store(binary)
        found = ctl("get", "", "--prefix")
        if found.stdout != "kept\nin the snapshot\n":
            return f"after the restoration: {found}"
    return ""


def address(url):
    return url.removeprefix("http://")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--only", action="append", choices=PARTS, help="run only this part")
    arguments.add_argument("--binary", default=ROOT / "bin" / "k3s-daas", type=Path, help="the k3s-daas to test")
    given = arguments.parse_args()
    parts = given.only or PARTS
    CACHE.mkdir(parents=True, exist_ok=True)
    failed = []

    def part(name, *command, cwd=ROOT):
        began = time.monotonic()
        done = subprocess.run([str(word) for word in command], cwd=cwd, timeout=300, check=False)
        print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {name} ({time.monotonic() - began:.0f} s)", flush=True)
        if done.returncode != 0:
            failed.append(name)

    say("clients: building")
    compared = {"compare", "etcdctl", "snapshot"} & set(parts)
    if compared:
        out = go(ROOT / "bench/peers/etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/etcdctl/v3")
        go(HERE / "etcd", ".")
    interpreter = python() if {"rust", "python"} & set(parts) else None
    program = rust(interpreter) if "rust" in parts else None
    if "node" in parts:
        node()

    if "compare" in parts:
        for seed in SEEDS:
            say(f"clients: answers compared with etcd's, seed {seed}")
            with Servers(given.binary, out / "server") as servers:
                part(f"compare, seed {seed}", out / "etcd", "-reference", address(servers.etcd),
                     "-subject", address(servers.store), "-seed", seed)
    if "etcdctl" in parts:
        say("clients: etcdctl, output compared with that on etcd")
        with Servers(given.binary, out / "server") as servers:
            for side in ("etcd", "subject"):
                (servers.home / "scratch" / side).mkdir(parents=True)
            part("etcdctl", sys.executable, HERE / "etcdctl.py", out / "etcdctl", servers.etcd, servers.store,
                 servers.home / "scratch")
    if "snapshot" in parts:
        say("clients: a snapshot saved by etcdctl is restored, keys are rotated")
        began = time.monotonic()
        told = restored(given.binary, out / "etcdctl")
        print(f"{'FAIL' if told else 'ok  '} snapshot ({time.monotonic() - began:.0f} s) {told}", flush=True)
        if told:
            failed.append("snapshot")
    with Servers(given.binary, None) as servers:
        if "rust" in parts:
            say("clients: Rust etcd-client")
            part("rust", program, servers.store)
        if "python" in parts:
            say("clients: Python aetcd")
            part("python", interpreter, HERE / "python" / "test_aetcd.py", address(servers.store))
        if "node" in parts:
            say("clients: Node etcd3")
            part("node", "node", "test.mjs", address(servers.store), cwd=HERE / "node")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main()
