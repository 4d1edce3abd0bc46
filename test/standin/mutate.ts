import { Cloud, nameOf } from "./cloud.ts";
import { copyOf, type Dropped, type Replay, randomly, urgently } from "./replay.ts";
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

/** One `dependsOn` of a program: who waits, and all that one entry stands for. */
export interface Edge {
  readonly from: string;
  /** The entry as written: a resource, or a component for all of its children. */
  readonly entry: string;
  readonly to: readonly string[];
}

/** Everything made, for deletions to begin from. */
export function finished(replay: Replay): World {
  const world = replay.empty();
  const failure = replay.up(world, randomly(1));
  if (failure) throw new Error(`${nameOf(failure.urn)}: ${failure.message}`);
  return world;
}

/** Takes one `dependsOn` away and does, by turns, what it kept from happening. */
export function withoutEdge(replay: Replay, edge: Edge, all: World): Outcome {
  const what = `${nameOf(edge.from)} waits for ${nameOf(edge.entry)}`;
  const type = edge.from.split("::")[2]?.split("$").at(-1) ?? "";
  const dropped: Dropped = { from: edge.from, to: new Set(edge.to) };
  const stillBefore = replay.ancestors(edge.from, dropped);
  const free = edge.to.filter((urn) => replay.steps.has(urn) && !stillBefore.has(urn));
  if (!replay.steps.has(edge.from) || free.length === 0) {
    return { what, type, noticed: null, implied: true };
  }
  // Make the one that waited as soon as it can be, and what it waited for after it.
  const first = new Set([edge.from, ...stillBefore]);
  const made = replay.up(replay.empty(), urgently(first, new Set(free)), {
    without: dropped,
    only: first,
  });
  if (made) return { what, type, noticed: `up: ${nameOf(made.urn)}: ${made.message}` };
  for (const urn of free) {
    const before = replay.dependents(urn, dropped);
    const failure = replay.down(copyOf(all), urgently(before, new Set([edge.from])), {
      without: dropped,
      only: new Set([urn, ...before]),
    });
    if (failure)
      return { what, type, noticed: `destroy: ${nameOf(failure.urn)}: ${failure.message}` };
  }
  return { what, type, noticed: null };
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

/** What is still in an account that should be empty; what nobody can avoid is not named. */
export function leftOver(world: World): string[] {
  return [
    ...[...world.rows.values()]
      .filter(({ ghost, urn }) => !ghost && urn !== "")
      .map(({ urn }) => urn),
    ...[...world.residue.values()]
      .filter(({ unavoidable }) => !unavoidable)
      .map(({ kind, name }) => `${kind} ${name}`),
  ];
}
