import { openHost } from "./host.ts";
import { NodeInHand } from "./node-in-hand.ts";
import type { AgentResult, DrainRequest } from "./protocol.ts";
import type { System } from "./system.ts";

/** Empties the node, because its machine is about to be stopped: the next apply lets it take shards again. */
export async function drain(request: DrainRequest, system: System): Promise<AgentResult> {
  const host = openHost(system, request.fleet, request.node);
  // Nothing of the fleet is there: what the machine does concerns nobody.
  if (!host.recorded || !request.api) return { drained: false };
  const node = new NodeInHand(request.api, request, host);
  return { drained: (await node.drain()) === "emptied" };
}
