"""The images that the tests ask for, made here: no registry is asked. agnhost and nonewprivs are upstream's programs, built from
its module; busybox is Debian's; the others are stand-ins of busybox, named in README.md."""

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

REGISTRY = "registry.k8s.io"
E2E = f"{REGISTRY}/e2e-test-images"
BUSYBOX = Path("/bin/busybox")
PASSWD = """root:x:0:0:root:/root:/bin/sh
user-defined-in-image:x:1000:1000::/home:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
"""
# The hooks of pods call it with a URL and nothing else.
CURL = """#!/bin/sh
exec wget -q -O - "$@"
"""
WWW = "usr/share/nginx/html"


def write(path: Path, programs: Path, upstream: Path, architecture: str) -> list[str]:
    """Writes a docker archive of what was built into `programs`, with files of `upstream`'s module; gives the names of the images."""
    base = layer(base_files())
    agnhost = layer(agnhost_files(programs, upstream))
    nnp = layer([("usr/local/bin/nnp", 0o4755, (programs / "nonewprivs").read_bytes())])
    www = layer([(f"{WWW}/index.html", 0o644, b"conformance\n")])
    serve = ["/bin/httpd", "-f", "-p", "80", "-h", f"/{WWW}"]
    images = [
        (f"{E2E}/agnhost:2.63.0", [base, agnhost], {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]}),
        (f"{E2E}/agnhost:2.55", [base, agnhost], {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]}),
        (f"{E2E}/busybox:1.37.0-1", [base], {"Cmd": ["sh"]}),
        (f"{E2E}/nonewprivs:1.4", [base, nnp], {"Cmd": ["nnp"]}),
        (f"{E2E}/nonroot:1.5", [base], {"Cmd": ["sh"], "User": "1234"}),
        (f"{E2E}/nginx:1.15-4", [base, www], {"Cmd": serve}),
        (f"{E2E}/nginx:1.27-0", [base, www], {"Cmd": serve}),
        (f"{REGISTRY}/pause:3.10.2", [base, agnhost], {"Entrypoint": ["/agnhost", "pause"]}),
    ]
    with tarfile.open(path, "w") as archive:
        for content in {name(each): each for each in (base, agnhost, nnp, www)}.values():
            add(archive, f"{name(content)}.tar", 0o644, content)
        manifest = []
        for number, (tag, layers, run) in enumerate(images):
            config = {
                "architecture": architecture,
                "os": "linux",
                "config": {"Env": ["PATH=/bin:/usr/local/bin"], "WorkingDir": "/", **run},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{name(each)}" for each in layers]},
                "history": [{"created_by": "tests/third-party/conformance"} for _ in layers],
            }
            add(archive, f"{number}.json", 0o644, json.dumps(config).encode())
            files = [f"{name(each)}.tar" for each in layers]
            manifest.append({"Config": f"{number}.json", "RepoTags": [tag], "Layers": files})
        add(archive, "manifest.json", 0o644, json.dumps(manifest).encode())
    return [tag for tag, _, _ in images]


def base_files() -> list[tuple]:
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    # Links, not copies: a copy under another name crashes in Debian's build.
    links = [(f"bin/{applet}", "busybox") for applet in applets if applet != "busybox"]
    files = [("bin/busybox", 0o755, BUSYBOX.read_bytes()), ("etc/passwd", 0o644, PASSWD.encode())]
    return [("tmp", 0o1777, None), ("root", 0o700, None), *files, ("etc/group", 0o644, GROUP.encode()), *links]


def agnhost_files(programs: Path, upstream: Path) -> list[tuple]:
    program = (programs / "agnhost").read_bytes()
    porter = upstream / "test/images/agnhost/porter"
    pair = [(name, 0o644, (porter / name).read_bytes()) for name in ("localhost.crt", "localhost.key")]
    return [("agnhost", 0o755, program), ("agnhost-2", "agnhost"), ("uploads", 0o755, None), ("bin/curl", 0o755, CURL.encode()), *pair]


def layer(files: list[tuple]) -> bytes:
    """(path, target) is a link, (path, mode, None) a directory, (path, mode, bytes) a file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, *rest in files:
            if len(rest) == 1:
                info = tarfile.TarInfo(path)
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, rest[0], 0o777
                archive.addfile(info)
            elif rest[1] is None:
                info = tarfile.TarInfo(path)
                info.type, info.mode = tarfile.DIRTYPE, rest[0]
                archive.addfile(info)
            else:
                add(archive, path, rest[0], rest[1])
    return buffer.getvalue()


def add(archive: tarfile.TarFile, path: str, mode: int, content: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.mode, info.size = mode, len(content)
    archive.addfile(info, io.BytesIO(content))


def name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
