// A Move package on disk, as the compiler takes it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

// The directory of our package.
export const contracts = resolve(dirname(fileURLToPath(import.meta.url)), "..");

export function fail(message) {
  console.error(`contracts: ${message}`);
  process.exit(1);
}

// Move.toml and every `.move` file below the given directories, by path.
export function readPackage(dir, below = ["sources"]) {
  const files = {};
  const walk = (from) => {
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      const path = join(from, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.name.endsWith(".move")) files[relative(dir, path)] = readFileSync(path, "utf8");
    }
  };
  if (!existsSync(join(dir, "Move.toml"))) fail(`${dir} has no Move.toml`);
  files["Move.toml"] = readFileSync(join(dir, "Move.toml"), "utf8");
  for (const name of below) {
    if (existsSync(join(dir, name))) walk(join(dir, name));
  }
  return files;
}
