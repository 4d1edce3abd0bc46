import { HEADER, type ShardId } from "../contract.ts";
import { requireCaller } from "../router/auth.ts";
import { parseJson, readBody } from "../router/body.ts";
import type { RequestContext } from "../router/context.ts";
import type { RouterDeps } from "../router/deps.ts";
import { RouterError, sendJson } from "../router/errors.ts";
import { FleetCommandError, type StateControl } from "../router/view.ts";
import type { Replacement } from "../supervisor/replacements.ts";

const MAX_BODY = 64 * 1024;
/** The owner answers as soon as it has begun. Listing the moments of a shard comes before. */
const OWNER_MS = 30_000;

/** `GET /api/v1/fleet/backups?shard=`: the moments that shards can go back to, newest first. */
export async function backups(ctx: RequestContext): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const wanted = ctx.target.query.get("shard");
  const all = ctx.deps.view.config().shards.map(({ id }) => id);
  if (wanted !== null) requireShard(all, wanted);
  await asRouterErrors(async () => {
    const control = stateOf(ctx.deps);
    const shards = [];
    for (const id of wanted === null ? all : [wanted]) {
      shards.push({ id, points: await control.points(id) });
    }
    sendJson(ctx.res, 200, { shards });
  });
}

/**
 * `POST /api/v1/fleet/restore`: `{shard, place, site}` begins to bring a shard back to a moment, on whichever node owns
 * it; `{shard, drill: true}` restores the newest one beside everything and throws it away.
 */
export async function restore(ctx: RequestContext): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const fields = parseJson(await readBody(ctx.req, MAX_BODY));
  const shard = shardIn(ctx, fields);
  await asRouterErrors(async () => {
    if (fields.drill === true) {
      sendJson(ctx.res, 200, { shard, ...(await stateOf(ctx.deps).drill(shard)) });
      return;
    }
    const place = text(fields, "place");
    const site = fields.site === null || fields.site === undefined ? null : text(fields, "site");
    await replaceAtOwner(ctx, shard, { kind: "moment", place, site });
    sendJson(ctx.res, 200, { ok: true, shard, place, site });
  });
}

/** `POST /api/v1/fleet/adopt`: `{shard, directory}`; refuses a shard with conversations unless `force`. */
export async function adopt(ctx: RequestContext): Promise<void> {
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const fields = parseJson(await readBody(ctx.req, MAX_BODY));
  const shard = shardIn(ctx, fields);
  const path = text(fields, "directory");
  if (!path.startsWith("/")) {
    throw new RouterError("bad_request", `"${path}" must be an absolute path on the shard's node`);
  }
  await asRouterErrors(async () => {
    if (fields.force !== true) await requireEmpty(ctx, shard);
    await replaceAtOwner(ctx, shard, { kind: "directory", path });
    sendJson(ctx.res, 200, { ok: true, shard, directory: path });
  });
}

/**
 * The routers' map forgets who was away for long, and never knew bots and webhooks: the gateway itself is asked. One
 * that nobody owns is refused by what follows.
 */
async function requireEmpty({ deps, router }: RequestContext, shard: ShardId): Promise<void> {
  const { at } = deps.view.route(shard);
  if (at !== "here" && at !== "peer") return;
  const sessions = await router.listSessions(shard).catch((error: Error) => {
    throw new FleetCommandError(
      "conflict",
      `the gateway of ${shard} could not be asked which conversations it has (${error.message}); try again, or say force`,
    );
  });
  if (sessions.length === 0) return;
  throw new FleetCommandError(
    "conflict",
    `${shard} has ${sessions.length} conversations, which would be replaced; adopt into an empty shard, or say force`,
  );
}

/** A peer's order to the owner. */
export async function replaceHere(
  deps: RouterDeps,
  fields: Record<string, unknown>,
): Promise<void> {
  const { shard, replacement } = fields as { shard: ShardId; replacement: Replacement };
  await asRouterErrors(() => stateOf(deps).replace(shard, replacement));
}

async function replaceAtOwner(
  ctx: RequestContext,
  shard: ShardId,
  replacement: Replacement,
): Promise<void> {
  const route = ctx.deps.view.route(shard);
  if (route.at === "here") return stateOf(ctx.deps).replace(shard, replacement);
  if (route.at !== "peer") {
    throw new FleetCommandError("conflict", `${shard} does not serve now; its state is left alone`);
  }
  const { upstreams, tokens } = ctx.router;
  const answer = await upstreams.ask(
    {
      origin: upstreams.peer(route.address),
      method: "POST",
      path: "/internal/replace",
      headers: [HEADER.peerToken, tokens.peerToken, "content-type", "application/json"],
      body: Buffer.from(JSON.stringify({ shard, replacement })),
    },
    OWNER_MS,
  );
  if (answer.status === 200) return;
  const { error } = JSON.parse(answer.body) as { error: { code: string; message: string } };
  throw new FleetCommandError(
    error.code === "bad_request" ? "bad_request" : "conflict",
    error.message,
  );
}

function stateOf(deps: RouterDeps): StateControl {
  if (deps.control.state) return deps.control.state;
  throw new FleetCommandError("conflict", "this router looks after no shards");
}

function shardIn(ctx: RequestContext, fields: Record<string, unknown>): ShardId {
  const shard = text(fields, "shard");
  requireShard(
    ctx.deps.view.config().shards.map(({ id }) => id),
    shard,
  );
  return shard;
}

function requireShard(all: readonly ShardId[], shard: string): void {
  if (all.includes(shard)) return;
  throw new RouterError(
    "unknown_shard",
    `${shard} is not a shard of this fleet; its shards are ${all.join(", ")}`,
  );
}

function text(fields: Record<string, unknown>, field: string): string {
  const value = fields[field];
  if (typeof value === "string" && value !== "") return value;
  throw new RouterError("bad_request", `the body needs "${field}"`);
}

async function asRouterErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FleetCommandError) throw new RouterError(error.code, error.message);
    throw error;
  }
}
