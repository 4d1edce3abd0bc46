import { bootClock } from "../clock.ts";
import type { NodeConfig } from "../config.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { LeaseAgent } from "../leases/agent.ts";
import type { HeldLease } from "../leases/store.ts";
import type { FleetMetrics } from "../observe/metrics.ts";
import { prefer } from "../placement.ts";
import { ReplicationAgent } from "../replication/agent.ts";
import { isUnreplicated, lagOf } from "../replication/port.ts";
import { splitSite } from "../replication/sites.ts";

export interface ReplicasDeps {
  node: NodeConfig;
  fleet: string;
  bootId: string;
  leases: Pick<LeaseAgent, "held" | "setHeld">;
  metrics: Pick<FleetMetrics, "replicaLag" | "replicaSent" | "unreplicated">;
  /** Shards of the fleet, and the nodes that are there, this one included. */
  shards: () => ShardId[];
  nodes: () => NodeId[];
  /** A later owner has the shard. */
  fenced: (shard: ShardId, epoch: number, reason: string) => void;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  onChange: () => void;
}

/** How often positions are brought to the lease thread, ms: far more often than it renews. */
const PUBLISH_EVERY_MS = 250;
/** A ready gateway waits for its first manifest this long, ms; then it serves all the same. */
const FIRST_MANIFEST_MS = 5_000;
/** A bug ended the thread. The keeper ends what runs here and starts the node anew, with all its state. */
const THREAD_ENDED_EXIT = 1;

/** The replicas of this node's shards, as the node sees them; null: its shards stay on this machine alone. */
export function openReplicas(deps: ReplicasDeps): NodeReplicas | null {
  return deps.node.replication ? new NodeReplicas(deps) : null;
}

/** Joins the replication thread to the leases: positions go out with renewals, and come back as published. */
export class NodeReplicas {
  readonly state: ReplicationAgent;
  readonly #deps: ReplicasDeps;
  readonly #published = new Map<ShardId, string>();
  readonly #waiting = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: ReplicasDeps) {
    this.#deps = deps;
    const { node, fleet, bootId, log, metrics } = deps;
    if (!node.replication) throw new Error("node.json names no target of replication");
    this.state = new ReplicationAgent({
      fleet,
      node: node.id,
      dataDir: node.dataDir,
      bootId,
      replication: node.replication,
    });
    this.state.on("log", (level, message, fields) => log(level, message, fields));
    this.state.on("fenced", (shard, epoch, reason) => deps.fenced(shard, epoch, reason));
    this.state.on("sent", ({ shard, bytes }) => metrics.replicaSent.inc({ shard }, bytes));
    this.state.on("condition", () => this.#wake());
    this.state.on("ended", (why) => {
      log("error", why);
      setTimeout(() => process.exit(THREAD_ENDED_EXIT), 1_000);
    });
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), PUBLISH_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.state.stop();
  }

  /** A renewal went well with these positions: others will find them. */
  renewed(held: readonly Pick<HeldLease, "shard" | "position">[]): void {
    for (const { shard, position } of held) {
      if (position !== null) this.#published.set(shard, position);
    }
    this.#wake();
  }

  /** For status and metrics; null: the shard is not open here. */
  report(shard: ShardId): { lagMs: number; unreplicated: boolean } | null {
    const condition = this.state.condition(shard);
    if (!condition) return null;
    const now = bootClock.now();
    return {
      lagMs: Math.round(lagOf(condition, now)),
      unreplicated: isUnreplicated(condition, now),
    };
  }

  /**
   * Resolves when people may be served: the first manifest of the epoch is in place, or was waited for long enough,
   * and a position of this epoch is published. Without the latter, whoever takes over next would not know that anybody
   * had been served here.
   */
  async mayServe(shard: ShardId): Promise<void> {
    const until = bootClock.now() + FIRST_MANIFEST_MS;
    while (this.state.condition(shard)?.replicated === false && bootClock.now() < until) {
      await this.#news(until - bootClock.now());
    }
    const wanted = this.state.condition(shard)?.position ?? null;
    while (wanted !== null && !this.#isPublished(shard, wanted)) {
      // Given up meanwhile: nobody is shown anything.
      if (this.state.condition(shard) === null) return;
      await this.#news(PUBLISH_EVERY_MS);
    }
  }

  /** The published position is of the same epoch and site, and no older manifest. */
  #isPublished(shard: ShardId, wanted: string): boolean {
    const published = this.#published.get(shard);
    if (!published) return false;
    const [a, b] = [splitSite(published), splitSite(wanted)];
    const place = (text: string | null) => /^([^/]+)\/(\d+)\+/.exec(text ?? "");
    const [has, wants] = [place(a.position), place(b.position)];
    return a.site === b.site && has?.[1] === wants?.[1] && Number(has?.[2]) >= Number(wants?.[2]);
  }

  #news(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(1, withinMs));
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }

  #tick(): void {
    const { leases, metrics, shards, nodes, node, onChange } = this.#deps;
    const held = leases.held();
    let news = false;
    const now = held.map((one) => {
      const condition = this.state.condition(one.shard);
      if (condition?.epoch !== one.epoch || condition.position === one.position) return one;
      news = true;
      return { ...one, position: condition.position };
    });
    if (news) leases.setHeld(now);
    this.state.prefer(preferences(shards(), nodes(), node.id));
    for (const shard of shards()) {
      const report = this.report(shard);
      if (report) {
        metrics.replicaLag.set({ shard }, report.lagMs / 1_000);
        metrics.unreplicated.set({ shard }, report.unreplicated ? 1 : 0);
      } else {
        metrics.replicaLag.remove({ shard });
        metrics.unreplicated.remove({ shard });
      }
    }
    if (held.length > 0) onChange();
  }
}

/** Hosts for each shard's replica, best first: its rank without the owner, so that who takes over next has it already. */
export function preferences(
  shards: readonly ShardId[],
  nodes: readonly NodeId[],
  self: NodeId,
): Record<ShardId, NodeId[]> {
  const others = nodes.filter((node) => node !== self);
  return Object.fromEntries(shards.map((shard) => [shard, prefer(shard, others, {})]));
}
