import { join } from "node:path";
import { cacheEntry } from "../../toolchain/cache.ts";
import { createProgress } from "../../toolchain/progress.ts";
import { onPath, unpackDebian } from "./debian-package.ts";

/**
 * Path of `promtool`: `OPENCLAW_FLEET_PROMTOOL`, or on PATH, or from Debian's package `prometheus`,
 * which is unpacked into the project's cache and not installed: installed, it would start a server.
 */
export async function promtool(): Promise<string> {
  const named = process.env.OPENCLAW_FLEET_PROMTOOL;
  if (named) return named;
  const found = onPath("promtool");
  if (found) return found;
  const entry = await cacheEntry("promtool", process.arch, async (folder) => unpack(folder), {
    progress: createProgress(),
  });
  return join(entry, "usr/bin/promtool");
}

function unpack(folder: string): void {
  try {
    unpackDebian(folder, ["prometheus"]);
  } catch (error) {
    throw new Error(
      `promtool is missing, and Debian's package prometheus could not be fetched: ${(error as Error).message}. Install it (apt-get install prometheus), or name it in OPENCLAW_FLEET_PROMTOOL.`,
    );
  }
}
