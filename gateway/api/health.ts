import { randomUUID } from "node:crypto";
import { HEADER } from "../contract.ts";
import { type FleetReadiness, readiness } from "../readiness.ts";
import { requireCaller } from "../router/auth.ts";
import type { RequestContext, RouterParts } from "../router/context.ts";
import type { RouterDeps } from "../router/deps.ts";
import { asRouterError, sendJson } from "../router/errors.ts";
import { peerAlive } from "../router/peer-alive.ts";
import { runTurn } from "../router/turn.ts";

/** How old the last look at the owners may be when readiness is asked, ms. */
const LOOK_MS = 2_000;
/** Agents that the deep check talks to at the same time. */
const DEEP_PARALLEL = 2;
/** A model that needs longer is not well, ms. */
const DEEP_BUDGET_MS = 60_000;

/**
 * Which owners this router can reach. Ready: every owner it knows of answers it, or answers nobody
 * else either (then its node is dead, and taking this router out of service would help no one). Cut
 * off from every peer and from the store at once, it is not ready.
 */
export class Readiness {
  readonly #deps: RouterDeps;
  readonly #parts: RouterParts;
  #at = Number.NEGATIVE_INFINITY;
  #last: Promise<string[]> = Promise.resolve([]);

  constructor(deps: RouterDeps, parts: RouterParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  /** Reasons against being ready; empty when ready. */
  async reasons(): Promise<string[]> {
    if (this.#parts.stopping()) return ["this router is stopping"];
    const now = this.#deps.clock.now();
    if (now - this.#at >= LOOK_MS) {
      this.#at = now;
      this.#last = this.#look().catch((error: unknown) => [String(error)]);
    }
    return this.#last;
  }

  async #look(): Promise<string[]> {
    const { view } = this.#deps;
    const owners = new Map<string, string>();
    for (const { id } of view.config().shards) {
      const route = view.route(id);
      if (route.at === "peer") owners.set(route.node, route.address);
    }
    if (owners.size === 0) return [];
    const asked = await Promise.all(
      [...owners].map(async ([node, address]) => ({
        node,
        address,
        ok: await peerAlive(this.#parts, address),
      })),
    );
    const silent = asked.filter((each) => !each.ok);
    if (silent.length === asked.length && !view.storeOk()) {
      return ["neither the lease store nor any other node can be reached"];
    }
    const blamed = await Promise.all(
      silent.map(async ({ node, address }) =>
        (await this.#othersReach(node, address))
          ? `node ${node} cannot be reached from here`
          : null,
      ),
    );
    return blamed.filter((each) => each !== null);
  }

  async #othersReach(node: string, address: string): Promise<boolean> {
    const { view } = this.#deps;
    const others = view.peers().filter((peer) => peer.node !== node && peer.node !== view.node);
    const answers = await Promise.all(
      others.map(async (peer) => {
        try {
          const answer = await this.#parts.upstreams.ask(
            {
              origin: this.#parts.upstreams.peer(peer.address),
              method: "POST",
              path: "/internal/reach",
              headers: [HEADER.peerToken, this.#parts.tokens.peerToken],
              body: Buffer.from(JSON.stringify({ address })),
            },
            2_500,
          );
          return (JSON.parse(answer.body) as { reached?: boolean }).reached === true;
        } catch {
          return false;
        }
      }),
    );
    return answers.includes(true);
  }
}

/** `GET /healthz`: this process answers. Names the fleet, so that a foreign program is told apart. */
export function healthz(ctx: RequestContext): void {
  const { view } = ctx.deps;
  sendJson(ctx.res, 200, {
    ok: true,
    status: "live",
    fleet: view.config().fleet,
    instanceId: view.node,
  });
}

/** `GET /readyz`. */
export async function readyz(ctx: RequestContext, readiness: Readiness): Promise<void> {
  const reasons = await readiness.reasons();
  const ready = reasons.length === 0;
  sendJson(ctx.res, ready ? 200 : 503, { ready, reasons, instanceId: ctx.deps.view.node });
}

/** `GET /startupz`: started once the store was seen, whatever the channels do. */
export function startupz(ctx: RequestContext): void {
  const { view } = ctx.deps;
  const known = view.config().shards.some(({ id }) => view.route(id).at !== "none");
  const started = view.storeOk() || known;
  const draining = ctx.router.stopping();
  sendJson(ctx.res, started && !draining ? 200 : 503, {
    status: draining ? "draining" : started ? "started" : "starting",
    instanceId: view.node,
  });
}

export interface HealthSummary {
  status: FleetReadiness["level"];
  instanceId: string;
  fleet: string;
  shards: { serving: number; total: number };
  store: "ok" | "down";
  uptimeSeconds: number;
}

/** How the fleet is, by the judgement that `status` and `up` use. */
export function healthSummary(deps: RouterDeps): HealthSummary {
  const { view } = deps;
  const { level, serving, total } = readiness(view.status());
  return {
    status: level,
    instanceId: view.node,
    fleet: view.config().fleet,
    shards: { serving, total },
    store: view.storeOk() ? "ok" : "down",
    uptimeSeconds: Math.max(0, Math.round((Date.now() - view.startedAt) / 1000)),
  };
}

interface AgentCheck {
  name: string;
  ok: boolean;
  milliseconds: number;
  error?: string;
}

/** `GET /api/v1/health`, with `?deep=1` one real model call per agent (admin token). */
export async function health(ctx: RequestContext): Promise<void> {
  const summary = healthSummary(ctx.deps);
  const deep = ctx.target.query.get("deep");
  if (deep === null || deep === "0" || deep === "false") {
    sendJson(ctx.res, summary.status === "down" ? 503 : 200, summary);
    return;
  }
  requireCaller(ctx.router.tokens, ctx.req.headers, "admin");
  const waiting = [...ctx.deps.view.config().agents.map((agent) => agent.name)];
  const agents: AgentCheck[] = [];
  const worker = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      agents.push(await checkAgent(ctx, name));
    }
  };
  await Promise.all(Array.from({ length: DEEP_PARALLEL }, worker));
  agents.sort((a, b) => (a.name < b.name ? -1 : 1));
  if (summary.status === "ok" && agents.some((agent) => !agent.ok)) summary.status = "degraded";
  sendJson(ctx.res, summary.status === "down" ? 503 : 200, { ...summary, agents });
}

async function checkAgent(ctx: RequestContext, name: string): Promise<AgentCheck> {
  const agent = ctx.router.agent(name);
  const begin = performance.now();
  const spent = () => Math.round(performance.now() - begin);
  try {
    const answer = await runTurn(
      ctx.router.turns,
      {
        runId: randomUUID(),
        shard: agent.homeShard,
        agent: agent.name,
        // One conversation a node: checks leave one session behind, not one each.
        session: `health-check-${ctx.deps.view.node}`,
        message: "Health check: answer with OK.",
        mayHaveRun: false,
        budgetMs: Math.min(DEEP_BUDGET_MS, ctx.deps.view.config().turnBudgetMs),
        requestId: ctx.requestId,
      },
      ctx.gone,
    );
    const ok = answer.reply.trim() !== "";
    return { name, ok, milliseconds: spent(), ...(ok ? {} : { error: "the answer was empty" }) };
  } catch (error) {
    if (ctx.gone.aborted) throw error;
    return { name, ok: false, milliseconds: spent(), error: asRouterError(error).message };
  }
}
