import type { FleetFacts } from "../facts.ts";
import { metric, quantile } from "../metrics.ts";
import type { Dashboard, Query } from "./build.ts";

const tokens = metric("openclaw_fleet_tokens_total");
const NEEDS_PLUGIN =
  "Empty unless OpenClaw's plugin diagnostics-otel is on and sends to the collector.";

/** Who uses what. */
export function agentUsage(): Dashboard {
  return {
    uid: "openclaw-agents",
    title: "Agents: tokens, sessions, tools",
    panels: [
      {
        title: "Tokens by agent",
        kind: "timeseries",
        unit: "none",
        queries: [{ expr: `sum by (agent) (rate(${tokens}[5m]))`, legend: "{{agent}}" }],
        description: "Tokens a second, all kinds.",
      },
      {
        title: "Tokens by kind",
        kind: "timeseries",
        unit: "none",
        queries: [{ expr: `sum by (kind) (rate(${tokens}[5m]))`, legend: "{{kind}}" }],
        description: "input, output, and what the provider's cache gave or took.",
      },
      {
        title: "Tokens in 24 hours",
        kind: "table",
        unit: "none",
        width: 24,
        queries: [
          { expr: `sum by (agent, kind) (increase(${tokens}[24h]))`, legend: "{{agent}} {{kind}}" },
        ],
        description:
          "By agent and kind. Turns whose gateway died before it stored them are missing.",
      },
      {
        title: "Active sessions",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (agent) (${metric("openclaw_fleet_sessions_active")})`,
            legend: "{{agent}}",
          },
        ],
        description: "Sessions with a request in the last 15 minutes.",
      },
      {
        title: "Tool calls",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (agent, kind) (rate(${metric("openclaw_fleet_tool_calls_total")}[5m]))`,
            legend: "{{agent}} {{kind}}",
          },
        ],
        description: "A second, by agent and kind.",
      },
    ],
  };
}

/** What waits, and for how long. */
export function queueDepth(): Dashboard {
  return {
    uid: "openclaw-queues",
    title: "Queues: what waits",
    panels: [
      {
        title: "Requests held by the routers",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: `sum by (instance) (${metric("openclaw_fleet_held_requests")})`,
            legend: "{{instance}}",
          },
        ],
        description: "For a shard that is between owners; at most 60 s each.",
      },
      {
        title: "Depth of OpenClaw's lanes, p95",
        kind: "timeseries",
        unit: "none",
        queries: [
          {
            expr: quantile(0.95, metric("openclaw_queue_depth_bucket"), "5m", ["openclaw_lane"]),
            legend: "{{openclaw_lane}}",
          },
        ],
        description: `Turns that wait for their lane. ${NEEDS_PLUGIN}`,
      },
      {
        title: "Wait in OpenClaw's lanes, p95",
        kind: "timeseries",
        unit: "ms",
        queries: [
          {
            expr: quantile(0.95, metric("openclaw_queue_wait_ms_bucket"), "5m", ["openclaw_lane"]),
            legend: "{{openclaw_lane}}",
          },
        ],
        description: NEEDS_PLUGIN,
      },
    ],
  };
}

/** What it costs: machines by the plan, models by tokens. */
export function cost({ monthlyUsd, tokenPricesUsdPerMillion }: FleetFacts): Dashboard {
  const priced = Object.entries(tokenPricesUsdPerMillion);
  const byTokens = (window: string) =>
    priced
      .map(
        ([kind, usd]) =>
          `(sum(increase(${metric("openclaw_fleet_tokens_total", { kind })}[${window}])) * ${usd / 1e6} or vector(0))`,
      )
      .join(" + ");
  const byAgent: Query[] = priced.map(([kind, usd]) => ({
    expr: `sum by (agent) (increase(${metric("openclaw_fleet_tokens_total", { kind })}[24h])) * ${usd / 1e6}`,
    legend: `{{agent}} ${kind}`,
  }));
  return {
    uid: "openclaw-cost",
    title: "Cost",
    panels: [
      ...(monthlyUsd === null
        ? []
        : [
            {
              title: "Machines a month",
              kind: "stat" as const,
              unit: "currencyUSD",
              queries: [{ expr: `vector(${monthlyUsd})`, legend: "planned" }],
              description: "From fleet plan, by list prices; traffic beyond the plan is not in it.",
            },
          ]),
      ...(priced.length === 0
        ? []
        : [
            {
              title: "Models in 24 hours",
              kind: "stat" as const,
              unit: "currencyUSD",
              queries: [{ expr: byTokens("24h"), legend: "by tokens" }],
              description: "Tokens counted by the fleet, at the prices in the settings.",
            },
            {
              title: "Models in 24 hours by agent",
              kind: "bars" as const,
              unit: "currencyUSD",
              queries: byAgent,
              description: "Tokens counted by the fleet, at the prices in the settings.",
            },
          ]),
      {
        title: "Models in 24 hours, as OpenClaw reports",
        kind: "timeseries",
        unit: "currencyUSD",
        queries: [
          {
            expr: `sum by (openclaw_provider, openclaw_model) (increase(${metric("openclaw_cost_usd")}[24h]))`,
            legend: "{{openclaw_provider}} {{openclaw_model}}",
          },
        ],
        description: `OpenClaw's own estimate where it knows a model's price. ${NEEDS_PLUGIN}`,
      },
    ],
  };
}
