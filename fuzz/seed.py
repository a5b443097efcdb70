#!/usr/bin/env python3
"""Writes seeds for the targets that read evidence, made of the recorded evidence that the tests of `tee` read out of registry
packages (crates/tee/fixtures): no copies of it are kept here. Usage: seed.py DIRECTORY"""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# The order of tee::PlatformKind::ALL, by which evidence_raw's first byte chooses.
PLATFORMS = ["sev-snp", "tdx", "sgx", "nitro", "cca", "trustzone", "tpm", "simulated"]
EVIDENCE = [
    ("sgx", "quote", "dcap-qvl", "sample/sgx_quote"),
    ("tdx", "quote", "dcap-qvl", "sample/tdx_quote"),
    ("tdx", "quote", "dcap-qvl", "sample/tdx_quote_td15ex"),
    ("sev-snp", "report", "sev", "tests/certs_data/report_milan.hex"),
    ("nitro", "document", "nitro_attest", "tests/fixtures/attestation.cose"),
    ("nitro", "document", "remote-attestation-verifier", "fixtures/example_attestation"),
    ("cca", "token", "ccatoken", "testdata/cca-token-01.cbor"),
    ("cca", "token", "ccatoken", "testdata/cca-token-02.cbor"),
    # Realm and platform token are PSA-like: a start for the parser of TrustZone's.
    ("trustzone", "token", "nitro_attest", "tests/fixtures/attestation.cose"),
]
FILES = [
    ("dcap-qvl", "sample/sgx_quote_collateral.json"),
    ("sev", "tests/certs_data/vcek_milan.der"),
    ("sev", "tests/certs_data/cert_chain_milan"),
    ("nitro_attest", "tests/fixtures/0.der"),
    ("ccatoken", "testdata/cpak.json"),
    ("ccatoken", "testdata/ta-02-ok.json"),
]


def head(major, length):
    """A CBOR head (RFC 8949, section 3), the shortest."""
    for size, code in ((0, None), (1, 24), (2, 25), (4, 26)):
        if size == 0 and length < 24:
            return bytes([major << 5 | length])
        if size and length < 1 << 8 * size:
            return bytes([major << 5 | code]) + length.to_bytes(size, "big")
    raise ValueError(length)


def text(value):
    return head(3, len(value)) + value.encode()


def envelope(platform, parts):
    """As tee::Evidence::encode."""
    body = b"".join(text(name) + head(2, len(value)) + value for name, value in sorted(parts.items()))
    media_type = "application/vnd.k3s-daas.evidence+cbor"
    fields = text("version") + head(0, 2) + text("media_type") + text(media_type)
    return head(5, 4) + fields + text("platform") + text(platform) + text("parts") + head(5, len(parts)) + body


def packages():
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path"]
    output = subprocess.check_output([*command, ROOT / "crates/tee/fixtures/Cargo.toml"], cwd=ROOT)
    return {found["name"]: pathlib.Path(found["manifest_path"]).parent for found in json.loads(output)["packages"]}


def main():
    out, found = pathlib.Path(sys.argv[1]), packages()
    raw, parts = out / "evidence_raw", out / "evidence_parts"
    raw.mkdir(parents=True, exist_ok=True)
    parts.mkdir(parents=True, exist_ok=True)
    for number, (platform, part, package, path) in enumerate(EVIDENCE):
        data = (found[package] / path).read_bytes()
        (raw / f"{number}-{platform}").write_bytes(bytes([PLATFORMS.index(platform)]) + data)
        data = bytes.fromhex(data.decode()) if path.endswith(".hex") else data
        (parts / f"{number}-{platform}").write_bytes(envelope(platform, {part: data}))
    # A TPM gives out no one recorded form; its parts are mutated from a quote's magic and empty registers.
    quote = bytes.fromhex("ff5443478018") + bytes(100)
    tpm = {"quote": quote, "signature": bytes(70), "pcrs": b"\xa1\x66sha256\xa1\x00\x58\x20" + bytes(32), "ak-public": bytes(90)}
    (parts / "tpm").write_bytes(envelope("tpm", {**tpm, "eventlog": bytes(64)}))
    bundle = {"quote": quote.hex(), "signature": "00" * 70, "pcrs": {"sha256": {"0": "00" * 32}}}
    (raw / "tpm").write_bytes(bytes([PLATFORMS.index("tpm")]) + json.dumps(bundle).encode())
    for number, (package, path) in enumerate(FILES):
        (parts / f"file-{number}").write_bytes((found[package] / path).read_bytes())


if __name__ == "__main__":
    main()
