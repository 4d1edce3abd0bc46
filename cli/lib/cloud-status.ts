import type { ErrorBody, FleetStatus } from "../../gateway/contract.ts";
import type { FleetReadiness } from "../../gateway/readiness.ts";
import { rawSettings } from "../settings.ts";
import { CommandFailed, NotUpYet } from "./errors.ts";
import { paint, table } from "./terminal.ts";
import { columnsOf, wrap } from "./wrap.ts";

/** Why nothing runs on a stack of AWS, and what to do about it if there is anything. */
export interface WhyNoFleet {
  /** Stands in every message about it. */
  readonly why: string;
  readonly advice?: string;
}

/** @param layers the setting of that name, unchecked; read from the stack's file when left out */
export function whyNoFleet(
  stack: string,
  target: string,
  layers: unknown = rawSettings(stack).layers,
): WhyNoFleet {
  if (target === "eks") return { why: "this version does not put the runtime on EKS" };
  if (!makesFleet(layers)) {
    const made = (layers as readonly string[]).join(" and ");
    return { why: `it makes ${made} alone (openclaw-fleet:layers)` };
  }
  return {
    why: "its outputs name no hosts: no `up` put the runtime on them and came to its end",
    advice: `./fleet up --stack ${stack}`,
  };
}

/** Whether a stack on AWS is to have a fleet, by its setting `layers`, unchecked: all layers when left out. */
export const makesFleet = (layers: unknown): boolean =>
  !Array.isArray(layers) || layers.includes("fleet");

/** The stack's target where that is on AWS; null elsewhere. */
export function cloudTarget(stack: string): "ec2" | "eks" | null {
  const { target } = rawSettings(stack);
  return target === "ec2" || target === "eks" ? target : null;
}

/** What is there of a stack on AWS. With the fields of {@link FleetStatus}, so that programs read one form. */
export interface CloudStatus extends Pick<FleetStatus, "fleet" | "nodes" | "shards" | "store"> {
  readonly heldRequests: number;
  readonly target: string;
  readonly preset: string;
  readonly endpoint: string;
  /** Nodes and shards that the stack is planned for; those that run are in `nodes` and `shards`. */
  readonly planned: { readonly nodes: readonly string[]; readonly shards: readonly string[] };
  readonly status: FleetReadiness["level"];
  /** What answered: the code of its error, `http_<status>`, `unreachable`, or `ok`. */
  readonly answer: string;
  /** Cause and consequence, for the first line. */
  readonly text: string;
  readonly notes: readonly string[];
}

/** Longest that the endpoint may take for its answer. */
const ANSWER_MS = 5_000;

type Fields = Readonly<Record<string, unknown>>;

/**
 * Asks the endpoint that the stack's outputs name how the fleet is. @throws CommandFailed when the
 * stack has none, because it was never brought up or makes lower layers alone.
 */
export async function lookAtCloud(
  stack: string,
  outputs: Fields,
  ask: typeof fetch = fetch,
): Promise<CloudStatus> {
  const { endpoint, target, preset } = outputs;
  if (typeof endpoint !== "string" || endpoint === "") {
    const layers = Object.keys(outputs).filter((name) => LAYERS.includes(name));
    throw new CommandFailed(
      `Stack ${stack} has no endpoint that could be asked`,
      layers.length > 0
        ? `it makes ${layers.join(" and ")} alone (openclaw-fleet:layers)`
        : "it was never brought up, or the first attempt stopped before its end",
      layers.length > 0 ? undefined : `./fleet up --stack ${stack}`,
    );
  }
  const list = (name: string) => (Array.isArray(outputs[name]) ? (outputs[name] as string[]) : []);
  return {
    fleet: stack,
    nodes: [],
    shards: [],
    store: { kind: "none", ok: false },
    heldRequests: 0,
    target: String(target ?? ""),
    preset: String(preset ?? ""),
    endpoint,
    planned: { nodes: list("nodes"), shards: list("shards") },
    ...(await judge({ stack, endpoint, target: String(target ?? "") }, ask)),
  };
}

const LAYERS: readonly string[] = ["base", "data", "compute"];

type Judged = Pick<CloudStatus, "status" | "answer" | "text" | "notes">;

async function judge(
  { stack, endpoint, target }: { stack: string; endpoint: string; target: string },
  ask: typeof fetch,
): Promise<Judged> {
  const none = () => `no fleet runs here yet: ${whyNoFleet(stack, target).why}`;
  let response: Response;
  let body: unknown;
  try {
    const url = new URL("/api/v1/health", endpoint);
    response = await ask(url, { signal: AbortSignal.timeout(ANSWER_MS), redirect: "manual" });
    body = await json(response);
  } catch (error) {
    return {
      status: "down",
      answer: "unreachable",
      text: `${none()}; nothing answers at ${endpoint} (${reasonOf(error as Error)})`,
      notes: [`what was made can be looked at with ./fleet output --stack ${stack}`],
    };
  }
  const code = (body as Partial<ErrorBody> | null)?.error?.code;
  if (code === "no_fleet") {
    return {
      status: "down",
      answer: code,
      text: `${none()}; ${endpoint} is reached, and answers 503 no_fleet to everybody`,
      notes: [],
    };
  }
  const health = body as { status?: unknown; shards?: { serving: number; total: number } } | null;
  if (response.ok && isLevel(health?.status)) {
    const { serving = 0, total = 0 } = health.shards ?? {};
    const text = `${serving} of ${total} shards serving`;
    return { status: health.status, answer: "ok", text, notes: [] };
  }
  return {
    status: "down",
    answer: code ?? `http_${response.status}`,
    text: `${endpoint} answers ${response.status}${code ? ` ${code}` : ""}, and not as a fleet does`,
    notes: [
      `look whether openclaw-fleet:domain leads to this stack (./fleet output --stack ${stack})`,
    ],
  };
}

const isLevel = (level: unknown): level is FleetReadiness["level"] =>
  level === "ok" || level === "degraded" || level === "down";

async function json(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

function reasonOf(error: Error): string {
  if (error.name === "TimeoutError") return `no answer within ${ANSWER_MS / 1_000} s`;
  return (error.cause as { code?: string } | undefined)?.code ?? error.message;
}

/** The page of `./fleet status` for a stack on AWS. */
export function renderCloudStatus(status: CloudStatus): string {
  const { fleet, preset, target, endpoint, planned, notes } = status;
  const columns = columnsOf();
  const colour = ({ ok: "green", degraded: "yellow", down: "red" } as const)[status.status];
  const level = status.status === "ok" ? "ok" : status.status.toUpperCase();
  const facts = [fleet, preset, target].filter((fact) => fact !== "");
  const count = (ids: readonly string[]) => (ids.length === 0 ? "none" : String(ids.length));
  return [
    wrap(`${facts.join(" · ")} · ${paint(colour, level)}: ${status.text}`, columns),
    "",
    table(
      ["WHAT", "VALUE"],
      [
        ["endpoint", endpoint],
        ["its answer", status.answer],
        ["nodes planned", count(planned.nodes)],
        ["shards planned", count(planned.shards)],
      ],
    ),
    ...(notes.length > 0 ? ["", ...notes.map((note) => wrap(`! ${note}`, columns, 2))] : []),
  ].join("\n");
}

/**
 * The end of an `up`: what was wished for is a fleet that answers, or the lower layers alone where the
 * settings say so (`layers`). True where a fleet answers, false where none was wished for.
 * @throws CommandFailed when everything is made and no fleet runs on it.
 */
export async function answersInCloud(
  stack: string,
  outputs: Fields,
  layers: unknown = rawSettings(stack).layers,
): Promise<boolean> {
  if (!makesFleet(layers)) return false;
  const { status, text } = await lookAtCloud(stack, outputs);
  if (status !== "down") return true;
  throw new CommandFailed(
    `All that the fleet of ${stack} is to run on is made, and the fleet is not there`,
    text,
    `./fleet status --stack ${stack}`,
  );
}

/** For every command that needs a fleet to talk to. */
export function noFleetOn(stack: string, target: string): NotUpYet {
  const { why, advice } = whyNoFleet(stack, target);
  return new NotUpYet(
    `Stack ${stack} has no fleet to talk to`,
    `its target is ${target}, and ${why}`,
    advice ?? `./fleet status --stack ${stack} says what is there`,
  );
}
