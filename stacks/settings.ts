import { distance } from "fastest-levenshtein";
import type { z } from "zod";
import { ConfigError, type Fault } from "../components/errors.ts";
import { bare, knownKeys, schemasAt, typeName } from "./schema-walk.ts";
import { secretAt } from "./secrets.ts";
import { formatPath, parsePath } from "./setting-path.ts";
import { type Settings, settingsSchema } from "./settings-schema.ts";
import type { StackFile } from "./stack-file.ts";

export type { AgentSettings, Settings } from "./settings-schema.ts";

const NAMESPACE = "openclaw-fleet:";

/** Whether the value at a path must not be shown. */
type Hidden = (path: readonly PropertyKey[]) => boolean;

export interface SettingsSource {
  /** The stack's configuration as Pulumi gives it: full key to text, objects as JSON. */
  config: Readonly<Record<string, string>>;
  /** For places in errors. */
  file?: StackFile | undefined;
  /** Environment that `env:NAME` and the default of `port` are read from. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Settings with every `env:NAME` replaced, and the paths that hold secrets. */
export interface LoadedSettings {
  readonly settings: Settings;
  /** Paths of values that came from the environment. */
  readonly fromEnv: readonly (readonly PropertyKey[])[];
}

/** Reads and checks a stack's settings. Throws one ConfigError with every fault. */
export function loadSettings(source: SettingsSource): LoadedSettings {
  const raw = readRaw(source.config);
  const faults: Fault[] = [];
  takePort(raw, source.env, faults);
  takeFrontPort(raw, faults);
  const fromEnv: PropertyKey[][] = [];
  const resolved = resolveEnv(raw, [], source.env, fromEnv, faults);
  const parsed = settingsSchema.safeParse(resolved);
  if (!parsed.success) {
    const hidden = secretAt({ secure: source.file?.secure ?? [], fromEnv, secretSettings: [] });
    for (const issue of parsed.error.issues) faults.push(...explain(issue, resolved, hidden));
  } else faults.push(...checkTogether(parsed.data));
  if (faults.length > 0 || !parsed.success) {
    throw new ConfigError(faults.map((fault) => withPlace(fault, source.file)));
  }
  return { settings: parsed.data, fromEnv };
}

/** Adds places to a ConfigError that a plan threw. */
export function locate(error: ConfigError, file: StackFile | undefined): ConfigError {
  return new ConfigError(error.faults.map((fault) => withPlace(fault, file)));
}

/** Pulumi gives scalars as text and the rest as JSON; what a text means is the schema's word. */
function readRaw(config: Readonly<Record<string, string>>): Record<string, unknown> {
  const raw: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(config)) {
    if (!key.startsWith(NAMESPACE)) continue;
    const name = key.slice(NAMESPACE.length);
    const schema = settingsSchema.shape[name as keyof Settings];
    const kind = schema ? (bare(schema).def as { type: string }).type : "unknown";
    raw[name] = kind === "string" || kind === "enum" ? text : parseJson(text);
  }
  return raw;
}

/** A fleet on this machine whose settings name no port has the one of `OPENCLAW_PORT`. */
function takePort(
  raw: Record<string, unknown>,
  { OPENCLAW_PORT: given }: SettingsSource["env"],
  faults: Fault[],
): void {
  if (!given || raw.port !== undefined || (raw.target ?? "local") !== "local") return;
  const port = settingsSchema.shape.port.safeParse(Number(given));
  if (port.success) raw.port = port.data;
  else {
    faults.push({
      setting: "port",
      problem: `is ${show(given)} by OPENCLAW_PORT, which is no port`,
      remedy: "Set that variable to a number from 1 to 65535, or unset it",
    });
  }
}

/** On hosts people talk to the fronts: a port that was set is theirs, and an address of the routers is none of a person's. */
function takeFrontPort(raw: Record<string, unknown>, faults: Fault[]): void {
  if (raw.target !== "hosts") return;
  if (raw.host !== undefined) {
    faults.push({
      setting: "host",
      problem: `is ${show(raw.host)}, and on hosts nobody talks to the routers themselves`,
      remedy: "Take it away; fronts listen on all addresses of front.hosts",
    });
  }
  const { port, front = {} } = raw;
  if (port === undefined || typeof front !== "object" || front === null) return;
  const { httpsPort = port } = front as { httpsPort?: unknown };
  if (httpsPort === port) raw.front = { ...front, httpsPort };
  else {
    faults.push({
      setting: "port",
      problem: `is ${show(port)}, and front.httpsPort is ${show(httpsPort)}: on hosts they are the same`,
      remedy: "Take one of them away",
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Settings below which `env:NAME` is replaced. `openclaw` is raw, OpenClaw has references of its own. */
const WITH_ENV = new Set<PropertyKey>([
  "agents",
  "models",
  "tokens",
  "hosts",
  "redis",
  "monitoring",
  "replication",
]);
const ENV_REFERENCE = /^env:([A-Za-z_][A-Za-z0-9_]*)$/;

function resolveEnv(
  value: unknown,
  path: PropertyKey[],
  env: SettingsSource["env"],
  found: PropertyKey[][],
  faults: Fault[],
): unknown {
  if (path.length === 1 && !WITH_ENV.has(path[0] as PropertyKey)) return value;
  if (typeof value === "string") {
    const name = ENV_REFERENCE.exec(value)?.[1];
    if (name === undefined) return value;
    const got = env[name];
    if (got) {
      found.push(path);
      return got;
    }
    faults.push({
      setting: formatPath(path),
      problem: `is ${value}, but the environment has no ${name}`,
      remedy: `Set it where you run the command (export ${name}=…), or store the key as a Pulumi secret`,
    });
    // Long enough for every rule, so that the missing variable is the only complaint.
    return "x".repeat(24);
  }
  if (Array.isArray(value)) {
    return value.map((item, i) => resolveEnv(item, [...path, i], env, found, faults));
  }
  if (value && typeof value === "object") {
    return Object.fromEntries(
      Object.entries(value).map(([key, v]) => [
        key,
        resolveEnv(v, [...path, key], env, found, faults),
      ]),
    );
  }
  return value;
}

function explain(issue: z.core.$ZodIssue, root: unknown, hidden: Hidden): Fault[] {
  const path = issue.path;
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(settingsSchema, path);
    return issue.keys.map((key) => unknownKey(path, key, known));
  }
  if (issue.code === "invalid_union") {
    const value = valueAt(root, path);
    // The form the person meant: an object is checked as the object form.
    const branches = issue.errors.map((errors) =>
      errors.map((e) => ({ ...e, path: [...path, ...e.path] }) as z.core.$ZodIssue),
    );
    const deep = branches.find(
      (errors) =>
        value &&
        typeof value === "object" &&
        errors.some((e) => e.path.length > path.length || e.code === "unrecognized_keys"),
    );
    if (deep) return deep.flatMap((e) => explain(e, root, hidden));
  }
  return [wrongValue(issue, valueAt(root, path), hidden)];
}

function unknownKey(path: readonly PropertyKey[], key: string, known: readonly string[]): Fault {
  const setting = formatPath([...path, key]);
  const near = nearest(key, known);
  return {
    setting,
    problem: "is not a setting.",
    remedy: near
      ? `Did you mean openclaw-fleet:${formatPath([...path, near])}?`
      : `Known here: ${[...known].sort().join(", ")}`,
  };
}

/** The known name a person most likely meant; undefined when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((name) => ({ name, far: distance(word.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const [best] = ranked;
  return best && best.far <= Math.max(2, Math.floor(word.length / 3)) ? best.name : undefined;
}

function wrongValue(issue: z.core.$ZodIssue, value: unknown, hidden: Hidden): Fault {
  const setting = formatPath(issue.path);
  const [schema] = schemasAt(settingsSchema, issue.path);
  const expected = schema ? typeName(schema) : "another value";
  if (value === undefined) {
    return { setting, problem: "is missing", remedy: `Set it (${expected})` };
  }
  const shown = hidden(issue.path) ? "has a value that" : `is ${show(value)}, which`;
  if (issue.code === "too_small" || issue.code === "too_big") {
    const bound =
      issue.code === "too_small" ? `at least ${issue.minimum}` : `at most ${issue.maximum}`;
    const unit = issue.origin === "string" ? " characters" : "";
    return {
      setting,
      problem: `${shown} is out of bounds`,
      remedy: `It must be ${bound}${unit}`,
    };
  }
  if (issue.code === "invalid_format" || issue.code === "custom") {
    return { setting, problem: `${shown} has the wrong form`, remedy: `Write ${issue.message}` };
  }
  if (schema && typeof value === "string" && expected.includes(" | ")) {
    const near = nearest(value, expected.split(" | "));
    return {
      setting,
      problem: `${shown} is none of ${expected.split(" | ").join(", ")}`,
      remedy: near ? `Did you mean ${near}?` : "Choose one of them",
    };
  }
  return { setting, problem: `${shown} is not of the right kind`, remedy: `Write: ${expected}` };
}

function checkTogether(s: Settings): Fault[] {
  const faults: Fault[] = [];
  if (s.ephemeral && (s.environment === "prod" || s.keepData)) {
    faults.push({
      setting: "ephemeral",
      problem: `is set in a stack that keeps what it holds (${s.environment === "prod" ? "environment is prod" : "keepData is true"})`,
      remedy: "Leave out one of the two: ./fleet reap deletes an ephemeral stack and its data",
    });
  }
  const seen = new Set<string>();
  s.agents.forEach((agent, i) => {
    if (seen.has(agent.name)) {
      faults.push({
        setting: `agents[${i}].name`,
        problem: `is ${agent.name}, as is an agent before it`,
        remedy: "Give each agent a name of its own",
      });
    }
    seen.add(agent.name);
    faults.push(...checkModel(s, agent.model, `agents[${i}].model`));
    faults.push(...checkJobs(agent, `agents[${i}]`));
  });
  if (s.models !== "demo") {
    const { providers, primary, fallbacks } = s.models;
    for (const [setting, model] of [
      ["models.primary", primary] as const,
      ...fallbacks.map((m, i) => [`models.fallbacks[${i}]`, m] as const),
    ]) {
      faults.push(...missingProvider(setting, model, Object.keys(providers)));
    }
  }
  return faults;
}

function checkJobs(agent: Settings["agents"][number], path: string): Fault[] {
  const faults: Fault[] = [];
  const names = new Set<string>();
  const channels = Object.keys(agent.channels);
  agent.cron.forEach(({ name, deliver }, i) => {
    if (names.has(name)) {
      faults.push({
        setting: `${path}.cron[${i}].name`,
        problem: `is ${name}, as is a job before it`,
        remedy: "Give each job of an agent a name of its own",
      });
    }
    names.add(name);
    if (deliver && !channels.includes(deliver.channel)) {
      faults.push({
        setting: `${path}.cron[${i}].deliver.channel`,
        problem: `is ${deliver.channel}, which is no channel of ${agent.name}`,
        remedy: channels.length > 0 ? `Its channels: ${channels.join(", ")}` : "Add it to channels",
      });
    }
  });
  return faults;
}

function checkModel(s: Settings, model: string | undefined, setting: string): Fault[] {
  if (model === undefined) return [];
  const providers = s.models === "demo" ? ["demo"] : Object.keys(s.models.providers);
  return missingProvider(setting, model, providers);
}

/** OpenClaw knows providers of its own, so only a near miss of a configured one is surely wrong. */
function missingProvider(setting: string, model: string, providers: readonly string[]): Fault[] {
  const provider = model.split("/")[0] as string;
  if (providers.includes(provider)) return [];
  const near = nearest(provider, providers);
  if (near === undefined) return [];
  return [
    {
      setting,
      problem: `is ${model}, but models.providers has no ${provider}.`,
      remedy: `Did you mean ${near}/${model.slice(provider.length + 1)}?`,
    },
  ];
}

function withPlace(fault: Fault, file: StackFile | undefined): Fault {
  const place = file?.place(parsePath(fault.setting));
  return place ? { ...fault, place } : fault;
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      at && typeof at === "object" ? (at as Record<PropertyKey, unknown>)[key] : undefined,
    root,
  );
}

function show(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const short = text.length > 60 ? `${text.slice(0, 57)}…` : text;
  return typeof value === "string" && !/^[\w./:-]+$/.test(short) ? JSON.stringify(short) : short;
}
