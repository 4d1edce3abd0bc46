import { bootClock } from "../clock.ts";
import { KEEPER_LOST_EXIT } from "../keeper/client.ts";
import type { LeaseAgent } from "../leases/agent.ts";
import type { Logger } from "../observe/log.ts";
import type { LiveFleetView } from "../supervisor/fleet-view.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";

/** Brings what the lease thread says to those who decide and to those who route. */
export function followLeases(
  leases: LeaseAgent,
  to: { view: LiveFleetView; supervisor: Supervisor; log: Logger },
): void {
  const { view: fleet, supervisor, log } = to;
  leases.on("renewed", ({ sentAt, held, kept, lost, view }) => {
    fleet.viewed(view);
    supervisor.feed({ type: "renewed", now: bootClock.now(), sentAt, held, kept, lost, view });
  });
  leases.on("view", (view) => {
    fleet.viewed(view);
    supervisor.feed({ type: "view", now: bootClock.now(), view });
  });
  leases.on("unavailable", (why) => {
    fleet.storeFailed(why);
    log.warn(`the lease store does not answer: ${why}`);
  });
  leases.on("keeper-lost", (why) => {
    log.error(`no deadline can be extended: ${why}`);
    // The keeper's own channel normally ends first and fences. Should it not, this end does: what
    // is left without a supervisor is killed by the keeper.
    setTimeout(() => process.exit(KEEPER_LOST_EXIT), 1_000);
  });
  leases.on("log", (level, message) => log[level](message));
}
