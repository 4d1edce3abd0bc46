import { copyFileSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { onPath, runLogged } from "./command.ts";
import { ToolchainError } from "./errors.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { ACTIONLINT } from "./pins.ts";
import { createProgress } from "./progress.ts";

const PACKAGE = "github.com/rhysd/actionlint/cmd/actionlint";

/**
 * Path of actionlint, which reads workflows as GitHub does: `OPENCLAW_FLEET_ACTIONLINT`, or the pinned
 * version, built with Go once. For tests only; no command that people type needs it.
 */
export async function ensureActionlint(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const named = env.OPENCLAW_FLEET_ACTIONLINT;
  if (named) return named;
  const go = onPath("go", env) ?? onPath("go", { ...env, PATH: "/usr/local/go/bin" });
  if (!go) {
    throw new ToolchainError(
      `actionlint ${ACTIONLINT.version} cannot be built`,
      "there is no Go on PATH",
      "install Go, or name a built actionlint in OPENCLAW_FLEET_ACTIONLINT",
    );
  }
  const options: CacheOptions = { progress: createProgress(), root: cacheDir(env) };
  const key = `${ACTIONLINT.version}-${platform()}-${arch()}`;
  const folder = await cacheEntry("actionlint", key, (work) => build(go, work, env), options);
  return join(folder, "actionlint");
}

async function build(go: string, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  for (const name of ["go.mod", "go.sum"]) {
    copyFileSync(join(PROJECT_ROOT, "toolchain", "actionlint", name), join(folder, name));
  }
  const args = ["build", "-trimpath", "-buildvcs=false", "-o", "actionlint", PACKAGE];
  await runLogged(go, args, {
    cwd: folder,
    env: { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOWORK: "off" },
  });
}
