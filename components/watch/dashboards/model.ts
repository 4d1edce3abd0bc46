import { metric, quantile } from "../metrics.ts";
import type { Dashboard } from "./build.ts";

const NEEDS_PLUGIN =
  "Empty unless OpenClaw's plugin diagnostics-otel is on and sends to the collector.";

const calls = metric("openclaw_model_call_duration_ms_count");
/** A turn of a command-line agent holds many calls and is not one. */
const perRequest = metric("openclaw_model_call_duration_ms_bucket", {
  openclaw_model_call_observation_unit: "request",
});

/** How fast and how well the providers of models answer. */
export function modelLatency(): Dashboard {
  return {
    uid: "openclaw-models",
    title: "Models: latency by provider",
    panels: [
      ...[0.5, 0.95].map((share) => ({
        title: `Time of a call, p${share * 100}`,
        kind: "timeseries" as const,
        unit: "ms",
        queries: [
          {
            expr: quantile(share, perRequest, "10m", ["openclaw_provider"]),
            legend: "{{openclaw_provider}}",
          },
        ],
        description: `One request to a provider. ${NEEDS_PLUGIN}`,
      })),
      {
        title: "Time of a call by model, p95",
        kind: "table",
        unit: "ms",
        queries: [
          {
            expr: quantile(0.95, perRequest, "1h", ["openclaw_provider", "openclaw_model"]),
            legend: "{{openclaw_provider}} {{openclaw_model}}",
          },
        ],
        description: NEEDS_PLUGIN,
      },
      {
        title: "Calls",
        kind: "timeseries",
        unit: "reqps",
        queries: [
          {
            expr: `sum by (openclaw_provider) (rate(${calls}[5m]))`,
            legend: "{{openclaw_provider}}",
          },
        ],
        description: NEEDS_PLUGIN,
      },
      {
        title: "Calls that fail",
        kind: "timeseries",
        unit: "reqps",
        queries: [
          {
            expr: `sum by (openclaw_provider, openclaw_errorCategory) (rate(${metric("openclaw_model_call_duration_ms_count", { openclaw_errorCategory: { re: ".+" } })}[5m]))`,
            legend: "{{openclaw_provider}} {{openclaw_errorCategory}}",
          },
        ],
        description: NEEDS_PLUGIN,
      },
      {
        title: "Fallbacks",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (openclaw_provider, openclaw_failover_to_provider) (increase(${metric("openclaw_model_failover")}[10m]))`,
            legend: "{{openclaw_provider}} → {{openclaw_failover_to_provider}}",
          },
        ],
        description: `From one provider to the next of models.fallbacks. ${NEEDS_PLUGIN}`,
      },
    ],
  };
}
