import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { CACHE_NODES } from "../../../components/cache/catalog.ts";
import { usableMiB } from "../../../components/cache/plan.ts";
import { DATABASE_CLASSES } from "../../../components/database/catalog.ts";
import { connectionsOf } from "../../../components/database/plan.ts";
import { holds } from "../../../components/hosts-ec2/plan.ts";
import { type Cidr, contains, overlap, parseCidr } from "../../../components/network/cidr.ts";
import type { AwsPlan } from "../../../stacks/aws/plan.ts";
import { capacityNumbers } from "../../../stacks/capacity.ts";
import { PRESETS } from "../../../stacks/preset-table.ts";
import { planIfPossible, planOf, regions, stacks, targets } from "./arbitrary.ts";

/** Hundreds of plans or whole stacks each, on machines that do other work too. */
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** Users for whom the default network has room on either target. */
const USERS_MAX = 15_000;
const users = fc.integer({ min: 1, max: USERS_MAX });

/** What a plan can carry; each number alone. */
function capacityOf({ fleet, cache, database, compute, zones }: AwsPlan) {
  const { nodesLeft } = fleet.loss;
  const machine = compute.kind === "ec2" ? compute.hosts.class : compute.nodes.gateways.machine;
  const node = CACHE_NODES.find(({ type }) => type === cache?.nodeType);
  const class_ = DATABASE_CLASSES.find(({ type }) => type === database?.instanceClass);
  return {
    shards: fleet.shards.length,
    turnsPerSecond: fleet.turnsPerSecond,
    nodes: fleet.nodes.length,
    zones,
    // Of machines, not of what a node must hold: that is rounded up to whole shards, by less where nodes are more.
    machineCores: fleet.nodes.length * machine.cores,
    machineMemoryMiB: fleet.nodes.length * machine.memoryMiB,
    machineCoresLeft: nodesLeft * machine.cores,
    machineMemoryMiBLeft: nodesLeft * machine.memoryMiB,
    cacheMiB: cache && node ? cache.shards * usableMiB(node) : 0,
    cacheCopies: cache ? cache.replicas : 0,
    connections: class_ ? connectionsOf(class_) : 0,
    storageGiB: database?.storageGiB ?? 0,
  };
}

function expectNoLess(before: AwsPlan, after: AwsPlan): void {
  const [few, many] = [capacityOf(before), capacityOf(after)];
  for (const [what, value] of Object.entries(few)) {
    expect([what, many[what as keyof typeof many]]).toEqual([
      what,
      expect.toSatisfy((n) => n >= value),
    ]);
  }
}

/** Where a preset chosen by users becomes the next one. */
const BOUNDARIES = PRESETS.flatMap(({ users: { max } }) => (max === null ? [] : [max]));

describe("as users rise", () => {
  test.each(BOUNDARIES)("neither capacity nor cost falls from %d to one more", (max) => {
    for (const target of ["ec2", "eks"] as const) {
      const [before, after] = [planOf({ target, users: max }), planOf({ target, users: max + 1 })];
      expect(after.fleet.preset).not.toBe(before.fleet.preset);
      expectNoLess(before, after);
      expect(after.cost?.monthlyUsd).toBeGreaterThan(before.cost?.monthlyUsd as number);
    }
  });

  test("capacity never falls, also with the planned loss taken off", () => {
    fc.assert(
      fc.property(targets, users, users, (target, a, b) => {
        const few = planOf({ target, users: Math.min(a, b) });
        const many = planOf({ target, users: Math.max(a, b) });
        expectNoLess(few, many);
      }),
      { numRuns: 300 },
    );
  });

  test("one by one as well, where shards and nodes are added", () => {
    // Every step of a shard up to 6,000 users, where all shapes occur.
    for (const target of ["ec2", "eks"] as const) {
      let before = planOf({ target, users: 50 });
      for (let count = 51; count <= 6_000; count += 50) {
        const after = planOf({ target, users: count });
        expectNoLess(before, after);
        expect(after.cost?.monthlyUsd).toBeGreaterThanOrEqual(before.cost?.monthlyUsd as number);
        before = after;
      }
    }
  });

  test("cost never falls within a region", () => {
    fc.assert(
      fc.property(targets, regions, users, users, (target, region, a, b) => {
        const cost = (count: number) =>
          planOf({ target, users: count, aws: { region, accountId: "123456789012" } }).cost
            ?.monthlyUsd as number;
        expect(cost(Math.max(a, b))).toBeGreaterThanOrEqual(cost(Math.min(a, b)));
      }),
      { numRuns: 300 },
    );
  });

  test("a named preset holds to both within its own range", () => {
    const within = fc.constantFrom(...PRESETS).chain(({ name, users: { min, max } }) => {
      const count = fc.integer({ min: Math.max(1, min), max: max ?? USERS_MAX });
      return fc.tuple(fc.constant(name), count, count);
    });
    fc.assert(
      fc.property(targets, within, (target, [preset, a, b]) => {
        const few = planOf({ target, preset, users: Math.min(a, b) });
        const many = planOf({ target, preset, users: Math.max(a, b) });
        expectNoLess(few, many);
        expect(many.cost?.monthlyUsd).toBeGreaterThanOrEqual(few.cost?.monthlyUsd as number);
      }),
      { numRuns: 200 },
    );
  });
});

/** Nodes in the fullest zone, as hosts are placed and as pods are spread. */
function mostInOneZone({ compute, fleet, zones }: AwsPlan): number {
  if (compute.kind === "eks") return Math.ceil(fleet.nodes.length / zones);
  const perZone = new Map<number, number>();
  for (const { zone } of compute.hosts.hosts) perZone.set(zone, (perZone.get(zone) ?? 0) + 1);
  return Math.max(...perZone.values());
}

/** Whether that many nodes can hold the shards of the fleet, the largest meeting on one. */
function carries({ fleet }: AwsPlan, nodes: number): boolean {
  const { runtimeMemoryMiB, coresPerShard } = capacityNumbers();
  const perNode = Math.ceil(fleet.shards.length / nodes);
  const largest = fleet.shards.map(({ memoryMiB }) => memoryMiB).sort((a, b) => b - a);
  const memory = largest.slice(0, perNode).reduce((sum, each) => sum + each, runtimeMemoryMiB);
  return memory <= fleet.node.memoryMiB && perNode * coresPerShard <= fleet.node.cores;
}

/** Whether the machine that was chosen has room for a node as planned. */
function machineHolds({ fleet: { node }, compute }: AwsPlan): boolean {
  if (compute.kind === "ec2") return holds(compute.hosts.class, node);
  const { cores, pod } = compute.nodes.gateways.machine;
  return cores >= node.cores && pod.memoryMiB >= node.memoryMiB;
}

describe("losses", () => {
  test("every node's machine holds what the plan puts on it", () => {
    fc.assert(
      fc.property(stacks, (settings) => {
        const plan = planIfPossible(settings);
        fc.pre(plan !== null);
        expect(machineHolds(plan as AwsPlan)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test("from medium up, what is left when any zone is lost holds every shard", () => {
    let seen = 0;
    fc.assert(
      fc.property(stacks, (settings) => {
        const plan = planIfPossible(settings);
        fc.pre(plan?.shape.survivesZone === true);
        const { fleet } = plan as AwsPlan;
        const left = fleet.nodes.length - mostInOneZone(plan as AwsPlan);
        expect(left).toBeGreaterThan(0);
        expect(carries(plan as AwsPlan, left)).toBe(true);
        seen++;
      }),
      { numRuns: 200 },
    );
    expect(seen).toBeGreaterThan(50);
  });

  test("from medium up every preset is planned for the loss of a zone, and small for that of a node", () => {
    for (const target of ["ec2", "eks"] as const) {
      const survives = (preset: string) => planOf({ target, preset }).shape.survivesZone;
      expect(["medium", "enterprise"].map(survives)).toEqual([true, true]);
      const small = planOf({ target, preset: "small" });
      expect(carries(small, small.fleet.nodes.length - 1)).toBe(true);
    }
  });

  test("from medium up data, way out and way in stand in every zone", () => {
    for (const target of ["ec2", "eks"] as const) {
      for (const preset of ["medium", "enterprise"]) {
        const plan = planOf({ target, preset });
        expect(plan.cache?.multiAz).toBe(true);
        expect(plan.database?.multiAz).toBe(true);
        expect(plan.files?.mountTargets).toBe(plan.zones);
        expect(plan.network.natZones).toHaveLength(plan.zones);
        expect(plan.edge).toMatchObject({ front: "alb", zones: plan.zones });
      }
    }
  });

  /** Seconds that a killed node's shards may be away. Source: the targets of the design, first wave of boots. */
  const NODE_KILLED = 25;

  test("whoever brings requests notices a lost router in time, in every plan where another is left", () => {
    fc.assert(
      fc.property(stacks, (settings) => {
        const plan = planIfPossible(settings);
        fc.pre(plan !== null);
        const { edge, fleet } = plan as AwsPlan;
        if (edge.detectionSeconds === null) expect(fleet.nodes).toHaveLength(1);
        else expect(edge.detectionSeconds).toBeLessThanOrEqual(NODE_KILLED);
        // A router that stops serves on for two probes: the front has noticed by then.
        expect(edge.probe.intervalSeconds * edge.probe.unhealthyAfter).toBeLessThan(
          edge.drainSeconds,
        );
      }),
      { numRuns: 200 },
    );
  });
});

test("subnets of a stack lie in its range, side by side, and beside the cluster's services", () => {
  const cidr = (text: string) => parseCidr(text) as Cidr;
  fc.assert(
    fc.property(stacks, (settings) => {
      const plan = planIfPossible(settings);
      fc.pre(plan !== null);
      const { network, compute, zones } = plan as AwsPlan;
      const subnets = Object.values(network.subnets).flatMap((list) => {
        expect(list).toHaveLength(zones);
        return list.map((subnet) => cidr(subnet.cidr));
      });
      const vpc = cidr(network.cidr);
      subnets.forEach((one, i) => {
        expect(contains(vpc, one)).toBe(true);
        for (const other of subnets.slice(i + 1)) expect(overlap(one, other)).toBe(false);
      });
      if (compute.kind === "eks") {
        expect(overlap(vpc, cidr(compute.cluster.serviceCidr))).toBe(false);
      }
      for (const room of network.room) {
        expect(room.needed).toBeLessThanOrEqual(room.addresses);
        expect(room.podBlocksNeeded).toBeLessThanOrEqual(room.podBlocks);
      }
    }),
    { numRuns: 200 },
  );
});

test("a plan depends on its settings alone", () => {
  fc.assert(
    fc.property(stacks, (settings) => {
      expect(planIfPossible(settings)).toEqual(planIfPossible(settings));
    }),
    { numRuns: 50 },
  );
});
