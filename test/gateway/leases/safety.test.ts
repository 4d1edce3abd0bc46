/**
 * Nodes that follow the rules of ownership on a real store, while it is lost and replaced under them
 * and they are paused for any time: never two of them live on one shard.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { LEASE } from "../../../gateway/contract.ts";
import { type LeaseStore, StoreUnavailable } from "../../../gateway/leases/store.ts";
import { acquireRequest, nodeRecord } from "../../contracts/lease-fixtures.ts";
import { sqliteLeaseWorld } from "./world.ts";

class SimulatedNode {
  readonly id: string;
  readonly store: LeaseStore;
  held: { epoch: number; deadline: number; storeId: string } | null = null;
  watched: { storeId: string; epoch: number; beat: number; since: number } | null = null;

  constructor(id: string, store: LeaseStore) {
    this.id = id;
    this.store = store;
  }

  live(now: number): boolean {
    return this.held !== null && now < this.held.deadline;
  }

  async renew(now: number): Promise<void> {
    if (!this.held) return;
    const { epoch, deadline: until, storeId } = this.held;
    const held = [{ shard: "s1", epoch, position: null, until, storeId }];
    const result = await this.store.renew({ node: nodeRecord(this.id), held });
    if (result.lost.length > 0) this.held = null;
    else this.held = { epoch, deadline: now + LEASE.holdMs, storeId: result.view.storeId };
  }

  /** Takes the shard if nobody can have it, as far as this node has seen. Returns its epoch. */
  async look(now: number, highest: number): Promise<number | null> {
    if (this.held) return null;
    const { storeId, leases, pristine } = await this.store.read();
    const row = leases.s1;
    const [epoch, beat] = [row?.epoch ?? 0, row?.beat ?? 0];
    const same =
      this.watched?.storeId === storeId &&
      this.watched.epoch === epoch &&
      this.watched.beat === beat;
    if (!same || !this.watched) this.watched = { storeId, epoch, beat, since: now };
    if (!(pristine && !row) && now - this.watched.since < LEASE.ttlMs) return null;
    const next = 1 + Math.max(epoch, highest);
    const expected = row ? { epoch, beat, owner: row.owner } : null;
    const request = { ...acquireRequest(this.id, next, expected), storeId };
    if (!(await this.store.acquire(request))) return null;
    this.held = { epoch: next, deadline: now + LEASE.holdMs, storeId };
    this.watched = null;
    return next;
  }

  async giveUp(): Promise<void> {
    if (!this.held) return;
    const { epoch } = this.held;
    this.held = null;
    const rest = { position: null, handTo: null, reason: "test" };
    await this.store.release({
      shard: "s1",
      node: this.id,
      incarnation: `inc-${this.id}`,
      epoch,
      ...rest,
    });
  }
}

const who = fc.nat({ max: 2 });
const event = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant("renew" as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("look" as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("give up" as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(500, 2_000, 4_000, 9_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("lose" as const, "save" as const, "swap" as const, "restore" as const),
    }),
  },
);

it("never has two live owners, whatever happens to the file", async () => {
  let acquired = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(event, { minLength: 20, maxLength: 120 }), async (events) => {
      const world = await sqliteLeaseWorld();
      const nodes = ["n1", "n2", "n3"].map((id) => new SimulatedNode(id, world.open()));
      const reader = world.open();
      let highest = 0;
      let saved = false;
      try {
        for (const one of events) {
          try {
            if (one.do === "wait") world.clock.advance(one.ms);
            else if (one.do === "lose") await world.lose?.();
            else if (one.do === "save") {
              await reader.read();
              await world.save?.();
              saved = true;
            } else if (one.do === "swap" && saved) await world.swapOld?.();
            else if (one.do === "restore" && saved) {
              // Somebody who knows what was there has to look before the content can be taken for new.
              await world.restoreInPlace?.();
              await reader.read();
            } else if ("who" in one) {
              const node = nodes[one.who] as SimulatedNode;
              if (one.do === "renew") await node.renew(world.clock.now());
              else if (one.do === "give up") await node.giveUp();
              else {
                const epoch = await node.look(world.clock.now(), highest);
                if (epoch !== null) acquired++;
                highest = Math.max(highest, epoch ?? 0);
              }
              await reader.read();
            }
          } catch (error) {
            if (!(error instanceof StoreUnavailable)) throw error;
          }
          const live = nodes.filter((node) => node.live(world.clock.now()));
          expect(live.map((node) => node.id).slice(1)).toEqual([]);
        }
      } finally {
        await world.close();
      }
    }),
    { numRuns: 80 },
  );
  expect(acquired).toBeGreaterThan(80);
});
