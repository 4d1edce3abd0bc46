import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { uptime } from "node:os";

/** Time for ownership. Never the wall clock: that one can be stepped. */
export interface Clock {
  /** Milliseconds on a clock that never jumps and goes on while the machine sleeps. */
  now(): number;
}

/**
 * Linux: libuv's uptime is /proc/uptime, which is CLOCK_BOOTTIME in steps of 10 ms (5 µs a call);
 * `performance.now()` does not count suspend. macOS: `process.hrtime` is mach_continuous_time there,
 * which counts sleep, while uptime is derived from the wall clock. Both are the same for every
 * process and thread of one machine, so deadlines can be passed between them.
 */
export const bootClock: Clock =
  process.platform === "linux"
    ? { now: () => uptime() * 1000 }
    : { now: () => Number(process.hrtime.bigint() / 1_000_000n) };

let macBootId: string | undefined;

/** Names this boot of this machine; processes recorded under another one are dead. */
export function bootId(): string {
  if (process.platform === "linux") {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  }
  if (process.platform !== "darwin") return "unknown-boot";
  macBootId ??= execFileSync("/usr/sbin/sysctl", ["-n", "kern.bootsessionuuid"], {
    encoding: "utf8",
  }).trim();
  return macBootId;
}
