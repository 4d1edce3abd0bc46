import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { arch as machineArch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { ask, onPath, runLogged } from "./command.ts";
import { downloadChecked } from "./download.ts";
import { ToolchainError } from "./errors.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { atLeast, ETCD, parseVersion } from "./pins.ts";
import type { Progress } from "./progress.ts";
import { type EnsureOptions, readOrigin, type Tool, withDefaults, writeOrigin } from "./tool.ts";

/** The programs of one etcd, all of the same version. */
export interface EtcdTools extends Tool {
  /** The server; the same as `path`. */
  etcd: string;
  /** The client for people. */
  etcdctl: string;
  /** Works on a stopped member's files: restores snapshots. */
  etcdutl: string;
}

export interface EtcdOptions extends EnsureOptions {
  /**
   * Kind of machine that it is to run on, in Node's words: for an artifact that goes elsewhere, static
   * programs of exactly the pinned version. Missing: for this machine, where one on PATH is as good.
   */
  for?: "x64" | "arm64";
}

/** The package of each program, and the name of its file. */
const PROGRAMS = { etcd: "server", etcdctl: "etcdctl", etcdutl: "etcdutl" } as const;
const GO_ARCH: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * etcd with its tools: on PATH if new enough (only for this machine), else the official download, else
 * built with Go. What is not from PATH is linked statically and runs on any Linux of its architecture.
 */
export async function ensureEtcd(options: EtcdOptions = {}): Promise<EtcdTools> {
  const env = options.env ?? process.env;
  if (!options.for) {
    const found = onThisMachine(env);
    if (found) return found;
  }
  const arch = options.for ?? machineArch();
  const goArch = GO_ARCH[arch];
  if (!goArch || (platform() !== "linux" && !options.for)) {
    throw new ToolchainError(
      `there is no etcd for ${platform()} on ${arch}`,
      "it runs on Linux on x64 and arm64",
      "use a machine of that kind",
    );
  }
  const resolved = { ...withDefaults(options), root: options.root ?? cacheDir(env) };
  const key = `${ETCD.version}-linux-${arch}`;
  const folder = await cacheEntry("etcd", key, (work) => obtain(work, goArch, resolved), resolved);
  const origin = readOrigin(folder, { source: "build", why: "in the cache" });
  return tools(folder, ETCD.version, origin);
}

/** One that a person named, or has on PATH with its tools beside it. */
function onThisMachine(env: NodeJS.ProcessEnv): EtcdTools | null {
  const named = env.OPENCLAW_FLEET_ETCD;
  const path = named || onPath("etcd", env);
  if (!path) return null;
  const version = etcdVersion(path, env);
  const folder = path.slice(0, path.lastIndexOf("/"));
  const whole = Object.keys(PROGRAMS).every((name) => existsSync(join(folder, name)));
  if (version && whole && (named || atLeast(version, ETCD.lowest))) {
    return named
      ? tools(folder, version, { source: "environment", why: "OPENCLAW_FLEET_ETCD names it" })
      : tools(folder, version, { source: "path", why: `on PATH, ${ETCD.lowest} or newer` });
  }
  if (!named) return null;
  throw new ToolchainError(
    `OPENCLAW_FLEET_ETCD is ${named}, which is no whole etcd`,
    version ? "etcdctl or etcdutl is not beside it" : `\`${named} --version\` failed`,
    "set it to the path of an etcd with its tools beside it, or unset it",
  );
}

function tools(folder: string, version: string, origin: Pick<Tool, "source" | "why">): EtcdTools {
  const file = (name: keyof typeof PROGRAMS) => join(folder, name);
  const etcd = file("etcd");
  return {
    path: etcd,
    version,
    ...origin,
    etcd,
    etcdctl: file("etcdctl"),
    etcdutl: file("etcdutl"),
  };
}

async function obtain(
  folder: string,
  goArch: string,
  options: EnsureOptions & CacheOptions,
): Promise<void> {
  const env = options.env ?? process.env;
  let refusal: string;
  try {
    await download(folder, goArch, options.progress);
    writeOrigin(folder, { source: "download", why: "official release, checked" });
    return;
  } catch (error) {
    refusal = error instanceof Error ? error.message : String(error);
  }
  const go = onPath("go", env);
  if (!go) {
    throw new ToolchainError(
      "no etcd could be had",
      `the official download failed (${refusal}), and there is no Go to build it with`,
      `install etcd ${ETCD.lowest} or newer, or Go ${ETCD.go}, then run this again`,
    );
  }
  await build(go, folder, goArch, options);
  writeOrigin(folder, {
    source: "build",
    why: `the official download failed (${refusal}); built from Go modules`,
  });
}

async function download(folder: string, goArch: string, progress: Progress): Promise<void> {
  const step = progress.step(`etcd ${ETCD.version}`, "trying the official download");
  const file = join(folder, "etcd.tar.gz");
  try {
    await downloadChecked({
      url: ETCD.download(goArch),
      checksums: ETCD.checksums,
      file,
      onBytes: (received) => step.note(`${(received / 2 ** 20).toFixed(0)} MB`),
    });
    const wanted = Object.keys(PROGRAMS).map((name) => `--wildcards=*/${name}`);
    await runLogged("tar", ["-xzf", file, "--strip-components=1", ...wanted], { cwd: folder });
    rmSync(file);
    step.done("downloaded, checksum matches, unpacked");
  } catch (error) {
    rmSync(file, { force: true });
    step.failed(`no download: ${error instanceof Error ? error.message : error}`);
    throw error;
  }
}

/** About 4 min on 2 loaded cores with nothing cached. Go's own caches keep what an interrupted run did. */
async function build(
  go: string,
  folder: string,
  goArch: string,
  { progress, env = process.env }: EnsureOptions & CacheOptions,
): Promise<void> {
  const version = ask(go, ["env", "GOVERSION"], env) ?? "";
  const step = progress.step(`etcd ${ETCD.version}`, `building with ${version || "Go"}`);
  const numbers = parseVersion(`${version.replace(/^go/, "")}.0`);
  if (numbers?.[0] !== 1 || numbers[1] < 21) {
    step.failed(`Go is ${version || "broken"}`);
    throw new ToolchainError(
      `the Go on PATH (${go}) is ${version || "broken"}`,
      "etcd needs Go 1.21, which then fetches the one it wants, or newer",
      `install Go ${ETCD.go} or newer, or etcd ${ETCD.lowest} or newer`,
    );
  }
  for (const name of ["go.mod", "go.sum"]) {
    copyFileSync(join(PROJECT_ROOT, "toolchain", "etcd", name), join(folder, name));
  }
  let fetched = 0;
  let compiled = 0;
  const args = ["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", "."];
  const packages = Object.values(PROGRAMS).map((name) => `go.etcd.io/etcd/${name}/v3`);
  try {
    await runLogged(go, [...args, ...packages], {
      cwd: folder,
      env: {
        ...env,
        CGO_ENABLED: "0",
        GOOS: "linux",
        GOARCH: goArch,
        GOFLAGS: "-mod=readonly",
        GOWORK: "off",
      },
      onLine: (line) => {
        if (line.startsWith("go: downloading")) fetched += 1;
        else compiled += 1;
        step.note(
          `${fetched} modules fetched, ${compiled} of about ${ETCD.goPackages} packages compiled`,
        );
      },
    });
  } catch (error) {
    step.failed("the build failed");
    throw new ToolchainError(
      `etcd ${ETCD.version} could not be built`,
      error instanceof Error ? error.message : String(error),
      `see Go's words above, or install etcd ${ETCD.lowest} or newer`,
    );
  }
  // Go names a program after its folder.
  renameSync(join(folder, PROGRAMS.etcd), join(folder, "etcd"));
  step.done(`built, ${compiled} packages`);
}

function etcdVersion(path: string, env: NodeJS.ProcessEnv): string | null {
  const words = ask(path, ["--version"], env);
  const version = words && /etcd Version: (\S+)/.exec(words)?.[1];
  return version && parseVersion(version) ? version : null;
}
