import type { IncomingMessage, ServerResponse } from "node:http";
import { HEADER, HOLD, type ShardId } from "../contract.ts";
import { parseJson, readBody } from "./body.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone, RouterError, sendError, sendJson } from "./errors.ts";
import { attempt, type Outgoing } from "./forward.ts";
import { FLEET, forwardedHeaders } from "./headers.ts";
import { resolveTarget } from "./routes.ts";
import type { TurnOrder } from "./turn-runner.ts";
import { encodeLine, errorLine } from "./turn-wire.ts";
import type { Route } from "./view.ts";

type HereRoute = Extract<Route, { at: "here" }>;

/** Says on a peer's long turn that the connection lives, ms. */
const ALIVE_MS = 15_000;
/** Hops a forwarded request may take: to the owner, or over one relay to it. */
const MAX_HOPS = 2;

/** What the sender of a forwarded request believes of the shard. */
export interface Mark {
  shard: ShardId;
  epoch: number;
  incarnation: string;
  hop: number;
  relay: string | null;
}

/** Throws `unauthorized` or `bad_request`; both say that nothing was reached. */
export function readMark(parts: RouterParts, req: IncomingMessage): Mark {
  if (!parts.tokens.isPeer(req.headers)) {
    throw new RouterError("unauthorized", "this port is for nodes of the fleet only");
  }
  const text = (name: string) => {
    const value = req.headers[name];
    return typeof value === "string" ? value : "";
  };
  return {
    shard: text(FLEET.shard),
    epoch: Number(text(HEADER.epoch)),
    incarnation: text(HEADER.incarnation),
    hop: Number(text(HEADER.hop) || "1"),
    relay: text(FLEET.relay) || null,
  };
}

/** The route if this node holds exactly what the sender believes, and its deadline is ahead *now*. */
export function ownRoute(deps: RouterDeps, mark: Mark): HereRoute | null {
  const route = deps.view.route(mark.shard);
  if (route.at !== "here") return null;
  if (route.epoch !== mark.epoch || route.incarnation !== mark.incarnation) return null;
  return route.live() ? route : null;
}

export function notOwner(deps: RouterDeps, shard: ShardId): RouterError {
  const route = deps.view.route(shard);
  const where = route.at === "peer" ? `node ${route.node}` : route.at;
  return new RouterError(
    "not_owner",
    `node ${deps.view.node} does not serve shard ${shard} as asked; it knows: ${where}, epoch ${route.epoch}`,
  );
}

/** Everything that arrives on the peers' listener. Never waits for an owner: the sender does that. */
export async function handlePeer(
  deps: RouterDeps,
  parts: RouterParts,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const requestId = String(req.headers[HEADER.requestId] ?? "peer");
  const gone = new AbortController();
  res.on("close", () => {
    if (!res.writableFinished) gone.abort();
  });
  res.setHeader(HEADER.instance, deps.view.node);
  try {
    const mark = readMark(parts, req);
    const path = (req.url ?? "/").split("?", 1)[0] as string;
    const body = await readBody(req);
    switch (path) {
      case "/internal/alive":
        sendJson(res, 200, { fleet: deps.view.config().fleet, instanceId: deps.view.node });
        return;
      case "/internal/stats":
        sendJson(res, 200, { held: parts.gate.held() });
        return;
      case "/internal/sessions":
        sendJson(res, 200, { sessions: await ownOrThrow(deps, mark).gateway.sessions() });
        return;
      case "/internal/reach":
        sendJson(res, 200, await reach(deps, parts, String(parseJson(body).address)));
        return;
      case "/internal/turn/abort":
        sendJson(res, 200, { aborted: await abortTurn(deps, parts, mark, req, body) });
        return;
      case "/internal/turn":
        if (await relay(deps, parts, mark, req, res, body, requestId, gone.signal)) return;
        await serveTurn(deps, parts, mark, parseJson(body) as unknown as TurnOrder, res);
        return;
      default:
        if (await relay(deps, parts, mark, req, res, body, requestId, gone.signal)) return;
        await serveForwarded(deps, parts, mark, req, res, body, requestId, gone.signal);
    }
  } catch (error) {
    if (error instanceof ClientGone) {
      res.destroy();
      return;
    }
    const answer = asRouterError(error);
    if (!(error instanceof RouterError)) {
      deps.log.error({ requestId, error: String(error) }, "a peer's request failed in the router");
    }
    // All but a lost owner means that no gateway saw the request.
    if (answer.code !== "owner_lost" && !res.headersSent) res.setHeader(FLEET.unreached, "1");
    sendError(res, answer, requestId);
  }
}

async function serveForwarded(
  deps: RouterDeps,
  parts: RouterParts,
  mark: Mark,
  req: IncomingMessage,
  res: ServerResponse,
  body: Buffer,
  requestId: string,
  signal: AbortSignal,
): Promise<void> {
  const target = resolveTarget(req.url ?? "/", req.method ?? "GET");
  if (target.kind !== "openai" && target.kind !== "hooks" && target.kind !== "channels") {
    throw new RouterError("not_found", "nodes forward no such request");
  }
  const route = ownOrThrow(deps, mark);
  const outgoing: Outgoing = {
    shard: mark.shard,
    session: null,
    method: req.method as string,
    path: target.upstreamPath,
    headers: [...forwardedHeaders(req.headers), HEADER.requestId, requestId],
    body: body.length > 0 ? body : null,
    gatewayToken: target.kind === "openai",
    waitMs: 0,
    requestId,
  };
  const turns = parts.turns;
  const result = await attempt(turns, outgoing, route, res, signal, { reached: () => undefined });
  if (result.next === "again") {
    if (result.afterMs) res.setHeader("retry-after", String(Math.ceil(result.afterMs / 1000)));
    throw new RouterError("not_owner", `shard ${mark.shard} was not reached: ${result.why}`);
  }
}

/** Passes a request on to the node that the sender named; false when it is meant for this node. */
async function relay(
  deps: RouterDeps,
  parts: RouterParts,
  mark: Mark,
  req: IncomingMessage,
  res: ServerResponse,
  body: Buffer,
  requestId: string,
  signal: AbortSignal,
): Promise<boolean> {
  if (mark.relay === null || mark.relay === deps.view.node) return false;
  const address = deps.view.peers().find((peer) => peer.node === mark.relay)?.address;
  if (mark.hop >= MAX_HOPS || address === undefined) throw notOwner(deps, mark.shard);
  const headers: string[] = [];
  for (const [name, value] of Object.entries(req.headers)) {
    if (typeof value !== "string" || RELAY_DROPS.has(name)) continue;
    headers.push(name, value);
  }
  headers.push(HEADER.hop, String(mark.hop + 1));
  const ending = await parts.upstreams.send(
    {
      origin: `http://${address}`,
      method: req.method as string,
      path: req.url ?? "/",
      headers,
      body: body.length > 0 ? body : null,
      live: () => true,
    },
    {
      onHead: (status, head) => {
        const { connection: _c, "keep-alive": _k, "transfer-encoding": _t, ...rest } = head;
        res.writeHead(status, { ...rest, [HEADER.requestId]: requestId });
      },
      onData: (chunk, resume) => {
        if (res.destroyed || res.write(chunk)) return true;
        res.once("drain", resume);
        return false;
      },
    },
    signal,
  );
  if (ending.ending === "complete") res.end();
  else if (ending.ending === "unreached") throw notOwner(deps, mark.shard);
  else if (ending.ending === "stopped") throw new ClientGone("the sender left");
  else if (ending.begun) res.destroy();
  else throw new RouterError("owner_lost", `the connection to node ${mark.relay} broke`);
  return true;
}

const RELAY_DROPS = new Set([
  "connection",
  "keep-alive",
  "transfer-encoding",
  "content-length",
  "host",
  HEADER.hop as string,
  FLEET.relay as string,
]);

/** Runs a turn and reports it line by line. The sender may leave: only `/internal/turn/abort` ends it. */
async function serveTurn(
  deps: RouterDeps,
  parts: RouterParts,
  mark: Mark,
  order: TurnOrder,
  res: ServerResponse,
): Promise<void> {
  const route = ownOrThrow(deps, mark);
  let reached = false;
  const write = (line: Parameters<typeof encodeLine>[0]) => {
    if (!res.destroyed && !res.writableEnded) res.write(encodeLine(line));
  };
  res.writeHead(200, { "content-type": "application/x-ndjson" });
  write({ t: "alive" });
  const timer = setInterval(() => write({ t: "alive" }), ALIVE_MS);
  try {
    const result = await parts.runner.run(
      route,
      { ...order, shard: mark.shard },
      {
        onReached: () => {
          reached = true;
          write({ t: "reached" });
        },
        onDelta: (text) => write({ t: "delta", text }),
      },
    );
    write({ t: "done", result });
  } catch (error) {
    write(errorLine(error, reached));
  } finally {
    clearInterval(timer);
    res.end();
  }
}

async function abortTurn(
  deps: RouterDeps,
  parts: RouterParts,
  mark: Mark,
  req: IncomingMessage,
  body: Buffer,
): Promise<boolean> {
  const runId = String(parseJson(body).runId);
  if (mark.relay === null || mark.relay === deps.view.node || mark.hop >= MAX_HOPS) {
    return parts.runner.abort(runId);
  }
  const address = deps.view.peers().find((peer) => peer.node === mark.relay)?.address;
  if (address === undefined) return false;
  const headers = [
    HEADER.peerToken,
    parts.tokens.peerToken,
    HEADER.hop,
    String(mark.hop + 1),
    HEADER.requestId,
    String(req.headers[HEADER.requestId] ?? "peer"),
  ];
  const asked = { origin: `http://${address}`, method: "POST", path: "/internal/turn/abort" };
  const answer = await parts.upstreams.ask({ ...asked, headers, body }, 2_000);
  return (JSON.parse(answer.body) as { aborted?: boolean }).aborted === true;
}

/** Whether this node can talk to another one; only addresses of the fleet are tried. */
async function reach(
  deps: RouterDeps,
  parts: RouterParts,
  address: string,
): Promise<{ reached: boolean }> {
  if (!deps.view.peers().some((peer) => peer.address === address)) return { reached: false };
  return { reached: await peerAlive(parts, address) };
}

/** One cheap question to a peer's listener. */
export async function peerAlive(parts: RouterParts, address: string): Promise<boolean> {
  try {
    const answer = await parts.upstreams.ask(
      {
        origin: `http://${address}`,
        method: "GET",
        path: "/internal/alive",
        headers: [HEADER.peerToken, parts.tokens.peerToken],
        body: null,
      },
      HOLD.webhookMs / 2,
    );
    return answer.status === 200;
  } catch {
    return false;
  }
}

function ownOrThrow(deps: RouterDeps, mark: Mark): HereRoute {
  const route = ownRoute(deps, mark);
  if (!route) throw notOwner(deps, mark.shard);
  return route;
}
