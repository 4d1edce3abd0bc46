import { rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ShardId } from "../contract.ts";
import { copyState } from "../replication/adopt.ts";
import type { GoBack, ReplicaPort } from "../replication/port.ts";

/** What is to take the place of a shard's state, at its next start. */
export type Replacement = ({ kind: "moment" } & GoBack) | { kind: "directory"; path: string };

export interface ReplacementsDeps {
  replica: Pick<ReplicaPort, "goBack" | "adopt"> | null;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  /** Something happened that people want to read later. */
  remember: (event: string, shard: ShardId, detail: string) => void;
}

/** States that wait to be put in the place of others: asked for while a shard serves, done while nothing of it runs. */
export class Replacements {
  readonly #deps: ReplacementsDeps;
  readonly #asked = new Map<ShardId, Replacement>();

  constructor(deps: ReplacementsDeps) {
    this.#deps = deps;
  }

  has(shard: ShardId): boolean {
    return this.#asked.has(shard);
  }

  ask(shard: ShardId, replacement: Replacement): void {
    this.#asked.set(shard, replacement);
  }

  /** The shard ends here: what was asked for is not done. */
  forget(shard: ShardId): void {
    this.#asked.delete(shard);
  }

  /** Does what was asked for, if anything was; what came of it is remembered as `replaced` or `not replaced`. */
  async carryOut(
    shard: ShardId,
    { epoch, stateDir }: { epoch: number; stateDir: string },
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
      else await adoptHere(replacement.path, stateDir, epoch);
      log("warn", `the state of ${shard} was replaced by ${words}`, { shard, epoch });
      remember("replaced", shard, words);
    } catch (error) {
      const reason = (error as Error).message;
      log("error", `the state of ${shard} stays as it is: ${reason}`, { shard, epoch });
      remember("not replaced", shard, reason);
    }
  }
}

export function wordsOf(replacement: Replacement): string {
  return replacement.kind === "moment"
    ? `moment ${replacement.place}${replacement.site === null ? "" : ` at ${replacement.site}`}`
    : `a copy of ${replacement.path}`;
}

/** Without a replica what was there stays beside it, for good. */
async function adoptHere(from: string, stateDir: string, epoch: number): Promise<void> {
  const folder = dirname(stateDir);
  const building = join(folder, `restoring-${epoch}`);
  await copyState(from, building);
  await rename(stateDir, join(folder, `aside-${epoch}-${Date.now()}`));
  await rename(building, stateDir);
}
