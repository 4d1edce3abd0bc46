import { expect, test } from "vitest";
import type {
  AcquireRequest,
  Lease,
  ReleaseRequest,
  StoreView,
} from "../../../gateway/leases/store.ts";
import type { LeasePort } from "../../../gateway/supervisor/leases.ts";
import { FleetTurn, RECYCLE_LEASE } from "../../../gateway/supervisor/turn-taking.ts";

/** One store that several nodes share, as far as one lease needs it. */
class SharedLease {
  lease: Lease | null = null;
  abandoned = false;

  turns(node: string): FleetTurn {
    const port: Pick<LeasePort, "acquire" | "release"> = {
      acquire: (request) => Promise.resolve(this.#acquire(request)),
      release: (request) => Promise.resolve(this.#release(request)),
    };
    return new FleetTurn({
      lease: RECYCLE_LEASE,
      node,
      incarnation: `${node}-1`,
      bootId: "boot",
      release: "r",
      leases: port as LeasePort,
      view: () => ({ leases: this.lease ? { [RECYCLE_LEASE]: this.lease } : {} }) as StoreView,
      abandoned: () => this.abandoned,
      retryMs: 1,
    });
  }

  #acquire(request: AcquireRequest) {
    const { expected, node, incarnation, bootId, epoch, release } = request;
    const now = this.lease;
    const same = now ? expected?.epoch === now.epoch && expected.owner === now.owner : !expected;
    if (!same) return null;
    this.lease = {
      shard: request.shard,
      owner: node,
      incarnation,
      epoch,
      beat: 0,
      release,
      position: null,
      bootId,
      handTo: null,
      reason: null,
    };
    return { lease: this.lease, sentAt: 0 };
  }

  #release(request: ReleaseRequest): boolean {
    if (this.lease?.owner !== request.node || this.lease.epoch !== request.epoch) return false;
    this.lease = { ...this.lease, owner: null, incarnation: null, reason: request.reason };
    return true;
  }
}

const never = new AbortController().signal;

test("one gateway at a time in the whole fleet has the turn, and each gets it in the end", async () => {
  const shared = new SharedLease();
  let holding = 0;
  let most = 0;
  const recycle = async (turns: FleetTurn, shard: string) => {
    const giveBack = await turns.take(never);
    holding += 1;
    most = Math.max(most, holding);
    await new Promise((resolve) => setImmediate(resolve));
    holding -= 1;
    giveBack(`recycled ${shard}`);
  };
  const [a, b] = [shared.turns("a"), shared.turns("b")];
  await Promise.all([recycle(a, "s1"), recycle(a, "s2"), recycle(b, "s3"), recycle(b, "s4")]);
  expect(most).toBe(1);
  expect(shared.lease).toMatchObject({ owner: null, epoch: 4 });
});

test("a turn that is held, or asked for, is renewed; one that was given back is not", async () => {
  const turns = new SharedLease().turns("a");
  const asked = turns.take(never);
  expect(turns.held()).toEqual([[RECYCLE_LEASE, 1]]);
  (await asked)("done");
  expect(turns.held()).toEqual([]);
});

test("a holder that died blocks nobody: its turn is taken once it was watched for a TTL", async () => {
  const shared = new SharedLease();
  await shared.turns("a").take(never);
  const stop = new AbortController();
  const waiting = shared.turns("b").take(stop.signal);
  shared.abandoned = true;
  await waiting;
  expect(shared.lease).toMatchObject({ owner: "b", epoch: 2 });
});

test("who only tries gets a turn that is free, and what came of the last one stands in it", async () => {
  const shared = new SharedLease();
  const giveBack = await shared.turns("a").tryTake();
  expect(giveBack).not.toBeNull();
  expect(await shared.turns("b").tryTake()).toBeNull();
  giveBack?.("done: s1");
  expect(shared.lease).toMatchObject({ owner: null, reason: "done: s1" });
  expect(await shared.turns("b").tryTake()).not.toBeNull();
});

test("who no longer wants a turn stops asking", async () => {
  const shared = new SharedLease();
  await shared.turns("a").take(never);
  const stop = new AbortController();
  const waiting = shared.turns("b").take(stop.signal);
  stop.abort();
  await expect(waiting).rejects.toThrow();
  expect(shared.lease?.owner).toBe("a");
});
