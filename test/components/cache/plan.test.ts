import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CACHE_NODES,
  CACHE_PRICES,
  type CACHE_SHAPES,
  MAX_REPLICAS,
} from "../../../components/cache/catalog.ts";
import {
  type CacheNeed,
  type CachePlan,
  cacheNodes,
  cacheStep,
  planCache,
  tierCache,
  usableMiB,
} from "../../../components/cache/plan.ts";
import { cacheSettings } from "../../../components/cache/settings.ts";
import { HOURS_A_MONTH, monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";

const settings = cacheSettings.parse({});
const plan = (need: Partial<CacheNeed> = {}): CachePlan =>
  planCache({
    mode: "single",
    users: 200,
    zones: 3,
    backupDays: 14,
    settings,
    ...need,
  }) as CachePlan;

/** Settings under which one user keeps exactly one MiB. */
const oneMiB = cacheSettings.parse({
  sessionsPerUser: 1,
  bytesPerSession: 2 ** 20,
  answersPerUserDay: 0,
});

describe("planCache", () => {
  it("plans no cache for mode none", () => {
    expect(planCache({ mode: "none", users: 10, zones: 3, backupDays: 14, settings })).toBeNull();
  });

  it.each([
    ["single", { shards: 1, replicas: 0, multiAz: false }, 1],
    ["sentinel", { shards: 1, replicas: 2, multiAz: true }, 3],
    ["cluster", { shards: 3, replicas: 2, multiAz: true }, 9],
  ] as const)("makes of mode %s its shards and copies", (mode, shape, nodes) => {
    expect(plan({ mode })).toMatchObject(shape);
    expect(cacheNodes(plan({ mode }))).toBe(nodes);
  });

  it("gives a copy to each further zone in mode sentinel", () => {
    expect(plan({ mode: "sentinel", zones: 2 }).replicas).toBe(1);
  });

  it("keeps the cluster protocol with one shard, so that shards come without replacing the store", () => {
    expect(plan({ mode: "single" }).clusterMode).toBe(true);
    expect(cacheStep(plan(), plan({ mode: "cluster", users: 2000 }))).toMatchObject({
      kind: "online",
    });
  });

  it.each([
    [usableMiB(CACHE_NODES[0] as never), "cache.t4g.micro"],
    [usableMiB(CACHE_NODES[0] as never) + 1, "cache.t4g.small"],
    [usableMiB(CACHE_NODES[3] as never), "cache.m7g.large"],
    [usableMiB(CACHE_NODES[3] as never) + 1, "cache.r7g.large"],
  ])("takes for %i MiB the smallest node that holds them, %s", (users, nodeType) => {
    expect(plan({ users, settings: oneMiB }).nodeType).toBe(nodeType);
  });

  it("keeps a quarter of a node's memory from the data", () => {
    expect(usableMiB({ type: "x", memoryMiB: 1000, burstable: false })).toBe(750);
  });

  it("puts no cluster on nodes whose processor is not there all the time", () => {
    expect(plan({ mode: "cluster", users: 1 }).nodeType).toBe("cache.m7g.large");
  });

  it("evicts nothing: a forgotten key could run a turn twice", () => {
    expect(plan().parameters).toEqual({
      "maxmemory-policy": "noeviction",
      "cluster-enabled": "yes",
    });
    const off = cacheSettings.parse({ clusterMode: false });
    expect(plan({ settings: off }).parameters["cluster-enabled"]).toBeUndefined();
  });

  it("says every fault at once, by the setting as it is written", () => {
    const bad = cacheSettings.parse({ clusterMode: false, nodeType: "cache.huge" });
    expect(() => plan({ mode: "cluster", settings: bad, zones: 1 })).toThrow(
      /cache\.clusterMode is false[\s\S]*cache\.nodeType is cache\.huge[\s\S]*aws\.zones are 1/,
    );
  });

  it("refuses a node type that does not hold the data, with both numbers", () => {
    const small = { ...oneMiB, nodeType: "cache.t4g.micro" };
    expect(plan({ users: 384, settings: small }).nodeType).toBe("cache.t4g.micro");
    expect(() => plan({ users: 385, settings: small })).toThrow(/384 MiB.*385 MiB/);
  });

  it("refuses more data than any listed node holds", () => {
    expect(() => plan({ users: 1_000_000, settings: oneMiB })).toThrow(/cache\.r7g\.4xlarge/);
  });

  it("keeps snapshots as the environment keeps backups, unless set", () => {
    expect(plan({ backupDays: 14 }).snapshotDays).toBe(14);
    expect(plan({ backupDays: 90 }).snapshotDays).toBe(35);
    expect(plan({ settings: { ...settings, snapshotDays: 0 } }).snapshotDays).toBe(0);
  });

  it("never shrinks, never costs less and never exceeds a limit as users rise", () => {
    const modes = fc.constantFrom("single", "sentinel", "cluster") as fc.Arbitrary<
      keyof typeof CACHE_SHAPES
    >;
    fc.assert(
      fc.property(
        modes,
        fc.nat(50_000),
        fc.nat(50_000),
        fc.constantFrom(2, 3),
        (mode, a, b, zones) => {
          const [few, many] = [Math.min(a, b), Math.max(a, b)].map((users) =>
            plan({ mode, users, zones }),
          ) as [CachePlan, CachePlan];
          const size = (p: CachePlan) => CACHE_NODES.findIndex((n) => n.type === p.nodeType);
          expect(size(many)).toBeGreaterThanOrEqual(size(few));
          expect(many.replicas).toBeLessThanOrEqual(MAX_REPLICAS);
          const node = CACHE_NODES[size(many)] as (typeof CACHE_NODES)[number];
          expect(usableMiB(node) * many.shards).toBeGreaterThanOrEqual(many.dataMiB);
          for (const region of PRICE_REGIONS) {
            const cost = (p: CachePlan) => monthlyUsd(tierCache(p, region).costs);
            expect(cost(many)).toBeGreaterThanOrEqual(cost(few));
          }
        },
      ),
    );
  });
});

describe("cacheStep", () => {
  const off = plan({ settings: cacheSettings.parse({ clusterMode: false }) });

  it("names what is made and what is deleted", () => {
    expect(cacheStep(null, null).kind).toBe("same");
    expect(cacheStep(null, plan()).kind).toBe("create");
    expect(cacheStep(plan(), null).kind).toBe("delete");
  });

  it("says nothing when nothing changes", () => {
    expect(cacheStep(plan(), plan())).toEqual({ kind: "same", changes: [] });
  });

  it("takes small to medium to enterprise and back while the store runs", () => {
    const steps = [
      plan({ mode: "single", users: 200 }),
      plan({ mode: "sentinel", users: 1000 }),
      plan({ mode: "cluster", users: 2000 }),
      plan({ mode: "sentinel", users: 1000 }),
      plan({ mode: "single", users: 200 }),
    ];
    for (let i = 1; i < steps.length; i++) {
      expect(cacheStep(steps[i - 1] as CachePlan, steps[i] as CachePlan).kind).toBe("online");
    }
  });

  it("names the step into cluster mode as one that replaces the store", () => {
    const step = cacheStep(off, plan());
    expect(step.kind).toBe("replace");
    expect(step.changes[0]).toContain("stored answers are lost");
  });

  it("refuses the way back out of cluster mode", () => {
    expect(() => cacheStep(plan(), off)).toThrow(/cache\.clusterMode is false/);
  });

  it("refuses an older engine, which would be made from scratch", () => {
    const newer = { ...plan(), engineVersion: "9.1" };
    expect(() => cacheStep(newer, plan())).toThrow(/9\.1/);
    expect(cacheStep(plan(), newer).kind).toBe("online");
    expect(cacheStep(newer, { ...plan(), engineVersion: "9.10" }).kind).toBe("online");
  });
});

describe("tierCache", () => {
  it("bills nodes by the hour, snapshots after the first, and the secret", () => {
    const tier = tierCache(plan({ mode: "cluster", users: 2000, backupDays: 8 }), "us-east-1");
    expect(tier.count).toBe(9);
    expect(tier.costs.map((line) => [line.what, line.quantity])).toEqual([
      ["cache node hours", 9 * HOURS_A_MONTH],
      ["cache snapshots beyond the free one", (7 * 801) / 1024],
      ["cache secret", 1],
    ]);
    expect(tier.why).toContain("2000 users keep 801 MiB");
  });

  it("shows no cost where the price table has no such region", () => {
    expect(tierCache(plan(), "ap-south-2").costs).toEqual([]);
  });

  it("has a price for every listed node in every region", () => {
    for (const region of PRICE_REGIONS) {
      for (const { type } of CACHE_NODES) {
        expect(CACHE_PRICES.regions[region][type as never]).toBeGreaterThan(0);
      }
    }
  });
});
