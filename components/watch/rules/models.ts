import { metric, quantile } from "../metrics.ts";
import type { RuleGroup } from "./types.ts";

/** What OpenClaw says of its calls, through a collector: on hosts there is none, and no such series. */
export function modelRules(): RuleGroup {
  return {
    name: "openclaw-models",
    alerts: [
      {
        name: "FleetModelErrors",
        expr: `sum by (openclaw_provider) (rate(${modelFailed}[10m])) / sum by (openclaw_provider) (rate(${modelCalls}[10m])) > 0.2`,
        forSeconds: 600,
        severity: "warning",
        summary:
          "{{ $value | humanizePercentage }} of the calls to {{ $labels.openclaw_provider }} fail",
        effect: "Agents answer late, by a fallback, or not at all.",
        command: "./fleet chat hello",
        runbook: "a-model-provider-fails",
      },
      {
        name: "FleetModelSlow",
        expr: `${quantile(0.95, metric("openclaw_model_call_duration_ms_bucket", { openclaw_model_call_observation_unit: "request" }), "10m", ["openclaw_provider"])} > 60000`,
        forSeconds: 900,
        severity: "info",
        summary: "One in twenty calls to {{ $labels.openclaw_provider }} takes over a minute",
        effect: "Answers are slow.",
        command: "./fleet chat hello",
        runbook: "a-model-provider-fails",
      },
    ],
  };
}

const modelCalls = metric("openclaw_model_call_duration_ms_count");
const modelFailed = metric("openclaw_model_call_duration_ms_count", {
  openclaw_errorCategory: { re: ".+" },
});
