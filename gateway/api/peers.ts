import { HEADER, type NodeId } from "../contract.ts";
import type { RouterParts } from "../router/context.ts";
import type { FleetView } from "../router/view.ts";

/** A peer that is silent for longer is left out, ms. */
const SILENT_MS = 1_000;

/** What every other live node answers to a small question of the peers' listener; silent ones are left out. */
export async function askPeers<T>(
  view: FleetView,
  router: RouterParts,
  path: string,
): Promise<{ node: NodeId; answer: T }[]> {
  const others = view.peers().filter((peer) => peer.node !== view.node);
  const answers = await Promise.all(
    others.map(async ({ node, address }) => {
      try {
        const { status, body } = await router.upstreams.ask(
          {
            origin: router.upstreams.peer(address),
            method: "GET",
            path,
            headers: [HEADER.peerToken, router.tokens.peerToken],
            body: null,
          },
          SILENT_MS,
        );
        // One of an older release may not know the question.
        return status === 200 ? [{ node, answer: JSON.parse(body) as T }] : [];
      } catch {
        return [];
      }
    }),
  );
  return answers.flat();
}
