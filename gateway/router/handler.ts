import type { IncomingMessage, ServerResponse } from "node:http";
import { adopt, backups, restore } from "../api/backups.ts";
import { agentDrain, fleetCommand, fleetStatus, history } from "../api/fleet.ts";
import { health, healthz, type Readiness, readyz, startupz } from "../api/health.ts";
import { metricsRoute } from "../api/metrics.ts";
import { HEADER } from "../contract.ts";
import { statusPage } from "../status-page/page.ts";
import { clientAddress, requireCaller } from "./auth.ts";
import { parseJson, readBody } from "./body.ts";
import { handleChat } from "./chat.ts";
import type { RequestContext, RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone, RouterError, sendError } from "./errors.ts";
import { handleOpenai, handleWebhook } from "./proxy.ts";
import { requestIdOf } from "./request-id.ts";
import { patternOf, resolveTarget } from "./routes.ts";
import { onceDrained } from "./slow-client.ts";

/**
 * Everything that arrives on the public port, WebSockets apart. `certified`: on the listener for fronts,
 * where only holders of the fleet's certificates get in.
 */
export async function handlePublic(
  deps: RouterDeps,
  router: RouterParts,
  readiness: Readiness,
  req: IncomingMessage,
  res: ServerResponse,
  certified = false,
): Promise<void> {
  const begin = performance.now();
  const requestId = requestIdOf(req);
  const url = req.url ?? "/";
  const pattern = patternOf(url);
  const gone = new AbortController();
  res.on("close", () => {
    if (!res.writableFinished) gone.abort();
    const code = res.headersSent ? String(res.statusCode) : "499";
    deps.metrics.requests.inc({ route: pattern, code });
    deps.metrics.requestDuration.observe((performance.now() - begin) / 1000);
  });
  res.setHeader(HEADER.shard, "none");
  res.setHeader(HEADER.epoch, "0");
  res.setHeader(HEADER.instance, deps.view.node);
  res.setHeader(HEADER.requestId, requestId);
  if (router.stopping()) res.shouldKeepAlive = false;
  try {
    const target = resolveTarget(url, req.method ?? "GET");
    const context: RequestContext = {
      deps,
      router,
      req,
      res,
      target,
      requestId,
      client: clientAddress(
        req.socket.remoteAddress,
        req.headers,
        router.addresses().trusted,
        certified,
      ),
      gone: gone.signal,
      failed: null,
      answeredBy: (shard, node, epoch) => {
        if (res.headersSent) return;
        res.setHeader(HEADER.shard, shard);
        res.setHeader(HEADER.instance, node);
        res.setHeader(HEADER.epoch, String(epoch));
      },
    };
    await dispatch(context, readiness);
    if (context.failed) {
      deps.log.info({ requestId, code: context.failed.code }, context.failed.message);
    }
  } catch (error) {
    if (error instanceof ClientGone) {
      res.destroy();
      return;
    }
    const answer = asRouterError(error);
    if (!(error instanceof RouterError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      deps.log.error({ requestId, error: text }, "a request failed in the router");
    }
    if (res.headersSent) res.destroy();
    else sendError(res, answer, requestId);
  } finally {
    // What the client has not taken yet is not kept for ever.
    if (res.writableEnded && res.writableLength > 0) onceDrained(res, () => undefined);
  }
}

async function dispatch(ctx: RequestContext, readiness: Readiness): Promise<void> {
  const { target, req, router } = ctx;
  switch (target.kind) {
    case "healthz":
      return healthz(ctx);
    case "readyz":
      return readyz(ctx, readiness);
    case "startupz":
      return startupz(ctx);
    case "health":
      return health(ctx);
    case "status-page": {
      const { headers, body } = statusPage();
      ctx.res.writeHead(200, headers).end(body);
      return;
    }
    case "metrics":
      return metricsRoute(ctx);
    case "chat":
    case "chat-stream": {
      const caller = requireCaller(router.tokens, req.headers, "client");
      const fields =
        req.method === "GET" ? Object.fromEntries(target.query) : parseJson(await readBody(req));
      return handleChat(ctx, caller, fields, target.kind === "chat-stream");
    }
    case "openai":
      return handleOpenai(ctx);
    case "hooks":
    case "channels":
      return handleWebhook(ctx);
    case "fleet":
      return fleetStatus(ctx);
    case "fleet-drain":
      return fleetCommand(ctx, "drain");
    case "fleet-resume":
      return fleetCommand(ctx, "resume");
    case "fleet-move":
      return fleetCommand(ctx, "move");
    case "fleet-backups":
      return backups(ctx);
    case "fleet-restore":
      return restore(ctx);
    case "fleet-adopt":
      return adopt(ctx);
    case "history":
      return history(ctx);
    case "agent-drain":
      return agentDrain(ctx);
    case "websocket":
      throw new RouterError("not_found", "this path speaks WebSocket only");
  }
}
