import type { FleetConfig } from "../config.ts";
import { agentsEnv, configShape } from "./config.ts";
import { GatewayConfigError, type JsonObject } from "./json.ts";
import type { ConfigCheck } from "./launch.ts";

export interface Asking {
  /** Asks OpenClaw, 2 s of one core. Null: it is not there to be asked. */
  readonly check: ((config: JsonObject) => Promise<ConfigCheck>) | null;
  /** Most questions at a time. */
  readonly parallel: number;
  /** What was taken before: whatever OpenClaw reads alike in it is not asked about again. @default nothing was */
  readonly taken?: FleetConfig | null;
}

/**
 * What stands against a fleet's settings, in OpenClaw's own words and by the settings that a stack has for them; null:
 * nothing. Shards with the same configuration are asked about once.
 */
export async function refusalOf(
  fleet: FleetConfig,
  { check, parallel, taken = null }: Asking,
): Promise<string | null> {
  const candidates = new Map<string, string[]>();
  try {
    for (const { id } of fleet.shards) {
      agentsEnv(fleet, id);
      const shape = JSON.stringify(configShape(fleet, id));
      candidates.set(shape, [...(candidates.get(shape) ?? []), id]);
    }
  } catch (error) {
    if (error instanceof GatewayConfigError) return error.message;
    throw error;
  }
  if (!check || !asksOpenclaw(fleet)) return null;
  const known = shapesOf(taken);
  const waiting = [...candidates].filter(([shape]) => !known.has(shape));
  const faults = new Map<string, string[]>();
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [shape, shards] = next;
      const found = await check(JSON.parse(shape) as JsonObject);
      if (found.ok) continue;
      faults.set(found.message, [...(faults.get(found.message) ?? []), ...shards]);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, parallel) }, work));
  if (faults.size === 0) return null;
  const said = [...faults].map(([message, shards]) => `${message} (${shards.sort().join(", ")})`);
  return `OpenClaw refuses these settings: ${said.join("; ")}. Mend ${settingsOf([...faults.keys()], fleet)}`;
}

function shapesOf(fleet: FleetConfig | null): ReadonlySet<string> {
  try {
    return new Set(fleet?.shards.map(({ id }) => JSON.stringify(configShape(fleet, id))));
  } catch {
    // Somebody changed it by hand: then nothing of it is known.
    return new Set();
  }
}

/** Without any of these the configuration is the fleet's own, which is known to be good. */
function asksOpenclaw(fleet: FleetConfig): boolean {
  return (
    Object.keys(fleet.openclaw).length > 0 ||
    fleet.models !== "demo" ||
    fleet.agents.some((agent) => Object.keys(agent.channels).length > 0)
  );
}

/** Settings of the stack that OpenClaw's complaints can come from: each begins with a path in its own file. */
function settingsOf(messages: readonly string[], { openclaw, models }: FleetConfig): string {
  const named = new Set<string>();
  for (const message of messages.flatMap((each) => each.split("; "))) {
    const [, key = ""] = /^<root>: .*?"([^"]+)"/.exec(message) ?? [];
    const [, top = key] = /^([A-Za-z]+)[.:]/.exec(message) ?? [];
    if (top === "channels") named.add("the agents' `channels` in openclaw-fleet:agents");
    if (top === "models" && models !== "demo") named.add("openclaw-fleet:models");
    if (Object.hasOwn(openclaw, top)) named.add(`openclaw-fleet:openclaw.${top}`);
  }
  if (named.size > 0) return [...named].join(" or ");
  return "openclaw-fleet:openclaw, openclaw-fleet:models or the agents' `channels`";
}
