import type { ServerResponse } from "node:http";

/** A client that takes nothing of what waits for it for this long is cut, ms. */
export const STALL_MS = 60_000;

/**
 * Calls `then` once everything written so far has left; cuts the connection when nothing of it did for
 * `stallMs`. For whoever got `false` from `write` and keeps still until then.
 */
export function onceDrained(
  res: ServerResponse,
  then: () => void,
  stallMs: number = STALL_MS,
): void {
  let left = res.writableLength;
  const timer = setInterval(() => {
    const now = res.writableLength;
    if (now >= left) res.destroy();
    left = now;
  }, stallMs);
  const over = () => {
    clearInterval(timer);
    res.off("drain", drained);
    res.off("finish", over);
    res.off("close", over);
  };
  const drained = () => {
    over();
    then();
  };
  res.on("drain", drained);
  res.on("finish", over);
  res.on("close", over);
}
