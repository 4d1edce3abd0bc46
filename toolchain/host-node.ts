import { copyFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { cacheEntry } from "./cache.ts";
import { onPath, runLogged } from "./command.ts";
import { ToolchainError } from "./errors.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { NODE } from "./pins.ts";
import { type EnsureOptions, withDefaults } from "./tool.ts";

const FOLDER = join(PROJECT_ROOT, "toolchain", "node");

/**
 * The program `node` for hosts of an architecture, exactly the pinned version: one that was built for any
 * Linux, not what this machine happens to run. The shell script `fleet` uses the same entry of the cache.
 */
export async function ensureHostNode(
  arch: "x64" | "arm64",
  options: EnsureOptions = {},
): Promise<string> {
  const name = `node-linux-${arch}`;
  const root = options.root ?? cacheDir(options.env);
  const resolved = { ...withDefaults(options), root };
  const inside = join("node_modules", name, "bin", "node");
  const folder = await cacheEntry(
    "node",
    `${NODE.version}-linux-${arch}`,
    async (work) => {
      const npm = onPath("npm", options.env);
      if (!npm) {
        throw new ToolchainError(
          "npm is not on PATH",
          `hosts get Node ${NODE.version}, and npm fetches it once`,
          "install any Node with npm, then run this again",
        );
      }
      for (const file of ["package.json", "package-lock.json"]) {
        copyFileSync(join(FOLDER, file), join(work, file));
      }
      const step = resolved.progress.step(`Node ${NODE.version} for hosts`, "fetching, 45 MB");
      try {
        const platform = ["--os=linux", `--cpu=${arch}`, "--libc=glibc"];
        const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        await runLogged(npm, ["ci", ...platform, ...quiet], { cwd: work, env: options.env });
        step.done("fetched");
      } catch (error) {
        step.failed("npm failed");
        throw new ToolchainError(
          `Node ${NODE.version} for hosts could not be fetched`,
          error instanceof Error ? error.message : String(error),
          "check that npm reaches its registry, then run this again",
        );
      }
    },
    resolved,
  );
  const program = join(folder, inside);
  if (existsSync(program)) return program;
  throw new ToolchainError(
    "the cached Node for hosts is incomplete",
    `${inside} is missing in ${folder}`,
    "remove that folder and run this again",
  );
}
