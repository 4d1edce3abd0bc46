import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { etcdMembers } from "../../../components/etcd/plan.ts";
import type { HostFacts, HostPlan } from "../../../components/host/types.ts";
import { redisLayout } from "../../../components/redis/layout.ts";
import { leaveFault } from "../../../gateway/etcd/leave.ts";
import { rank } from "../../../gateway/placement.ts";
import { gatherHosts } from "../../../stacks/hosts/input.ts";
import { planHost } from "../../../stacks/hosts/parts.ts";
import { planFleet } from "../../../stacks/presets.ts";
import { settingsSchema } from "../../../stacks/settings-schema.ts";

/** What a host more, or a host less, does to the others. */

const NAMES = "abcdefghi".split("");
const facts = (name: string, witness = false): HostFacts => ({
  name,
  address: `192.0.2.${NAMES.indexOf(name) + 1}`,
  ...(witness ? { witness } : {}),
});
const lists = fc
  .tuple(fc.integer({ min: 2, max: 8 }), fc.boolean())
  .map(([count, voting]) => [
    ...NAMES.slice(0, count).map((name) => facts(name)),
    ...(voting ? [facts("i", true)] : []),
  ]);

test("a host that comes takes no shard but those that it is the first for, one that goes gives up its own alone", () => {
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 40 }), (hosts, count) => {
      const nodes = hosts.filter(({ witness }) => !witness).map(({ name }) => name);
      const shards = Array.from({ length: count }, (_, n) => `s${n + 1}`);
      const more = [...nodes, "new"];
      for (const shard of shards) {
        const [before] = rank(shard, nodes);
        const [after] = rank(shard, more);
        // Read backwards it is the host that goes.
        expect(after === before || after === "new").toBe(true);
        // And who would take over next stays in order, so that replicas stay where they are.
        expect(rank(shard, more).filter((node) => node !== "new")).toEqual(rank(shard, nodes));
      }
    }),
  );
});

test("members of etcd leave one after another, and a majority of the rest always answers", () => {
  fc.assert(
    fc.property(lists, fc.nat(), (hosts, which) => {
      const gone = hosts[which % hosts.length] as HostFacts;
      const left = hosts.filter(({ name }) => name !== gone.name);
      let voters = etcdMembers(hosts);
      const wanted = etcdMembers(left);
      // New ones learn first and vote when they have caught up; then those that are not wanted leave.
      voters = [...new Set([...voters, ...wanted])];
      for (const name of voters.filter((each) => !wanted.includes(each))) {
        const others = voters.filter((each) => each !== name);
        expect(
          leaveFault(
            name,
            others.map((each) => ({ name: each, answers: true })),
          ),
        ).toBeNull();
        voters = others;
      }
      expect([...voters].sort()).toEqual([...wanted].sort());
    }),
  );
});

test("a host at the end of the list takes nobody's vote, unless it is there to vote", () => {
  fc.assert(
    fc.property(lists, (hosts) => {
      const before = etcdMembers(hosts);
      const after = etcdMembers([...hosts, facts("h")]);
      expect(before.filter((name) => !after.includes(name))).toEqual([]);
    }),
  );
});

test("no server of Redis is somewhere else when a host comes to the end of the list", () => {
  const ports = { redis: 6_379 };
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 8 }),
      fc.constantFrom<"single" | "sentinel">("single", "sentinel"),
      (count, mode) => {
        const hosts = NAMES.slice(0, count).map((name) => facts(name));
        if (mode === "sentinel" && count < 3) return;
        const { servers } = redisLayout(hosts, ports, mode);
        expect(redisLayout([...hosts, facts("i")], ports, mode).servers).toEqual(servers);
      },
    ),
  );
});

describe("with a fourth host", () => {
  /** Plans by host. One host watches throughout. */
  function plans(names: readonly string[]): Record<string, HostPlan> {
    const settings = settingsSchema.parse({
      target: "hosts",
      preset: "medium",
      environment: "staging",
      shards: 6,
      monitoring: { host: "a" },
      hosts: names.map((name) => facts(name)),
    });
    const release = {
      name: "2026.9.6+r1",
      artifacts: Object.fromEntries(names.map((name) => [name, "r1"])),
    };
    const sizing = planFleet(settings);
    const gathered = gatherHosts({
      stack: "vps",
      settings,
      sizing,
      release,
      isSecret: () => false,
    });
    return Object.fromEntries(
      gathered.input.plan.hosts.map((host) => [host.name, planHost(gathered.input, host)]),
    );
  }
  const unitsTold = (before: HostPlan, after: HostPlan, which: "restartOn" | "reloadOn") =>
    Object.entries(before.units).flatMap(([name, unit]) => {
      const next = after.units[name];
      const changed = (path: string) => before.files[path]?.content !== after.files[path]?.content;
      const text = which === "restartOn" && next?.content !== unit.content;
      return text || (next?.[which] ?? []).some(changed) ? [name] : [];
    });

  test.each([
    [
      ["a", "b", "c"],
      ["a", "b", "c", "d"],
    ],
    [
      ["a", "b", "c", "d"],
      ["a", "b", "c"],
    ],
    // A member of etcd and a Sentinel goes, and the fourth host gets both.
    [
      ["a", "b", "c", "d"],
      ["a", "c", "d"],
    ],
  ])("from %j to %j no node restarts: only shards that must move, move", (from, to) => {
    const [before, after] = [plans(from), plans(to)];
    for (const name of from.filter((each) => to.includes(each))) {
      const told = unitsTold(before[name] as HostPlan, after[name] as HostPlan, "restartOn");
      expect(
        told.filter((unit) => /node\.service|etcd|replicas/.test(unit)),
        name,
      ).toEqual([]);
    }
  });
});
