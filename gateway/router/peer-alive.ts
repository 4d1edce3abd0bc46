import { HEADER } from "../contract.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";

/** A peer that needs longer counts as out of reach, ms. */
const ALIVE_TIMEOUT_MS = 1_000;

/** Whether this node can talk to another one; only addresses of the fleet are tried. */
export async function reach(
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
        origin: parts.upstreams.peer(address),
        method: "GET",
        path: "/internal/alive",
        headers: [HEADER.peerToken, parts.tokens.peerToken],
        body: null,
      },
      ALIVE_TIMEOUT_MS,
    );
    return answer.status === 200;
  } catch {
    return false;
  }
}
