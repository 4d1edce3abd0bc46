import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { HEADER, type NodeId, type ShardId } from "../contract.ts";
import { MAX_FRAME_BYTES } from "../openclaw/handshake.ts";
import { ClientGone } from "./errors.ts";
import { answerRaw } from "./guard.ts";

/** What the answer to an upgrade says of itself, as every answer does. */
export interface Answering {
  /** `none` until the client has introduced itself, where a conversation decides. */
  shard: ShardId;
  /** 0: nobody owns the shard at this moment. */
  epoch: number;
  /** The shard's owner, or this node while it has none. */
  instance: NodeId;
  requestId: string;
  /** This node. */
  node: NodeId;
}

const answering = new WeakMap<IncomingMessage, Answering>();

const server = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES + 65_536,
});

server.on("headers", (lines, req) => {
  const { shard, epoch, instance, requestId } = answering.get(req) as Answering;
  lines.push(
    `${HEADER.shard}: ${shard}`,
    `${HEADER.epoch}: ${epoch}`,
    `${HEADER.instance}: ${instance}`,
    `${HEADER.requestId}: ${requestId}`,
  );
});

server.on("wsClientError", (error, socket, req) => {
  const { node, requestId } = answering.get(req) as Answering;
  answerRaw(socket, "bad_request", error.message, node, undefined, {
    [HEADER.requestId]: requestId,
    "sec-websocket-version": "13, 8",
  });
});

/** Completes the upgrade; throws ClientGone when the connection ended meanwhile. */
export function accept(
  req: IncomingMessage,
  socket: Socket,
  head: Buffer,
  answer: Answering,
): Promise<WebSocket> {
  answering.set(req, answer);
  return new Promise((resolve, reject) => {
    socket.once("close", () => reject(new ClientGone("the client left")));
    server.handleUpgrade(req, socket, head, resolve);
  });
}
