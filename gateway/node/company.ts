import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import type { StoreView } from "../leases/store.ts";

/** How long the first node of a new fleet on one machine waits for a second one. */
const LOCAL_WAIT_MS = 2_000;
/**
 * The same on several machines, which a deployment sets up one after the other, from the moment at
 * which the store answers. What has not come by then may be long in coming, or never.
 */
const HOSTS_WAIT_MS = 180_000;
const LOOK_EVERY_MS = 100;
/** Nodes that begin within the pause between two ranks take what they like best. */
const HOSTS_LOOK_EVERY_MS = 250;

export interface CompanyDeps {
  read: () => Promise<StoreView>;
  clock: Clock;
  /** Nodes the fleet is to have; null: a second one is enough (nodes of one machine). */
  expected: number | null;
  stopping: () => boolean;
  /** @default sleep */
  pause?: (ms: number) => Promise<unknown>;
}

/**
 * The first node of a new fleet would take every shard, and they would spread only when shards go
 * home, so it looks around first. Returns what it saw last, at once in a fleet that ever had an owner;
 * null when the store did not answer then.
 */
export async function waitForCompany(deps: CompanyDeps): Promise<StoreView | null> {
  const { read, clock, expected, stopping, pause = sleep } = deps;
  const wanted = expected ?? 2;
  const waitMs = expected === null ? LOCAL_WAIT_MS : HOSTS_WAIT_MS;
  let until = clock.now() + waitMs;
  let view: StoreView | null = null;
  while (clock.now() < until && !stopping()) {
    view = await read().catch(() => null);
    if ((view && isSettled(view, expected)) || Object.keys(view?.nodes ?? {}).length >= wanted)
      break;
    // Its members come one after the other, too: the wait begins with the first answer.
    if (view === null && expected !== null) until = clock.now() + waitMs;
    await pause(expected === null ? LOOK_EVERY_MS : HOSTS_LOOK_EVERY_MS);
  }
  return view;
}

/**
 * Somebody has owned a shard in this store. One that is not `pristine` may have forgotten: on one machine
 * that is a reason to go on at once; on several, owners that live write their leases anew within seconds.
 */
function isSettled(view: StoreView, expected: number | null): boolean {
  return Object.keys(view.leases).length > 0 || (expected === null && !view.pristine);
}
