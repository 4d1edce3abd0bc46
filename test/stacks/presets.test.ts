import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../components/errors.ts";
import { CAPACITY, LOCAL_MAX_SHARDS } from "../../stacks/capacity.ts";
import { placeAgents, sharedShardIds } from "../../stacks/placement.ts";
import { nodeIds, PRESETS, planFleet, type SizingSettings } from "../../stacks/presets.ts";

const ids = (plan: { shards: { id: string }[] }) => plan.shards.map((s) => s.id);

describe("the preset table", () => {
  test.each([
    ["solo", { nodes: 1, redis: "none", cores: 1, memory: 1024, shards: 1 }],
    ["small", { nodes: 3, redis: "single", cores: 2, memory: 2048, shards: 4 }],
    ["medium", { nodes: 5, redis: "sentinel", cores: 4, memory: 4096, shards: 20 }],
    ["enterprise", { nodes: 6, redis: "cluster", cores: 8, memory: 8192, shards: 40 }],
  ] as const)("%s plans the row's counts and at least its sizes", (preset, row) => {
    const plan = planFleet({ target: "hosts", preset });
    expect(plan.nodes).toHaveLength(row.nodes);
    expect(plan.redis).toBe(row.redis);
    expect(plan.shards).toHaveLength(row.shards);
    expect(plan.node.cores).toBeGreaterThanOrEqual(row.cores);
    expect(plan.node.memoryMiB).toBeGreaterThanOrEqual(row.memory);
  });

  test.each([
    [49, "solo", 1],
    [50, "small", 3],
    [200, "small", 4],
    [201, "medium", 5],
    [1000, "medium", 20],
    [1001, "enterprise", 21],
  ] as const)("%i users choose %s", (users, preset, shards) => {
    const plan = planFleet({ target: "hosts", users });
    expect(plan.preset).toBe(preset);
    expect(plan.shards.length).toBe(Math.max(shards, preset === "solo" ? 1 : plan.nodes.length));
  });

  test("a bare local stack has 2 nodes and 2 shards in about 3 GiB", () => {
    const plan = planFleet({ target: "local" });
    expect(plan.nodes).toEqual(["a", "b"]);
    expect(ids(plan)).toEqual(["s1", "s2"]);
    expect(plan.machine.memoryMiB / 1024).toBeCloseTo(3.1, 1);
    expect(plan.agents.main).toEqual({ homeShard: "s1", shards: ["s1", "s2"] });
  });

  test("a local stack takes a preset's nodes, with one shard each", () => {
    expect(planFleet({ target: "local", preset: "solo" }).nodes).toEqual(["a"]);
    const medium = planFleet({ target: "local", preset: "medium" });
    expect([medium.nodes.length, medium.shards.length]).toEqual([3, 3]);
  });

  test("every number names its source and unit", () => {
    for (const number of planFleet({ target: "local" }).numbers) {
      expect(number.source, number.name).not.toBe("");
      expect(number.value).toBe(CAPACITY[number.name].value);
    }
    const own = planFleet({ target: "local", sizes: { shardMemoryMiB: 100 } }).numbers;
    expect(own.find((n) => n.name === "shardMemoryMiB")).toMatchObject({
      value: 100,
      source: "sizes.shardMemoryMiB",
    });
  });

  test("memory of a shard grows with its agents up to the recycle limit", () => {
    const agents = (n: number) => Array.from({ length: n }, (_, i) => ({ name: `a${i}` }));
    const memory = (n: number) =>
      planFleet({ target: "local", shards: 1, agents: agents(n) }).shards[0]?.memoryMiB;
    expect(memory(0)).toBe(1331);
    expect(memory(1)).toBe(1331 + 70);
    expect(memory(100)).toBe(2560);
  });
});

describe("impossible sizes say the number and what to change", () => {
  test.each<[SizingSettings, RegExp]>([
    [
      { target: "local", preset: "solo", users: 500 },
      /users is 500, .*solo serves up to 49.*preset to medium/,
    ],
    [{ target: "local", preset: "solo", nodes: 2 }, /nodes is 2, .*solo has 1.*preset to small/],
    [{ target: "hosts", preset: "enterprise", nodes: 4 }, /nodes is 4, .*enterprise has 5 or more/],
    [
      { target: "local", shards: 2, agents: [{ name: "x", replicas: 3 }] },
      /agents\[0\]\.replicas is 3, more than the 2 shared shards.*raise shards to 3/,
    ],
    [
      { target: "local", agents: [{ name: "main", placement: "dedicated" }] },
      /main is the default/,
    ],
    [{ target: "local", agents: [{ name: "main", replicas: 1 }] }, /agents\[0\]\.replicas is 1/],
    [{ target: "local", shards: LOCAL_MAX_SHARDS + 1 }, /shards makes 115 shards.*ports for 114/],
    [
      { target: "local", channelBinding: { z: ["telegram"] } },
      /channelBinding\.z names no node: .*a, b/,
    ],
    [{ target: "local", sizes: { nodeMemoryMiB: 1000 } }, /sizes\.nodeMemoryMiB is 1000.*2918/],
  ])("%j", (settings, message) => {
    expect(() => planFleet(settings)).toThrow(ConfigError);
    expect(() => planFleet(settings)).toThrow(message);
  });

  test("all of them at once", () => {
    const settings: SizingSettings = { target: "local", preset: "solo", users: 500, nodes: 9 };
    expect(() => planFleet(settings)).toThrow(/users is 500(.|\n)*nodes is 9/);
  });
});

const agentArb = fc.record(
  {
    name: fc.stringMatching(/^[a-z][a-z0-9_-]{0,50}$/).filter((n) => n !== "main"),
    replicas: fc.integer({ min: 1, max: 3 }),
    placement: fc.constantFrom("shared" as const, "dedicated" as const),
  },
  { requiredKeys: ["name"] },
);
const agentsArb = fc.uniqueArray(agentArb, { selector: (a) => a.name, maxLength: 8 });
const target = fc.constantFrom("local" as const, "hosts" as const, "ec2" as const);

describe("laws", () => {
  test("more users never mean fewer shards, nodes or memory", () => {
    const users = fc.integer({ min: 1, max: 5000 });
    fc.assert(
      fc.property(target, users, users, (to, u1, u2) => {
        const few = planFleet({ target: to === "local" ? "hosts" : to, users: Math.min(u1, u2) });
        const many = planFleet({ target: to === "local" ? "hosts" : to, users: Math.max(u1, u2) });
        expect(many.shards.length).toBeGreaterThanOrEqual(few.shards.length);
        expect(many.nodes.length).toBeGreaterThanOrEqual(few.nodes.length);
        expect(many.nodes.length * many.node.memoryMiB).toBeGreaterThanOrEqual(
          few.nodes.length * few.node.memoryMiB,
        );
      }),
    );
  });

  test("every agent has exactly its replicas, main is everywhere, dedicated agents are alone", () => {
    fc.assert(
      fc.property(agentsArb, fc.integer({ min: 3, max: 9 }), target, (agents, shards, to) => {
        const plan = planFleet({ target: to, shards, agents });
        expect(new Set(ids(plan)).size).toBe(plan.shards.length);
        expect(plan.agents.main?.shards).toEqual(sharedShardIds(shards));
        for (const agent of agents) {
          const place = plan.agents[agent.name];
          expect(place?.shards).toHaveLength(agent.replicas ?? 1);
          expect(place?.shards).toContain(place?.homeShard);
          for (const shard of plan.shards.filter((s) => place?.shards.includes(s.id))) {
            expect(shard.dedicated).toBe(agent.placement === "dedicated");
            if (shard.dedicated) expect(shard.agents).toEqual([agent.name]);
          }
        }
      }),
    );
  });

  test("after the loss of one node all shards fit on the rest, except solo", () => {
    fc.assert(
      fc.property(agentsArb, fc.integer({ min: 1, max: 3000 }), (agents, users) => {
        const plan = planFleet({ target: "hosts", users, agents, shards: 60 });
        if (!plan.loss.survives) {
          expect(plan.preset).toBe("solo");
          return;
        }
        expect(plan.loss.shardsPerNode * plan.loss.nodesLeft).toBeGreaterThanOrEqual(60);
        const sorted = plan.shards.map((s) => s.memoryMiB).sort((a, b) => b - a);
        const worst = sorted.slice(0, plan.loss.shardsPerNode).reduce((a, b) => a + b, 0);
        expect(plan.node.memoryMiB).toBeGreaterThanOrEqual(worst + CAPACITY.runtimeMemoryMiB.value);
      }),
    );
  });

  test("resizing moves no home, and drops no shard that still exists", () => {
    const sizes = fc.array(fc.integer({ min: 3, max: 20 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(agentsArb, sizes, (agents, counts) => {
        const [first, ...rest] = counts.sort((a, b) => a - b) as [number, ...number[]];
        let recorded = placeAgents([{ name: "main" }, ...agents], sharedShardIds(first));
        const homes = Object.entries(recorded).map(([name, p]) => [name, p.homeShard]);
        for (const count of rest) {
          const next = placeAgents([{ name: "main" }, ...agents], sharedShardIds(count), recorded);
          for (const [name, old] of Object.entries(recorded)) {
            expect(next[name]?.shards).toEqual(expect.arrayContaining(old.shards));
          }
          recorded = next;
        }
        expect(Object.entries(recorded).map(([name, p]) => [name, p.homeShard])).toEqual(homes);
      }),
    );
  });

  test("ids do not depend on how many there are", () => {
    fc.assert(
      fc.property(fc.nat(80), fc.nat(80), (x, y) => {
        const [few, many] = [Math.min(x, y), Math.max(x, y)];
        expect(nodeIds(many).slice(0, few)).toEqual(nodeIds(few));
        expect(sharedShardIds(many).slice(0, few)).toEqual(sharedShardIds(few));
        expect(new Set(nodeIds(many)).size).toBe(many);
      }),
    );
    expect(PRESETS.map((p) => p.name)).toEqual(["solo", "small", "medium", "enterprise"]);
  });
});

describe("the loss of a zone", () => {
  test("leaves room for every shard on the nodes of the other zones", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 40 }),
        fc.integer({ min: 2, max: 3 }),
        fc.integer({ min: 1001, max: 20_000 }),
        (nodes, zones, users) => {
          const plan = planFleet({ target: "ec2", preset: "enterprise", nodes, users, zones });
          const left = nodes - Math.ceil(nodes / zones);
          const memory = plan.shards.reduce((sum, s) => sum + s.memoryMiB, 0);
          expect(left * plan.node.memoryMiB).toBeGreaterThanOrEqual(memory);
          expect(plan.loss.nodesLeft).toBe(left);
        },
      ),
    );
  });

  test("counts who votes: in one of two zones there are more of them than may be lost", () => {
    const medium = (zones: number) => planFleet({ target: "ec2", preset: "medium", zones }).loss;
    expect(medium(3).survives).toBe(true);
    expect(medium(2)).toMatchObject({ survives: false, nodesLost: 3, nodesLeft: 2 });
    expect(medium(2).sentence).toContain("the loss of one zone (3 nodes) stops the service");
    // Kubernetes has its own etcd.
    expect(planFleet({ target: "eks", preset: "medium", zones: 2 }).loss.survives).toBe(true);
  });

  test("is told in the plan's sentence, with how many nodes go with it", () => {
    const { loss } = planFleet({ target: "ec2", preset: "enterprise", zones: 3 });
    expect(loss.sentence).toContain("the loss of one zone (2 nodes) each of the other 4 holds");
  });
});
