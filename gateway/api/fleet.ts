import type { FleetStatus, ShardId } from "../contract.ts";
import { isLoopback, requireCaller } from "../router/auth.ts";
import { parseJson, readBody } from "../router/body.ts";
import type { RequestContext } from "../router/context.ts";
import { RouterError, sendJson } from "../router/errors.ts";
import { FleetCommandError } from "../router/view.ts";
import { askPeers } from "./peers.ts";

const MAX_BODY = 64 * 1024;
const MAX_HISTORY = 1_000;
const DEFAULT_HISTORY = 100;

/** `GET /api/v1/fleet`: the node's view, completed with what only routers know. */
export async function fleetStatus(ctx: RequestContext): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const status = ctx.deps.view.status();
  const [held, sessions] = await Promise.all([heldEverywhere(ctx), sessionsByShard(ctx)]);
  const whole: FleetStatus = {
    ...status,
    shards: status.shards.map((shard) => ({
      ...shard,
      sessions: sessions[shard.id] ?? shard.sessions,
    })),
    heldRequests: held,
  };
  sendJson(ctx.res, 200, whole);
}

/** Requests waiting in this router and its peers; a peer that does not answer counts as none. */
async function heldEverywhere({ deps, router }: RequestContext): Promise<number> {
  const peers = await askPeers<{ held: number }>(deps.view, router, "/internal/stats");
  return peers.reduce((sum, { answer }) => sum + answer.held, router.held());
}

async function sessionsByShard(ctx: RequestContext): Promise<Record<ShardId, number>> {
  try {
    return (await ctx.deps.sessions.counts()).byShard;
  } catch {
    return {};
  }
}

/** `POST /api/v1/fleet/drain|resume|move`. */
export async function fleetCommand(
  ctx: RequestContext,
  command: "drain" | "resume" | "move",
): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const fields = parseJson(await readBody(ctx.req, MAX_BODY));
  const { control } = ctx.deps;
  await asRouterErrors(async () => {
    if (command === "move") {
      const shard = name(fields, "shard");
      const to = name(fields, "to");
      await control.move(shard, to);
      sendJson(ctx.res, 200, { ok: true, shard, to });
      return;
    }
    const node = name(fields, "node");
    await control[command](node);
    sendJson(ctx.res, 200, { ok: true, node });
  });
}

/** `GET /api/v1/history?limit=`: newest events of the fleet. */
export async function history(ctx: RequestContext): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const given = ctx.target.query.get("limit");
  const limit = given === null ? DEFAULT_HISTORY : Number(given);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_HISTORY) {
    throw new RouterError(
      "bad_request",
      `limit is "${given}"; it must be a whole number from 1 to ${MAX_HISTORY}`,
    );
  }
  await asRouterErrors(async () => {
    sendJson(ctx.res, 200, { entries: await ctx.deps.control.history(limit) });
  });
}

/**
 * `POST /internal/agent/drain`: drains the shards of this node (of one agent, or all). From loopback
 * without a token, unless a proxy or a web page stands behind the request.
 */
export async function agentDrain(ctx: RequestContext): Promise<void> {
  const { headers, socket } = ctx.req;
  const local =
    isLoopback(ctx.client.address) &&
    isLoopback((socket.remoteAddress ?? "").replace(/^::ffff:/, "")) &&
    !ctx.client.proxied &&
    headers.origin === undefined &&
    headers["sec-fetch-site"] === undefined;
  if (!local || headers.authorization !== undefined) {
    requireCaller(ctx.router.tokens, headers, "admin");
  }
  const fields = parseJson(await readBody(ctx.req, MAX_BODY));
  const agent = fields.agent === undefined ? undefined : name(fields, "agent");
  await asRouterErrors(async () => {
    const { shards } = await ctx.deps.control.drainHere(agent);
    sendJson(ctx.res, 200, { ok: true, shards });
  });
}

function name(fields: Record<string, unknown>, field: string): string {
  const value = fields[field];
  if (typeof value === "string" && value !== "") return value;
  throw new RouterError("bad_request", `the body needs "${field}", a name`);
}

async function asRouterErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof FleetCommandError) throw new RouterError(error.code, error.message);
    throw error;
  }
}
