import { randomUUID } from "node:crypto";
import { callJson } from "./lib/api.ts";
import { CommandFailed } from "./lib/errors.ts";
import { fleetAccess } from "./lib/fleet.ts";

/** A first turn takes OpenClaw a few seconds, on a busy machine some tens. */
const TURN_MS = 120_000;

/**
 * One real turn through the public door, as the user would have it. The demo model answers by itself;
 * with a real one a turn costs money, so there the router's own word is taken: every shard serves.
 * @throws CommandFailed when the fleet does not answer.
 */
export async function proveReady(stack: string): Promise<void> {
  const access = fleetAccess(stack);
  const health = await callJson<{ status: string; shards: { serving: number; total: number } }>(
    access,
    "/api/v1/health",
    { as: "anyone" },
  );
  if (health.status !== "ok") {
    throw new CommandFailed(
      `The fleet of ${stack} is ${health.status}: ${health.shards.serving} of ${health.shards.total} shards serve`,
      undefined,
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
