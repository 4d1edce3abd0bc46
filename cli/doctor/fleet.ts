import type { FleetStatus } from "../../gateway/contract.ts";
import { callJson } from "../lib/api.ts";
import { fleetAccess } from "../lib/fleet.ts";
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
    const why = error instanceof Error ? error.message : String(error);
    const text = `stack ${stack} does not run here`;
    return { id, state: "warn", text, why, fix: `./fleet up --stack ${stack}` };
  }
  return fleetCheckOf(status, stack);
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
