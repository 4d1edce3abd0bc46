import { PRESETS, type PresetName } from "../stacks/preset-table.ts";
import type { Severity } from "./policy.ts";

/** What policies know of the stack beside its resources. */
export interface Facts {
  /** The stack's name; names and tags carry it. */
  readonly stack: string;
  readonly environment: "prod" | "staging" | "dev";
  /** As the settings say it, or as they lead to it. */
  readonly preset: PresetName;
  /** The preset was written down, and not chosen for the number of users. */
  readonly presetSet: boolean;
  /** Two copies of a store are expected: presets from `medium` up. */
  readonly copies: boolean;
  readonly permissionsBoundaryArn: string | undefined;
  readonly budgetMonthlyUsd: number | undefined;
  /** Tags of the stack's own setting. */
  readonly tags: Readonly<Record<string, string>>;
  /** Families of machines that may be used beside the listed ones. */
  readonly instanceFamilies: readonly string[];
  /** GPUs that pools may hold together; 0 when GPUs were not asked for. */
  readonly gpus: number;
  /** Settings whose values lie open in the stack's file. */
  readonly openSettings: Readonly<Record<string, unknown>>;
  readonly severities: Readonly<Record<string, string>>;
  /** Path of the file with exceptions, from the project's folder. */
  readonly exceptions: string | undefined;
  /** ISO day. */
  readonly today: string;
  /** Called where a judgement waits for `up`, because a value is not known yet. */
  readonly waits: (what: string) => void;
}

const NAMESPACE = "openclaw-fleet:";

/**
 * Facts from the settings of a stack's file (full key to value, objects also as JSON text). Wrong
 * settings are the program's to refuse; here they count as left out.
 */
export function readFacts(source: {
  readonly stack: string;
  /** Without those that Pulumi has encrypted. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly today: string;
}): Facts {
  const setting = (name: string): unknown => parsed(source.settings[`${NAMESPACE}${name}`]);
  const object = (name: string): Record<string, unknown> => asObject(setting(name));
  const environment = setting("environment");
  const preset = PRESETS.find(({ name }) => name === setting("preset"));
  const row = preset ?? smallest(number(setting("users")), number(setting("nodes")));
  const policies = object("policies");
  const gpu = asObject(object("gpu"));
  return {
    stack: source.stack,
    environment: environment === "prod" || environment === "staging" ? environment : "dev",
    preset: row.name,
    presetSet: preset !== undefined,
    copies: row.redis === "sentinel" || row.redis === "cluster",
    permissionsBoundaryArn: text(object("aws").permissionsBoundaryArn),
    budgetMonthlyUsd: number(setting("budgetMonthlyUsd")),
    tags: strings(object("tags")),
    instanceFamilies: list(policies.instanceFamilies),
    gpus: number(gpu.limit) ?? 0,
    openSettings: source.settings,
    severities: strings(asObject(policies.severity)) as Record<string, Severity>,
    exceptions: text(policies.exceptions),
    today: source.today,
    waits: () => undefined,
  };
}

/** The smallest row that admits both, as the plan chooses it. */
function smallest(users: number | undefined, nodes: number | undefined) {
  const admits = (most: number | null, wanted: number | undefined) =>
    most === null || wanted === undefined || wanted <= most;
  const fits = PRESETS.find((row) => admits(row.users.max, users) && admits(row.nodes.max, nodes));
  return fits ?? (PRESETS.at(-1) as (typeof PRESETS)[number]);
}

function parsed(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === "object" && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
const text = (value: unknown): string | undefined =>
  typeof value === "string" ? value : undefined;
const number = (value: unknown): number | undefined =>
  typeof value === "number" ? value : undefined;
const list = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);
const strings = (value: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, String(inner)]));
