import type { ShardId } from "../contract.ts";
import type { RouterParts } from "./context.ts";
import type { RouterDeps } from "./deps.ts";
import { type LiveRoute, sameOwner } from "./gate.ts";
import { closeWithin, keepAlive } from "./ws-close.ts";
import { type Link, passedCode, pump } from "./ws-link.ts";

/** Both ways until one side ends, or the shard changes hands: then 1012, and the client comes again. */
export function join(
  deps: RouterDeps,
  router: Pick<RouterParts, "aliveMs">,
  shard: ShardId,
  route: LiveRoute,
  client: Link,
  upstream: Link,
): void {
  const off = deps.view.onRoute((changed) => {
    if (changed === shard && !sameOwner(deps.view.route(shard), route)) upstream.socket.terminate();
  });
  if (route.at === "peer") keepAlive(upstream.socket, router.aliveMs);
  const end = (code: number, reason: string) => {
    off();
    closeWithin(client.socket, code, reason);
  };
  upstream.socket.once("close", (code) => {
    const passed = passedCode(code);
    end(passed ?? 1012, passed ? "closed by the gateway" : `the owner of ${shard} was lost`);
  });
  client.socket.once("close", () => {
    off();
    closeWithin(upstream.socket, 1000, "");
  });
  // What the pumps do to either side, the other hears of.
  pump(upstream, client.socket);
  pump(client, upstream.socket);
  if (!sameOwner(deps.view.route(shard), route)) upstream.socket.terminate();
  if (client.socket.readyState !== client.socket.OPEN) upstream.socket.terminate();
}

/** Two connections live and die together; the second leads to another peer. */
export function tie(one: Link, other: Link, aliveMs: number): void {
  keepAlive(other.socket, aliveMs);
  one.socket.once("close", () => closeWithin(other.socket, 1000, ""));
  other.socket.once("close", (code) => closeWithin(one.socket, passedCode(code) ?? 1012, ""));
  pump(one, other.socket);
  pump(other, one.socket);
}
