import { metric, quantile } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

/** A conversation through the front door: what a person would notice. */
export function canaryRules(slowSeconds: number): RuleGroup {
  return {
    name: "openclaw-canary",
    alerts: [
      {
        name: "CanaryFails",
        // With one attempt every five minutes: two of the last three or four.
        expr: `sum(increase(${metric("openclaw_fleet_canary_failures_total")}[16m])) > 1`,
        forSeconds: 0,
        severity: "critical",
        summary: "A conversation through the front door fails",
        effect: "People who talk to the fleet now get no answer.",
        command: "./fleet chat hello",
        runbook: "the-canary-fails-or-is-slow",
      },
      {
        name: "CanarySlow",
        // Two hours hold some 24 answers, so that one slow one (a failover) is not the 95th of 100.
        expr: `${quantile(0.95, metric("openclaw_fleet_canary_duration_seconds_bucket"), "2h")} > ${slowSeconds}`,
        forSeconds: 300,
        severity: "warning",
        summary: `One in twenty answers takes longer than ${slowSeconds} s: {{ $value | humanizeDuration }}`,
        effect: "Answers are slow.",
        command: "./fleet chat hello",
        runbook: "the-canary-fails-or-is-slow",
      },
    ],
  };
}
