import type { WebSocket } from "ws";
import { FRONT } from "../contract.ts";

/** Time for the closing handshake before the connection is cut, ms. */
const CLOSE_MS = 2_000;

/** How a stopping router ends a WebSocket. */
export function closeHandle(socket: WebSocket): { closeForRestart(): void; terminate(): void } {
  return {
    closeForRestart: () => closeWithin(socket, 1012, "the router is stopping"),
    terminate: () => socket.terminate(),
  };
}

/** Closes; a side that does not answer the close is cut off. */
export function closeWithin(socket: WebSocket, code: number, reason: string): void {
  if (socket.readyState === socket.CLOSED) return;
  if (socket.isPaused) socket.resume();
  socket.close(code, reason);
  const timer = setTimeout(() => socket.terminate(), CLOSE_MS);
  socket.once("close", () => clearTimeout(timer));
}

/**
 * Who answered no ping for two rounds is gone, whatever the kernel says. What is not read now, because who
 * shall have it is slow, cannot be heard either: it is no silence.
 */
export function keepAlive(socket: WebSocket, everyMs: number = FRONT.pingMs): void {
  let missed = 0;
  socket.on("pong", () => {
    missed = 0;
  });
  const timer = setInterval(() => {
    if (socket.isPaused) missed = 0;
    if (missed >= 2) {
      clearInterval(timer);
      socket.terminate();
      return;
    }
    missed += 1;
    if (socket.readyState === socket.OPEN) socket.ping();
  }, everyMs);
  socket.once("close", () => clearInterval(timer));
}
