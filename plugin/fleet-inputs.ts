import { z } from "zod";
import { type FleetConfig, fleetConfig } from "../gateway/config.ts";
import { settingsRevision } from "../gateway/supervisor/config-file.ts";
import { placeAgents } from "../stacks/placement.ts";
import { isObject, type Props, reveal } from "./values.ts";

const fields = fleetConfig.shape;
const agent = fields.agents.element;

/** Inputs of `openclaw:local:Fleet`. Agents and shards are maps, so that a change names what changed. */
export const fleetInputs = z.strictObject({
  /** Where the fleet lives. It cannot be changed: conversations do not move by themselves. */
  dataDir: z.string(),
  /** Name of the fleet: the stack. */
  fleet: z.string(),
  target: fields.target,
  preset: z.string(),
  host: z.string(),
  port: z.number().int(),
  /** Keep conversations when the fleet is deleted. */
  keepData: z.boolean(),
  /** Memory that the planned shards and nodes need together, MiB. */
  memoryMiB: z.number(),
  /** Free disk it needs to begin, MiB. */
  diskMiB: z.number(),
  shards: z.record(
    z.string(),
    z.strictObject({ memoryMiB: z.number(), recycleMiB: z.number().int().positive() }),
  ),
  agents: z.record(
    z.string(),
    agent.omit({ name: true }).extend({ placement: z.enum(["shared", "dedicated"]) }),
  ),
  models: fields.models,
  openclaw: z.record(z.string(), z.unknown()),
  channelBinding: z.record(z.string(), z.array(z.string())),
  /** Own tokens; what is missing is made. */
  tokens: z.strictObject({
    client: z.array(z.string().min(24)).optional(),
    admin: z.string().min(24).optional(),
  }),
  trustedProxies: z.array(z.string()),
  scrapers: z.array(z.string()),
  limits: fields.limits,
  turnBudgetMs: z.number().int().positive(),
});
export type FleetInputs = z.infer<typeof fleetInputs>;

export type FleetTokens = FleetConfig["tokens"];

/** `fleet.json` of inputs and tokens. Shards and agents in a fixed order, `main` first. */
export function renderFleet(inputs: FleetInputs, tokens: FleetTokens): FleetConfig {
  return fleetConfig.parse(layOutFleet(inputs, tokens));
}

/** What of the inputs `fleet.json` holds: no place of this machine, and no needs. */
export type FleetLayout = Omit<
  FleetInputs,
  "dataDir" | "keepData" | "memoryMiB" | "diskMiB" | "tokens"
>;

/**
 * The same without a check of its values, for a file in which marks stand where secrets come
 * (components/host/types.ts).
 */
export function layOutFleet(inputs: FleetLayout, tokens: FleetTokens): z.input<typeof fleetConfig> {
  const names = Object.keys(inputs.agents).sort((a, b) =>
    a === "main" ? -1 : b === "main" ? 1 : a < b ? -1 : 1,
  );
  const shards = Object.entries(inputs.shards)
    .sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))
    .map(([id, { recycleMiB }]) => ({
      id,
      agents: names.filter((name) => inputs.agents[name]?.shards.includes(id)),
      recycleMiB,
    }));
  const agents = names.map((name) => {
    const { placement: _, ...rest } = inputs.agents[name] as FleetInputs["agents"][string];
    return { name, ...rest };
  });
  return {
    version: 1,
    fleet: inputs.fleet,
    target: inputs.target,
    preset: inputs.preset,
    host: inputs.host,
    port: inputs.port,
    shards,
    agents,
    models: inputs.models,
    openclaw: inputs.openclaw,
    channelBinding: inputs.channelBinding,
    tokens,
    trustedProxies: inputs.trustedProxies,
    scrapers: inputs.scrapers,
    ...(inputs.limits === undefined ? {} : { limits: inputs.limits }),
    turnBudgetMs: inputs.turnBudgetMs,
  };
}

/** The file's text, the same for the same configuration. */
export function fleetText(config: object): string {
  return `${JSON.stringify(sorted(config), null, 2)}\n`;
}

/** Names one state of the file, to see whether somebody changed it. */
export const revision = settingsRevision;

/** Keys come back from Pulumi in another order than they went. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/**
 * New inputs with every agent kept where it lives: its home and its shards stay as recorded in the
 * old inputs as long as those shards exist, whatever the plan chose for an agent without a past.
 */
export function keepPlaces(olds: Props, news: Props): Props {
  const before = reveal<Partial<FleetInputs>>(olds).agents;
  const after = reveal<Partial<FleetInputs>>(news);
  if (!before || !isObject(after.agents) || !isObject(after.shards) || !isObject(news.agents)) {
    return news;
  }
  const dedicated = Object.values(after.agents)
    .filter((a) => a.placement === "dedicated")
    .flatMap((a) => a.shards);
  const shared = Object.keys(after.shards)
    .filter((id) => !dedicated.includes(id))
    .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const wanted = Object.entries(after.agents).map(([name, a]) => ({
    name,
    placement: a.placement,
    replicas: a.shards.length,
  }));
  const places = placeAgents(wanted, shared, before);
  const agents = Object.fromEntries(
    Object.entries(news.agents).map(([name, a]) => [
      name,
      isObject(a) ? { ...a, ...places[name] } : a,
    ]),
  );
  return { ...news, agents };
}
