#!/usr/bin/env node
// Proves that the Move unit tests name every public function and every abort code of the sources: each function
// is called, and each code is what some test expects.
//
//   node coverage.mjs
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { contracts, fail } from "./package.mjs";

const read = (directory) =>
  readdirSync(join(contracts, directory))
    .filter((name) => name.endsWith(".move"))
    .map((name) => [name.replace(/\.move$/, ""), readFileSync(join(contracts, directory, name), "utf8")]);

const tests = read("tests").map(([, text]) => text.replace(/\/\/.*$/gm, "")).join("\n");
const missing = [];
let functions = 0;
let codes = 0;
for (const [module, text] of read("sources")) {
  for (const [, name] of text.matchAll(/^public fun (\w+)/gm)) {
    functions++;
    // A function with the name of another module's is called by its module, or as a method on its own object.
    if (!new RegExp(`(\\b${module}::|\\.)${name}\\(`).test(tests)) missing.push(`${module}::${name} is never called`);
  }
  for (const [, name] of text.matchAll(/^const (E\w+): u64/gm)) {
    codes++;
    if (!tests.includes(`abort_code = ${module}::${name})`)) missing.push(`no test expects ${module}::${name}`);
  }
}
if (functions < 100 || codes < 100) fail(`only ${functions} functions and ${codes} abort codes were found`);
if (missing.length > 0) fail(`the Move unit tests leave gaps:\n  ${missing.join("\n  ")}`);
const count = tests.match(/#\[test\b/g).length;
console.log(`contracts: ${count} Move unit tests call ${functions} public functions and expect ${codes} abort codes`);
