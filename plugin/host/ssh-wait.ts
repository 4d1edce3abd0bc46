import { setTimeout as sleep } from "node:timers/promises";
import { HostUnreachable, type Patience } from "./shell.ts";

const EVERY_MS = 5_000;

/**
 * Tries a connection again while what is wrong may come right by itself, until the time for a boot is over.
 * @throws what the last try threw
 */
export async function untilBoots<T>(
  connect: () => Promise<T>,
  {
    bootMs = 0,
    say,
    name,
    signal,
    everyMs = EVERY_MS,
  }: Patience & {
    /** The host's, for those who wait. */
    readonly name: string;
    /** Nobody needs the connection any more. */
    readonly signal: AbortSignal;
    /** Pause between two tries. @default 5 000 */
    readonly everyMs?: number;
  },
): Promise<T> {
  const end = performance.now() + bootMs;
  for (;;) {
    try {
      return await connect();
    } catch (error) {
      const passes = error instanceof HostUnreachable && error.passes;
      if (!passes || performance.now() >= end) throw error;
      say?.(
        `waiting for the machine: ${error.message.split("\n")[0]?.replace(`host ${name}: `, "")}`,
      );
      await sleep(everyMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) throw error;
    }
  }
}
