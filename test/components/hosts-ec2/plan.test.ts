import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import { ConfigError, type Fault } from "../../../components/errors.ts";
import {
  HOST_CLASSES,
  PRICED,
  STATE_MIN_GIB,
  SYSTEM_MIB,
  VOLUME_MAX_GIB,
} from "../../../components/hosts-ec2/catalog.ts";
import { type HostsNeed, holds, planHosts } from "../../../components/hosts-ec2/plan.ts";
import { ec2Settings } from "../../../components/hosts-ec2/settings.ts";
import { tierHosts } from "../../../components/hosts-ec2/tier.ts";
import { nodeIds, planFleet } from "../../../stacks/presets.ts";
import { needOf } from "./needs.ts";

function faultsOf(need: HostsNeed): readonly Fault[] {
  try {
    planHosts(need);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

/** What a class of 4096 MiB has left for a node: 95 percent, without the system's share. */
const ROOM = 3_891 - SYSTEM_MIB;

describe("the class of a host", () => {
  test.each([
    ["exactly full", ROOM, 2, "t4g.medium"],
    ["one MiB over", ROOM + 1, 2, "t4g.large"],
    ["one core over", ROOM, 3, "c7g.xlarge"],
    ["much memory for few cores", 40_000, 4, "r7g.2xlarge"],
    ["many cores with little memory", 4_000, 16, "c7g.4xlarge"],
  ])("%s: the cheapest that holds the node", (_what, memoryMiB, cores, type) => {
    expect(planHosts(needOf({ node: { memoryMiB, cores } })).class.type).toBe(type);
  });

  test("is x86 where that is asked for", () => {
    const need = needOf({}, { architecture: "x86_64" });
    expect(planHosts(need).class.type).toBe("t3.medium");
  });

  test("saves up nothing where that is asked for", () => {
    const plan = planHosts(needOf({}, { burstable: false }));
    expect(plan.class.type).toBe("c7g.large");
    expect(plan.notes).toEqual([]);
  });

  test("says that a burstable one can cost more", () => {
    expect(planHosts(needOf()).notes.join()).toContain("ec2.burstable: false");
  });

  test("an unknown one is refused with near ones", () => {
    const [fault] = faultsOf(needOf({}, { instanceType: "m7g.lage" }));
    expect(fault?.setting).toBe("ec2.instanceType");
    expect(fault?.remedy).toContain("m7g.large");
  });

  test("one that is too small is refused with both numbers", () => {
    const [fault] = faultsOf(needOf({}, { instanceType: "t4g.small" }));
    expect(fault?.problem).toContain("2048 MiB");
    expect(fault?.problem).toContain("2918 MiB");
  });

  test("one of the other architecture is refused", () => {
    const faults = faultsOf(needOf({}, { instanceType: "t3.medium" }));
    expect(faults.map(({ setting }) => setting)).toEqual(["ec2.instanceType"]);
  });

  test("a node that nothing holds is refused, and nodes are named as the way out", () => {
    const [fault] = faultsOf(needOf({ node: { memoryMiB: 1_000_000, cores: 8 } }));
    expect(fault?.setting).toBe("nodes");
  });

  test("always holds its node", () => {
    const node = fc.record({
      memoryMiB: fc.integer({ min: 1, max: 400_000 }),
      cores: fc.integer({ min: 1, max: 64 }),
    });
    fc.assert(
      fc.property(node, fc.constantFrom("arm64", "x86_64"), (node, architecture) => {
        const plan = planHosts(needOf({ node }, { architecture }));
        expect(holds(plan.class, node)).toBe(true);
        expect(plan.class.family.architecture).toBe(architecture);
      }),
    );
  });

  test("every listed class has a name once", () => {
    const types = HOST_CLASSES.map(({ type }) => type);
    expect(new Set(types).size).toBe(types.length);
  });
});

describe("state", () => {
  test("grows with shards, from a least size on", () => {
    const gib = (shards: number) => planHosts(needOf({ shards })).stateGiB;
    expect(gib(1)).toBe(STATE_MIN_GIB);
    expect(gib(17)).toBe(STATE_MIN_GIB);
    expect(gib(18)).toBe(22);
  });

  test("never shrinks: the largest size so far stays, and the plan says so", () => {
    const recorded = { architecture: "arm64", stateGiB: 60 } as const;
    const plan = planHosts(needOf({ recorded }));
    expect(plan.stateGiB).toBe(60);
    expect(plan.record).toEqual(recorded);
    expect(plan.notes.join()).toContain("stay at 60 GiB");
  });

  test("a smaller size that somebody asks for is refused", () => {
    const recorded = { architecture: "arm64", stateGiB: 60 } as const;
    const [fault] = faultsOf(needOf({ recorded }, { stateGiB: 59 }));
    expect(fault?.setting).toBe("ec2.stateGiB");
    expect(faultsOf(needOf({ recorded }, { stateGiB: 60 }))).toEqual([]);
  });

  test("more than a volume holds is refused", () => {
    const most = Math.floor((VOLUME_MAX_GIB * 1_024) / (60 * 20));
    expect(faultsOf(needOf({ shards: most }))).toEqual([]);
    expect(faultsOf(needOf({ shards: most + 1 })).map(({ setting }) => setting)).toEqual([
      "shards",
    ]);
  });

  test("resizing to and fro keeps volumes, zones and architecture of what is there", () => {
    const size = fc.record({
      shards: fc.integer({ min: 1, max: 500 }),
      nodes: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(size, size, (one, other) => {
        const plan = (s: typeof one, recorded?: HostsNeed["recorded"]) =>
          planHosts(needOf({ shards: s.shards, nodes: nodeIds(s.nodes), recorded }));
        const first = plan(one);
        const second = plan(other, first.record);
        const third = plan(one, second.record);
        expect(second.stateGiB).toBeGreaterThanOrEqual(first.stateGiB);
        expect(third.stateGiB).toBe(second.stateGiB);
        expect(third.hosts).toEqual(first.hosts);
        const both = second.hosts.filter(({ node }) => first.hosts.some((h) => h.node === node));
        for (const host of both) expect(first.hosts).toContainEqual(host);
      }),
    );
  });
});

test("hosts of another architecture are refused once there are some", () => {
  const recorded = { architecture: "x86_64", stateGiB: 20 } as const;
  expect(faultsOf(needOf({ recorded })).map(({ setting }) => setting)).toEqual([
    "ec2.architecture",
  ]);
});

test("every fault is told at once", () => {
  const recorded = { architecture: "x86_64", stateGiB: 60 } as const;
  const faults = faultsOf(needOf({ recorded }, { instanceType: "x", stateGiB: 30 }));
  expect(faults.map(({ setting }) => setting)).toEqual([
    "ec2.architecture",
    "ec2.instanceType",
    "ec2.stateGiB",
  ]);
});

test("no zone holds more hosts than its share", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.constantFrom(2, 3), (count, zones) => {
      const { hosts } = planHosts(needOf({ nodes: nodeIds(count), zones }));
      for (let zone = 0; zone < zones; zone += 1) {
        const here = hosts.filter((host) => host.zone === zone).length;
        expect(here).toBeLessThanOrEqual(Math.ceil(count / zones));
      }
    }),
  );
});

test("an image is an id of EC2", () => {
  expect(ec2Settings.safeParse({ ami: "ubuntu" }).success).toBe(false);
  expect(ec2Settings.safeParse({ ami: "ami-0123456789abcdef0" }).success).toBe(true);
});

describe("cost", () => {
  test("never falls as users rise, in every region and for both architectures", () => {
    const given = fc.record({
      users: fc.integer({ min: 1, max: 3_000 }),
      more: fc.integer({ min: 0, max: 1_000 }),
      region: fc.constantFrom(...PRICE_REGIONS),
      architecture: fc.constantFrom("arm64", "x86_64"),
    } as const);
    fc.assert(
      fc.property(given, ({ users, more, region, architecture }) => {
        const cost = (users: number) => {
          const fleet = planFleet({ target: "ec2", users });
          const plan = planHosts(
            needOf(
              {
                nodes: fleet.nodes,
                node: fleet.node,
                shards: fleet.shards.length,
                loss: fleet.loss,
                addressed: 0,
              },
              { architecture },
            ),
          );
          return monthlyUsd(tierHosts(plan, region).costs);
        };
        expect(cost(users + more)).toBeGreaterThanOrEqual(cost(users));
      }),
      { numRuns: 300 },
    );
  });

  test("never falls as a node grows, in every region", () => {
    const node = fc.record({
      memoryMiB: fc.integer({ min: 1, max: 300_000 }),
      cores: fc.integer({ min: 1, max: 48 }),
      moreMiB: fc.nat({ max: 100_000 }),
      moreCores: fc.nat({ max: 16 }),
    });
    const region = fc.constantFrom(...PRICE_REGIONS);
    fc.assert(
      fc.property(node, region, (n, region) => {
        const cost = (memoryMiB: number, cores: number) =>
          monthlyUsd(tierHosts(planHosts(needOf({ node: { memoryMiB, cores } })), region).costs);
        expect(cost(n.memoryMiB + n.moreMiB, n.cores + n.moreCores)).toBeGreaterThanOrEqual(
          cost(n.memoryMiB, n.cores),
        );
      }),
      { numRuns: 1_000 },
    );
  });

  test("three small hosts in Frankfurt, by hand", () => {
    const tier = tierHosts(planHosts(needOf({ addressed: 0 })), "eu-central-1");
    // 3 x 730 h x 0.0384; 3 x 20 GB x 0.0952, twice; 3 x 730 h x 0.005
    expect(tier.costs.map(({ what }) => what)).toEqual([
      "hosts",
      "system disks",
      "state disks",
      "hosts' public IPv4 addresses",
    ]);
    expect(monthlyUsd(tier.costs)).toBeCloseTo(84.1 + 5.71 + 5.71 + 10.95, 2);
  });

  test("fixed addresses are the edge's to pay, private hosts have none", () => {
    const whats = (changes: Partial<HostsNeed>) =>
      tierHosts(planHosts(needOf(changes)), "us-east-1").costs.map(({ what }) => what);
    expect(whats({ addressed: 3 })).not.toContain("hosts' public IPv4 addresses");
    expect(whats({ publicHosts: false, addressed: 0 })).not.toContain(
      "hosts' public IPv4 addresses",
    );
  });

  test("a region without prices has none", () => {
    expect(tierHosts(planHosts(needOf()), "sa-east-1").costs).toEqual([]);
  });
});

test("every line that pays for a type stands in a plan", () => {
  const { costs } = tierHosts(planHosts(needOf({ addressed: 0 })), "us-east-1");
  const lines = costs.map(({ what }) => what);
  for (const paid of Object.values(PRICED)) {
    if ("lines" in paid) for (const each of paid.lines) expect(lines).toContain(each);
  }
});

test("the plan says which failure it survives", () => {
  const survives = (loss: HostsNeed["loss"]) =>
    tierHosts(planHosts(needOf({ loss })), "us-east-1").survives;
  expect(survives({ survives: true, nodesLost: 1 })).toBe("the loss of one host");
  expect(survives({ survives: true, nodesLost: 2 })).toBe("the loss of a zone (2 hosts)");
  expect(survives({ survives: false, nodesLost: 1 })).toContain(
    "no loss of the one host that votes",
  );
  expect(survives({ survives: false, nodesLost: 2 })).toContain("no loss of a zone (2 hosts)");
  const alone = needOf({ nodes: ["a"], loss: { survives: false, nodesLost: 1 } });
  expect(tierHosts(planHosts(alone), "us-east-1").survives).toContain("no loss of its only host");
});

test("asks the account for the cores of all hosts", () => {
  const { quotas } = planHosts(needOf({ node: { memoryMiB: 4_000, cores: 8 } }));
  expect(quotas.map(({ code, need }) => [code, need])).toContainEqual(["L-1216C47A", 24]);
});

describe("fixed public addresses", () => {
  const of = (changes: Partial<HostsNeed>) => {
    const { ownAddresses, quotas, notes } = planHosts(needOf(changes));
    const quota = quotas.find(({ code }) => code === "L-0263D0A3")?.need ?? 0;
    return { ownAddresses, quota, noted: notes.some((note) => note.includes("L-0263D0A3")) };
  };

  test.each([
    ["each public host has one", { addressed: 0 }, 3],
    ["but where the edge has one for it", { addressed: 2 }, 1],
    ["a private host has none", { publicHosts: false, addressed: 0 }, 0],
  ])("%s", (_what, changes, own) => {
    expect(of({ publicHosts: true, ...changes })).toEqual({
      ownAddresses: own,
      quota: own,
      noted: false,
    });
  });

  test.each([
    [5, 0, false],
    [6, 0, true],
    [6, 6, true],
    [6, 1, true],
  ])(
    "%i hosts, %i of them with the edge's: more than an account begins with is said",
    (count, addressed, noted) => {
      expect(of({ nodes: nodeIds(count), publicHosts: true, addressed }).noted).toBe(noted);
    },
  );
});
