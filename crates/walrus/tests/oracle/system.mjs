// Walrus's system state (a dynamic field of its system object on Sui) in BCS, as Walrus's own SDK describes it.
// `node system.mjs` prints it; `node system.mjs --check` compares it with system.txt.
import { readFileSync } from "node:fs";
import { bcs } from "@mysten/sui/bcs";
// Not among what the SDK exports, and made from the contracts' sources.
import { SystemStateInnerV1 } from "./node_modules/@mysten/walrus/dist/contracts/walrus/system_state_inner.mjs";

const address = (byte) => "0x" + byte.toString(16).padStart(2, "0").repeat(32);
const key = (length, byte) => ({ bytes: new Array(length).fill(byte) });
const members = Array.from({ length: 130 }, (_, i) => ({
  public_key: key(96, i),
  weight: i < 129 ? 7 : 97,
  node_id: address(i),
}));
const state = {
  committee: { members, n_shards: 1000, epoch: 42, total_aggregated_key: key(48, 9) },
  total_capacity_size: 5_000_000_000_000_000n,
  used_capacity_size: 4_000_000_000_000_000n,
  storage_price_per_unit_size: 11_000n,
  write_price_per_unit_size: 20_000n,
  future_accounting: {
    current_index: 1,
    length: 2,
    ring_buffer: [42, 43].map((epoch) => ({ epoch, used_capacity: 1n, rewards_to_distribute: { value: 2n } })),
  },
  event_blob_certification_state: { latest_certified_blob: null, aggregate_weight_per_blob: { contents: [] } },
  deny_list_sizes: { id: address(8) },
};
const field = bcs.struct("Field", { id: bcs.Address, name: bcs.u64(), value: SystemStateInnerV1 });
const text = Buffer.from(field.serialize({ id: address(7), name: 4n, value: state }).toBytes()).toString("hex") + "\n";
if (process.argv[2] !== "--check") {
  process.stdout.write(text);
} else if (readFileSync(new URL("system.txt", import.meta.url), "utf8") !== text) {
  console.error("system.txt is not what Walrus's SDK writes: node system.mjs > system.txt");
  process.exit(1);
}
