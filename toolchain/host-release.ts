import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import type { CacheOptions } from "./cache.ts";
import { ToolchainError } from "./errors.ts";
import { ensureEtcd } from "./etcd.ts";
import { ensureHostNode } from "./host-node.ts";
import { type HostPart, type PartFiles, packPart } from "./host-part.ts";
import { ensureOpenclaw, openclawKey } from "./openclaw.ts";
import { cacheDir } from "./paths.ts";
import { ETCD, NODE, OPENCLAW } from "./pins.ts";
import { ensureRuntime, releaseName } from "./release.ts";
import { entriesOf, type TarEntry } from "./tar.ts";
import { type EnsureOptions, withDefaults } from "./tool.ts";

/** Architectures that hosts may have, in Node's words. */
export const HOST_ARCHS = ["x64", "arm64"] as const;
export type HostArch = (typeof HOST_ARCHS)[number];

/** What a host runs, by name: nothing was installed, fetched or packed to know it. */
export interface HostReleaseFacts {
  /** Names what goes in: versions, lockfiles, sources. The same everywhere for the same clone. */
  readonly id: string;
  /** What leases call it, see {@link releaseName}: the same for every processor. */
  readonly release: string;
  readonly arch: HostArch;
  readonly versions: { readonly node: string; readonly openclaw: string; readonly etcd: string };
  /** The cache's key of each part, by its name. */
  readonly keys: Readonly<Record<PartName, string>>;
}

/** A release that is ready to be sent. */
export interface HostRelease extends HostReleaseFacts {
  readonly parts: readonly HostPart[];
}

/**
 * Folders of a release on a host. Each is packed, cached and sent by itself: a change of the runtime sends
 * one megabyte, not OpenClaw again.
 */
export const PART_NAMES = ["bin", "openclaw", "runtime"] as const;
export type PartName = (typeof PART_NAMES)[number];

/** Counted on when something packs differently, so that nothing old in a cache is taken for it. */
const PACKING = 1;

/** What no program reads: declarations for compilers, maps for debuggers, links that npm makes for people. */
const UNREAD = /(\.d\.[cm]?ts|\.[cm]?js\.map|\/\.package-lock\.json)$|\/\.bin$/;

/** True for what goes into a release. */
export const isPacked = (path: string): boolean => !UNREAD.test(path);

/** What a release for hosts would be, now. Bundles the runtime if a source changed (half a second). */
export async function hostReleaseFacts(
  arch: HostArch,
  options: EnsureOptions = {},
): Promise<HostReleaseFacts> {
  const runtime = basename(await ensureRuntime(options));
  const own = ownOpenclaw(arch, options);
  const keys = {
    bin: `${NODE.version}-etcd${ETCD.version}-${arch}-${PACKING}`,
    openclaw: `${own?.key ?? openclawKey({ for: arch })}-${arch}-${PACKING}`,
    runtime: `${runtime}-${PACKING}`,
  };
  const digest = createHash("sha256").update(JSON.stringify(keys)).digest("hex").slice(0, 12);
  const openclaw = own?.version ?? OPENCLAW.version;
  return {
    id: `${openclaw}-${digest}`,
    release: releaseName(openclaw, runtime),
    arch,
    versions: { node: NODE.version, openclaw, etcd: ETCD.version },
    keys,
  };
}

/**
 * The release for hosts: the pinned Node, etcd and OpenClaw, and the runtime of this clone, packed. What is
 * in the cache is used; otherwise minutes, for installing OpenClaw and building etcd.
 */
export async function ensureHostRelease(
  arch: HostArch,
  options: EnsureOptions = {},
): Promise<HostRelease> {
  const facts = await hostReleaseFacts(arch, options);
  const resolved = { ...withDefaults(options), root: options.root ?? cacheDir(options.env) };
  const parts: HostPart[] = [];
  // One after another: each may use the whole machine.
  for (const name of PART_NAMES) {
    const collect = () => COLLECT[name](arch, resolved);
    parts.push(await packPart(name, facts.keys[name], collect, resolved));
  }
  return { ...facts, parts };
}

type Collect = (arch: HostArch, options: EnsureOptions & CacheOptions) => Promise<PartFiles>;

const COLLECT: Readonly<Record<PartName, Collect>> = {
  async bin(arch, options) {
    const node = await ensureHostNode(arch, options);
    const { etcd, etcdctl, etcdutl } = await ensureEtcd({ ...options, for: arch });
    const programs = { etcd, etcdctl, etcdutl, node };
    const files = Object.entries(programs).map(([name, source]) => program(`bin/${name}`, source));
    return [{ path: "bin/", size: 0, executable: true }, ...files];
  },
  async openclaw(arch, options) {
    const { path } = await ensureOpenclaw({ ...options, for: arch });
    // <folder>/node_modules/openclaw/openclaw.mjs
    const modules = dirname(dirname(path));
    if (basename(modules) !== "node_modules") {
      throw new ToolchainError(
        `OPENCLAW_FLEET_OPENCLAW is ${path}, which is not in a folder node_modules`,
        "hosts need OpenClaw with the packages that are installed beside it",
        "name the openclaw.mjs of an installation by npm, or unset it",
      );
    }
    const root = { path: "openclaw/", size: 0, executable: true };
    return [root, ...entriesOf(modules, "openclaw/node_modules", isPacked)];
  },
  async runtime(_arch, options) {
    return entriesOf(await ensureRuntime(options), "runtime");
  },
};

/** An OpenClaw that somebody named, which is for machines like this one. */
function ownOpenclaw(arch: HostArch, options: EnsureOptions) {
  const path = (options.env ?? process.env).OPENCLAW_FLEET_OPENCLAW;
  if (!path || process.platform !== "linux" || process.arch !== arch) return null;
  const manifest = join(dirname(path), "package.json");
  if (!existsSync(manifest)) return null;
  const text = readFileSync(manifest);
  const { version } = JSON.parse(text.toString()) as { version: string };
  const folder = dirname(path).split(sep).join("/");
  const digest = createHash("sha256").update(folder).update("\0").update(text).digest("hex");
  return { version, key: `${version}-own${digest.slice(0, 12)}` };
}

function program(path: string, source: string): TarEntry {
  return { path, source, size: statSync(source).size, executable: true };
}
