import type { IncomingMessage } from "node:http";
import { HEADER, type NodeId, type ShardId } from "../contract.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { RouterError } from "./errors.ts";
import { certifiedName } from "./fleet-tls.ts";
import { FLEET } from "./headers.ts";
import type { Route } from "./view.ts";

type HereRoute = Extract<Route, { at: "here" }>;

/** What the sender of a forwarded request believes of the shard. */
export interface Mark {
  shard: ShardId;
  epoch: number;
  incarnation: string;
  hop: number;
  relay: string | null;
  /** The sender's node, by its certificate; null where nodes talk plainly. */
  from: NodeId | null;
}

/** Throws `unauthorized` or `bad_request`; both say that nothing was reached. */
export function readMark(parts: RouterParts, req: IncomingMessage): Mark {
  const from = certifiedName(req.socket);
  if (!parts.tokens.isPeer(req.headers)) {
    const named = from === null ? "" : `; this certificate is ${from}'s`;
    throw new RouterError("unauthorized", `this port is for nodes of the fleet only${named}`);
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
    from,
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

/** As `ownRoute`; throws `not_owner`. */
export function ownOrThrow(deps: RouterDeps, mark: Mark): HereRoute {
  const route = ownRoute(deps, mark);
  if (!route) throw notOwner(deps, mark.shard);
  return route;
}
