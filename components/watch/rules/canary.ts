import type { CanaryFacts } from "../facts.ts";
import { metric, quantile } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

/** Intervals that hold two of the last three or four attempts. */
const INTERVALS = 3.2;

/** A conversation through the front door every so many minutes: what a person would notice. */
export function canaryRules({ slowSeconds, minutes }: CanaryFacts): RuleGroup {
  const window = `${Math.ceil(INTERVALS * minutes * 60)}s`;
  return {
    name: "openclaw-canary",
    alerts: [
      {
        name: "CanaryFails",
        // `increase` guesses what lies beyond its samples: one failure can be 1.1, and of a counter's first two
        // samples up to 2, until the third one is there.
        expr: `sum(increase(${metric("openclaw_fleet_canary_failures_total")}[${window}])) > 1.5`,
        forSeconds: 30,
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
