#!/usr/bin/env python3
"""Runs Move functions in the real Move VM, for `vm_oracle.rs`.

Reads one JSON object from stdin, writes one to stdout. The VM is the PyPI wheel `sui-sandbox`, pinned by hash and
unpacked below --cache; it has wheels for Python 3.11 and 3.12 on x86-64 Linux.
"""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

REQUIREMENT = "sui-sandbox==0.22.0"
WHEELS = {
    (3, 11): "2bb6aec48a18473a18c59fa101ecc58e8bd8664e52dc8032c92e8807e3f9af98",
    (3, 12): "d04a42128e66f23f95c568ef4dd9bb14a8960f2727b51cfd73154ff54dac527e",
}
ERROR = re.compile(
    r"major_status: (?P<status>\w+), sub_status: (?:None|Some\((?P<sub>\d+)\)).*"
    r"location: Module\(ModuleId \{ address: (?P<address>[0-9a-f]+), name: Identifier\(\"(?P<module>\w+)\"\) \}\), "
    r"indices: \[[^\]]*\], offsets: \[(?:\(FunctionDefinitionIndex\((?P<function>\d+)\), (?P<offset>\d+)\))?"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    options = parser.parse_args()
    vm = load(options.cache)
    request = json.load(sys.stdin)
    packages = {
        package: [base64.b64decode(module) for module in modules]
        for package, modules in request["packages"].items()
    }
    json.dump([run(vm, packages, case) for case in request["cases"]], sys.stdout)


def load(cache):
    version = sys.version_info[:2]
    if version not in WHEELS:
        sys.exit(f"the oracle needs Python 3.11 or 3.12, this is {version[0]}.{version[1]}")
    home = cache / f"{REQUIREMENT.replace('==', '-')}-py{version[0]}{version[1]}"
    if not home.is_dir():
        install(home, WHEELS[version])
    sys.path.insert(0, str(home))
    import sui_sandbox

    return sui_sandbox


def install(home, sha256):
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix="oracle-") as scratch:
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                    "--only-binary=:all:", "--dest", scratch, REQUIREMENT]
        if subprocess.run(download, check=False, stdout=sys.stderr).returncode != 0:
            sys.exit(f"cannot download {REQUIREMENT}")
        (wheel,) = pathlib.Path(scratch).glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
            sys.exit(f"{wheel.name} is not the pinned file")
        unpacked = pathlib.Path(scratch) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        try:
            os.rename(unpacked, home)
        except OSError:
            if not home.is_dir():
                raise


def run(vm, packages, case):
    result = vm.call_view_function(
        case["package"],
        case["module"],
        case["function"],
        type_args=case["types"],
        pure_inputs=[bytes.fromhex(value) for value in case["pure"]],
        object_inputs=[{**given, "bcs_bytes": bytes.fromhex(given["bcs_bytes"])} for given in case["objects"]],
        package_bytecodes=packages,
        fetch_deps=False,
    )
    if result["success"]:
        values = result["return_values"][0] if result["return_values"] else []
        return {"returned": [base64.b64decode(value).hex() for value in values]}
    found = ERROR.search(result["error"] or "")
    if not found:
        return {"unexplained": result["error"]}
    number = lambda name: int(found[name]) if found[name] is not None else None
    return {
        "status": found["status"],
        "sub_status": number("sub"),
        "address": "0x" + found["address"],
        "module": found["module"],
        "function": number("function"),
        "offset": number("offset"),
    }


if __name__ == "__main__":
    main()
