import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** Time for ownership. Never the wall clock: that one can be stepped. */
export interface Clock {
  /** Milliseconds on a clock that never jumps and goes on while the machine sleeps. */
  now(): number;
}

/**
 * Linux: libuv's uptime reads CLOCK_BOOTTIME, which counts suspend; `performance.now()` does not.
 * macOS: `process.hrtime` is mach_continuous_time there, which counts sleep, while uptime is derived
 * from the wall clock.
 */
export const bootClock: Clock =
  process.platform === "linux"
    ? { now: () => uptime() * 1000 }
    : { now: () => Number(process.hrtime.bigint() / 1_000_000n) };

/** Names this boot of this machine; processes recorded under another one are dead. */
export function bootId(): string {
  if (process.platform !== "linux") return "unknown-boot";
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
