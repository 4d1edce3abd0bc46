import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { NodeRecord, StoreView } from "../../../gateway/leases/store.ts";
import { Updates } from "../../../gateway/node/updates.ts";
import type { TrialEnd } from "../../../gateway/supervisor/trials.ts";

const OLD = "2026.9.5+000000000000";
const NEW = "2026.9.6+000000000000";

/** A node with the new release whose two shards run the old one. */
class World {
  readonly tried: string[] = [];
  /** What the turn was given back with; null: it is out. */
  readonly turns: (string | null)[] = [];
  readonly said: string[] = [];
  ends: Record<string, () => Promise<TrialEnd>> = {};
  now = 0;
  readonly #leases = Object.fromEntries(
    ["s1", "s2"].map((shard) => [
      shard,
      {
        ...{ shard, owner: "n1", incarnation: "i", epoch: 1, release: OLD, position: null },
        ...{ bootId: "b", handTo: null, reason: null },
      },
    ]),
  );
  readonly updates = new Updates({
    node: "n1",
    release: NEW,
    turn: {
      tryTake: async () => {
        const at = this.turns.push(null) - 1;
        return (reason: string) => {
          this.turns[at] = reason;
        };
      },
    } as unknown as ConstructorParameters<typeof Updates>[0]["turn"],
    view: () =>
      ({
        leases: this.#leases,
        nodes: { n1: { release: NEW } as NodeRecord },
        pins: {},
        maintenance: {},
      }) as unknown as StoreView,
    shards: () => ["s1", "s2"],
    serving: () => ["s1", "s2"],
    revision: () => "r1",
    inUse: () => {},
    update: async (shard) => {
      this.tried.push(shard);
      const how = await this.ends[shard]?.();
      if (!how) throw new Error("nothing said how it ends");
      const lease = this.#leases[shard];
      if (how.end === "updated" && lease) lease.release = NEW;
      return how;
    },
    log: (level, msg) => this.said.push(`${level}: ${msg}`),
    now: () => this.now,
  });

  async pass(seconds: number): Promise<void> {
    for (let n = 0; n < seconds; n++) {
      this.now += 1_000;
      await vi.advanceTimersByTimeAsync(1_000);
    }
  }
}

let world: World;
beforeEach(() => {
  vi.useFakeTimers();
  world = new World();
  world.ends.s2 = async () => ({ end: "updated" });
  world.updates.start();
});
afterEach(() => {
  world.updates.close();
  vi.useRealTimers();
});

test("a shard that is called off does not keep the others of its node waiting, and is tried again", async () => {
  world.ends.s1 = async () => ({ end: "called off", why: "no room" });
  await world.pass(5);
  expect(world.tried).toEqual(["s1", "s2"]);
  expect(world.turns).toEqual(["not updated: no room", "updated s2 to 2026.9.6"]);
  await world.pass(60);
  expect(world.tried.length).toBeGreaterThan(3);
  expect(world.tried.slice(2).every((shard) => shard === "s1")).toBe(true);
  // A reason that lasts is not told over and over.
  expect(world.said).toEqual(["warn: s1 is updated later: no room"]);
  world.ends.s1 = async () => ({ end: "updated" });
  await world.pass(120);
  expect(world.turns.at(-1)).toBe("updated s1 to 2026.9.6");
  const before = world.tried.length;
  await world.pass(60);
  expect(world.tried).toHaveLength(before);
});

test("one that throws gives the turn of the fleet back, and the next one has it", async () => {
  world.ends.s1 = async () => {
    throw new Error("the lease thread is gone");
  };
  await world.pass(30);
  expect(world.turns.slice(0, 2)).toEqual([
    "not updated: the lease thread is gone",
    "updated s2 to 2026.9.6",
  ]);
  expect(world.said).toEqual(["warn: s1 is updated later: the lease thread is gone"]);
});

test("one that fails stops the others, and stands in the turn's lease", async () => {
  world.ends.s1 = async () => ({ end: "refused", why: "it gave no answer" });
  await world.pass(1);
  expect(world.turns).toEqual([expect.stringMatching(/^refused .*it gave no answer/)]);
});
