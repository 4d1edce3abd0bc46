import type { AcquireRequest, HeldLease, Lease } from "./store.ts";

/**
 * What a store must decide, apart from how it stores. Every back end asks these inside its own
 * transaction (or turns them into its compare-and-set).
 */
export type Verdict = "kept" | "rewrite" | "lost";

/**
 * A held lease against the row that the store has.
 *
 * Writing a lease anew is safe only while the caller's deadline has not passed: a taker waits for one
 * TTL, which is longer than the hold time, so nobody can have a later epoch yet. Past the deadline
 * somebody may have taken the shard in a store that is lost by now too; a row of ours there would make
 * two owners. For the same reason a row of ours in *another* store confirms nothing past the deadline.
 * `now` is read after the transaction has its lock, so that a pause before it cannot go unnoticed.
 */
export function judgeHeld(
  row: Lease | undefined,
  held: HeldLease,
  caller: { node: string; incarnation: string },
  now: number,
  storeId: string,
): Verdict {
  const live = held.until === undefined || now < held.until;
  if (row && row.epoch > held.epoch) return "lost";
  if (row && row.epoch === held.epoch) {
    if (row.owner !== caller.node || row.incarnation !== caller.incarnation) return "lost";
    const sameStore = held.storeId === undefined || held.storeId === storeId;
    return sameStore || live ? "kept" : "lost";
  }
  return live ? "rewrite" : "lost";
}

/** True when the lease may be taken. */
export function mayAcquire(
  row: Lease | undefined,
  request: AcquireRequest,
  storeId: string,
): boolean {
  if (request.storeId !== undefined && request.storeId !== storeId) return false;
  const { expected } = request;
  if (request.epoch <= (row?.epoch ?? 0)) return false;
  if (!expected || !row) return !expected && !row;
  return row.epoch === expected.epoch && row.beat === expected.beat && row.owner === expected.owner;
}
