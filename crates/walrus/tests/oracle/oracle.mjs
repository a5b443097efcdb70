// The ids that Walrus's own encoder gives to blobs of many sizes, as lines "shards length id".
// `node oracle.mjs` prints them; `node oracle.mjs --check` compares them with vectors.txt.
import { readFileSync } from "node:fs";
import { BlobEncoder } from "@mysten/walrus-wasm";

// Byte i of a blob is the top byte of the i-th number of this generator, so that both sides make the same bytes.
function blob(length) {
  const bytes = new Uint8Array(length);
  let state = length >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

// Around every boundary: empty, one symbol, one row, the whole matrix at symbols of two bytes, and twice that.
function sizes(shards) {
  const faulty = Math.floor((shards - 1) / 3);
  const [rows, columns] = [shards - 2 * faulty, shards - faulty];
  const around = [2, 2 * columns, 2 * columns * rows, 4 * columns * rows].flatMap((n) => [n - 1, n, n + 1]);
  return [...new Set([0, 1, ...around, 5 * columns * rows + 3])].sort((a, b) => a - b);
}

const lines = [];
for (const shards of [4, 7, 10, 101, 1000]) {
  const encoder = new BlobEncoder(shards);
  for (const length of sizes(shards)) {
    const [id] = encoder.compute_metadata(blob(length));
    lines.push(`${shards} ${length} ${Buffer.from(id).toString("base64url")}`);
  }
}
const text = lines.join("\n") + "\n";
if (process.argv[2] === "--check") {
  if (readFileSync(new URL("vectors.txt", import.meta.url), "utf8") !== text) {
    console.error("vectors.txt is not what Walrus's encoder says: node oracle.mjs > vectors.txt");
    process.exit(1);
  }
  console.error(`${lines.length} ids as Walrus's encoder has them`);
} else {
  process.stdout.write(text);
}
