import { bootClock } from "../clock.ts";
import { KEEPER_LOST_EXIT } from "../keeper/client.ts";
import type { LeaseAgent, LeaseAgentEvents } from "../leases/agent.ts";
import type { StoreView } from "../leases/store.ts";
import type { Logger } from "../observe/log.ts";
import type { LiveFleetView } from "../supervisor/fleet-view.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";

/** How often a store that stays away is told of. */
const TELL_AGAIN_MS = 30_000;

/**
 * Brings what the lease thread says to those who route, and to those who decide. The latter hear nothing
 * before `begin`: from their first sight of a store they count for how long a shard has been free, and a
 * node that only waited for company has not been after any.
 */
export function followLeases(
  leases: LeaseAgent,
  to: {
    view: Pick<LiveFleetView, "viewed" | "storeFailed">;
    supervisor: Pick<Supervisor, "feed">;
    log: Pick<Logger, "warn" | "error">;
  },
): { begin: (seen: StoreView | null) => void } {
  const { view: fleet, supervisor, log } = to;
  let begun = false;
  let waiting: LeaseAgentEvents["renewed"][0] | null = null;
  const renewed = ({ sentAt, held, kept, lost, view }: LeaseAgentEvents["renewed"][0]) => {
    supervisor.feed({ type: "renewed", now: bootClock.now(), sentAt, held, kept, lost, view });
  };
  // Tried several times a second; a person needs to know that it began, what changed, and that it goes on.
  let told = { why: "", at: Number.NEGATIVE_INFINITY };
  leases.on("renewed", (event) => {
    told = { why: "", at: Number.NEGATIVE_INFINITY };
    fleet.viewed(event.view);
    if (begun) renewed(event);
    else waiting = event;
  });
  leases.on("view", (view) => {
    fleet.viewed(view);
    if (begun) supervisor.feed({ type: "view", now: bootClock.now(), view });
  });
  leases.on("unavailable", (why) => {
    fleet.storeFailed(why);
    const now = bootClock.now();
    if (why === told.why && now - told.at < TELL_AGAIN_MS) return;
    told = { why, at: now };
    log.warn(`the lease store does not answer: ${why}`);
  });
  leases.on("keeper-lost", (why) => {
    log.error(`no deadline can be extended: ${why}`);
    // The keeper's own channel normally ends first and fences. Should it not, this end does: what
    // is left without a supervisor is killed by the keeper.
    setTimeout(() => process.exit(KEEPER_LOST_EXIT), 1_000);
  });
  leases.on("log", (level, message) => log[level](message));
  return {
    begin: (seen) => {
      begun = true;
      // It renews already, which its next renewal would only say in a while; what it goes by is the newest
      // that it saw: who is not in it yet would be left out.
      if (waiting) renewed({ ...waiting, view: seen ?? waiting.view });
      waiting = null;
    },
  };
}
