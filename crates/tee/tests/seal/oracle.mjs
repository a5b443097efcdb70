// Objects of Seal as its own SDK makes and opens them.
// `node oracle.mjs` prints what it encrypts, one vector a line: name, master keys, threshold, which keys open it, object, data.
// `node oracle.mjs --check` opens each line of vectors.txt, and those of ours.txt, which this repository's code made.
// `node oracle.mjs --servers` prints servers.txt, key servers as they are on chain.
import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
// Not among what the SDK exports: what its client and the key servers work out.
import { EncryptedObject, KeyServerMoveV1, KeyServerMoveV2 } from "./node_modules/@mysten/seal/dist/bcs.mjs";
import { G1Element, G2Element, Scalar } from "./node_modules/@mysten/seal/dist/bls12381.mjs";
import { decrypt } from "./node_modules/@mysten/seal/dist/decrypt.mjs";
import { AesGcm256, Hmac256Ctr } from "./node_modules/@mysten/seal/dist/dem.mjs";
import { encrypt, KemType } from "./node_modules/@mysten/seal/dist/encrypt.mjs";
import { BonehFranklinBLS12381Services } from "./node_modules/@mysten/seal/dist/ibe.mjs";
import { hashToG1 } from "./node_modules/@mysten/seal/dist/kdf.mjs";
import { createFullId } from "./node_modules/@mysten/seal/dist/utils.mjs";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const address = (byte) => "0x" + byte.toString(16).padStart(2, "0").repeat(32);
const scalar = (byte) => Scalar.fromBytes(new Uint8Array(32).fill(byte));
const pk = (master) => G2Element.generator().multiply(master);

// Servers are named by the byte of which their object's id and their master key are made.
const CASES = [
  { name: "two-of-three", servers: [1, 2, 3], threshold: 2 },
  { name: "one-of-one", servers: [7], threshold: 1 },
  { name: "five-of-five", servers: [9, 8, 17, 6, 5], threshold: 5 },
  { name: "aes", servers: [1, 2], threshold: 2, aes: true },
];

async function made({ name, servers, threshold, aes }) {
  const data = randomBytes(32);
  const aad = randomBytes(32);
  const { encryptedObject } = await encrypt({
    keyServers: servers.map((byte) => ({ objectId: address(byte), pk: pk(scalar(byte)).toBytes() })),
    kemType: KemType.BonehFranklinBLS12381DemCCA,
    threshold,
    packageId: address(0xaa),
    id: hex(randomBytes(64)),
    encryptionInput: aes ? new AesGcm256(data, aad) : new Hmac256Ctr(data, aad),
  });
  return [name, servers.join(","), hex(encryptedObject), hex(data)].join(" ");
}

// Key servers as they are described on chain, of one public key: kind, BCS.
function described() {
  const common = { name: "server", keyType: 0, pk: pk(scalar(1)).toBytes() };
  const partial = { name: "member", url: "https://member.example", partialPk: pk(scalar(2)).toBytes(), partyId: 7 };
  const committee = { version: 1, threshold: 2, partialKeyServers: [partial, partial, partial] };
  const url = "https://server.example";
  return [
    ["one", KeyServerMoveV1.serialize({ ...common, url })],
    ["independent", KeyServerMoveV2.serialize({ ...common, serverType: { Independent: { url } } })],
    ["committee", KeyServerMoveV2.serialize({ ...common, serverType: { Committee: committee } })],
  ].map(([kind, bytes]) => `${kind} ${hex(bytes.toBytes())}\n`).join("");
}

async function opened(line) {
  const [name, servers, object, data] = line.split(" ");
  const encryptedObject = EncryptedObject.parse(bytes(object));
  const id = createFullId(encryptedObject.packageId, encryptedObject.id);
  const numbers = servers.split(",").map(Number);
  // The last ones: any of them do.
  const chosen = numbers.slice(-encryptedObject.threshold);
  const keys = new Map(chosen.map((byte) => [`${id}:${address(byte)}`, hashToG1(bytes(id)).multiply(scalar(byte))]));
  for (const byte of chosen) {
    const key = G1Element.fromBytes(keys.get(`${id}:${address(byte)}`).toBytes());
    if (!BonehFranklinBLS12381Services.verifyUserSecretKey(key, id, pk(scalar(byte)))) throw new Error(`${name}: key`);
  }
  const publicKeys = numbers.map((byte) => pk(scalar(byte)));
  const plain = await decrypt({ encryptedObject, keys, publicKeys });
  if (hex(plain) !== data) throw new Error(`${name}: opens to something else`);
}

if (process.argv[2] === "--check") {
  const lines = ["vectors.txt", "ours.txt"].flatMap((name) =>
    readFileSync(new URL(name, import.meta.url), "utf8").trim().split("\n"));
  for (const line of lines) await opened(line);
  if (readFileSync(new URL("servers.txt", import.meta.url), "utf8") !== described()) {
    throw new Error("servers.txt is not what Seal's SDK makes: node oracle.mjs --servers > servers.txt");
  }
  console.error(`${lines.length} objects that Seal's SDK opens`);
} else if (process.argv[2] === "--servers") {
  process.stdout.write(described());
} else {
  for (const wanted of CASES) console.log(await made(wanted));
}
