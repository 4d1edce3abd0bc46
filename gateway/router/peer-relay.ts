import type { IncomingMessage, ServerResponse } from "node:http";
import { HEADER } from "../contract.ts";
import { parseJson } from "./body.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { ClientGone, RouterError } from "./errors.ts";
import { FLEET } from "./headers.ts";
import { type Mark, notOwner } from "./peer-mark.ts";

/** Hops a forwarded request may take: to the owner, or over one relay to it. */
const MAX_HOPS = 2;
const ABORT_MS = 2_000;

/** Passes a request on to the node that the sender named; false when it is meant for this node. */
export async function relay(
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
      origin: parts.upstreams.peer(address),
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

/** Cancels a turn here, or on the node that the sender named. */
export async function abortTurn(
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
  const asked = {
    origin: parts.upstreams.peer(address),
    method: "POST",
    path: "/internal/turn/abort",
  };
  const answer = await parts.upstreams.ask({ ...asked, headers, body }, ABORT_MS);
  return (JSON.parse(answer.body) as { aborted?: boolean }).aborted === true;
}
