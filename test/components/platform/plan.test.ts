import fc from "fast-check";
import { expect, test } from "vitest";
import { planPlatform, tierPlatform } from "../../../components/platform/plan.ts";

test.each([
  { nodes: 1, replicas: 1 },
  { nodes: 2, replicas: 2 },
  { nodes: 9, replicas: 2 },
])("$nodes nodes: $replicas of each controller", ({ nodes, replicas }) => {
  expect(planPlatform({ nodes, gpu: "none" }).replicas).toBe(replicas);
});

test.each([
  ["none", false],
  ["al2023", true],
  // Its own image has the plugin.
  ["bottlerocket", false],
] as const)("GPU nodes of %s: device plugin %s", (gpu, devicePlugin) => {
  expect(planPlatform({ nodes: 3, gpu }).devicePlugin).toBe(devicePlugin);
});

test("more nodes never ask less of the system nodes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 50 }), (nodes, more) => {
      const small = planPlatform({ nodes, gpu: "none" });
      const large = planPlatform({ nodes: nodes + more, gpu: "none" });
      return (
        large.load.memoryMiB >= small.load.memoryMiB && large.load.cpuMilli >= small.load.cpuMilli
      );
    }),
  );
});

test("the plan's row says what the loss of a node means", () => {
  expect(tierPlatform(planPlatform({ nodes: 1, gpu: "none" })).survives).toMatch(/^no loss/);
  expect(tierPlatform(planPlatform({ nodes: 3, gpu: "none" }))).toMatchObject({
    tier: "platform",
    count: 4,
    survives: "the loss of one node",
    costs: [],
  });
});
