import type { Release } from "../config.ts";
import type { ShardId } from "../contract.ts";
import type { Launch } from "../shard/types.ts";
import { refuseUnwanted } from "./kept-state.ts";
import type { ReleaseShelf } from "./releases.ts";
import type { Replacements } from "./replacements.ts";
import type { TrialState, Trials } from "./trials.ts";

export interface StartDeps {
  replacements: Pick<Replacements, "carryOut">;
  trials: Pick<Trials, "prepare">;
  shelf: Pick<ReleaseShelf, "find">;
  /** Writes the gateway's configuration and says how it is started. */
  launch: (shard: ShardId, release: Release, stateDir: string) => Promise<Launch>;
}

/**
 * Brings the state of a shard to what its next gateway is to start on, and says how that one is started. Each step may
 * take long, and nobody waits for a start that was given up: its lease may be another node's before the step has ended.
 * @param wanted false: it was given up
 */
export async function prepareStart(
  { replacements, trials, shelf, launch }: StartDeps,
  shard: ShardId,
  state: TrialState,
  wanted: () => boolean,
): Promise<Launch> {
  await replacements.carryOut(shard, state, wanted);
  refuseUnwanted(wanted);
  const id = await trials.prepare(shard, state, wanted);
  refuseUnwanted(wanted);
  const release = shelf.find(id);
  if (!release) {
    throw new Error(
      `${shard} ran under release ${id}, which is not on this machine; bring it back or move the shard to a node that has it`,
    );
  }
  return launch(shard, release, state.stateDir);
}
