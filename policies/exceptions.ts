import { distance } from "fastest-levenshtein";
import { parse } from "yaml";
import type { Policy } from "./policy.ts";

/** A resource that may break a policy for a while, as a stack's file says it. */
export interface Exception {
  readonly policy: string;
  readonly urn: string;
  readonly reason: string;
  readonly owner: string;
  /** Last day on which it holds, ISO. */
  readonly expires: string;
}

/** What a file of exceptions came to: those that hold, and what is wrong with the others. */
export interface ExceptionsRead {
  readonly held: readonly Exception[];
  readonly faults: readonly string[];
}

const FIELDS = ["policy", "urn", "reason", "owner", "expires"] as const;
/** An exception is looked at again within a year. */
const MAX_DAYS = 366;
const DAY_MS = 86_400_000;

/**
 * Exceptions from YAML text: `exceptions`, a list of policy, urn, reason, owner and expires. One that
 * is expired, misspelt or for a mandatory policy is a fault and does not hold.
 */
export function readExceptions(
  text: string,
  { policies, today, file }: { policies: readonly Policy[]; today: string; file: string },
): ExceptionsRead {
  let document: unknown;
  try {
    document = parse(text, { schema: "failsafe" });
  } catch (error) {
    return {
      held: [],
      faults: [`${file} is not YAML: ${(error as Error).message.split("\n")[0]}`],
    };
  }
  const list = (document as { exceptions?: unknown } | null)?.exceptions;
  const strange = Object.keys(Object(document)).filter((key) => key !== "exceptions");
  const faults = strange.map((key) => `${file}: ${key} is not known here; only exceptions is`);
  if (list === undefined || list === "") return { held: [], faults };
  if (!Array.isArray(list))
    return { held: [], faults: [...faults, `${file}: exceptions is no list`] };
  const held: Exception[] = [];
  list.forEach((entry: unknown, i) => {
    const wrong = faultsOf(entry, policies, today);
    for (const fault of wrong) faults.push(`${file}: exceptions[${i}] ${fault}`);
    if (wrong.length === 0) held.push(entry as Exception);
  });
  return { held, faults };
}

function faultsOf(entry: unknown, policies: readonly Policy[], today: string): string[] {
  const fields = Object(entry) as Record<string, unknown>;
  const unknown = Object.keys(fields).filter((key) => !(FIELDS as readonly string[]).includes(key));
  const missing = FIELDS.filter((key) => `${fields[key] ?? ""}`.trim() === "");
  if (unknown.length + missing.length > 0) {
    return [
      ...unknown.map((key) => `has a field ${key}; known are ${FIELDS.join(", ")}`),
      ...missing.map((key) => `has no ${key}`),
    ];
  }
  const { policy: id, urn, expires } = entry as Exception;
  const policy = policies.find((one) => one.id === id);
  const faults: string[] = [];
  if (!policy) faults.push(`names ${id}, which is no policy${meant(id, policies)}`);
  if (policy?.severity === "mandatory")
    faults.push(`is for ${id}, which is mandatory and knows no exception`);
  if (!urn.startsWith("urn:pulumi:"))
    faults.push(`has ${urn} for a urn; ./fleet policy prints URNs`);
  const days = (Date.parse(expires) - Date.parse(today)) / DAY_MS;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(expires) || Number.isNaN(days))
    faults.push(`expires on ${expires}, which is no day such as 2027-01-31`);
  else if (days < 0) faults.push(`for ${id} expired on ${expires}: mend ${urn}, or decide anew`);
  else if (days > MAX_DAYS) faults.push(`expires on ${expires}, more than a year from now`);
  return faults;
}

function meant(id: string, policies: readonly Policy[]): string {
  const near = nearestId(id, policies);
  return near ? `. Did you mean ${near}?` : "";
}

/** The policy that a misspelt name most likely meant. */
export function nearestId(id: string, policies: readonly Policy[]): string | undefined {
  const [best] = policies
    .map((policy) => ({ id: policy.id, far: distance(id, policy.id) }))
    .sort((a, b) => a.far - b.far);
  return best && best.far <= Math.max(2, id.length / 3) ? best.id : undefined;
}
