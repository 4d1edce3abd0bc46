import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VERSION_NAMES } from "../../../components/cluster/catalog.ts";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";
import { FAMILIES, KARPENTER, LINES, NODES_PRICES } from "../../../components/nodes/catalog.ts";
import { machineFor, machines } from "../../../components/nodes/machines.ts";
import { type NodesNeed, planNodes, tierNodes } from "../../../components/nodes/plan.ts";
import { nodePoolSpec, type PoolPlan } from "../../../components/nodes/pools.ts";
import { gpuSettings, karpenterSettings } from "../../../components/nodes/settings.ts";

const CLUSTER: NodesNeed["cluster"] = {
  clusterName: "prod-cluster",
  adopted: false,
  version: "1.35",
  amiAlias: "al2023@v20260911",
  os: "al2023",
  architecture: "arm64",
  zonalShift: true,
};
const GATEWAYS = { count: 3, cores: 4, memoryMiB: 7_000, diskMiB: 600 };

interface Overrides {
  karpenter?: object;
  gpu?: object;
  cluster?: Partial<NodesNeed["cluster"]>;
  gateways?: Partial<NodesNeed["gateways"]>;
}

function need({ karpenter = {}, gpu, cluster = {}, gateways = {} }: Overrides = {}): NodesNeed {
  return {
    fleet: "prod",
    karpenter: karpenterSettings.parse(karpenter),
    ...(gpu ? { gpu: gpuSettings.parse(gpu) } : {}),
    cluster: { ...CLUSTER, ...cluster },
    gateways: { ...GATEWAYS, ...gateways },
  };
}

function pool(overrides: Overrides, name: PoolPlan["pool"]): PoolPlan {
  const found = planNodes(need(overrides)).pools.find((p) => p.pool === name);
  if (!found) throw new Error(`no pool ${name}`);
  return found;
}

function faultsOf(overrides: Overrides): readonly Fault[] {
  try {
    planNodes(need(overrides));
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const values = ({ requirements }: PoolPlan, key: string) =>
  requirements.find((r) => r.key === key)?.values;

describe("gateways", () => {
  test("never expire, go only when empty, and are drained for at least half an hour", () => {
    const { expireAfter, consolidationPolicy, graceMinutes } = pool({}, "gateways");
    expect([expireAfter, consolidationPolicy]).toEqual(["Never", "WhenEmpty"]);
    expect(graceMinutes).toBeGreaterThanOrEqual(30);
    expect(() => need({ karpenter: { gateways: { graceMinutes: 29 } } })).toThrow();
    expect(pool({ karpenter: { gateways: { graceMinutes: 30 } } }, "gateways").graceMinutes).toBe(
      30,
    );
  });

  test("are on demand only", () => {
    expect(values(pool({}, "gateways"), "karpenter.sh/capacity-type")).toEqual(["on-demand"]);
  });

  test("keep other pods away", () => {
    expect(pool({}, "gateways").taints).toEqual([
      { key: "openclaw-fleet/gateways", value: "true", effect: "NoSchedule" },
    ]);
  });

  test.each([
    [{ startHourUtc: 2, hours: 4 }, "0 6 * * *", "20h"],
    [{ startHourUtc: 22, hours: 4 }, "0 2 * * *", "20h"],
    [{ startHourUtc: 0, hours: 23 }, "0 23 * * *", "1h"],
  ])(
    "in the window %j one at a time is replaced, outside of it none",
    (window, schedule, duration) => {
      expect(pool({ karpenter: { gateways: { window } } }, "gateways").budgets).toEqual([
        { nodes: "1" },
        { nodes: "0", schedule, duration, reasons: ["Drifted", "Underutilized"] },
      ]);
    },
  );

  test("a window of 24 hours closes never", () => {
    const window = { startHourUtc: 5, hours: 24 };
    expect(pool({ karpenter: { gateways: { window } } }, "gateways").budgets).toEqual([
      { nodes: "1" },
    ]);
  });

  test("the limit leaves room for all of them twice, and one more", () => {
    const plan = planNodes(need());
    expect(plan.gateways.machine.type).toBe("m7g.xlarge");
    expect(pool({}, "gateways").limits).toEqual({ cpu: "28" });
  });

  test.each([
    // Left of c7g.xlarge's 8192 MiB: 7577 − 255 − 11 × 58 − 100 − 400 for daemons.
    [4, 6_184, "c7g.xlarge"],
    [4, 6_185, "m7g.xlarge"],
    [1, 1_587, "m7g.medium"],
    [2, 2_918, "m7g.large"],
    [10, 14_000, "c7g.4xlarge"],
    [4.5, 1_000, "c7g.2xlarge"],
  ])("%d cores and %d MiB fit on %s and nothing cheaper", (cores, memoryMiB, type) => {
    const found = machineFor("arm64", { cores, memoryMiB });
    expect(found?.type).toBe(type);
  });

  test("a node that no machine holds is refused, with what would", () => {
    const [fault] = faultsOf({ gateways: { count: 3, cores: 65, memoryMiB: 1_000 } });
    expect(fault?.setting).toBe("nodes");
    expect(fault?.problem).toContain("r7g.16xlarge");
    expect(fault?.remedy).toMatch(/Raise nodes/);
  });

  test("one pod fills one machine and asks for no more than it has", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("arm64" as const, "x86_64" as const),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 500, max: 400_000 }),
        (architecture, cores, memoryMiB) => {
          const machine = machineFor(architecture, { cores, memoryMiB });
          if (!machine) return;
          expect(machine.pod.cpuMilli).toBeLessThan(machine.cores * 1000);
          expect(machine.pod.cpuMilli).toBeGreaterThan(machine.cores * 500);
          expect(memoryMiB).toBeLessThanOrEqual(machine.pod.memoryMiB);
          expect(machine.cores).toBeGreaterThanOrEqual(cores);
        },
      ),
    );
  });

  test("cost never falls as a node's need grows, in any region", () => {
    const size = fc.record({
      cores: fc.integer({ min: 1, max: 32 }),
      memoryMiB: fc.integer({ min: 500, max: 100_000 }),
      diskMiB: fc.integer({ min: 0, max: 100_000 }),
      count: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(
        size,
        size,
        fc.constantFrom("arm64" as const, "x86_64" as const),
        fc.constantFrom(...PRICE_REGIONS),
        (one, more, architecture, region) => {
          const grown = {
            cores: Math.min(64, one.cores + more.cores),
            memoryMiB: one.memoryMiB + more.memoryMiB,
            diskMiB: one.diskMiB + more.diskMiB,
            count: one.count + more.count,
          };
          const usd = (gateways: typeof one) => {
            const plan = planNodes(need({ gateways, cluster: { architecture } }));
            return monthlyUsd(tierNodes(plan, region).flatMap((t) => t.costs));
          };
          expect(usd(grown)).toBeGreaterThanOrEqual(usd(one));
        },
      ),
    );
  });

  test("disks hold the state twice beside system and images; a setting wins", () => {
    expect(planNodes(need({ gateways: { diskMiB: 0 } })).gateways.diskGiB).toBe(30);
    expect(planNodes(need({ gateways: { diskMiB: 5_120 } })).gateways.diskGiB).toBe(40);
    expect(planNodes(need({ gateways: { diskMiB: 5_121 } })).gateways.diskGiB).toBe(41);
    const set = need({ karpenter: { gateways: { diskGiB: 77 } } });
    expect(planNodes(set).gateways.diskGiB).toBe(77);
  });
});

describe("workers", () => {
  test("take spot first, and on-demand where there is none", () => {
    const workers = pool({}, "workers");
    expect(values(workers, "karpenter.sh/capacity-type")).toEqual(["spot", "on-demand"]);
    expect(workers.limits).toEqual({ cpu: "32" });
    const calm = pool({ karpenter: { workers: { spot: false, cpuLimit: 4 } } }, "workers");
    expect(values(calm, "karpenter.sh/capacity-type")).toEqual(["on-demand"]);
    expect(calm.limits).toEqual({ cpu: "4" });
  });
});

describe("gpu", () => {
  test("is off unless it is set", () => {
    const plan = planNodes(need());
    expect(plan.pools.map((p) => p.pool)).toEqual(["gateways", "workers"]);
    expect(tierNodes(plan, "eu-west-1").map((t) => t.tier)).toEqual(["gateways", "workers"]);
  });

  test("spot first, g families, x86, tainted, empty nodes gone after 60 s, limited in GPUs", () => {
    const gpu = pool({ gpu: { limit: 2 } }, "gpu");
    expect(values(gpu, "karpenter.sh/capacity-type")).toEqual(["spot", "on-demand"]);
    expect(values(gpu, "karpenter.k8s.aws/instance-family")).toEqual(["g6", "g5"]);
    expect(values(gpu, "kubernetes.io/arch")).toEqual(["amd64"]);
    expect(gpu.taints).toEqual([{ key: "nvidia.com/gpu", value: "true", effect: "NoSchedule" }]);
    expect([gpu.consolidationPolicy, gpu.consolidateAfter]).toEqual(["WhenEmpty", "60s"]);
    expect(gpu.limits).toEqual({ "nvidia.com/gpu": "2" });
    expect(values(gpu, "karpenter.k8s.aws/instance-gpu-count")).toEqual(["3"]);
  });

  test.each([
    [{ limit: 0 }],
    [{ limit: 1, families: ["p5"] }],
    [{ limit: 1, families: [] }],
    [{ limit: 1, family: "g5" }],
  ])("%j is no setting", (gpu) => {
    expect(() => need({ gpu })).toThrow();
  });

  test("asks for its quota, spot or on demand", () => {
    const codes = (gpu: object) =>
      planNodes(need({ gpu })).quotas.map(({ code, need: n }) => [code, n]);
    expect(codes({ limit: 3 })).toContainEqual(["L-3819A6DF", 12]);
    expect(codes({ limit: 3, spot: false })).toContainEqual(["L-DB2E81BA", 12]);
  });
});

describe("a cluster that is not ours", () => {
  const cluster = { adopted: true, clusterName: "theirs" };

  test("gets pools under the fleet's name", () => {
    const plan = planNodes(need({ cluster, gpu: { limit: 1 } }));
    expect(plan.pools.map((p) => p.name)).toEqual(["prod-gateways", "prod-workers", "prod-gpu"]);
  });

  test("may bring its own Karpenter; our own cluster may not be left without", () => {
    const own = { karpenter: { install: false } };
    expect(planNodes(need({ ...own, cluster })).install).toBe(false);
    expect(faultsOf(own).map((f) => f.setting)).toEqual(["karpenter.install"]);
  });
});

test("Karpenter supports every version of Kubernetes that a cluster may have", () => {
  for (const version of VERSION_NAMES) expect(KARPENTER.kubernetes).toContain(version);
  expect(faultsOf({ cluster: { version: "1.37" } }).map((f) => f.setting)).toEqual([
    "cluster.version",
  ]);
});

test("Bottlerocket's pools size its second disk", () => {
  const plan = planNodes(
    need({ cluster: { os: "bottlerocket", amiAlias: "bottlerocket@v1.64.0" } }),
  );
  expect([plan.dataDevice, plan.systemDisks]).toEqual(["/dev/xvdb", { "/dev/xvda": 4 }]);
});

test("a NodePool as Kubernetes takes it", () => {
  expect(nodePoolSpec(pool({}, "gateways"))).toEqual({
    template: {
      metadata: { labels: { "openclaw-fleet/pool": "gateways" } },
      spec: {
        nodeClassRef: { group: "karpenter.k8s.aws", kind: "EC2NodeClass", name: "gateways" },
        requirements: [
          { key: "kubernetes.io/os", operator: "In", values: ["linux"] },
          { key: "kubernetes.io/arch", operator: "In", values: ["arm64"] },
          { key: "karpenter.sh/capacity-type", operator: "In", values: ["on-demand"] },
          { key: "karpenter.k8s.aws/instance-category", operator: "In", values: ["c", "m", "r"] },
          { key: "karpenter.k8s.aws/instance-generation", operator: "Gt", values: ["6"] },
          { key: "karpenter.k8s.aws/instance-cpu", operator: "Gt", values: ["3"] },
        ],
        taints: [{ key: "openclaw-fleet/gateways", value: "true", effect: "NoSchedule" }],
        expireAfter: "Never",
        terminationGracePeriod: "45m",
      },
    },
    disruption: {
      consolidationPolicy: "WhenEmpty",
      consolidateAfter: "5m",
      budgets: expect.any(Array),
    },
    limits: { cpu: "28" },
  });
});

describe("cost", () => {
  test("of three gateways in Ireland, by hand", () => {
    const [tier] = tierNodes(planNodes(need()), "eu-west-1");
    expect([tier?.size, tier?.count]).toEqual(["m7g.xlarge", 3]);
    // 2190 h × 4 × 0.04555 + 3 × 32 GB × 0.088 + 270 × 0.0004
    expect(monthlyUsd(tier?.costs ?? [])).toBe(399.02 + 8.45 + 0.11);
  });

  test("an unknown region has no lines; one node says that it survives nothing", () => {
    const tiers = tierNodes(planNodes(need({ gateways: { count: 1 } })), "sa-east-1");
    expect(tiers[0]?.costs).toEqual([]);
    expect(tiers[0]?.survives).toMatch(/^nothing/);
  });

  test("every family has a price everywhere, and machines are sorted by it", () => {
    for (const prices of Object.values(NODES_PRICES.regions)) {
      for (const { family } of FAMILIES) expect(prices[family]).toBeGreaterThan(0);
    }
    const usd = machines("arm64").map((m) => m.cores * NODES_PRICES.regions["us-east-1"][m.family]);
    expect(usd).toEqual([...usd].sort((a, b) => a - b));
    expect(Object.values(LINES).length).toBe(3);
  });
});
