import { randomUUID } from "node:crypto";
import type { FleetStatus } from "../gateway/contract.ts";
import { readiness } from "../gateway/readiness.ts";
import { callJson } from "./lib/api.ts";
import { CommandFailed } from "./lib/errors.ts";
import { fleetAccess } from "./lib/fleet.ts";

/** A first turn takes OpenClaw a few seconds, on a busy machine some tens. */
const TURN_MS = 120_000;

/**
 * One real turn through the public door, as the user would have it. The demo model answers by itself;
 * with a real one a turn costs money, so there the provider's first turn has to do.
 * @throws CommandFailed when the fleet does not answer.
 */
export async function proveReady(stack: string): Promise<void> {
  const access = fleetAccess(stack);
  const status = await callJson<FleetStatus>(access, "/api/v1/fleet", { as: "admin" });
  const { ready, level, serving, total, causes } = readiness(status);
  if (!ready) {
    throw new CommandFailed(
      `The fleet of ${stack} is ${level}: ${serving} of ${total} shards serve`,
      causes.join(", "),
      `./fleet status --stack ${stack}`,
    );
  }
  if (access.config?.models !== "demo") return;
  const answer = await callJson<{ reply?: string }>(access, "/api/v1/chat", {
    as: "client",
    method: "POST",
    body: { message: "Are you there?", session: `ready-${randomUUID().slice(0, 8)}` },
    timeoutMs: TURN_MS,
  });
  if (!answer.reply) throw new CommandFailed("The fleet answered a chat with nothing");
}
