#!/usr/bin/env python3
"""Obtains the Sui framework's compiled modules (0x1 and 0x2) for the development chain.

    python3 contracts/tools/framework.py --out .cache/framework.bcs

The modules are those that the PyPI wheel `sui-sandbox` carries inside its shared object, cut out
byte for byte. The wheel is pinned by its SHA-256 and never executed. The output is BCS of
`struct { std: vector<vector<u8>>, sui: vector<vector<u8>> }`, modules in the wheel's order. Nothing
is done when the output exists already and is intact.
"""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

REQUIREMENT = "sui-sandbox==0.22.0"
WHEEL_SHA256 = "2bb6aec48a18473a18c59fa101ecc58e8bd8664e52dc8032c92e8807e3f9af98"
OUTPUT_SHA256 = "d25d000dc3b39255eb5adfc974ffebc205c67f6c5cc1225740e094b58b9870aa"
# The wheel of one Python and one platform, whatever runs this script: its bytes are only read.
WHEEL_TARGET = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311",
                "--platform", "manylinux_2_28_x86_64"]

MAGIC = bytes.fromhex("a11ceb0b")
MODULE_HANDLES, ADDRESSES = 0x1, 0x8
STD, SUI = 1, 2


class Failure(Exception):
    """What went wrong, and what to do about it, in one sentence."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the file to write")
    parser.add_argument("--wheel", type=pathlib.Path, help="use this wheel instead of downloading it")
    options = parser.parse_args()
    try:
        if is_intact(options.out):
            print(f"{options.out}: up to date", file=sys.stderr)
            return 0
        contents = encode(cut(read_shared_object(options.wheel)))
        if hashlib.sha256(contents).hexdigest() != OUTPUT_SHA256:
            raise Failure("the modules cut out of the wheel are not the expected ones")
        write_atomically(options.out, contents)
    except Failure as failure:
        print(f"framework.py: {failure}", file=sys.stderr)
        return 1
    print(f"{options.out}: {len(contents)} bytes", file=sys.stderr)
    return 0


def is_intact(path):
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == OUTPUT_SHA256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error


def read_shared_object(wheel):
    """The bytes of the extension module inside the wheel."""
    if wheel is not None:
        return unpack(wheel)
    with tempfile.TemporaryDirectory(prefix="framework-") as scratch:
        print(f"downloading {REQUIREMENT}", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                   "--no-deps", "--only-binary=:all:", "--dest", scratch, *WHEEL_TARGET, REQUIREMENT]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Failure(f"cannot run {sys.executable}: {error.strerror}") from error
        if result.returncode != 0:
            words = result.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
            raise Failure(f"cannot download {REQUIREMENT} ({words[0]}); is pip installed and the "
                          "package index within reach?")
        wheels = list(pathlib.Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            raise Failure(f"pip downloaded {len(wheels)} wheels instead of one")
        return unpack(wheels[0])


def unpack(wheel):
    try:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise Failure(f"cannot read {wheel}: {error.strerror}") from error
    if digest != WHEEL_SHA256:
        raise Failure(f"{wheel.name} has SHA-256 {digest}, expected {WHEEL_SHA256}; refusing to use it")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".so")]
        if len(names) != 1:
            raise Failure(f"{wheel.name} has {len(names)} shared objects instead of one")
        return archive.read(names[0])


def cut(image):
    """The modules of packages 0x1 and 0x2, in the order the wheel has them."""
    packages = {}
    start = image.find(MAGIC)
    while start >= 0:
        modules, end = bundle_at(image, start)
        if modules:
            addresses = {self_address(module) for module in modules}
            if len(addresses) == 1:
                packages.setdefault(addresses.pop(), modules)
        start = image.find(MAGIC, max(end, start + 1))
    missing = [f"{package:#x}" for package in (STD, SUI) if package not in packages]
    if missing:
        raise Failure(f"the wheel holds no package {' and '.join(missing)}")
    return [packages[STD], packages[SUI]]


def bundle_at(image, start):
    """Modules of the BCS `vector<vector<u8>>` whose first module is at `start`, and its end."""
    for count_width in (1, 2):
        for length_width in (1, 2, 3):
            count_at = start - length_width - count_width
            count = uleb(image, count_at, start)
            if count is None or count[1] != start - length_width:
                continue
            modules, at = [], count[1]
            while len(modules) < count[0]:
                length = uleb(image, at, len(image))
                if length is None or image[length[1]:length[1] + 4] != MAGIC:
                    break
                at = length[1] + length[0]
                modules.append(image[length[1]:at])
            if modules and len(modules) == count[0]:
                return modules, at
    return [], start


def self_address(module):
    """The address that a compiled module says it is published at, as a number."""
    tables, at = {}, 9
    for _ in range(module[8]):
        kind = module[at]
        offset, at = uleb(module, at + 1, len(module))
        size, at = uleb(module, at, len(module))
        tables[kind] = (offset, size)
    end = at + max((offset + size for offset, size in tables.values()), default=0)
    handle, _ = uleb(module, end, len(module))
    position = at + tables[MODULE_HANDLES][0]
    for _ in range(handle):
        position = uleb(module, uleb(module, position, end)[1], end)[1]
    address, _ = uleb(module, position, end)
    first = at + tables[ADDRESSES][0] + 32 * address
    return int.from_bytes(module[first:first + 32], "big")


def uleb(data, at, end):
    """The ULEB128 number at `at` and the position behind it, or None."""
    value = shift = 0
    while 0 <= at < end and shift < 35:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
    return None


def encode(packages):
    out = bytearray()
    for modules in packages:
        out += encode_uleb(len(modules))
        for module in modules:
            out += encode_uleb(len(module)) + module
    return bytes(out)


def encode_uleb(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_atomically(path, contents):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise
    except OSError as error:
        raise Failure(f"cannot write {path}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
