import { describe, expect, test } from "vitest";
import { ConfigError } from "../../../components/errors.ts";
import { artifactOf, releaseOnHosts } from "../../../stacks/hosts/releases.ts";
import type { HostArch, HostReleaseFacts } from "../../../toolchain/host-release.ts";

const facts = (arch: HostArch, openclaw = "2026.9.6"): HostReleaseFacts => ({
  id: `${openclaw}-${arch}`,
  release: `${openclaw}+12345678`,
  arch,
  versions: { node: "24.1.0", openclaw, etcd: "3.6.5" },
  keys: { bin: "b", openclaw: "o", runtime: "r" },
});

const MIXED = [
  { name: "a", arch: "arm64" },
  { name: "b", arch: "x64" },
  { name: "c", arch: "arm64" },
] as const;

describe("the release of a fleet on hosts", () => {
  test("has one name, and an artifact for each host's processor, asked for once", async () => {
    const asked: HostArch[] = [];
    const release = await releaseOnHosts(MIXED, async (arch) => {
      asked.push(arch);
      return facts(arch);
    });
    expect(release).toEqual({
      name: "2026.9.6+12345678",
      artifacts: { a: "2026.9.6-arm64", b: "2026.9.6-x64", c: "2026.9.6-arm64" },
    });
    expect(asked).toEqual(["arm64", "x64"]);
    expect(artifactOf(release, "b")).toBe("2026.9.6-x64");
    expect(() => artifactOf(release, "d")).toThrow("no release was planned for host d");
  });

  test("is refused when the processors would get different versions of OpenClaw", async () => {
    const made = releaseOnHosts(MIXED, async (arch) =>
      facts(arch, arch === "x64" ? "2026.9.5" : "2026.9.6"),
    );
    await expect(made).rejects.toThrow(ConfigError);
    await expect(made).rejects.toThrow(
      /hosts would run OpenClaw 2026\.9\.6 on arm64 and 2026\.9\.5 on x64/,
    );
  });
});
