import { HEADER, HOLD } from "../contract.ts";
import { type Caller, requireCaller } from "./auth.ts";
import { parseJson, readBody } from "./body.ts";
import type { RequestContext } from "./context.ts";
import { RouterError } from "./errors.ts";
import { forward } from "./forward.ts";
import { ADMIN_ONLY, openaiHeaders, webhookHeaders } from "./headers.ts";
import { requestKey } from "./key.ts";

/** Paths that run a turn in a conversation; the others only ask something. */
const CONVERSATIONS = new Set(["/v1/chat/completions", "/v1/responses"]);

/** `/v1/*`: OpenClaw's OpenAI-compatible API, agent and session made explicit. */
export async function handleOpenai(ctx: RequestContext): Promise<void> {
  const { req, res, target, router } = ctx;
  const caller = requireCaller(router.tokens, req.headers, "client");
  refuseAdminHeaders(ctx, caller);
  const raw = hasBody(ctx) ? await readBody(req) : null;
  const fields = raw ? parseJson(raw) : {};
  const named = requestKey({
    headers: req.headers,
    pathAgent: target.pathAgent,
    model: fields.model,
    user: fields.user,
  });
  const agent = router.agent(named.agent);
  await router.limiter.admit(caller, agent.name);
  const conversation = CONVERSATIONS.has(target.pattern);
  const shard = conversation
    ? await router.placing.place(agent, named.session, named.fresh, ctx.gone)
    : router.sessionMap.anyShard(agent, ctx.requestId);
  if (conversation) res.setHeader(HEADER.session, named.session);
  res.setHeader(HEADER.shard, shard);
  const session = conversation ? named.session : null;
  const options = usageOptions(target.pattern, fields);
  const hideUsage = options !== null && router.limiter.countsTokensOf(caller);
  await forward(
    { ...router.turns },
    {
      shard,
      session: conversation ? `${agent.name}\0${named.session}` : null,
      method: req.method as string,
      path: target.upstreamPath,
      headers: openaiHeaders(
        req.headers,
        { agent: agent.name, session },
        caller.admin,
        ctx.requestId,
      ),
      body: raw && rewritten(raw, fields, agent.name, hideUsage ? options : null),
      gatewayToken: true,
      waitMs: HOLD.requestMs,
      requestId: ctx.requestId,
      onTokens: (tokens) => void router.limiter.spentBy(caller, tokens),
      hideUsage,
    },
    res,
    ctx.gone,
  );
}

/** `/hooks/*` and `/channels/<channel>/*`: to the home shard; OpenClaw checks the sender's proof. */
export async function handleWebhook(ctx: RequestContext): Promise<void> {
  const { req, res, target, router, deps } = ctx;
  const raw = hasBody(ctx) ? await readBody(req) : null;
  const shard = target.kind === "hooks" ? hookShard(ctx, raw) : channelShard(ctx);
  if (!deps.view.config().shards.some((each) => each.id === shard)) {
    throw new RouterError("unknown_shard", `shard ${shard} is not part of this fleet`);
  }
  res.setHeader(HEADER.shard, shard);
  await forward(
    { ...router.turns },
    {
      shard,
      session: null,
      method: req.method as string,
      path: target.upstreamPath,
      headers: webhookHeaders(req.headers, ctx.requestId),
      body: raw,
      gatewayToken: false,
      waitMs: HOLD.webhookMs,
      requestId: ctx.requestId,
    },
    res,
    ctx.gone,
  );
}

function hookShard(ctx: RequestContext, raw: Buffer | null): string {
  let agentId: unknown;
  try {
    agentId = raw ? parseJson(raw).agentId : undefined;
  } catch {
    // Mapped hooks take any body; only JSON can name an agent.
  }
  const { agent } = requestKey({
    headers: ctx.req.headers,
    pathAgent: ctx.target.pathAgent,
    agent: typeof agentId === "string" ? agentId : undefined,
    newSession: () => "hook",
  });
  return ctx.router.agent(agent).homeShard;
}

function channelShard(ctx: RequestContext): string {
  const { target, deps, router } = ctx;
  const channel = target.channel as string;
  if (target.pathAgent !== null) {
    const agent = router.agent(target.pathAgent.toLowerCase());
    if (channel in agent.channels) return agent.homeShard;
    throw new RouterError("not_found", `agent "${agent.name}" has no channel "${channel}"`);
  }
  const owners = deps.view.config().agents.filter((agent) => channel in agent.channels);
  const [first] = owners;
  if (!first) throw new RouterError("not_found", `no agent has a channel "${channel}"`);
  if (owners.some((agent) => agent.homeShard !== first.homeShard)) {
    throw new RouterError(
      "bad_request",
      `several agents have a channel "${channel}"; use /agents/<agent>/channels/${channel}/…`,
    );
  }
  return first.homeShard;
}

/** Silently dropping such a header would give another model than was asked for. */
function refuseAdminHeaders(ctx: RequestContext, caller: Caller): void {
  if (caller.admin) return;
  for (const name of ADMIN_ONLY) {
    if (ctx.req.headers[name] !== undefined) {
      throw new RouterError("forbidden", `header ${name} needs the admin token`);
    }
  }
}

/** With what a stream of chat completions says its tokens; null: it says them without, or is none. */
function usageOptions(
  path: string,
  { stream, stream_options: given }: Record<string, unknown>,
): object | null {
  if (path !== "/v1/chat/completions" || stream !== true) return null;
  const options = given ?? {};
  // What is no object is refused by OpenClaw, in its own words.
  if (typeof options !== "object" || Array.isArray(options)) return null;
  if ("include_usage" in options && options.include_usage !== false) return null;
  return { ...options, include_usage: true };
}

function rewritten(
  raw: Buffer,
  fields: Record<string, unknown>,
  agent: string,
  options: object | null,
): Buffer {
  const model = `openclaw/${agent}`;
  if (fields.model === model && options === null) return raw;
  const more = options === null ? {} : { stream_options: options };
  return Buffer.from(JSON.stringify({ ...fields, model, ...more }));
}

function hasBody(ctx: RequestContext): boolean {
  const { headers } = ctx.req;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}
