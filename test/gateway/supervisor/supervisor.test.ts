import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { AcquireRequest, Lease, StoreView } from "../../../gateway/leases/store.ts";
import { TIMING } from "../../../gateway/ownership/state.ts";
import type { LeasePort } from "../../../gateway/supervisor/leases.ts";
import type { ShardHost } from "../../../gateway/supervisor/shard-host.ts";
import { Supervisor } from "../../../gateway/supervisor/supervisor.ts";

const SELF = { node: "a", incarnation: "a#1", bootId: "boot", sameMachine: true };

/** Node `a`, alone, with one shard that nobody has. */
class World {
  now = 0;
  /** What was done, in order. */
  readonly did: string[] = [];
  leases: Record<string, Lease> = {};
  readonly held = new Map<string, number>();
  /** The disk is busy until this resolves. */
  readonly disk = Promise.withResolvers<void>();
  /** While set, the store does not answer. */
  away = false;
  readonly supervisor: Supervisor;

  constructor() {
    const leases: Partial<LeasePort> = {
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
        this.did.push(`opened ${epoch}`);
      },
      clear: async () => {
        this.did.push("clear");
      },
      start: (_, epoch) => this.did.push(`start ${epoch}`),
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
    const rest = { beat: 1, position: null, handTo: null, reason: null };
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
      nodes: { a: { ...record, release: "1.0.0", shards: {} } },
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
