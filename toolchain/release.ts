import { createHash } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { build } from "esbuild";
import type { Release } from "../gateway/config.ts";
import { cacheEntry } from "./cache.ts";
import { ToolchainError } from "./errors.ts";
import { ensureOpenclaw } from "./openclaw.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { NODE, nodeWorks } from "./pins.ts";
import { type EnsureOptions, withDefaults } from "./tool.ts";

/** Files of the bundled runtime and where each begins. A program finds the others beside itself. */
export const RUNTIME_ENTRIES: Readonly<Record<string, string>> = {
  "node.js": "gateway/node/main.ts",
  "keeper.js": "gateway/keeper/main.ts",
  "lease-thread.js": "gateway/leases/thread.ts",
};

/** CommonJS packages inside an ES module bundle ask for these. */
const BANNER = [
  'import { createRequire as __fleetRequire } from "node:module";',
  'import { fileURLToPath as __fleetPath } from "node:url";',
  "const require = __fleetRequire(import.meta.url);",
  'const __filename = __fleetPath(import.meta.url), __dirname = __fleetPath(new URL(".", import.meta.url));',
].join("\n");

/**
 * What a node runs, ready and fixed: this Node, the pinned OpenClaw, and the runtime bundled from
 * gateway/ into a folder named by its content. A running fleet never reads the clone again, so
 * editing, pulling or deleting the clone cannot change or break it.
 */
export async function ensureRelease(options: EnsureOptions = {}): Promise<Release> {
  if (!nodeWorks(process.versions.node)) {
    throw new ToolchainError(
      `this program runs on Node ${process.versions.node}`,
      `OpenClaw needs Node ${NODE.range}`,
      "start it with ./fleet, or put a newer Node first on PATH",
    );
  }
  const [openclaw, runtime] = await Promise.all([ensureOpenclaw(options), ensureRuntime(options)]);
  return {
    id: `${openclaw.version}+${basename(runtime).slice(0, 8)}`,
    node: process.execPath,
    openclaw: openclaw.path,
    runtime,
  };
}

/** The folder of the bundled runtime; about 0.3 s, because the bundle itself is the key. */
export async function ensureRuntime(options: EnsureOptions = {}): Promise<string> {
  const files = await bundle();
  const hash = createHash("sha256");
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  return await cacheEntry(
    "runtime",
    hash.digest("hex").slice(0, 16),
    async (folder) => {
      mkdirSync(folder, { recursive: true });
      for (const { name, text } of files) writeFileSync(join(folder, name), text);
      writeFileSync(join(folder, "package.json"), '{ "type": "module" }\n');
    },
    { ...withDefaults(options), root: options.root ?? cacheDir(options.env) },
  );
}

async function bundle(): Promise<{ name: string; text: string }[]> {
  const missing = Object.values(RUNTIME_ENTRIES).filter(
    (path) => !existsSync(join(PROJECT_ROOT, path)),
  );
  if (missing.length > 0) {
    throw new ToolchainError(
      `the runtime cannot be bundled: ${missing.join(", ")} missing`,
      "these files of the project are its entry points",
      "restore them (git status shows what was removed)",
    );
  }
  const result = await build({
    absWorkingDir: PROJECT_ROOT,
    entryPoints: Object.entries(RUNTIME_ENTRIES).map(([name, path]) => ({
      in: path,
      out: name.replace(/\.js$/, ""),
    })),
    outdir: "runtime",
    write: false,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    keepNames: true,
    // Through the link node_modules; else the paths in the bundle, and with them its hash, would
    // depend on where the cache is.
    preserveSymlinks: true,
    banner: { js: BANNER },
    logLevel: "silent",
  });
  return result.outputFiles
    .map((file) => ({ name: basename(file.path), text: file.text }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
