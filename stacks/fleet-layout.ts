import { DEFAULT_AGENT } from "./placement.ts";
import type { FleetPlan } from "./presets.ts";
import type { Settings } from "./settings.ts";

/** Replaces what is secret at any depth below the setting at `path`: by a Pulumi secret, or by a mark. */
export type Seal = (value: unknown, path: readonly PropertyKey[]) => unknown;

export interface FleetLayoutArgs {
  /** The stack's name; it names the fleet. */
  readonly stack: string;
  readonly settings: Settings;
  readonly plan: FleetPlan;
  readonly seal: Seal;
}

/** What every node of a fleet is told, on whatever target: the part of `fleet.json` that settings decide. */
export function fleetLayout({ stack, settings, plan, seal }: FleetLayoutArgs) {
  return {
    fleet: stack,
    target: settings.target,
    preset: plan.preset,
    host: settings.host,
    port: settings.port,
    shards: Object.fromEntries(
      plan.shards.map(({ id, memoryMiB, recycleMiB }) => [id, { memoryMiB, recycleMiB }]),
    ),
    agents: agentInputs(settings, plan, seal),
    models: seal(settings.models, ["models"]),
    openclaw: seal(settings.openclaw, ["openclaw"]),
    channelBinding: settings.channelBinding,
    trustedProxies: settings.trustedProxies,
    scrapers: settings.scrapers,
    ...(settings.limits === undefined ? {} : { limits: settings.limits }),
    turnBudgetMs: settings.turnBudgetSeconds * 1_000,
  };
}

/** Agents by name, so that a preview names the agent that changed. */
function agentInputs(settings: Settings, plan: FleetPlan, seal: Seal) {
  return Object.fromEntries(
    Object.entries(plan.agents).map(([name, place]) => {
      const i = settings.agents.findIndex((agent) => agent.name === name);
      const { model, systemPrompt, channels, cron, env, placement } = settings.agents[i] ?? {};
      return [
        name,
        {
          ...place,
          placement: name === DEFAULT_AGENT ? "shared" : (placement ?? "shared"),
          model,
          systemPrompt: seal(systemPrompt, ["agents", i, "systemPrompt"]),
          channels: seal(channels ?? {}, ["agents", i, "channels"]),
          cron: seal(cron ?? [], ["agents", i, "cron"]),
          env: seal(env ?? {}, ["agents", i, "env"]),
        },
      ];
    }),
  );
}
