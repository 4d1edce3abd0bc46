import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { AcquireRequest, Lease, StoreView } from "../../../gateway/leases/store.ts";
import { TIMING } from "../../../gateway/ownership/state.ts";
import type { LeasePort } from "../../../gateway/supervisor/leases.ts";
import type { ShardHost } from "../../../gateway/supervisor/shard-host.ts";
import { Supervisor } from "../../../gateway/supervisor/supervisor.ts";

const SELF = { node: "a", incarnation: "a#1", bootId: "boot", sameMachine: true };

/** Node `a`, alone or with others, with one shard that nobody has. */
class World {
  now = 0;
  /** What was done, in order. */
  readonly did: string[] = [];
  leases: Record<string, Lease> = {};
  /** What the store has of the shard's state. */
  published: string | null = null;
  readonly held = new Map<string, number>();
  /** The disk is busy until this resolves. */
  readonly disk = Promise.withResolvers<void>();
  /** While set, the store does not answer. */
  away = false;
  /** Why this node's disk takes nothing. */
  broken: Error | null = null;
  readonly released: Parameters<LeasePort["release"]>[0][] = [];
  /** Other nodes of the fleet. */
  readonly others: readonly string[];
  readonly supervisor: Supervisor;

  constructor(others: readonly string[] = []) {
    this.others = others;
    const leases: Partial<LeasePort> = {
      release: async (request) => {
        this.released.push(request);
        return true;
      },
      held: () => [...this.held].map(([shard, epoch]) => ({ shard, epoch })),
      drop: (shard) => {
        this.did.push(`drop ${shard}`);
        this.held.delete(shard);
      },
      acquire: (request) => this.#acquire(request),
    };
    const host: Partial<ShardHost> = {
      note: () => {},
      keepOnly: () => {},
      highestEpoch: async () => this.held.get("s1") ?? 0,
      opened: async (_, epoch) => {
        await this.disk.promise;
        if (this.broken) throw this.broken;
        this.did.push(`opened ${epoch}`);
      },
      clear: async () => {
        this.did.push("clear");
      },
      start: (_, epoch) => this.did.push(`start ${epoch}`),
      kill: async () => {},
      finish: async () => {
        if (this.broken) throw this.broken;
        return "e1/1+1 final";
      },
    };
    this.supervisor = new Supervisor({
      self: SELF,
      release: "1.0.0",
      hasRelease: () => true,
      clock: { now: () => this.now },
      leases: leases as LeasePort,
      alsoHeld: () => [],
      host: host as ShardHost,
      deadNodes: () => [],
      log: () => {},
      remember: () => {},
      tookOver: () => {},
      onChange: () => {},
    });
  }

  async #acquire({ shard, epoch, release }: AcquireRequest) {
    this.did.push(`acquire ${epoch}`);
    if (this.away) return Promise.withResolvers<never>().promise;
    const { node: owner, incarnation, bootId } = SELF;
    const rest = { beat: 1, position: this.published, handTo: null, reason: null };
    const lease = { shard, owner, incarnation, epoch, release, bootId, ...rest };
    this.leases = { [shard]: lease };
    this.held.set(shard, epoch);
    return { lease, sentAt: this.now };
  }

  /** Time goes by, and the store is read: the rules decide anew. */
  async looks(afterMs: number): Promise<void> {
    this.now += afterMs;
    const pids = { pid: 1, pidStart: "1", keeperPid: 1, keeperPidStart: "1" };
    const { node: id, incarnation, bootId } = SELF;
    const record = { id, incarnation, bootId, beat: 1, ...pids, address: "h:1" };
    const view: StoreView = {
      storeId: "store",
      pristine: true,
      nodes: Object.fromEntries(
        [id, ...this.others].map((each) => [
          each,
          { ...record, id: each, beat: this.now, release: "1.0.0", shards: {} },
        ]),
      ),
      leases: this.leases,
      pins: {},
      maintenance: {},
    };
    const { now } = this;
    this.supervisor.feed({ type: "renewed", now, sentAt: now, held: [], kept: [], lost: [], view });
    await turn();
  }
}

test("a shard that is slow to arrive is taken once, and kept", async () => {
  const world = new World();
  world.supervisor.configure(["s1"], {}, "r1");
  await world.looks(0);
  expect(world.did).toEqual(["acquire 1"]);
  // The rules see their own lease, without the answer to their question: they ask again.
  await world.looks(TIMING.askMs);
  world.away = true;
  world.disk.resolve();
  await turn();
  // Whatever comes next decides what is dropped.
  await world.looks(250);
  expect(world.did).toEqual(["acquire 1", "opened 1", "clear", "start 1"]);
  expect(world.supervisor.state.holds.s1?.phase).toBe("running");
});

test("a lease under which the disk takes nothing goes to the others, with the reason", async () => {
  const world = new World(["b"]);
  world.broken = new Error("ENOSPC: no space left on device");
  world.supervisor.configure(["s1"], {}, "r1");
  world.disk.resolve();
  for (let looks = 0; looks < 20 && world.released.length === 0; looks++) await world.looks(1_000);
  expect(world.released).toMatchObject([{ shard: "s1", epoch: 1, handTo: null }]);
  expect(world.released[0]?.reason).toMatch(/^failed .*"nodes":\["a"\].*ENOSPC/);
});

test("and is kept where there is nobody else", async () => {
  const world = new World();
  world.broken = new Error("ENOSPC: no space left on device");
  world.supervisor.configure(["s1"], {}, "r1");
  world.disk.resolve();
  for (let looks = 0; looks < 20; looks++) await world.looks(1_000);
  expect(world.did.filter((each) => each.startsWith("acquire")).length).toBeGreaterThan(1);
  expect(world.released).toEqual([]);
});

test.each([
  ["is given up with what was published, after half a minute", "EROFS", "e0/7+9", 1],
  ["is kept where nothing of its state is elsewhere", "EROFS", null, 0],
  ["is kept while the disk is only full", "ENOSPC", "e0/7+9", 0],
])("a shard whose end cannot be written %s", async (_, code, published, times) => {
  const world = new World(["b"]);
  world.published = published;
  world.supervisor.configure(["s1"], {}, "r1");
  world.disk.resolve();
  for (let looks = 0; looks < 20 && !world.did.includes("start 1"); looks++) await world.looks(500);
  world.broken = Object.assign(new Error(`${code}: no`), { code });
  const { supervisor } = world;
  supervisor.feed({ type: "gave-up", now: world.now, shard: "s1", epoch: 1, reason: "crashes" });
  supervisor.feed({ type: "emptied", now: world.now, shard: "s1", epoch: 1 });
  for (let looks = 0; looks < 25; looks++) await world.looks(1_000);
  expect(world.released).toEqual([]);
  for (let looks = 0; looks < 15; looks++) await world.looks(1_000);
  expect(world.released.slice(0, 1)).toMatchObject(
    Array(times).fill({ epoch: 1, position: published }),
  );
});
