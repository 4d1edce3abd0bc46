import type { KeeperClient } from "../keeper/client.ts";
import { shardServes } from "../readiness.ts";
import type { LiveFleetView } from "../supervisor/fleet-view.ts";

/** Pause between two words to the keeper, ms. */
const TELL_EVERY_MS = 2_000;
/** A lease thread that says nothing for this long hangs, ms: it looks at the store twice a second. */
export const THREAD_SILENCE_MS = 10_000;

export interface ConditionDeps {
  keeper: Pick<KeeperClient, "condition">;
  view: Pick<LiveFleetView, "node" | "status" | "stopping" | "storeOk" | "storeFault">;
  /** How long the lease thread has said nothing, ms. */
  leasesSilentMs: () => number;
}

/**
 * Tells the keeper, and by it the service manager, how this node is. A store that is away is said and
 * is no fault of the node: it keeps running, and keeps its requests.
 */
export class Condition {
  readonly #deps: ConditionDeps;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: ConditionDeps) {
    this.#deps = deps;
  }

  /** From now on: the node takes requests. */
  start(): void {
    this.tell();
    this.#timer = setInterval(() => this.tell(), TELL_EVERY_MS);
    this.#timer.unref();
  }

  tell(): void {
    const healthy = this.#deps.leasesSilentMs() < THREAD_SILENCE_MS;
    this.#deps.keeper.condition({ healthy, text: this.#text(healthy) });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #text(healthy: boolean): string {
    const { view } = this.#deps;
    const { nodes, shards } = view.status();
    const mine = shards.filter((shard) => shard.owner === view.node);
    const serving = shards.filter(shardServes).length;
    const state = nodes.find(({ id }) => id === view.node)?.state;
    const words = [`${mine.length} shards here, ${serving} of ${shards.length} in the fleet serve`];
    if (view.stopping()) words.unshift("stopping");
    else if (state === "maintenance") words.unshift("in maintenance");
    if (!view.storeOk())
      words.push(`the lease store is away: ${view.storeFault ?? "no answer yet"}`);
    if (!healthy) words.push("the lease thread hangs");
    return words.join("; ");
  }
}
