import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Release } from "../gateway/config.ts";
import { bundleRuntime, recall, remember } from "./bundle.ts";
import { cacheEntry } from "./cache.ts";
import { ToolchainError } from "./errors.ts";
import { ensureOpenclaw } from "./openclaw.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { NODE, nodeWorks } from "./pins.ts";
import { type EnsureOptions, withDefaults } from "./tool.ts";

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
    id: releaseName(openclaw.version, basename(runtime)),
    node: process.execPath,
    openclaw: openclaw.path,
    runtime,
  };
}

/**
 * What a node runs, as leases and `status` call it: `2026.9.6+1a2b3c4d`. Before the + stands the OpenClaw that a
 * shard's next owner must have; two processors with the same sources have the same name.
 */
export const releaseName = (openclaw: string, runtime: string): string =>
  `${openclaw}+${runtime.slice(0, 8)}`;

/** The folder of the bundled runtime, made when a source changed. */
export async function ensureRuntime(options: EnsureOptions = {}): Promise<string> {
  const cache = options.root ?? cacheDir(options.env);
  const clone = createHash("sha256").update(PROJECT_ROOT).digest("hex").slice(0, 16);
  const memory = join(cache, "runtime-sources", `${clone}.json`);
  const known = recall(PROJECT_ROOT, memory);
  if (known && existsSync(join(cache, "runtime", known))) return join(cache, "runtime", known);
  const bundle = await bundleRuntime(PROJECT_ROOT);
  const folder = await cacheEntry(
    "runtime",
    bundle.id,
    async (work) => {
      for (const { name, text } of bundle.files) writeFileSync(join(work, name), text);
      writeFileSync(join(work, "package.json"), '{ "type": "module" }\n');
    },
    { ...withDefaults(options), root: cache },
  );
  remember(PROJECT_ROOT, memory, bundle);
  return folder;
}
