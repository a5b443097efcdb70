#!/usr/bin/env node
// Proves that what docs/threat-model.md names as showing a defence is there: tests, files of tests, abort codes, mutants; and
// that MUTANTS.md says of every mutant what caught it.
//
//   node threats.mjs
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { contracts, fail } from "./package.mjs";

const root = resolve(contracts, "..");
const skipped = new Set(["node_modules", "target", ".git", ".cache", "build"]);

// Every file below a directory, with its name and text.
function* files(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) {
        yield { name: entry.name, text: "" };
        yield* files(path);
      }
    } else if (/\.(rs|move)$/.test(entry.name)) {
      yield { name: basename(entry.name).replace(/\.\w+$/, ""), text: readFileSync(path, "utf8") };
    }
  }
}

const names = new Set();
const functions = new Map();
const codes = new Set();
for (const place of ["crates", "contracts/sources", "contracts/tests", "tests/e2e"]) {
  for (const { name, text } of files(join(root, place))) {
    names.add(name);
    for (const [, called] of text.matchAll(/\b(?:fn|fun) (\w+)/g)) functions.set(called, (functions.get(called) ?? new Set()).add(name));
    for (const [, code] of text.matchAll(/^const (E[A-Z]\w+): u64/gm)) codes.add(code).add(`${name}::${code}`);
  }
}
const mutants = readFileSync(join(contracts, "tools/mutants.mjs"), "utf8");

const there = (name) => {
  if (name.includes("/")) return existsSync(join(root, name));
  const [module, member] = name.split("::").slice(-2);
  if (member) return codes.has(name) || functions.get(member)?.has(module) || (names.has(module) && names.has(member));
  return names.has(name) || functions.has(name) || codes.has(name);
};

const missing = [];
let checked = 0;
for (const [at, line] of readFileSync(join(root, "docs/threat-model.md"), "utf8").split("\n").entries()) {
  const cells = line.startsWith("|") ? line.split("|") : [];
  if (cells.length !== 5 || /^-+$|^ shown by $/.test(cells[3])) continue;
  const shown = [...cells[3].matchAll(/`([^`]+)`/g)].map(([, name]) => name);
  const broken = [...cells[3].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  for (const name of shown) if (!there(name)) missing.push(`line ${at + 1}: ${name}`);
  for (const name of broken) if (!mutants.includes(`["${name}"`)) missing.push(`line ${at + 1}: no mutant "${name}"`);
  checked += shown.length + broken.length;
}
const listed = [...mutants.matchAll(/^  \["([^"]+)", "(\w+)", /gm)].map(([, name, module]) => `${name} | \`${module}\``);
const caught = [...readFileSync(join(contracts, "MUTANTS.md"), "utf8").matchAll(/^\| (.+) \| `(\S+)` \|$/gm)];
for (const [, , test] of caught) if (!there(test)) missing.push(`MUTANTS.md: ${test}`);
if (caught.map(([, name]) => name).join("\n") !== listed.join("\n")) {
  fail("MUTANTS.md does not list the mutants of tools/mutants.mjs in their order: run it and say what caught each");
}
if (checked < 50) fail(`only ${checked} names were found in docs/threat-model.md`);
if (missing.length > 0) fail(`docs/threat-model.md or MUTANTS.md names what is not there:\n  ${missing.join("\n  ")}`);
console.log(`contracts: docs/threat-model.md names ${checked} tests, abort codes and mutants, and all are there; ${caught.length} mutants were caught`);
