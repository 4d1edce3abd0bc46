import { bootId } from "../clock.ts";
import { HEADER, type NodeId } from "../contract.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";

/** What the holder of the public port asks of a peer that shall take it, over the peers' listener. */
export interface PortOrder {
  /** The holder, which lets go once the peer has answered. */
  node: NodeId;
  host: string;
  port: number;
  /** Only a peer on the same boot of the same machine can help. */
  bootId: string;
  /** Also a peer that was asked to stop itself: nobody else is left. */
  evenStopping: boolean;
}

export interface PortAnswer {
  taken: boolean;
  /** Why not; empty when taken. */
  why: string;
}

const ASK_TIMEOUT_MS = 2_000;

/** Finds a peer that listens on the public port beside us; null when none does. */
export async function findHeir(
  deps: RouterDeps,
  parts: RouterParts,
  where: { host: string; port: number },
): Promise<NodeId | null> {
  const { view, log } = deps;
  const order = { ...where, node: view.node, bootId: bootId() };
  for (const evenStopping of [false, true]) {
    for (const { node, address } of view.peers()) {
      const answer = await askPeer(parts, address, { ...order, evenStopping });
      if (answer.taken) return node;
      log.debug({ peer: node, why: answer.why }, "a peer does not take the port");
    }
  }
  return null;
}

async function askPeer(parts: RouterParts, address: string, order: PortOrder): Promise<PortAnswer> {
  try {
    const answer = await parts.upstreams.ask(
      {
        origin: parts.upstreams.peer(address),
        method: "POST",
        path: "/internal/port/take",
        headers: [HEADER.peerToken, parts.tokens.peerToken, "content-type", "application/json"],
        body: Buffer.from(JSON.stringify(order)),
      },
      ASK_TIMEOUT_MS,
    );
    if (answer.status !== 200) return { taken: false, why: `HTTP ${answer.status}` };
    return JSON.parse(answer.body) as PortAnswer;
  } catch (error) {
    return { taken: false, why: String(error) };
  }
}
