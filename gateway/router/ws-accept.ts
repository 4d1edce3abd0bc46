import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { MAX_FRAME_BYTES } from "../openclaw/handshake.ts";
import { ClientGone } from "./errors.ts";

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES + 65_536,
});

/** Completes the upgrade; throws ClientGone when the connection ended meanwhile. */
export function accept(req: IncomingMessage, socket: Socket, head: Buffer): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    socket.once("close", () => reject(new ClientGone("the client left")));
    server.handleUpgrade(req, socket, head, resolve);
  });
}
