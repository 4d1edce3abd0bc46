import { rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ShardId } from "../contract.ts";
import type { GatewayPort } from "../openclaw/port.ts";
import { copyState } from "../replication/adopt.ts";
import type { GoBack, ReplicaPort } from "../replication/port.ts";
import { removeTree } from "../state/remove-tree.ts";
import { refuseUnwanted } from "./kept-state.ts";

/** What is to take the place of a shard's state, at its next start. */
export type Replacement = ({ kind: "moment" } & GoBack) | { kind: "directory"; path: string };

export interface ReplacementsDeps {
  replica: Pick<ReplicaPort, "goBack" | "adopt"> | null;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  /** Something happened that people want to read later. */
  remember: (event: string, shard: ShardId, detail: string) => void;
  /** Writes down where a gateway's conversations live, for all routers. @default nobody asks */
  introduce?: ((shard: ShardId, gateway: GatewayPort) => Promise<void>) | undefined;
}

/** States that wait to be put in the place of others: asked for while a shard serves, done while nothing of it runs. */
export class Replacements {
  readonly #deps: ReplacementsDeps;
  readonly #asked = new Map<ShardId, Replacement>();
  /** Shards whose state was replaced, and whose conversations nobody knows yet. */
  readonly #unknown = new Set<ShardId>();

  constructor(deps: ReplacementsDeps) {
    this.#deps = deps;
  }

  has(shard: ShardId): boolean {
    return this.#asked.has(shard);
  }

  ask(shard: ShardId, replacement: Replacement): void {
    this.#asked.set(shard, replacement);
  }

  /** The shard is to drain for another reason, or has ended here: what was asked for is not done, now or later. */
  callOff(shard: ShardId, why: string): void {
    if (this.#asked.delete(shard)) this.#failed(shard, why);
  }

  /**
   * Does what was asked for, if anything was; what came of it is remembered as `replaced` or `not replaced`.
   * @param wanted false: somebody else has the shard
   */
  async carryOut(
    shard: ShardId,
    { epoch, stateDir }: { epoch: number; stateDir: string },
    wanted: () => boolean,
  ): Promise<void> {
    const replacement = this.#asked.get(shard);
    if (!replacement) return;
    this.#asked.delete(shard);
    const { replica, log, remember } = this.#deps;
    const words = wordsOf(replacement);
    try {
      if (replacement.kind === "moment") {
        if (!replica) throw new Error("it has no replica");
        await replica.goBack(shard, epoch, replacement);
      } else if (replica) await replica.adopt(shard, epoch, replacement.path);
      else await adoptHere(replacement.path, stateDir, epoch, wanted);
      log("warn", `the state of ${shard} was replaced by ${words}`, { shard, epoch });
      this.#unknown.add(shard);
      remember("replaced", shard, words);
    } catch (error) {
      this.#failed(shard, (error as Error).message);
    }
  }

  /**
   * Before a gateway is shown: the conversations of a state that was replaced go where routers look for them. A router
   * that sees the shard serve a moment later than others would place one of them on another shard. Never rejects.
   */
  async introduce(shard: ShardId, gateway: GatewayPort): Promise<void> {
    if (!this.#unknown.has(shard)) return;
    try {
      await this.#deps.introduce?.(shard, gateway);
      this.#unknown.delete(shard);
    } catch (error) {
      const why = (error as Error).message;
      this.#deps.log("warn", `routers find the conversations of ${shard} later: ${why}`, { shard });
    }
  }

  #failed(shard: ShardId, why: string): void {
    const { log, remember } = this.#deps;
    log("error", `the state of ${shard} stays as it is: ${why}`, { shard });
    remember("not replaced", shard, why);
  }
}

export function wordsOf(replacement: Replacement): string {
  return replacement.kind === "moment"
    ? `moment ${replacement.place}${replacement.site === null ? "" : ` at ${replacement.site}`}`
    : `a copy of ${replacement.path}`;
}

/** Without a replica what was there stays beside it, for good. */
async function adoptHere(
  from: string,
  stateDir: string,
  epoch: number,
  wanted: () => boolean,
): Promise<void> {
  const folder = dirname(stateDir);
  const building = join(folder, `restoring-${epoch}`);
  try {
    await copyState(from, building);
    // A large one takes longer than a lease lasts.
    refuseUnwanted(wanted);
  } catch (error) {
    await removeTree(building);
    throw error;
  }
  await rename(stateDir, join(folder, `aside-${epoch}-${Date.now()}`));
  await rename(building, stateDir);
}
