import type { Server } from "node:http";
import { Server as TcpServer } from "node:net";
import type { RouterParts } from "./context.ts";

/** How often connections that became idle while closing are ended, ms. */
const IDLE_SWEEP_MS = 50;
/** Time for the answers to requests that were held when the budget ended, ms. */
const LAST_WORD_MS = 250;

/**
 * No new connections; what runs may end within the budget; then everything is cut. Connections without
 * a request get `graceMs` to bring one more: its answer tells the client to connect anew.
 */
export async function shut(
  server: Server,
  budgetMs: number,
  graceMs: number,
  parts: RouterParts,
): Promise<void> {
  const closed = new Promise<void>((resolve) =>
    TcpServer.prototype.close.call(server, () => resolve()),
  );
  for (const socket of [...parts.sockets]) socket.closeForRestart();
  const begin = performance.now();
  const sweep = () => {
    if (performance.now() - begin >= graceMs) server.closeIdleConnections();
  };
  sweep();
  const idle = setInterval(sweep, IDLE_SWEEP_MS);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => {
      // Whoever still waits for an owner is told so; then the rest is cut.
      parts.gate.close();
      timer = setTimeout(resolve, LAST_WORD_MS);
    }, budgetMs);
  });
  await Promise.race([closed, late]);
  clearTimeout(timer);
  clearInterval(idle);
  for (const socket of [...parts.sockets]) socket.terminate();
  server.closeAllConnections();
  await closed;
  // Ends the timers of node:http, too.
  server.close();
}
