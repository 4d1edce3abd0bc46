import { LEASE, type NodeId, type ShardId } from "../../../../gateway/contract.ts";
import type { Proc, Timeline } from "./engine.ts";

/** A gateway process of the simulated world. */
export interface Gateway {
  shard: ShardId;
  epoch: number;
  node: NodeId;
  incarnation: string;
  machine: string;
  proc: Proc;
  /** It answers requests. */
  ready: boolean;
  /** Its keeper could not run for a while, or is gone: it may live on for the wake grace. */
  excused: boolean;
  /** When a later epoch was acquired while it lived; null: it is the newest. */
  supersededAt: number | null;
  /** How long it could act after that, true ms; counted while it is not paused. */
  exposedMs: number;
  exposedFrom: number | null;
}

export class LawBroken extends Error {
  override readonly name = "LawBroken";
}

/** Clocks of the model run up to this much fast or slow; the law counts in true time. */
export const DRIFT = 0.01;

/** Watches the world and throws at the first moment a law of ownership does not hold. */
export class Laws {
  readonly #time: Timeline;
  readonly gateways = new Set<Gateway>();
  readonly #granted = new Set<string>();
  readonly #cleared = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #newest = new Map<ShardId, { epoch: number; by: string }>();
  readonly #homecomings = new Map<ShardId, { node: NodeId; incarnation: string; epoch: number }>();
  /** How often each kind of thing happened; a run in which nothing happens proves nothing. */
  readonly counts: Record<string, number> = {};

  constructor(time: Timeline) {
    this.#time = time;
  }

  readonly #newestGrant = new Map<ShardId, number>();

  newestGrant(shard: ShardId): number {
    return this.#newestGrant.get(shard) ?? 0;
  }

  /** Shards on their way home. */
  moving(): ShardId[] {
    return [...this.#homecomings.keys()];
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  broken(law: string, detail: string): never {
    throw new LawBroken(`${law}: ${detail} (at ${this.#time.now} ms)`);
  }

  /** The store granted an epoch: every older gateway of the shard must have no effect from now on. */
  acquired(shard: ShardId, epoch: number, node: NodeId, incarnation: string): void {
    this.count("acquired");
    this.#granted.add(`${shard}/${epoch}/${node}/${incarnation}`);
    this.#newestGrant.set(shard, Math.max(this.newestGrant(shard), epoch));
    for (const gateway of this.gateways) {
      if (gateway.shard !== shard || gateway.supersededAt !== null) continue;
      if (gateway.epoch === epoch && gateway.incarnation === incarnation) continue;
      gateway.supersededAt = this.#time.now;
      if (!gateway.proc.paused) this.expose(gateway);
    }
  }

  /** A superseded gateway is able to act from now on. */
  expose(gateway: Gateway): void {
    const { shard, epoch, node } = gateway;
    if (gateway.supersededAt === null) return;
    const who = `${shard} epoch ${epoch} on ${node}`;
    if (!gateway.excused) this.broken("one live epoch", `${who} is live beside a later epoch`);
    gateway.exposedFrom = this.#time.now;
    const left = LEASE.wakeGraceMs * (1 + DRIFT) - gateway.exposedMs;
    this.#time.after(left + 1, () => {
      if (gateway.exposedFrom === null || !this.gateways.has(gateway)) return;
      const exposed = gateway.exposedMs + this.#time.now - gateway.exposedFrom;
      if (exposed > LEASE.wakeGraceMs * (1 + DRIFT)) {
        this.broken("one live epoch", `${who} lived ${exposed} ms beside a later epoch`);
      }
    });
  }

  /** It was paused or is gone: it cannot act now. */
  cover(gateway: Gateway): void {
    if (gateway.exposedFrom === null) return;
    gateway.exposedMs += this.#time.now - gateway.exposedFrom;
    gateway.exposedFrom = null;
  }

  cleared(shard: ShardId, epoch: number, incarnation: string): void {
    this.#cleared.add(`${shard}/${epoch}/${incarnation}`);
  }

  /** The rules order a start. */
  ordered(shard: ShardId, epoch: number, node: NodeId, incarnation: string): void {
    const who = `${shard} epoch ${epoch} on ${node} (${incarnation})`;
    if (!this.#granted.has(`${shard}/${epoch}/${node}/${incarnation}`)) {
      this.broken("own lease", `${who} starts without a lease of this incarnation`);
    }
    if (!this.#cleared.has(`${shard}/${epoch}/${incarnation}`)) {
      this.broken("cleared first", `${who} starts before older processes were gone`);
    }
    if (this.#ended.has(`${shard}/${epoch}/${incarnation}`)) {
      this.broken("killed stays dead", `${who} starts again`);
    }
    const newest = this.#newest.get(shard);
    const by = `${node}/${incarnation}`;
    if (newest && (epoch < newest.epoch || (epoch === newest.epoch && by !== newest.by))) {
      this.broken("epochs grow", `${who} starts after epoch ${newest.epoch} of ${newest.by}`);
    }
    this.#newest.set(shard, { epoch, by });
    this.count("started");
  }

  spawned(gateway: Gateway): void {
    for (const other of this.gateways) {
      if (other.shard !== gateway.shard || other.machine !== gateway.machine) continue;
      const { shard, epoch, node } = gateway;
      this.broken(
        "one process a machine",
        `${shard} epoch ${epoch} on ${node} starts beside epoch ${other.epoch} on ${other.node}`,
      );
    }
    this.gateways.add(gateway);
  }

  ended(shard: ShardId, epoch: number, incarnation: string): void {
    this.#ended.add(`${shard}/${epoch}/${incarnation}`);
  }

  died(gateway: Gateway): void {
    this.cover(gateway);
    this.gateways.delete(gateway);
  }

  released(shard: ShardId, epoch: number, incarnation: string): void {
    this.count("released");
    for (const gateway of this.gateways) {
      if (gateway.shard !== shard || gateway.epoch !== epoch) continue;
      if (gateway.incarnation !== incarnation) continue;
      this.broken("empty before release", `${shard} epoch ${epoch} is released while it runs`);
    }
  }

  /** A homecoming began; it lasts until a later epoch serves, or it is called off or broken. */
  homecoming(shard: ShardId, epoch: number, node: NodeId, incarnation: string): void {
    this.count("homecoming");
    for (const [other, move] of this.#homecomings) {
      if (other === shard) continue;
      this.broken(
        "one homecoming at a time",
        `${node} begins one of ${shard} while ${move.node} moves ${other}`,
      );
    }
    this.#homecomings.set(shard, { node, incarnation, epoch });
  }

  homecomingOver(shard: ShardId): void {
    this.#homecomings.delete(shard);
  }

  serving(shard: ShardId, epoch: number): void {
    this.count("served");
    const move = this.#homecomings.get(shard);
    if (move && epoch > move.epoch) this.#homecomings.delete(shard);
  }

  /** The supervisor died: what it was about to move is a failover now. */
  supervisorDied(incarnation: string): void {
    for (const [shard, move] of this.#homecomings) {
      if (move.incarnation === incarnation) this.#homecomings.delete(shard);
    }
  }
}
