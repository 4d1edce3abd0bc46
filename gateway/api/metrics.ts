import { setTimeout as sleep } from "node:timers/promises";
import { SHARD_STATES } from "../contract.ts";
import type { NodeNumbers } from "../observe/machine.ts";
import { isLoopback, requireCaller } from "../router/auth.ts";
import type { RequestContext, RouterParts } from "../router/context.ts";
import type { RouterDeps } from "../router/deps.ts";
import { askPeers } from "./peers.ts";

/** No agent of the settings; what a gateway counts for a stranger goes here. */
const OTHER = "other";
/** Longest that a scrape waits for the session store, ms. */
const STORE_MS = 500;

/**
 * `GET /metrics`: open to loopback and the settings' scrapers when they come directly; everybody else
 * needs the admin token, and so does whoever comes through a proxy. Nodes that share this port are
 * answered for: nobody else could ask them.
 */
export async function metricsRoute(ctx: RequestContext): Promise<void> {
  const { deps, router } = ctx;
  const { scrapers } = router.addresses();
  const direct =
    !ctx.client.proxied && (isLoopback(ctx.client.address) || scrapers.has(ctx.client.address));
  if (!direct) requireCaller(router.tokens, ctx.req.headers, "admin");
  const registry = deps.alone ? await ownRegistry(deps, router) : await machine(deps, router);
  const text = Buffer.from(await registry.metrics());
  ctx.res.writeHead(200, { "content-type": registry.contentType, "content-length": text.length });
  ctx.res.end(text);
}

/** This node's part of what is told for the whole machine. */
export async function ownNumbers(deps: RouterDeps, router: RouterParts): Promise<NodeNumbers> {
  const { node, incarnation } = deps.view;
  const registry = await ownRegistry(deps, router);
  return { node, incarnation, numbers: await registry.getMetricsAsJSON() };
}

async function machine(deps: RouterDeps, router: RouterParts) {
  const { view } = deps;
  const [own, answers] = await Promise.all([
    ownNumbers(deps, router),
    askPeers<NodeNumbers>(view, router, "/internal/metrics"),
  ]);
  const peers = answers.map(({ answer }) => answer);
  // Asked last: the answers are not older than this.
  return router.machine.merge(own, peers, {
    // A failed shard has no owner, and is told by whoever is asked.
    owners: new Map(
      view
        .status()
        .shards.map(({ id, owner, state }) => [id, state === "failed" ? view.node : owner]),
    ),
    agents: agentsOf(deps),
  });
}

const agentsOf = ({ view }: RouterDeps): Set<string> =>
  new Set([...view.config().agents.map((agent) => agent.name), OTHER]);

/** A store that is slow to fail must not make a scrape late, nor this node look silent to its peers. */
function answersSoon(sessions: RouterDeps["sessions"]): Promise<boolean> {
  const late = new AbortController();
  return Promise.race([
    sessions.ok(),
    sleep(STORE_MS, false, { signal: late.signal }).catch(() => false),
  ]).finally(() => late.abort());
}

/** Sets the numbers that are read when asked for; the others are counted as they happen. */
async function ownRegistry(deps: RouterDeps, router: RouterParts) {
  const { metrics, view } = deps;
  const config = view.config();
  await metrics.prune(new Set(config.shards.map((shard) => shard.id)), agentsOf(deps));
  metrics.heldRequests.set(router.held());
  metrics.storeUp.set(view.storeOk() ? 1 : 0);
  metrics.sessionStoreUp.set((await answersSoon(deps.sessions)) ? 1 : 0);
  const active = router.sessionMap.active();
  for (const { name } of config.agents) {
    metrics.sessionsActive.set({ agent: name }, active[name] ?? 0);
  }
  const { nodes, shards } = view.status();
  metrics.setNodeStates(nodes);
  for (const shard of shards) {
    if (shard.owner !== view.node) {
      // Its lease is released: if only owners told it, nobody would.
      if (shard.state === "failed") metrics.setShardState(shard.id, shard.state);
      else {
        for (const state of SHARD_STATES) metrics.shardState.remove({ shard: shard.id, state });
      }
      metrics.leaseEpoch.remove({ shard: shard.id });
      metrics.gatewayMemory.remove({ shard: shard.id });
      continue;
    }
    metrics.setShardState(shard.id, shard.state);
    metrics.leaseEpoch.set({ shard: shard.id }, shard.epoch);
    if (shard.memoryBytes !== null) {
      metrics.gatewayMemory.set({ shard: shard.id }, shard.memoryBytes);
    }
  }
  return metrics.registry;
}
