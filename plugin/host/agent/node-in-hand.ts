import type { Emptied } from "../../emptied.ts";
import type { Host } from "./host.ts";
import { NodeApi, type NodeName, type Serving } from "./node-api.ts";
import type { NodeApiAccess } from "./protocol.ts";

/**
 * The node on a host while something is done to it. What it was emptied for is written down on the host before,
 * so that a run that was cut off never leaves a node resting that nobody wanted to rest.
 */
export class NodeInHand {
  readonly #api: NodeApi;
  readonly #host: Host;

  constructor(access: NodeApiAccess, node: NodeName, host: Host) {
    this.#api = new NodeApi(host.system, access, node);
    this.#host = host;
  }

  /**
   * Empties the node; somebody who set it aside finds it so afterwards. Anything but `emptied`: it was left as
   * it was.
   */
  async drain(): Promise<Emptied | "set aside"> {
    const { record, note } = this.#host;
    if (await this.#isSetAside()) return "set aside";
    record.drained = true;
    note();
    let emptied: Emptied;
    try {
      emptied = await this.#api.drain();
    } catch (error) {
      await this.resume().catch(() => {});
      throw error;
    }
    if (emptied === "emptied") return emptied;
    record.drained = false;
    note();
    return emptied;
  }

  /** Empties a node that is to go: of one that somebody set aside, shards may still be on their way. */
  async drainForGood(): Promise<void> {
    if (await this.#isSetAside()) await this.#api.drain();
    else await this.drain();
  }

  /** Waits until the node is as well as that. @throws Error with what is missing */
  async untilServing(as: Serving): Promise<void> {
    await this.#api.untilServing(as);
  }

  /** Lets the node take shards again, if it was emptied from here. */
  async resume(): Promise<void> {
    const { record, note } = this.#host;
    if (!record.drained) return;
    await this.#api.resume();
    record.drained = false;
    note();
  }

  /** By somebody, not from here. */
  async #isSetAside(): Promise<boolean> {
    return !this.#host.record.drained && (await this.#api.resting());
  }
}
