import { connect } from "node:net";

/** A machine without power says nothing at all; one that lives takes a connection within milliseconds. */
const KNOCK_MS = 3_000;

/**
 * Which of several ways to the same fleet is open: the first URL whose port takes a connection. Nothing is sent, so
 * whatever is asked afterwards is asked once. All are tried at the same time; a single one is not tried at all.
 * Null: none.
 */
export async function openDoor(
  urls: readonly string[],
  { timeoutMs = KNOCK_MS }: { timeoutMs?: number } = {},
): Promise<string | null> {
  if (urls.length < 2) return urls[0] ?? null;
  const knocks = urls.map((url) => [url, opens(new URL(url), timeoutMs)] as const);
  for (const [url, open] of knocks) if (await open) return url;
  return null;
}

function opens({ hostname, port, protocol }: URL, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port) || (protocol === "https:" ? 443 : 80),
  });
  const end = (open: boolean) => {
    clearTimeout(timer);
    socket.destroy();
    resolve(open);
  };
  const timer = setTimeout(end, timeoutMs, false);
  socket.once("connect", () => end(true));
  // A late one, after the end, must not end the program.
  socket.on("error", () => end(false));
  return promise;
}
