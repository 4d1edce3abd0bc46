import { existsSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { ask, onPath } from "./command.ts";
import { downloadOrBuild } from "./download-or-build.ts";
import { ToolchainError } from "./errors.ts";
import { placeLauncher } from "./language-host.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { atLeast, PULUMI, parseVersion } from "./pins.ts";
import { type EnsureOptions, readOrigin, type Tool, withDefaults } from "./tool.ts";

const PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
const KEY = `${PULUMI.version}-${platform()}-${arch()}`;

/** The Pulumi CLI that would be used now, or null when one must be fetched or built. */
export function findPulumi(options: EnsureOptions = {}): Tool | null {
  const env = options.env ?? process.env;
  const named = env.OPENCLAW_FLEET_PULUMI;
  if (named) {
    const version = pulumiVersion(named, env);
    if (!version) {
      throw new ToolchainError(
        `OPENCLAW_FLEET_PULUMI is ${named}, which does not run as Pulumi`,
        `\`${named} version\` failed`,
        "set it to the path of a pulumi program, or unset it",
      );
    }
    return { path: named, version, source: "environment", why: "OPENCLAW_FLEET_PULUMI names it" };
  }
  const found = onPath("pulumi", env);
  const version = found && pulumiVersion(found, env);
  if (found && version && atLeast(version, PULUMI.lowest)) {
    return { path: found, version, source: "path", why: `on PATH, ${PULUMI.lowest} or newer` };
  }
  const folder = join(options.root ?? cacheDir(env), "pulumi", KEY);
  const cached = join(folder, "pulumi");
  if (!existsSync(cached)) return null;
  const origin = readOrigin(folder, { source: "build", why: "in the cache" });
  return { path: cached, version: PULUMI.version, ...origin };
}

/** The Pulumi CLI: the one on PATH if new enough, else the official download, else built with Go. */
export async function ensurePulumi(options: EnsureOptions = {}): Promise<Tool> {
  const found = findPulumi(options);
  if (found) return found;
  const resolved = { ...withDefaults(options), root: options.root ?? cacheDir(options.env) };
  const folder = await cacheEntry("pulumi", KEY, (work) => obtain(work, resolved), resolved);
  const origin = readOrigin(folder, { source: "build", why: "in the cache" });
  return { path: join(folder, "pulumi"), version: PULUMI.version, ...origin };
}

async function obtain(folder: string, options: EnsureOptions & CacheOptions): Promise<void> {
  const env = options.env ?? process.env;
  const onPathNow = onPath("pulumi", env);
  const pathWords = onPathNow
    ? `the one on PATH is ${pulumiVersion(onPathNow, env) ?? "broken"}, ${PULUMI.lowest} or newer is needed`
    : "none is on PATH";
  const flag = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI.version}`;
  const cli = {
    name: "Pulumi CLI",
    version: PULUMI.version,
    because: pathWords,
    url: PULUMI.download(platform() === "darwin" ? "darwin" : "linux", arch()),
    checksums: PULUMI.checksums,
    lock: join(PROJECT_ROOT, "toolchain", "pulumi"),
    packages: [PACKAGE],
    output: "pulumi",
    flags: ["-tags", "osusergo,grpcnotrace", "-ldflags", `-s -w -X ${flag}`],
    go: PULUMI.go,
    goPackages: PULUMI.goPackages,
    instead: `install Pulumi ${PULUMI.lowest} or newer`,
  };
  const source = await downloadOrBuild(cli, folder, options);
  if (source === "build") placeLauncher(folder);
}

function pulumiVersion(path: string, env: NodeJS.ProcessEnv): string | null {
  const words = ask(path, ["version"], { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" });
  return words && parseVersion(words) ? words.replace(/^v/, "") : null;
}
