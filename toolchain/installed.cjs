// Does node_modules of the project given as argument hold what its package-lock.json says? Exit 0 or 1.
// Plain JavaScript without dependencies: it runs before anything is installed.
const { existsSync, readFileSync } = require("node:fs");
const { join } = require("node:path");

const root = process.argv[2];
const read = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages;
const wanted = read("package-lock.json");
const installedList = join(root, "node_modules", ".package-lock.json");
if (!existsSync(installedList)) {
  console.error("fleet: node_modules was not made by npm (no .package-lock.json in it)");
  process.exit(1);
}
const installed = read("node_modules/.package-lock.json");
const faults = [];
for (const [path, { version, optional, peer, os, cpu }] of Object.entries(wanted)) {
  if (path === "" || (!installed[path] && (optional || peer || os || cpu))) continue;
  if (installed[path]?.version !== version) {
    faults.push(`${path}: ${installed[path]?.version ?? "missing"}, locked is ${version}`);
  }
}
for (const fault of faults.slice(0, 5)) console.error(`fleet: ${fault}`);
if (faults.length > 5) console.error(`fleet: and ${faults.length - 5} more`);
process.exit(faults.length > 0 ? 1 : 0);
