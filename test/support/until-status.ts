import { setTimeout as sleep } from "node:timers/promises";
import type { FleetStatus } from "../../gateway/contract.ts";

const POLL_MS = 100;

/** Looks at a fleet until it is as wanted; fails with the last state, or error, and the nodes' logs. */
export async function untilStatus(
  fleet: { status(): Promise<FleetStatus>; logs(): string },
  what: string,
  wanted: (status: FleetStatus) => boolean,
  giveUpMs: number,
): Promise<FleetStatus> {
  const deadline = performance.now() + giveUpMs;
  let last: unknown;
  for (;;) {
    try {
      const status = await fleet.status();
      if (wanted(status)) return status;
      last = status;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`not in time: ${what}\n${JSON.stringify(last, null, 1)}\n${fleet.logs()}`);
    }
    await sleep(POLL_MS);
  }
}
