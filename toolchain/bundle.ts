import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { ToolchainError } from "./errors.ts";

/** Files of the bundled runtime and where each begins. A program finds the others beside itself. */
export const RUNTIME_ENTRIES: Readonly<Record<string, string>> = {
  "node.js": "gateway/node/main.ts",
  "canary.js": "gateway/canary/main.ts",
  "container.js": "gateway/container/main.ts",
  "etcd.js": "gateway/etcd/main.ts",
  "keeper.js": "gateway/keeper/main.ts",
  "redis-cluster.js": "gateway/redis-cluster/main.ts",
  "settings-check.js": "gateway/settings-check/main.ts",
  "host-agent.js": "plugin/host/agent/main.ts",
  "lease-thread.js": "gateway/leases/thread.ts",
  "replication-thread.js": "gateway/replication/thread.ts",
  "replica-check-thread.js": "gateway/replication/check-thread.ts",
};

/** Files that programs of the runtime read, as they are, and where each is from. */
export const RUNTIME_FILES: Readonly<Record<string, string>> = {
  "status-page.css": "gateway/status-page/style.css",
  "status-page.js": "gateway/status-page/client.js",
};

export interface Bundle {
  files: { name: string; text: string }[];
  /** Every source file that went in, relative to the project. */
  inputs: string[];
  /** Names the content of `files`, 16 hex digits. */
  id: string;
}

/** CommonJS packages inside an ES module bundle ask for these. */
const BANNER = [
  'import { createRequire as __fleetRequire } from "node:module";',
  'import { fileURLToPath as __fleetPath } from "node:url";',
  "const require = __fleetRequire(import.meta.url);",
  'const __filename = __fleetPath(import.meta.url), __dirname = __fleetPath(new URL(".", import.meta.url));',
].join("\n");

/** Bundles the runtime of the project in `root`: each entry becomes one file without imports. */
export async function bundleRuntime(root: string): Promise<Bundle> {
  const sources = [...Object.values(RUNTIME_ENTRIES), ...Object.values(RUNTIME_FILES)];
  const missing = sources.filter((path) => !existsSync(join(root, path)));
  if (missing.length > 0) {
    throw new ToolchainError(
      `the runtime cannot be bundled: ${missing.join(", ")} missing`,
      "these files of the project are parts of it",
      "restore them (git status shows what was removed)",
    );
  }
  // Loaded here: most runs find the bundle made.
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(RUNTIME_ENTRIES).map(([name, path]) => ({
      in: path,
      out: name.replace(/\.js$/, ""),
    })),
    outdir: "runtime",
    write: false,
    metafile: true,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    keepNames: true,
    // Through the link node_modules; else the paths in the bundle, and with them its id, would
    // depend on where the cache is.
    preserveSymlinks: true,
    banner: { js: BANNER },
    logLevel: "silent",
  }).catch((error: unknown) => {
    throw new ToolchainError(
      "the runtime cannot be bundled",
      error instanceof Error ? error.message : String(error),
      "mend these files of gateway/ (git diff shows what changed)",
    );
  });
  const copied = Object.entries(RUNTIME_FILES).map(([name, path]) => ({
    name,
    text: readFileSync(join(root, path), "utf8"),
  }));
  const files = result.outputFiles
    .map((file) => ({ name: basename(file.path), text: file.text }))
    .concat(copied)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const hash = createHash("sha256");
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  const inputs = [...Object.keys(result.metafile.inputs), ...Object.values(RUNTIME_FILES)].sort();
  return { files, inputs, id: hash.digest("hex").slice(0, 16) };
}

/** What one clone was bundled from, and to what. */
interface Memory {
  id: string;
  inputs: string[];
  digest: string;
}

/**
 * The id of the bundle when none of its sources changed since {@link remember}, else null. Reading
 * some hundred files takes a few milliseconds, bundling half a second and more.
 */
export function recall(root: string, file: string): string | null {
  try {
    const { id, inputs, digest } = JSON.parse(readFileSync(file, "utf8")) as Memory;
    return digestOf(root, inputs) === digest ? id : null;
  } catch {
    // never bundled, or a source was removed: bundle again
    return null;
  }
}

/** Notes what a bundle was made of. */
export function remember(root: string, file: string, { id, inputs }: Bundle): void {
  const memory: Memory = { id, inputs, digest: digestOf(root, inputs) };
  mkdirSync(dirname(file), { recursive: true });
  const written = `${file}.${process.pid}`;
  writeFileSync(written, JSON.stringify(memory));
  renameSync(written, file);
}

function digestOf(root: string, inputs: readonly string[]): string {
  // How it is bundled counts too.
  const hash = createHash("sha256")
    .update(BANNER)
    .update(readFileSync(import.meta.filename));
  for (const path of inputs)
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(root, path)));
  return hash.digest("hex");
}
