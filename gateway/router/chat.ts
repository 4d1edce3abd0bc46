import { randomUUID } from "node:crypto";
import { HEADER } from "../contract.ts";
import { countedTokens } from "../limits/limiter.ts";
import type { StoredAnswer } from "../sessions/store.ts";
import type { Caller } from "./auth.ts";
import type { RequestContext } from "./context.ts";
import { asRouterError, ClientGone, errorBody, RouterError, sendJson } from "./errors.ts";
import { type ChatAnswer, EventStream } from "./event-stream.ts";
import {
  bodyHash,
  keyedIdentity,
  keyedSession,
  parseIdempotencyKey,
  withKey,
} from "./idempotency.ts";
import { requestKey } from "./key.ts";
import { runTurn } from "./turn.ts";

/** `POST /api/v1/chat` and `/api/v1/chat/stream`: one turn over the gateway's own protocol. */
export async function handleChat(
  ctx: RequestContext,
  caller: Caller,
  fields: Record<string, unknown>,
  stream: boolean,
): Promise<void> {
  const { deps, req, res, target, router } = ctx;
  const { message } = fields;
  if (typeof message !== "string" || message.trim() === "") {
    throw new RouterError("bad_request", `"message" must be a text that is not empty`);
  }
  const key = parseIdempotencyKey(req.headers[HEADER.idempotencyKey]);
  const named = requestKey({
    headers: req.headers,
    pathAgent: target.pathAgent,
    agent: fields.agent,
    session: fields.session,
    model: fields.model,
    user: fields.user,
  });
  const agent = router.agent(named.agent);
  await router.limiter.admit(caller, agent.name);
  const session =
    named.fresh && key !== null ? keyedSession(caller.tokenId, agent.name, key) : named.session;
  const keyed = key !== null;
  const shard = keyed
    ? await router.placing.exactly(agent, session, false, ctx.gone)
    : await router.placing.place(agent, session, named.fresh, ctx.gone);
  const identity = key === null ? null : keyedIdentity(caller.tokenId, agent.name, session, key);
  const runId = identity?.runId ?? randomUUID();
  res.setHeader(HEADER.session, session);
  res.setHeader(HEADER.shard, shard);

  const budgetMs = deps.view.config().turnBudgetMs;
  const sse = stream ? new EventStream(res) : null;
  // A keyed turn goes on without its client: the key fetches the answer later.
  const cancel = identity === null ? ctx.gone : new AbortController().signal;
  const run = async (): Promise<StoredAnswer> => {
    const answer = await runTurn(
      router.turns,
      {
        runId,
        shard,
        agent: agent.name,
        session,
        message,
        mayHaveRun: identity !== null,
        budgetMs,
        requestId: ctx.requestId,
        onOwner: (node, epoch) => ctx.answeredBy(shard, node, epoch),
        ...(sse
          ? { onDelta: (text: string) => sse.delta(text), onResumed: () => sse.resumed() }
          : {}),
      },
      cancel,
    );
    void router.limiter.spentBy(caller, countedTokens(answer.usage));
    const body: ChatAnswer = {
      reply: answer.reply,
      agent: agent.name,
      session,
      shard,
      usage: answer.usage,
    };
    return {
      status: 200,
      headers: {
        [HEADER.session]: session,
        [HEADER.shard]: shard,
        [HEADER.epoch]: String(answer.epoch),
        [HEADER.instance]: answer.node,
      },
      body: JSON.stringify(body),
    };
  };

  try {
    if (identity === null) {
      deliver(ctx, await run(), sse, false);
      return;
    }
    const { answer, replayed } = await withKey(
      { sessions: deps.sessions, clock: deps.clock, log: deps.log },
      {
        ...identity,
        bodyHash: bodyHash(message),
        budgetMs,
        run: () => run().catch((error: unknown) => finalFailure(error, ctx.requestId)),
        signal: ctx.gone,
      },
    );
    deliver(ctx, answer, sse, replayed);
  } catch (error) {
    if (!sse?.begun || error instanceof ClientGone) throw error;
    ctx.failed = asRouterError(error);
    sse.error(errorBody(ctx.failed, ctx.requestId));
  } finally {
    sse?.close();
  }
}

/** A turn that ran and failed has its answer: a repeat of the key must not run it again. */
function finalFailure(error: unknown, requestId: string): StoredAnswer {
  if (error instanceof RouterError && (error.code === "model_error" || error.code === "conflict")) {
    return {
      status: error.status,
      headers: {},
      body: JSON.stringify(errorBody(error, requestId)),
    };
  }
  throw error;
}

function deliver(
  ctx: RequestContext,
  answer: StoredAnswer,
  sse: EventStream | null,
  replayed: boolean,
): void {
  const { res } = ctx;
  if (!res.headersSent) {
    for (const [name, value] of Object.entries(answer.headers)) res.setHeader(name, value);
    if (replayed) res.setHeader("idempotency-replayed", "true");
  }
  const body = JSON.parse(answer.body) as ChatAnswer;
  if (!sse) {
    sendJson(res, answer.status, body);
    return;
  }
  if (answer.status === 200) {
    sse.finish(body);
    return;
  }
  if (sse.begun) sse.error(body);
  else sendJson(res, answer.status, body);
}
