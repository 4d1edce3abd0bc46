import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { affinity, prefer, rank } from "../../gateway/placement.ts";

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,12}$/);
const names = fc.uniqueArray(name, { minLength: 1, maxLength: 12 });
const shards = Array.from({ length: 2_000 }, (_, i) => `s${i + 1}`);

/** First choice of every shard. */
function firsts(nodes: string[], of: readonly string[]): Map<string, string | undefined> {
  return new Map(of.map((shard) => [shard, rank(shard, nodes)[0]]));
}

describe("rank", () => {
  test("is the same in every version", () => {
    expect(affinity("s1", "a")).toBe(2734314148);
    expect(["s1", "s2", "s3", "s4"].map((s) => rank(s, ["a", "b", "c"]).join(""))).toEqual([
      "cab",
      "bca",
      "cba",
      "abc",
    ]);
  });

  test("does not depend on the order or repetition of its input", () => {
    fc.assert(
      fc.property(name, names, fc.nat(), (shard, nodes, turn) => {
        const at = turn % nodes.length;
        const turned = [...nodes.slice(at), ...nodes.slice(0, at), ...nodes.slice(0, 1)].reverse();
        expect(rank(shard, turned)).toEqual(rank(shard, nodes));
      }),
    );
  });

  test("lists every node once", () => {
    fc.assert(
      fc.property(name, names, (shard, nodes) => {
        expect(rank(shard, nodes).sort()).toEqual([...nodes].sort());
      }),
    );
  });

  test("a node that joins only takes shards, and changes no other order", () => {
    fc.assert(
      fc.property(names, name, fc.uniqueArray(name, { maxLength: 30 }), (nodes, joining, some) => {
        const before = nodes.filter((node) => node !== joining);
        for (const shard of some) {
          const without = rank(shard, [...before, joining]).filter((node) => node !== joining);
          expect(without).toEqual(rank(shard, before));
        }
      }),
    );
  });

  test("a node that leaves moves only its own shards", () => {
    fc.assert(
      fc.property(names, fc.nat(), fc.uniqueArray(name, { maxLength: 30 }), (nodes, pick, some) => {
        const leaving = nodes[pick % nodes.length];
        const rest = nodes.filter((node) => node !== leaving);
        const before = firsts(nodes, some);
        const after = firsts(rest, some);
        for (const shard of some) {
          if (before.get(shard) !== leaving) expect(after.get(shard)).toBe(before.get(shard));
        }
      }),
    );
  });

  test.each([2, 3, 5, 9])(
    "spreads 2,000 shards over %d nodes within a quarter of even",
    (count) => {
      const nodes = Array.from({ length: count }, (_, i) => `node-${i + 1}`);
      const load = new Map<string | undefined, number>();
      for (const node of firsts(nodes, shards).values()) load.set(node, (load.get(node) ?? 0) + 1);
      const even = shards.length / count;
      for (const node of nodes) {
        expect(load.get(node) ?? 0).toBeGreaterThan(even * 0.75);
        expect(load.get(node) ?? 0).toBeLessThan(even * 1.25);
      }
    },
  );

  test("the shards of a lost node spread over all others", () => {
    const nodes = ["a", "b", "c", "d"];
    const heirs = shards
      .map((shard) => rank(shard, nodes))
      .filter((order) => order[0] === "a")
      .map((order) => order[1]);
    for (const heir of ["b", "c", "d"]) {
      const share = heirs.filter((node) => node === heir).length / heirs.length;
      expect(share).toBeGreaterThan(0.25);
      expect(share).toBeLessThan(0.42);
    }
  });
});

describe("prefer", () => {
  test("puts the pin first, then the binding, then rank", () => {
    fc.assert(
      fc.property(name, names, fc.nat(), fc.nat(), (shard, nodes, p, b) => {
        const pin = nodes[p % nodes.length];
        const bound = nodes[b % nodes.length];
        const rest = rank(shard, nodes).filter((node) => node !== pin && node !== bound);
        const first = pin === bound ? [pin] : [pin, bound];
        expect(prefer(shard, nodes, { pin, bound })).toEqual([...first, ...rest]);
      }),
    );
  });

  test("a pin or binding to a node that is away counts for nothing", () => {
    expect(prefer("s1", ["a", "b"], { pin: "gone", bound: "lost" })).toEqual(
      rank("s1", ["a", "b"]),
    );
  });
});
