#!/usr/bin/env node
// Compiles a Move package without a Sui node.
//
//   node build.mjs            contracts/ -> contracts/build/*.mv and manifest.json
//   node build.mjs --check    proves that contracts/build is what the sources compile to; changes nothing
//   node build.mjs --package DIR --out DIR    another package
//
// Where governance.move has a VERSION, `next/` gets the modules that differ when it is one higher: tests upgrade to them.
//
// The framework is given as interface stubs (contracts/stubs): signatures alone decide the bytecode of a
// package that uses no framework macro.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { dumpMovePackage, getPinnedSuiVersion, initMovePackageBuilder, MovePackageFetcher } from "@zktx.io/sui-move-builder";
import { contracts, fail, readPackage } from "./package.mjs";

const STUBS = { "move-stdlib": "std", "sui-framework": "sui" };

function options(args) {
  const chosen = { check: false, package: contracts, out: join(contracts, "build") };
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--check") chosen.check = true;
    else if (args[i] === "--package" || args[i] === "--out") {
      const value = args[i + 1] ?? fail(`${args[i]} needs a directory`);
      chosen[args[i].slice(2)] = resolve(value);
      i++;
    } else fail(`unknown option ${args[i]}; usage: build.mjs [--check] [--package DIR --out DIR]`);
  }
  return chosen;
}

class Stubs extends MovePackageFetcher {
  async fetch(_url, _rev, subdir) {
    const stub = STUBS[(subdir ?? "").split("/").pop()];
    if (!stub) throw new Error(`there is no interface stub of ${subdir}`);
    return readPackage(join(contracts, "stubs", stub));
  }
  async fetchFile(_url, _rev, path) {
    const [stub, file] = Object.entries(STUBS)
      .filter(([name]) => path.includes(`/${name}/`))
      .map(([name, dir]) => [dir, path.split(`/${name}/`).pop()])[0] ?? [];
    const local = stub && join(contracts, "stubs", stub, file);
    return local && existsSync(local) ? readFileSync(local, "utf8") : null;
  }
  getResolvedSha() {
    return "0".repeat(40);
  }
}

// The name of a compiled module: its self handle's identifier (Move binary format, tables 1 and 7).
function moduleName(bytes) {
  let at = 8;
  const uleb = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const tables = {};
  for (let left = uleb(); left > 0; left--) {
    const kind = bytes[at++];
    const offset = uleb();
    tables[kind] = { offset, length: uleb() };
  }
  const start = at;
  // The self handle's index ends the file: one byte, as no module names 128 others.
  at = bytes.length - 1;
  const self = uleb();
  at = start + tables[1].offset;
  for (let skip = 0; skip < self; skip++) { uleb(); uleb(); }
  uleb();
  const name = uleb();
  at = start + tables[7].offset;
  for (let skip = 0; skip < name; skip++) {
    const length = uleb();
    at += length;
  }
  const length = uleb();
  return bytes.subarray(at, at + length).toString("utf8");
}

// The sources with the next version; nothing when they have none.
function nextVersion(sources) {
  const [path, text] = Object.entries(sources).find(([path]) => path.endsWith("/governance.move")) ?? [];
  if (!path) return null;
  const next = text.replace(/(const VERSION: u64 = )(\d+);/, (_, head, version) => `${head}${Number(version) + 1};`);
  return { ...sources, [path]: next };
}

async function compile(dir) {
  await initMovePackageBuilder();
  const sources = readPackage(dir);
  const { files, manifest } = await compileFiles(dir, sources);
  const next = nextVersion(sources);
  if (next) {
    for (const [name, bytes] of (await compileFiles(dir, next)).files) {
      if (!bytes.equals(files.get(name))) files.set(`next/${name}`, bytes);
    }
  }
  files.set("manifest.json", Buffer.from(JSON.stringify(manifest, null, 2) + "\n"));
  return files;
}

async function compileFiles(dir, sources) {
  const result = await dumpMovePackage({ files: sources, fetcher: new Stubs(), silenceWarnings: false });
  if (result.error) fail(`${dir} does not compile:\n${result.error}`);
  if (result.warnings) console.error(result.warnings);
  const modules = result.modules.map((module) => Buffer.from(module, "base64"));
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const manifest = {
    compiler: await getPinnedSuiVersion(),
    dependencies: result.dependencies,
    modules: modules.map((bytes) => ({ name: moduleName(bytes), sha256: sha256(bytes) })),
  };
  const files = new Map(modules.map((bytes, i) => [`${manifest.modules[i].name}.mv`, bytes]));
  return { files, manifest };
}

const chosen = options(process.argv.slice(2));
const files = await compile(chosen.package);
if (chosen.check) {
  const listed = existsSync(chosen.out) ? readdirSync(chosen.out, { recursive: true, withFileTypes: true }) : [];
  const committed = listed.filter((entry) => entry.isFile()).map((entry) => relative(chosen.out, join(entry.parentPath ?? entry.path, entry.name))).sort();
  const expected = [...files.keys()].sort();
  if (committed.join() !== expected.join()) fail(`build/ holds ${committed}, the sources make ${expected}`);
  for (const [name, bytes] of files) {
    if (!readFileSync(join(chosen.out, name)).equals(bytes)) {
      fail(`build/${name} is not what the sources compile to: run node contracts/tools/build.mjs and commit`);
    }
  }
  console.log(`contracts: ${files.size - 1} files are what the sources compile to`);
} else {
  rmSync(chosen.out, { recursive: true, force: true });
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(chosen.out, name)), { recursive: true });
    writeFileSync(join(chosen.out, name), bytes);
  }
  console.log(`contracts: ${files.size - 1} files written to ${relative(process.cwd(), chosen.out) || "."}`);
}
