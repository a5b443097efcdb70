#!/usr/bin/env node
// Runs the Move unit tests without the Sui CLI, against framework sources on disk.
//
//   node test.mjs --framework DIR [--package DIR]
//
// DIR holds `move-stdlib` and `sui-framework`: crates/sui-framework/packages of a checkout of Sui. Unlike the
// build, the tests need the bodies of the framework, which no package registry has.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { initMovePackageBuilder, MovePackageFetcher, testMovePackage } from "@zktx.io/sui-move-builder/full";
import { contracts, fail, readPackage } from "./package.mjs";

const [option, directory, other, tested] = process.argv.slice(2);
if (option !== "--framework" || !directory || (other && (other !== "--package" || !tested))) {
  fail("usage: test.mjs --framework DIR [--package DIR]");
}
const framework = resolve(directory);

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
const files = readPackage(tested ? resolve(tested) : contracts, ["sources", "tests"]);
const result = await testMovePackage({ files, fetcher: new Sources() });
if (result.error) fail(`the tests do not compile:\n${result.error}`);
console.log(result.output);
process.exit(result.passed ? 0 : 1);
