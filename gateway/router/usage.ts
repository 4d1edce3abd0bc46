import { countedTokens, type Limiter } from "../limits/limiter.ts";
import type { FleetMetrics } from "../observe/metrics.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { FleetView } from "./view.ts";

/** Kinds of tool calls that keep a label of their own; a tool's name may be anything. */
const MAX_KINDS = 32;

/** Counts what this node's gateways report, for as long as they serve here. */
export class UsageCounter {
  readonly #view: FleetView;
  readonly #metrics: FleetMetrics;
  /** An agent's use is counted where its gateway runs, whoever asked it by whatever way. */
  readonly #limiter: Pick<Limiter, "spentOn"> | null;
  readonly #followed = new Map<string, { gateway: GatewayPort; off: () => void }>();
  readonly #kinds = new Set<string>();
  readonly #offRoute: () => void;

  constructor(
    view: FleetView,
    metrics: FleetMetrics,
    limiter: Pick<Limiter, "spentOn"> | null = null,
  ) {
    this.#limiter = limiter;
    this.#view = view;
    this.#metrics = metrics;
    this.#offRoute = view.onRoute((shard) => this.#look(shard));
    for (const { id } of view.config().shards) this.#look(id);
  }

  close(): void {
    this.#offRoute();
    for (const { off } of this.#followed.values()) off();
    this.#followed.clear();
  }

  #look(shard: string): void {
    const route = this.#view.route(shard);
    const gateway = route.at === "here" ? route.gateway : null;
    const known = this.#followed.get(shard);
    if (known?.gateway === gateway) return;
    known?.off();
    this.#followed.delete(shard);
    if (!gateway) return;
    const off = gateway.onUsage((usage) => {
      const agent = this.#view.agent(usage.agent) ? usage.agent : "other";
      void this.#limiter?.spentOn(agent, countedTokens(usage));
      const kinds = {
        input: usage.input,
        output: usage.output,
        cache_read: usage.cacheRead,
        cache_write: usage.cacheWrite,
      };
      for (const [kind, count] of Object.entries(kinds)) {
        if (count !== undefined && count > 0) this.#metrics.tokens.inc({ agent, kind }, count);
      }
      for (const { kind, count } of usage.toolCalls ?? []) {
        if (count > 0) this.#metrics.toolCalls.inc({ agent, kind: this.#bounded(kind) }, count);
      }
    });
    this.#followed.set(shard, { gateway, off });
  }

  #bounded(kind: string): string {
    if (this.#kinds.has(kind)) return kind;
    if (this.#kinds.size >= MAX_KINDS) return "other";
    this.#kinds.add(kind);
    return kind;
  }
}
