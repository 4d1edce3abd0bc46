import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { cacheEntry } from "../../toolchain/cache.ts";
import { createProgress } from "../../toolchain/progress.ts";

/** Longest wait for Debian's servers, ms. */
const DOWNLOAD_MS = 240_000;

/**
 * Path of `promtool`: `OPENCLAW_FLEET_PROMTOOL`, or on PATH, or from Debian's package `prometheus`,
 * which is unpacked into the project's cache and not installed: installed, it would start a server.
 */
export async function promtool(): Promise<string> {
  const named = process.env.OPENCLAW_FLEET_PROMTOOL;
  if (named) return named;
  const found = (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "promtool"))
    .find((path) => existsSync(path));
  if (found) return found;
  const entry = await cacheEntry("promtool", process.arch, async (folder) => unpack(folder), {
    progress: createProgress(),
  });
  return join(entry, "usr/bin/promtool");
}

function unpack(folder: string): void {
  try {
    try {
      apt(folder, ["download", "prometheus"]);
    } catch {
      // A machine that never asked for its lists knows no package; only root may fetch them.
      apt(folder, ["update"]);
      apt(folder, ["download", "prometheus"]);
    }
    const [deb] = readdirSync(folder).filter((name) => name.endsWith(".deb"));
    if (!deb) throw new Error("apt-get download brought no package");
    execFileSync("dpkg-deb", ["-x", join(folder, deb), folder], { stdio: "pipe" });
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: Buffer };
    throw new Error(
      `promtool is missing, and Debian's package prometheus could not be fetched: ${stderr?.toString().trim() || message}. Install it (apt-get install prometheus), or name it in OPENCLAW_FLEET_PROMTOOL.`,
    );
  }
}

function apt(cwd: string, args: readonly string[]): void {
  execFileSync("apt-get", ["-qq", ...args], { cwd, stdio: "pipe", timeout: DOWNLOAD_MS });
}
