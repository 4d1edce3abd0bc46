import { existsSync, renameSync } from "node:fs";
import { arch as machineArch, platform } from "node:os";
import { join } from "node:path";
import { type CacheOptions, cacheEntry } from "./cache.ts";
import { ask, onPath } from "./command.ts";
import { downloadOrBuild } from "./download-or-build.ts";
import { ToolchainError } from "./errors.ts";
import { cacheDir, PROJECT_ROOT } from "./paths.ts";
import { atLeast, ETCD, parseVersion } from "./pins.ts";
import { type EnsureOptions, readOrigin, type Tool, withDefaults } from "./tool.ts";

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
  const etcd = {
    name: "etcd",
    version: ETCD.version,
    url: ETCD.download(goArch),
    checksums: ETCD.checksums,
    files: Object.keys(PROGRAMS),
    lock: join(PROJECT_ROOT, "toolchain", "etcd"),
    packages: Object.values(PROGRAMS).map((name) => `go.etcd.io/etcd/${name}/v3`),
    output: ".",
    flags: ["-ldflags", "-s -w"],
    target: { GOOS: "linux", GOARCH: goArch },
    go: ETCD.go,
    goPackages: ETCD.goPackages,
    instead: `install etcd ${ETCD.lowest} or newer`,
  };
  const source = await downloadOrBuild(etcd, folder, options);
  // Go names a program after its folder.
  if (source === "build") renameSync(join(folder, PROGRAMS.etcd), join(folder, "etcd"));
}

function etcdVersion(path: string, env: NodeJS.ProcessEnv): string | null {
  const words = ask(path, ["--version"], env);
  const version = words && /etcd Version: (\S+)/.exec(words)?.[1];
  return version && parseVersion(version) ? version : null;
}
