#!/usr/bin/env node
// Runs the Move unit tests without the Sui CLI: on Sui's Move VM, with a hand-written stand-in of the framework, or with
// framework sources on disk.
//
//   node test.mjs [--framework DIR] [--package DIR]
//
// DIR of --framework holds `move-stdlib` and `sui-framework`: crates/sui-framework/packages of a checkout of Sui. Unlike the
// build, the tests need the bodies of the framework, which no package registry has; ../stand-in has those that we use.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { initMovePackageBuilder, MovePackageFetcher, testMovePackage } from "@zktx.io/sui-move-builder/full";
import { contracts, fail, readPackage } from "./package.mjs";

const { values } = parseArgs({ options: { framework: { type: "string" }, package: { type: "string" } } });
const framework = resolve(values.framework ?? join(contracts, "stand-in"));

class Sources extends MovePackageFetcher {
  async fetch(_url, _rev, subdir) {
    return readPackage(join(framework, (subdir ?? "").split("/").pop()));
  }
  async fetchFile(_url, _rev, path) {
    const local = join(framework, path.split("/packages/").pop());
    return existsSync(local) ? readFileSync(local, "utf8") : null;
  }
  getResolvedSha() {
    return "0".repeat(40);
  }
}

await initMovePackageBuilder();
const files = readPackage(resolve(values.package ?? contracts), ["sources", "tests"]);
const result = await testMovePackage({ files, fetcher: new Sources() });
if (result.error) fail(`the tests do not compile:\n${result.error}`);
const plain = result.output.replace(/\x1b\[[0-9;]*m/g, "");
const total = plain.match(/Total tests: (\d+); passed: (\d+)/);
if (!result.passed || !total || total[1] === "0") {
  console.log(result.output);
  process.exit(1);
}
console.log(`Move unit tests: ${total[2]} of ${total[1]} passed`);
