import type { Clock } from "../clock.ts";
import type { AgentConfig, FleetConfig } from "../config.ts";
import type { FleetStatus, NodeId, NodeState, ShardId, ShardState } from "../contract.ts";
import type { NodeRecord, ShardReport, StoreView } from "../leases/store.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import type { Standing } from "../ownership/report.ts";
import type { FleetView, Route } from "../router/view.ts";
import { isTurn } from "./turn-taking.ts";
import { updateStatus } from "./update-plan.ts";
import { votersOf } from "./voters.ts";

/** What this node itself knows of a shard it looks after. */
export interface ShardHere {
  epoch: number;
  report: ShardReport;
  /** Present while requests may go to the gateway. */
  endpoint: { host: string; port: number; token: string; gateway: GatewayPort } | null;
}

export interface FleetViewDeps {
  node: NodeId;
  incarnation: string;
  storeKind: string;
  /** URLs of the lease store's members now, where they decide by majority. @default no majority decides */
  voters?: () => readonly string[] | undefined;
  clock: Clock;
  config: () => FleetConfig;
  here: (shard: ShardId) => ShardHere | undefined;
  /** Clock.now() until which the lease of the shard is surely ours. */
  deadline: (shard: ShardId) => number;
  /** The rules' opinion of a shard, and of a node. */
  standing: (shard: ShardId) => Standing;
  nodeState: (node: NodeId) => NodeState;
  lookAgain: (shard: ShardId) => void;
  /** Which settings are in force. */
  revision: () => string;
  /** Where a node is dialled. @default as it published */
  addressOf?: (node: NodeId, published: string) => string;
}

/** The router's window on the fleet, answered from memory. */
export class LiveFleetView implements FleetView {
  readonly startedAt = Date.now();
  readonly #deps: FleetViewDeps;
  readonly #listeners = new Set<(shard: ShardId) => void>();
  readonly #routeKeys = new Map<ShardId, string>();
  readonly #seen = new Map<NodeId, { beat: string; at: number }>();
  #view: StoreView | null = null;
  #storeOk = true;
  #storeFault: string | null = null;
  #stopping = false;
  #agents = new Map<string, AgentConfig>();
  #heldRequests = () => 0;
  #sessions = () => ({}) as Record<ShardId, number>;

  constructor(deps: FleetViewDeps) {
    this.#deps = deps;
    this.configured();
  }

  get node(): NodeId {
    return this.#deps.node;
  }

  get incarnation(): string {
    return this.#deps.incarnation;
  }

  config(): FleetConfig {
    return this.#deps.config();
  }

  agent(name: string): AgentConfig | undefined {
    return this.#agents.get(name);
  }

  /** Numbers that only the router has; they complete `status`. */
  attachCounts(counts: { held: () => number; sessions: () => Record<ShardId, number> }): void {
    this.#heldRequests = counts.held;
    this.#sessions = counts.sessions;
  }

  configured(): void {
    this.#agents = new Map(this.config().agents.map((agent) => [agent.name, agent]));
    this.refresh();
  }

  viewed(view: StoreView): void {
    this.#view = view;
    this.#storeOk = true;
    this.#storeFault = null;
    const now = this.#deps.clock.now();
    for (const record of Object.values(view.nodes)) {
      const beat = `${record.incarnation}:${record.beat}`;
      if (this.#seen.get(record.id)?.beat !== beat) this.#seen.set(record.id, { beat, at: now });
    }
    this.refresh();
  }

  storeFailed(why: string): void {
    this.#storeOk = false;
    this.#storeFault = why;
  }

  /** Why the store did not answer when it was last asked; null when it did. */
  get storeFault(): string | null {
    return this.#storeFault;
  }

  stop(): void {
    this.#stopping = true;
  }

  /**
   * Shards that the settings name, others that somebody has (newer settings may be on their way here), and all that
   * listeners were ever told of: they hear of the end, too.
   */
  #known(): Set<ShardId> {
    const leased = Object.keys(this.#view?.leases ?? {}).filter((key) => !isTurn(key));
    const named = this.config().shards.map(({ id }) => id);
    return new Set([...named, ...leased, ...this.#routeKeys.keys()]);
  }

  /** Tells listeners of every shard whose route is another one than before. */
  refresh(): void {
    for (const id of this.#known()) {
      const route = this.route(id);
      const key =
        route.at === "here"
          ? `here ${route.epoch} ${route.port}`
          : route.at === "peer"
            ? `peer ${route.node} ${route.address} ${route.epoch} ${route.incarnation}`
            : route.at;
      if (this.#routeKeys.get(id) === key) continue;
      this.#routeKeys.set(id, key);
      for (const listener of this.#listeners) listener(id);
    }
  }

  route(shard: ShardId): Route {
    const { deadline, clock, standing } = this.#deps;
    const where = standing(shard);
    const { epoch } = where;
    if (where.at === "none") {
      return where.failed === null
        ? { at: "none", epoch, state: "idle" }
        : { at: "failed", epoch, reason: where.failed };
    }
    if (where.at === "here") {
      const here = this.#deps.here(shard);
      const live = () => clock.now() < deadline(shard);
      if (here?.endpoint && here.report.open && here.epoch === epoch && live()) {
        return { at: "here", epoch, incarnation: this.incarnation, live, ...here.endpoint };
      }
      return { at: "none", epoch, state: here?.report.state ?? "acquiring" };
    }
    const owner = this.#view?.nodes[where.node];
    const report = owner?.shards[shard];
    if (!owner || !where.alive || !report?.open || report.epoch !== epoch) {
      return { at: "none", epoch, state: where.alive ? (report?.state ?? "acquiring") : "idle" };
    }
    const { node, incarnation } = where;
    return { at: "peer", node, address: this.#addressOf(owner), epoch, incarnation };
  }

  leased(shard: ShardId): boolean | null {
    if (!this.#view || !this.#storeOk) return null;
    // The lease of a shard that no settings name is taken over by nobody: a dead owner's stays for ever.
    const where = this.#deps.standing(shard);
    return where.at === "here" || (where.at === "peer" && where.alive);
  }

  onRoute(listener: (shard: ShardId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  doubt(shard: ShardId): void {
    this.#deps.lookAgain(shard);
  }

  peers(): { node: NodeId; address: string }[] {
    return this.#records()
      .filter((record) => record.id !== this.node && this.#deps.nodeState(record.id) !== "lost")
      .map((record) => ({ node: record.id, address: this.#addressOf(record) }));
  }

  #addressOf({ id, address }: NodeRecord): string {
    return this.#deps.addressOf?.(id, address) ?? address;
  }

  storeOk(): boolean {
    return this.#storeOk && this.#view !== null;
  }

  stopping(): boolean {
    return this.#stopping;
  }

  #records(): NodeRecord[] {
    return Object.values(this.#view?.nodes ?? {}).sort((a, b) => a.id.localeCompare(b.id));
  }

  status(): FleetStatus {
    const config = this.config();
    const now = this.#deps.clock.now();
    const view = this.#view;
    const sessions = this.#sessions();
    const update = view && this.#update(view);
    const known = config.shards.map((shard) => shard.id);
    const nodes: FleetStatus["nodes"] = this.#records().map((record) => {
      const self = record.id === this.node;
      const seenAt = this.#seen.get(record.id)?.at ?? now;
      const state = this.#deps.nodeState(record.id);
      const gone = state === "lost";
      const memory = Object.values(record.shards).map((shard) => shard.memoryBytes);
      return {
        id: record.id,
        address: record.address,
        pid: gone ? null : record.pid,
        state,
        shards: known.filter((shard) => view?.leases[shard]?.owner === record.id),
        version: record.release,
        memoryBytes: memory.some((bytes) => bytes !== null)
          ? memory.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
          : null,
        seenMsAgo: self ? 0 : Math.max(0, Math.round(now - seenAt)),
      };
    });
    const voters = votersOf(this.#deps.voters?.(), nodes);
    return {
      fleet: config.fleet,
      nodes,
      shards: config.shards.map(({ id, agents }) => {
        const lease = view?.leases[id];
        const here = this.#deps.here(id);
        const route = this.route(id);
        const ownerRecord = lease?.owner ? view?.nodes[lease.owner] : undefined;
        const remote = ownerRecord?.shards[id];
        const report = here && here.report.state !== "idle" ? here.report : remote;
        const ownerGone = nodes.some((n) => n.id === lease?.owner && n.state === "lost");
        const failed = route.at === "failed" ? route.reason : null;
        return {
          id,
          agents,
          owner: lease?.owner ?? null,
          epoch: lease?.epoch ?? 0,
          state:
            failed !== null
              ? "failed"
              : ownerGone
                ? "idle"
                : ((report?.state ?? "idle") as ShardState),
          pid: ownerGone ? null : (report?.pid ?? null),
          startedAt: ownerGone ? null : (report?.startedAt ?? null),
          restarts: report?.restarts ?? 0,
          sessions: sessions[id] ?? 0,
          memoryBytes: ownerGone ? null : (report?.memoryBytes ?? null),
          reason: failed ?? report?.reason ?? lease?.reason ?? null,
          ...(report?.replica && !ownerGone ? { replica: report.replica } : {}),
          ...(report?.channels && !ownerGone ? { channels: report.channels } : {}),
        };
      }),
      store: {
        kind: this.#deps.storeKind,
        ok: this.storeOk(),
        ...(voters ? { voters } : {}),
      },
      heldRequests: this.#heldRequests(),
      ...(update ? { update } : {}),
    };
  }

  #update(view: StoreView): FleetStatus["update"] {
    const shards = this.config().shards.map(({ id }) => id);
    return updateStatus({ view, shards, revision: this.#deps.revision() });
  }
}
