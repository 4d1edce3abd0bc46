import { describe, expect, test } from "vitest";
import { gatherHosts } from "../../../stacks/hosts/input.ts";
import { hostNeeds } from "../../../stacks/hosts/needs.ts";
import { planHost } from "../../../stacks/hosts/parts.ts";
import { planFleet } from "../../../stacks/presets.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

const WITNESS = { name: "w", address: "192.0.2.99", witness: true };
const hostsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `n${i + 1}`, address: `192.0.2.${i + 1}` }));

/** Memory that each host must have, by name, and what its units may take of it besides the node's and etcd's. */
function memory(more: object) {
  const settings = settingsSchema.parse({ target: "hosts", environment: "staging", ...more });
  const sizing = planFleet(settings);
  const artifacts = Object.fromEntries(settings.hosts.map(({ name }) => [name, "r1"]));
  const release = { name: "2026.9.6+r1", artifacts };
  const isSecret = () => false;
  const { input } = gatherHosts({ stack: "vps", settings, sizing, release, isSecret });
  const { plan, redisMemoryMiB: redisMemory } = input;
  const hosts = plan.hosts.map((host) => {
    const made = planHost(input, host);
    const facts = { ...host, arch: "x64" as const };
    const needs = hostNeeds("vps", facts, made, { plan, sizing, redisMemory });
    const { memoryMiB, memoryOf } = needs;
    const limits = Object.entries(made.units)
      .filter(([name, { state }]) => /redis|sentinel/.test(name) && state === "enabled")
      .map(([, { content = "" }]) => Number(/^MemoryMax=(\d+)M$/m.exec(content)?.[1] ?? 0));
    const redisMiB = limits.reduce((sum, mib) => sum + mib, 0);
    return { name: host.name, memoryMiB, memoryOf, redisMiB };
  });
  return { hosts, node: sizing.loss.memoryMiBPerNode };
}

describe("the memory of a host", () => {
  test.each([
    ["one Redis", { preset: "small", hosts: hostsOf(3) }],
    ["a larger one", { preset: "small", hosts: hostsOf(3), redis: { memoryMiB: 1_024 } }],
    ["Sentinels", { preset: "medium", hosts: hostsOf(4) }],
    ["a cluster", { preset: "enterprise", hosts: hostsOf(6) }],
  ])("holds the node's and what Redis's units may take: %s", (_, more) => {
    const { hosts, node } = memory({ ...more, monitoring: { enabled: false } });
    expect(hosts.some(({ redisMiB }) => redisMiB > 0)).toBe(true);
    for (const { memoryMiB, memoryOf, redisMiB } of hosts) {
      expect(memoryOf.Redis ?? 0).toBe(redisMiB);
      expect(Object.values(memoryOf).reduce((sum, mib) => sum + mib, 0)).toBe(memoryMiB);
      expect(memoryMiB).toBeGreaterThanOrEqual(node + redisMiB);
      // etcd's part is the rest.
      expect(memoryMiB).toBeLessThanOrEqual(node + redisMiB + 128);
    }
  });

  test("is more where monitoring is, and a little more on each that it watches", () => {
    const three = { preset: "small", hosts: hostsOf(3), redis: { url: "redis://192.0.2.50" } };
    const bare = memory({ ...three, monitoring: { enabled: false } }).hosts;
    const watched = memory(three).hosts;
    const more = watched.map(({ memoryMiB }, i) => memoryMiB - (bare[i]?.memoryMiB ?? 0));
    expect(more).toEqual([32, 32, 352]);
  });

  test("of a witness is that of what it carries", () => {
    const { hosts } = memory({ preset: "small", hosts: [...hostsOf(2), WITNESS] });
    expect(hosts.map(({ redisMiB }) => redisMiB > 0)).toEqual([true, false, false]);
    expect(hosts.at(-1)?.memoryMiB).toBe(512 + 352);
  });

  test("of the only host is what it was: a preset's, or what its shards take", () => {
    const { hosts, node } = memory({ preset: "solo", hosts: hostsOf(1) });
    expect(hosts.map(({ memoryMiB }) => memoryMiB)).toEqual([Math.max(1_024, node)]);
  });
});
