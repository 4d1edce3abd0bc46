import { expect } from "vitest";
import { LEASE } from "../../../gateway/contract.ts";
import { type LeaseStore, StoreUnavailable } from "../../../gateway/leases/store.ts";
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

/** A lost store and a dead owner before it, and then some. */
const MOST_SECONDS = (5 * LEASE.ttlMs) / 1_000;

/** Three nodes on one store, second by second, of which any may sleep: at most one of them lives at a time. */
export class SimulatedFleet {
  readonly asleep = new Set<number>();
  /** How often the shard was taken. */
  acquired = 0;
  readonly #nodes: readonly SimulatedNode[];
  #highest = 0;

  constructor(open: () => LeaseStore) {
    this.#nodes = ["n1", "n2", "n3"].map((id) => new SimulatedNode(id, open()));
  }

  /** A node falls asleep or wakes; null: none. */
  toggle(node: number | null): void {
    if (node !== null && !this.asleep.delete(node)) this.asleep.add(node);
  }

  /**
   * What the nodes that are awake do in a second.
   * @param first who begins; it also gives up, if one is to
   * @returns whether the store answered all of them
   */
  async second(now: () => number, first: number, givesUp: boolean): Promise<boolean> {
    let answered = true;
    for (const turn of [0, 1, 2]) {
      const index = (first + turn) % 3;
      const node = this.#nodes[index] as SimulatedNode;
      if (this.asleep.has(index)) continue;
      try {
        if (givesUp && turn === 0) await node.giveUp();
        await node.renew(now());
        const epoch = await node.look(now(), this.#highest);
        if (epoch !== null) this.acquired++;
        this.#highest = Math.max(this.#highest, epoch ?? 0);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        answered = false;
      }
      expect(this.#live(now()).slice(1)).toEqual([]);
    }
    return answered;
  }

  /** Everybody wakes, and seconds pass until each has seen what an owner wrote. */
  async settle(clock: { now(): number; advance(ms: number): void }, first: number): Promise<void> {
    this.asleep.clear();
    // Who looks before the owner writes sees it a second later.
    for (let seen = 0, seconds = 0; seen < 2; seconds++) {
      if (seconds > MOST_SECONDS) throw new Error("nobody became the owner");
      clock.advance(1_000);
      const answered = await this.second(clock.now, first, false);
      seen = answered && this.#live(clock.now()).length > 0 ? seen + 1 : 0;
    }
  }

  #live(now: number): string[] {
    return this.#nodes.filter((one) => one.live(now)).map(({ id }) => id);
  }
}
