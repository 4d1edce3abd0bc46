import { pause } from "./clients/ws.ts";
import type { HistoryEvent } from "./history.ts";

/** Something that had to become true did not, in its time. */
export class Overdue extends Error {
  override readonly name = "Overdue";
}

const LOOK_MS = 250;

/** Asks until it is true. A look that throws counts as false; its message is in the error at the end. */
export async function waitFor(
  what: string,
  withinMs: number,
  signal: AbortSignal,
  look: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
  let last = "";
  for (;;) {
    try {
      if (await look()) return;
    } catch (error) {
      last = ` (${(error as Error).message})`;
    }
    try {
      await pause(LOOK_MS, deadline);
    } catch {
      signal.throwIfAborted();
      throw new Overdue(`waited ${Math.round(withinMs / 1000)} s for ${what}${last}`);
    }
  }
}

/** The newest turn of a session since a time, and how far it got. */
export function newestTurn(
  events: readonly HistoryEvent[],
  session: string,
  since: number,
): { marker: string; begun: boolean; ended: boolean } | null {
  const invoked = events.findLast(
    (event) => event.type === "invoked" && event.session === session && event.t >= since,
  );
  if (invoked?.type !== "invoked") return null;
  const { marker, id } = invoked;
  return {
    marker,
    begun: events.some((event) => event.type === "model-begin" && event.marker === marker),
    ended: events.some(
      (event) => (event.type === "answered" || event.type === "failed") && event.id === id,
    ),
  };
}
