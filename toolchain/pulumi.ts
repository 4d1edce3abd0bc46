import { copyFileSync, existsSync, rmSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { ask, onPath, runLogged } from "./command.ts";
import { downloadChecked } from "./download.ts";
import { ToolchainError } from "./errors.ts";
import { placeLauncher } from "./language-host.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { atLeast, PULUMI, parseVersion } from "./pins.ts";
import type { Progress } from "./progress.ts";
import { type EnsureOptions, readOrigin, type Tool, withDefaults, writeOrigin } from "./tool.ts";

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
  let refusal: string;
  try {
    await download(folder, options.progress);
    writeOrigin(folder, { source: "download", why: `${pathWords}; official release, checked` });
    return;
  } catch (error) {
    refusal = error instanceof Error ? error.message : String(error);
  }
  const go = onPath("go", env);
  if (!go) {
    throw new ToolchainError(
      `no Pulumi CLI could be had (${pathWords})`,
      `the official download failed (${refusal}), and there is no Go to build it with`,
      `install Pulumi ${PULUMI.lowest} or newer, or Go ${PULUMI.go}, then run this again`,
    );
  }
  await build(go, folder, options);
  placeLauncher(folder);
  writeOrigin(folder, {
    source: "build",
    why: `${pathWords}; the official download failed (${refusal}); built from Go modules`,
  });
}

async function download(folder: string, progress: Progress): Promise<void> {
  const os = platform() === "darwin" ? "darwin" : "linux";
  const name = `Pulumi ${PULUMI.version}`;
  const step = progress.step(name, "trying the official download");
  const file = join(folder, "pulumi.tar.gz");
  try {
    await downloadChecked({
      url: PULUMI.download(os, arch()),
      checksums: PULUMI.checksums,
      file,
      onBytes: (received, total) =>
        step.note(`${megabytes(received)} of ${total === null ? "unknown" : megabytes(total)}`),
    });
    await runLogged("tar", ["-xzf", file, "--strip-components=1"], { cwd: folder });
    rmSync(file);
    step.done("downloaded, checksum matches, unpacked");
  } catch (error) {
    rmSync(file, { force: true });
    step.failed(`no download: ${error instanceof Error ? error.message : error}`);
    throw error;
  }
}

/** About 3 min on 2 cores with nothing cached. Go's own caches keep what an interrupted run did. */
async function build(
  go: string,
  folder: string,
  { progress, env = process.env }: EnsureOptions & CacheOptions,
): Promise<void> {
  const version = ask(go, ["env", "GOVERSION"], env) ?? "";
  const step = progress.step(`Pulumi ${PULUMI.version}`, `building with ${version || "Go"}`);
  const numbers = parseVersion(`${version.replace(/^go/, "")}.0`);
  if (numbers?.[0] !== 1 || numbers[1] < 21) {
    step.failed(`Go is ${version || "broken"}`);
    throw new ToolchainError(
      `the Go on PATH (${go}) is ${version || "broken"}`,
      "Pulumi needs Go 1.21, which then fetches the one it wants, or newer",
      `install Go ${PULUMI.go} or newer, or Pulumi ${PULUMI.lowest} or newer`,
    );
  }
  for (const name of ["go.mod", "go.sum"]) {
    copyFileSync(join(PROJECT_ROOT, "toolchain", "pulumi", name), join(folder, name));
  }
  let fetched = 0;
  let compiled = 0;
  const flag = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI.version}`;
  const args = ["build", "-v", "-trimpath", "-buildvcs=false", "-tags", "osusergo,grpcnotrace"];
  try {
    await runLogged(go, [...args, "-ldflags", `-s -w -X ${flag}`, "-o", "pulumi", PACKAGE], {
      cwd: folder,
      env: { ...env, CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOWORK: "off" },
      onLine: (line) => {
        if (line.startsWith("go: downloading")) fetched += 1;
        else compiled += 1;
        step.note(
          `${fetched} modules fetched, ${compiled} of about ${PULUMI.goPackages} packages compiled`,
        );
      },
    });
  } catch (error) {
    step.failed("the build failed");
    throw new ToolchainError(
      `Pulumi ${PULUMI.version} could not be built`,
      error instanceof Error ? error.message : String(error),
      `see Go's words above, or install Pulumi ${PULUMI.lowest} or newer`,
    );
  }
  step.done(`built, ${compiled} packages`);
}

function pulumiVersion(path: string, env: NodeJS.ProcessEnv): string | null {
  const words = ask(path, ["version"], { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" });
  return words && parseVersion(words) ? words.replace(/^v/, "") : null;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MB`;
}
