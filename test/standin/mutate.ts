import { Cloud, nameOf } from "./cloud.ts";
import { disorder } from "./order.ts";
import { type Deployed, type Dropped, type Replay, randomly, urgently } from "./replay.ts";
import type { World } from "./world.ts";

/** What became of a deployment with one thing taken out of it. */
export interface Outcome {
  /** In words: `a waits for b`, or `b is there`. */
  readonly what: string;
  /** Type of what was taken out. */
  readonly type: string;
  /** Refusal that noticed it; null when nobody did. */
  readonly noticed: string | null;
  /** Nothing was taken out really: another path says the same. */
  readonly implied?: boolean;
}

/** One wait: who, and for what. */
export interface Edge {
  readonly from: string;
  readonly to: string;
}

/**
 * Every wait that a program wrote down by `dependsOn` and that no input says as well. A component in a
 * `dependsOn` stands for all that is in it, so it is one edge for each.
 */
export function writtenEdges(resources: readonly Deployed[]): Edge[] {
  return resources.flatMap(({ urn, dependencies = [], propertyDependencies = {} }) => {
    const said = new Set(Object.values(propertyDependencies).flat());
    return dependencies.filter((to) => !said.has(to)).map((to) => ({ from: urn, to }));
  });
}

/** Everything made, for deletions to begin from. */
export function finished(replay: Replay): World {
  const world = replay.empty();
  const failure = replay.up(world, randomly(1));
  if (failure) throw new Error(`${nameOf(failure.urn)}: ${failure.message}`);
  return world;
}

/** Takes one `dependsOn` away and does, by turns, what it kept from happening. */
export function withoutEdge(replay: Replay, edge: Edge): Outcome {
  const what = `${nameOf(edge.from)} waits for ${nameOf(edge.to)}`;
  const type = edge.from.split("::")[2]?.split("$").at(-1) ?? "";
  const dropped: Dropped = { from: edge.from, to: new Set([edge.to]) };
  const stillBefore = replay.ancestors(edge.from, dropped);
  const known = replay.steps.has(edge.from) && replay.steps.has(edge.to);
  if (!known || stillBefore.has(edge.to)) {
    return { what, type, noticed: null, implied: true };
  }
  const [collision] = disorder(replay, dropped);
  if (collision) return { what, type, noticed: `order: ${collision}` };
  // Make the one that waited as soon as it can be, and what it waited for after it.
  const first = new Set([edge.from, ...stillBefore]);
  const world = replay.empty();
  const made = replay.up(world, urgently(first, new Set([edge.to])), { without: dropped });
  if (made) return { what, type, noticed: `up: ${nameOf(made.urn)}: ${made.message}` };
  // And take it down as late as it can be, with what it waited for before it.
  const last = new Set([edge.from, ...replay.ancestors(edge.from, dropped)]);
  const early = new Set([edge.to, ...replay.dependents(edge.to, dropped)]);
  const gone = replay.down(world, urgently(early, last), { without: dropped });
  if (gone) return { what, type, noticed: `destroy: ${nameOf(gone.urn)}: ${gone.message}` };
  const [left] = leftOver(world);
  return { what, type, noticed: left ? `left over: ${left}` : null };
}

/** Takes one resource away: everybody is told that it is there, and it is not. */
export function withoutResource(
  replay: Replay,
  urn: string,
  audit: (world: World) => readonly string[],
): Outcome {
  const what = `${nameOf(urn)} is there`;
  const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
  const world = replay.empty();
  const made = replay.up(world, randomly(1), { ghosts: [urn] });
  if (made) return { what, type, noticed: `up: ${nameOf(made.urn)}: ${made.message}` };
  const [unmet] = new Cloud(world).unmet();
  if (unmet) return { what, type, noticed: `after up: ${nameOf(unmet.row.urn)}: ${unmet.fault}` };
  const [finding] = audit(world);
  if (finding) return { what, type, noticed: `audit: ${finding}` };
  const gone = replay.down(world, randomly(1));
  if (gone) return { what, type, noticed: `destroy: ${nameOf(gone.urn)}: ${gone.message}` };
  const [left] = leftOver(world);
  return { what, type, noticed: left ? `left over: ${left}` : null };
}

/** Of these nothing is anywhere but in the stack's state: a killed run leaves none. */
const IN_STATE_ONLY = "random:";

/** What is still in an account that should be empty; what nobody can avoid is not named. */
export function leftOver(world: World): string[] {
  return [
    ...[...world.rows.values()]
      .filter(({ ghost, type, urn }) => !ghost && urn !== "" && !type.startsWith(IN_STATE_ONLY))
      .map(({ urn }) => urn),
    ...[...world.residue.values()]
      .filter(({ unavoidable }) => !unavoidable)
      .map(({ kind, name }) => `${kind} ${name}`),
  ];
}
