import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { AgentConfig } from "../config.ts";
import { ERRORS, HEADER, HOLD, type ShardId } from "../contract.ts";
import {
  ADMIN_SCOPES,
  CLIENT_SCOPES,
  MAX_CONNECT_BYTES,
  parseFrame,
} from "../openclaw/handshake.ts";
import { bearer, type Caller, requireCaller } from "./auth.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone, RouterError } from "./errors.ts";
import type { LiveRoute, Slot } from "./gate.ts";
import { answerRaw } from "./guard.ts";
import { peerHeaders } from "./headers.ts";
import { requestKey } from "./key.ts";
import { requestIdOf } from "./request-id.ts";
import { patternOf, resolveTarget } from "./routes.ts";
import { type Answering, accept } from "./ws-accept.ts";
import { closeHandle, closeWithin, keepAlive } from "./ws-close.ts";
import { join } from "./ws-join.ts";
import { limited } from "./ws-limit.ts";
import {
  type Greeting,
  type Link,
  LinkError,
  linkGateway,
  linkOf,
  linkPeer,
  textOf,
} from "./ws-link.ts";

/** A client that does not say `connect` by then is closed, as OpenClaw does, ms. */
const CONNECT_MS = 15_000;

/** `/` and `/agents/<agent>/` on the public port. */
export async function upgradePublic(
  deps: RouterDeps,
  router: RouterParts,
  req: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  const requestId = requestIdOf(req);
  const url = req.url ?? "/";
  const count = (code: number) =>
    deps.metrics.requests.inc({ route: patternOf(url), code: String(code) });
  try {
    const target = resolveTarget(url, req.method ?? "GET", true);
    if (target.kind !== "websocket") {
      throw new RouterError(
        "not_found",
        "there is no WebSocket at this path; use / or /agents/<agent>/",
      );
    }
    const early =
      bearer(req.headers) === null ? null : requireCaller(router.tokens, req.headers, "client");
    const named = requestKey({
      headers: req.headers,
      pathAgent: target.pathAgent,
      session: target.query.get("session"),
    });
    const agent = router.agent(named.agent);
    const session = named.fresh ? null : named.session;
    const shard = shownShard(router, agent, session, early);
    count(101);
    await serveClient(
      deps,
      router,
      await acceptGuarded(req, socket, head, answeringFor(deps, shard, requestId)),
      { agent, session },
      early,
      requestId,
    );
  } catch (error) {
    if (error instanceof ClientGone) return;
    const answer = asRouterError(error);
    if (answer.code === "internal") {
      deps.log.error({ requestId, error: String(error) }, "a WebSocket failed in the router");
    }
    count(answer.status);
    answerRaw(socket, answer.code, answer.message, deps.view.node, ERRORS[answer.code].status, {
      [HEADER.requestId]: requestId,
    });
  }
}

/**
 * The shard that the answer to the upgrade names; null: none yet. A conversation gets its shard once the client has
 * introduced itself: strangers write nothing, and learn nothing of conversations.
 */
function shownShard(
  router: RouterParts,
  agent: AgentConfig,
  session: string | null,
  early: Caller | null,
): ShardId | null {
  if (session === null) return agent.homeShard;
  return early ? router.sessionMap.remembered(agent, session) : null;
}

/** The owner is named as known now; it is asked only once the client has introduced itself. */
function answeringFor({ view }: RouterDeps, shard: ShardId | null, requestId: string): Answering {
  const { node } = view;
  const route = shard === null ? null : view.route(shard);
  const owned = route?.at === "here" || route?.at === "peer";
  return {
    shard: shard ?? "none",
    epoch: owned ? route.epoch : 0,
    instance: route?.at === "peer" ? route.node : node,
    requestId,
    node,
  };
}

interface Accepted {
  socket: WebSocket;
  /** Called once the client has proven itself: until then only little is read from it. */
  trust(): void;
}

/** A stranger gets 64 KiB to introduce itself, as with OpenClaw; then the connection is cut. */
async function acceptGuarded(
  req: IncomingMessage,
  raw: Socket,
  head: Buffer,
  answer: Answering,
): Promise<Accepted> {
  let bytes = head.length;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_CONNECT_BYTES) raw.destroy();
  };
  raw.on("data", onData);
  return {
    socket: await accept(req, raw, head, answer),
    trust: () => raw.off("data", onData),
  };
}

async function serveClient(
  deps: RouterDeps,
  router: RouterParts,
  accepted: Accepted,
  // `session` null: none was named, so it is the agent's home shard.
  { agent, session }: { agent: AgentConfig; session: string | null },
  early: Caller | null,
  requestId: string,
): Promise<void> {
  const client = linkOf(accepted.socket);
  const gone = new AbortController();
  client.socket.on("close", () => gone.abort());
  const closing = closeHandle(client.socket);
  router.sockets.add(closing);
  keepAlive(client.socket);
  client.socket.once("close", () => router.sockets.delete(closing));
  client.socket.send(
    JSON.stringify({
      type: "event",
      event: "connect.challenge",
      payload: { nonce: randomUUID(), ts: Date.now() },
    }),
  );
  const known = await introduction(client, router, early);
  if (!known) return;
  const { greeting: introduced, caller } = known;
  const { limiter } = router;
  let slot: Slot | null = null;
  try {
    const shard =
      session === null
        ? agent.homeShard
        : await router.placing.place(agent, session, false, gone.signal);
    const counted = limited(client, () =>
      limiter.limits(caller)
        ? (named) => limiter.admit(caller, asked(deps, shard, named) ?? agent.name)
        : null,
    );
    slot = await router.gate.enter({
      shard,
      session: null,
      bytes: 0,
      waitMs: HOLD.requestMs,
      signal: gone.signal,
    });
    for (;;) {
      const { route } = slot;
      const upstream = await toOwner(
        deps,
        router,
        shard,
        route,
        introduced,
        requestId,
        gone.signal,
      );
      if (upstream instanceof LinkError) {
        slot = await slot.again(upstream.message);
        continue;
      }
      slot.reached();
      accepted.trust();
      join(deps, router, shard, route, counted, upstream);
      return;
    }
  } catch (error) {
    if (error instanceof ClientGone) return;
    refuse(client.socket, introduced.id, asRouterError(error), 1013);
  } finally {
    slot?.done();
  }
}

/** The agent that a request names, if it lives on the shard that the connection leads to. */
function asked({ view }: RouterDeps, shard: ShardId, named: string | null): string | null {
  const known = named === null ? undefined : view.agent(named);
  return known?.shards.includes(shard) ? known.name : null;
}

/** Waits for the client's `connect` and checks its token; null when it was refused or left. */
function introduction(
  client: Link,
  router: RouterParts,
  early: Caller | null,
): Promise<{ greeting: Greeting; caller: Caller } | null> {
  return new Promise((resolve) => {
    let over = false;
    const finish = (known: { greeting: Greeting; caller: Caller } | null) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      resolve(known);
    };
    const timer = setTimeout(() => {
      client.socket.close(1008, "no connect in time");
      finish(null);
    }, CONNECT_MS);
    client.socket.once("close", () => finish(null));
    client.listen(({ data }) => {
      const frame = parseFrame(textOf(data));
      if (frame?.type !== "req" || frame.method !== "connect") {
        client.socket.close(1008, "the first frame must be connect");
        finish(null);
        return;
      }
      const params = (frame.params ?? {}) as ConnectParams;
      const token = params.auth?.token ?? params.auth?.password;
      const caller = typeof token === "string" ? router.tokens.check(token) : early;
      if (!caller) {
        refuse(client.socket, frame.id, null, 1008);
        finish(null);
        return;
      }
      // What follows before the answer waits for the gateway, within the stranger's 64 KiB.
      client.hold();
      finish({ greeting: greetingOf(frame.id, params, caller), caller });
    });
  });
}

interface ConnectParams {
  auth?: { token?: unknown; password?: unknown };
  scopes?: unknown;
  caps?: unknown;
  userAgent?: unknown;
}

/** A client gets what it asked for, within what its token allows; nothing asked means all of that. */
function greetingOf(id: string, params: ConnectParams, caller: Caller): Greeting {
  const allowed: readonly string[] = caller.admin ? ADMIN_SCOPES : CLIENT_SCOPES;
  const asked = textsIn(params.scopes);
  return {
    id,
    scopes: asked ? allowed.filter((scope) => asked.includes(scope)) : [...allowed],
    caps: textsIn(params.caps)?.slice(0, 64) ?? [],
    userAgent: (typeof params.userAgent === "string" ? params.userAgent : "openclaw-fleet").slice(
      0,
      200,
    ),
  };
}

/** The texts of a list, whatever else a stranger put into it; null when it is none. */
const textsIn = (value: unknown): string[] | null =>
  Array.isArray(value) ? value.filter((each) => typeof each === "string") : null;

async function toOwner(
  deps: RouterDeps,
  router: RouterParts,
  shard: ShardId,
  route: LiveRoute,
  greeting: Greeting,
  requestId: string,
  signal: AbortSignal,
): Promise<Link | LinkError> {
  try {
    if (route.at === "here") return await linkGateway(route, greeting, signal);
    const { epoch, incarnation } = route;
    const token = router.tokens.peerToken;
    const { tls } = router.upstreams;
    const marks = (relay: string | null) =>
      peerHeaders({ shard, epoch, incarnation, token, hop: 1, relay });
    try {
      return await linkPeer(
        { address: route.address, tls },
        marks(null),
        greeting,
        requestId,
        signal,
      );
    } catch (error) {
      if (!(error instanceof LinkError) || signal.aborted) throw error;
      const others = deps.view
        .peers()
        .filter((peer) => peer.node !== route.node && peer.node !== deps.view.node);
      for (const other of others) {
        try {
          return await linkPeer(
            { address: other.address, tls },
            marks(route.node),
            greeting,
            requestId,
            signal,
          );
        } catch {
          // The next one may know a way.
        }
      }
      throw error;
    }
  } catch (error) {
    return error instanceof LinkError ? error : new LinkError(String(error));
  }
}

/** An error answer in OpenClaw's form, then the close. `error` null: wrong token. */
function refuse(socket: WebSocket, id: string, error: RouterError | null, code: number): void {
  const body = error
    ? { code: "UNAVAILABLE", message: error.message, retryable: ERRORS[error.code].retryable }
    : {
        code: "INVALID_REQUEST",
        message: "unauthorized: this token is not one of the fleet's",
        details: { code: "AUTH_TOKEN_MISMATCH" },
      };
  if (socket.readyState === socket.OPEN) {
    socket.send(JSON.stringify({ type: "res", id, ok: false, error: body }));
  }
  closeWithin(socket, code, error ? error.code : "unauthorized");
}
