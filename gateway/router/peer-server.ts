import type { IncomingMessage, ServerResponse } from "node:http";
import { replaceHere } from "../api/backups.ts";
import { ownNumbers } from "../api/metrics.ts";
import { HEADER, HOLD } from "../contract.ts";
import { parseJson, readBody } from "./body.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone, RouterError, sendError, sendJson } from "./errors.ts";
import { attempt, type Outgoing } from "./forward.ts";
import { FLEET, forwardedHeaders } from "./headers.ts";
import { reach } from "./peer-alive.ts";
import { type Mark, ownOrThrow, readMark } from "./peer-mark.ts";
import { abortTurn, relay } from "./peer-relay.ts";
import type { PortOrder } from "./port-heir.ts";
import { resolveTarget } from "./routes.ts";
import type { TurnOrder } from "./turn-runner.ts";
import { encodeLine, errorLine } from "./turn-wire.ts";

/** A message of the largest size, each of its characters escaped, bytes. */
const MAX_BODY = 6 * HOLD.maxBodyBytes + 65_536;

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
    const body = await readBody(req, MAX_BODY);
    switch (path) {
      case "/internal/alive":
        sendJson(res, 200, {
          fleet: deps.view.config().fleet,
          instanceId: deps.view.node,
          settings: deps.followed?.() ?? null,
        });
        return;
      case "/internal/stats":
        sendJson(res, 200, { held: parts.held() });
        return;
      case "/internal/metrics":
        sendJson(res, 200, await ownNumbers(deps, parts));
        return;
      case "/internal/sessions":
        sendJson(res, 200, { sessions: await ownOrThrow(deps, mark).gateway.sessions() });
        return;
      case "/internal/replace":
        await replaceHere(deps, parseJson(body));
        sendJson(res, 200, { ok: true });
        return;
      case "/internal/reach":
        sendJson(res, 200, await reach(deps, parts, String(parseJson(body).address)));
        return;
      case "/internal/port/take":
        sendJson(res, 200, await parts.takePort(parseJson(body) as unknown as PortOrder));
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
  const timer = setInterval(() => write({ t: "alive" }), parts.aliveMs);
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
