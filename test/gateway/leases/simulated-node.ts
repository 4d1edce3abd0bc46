import { LEASE } from "../../../gateway/contract.ts";
import type { LeaseStore } from "../../../gateway/leases/store.ts";
import { acquireRequest, nodeRecord } from "../../contracts/lease-fixtures.ts";

/** A node that follows the rules of ownership for one shard, by a clock that the test moves. */
export class SimulatedNode {
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
