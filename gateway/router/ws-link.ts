import { type RawData, WebSocket } from "ws";
import { endpoint } from "../address.ts";
import { HEADER } from "../contract.ts";
import {
  buildConnect,
  MAX_FRAME_BYTES,
  parseChallenge,
  parseFrame,
} from "../openclaw/handshake.ts";
import type { FleetTls } from "./fleet-tls.ts";
import type { LiveRoute } from "./gate.ts";
import { FLEET } from "./headers.ts";

/** What the owner needs to make its own `connect` for a person's WebSocket; no token among it. */
export interface Greeting {
  /** Id of the person's `connect`: the answer carries it. */
  id: string;
  scopes: string[];
  caps: string[];
  userAgent: string;
}

export interface Frame {
  data: RawData;
  binary: boolean;
}

/** An open WebSocket whose frames wait until somebody listens. */
export interface Link {
  socket: WebSocket;
  /** Hands over what has come so far and everything after it. */
  listen(sink: (frame: Frame) => void): void;
  /** From now on frames wait for the next `listen`. */
  hold(): void;
}

/** The way to the gateway could not be made; nothing was relayed. */
export class LinkError extends Error {
  override readonly name = "LinkError";
}

const OPEN_MS = 15_000;
/** Above it the sender of frames is paused, below a quarter of it resumed, bytes. */
const HIGH_WATER = 2 ** 20;

const CLIENT = {
  perMessageDeflate: false,
  maxPayload: MAX_FRAME_BYTES + 65_536,
  handshakeTimeout: OPEN_MS,
} as const;

/** Puts a socket's frames in a row for whoever listens later. */
export function linkOf(socket: WebSocket): Link {
  const waiting: Frame[] = [];
  let sink: ((frame: Frame) => void) | null = null;
  socket.on("error", () => socket.terminate());
  socket.on("message", (data, binary) => {
    if (sink && waiting.length === 0) sink({ data, binary });
    else waiting.push({ data, binary });
  });
  return {
    socket,
    listen(next) {
      sink = next;
      // A sink may hold the row again after any frame.
      while (sink === next && waiting.length > 0) next(waiting.shift() as Frame);
    },
    hold() {
      sink = null;
    },
  };
}

/** Connects to the gateway on this node and gives it our own `connect`; its answer is the first frame. */
export async function linkGateway(
  route: Extract<LiveRoute, { at: "here" }>,
  greeting: Greeting,
  signal: AbortSignal,
): Promise<Link> {
  if (!route.live()) throw new LinkError("the owner's deadline has passed");
  const link = linkOf(new WebSocket(`ws://${endpoint(route.host, route.port)}/`, CLIENT));
  await new Promise<void>((resolve, reject) => {
    const finish = guard(link.socket, signal, resolve, reject);
    link.listen(({ data }) => {
      const frame = parseFrame(textOf(data));
      if (!frame || !parseChallenge(frame)) return;
      if (!route.live()) {
        finish(new LinkError("the owner's deadline has passed"));
        return;
      }
      link.socket.send(JSON.stringify(buildConnect({ ...greeting, token: route.token })));
      finish(null);
    });
  });
  return firstFrame(link, greeting.id, signal);
}

/** Where a peer listens, and what it takes to be let in. */
export interface PeerPlace {
  /** `host:port` */
  address: string;
  /** Null on one machine. */
  tls: FleetTls | null;
}

/** Connects to a peer that owns the shard (or relays to its owner); it makes the `connect`. */
export async function linkPeer(
  place: PeerPlace,
  mark: string[],
  greeting: Greeting,
  requestId: string,
  signal: AbortSignal,
): Promise<Link> {
  const link = await openPeer(place, mark, requestId, signal);
  link.socket.send(JSON.stringify(greeting));
  return firstFrame(link, greeting.id, signal);
}

/** The bare connection to a peer's `/internal/ws`. */
export async function openPeer(
  { address, tls }: PeerPlace,
  mark: string[],
  requestId: string,
  signal: AbortSignal,
): Promise<Link> {
  const headers: Record<string, string> = { [HEADER.requestId]: requestId };
  for (let index = 0; index + 1 < mark.length; index += 2) {
    headers[mark[index] as string] = mark[index + 1] as string;
  }
  const url = `${tls ? "wss" : "ws"}://${address}/internal/ws`;
  const link = linkOf(new WebSocket(url, { ...CLIENT, ...tls?.credentials, headers }));
  await new Promise<void>((resolve, reject) => {
    const finish = guard(link.socket, signal, resolve, reject);
    link.socket.once("open", () => finish(null));
    link.socket.once("unexpected-response", (_request, response) => {
      const unreached = response.headers[FLEET.unreached] !== undefined;
      finish(new LinkError(`HTTP ${response.statusCode}${unreached ? ", not the owner" : ""}`));
    });
  });
  return link;
}

/** Waits for the answer to `connect`, and leaves it in the row as the first frame. */
async function firstFrame(link: Link, id: string, signal: AbortSignal): Promise<Link> {
  const answer = await new Promise<Frame>((resolve, reject) => {
    let found: Frame | null = null;
    const finish = guard(link.socket, signal, () => resolve(found as Frame), reject);
    link.listen((frame) => {
      const parsed = frame.binary ? null : parseFrame(textOf(frame.data));
      if (parsed?.type !== "res" || parsed.id !== id) return;
      found = frame;
      link.hold();
      finish(null);
    });
  });
  return {
    ...link,
    listen(next) {
      next(answer);
      link.listen(next);
    },
  };
}

/** Ends a wait on a socket: once, by success, its close, a deadline, or the client leaving. */
function guard(
  socket: WebSocket,
  signal: AbortSignal,
  resolve: () => void,
  reject: (error: Error) => void,
): (error: Error | null) => void {
  let over = false;
  const onClose = (code: number) =>
    finish(new LinkError(`closed with ${code} before it was ready`));
  const onAbort = () => finish(new LinkError("the client left"));
  const timer = setTimeout(() => finish(new LinkError("no answer in time")), OPEN_MS);
  const finish = (error: Error | null) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.off("close", onClose);
    signal.removeEventListener("abort", onAbort);
    if (!error) {
      resolve();
      return;
    }
    socket.terminate();
    reject(error);
  };
  socket.on("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return finish;
}

/** Frames from one side to the other; the sender is paused while the receiver is slow. */
export function pump(from: Link, to: WebSocket): void {
  from.listen(({ data, binary }) => {
    if (to.readyState !== WebSocket.OPEN) return;
    to.send(data, { binary }, () => {
      if (from.socket.isPaused && to.bufferedAmount < HIGH_WATER / 4) from.socket.resume();
    });
    if (to.bufferedAmount > HIGH_WATER && !from.socket.isPaused) from.socket.pause();
  });
}

export function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString("utf8");
  return Buffer.from(data as Buffer).toString("utf8");
}

/** Close codes that mean "the gateway said so", not "the gateway is gone". */
export function passedCode(code: number): number | null {
  return code === 1008 || code === 1009 || code === 1003 || code >= 4000 ? code : null;
}
