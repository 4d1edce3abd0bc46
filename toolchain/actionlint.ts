import { arch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { ToolchainError } from "./errors.ts";
import { type GoBuild, goBuild, usualGo } from "./go-build.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { ACTIONLINT } from "./pins.ts";
import { createProgress } from "./progress.ts";

const BUILD: GoBuild = {
  name: "actionlint",
  version: ACTIONLINT.version,
  lock: join(PROJECT_ROOT, "toolchain", "actionlint"),
  packages: ["github.com/rhysd/actionlint/cmd/actionlint"],
  output: "actionlint",
  instead: "name a built actionlint in OPENCLAW_FLEET_ACTIONLINT",
};

/**
 * Path of actionlint, which reads workflows as GitHub does: `OPENCLAW_FLEET_ACTIONLINT`, or the pinned
 * version, built with Go once. For tests only; no command that people type needs it.
 */
export async function ensureActionlint(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = env.OPENCLAW_FLEET_ACTIONLINT;
  if (named) return named;
  const go = usualGo(env);
  if (!go) {
    throw new ToolchainError(
      `actionlint ${ACTIONLINT.version} cannot be built`,
      "there is no Go on PATH",
      `install Go, or ${BUILD.instead}`,
    );
  }
  const options: CacheOptions = { progress: createProgress(), root: cacheDir(env) };
  const key = `${ACTIONLINT.version}-${platform()}-${arch()}`;
  const folder = await cacheEntry(
    "actionlint",
    key,
    (work) => goBuild(BUILD, go, work, { env }),
    options,
  );
  return join(folder, "actionlint");
}
