import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { CommandFailed } from "../lib/errors.ts";
import { fleetAccess } from "../lib/fleet.ts";
import { targetOf } from "../lib/fleet-place.ts";
import { verdict } from "../lib/verdict.ts";
import type { Check } from "./check.ts";

/** How the stack's fleet is, by the same judgement as `status`. */
export async function fleetCheck(stack: string): Promise<Check> {
  const id = "fleet";
  let status: FleetStatus;
  try {
    const access = await fleetAccess(stack);
    status = await callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });
  } catch (error) {
    const why = reasonOf(error);
    const text =
      targetOf(stack) === "local"
        ? `stack ${stack} does not run here`
        : `stack ${stack} has no fleet that answers`;
    return { id, state: "warn", text, why, fix: `./fleet up --stack ${stack}` };
  }
  return fleetCheckOf(status, stack);
}

/** First what failed, then why, where both are known. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const why = error instanceof CommandFailed ? error.why : undefined;
  return why ? `${error.message}: ${why}` : error.message;
}

export function fleetCheckOf(status: FleetStatus, stack: string): Check {
  const id = "fleet";
  const { level, text, notes } = verdict(status, stack);
  if (level === "ok") return { id, state: "ok", text: `ok: ${text}` };
  return {
    id,
    state: level === "down" ? "fail" : "warn",
    text: `${level}: ${text}`,
    fix: notes.join("; ") || `./fleet status --stack ${stack}`,
  };
}
