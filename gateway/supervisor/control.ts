import type { FleetConfig } from "../config.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { HistoryEntry, StoreView } from "../leases/store.ts";
import { FleetCommandError, type FleetControl, type StateControl } from "../router/view.ts";

/** What a command needs of the lease store. */
export interface PlacementPort {
  setPin(shard: ShardId, node: NodeId | null): Promise<void>;
  setMaintenance(node: NodeId, on: boolean): Promise<void>;
  history(limit: number): Promise<HistoryEntry[]>;
}

export interface ControlDeps {
  node: NodeId;
  store: PlacementPort;
  view: () => StoreView | null;
  config: () => FleetConfig;
  nodeState: (node: NodeId) => "active" | "maintenance" | "lost";
  /** Shards whose lease this node holds. */
  held: () => ShardId[];
  /** Where a shard would go if this node did not have it; null when nowhere. */
  nextNode: (shard: ShardId) => NodeId | null;
  state?: StateControl;
  /** Resolves at the next change of anything. */
  changed: () => Promise<void>;
}

/** Longest wait for an owner to see that its pin was taken away, ms: a client asks for ten seconds. */
const FORGET_MS = 8_000;

/**
 * Commands change wishes in the store; every node's rules act on them. So a command holds through
 * the loss of the router that took it.
 */
export class StoreControl implements FleetControl {
  readonly #deps: ControlDeps;

  readonly state?: StateControl;

  constructor(deps: ControlDeps) {
    if (deps.state) this.state = deps.state;
    this.#deps = deps;
  }

  async drain(node: NodeId): Promise<void> {
    this.#known(node);
    await this.#deps.store.setMaintenance(node, true);
  }

  async resume(node: NodeId): Promise<void> {
    this.#known(node);
    await this.#deps.store.setMaintenance(node, false);
  }

  async move(shard: ShardId, to: NodeId | "auto"): Promise<void> {
    const { config, nodeState, store } = this.#deps;
    const shards = config().shards.map((each) => each.id);
    if (!shards.includes(shard)) {
      throw new FleetCommandError(
        "unknown_shard",
        `${shard} is not a shard of this fleet; its shards are ${shards.join(", ")}`,
      );
    }
    if (to === "auto") return store.setPin(shard, null);
    this.#known(to);
    const state = nodeState(to);
    if (state !== "active") {
      throw new FleetCommandError("conflict", `${to} cannot take ${shard}: it is ${state}`);
    }
    await this.#forgetPin(shard, to);
    await store.setPin(shard, to);
  }

  /**
   * An owner follows a pin when it is new to it. One that says the same already was weighed before
   * and may have been put off: it is taken away until the owner has seen that, so that asking again
   * is a command again.
   */
  async #forgetPin(shard: ShardId, to: NodeId): Promise<void> {
    const { view, store, nodeState } = this.#deps;
    const lease = () => view()?.leases[shard];
    const owner = lease()?.owner;
    if (!owner || owner === to || view()?.pins[shard] !== to) return;
    await store.setPin(shard, null);
    // Asked twice at once, the other one may have set it again: that is the same wish.
    const until = performance.now() + FORGET_MS;
    const late = () => performance.now() >= until;
    await this.#until(() => view()?.pins[shard] === undefined || late());
    if (late()) {
      throw new FleetCommandError(
        "conflict",
        `${shard} is being moved to ${to} by somebody else as well; ./fleet status shows where it is`,
      );
    }
    // A renewal reads the pins in the transaction that moves the beat.
    const beat = () => view()?.nodes[owner]?.beat;
    const before = beat();
    await this.#until(
      () => beat() !== before || lease()?.owner !== owner || nodeState(owner) === "lost" || late(),
    );
  }

  /**
   * Empties this node, or frees it of one agent's shards. The whole node goes into maintenance; an
   * agent's shards are pinned to where they would go next, since they would come back otherwise.
   */
  async drainHere(agent?: string): Promise<{ shards: ShardId[] }> {
    const { config, held, node, store, nextNode } = this.#deps;
    if (agent === undefined) {
      const shards = held();
      await store.setMaintenance(node, true);
      await this.#until(() => held().length === 0);
      return { shards };
    }
    const wanted = config().agents.find((each) => each.name === agent);
    if (!wanted) {
      const names = config().agents.map((each) => each.name);
      throw new FleetCommandError(
        "unknown_agent",
        `${agent} is not an agent of this fleet; its agents are ${names.join(", ")}`,
      );
    }
    const shards = held().filter((shard) => wanted.shards.includes(shard));
    const targets = shards.map((shard) => [shard, nextNode(shard)] as const);
    const stuck = targets.filter(([, to]) => to === null).map(([shard]) => shard);
    if (stuck.length > 0) {
      throw new FleetCommandError(
        "conflict",
        `no other active node can take ${stuck.join(", ")}; nothing was drained`,
      );
    }
    for (const [shard, to] of targets) await store.setPin(shard, to);
    await this.#until(() => held().every((shard) => !shards.includes(shard)));
    return { shards };
  }

  history(limit: number): Promise<HistoryEntry[]> {
    return this.#deps.store.history(limit);
  }

  #known(node: NodeId): void {
    const nodes = Object.keys(this.#deps.view()?.nodes ?? {}).sort();
    if (!nodes.includes(node)) {
      throw new FleetCommandError(
        "unknown_node",
        `${node} is not a node of this fleet; its nodes are ${nodes.join(", ") || "not known yet"}`,
      );
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#deps.changed();
  }
}
