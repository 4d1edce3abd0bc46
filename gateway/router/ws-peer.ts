import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { HEADER } from "../contract.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { asRouterError, ClientGone } from "./errors.ts";
import { answerRaw } from "./guard.ts";
import { FLEET, peerHeaders } from "./headers.ts";
import { notOwner, ownRoute, readMark } from "./peer-mark.ts";
import { requestIdOf } from "./request-id.ts";
import { accept } from "./ws-accept.ts";
import { closeHandle, closeWithin } from "./ws-close.ts";
import { join, tie } from "./ws-join.ts";
import { type Greeting, LinkError, linkGateway, linkOf, openPeer, textOf } from "./ws-link.ts";

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
    const { shard, epoch } = mark;
    const { node } = deps.view;
    const relayTo = mark.relay !== null && mark.relay !== node ? mark.relay : null;
    const answer = { shard, epoch, instance: relayTo ?? node, requestId, node };
    if (relayTo !== null) {
      const address = deps.view.peers().find((peer) => peer.node === relayTo)?.address;
      if (mark.hop > 1 || address === undefined) throw notOwner(deps, mark.shard);
      const marks = peerHeaders({
        ...mark,
        token: router.tokens.peerToken,
        hop: mark.hop + 1,
        relay: null,
      });
      const onward = await openPeer(
        { address, tls: router.upstreams.tls },
        marks,
        requestId,
        gone.signal,
      );
      tie(linkOf(await accept(req, socket, head, answer)), onward, router.aliveMs);
      return;
    }
    const route = ownRoute(deps, mark);
    if (!route) throw notOwner(deps, mark.shard);
    const peer = linkOf(await accept(req, socket, head, answer));
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
      join(deps, router, mark.shard, route, peer, await linkGateway(route, greeting, gone.signal));
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
