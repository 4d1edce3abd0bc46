import { SHARD_STATES } from "../contract.ts";
import { isLoopback, requireCaller } from "../router/auth.ts";
import type { RequestContext } from "../router/context.ts";

/**
 * `GET /metrics`: open to loopback and the settings' scrapers when they come directly; everybody else
 * needs the admin token, and so does whoever comes through a proxy.
 */
export async function metricsRoute(ctx: RequestContext): Promise<void> {
  const { scrapers } = ctx.router.addresses();
  const direct =
    !ctx.client.proxied && (isLoopback(ctx.client.address) || scrapers.has(ctx.client.address));
  if (!direct) requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  await collect(ctx);
  const { registry } = ctx.deps.metrics;
  const text = Buffer.from(await registry.metrics());
  ctx.res.writeHead(200, { "content-type": registry.contentType, "content-length": text.length });
  ctx.res.end(text);
}

/** Numbers that are read when asked for; the others are counted as they happen. */
async function collect(ctx: RequestContext): Promise<void> {
  const { metrics, view } = ctx.deps;
  const config = view.config();
  await metrics.prune(
    new Set(config.shards.map((shard) => shard.id)),
    new Set([...config.agents.map((agent) => agent.name), "other"]),
  );
  metrics.heldRequests.set(ctx.router.gate.held() + ctx.router.placing.waiting);
  metrics.storeUp.set(view.storeOk() ? 1 : 0);
  const active = ctx.router.sessionMap.active();
  for (const { name } of config.agents) {
    metrics.sessionsActive.set({ agent: name }, active[name] ?? 0);
  }
  const { nodes, shards } = view.status();
  metrics.setNodeStates(nodes);
  for (const shard of shards) {
    if (shard.owner !== view.node) {
      for (const state of SHARD_STATES) metrics.shardState.remove({ shard: shard.id, state });
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
}
