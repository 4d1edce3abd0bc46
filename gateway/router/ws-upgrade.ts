import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { ERRORS, HEADER, HOLD, type ShardId } from "../contract.ts";
import {
  ADMIN_SCOPES,
  CLIENT_SCOPES,
  MAX_CONNECT_BYTES,
  MAX_FRAME_BYTES,
  parseFrame,
} from "../openclaw/handshake.ts";
import { bearer, type Caller, requireCaller } from "./auth.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone, RouterError } from "./errors.ts";
import { type LiveRoute, type Slot, sameOwner } from "./gate.ts";
import { answerRaw } from "./guard.ts";
import { requestIdOf } from "./handler.ts";
import { FLEET, peerHeaders } from "./headers.ts";
import { requestKey } from "./key.ts";
import { notOwner, ownRoute, readMark } from "./peer-server.ts";
import { patternOf, resolveTarget } from "./routes.ts";
import {
  type Greeting,
  type Link,
  LinkError,
  linkGateway,
  linkOf,
  linkPeer,
  openPeer,
  passedCode,
  pump,
  textOf,
} from "./ws-link.ts";

/** A client that does not say `connect` by then is closed, as OpenClaw does, ms. */
const CONNECT_MS = 15_000;
const PING_MS = 30_000;
/** Time for the closing handshake before the connection is cut, ms. */
const CLOSE_MS = 2_000;

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES + 65_536,
});

function accept(req: IncomingMessage, socket: Socket, head: Buffer): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once("close", () => reject(new ClientGone("the client left")));
    server.handleUpgrade(req, socket, head, resolve);
  });
}

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
    const shard = named.fresh
      ? agent.homeShard
      : await router.sessionMap.shardOf(agent, named.session, false);
    count(101);
    await serveClient(
      deps,
      router,
      await acceptGuarded(req, socket, head),
      shard,
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

interface Accepted {
  socket: WebSocket;
  /** Called once the client has proven itself: until then only little is read from it. */
  trust(): void;
}

/** A stranger gets 64 KiB to introduce itself, as with OpenClaw; then the connection is cut. */
async function acceptGuarded(req: IncomingMessage, raw: Socket, head: Buffer): Promise<Accepted> {
  let bytes = head.length;
  const onData = (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_CONNECT_BYTES) raw.destroy();
  };
  raw.on("data", onData);
  return {
    socket: await accept(req, raw, head),
    trust: () => raw.off("data", onData),
  };
}

async function serveClient(
  deps: RouterDeps,
  router: RouterParts,
  accepted: Accepted,
  shard: ShardId,
  early: Caller | null,
  requestId: string,
): Promise<void> {
  const client = linkOf(accepted.socket);
  const gone = new AbortController();
  client.socket.on("close", () => gone.abort());
  const closing = closeHandle(client.socket);
  router.sockets.add(closing);
  const stopPings = keepAlive(client.socket);
  client.socket.once("close", () => {
    router.sockets.delete(closing);
    stopPings();
  });
  client.socket.send(
    JSON.stringify({
      type: "event",
      event: "connect.challenge",
      payload: { nonce: randomUUID(), ts: Date.now() },
    }),
  );
  const introduced = await introduction(client, router, early);
  if (!introduced) return;
  let slot: Slot | null = null;
  try {
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
      join(deps, shard, route, client, upstream);
      return;
    }
  } catch (error) {
    if (error instanceof ClientGone) return;
    refuse(client.socket, introduced.id, asRouterError(error), 1013);
  } finally {
    slot?.done();
  }
}

/** Waits for the client's `connect` and checks its token; null when it was refused or left. */
function introduction(
  client: Link,
  router: RouterParts,
  early: Caller | null,
): Promise<Greeting | null> {
  return new Promise((resolve) => {
    let over = false;
    const finish = (greeting: Greeting | null) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      resolve(greeting);
    };
    const timer = setTimeout(() => {
      client.socket.close(1008, "no connect in time");
      finish(null);
    }, CONNECT_MS);
    client.socket.once("close", () => finish(null));
    client.listen(({ data, binary }) => {
      const frame = binary ? null : parseFrame(textOf(data));
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
      finish(greetingOf(frame.id, params, caller));
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
  const asked = Array.isArray(params.scopes) ? params.scopes.map(String) : null;
  return {
    id,
    scopes: asked ? allowed.filter((scope) => asked.includes(scope)) : [...allowed],
    caps: Array.isArray(params.caps) ? params.caps.map(String).slice(0, 64) : [],
    userAgent: String(params.userAgent ?? "openclaw-fleet").slice(0, 200),
  };
}

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
    const marks = (relay: string | null) =>
      peerHeaders({ shard, epoch, incarnation, token, hop: 1, relay });
    try {
      return await linkPeer(route.address, marks(null), greeting, requestId, signal);
    } catch (error) {
      if (!(error instanceof LinkError) || signal.aborted) throw error;
      const others = deps.view
        .peers()
        .filter((peer) => peer.node !== route.node && peer.node !== deps.view.node);
      for (const other of others) {
        try {
          return await linkPeer(other.address, marks(route.node), greeting, requestId, signal);
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

/** Both ways until one side ends, or the shard changes hands: then 1012, and the client comes again. */
function join(
  deps: RouterDeps,
  shard: ShardId,
  route: LiveRoute,
  client: Link,
  upstream: Link,
): void {
  const off = deps.view.onRoute((changed) => {
    if (changed === shard && !sameOwner(deps.view.route(shard), route)) upstream.socket.terminate();
  });
  pump(upstream, client.socket);
  pump(client, upstream.socket);
  const end = (code: number, reason: string) => {
    off();
    closeWithin(client.socket, code, reason);
  };
  upstream.socket.once("close", (code) => {
    const passed = passedCode(code);
    end(passed ?? 1012, passed ? "closed by the gateway" : `the owner of ${shard} was lost`);
  });
  client.socket.once("close", () => {
    off();
    closeWithin(upstream.socket, 1000, "");
  });
  if (!sameOwner(deps.view.route(shard), route)) upstream.socket.terminate();
  if (client.socket.readyState !== client.socket.OPEN) upstream.socket.terminate();
}

/** `/internal/ws` on the peers' listener: makes the `connect` here, on loopback. */
export async function upgradePeer(
  deps: RouterDeps,
  router: RouterParts,
  req: IncomingMessage,
  socket: Socket,
  head: Buffer,
): Promise<void> {
  const requestId = requestIdOf(req);
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  try {
    const mark = readMark(router, req);
    const relayTo = mark.relay !== null && mark.relay !== deps.view.node ? mark.relay : null;
    if (relayTo !== null) {
      const address = deps.view.peers().find((peer) => peer.node === relayTo)?.address;
      if (mark.hop > 1 || address === undefined) throw notOwner(deps, mark.shard);
      const marks = peerHeaders({
        ...mark,
        token: router.tokens.peerToken,
        hop: mark.hop + 1,
        relay: null,
      });
      const onward = await openPeer(address, marks, requestId, gone.signal);
      tie(linkOf(await accept(req, socket, head)), onward);
      return;
    }
    const route = ownRoute(deps, mark);
    if (!route) throw notOwner(deps, mark.shard);
    const peer = linkOf(await accept(req, socket, head));
    const closing = closeHandle(peer.socket);
    router.sockets.add(closing);
    peer.socket.once("close", () => router.sockets.delete(closing));
    const greeting = await new Promise<Greeting | null>((resolve) => {
      peer.socket.once("close", () => resolve(null));
      peer.listen(({ data }) => {
        peer.hold();
        resolve(JSON.parse(textOf(data)) as Greeting);
      });
    });
    if (!greeting) return;
    try {
      join(deps, mark.shard, route, peer, await linkGateway(route, greeting, gone.signal));
    } catch {
      // Closed before the first frame: the sender knows that no gateway took it.
      closeWithin(peer.socket, 1013, "the gateway was not reached");
    }
  } catch (error) {
    if (error instanceof ClientGone) return;
    const answer = error instanceof LinkError ? notOwner(deps, "") : asRouterError(error);
    answerRaw(socket, answer.code, answer.message, deps.view.node, answer.status, {
      [FLEET.unreached]: "1",
      [HEADER.requestId]: requestId,
    });
  }
}

/** Two connections live and die together. */
function tie(one: Link, other: Link): void {
  pump(one, other.socket);
  pump(other, one.socket);
  one.socket.once("close", () => closeWithin(other.socket, 1000, ""));
  other.socket.once("close", (code) => closeWithin(one.socket, passedCode(code) ?? 1012, ""));
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

function closeHandle(socket: WebSocket): { closeForRestart(): void; terminate(): void } {
  return {
    closeForRestart: () => closeWithin(socket, 1012, "the router is stopping"),
    terminate: () => socket.terminate(),
  };
}

function closeWithin(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === socket.CLOSED) return;
  if (socket.isPaused) socket.resume();
  socket.close(code, reason);
  const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
  socket.once("close", () => clearTimeout(timer));
}

/** A client that answered no ping for two rounds is gone, whatever its kernel says. */
function keepAlive(socket: WebSocket): () => void {
  let missed = 0;
  socket.on("pong", () => {
    missed = 0;
  });
  const timer = setInterval(() => {
    if (missed >= 2) {
      socket.terminate();
      return;
    }
    missed += 1;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, PING_MS);
  return () => clearInterval(timer);
}
