import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Why an answer did not come. */
export const CANARY_FAILURES = ["unreachable", "timeout", "status", "empty"] as const;
export type CanaryFailure = (typeof CANARY_FAILURES)[number];

/** Fine around six seconds, above which an answer is slow unless the settings say otherwise. */
const BUCKETS = [0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120];

export interface CanaryMetrics {
  readonly registry: Registry;
  answered(seconds: number): void;
  failed(reason: CanaryFailure): void;
}

/**
 * What the canary counts; every series is there from the start, so that a first failure is an increase.
 * `slowSeconds` is a bound of the histogram: a quantile near it is exact.
 */
export function canaryMetrics(slowSeconds: number): CanaryMetrics {
  const registry = new Registry();
  const registers = [registry];
  const duration = new Histogram({
    name: "openclaw_fleet_canary_duration_seconds",
    help: "From the canary's message to the whole answer, through the front door",
    buckets: [...new Set([...BUCKETS, slowSeconds])].sort((a, b) => a - b),
    registers,
  });
  const failures = new Counter({
    name: "openclaw_fleet_canary_failures_total",
    help: "Messages of the canary that got no answer",
    labelNames: ["reason"],
    registers,
  });
  const answered = new Gauge({
    name: "openclaw_fleet_canary_answered_timestamp_seconds",
    help: "When the canary got its last answer, Unix time; 0 before the first",
    registers,
  });
  for (const reason of CANARY_FAILURES) failures.inc({ reason }, 0);
  answered.set(0);
  return {
    registry,
    answered(seconds) {
      duration.observe(seconds);
      answered.setToCurrentTime();
    },
    failed: (reason) => failures.inc({ reason }),
  };
}
