// Seal's own client against key servers that a test runs. Lines of JSON: the test says what there is and signs; this says what
// came of it.
import { createInterface } from "node:readline";
import { DemType, SealClient, SessionKey } from "@mysten/seal";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const told = async () => JSON.parse((await lines.next()).value);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
const base64 = (array) => Buffer.from(array).toString("base64");

const { package: packageId, id, address, servers, threshold, program, sealed, data, aad } = await told();
// What a full node answers to the SDK: the objects of the key servers, and that the package is a first version.
const objects = new Map(servers.map((server) => [server.object, server]));
const suiClient = {
  core: {
    getObject: async ({ objectId }) => ({ object: { version: "1", content: objects.has(objectId) ? bytes(objects.get(objectId).content) : undefined } }),
    getDynamicField: async ({ parentId }) => ({ dynamicField: { value: { bcs: bytes(objects.get(parentId).value) } } }),
  },
};
const client = new SealClient({
  suiClient,
  serverConfigs: servers.map(({ object }) => ({ objectId: object, weight: 1 })),
  verifyKeyServers: true,
});

const encrypted = await client.encrypt({ demType: DemType.Hmac256Ctr, threshold, packageId, id, data: bytes(data), aad: bytes(aad) });
say({ encrypted: base64(encrypted.encryptedObject) });

const sessionKey = await SessionKey.create({ address, packageId, ttlMin: 5, suiClient });
say({ message: new TextDecoder().decode(sessionKey.getPersonalMessage()) });
await sessionKey.setPersonalMessageSignature((await told()).signature);
// The kind of a transaction: a byte that says programmable, and the program.
const txBytes = Uint8Array.from([0, ...bytes(program)]);
const opened = await client.decrypt({ data: bytes(sealed), sessionKey, txBytes, checkShareConsistency: true });
say({ opened: base64(opened) });
process.exit(0);
