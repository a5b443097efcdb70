#!/usr/bin/env python3
"""Signs what the Move unit tests show to the contracts, into tests/signed.move.

    python3 signatures.py          (needs the package `cryptography`)

Move cannot sign. The ids of objects in a `test_scenario` depend only on the transaction and on how many ids it
has made before, so that everything here is known before the tests run. Run it again when a signed struct or the
order in which a scenario makes its objects has changed.
"""

import hashlib
import pathlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
STAKER, STRANGER = (bytes(31) + bytes([last]) for last in (0xB, 0xC))
NOW_MS = START_MS + 2 * DAY_MS


def u64(value):
    return value.to_bytes(8, "little")


def vector(items):
    """BCS of a vector of encoded items, fewer than 128."""
    items = list(items)
    assert len(items) < 128
    return bytes([len(items)]) + b"".join(items)


def text(value):
    return vector(bytes([byte]) for byte in value)


def blake2b256(data):
    return hashlib.blake2b(data, digest_size=32).digest()


def object_id(transaction, made_before):
    """Id of a new object: 0xf1, the digest of the transaction (in tests its number), and the count."""
    return blake2b256(b"\xf1" + u64(transaction).ljust(32, b"\0") + u64(made_before))


def key(seed):
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def public(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed(private, intent, timestamp_ms, payload):
    """Over the BCS of `IntentMessage`."""
    return private.sign(bytes([intent]) + u64(timestamp_ms) + payload)


VERIFIER, OTHER_VERIFIER, ENCLAVE, HOLDER, NEXT_HOLDER = key(1), key(4), key(2), key(6), key(7)
CLUSTER = object_id(0, 1)
# The scenarios register in the second transaction, stake in the third and issue the token in the fourth.
ENCLAVE_ID = object_id(1, 0)
STAKE = object_id(2, 1)
TOKEN = object_id(3, 0)


def measurement(code):
    return text(b"simulated") + vector([text(b"code")]) + vector([text(code)])


def claims(private, expires_ms):
    payload = CLUSTER + measurement(b"1") + text(public(ENCLAVE)) + u64(expires_ms)
    return signed(private, 0, START_MS, payload)


def statement(intent, timestamp_ms, payload):
    return signed(ENCLAVE, intent, timestamp_ms, ENCLAVE_ID + payload)


def point(revision, key_epoch, timestamp_ms):
    payload = CLUSTER + u64(revision) + text(b"\x11" * 32) + text(b"\x22" * 32) + text(b"blob") + u64(key_epoch)
    return statement(3, timestamp_ms, payload)


def unanchored(revision, opened_ms, timestamp_ms):
    payload = CLUSTER + u64(revision) + text(b"\x11" * 32) + u64(opened_ms)
    return statement(7, timestamp_ms, payload)


def sealing(object, timestamp_ms):
    return statement(8, timestamp_ms, CLUSTER + text(object))


def inner(left, right):
    return blake2b256(b"\x02" + left + right)


def tree(leaves):
    """Root, and the proof of each leaf; padded with zeros to a power of two."""
    level = list(leaves)
    while len(level) & (len(level) - 1):
        level.append(bytes(32))
    places = list(range(len(leaves)))
    proofs = [[] for _ in leaves]
    while len(level) > 1:
        for leaf, place in enumerate(places):
            proofs[leaf].append(level[place ^ 1])
            places[leaf] = place // 2
        level = [inner(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0], proofs


def claim_leaf(number, stake, owner, weight):
    return blake2b256(b"\x01" + CLUSTER + u64(number) + bytes(31) + bytes([stake]) + owner + u64(weight))


def shard_leaf(number, weight, root):
    return blake2b256(b"\x00" + CLUSTER + u64(number) + u64(weight) + text(root))


def shares(number, from_ms, to_ms, weight, root, timestamp_ms):
    payload = CLUSTER + u64(number) + u64(from_ms) + u64(to_ms) + u64(weight) + text(root)
    return statement(4, timestamp_ms, payload)


def evidence(reason, from_ms, to_ms, digest, up_ms=0, code=None):
    ran = b"\x00" if code is None else b"\x01" + measurement(code)
    payload = CLUSTER + STAKE + bytes([reason]) + u64(from_ms) + u64(to_ms) + u64(up_ms) + ran
    payload += text(bytes([digest]) * 32) + text(b"walrus:records") + STRANGER
    return statement(5, NOW_MS, payload)


def stated(private, digest, timestamp_ms):
    payload = CLUSTER + TOKEN + text(b"heartbeat") + u64(9) + text(bytes([digest]) * 32)
    return signed(private, 6, timestamp_ms, payload)


def possession(private, generation):
    return private.sign(b"\x02" + u64(generation) + TOKEN + text(public(private)))


FIRST_SHARD, FIRST_CLAIMS = tree(
    [claim_leaf(1, 0x51, STAKER, 1), claim_leaf(1, 0x52, STRANGER, 2), claim_leaf(1, 0x53, STAKER, 0)]
)
SECOND_SHARD, SECOND_CLAIMS = tree([claim_leaf(1, 0x54, STRANGER, 4)])
EPOCH, SHARDS = tree([shard_leaf(1, 3, FIRST_SHARD), shard_leaf(1, 4, SECOND_SHARD)])
# Weights that do not add up: the first shard hides one of its claims, the second takes all.
LIAR, LIAR_SHARDS = tree([shard_leaf(1, 1, FIRST_SHARD), shard_leaf(1, 7, SECOND_SHARD)])

CONSTANTS = {
    "verifier": public(VERIFIER),
    "other_verifier": public(OTHER_VERIFIER),
    "enclave": public(ENCLAVE),
    "holder": public(HOLDER),
    "next_holder": public(NEXT_HOLDER),
    # By both verifiers over the enclave's claims at the start, for 30 days.
    "claimed": claims(VERIFIER, START_MS + 30 * DAY_MS),
    "claimed_too": claims(OTHER_VERIFIER, START_MS + 30 * DAY_MS),
    # By the enclave, over points of the state.
    "point": point(5, 1, START_MS),
    "next_point": point(6, 2, START_MS + 1),
    # By the enclave, which opened its state an hour before.
    "unanchored": unanchored(5, START_MS - HOUR_MS, START_MS),
    # And over what it encrypted to key servers of Seal.
    "sealing": sealing(b"first", START_MS),
    "next_sealing": sealing(b"second", START_MS + 1),
    # By the enclave, over the shares of the first day, two days after the start.
    "shares": shares(1, START_MS, START_MS + DAY_MS, 7, EPOCH, NOW_MS),
    "liar_shares": shares(1, START_MS, START_MS + DAY_MS, 7, LIAR, NOW_MS),
    "epoch_root": EPOCH,
    "liar_root": LIAR,
    "first_root": FIRST_SHARD,
    "second_root": SECOND_SHARD,
    # By the enclave, two days after the start. `next_downtime` is of the following day with the records of the
    # first; `sliced_downtime` begins before the first ends.
    "downtime": evidence(0, START_MS, START_MS + DAY_MS, 1, up_ms=DAY_MS // 2),
    "next_downtime": evidence(0, START_MS + DAY_MS, NOW_MS, 1, up_ms=DAY_MS // 2),
    "sliced_downtime": evidence(0, START_MS + HOUR_MS, START_MS + HOUR_MS + DAY_MS, 2, up_ms=DAY_MS // 2),
    "attestation": evidence(1, START_MS, START_MS + HOUR_MS, 3),
    "tampering": evidence(3, START_MS, START_MS + HOUR_MS, 4),
    "ran_other_code": evidence(1, START_MS, START_MS + HOUR_MS, 5, code=b"2"),
    # By the holder's key, about its ninth heartbeat.
    "stated": stated(HOLDER, 1, START_MS),
    "stated_otherwise": stated(HOLDER, 2, START_MS + 1),
    "stated_by_next": stated(NEXT_HOLDER, 2, START_MS + 1),
    # By the next holder's key, to take over.
    "possession": possession(NEXT_HOLDER, 2),
}
PROOFS = {
    "first_shard": SHARDS[0],
    "second_shard": SHARDS[1],
    "liar_first_shard": LIAR_SHARDS[0],
    "liar_second_shard": LIAR_SHARDS[1],
    "first_claim": FIRST_CLAIMS[0],
    "second_claim": FIRST_CLAIMS[1],
    "worthless_claim": FIRST_CLAIMS[2],
    "only_claim": SECOND_CLAIMS[0],
}


def main():
    lines = [
        "/// Made by tools/signatures.py, which says what each of these is.",
        "#[test_only]",
        "module k3s_daas::signed;",
    ]
    for name, value in CONSTANTS.items():
        lines += ["", f"public fun {name}(): vector<u8> {{", f'    x"{value.hex()}"', "}"]
    for name, proof in PROOFS.items():
        items = ", ".join(f'x"{node.hex()}"' for node in proof)
        lines += ["", f"public fun proof_of_{name}(): vector<vector<u8>> {{", f"    vector[{items}]", "}"]
    target = pathlib.Path(__file__).resolve().parent.parent / "tests" / "signed.move"
    target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
