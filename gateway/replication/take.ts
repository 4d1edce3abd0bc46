import { readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ShardId } from "../contract.ts";
import { removeTree } from "../state/remove-tree.ts";
import { type Lineage, readLineage, syncPath, writeLineage } from "./lineage.ts";
import {
  directoryOf,
  encodeSeq,
  type HistoryLost,
  type Manifest,
  type Place,
  type Position,
  sealKey,
  type Writer,
} from "./manifest.ts";
import { DamagedReplica, ReplicaReader } from "./reader.ts";
import { restoreManifest } from "./restore.ts";
import {
  carriedBy,
  type DirectoryView,
  type GoesOnWith,
  highestEpochOf,
  type LocalMark,
  localParents,
  lossOf,
  type ManifestFacts,
  placeKey,
  planSeals,
  planTake,
} from "./rules.ts";
import { type ReplicaTarget, StaleEpoch, TargetUnavailable } from "./target.ts";

/** There is no state with which the shard could go on without losing what others may still have. */
export class NoState extends Error {
  override readonly name = "NoState";
  /** Its replica could not be read; it may be another time. */
  readonly away: boolean;
  constructor(message: string, away: boolean) {
    super(message);
    this.away = away;
  }
}

export interface TakeRequest {
  fleet: string;
  shard: ShardId;
  me: Writer;
  bootId: string;
  /** Epoch of the lease before; 0: the shard never had an owner. */
  before: number;
  /** What the lease said of the owner before's position. */
  published: Position | null;
  stateDir: string;
  /** Used when a state that is not empty carries no lineage: whose it is, from before it was replicated. */
  unmarked: LocalMark | null;
  target: ReplicaTarget;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
}

export interface Taken {
  from: "local" | "replica" | "nothing";
  /** Of the manifests to come: the manifest that was restored, or `localParents`. */
  parents: Place[];
  /** Commits in local state that no manifest holds yet; see `carriedBy`. */
  carried: number;
  /** Null: nothing that was published is missing. */
  lost: HistoryLost | null;
  /**
   * Local state may go on while the target is away. What earlier epochs wrote there is then sealed later,
   * before anything of this one is put: by this, which returns the parents. Null: all is sealed.
   */
  sealLater: (() => Promise<Place[]>) | null;
  bytes: number;
}

interface Replica {
  views: DirectoryView[];
  facts: ManifestFacts;
}

/**
 * Makes the newest state of a shard the one in `stateDir`, for an epoch that was acquired. When it returns, the
 * state is whole and on the disk, says whose it is, and whatever earlier owners still upload is never read.
 * It can be interrupted anywhere and done again, here or elsewhere. Throws {@link NoState} and
 * {@link StaleEpoch}; what was here before is then untouched.
 */
export async function takeState(request: TakeRequest): Promise<Taken> {
  const { me, before, published, stateDir, target, fleet, shard, log, bootId } = request;
  const reader = new ReplicaReader(target, fleet, shard);
  const replica = await look(reader, log, shard);
  const lineage = await readLineage(stateDir);
  const local = localMark(lineage, request);
  const plan = planTake({
    me,
    before,
    local,
    directories: replica?.views ?? null,
    manifests: replica?.facts ?? new Map(),
    published,
  });
  if (plan.use === "none") {
    throw new NoState(`shard ${shard} cannot start: ${plan.why}`, replica === null);
  }

  let restored: { place: Place; manifest: Manifest; bytes: number; path: string } | null = null;
  if (plan.use === "replica") {
    restored = await restoreFirst(reader, plan.candidates, request);
    if (!restored && !plan.orLocal) {
      throw new NoState(
        `shard ${shard} cannot start: none of ${plan.candidates.length} manifests of its replica at ${target.name} is whole`,
        false,
      );
    }
  }
  const parents = restored ? [restored.place] : parentsHere(local, lineage, replica?.views ?? null);
  const known = published ?? finalOf(replica, parents.at(-1));
  const has: GoesOnWith | null = restored
    ? { ...restored.place, changes: restored.manifest.changes, lost: restored.manifest.lost }
    : local && {
        directory: local.directory,
        seq: Number.MAX_SAFE_INTEGER,
        changes: Number.MAX_SAFE_INTEGER,
        lost: lineage?.lost ?? null,
      };
  const lost = lossOf(known, has, replica?.views ?? []);
  const mark: Lineage = { directory: directoryOf(me), parents, lost, bootId, final: false };
  const sealed = await seal(request, replica, parents, restored !== null);
  if (restored) await putInPlace(restored.path, mark, stateDir, `aside-${me.epoch}`);
  else await writeLineage(stateDir, mark);
  const carried =
    local && !restored
      ? carriedBy(local, parents, replica?.views ?? [], replica?.facts ?? new Map(), published)
      : 0;
  if (local && !restored && !local.durable) {
    log("warn", "the machine stopped while the shard ran here; its youngest commits may be gone", {
      shard,
    });
  }
  return {
    from: restored ? "replica" : local ? "local" : "nothing",
    parents,
    carried,
    lost,
    sealLater: sealed ? null : () => sealNow(request, reader, local, lineage),
    bytes: restored?.bytes ?? 0,
  };
}

async function look(
  reader: ReplicaReader,
  log: TakeRequest["log"],
  shard: ShardId,
): Promise<Replica | null> {
  try {
    const { views } = await reader.directories();
    return { views, facts: await reader.facts(views) };
  } catch (error) {
    if (!(error instanceof TargetUnavailable)) throw error;
    log("warn", `the replica cannot be read: ${error.message}`, { shard });
    return null;
  }
}

function localMark(lineage: Lineage | null, request: TakeRequest): LocalMark | null {
  if (!lineage) return request.unmarked;
  const durable = lineage.final || lineage.bootId === request.bootId;
  return { directory: lineage.directory, durable };
}

function parentsHere(
  local: LocalMark | null,
  lineage: Lineage | null,
  views: readonly DirectoryView[] | null,
): Place[] {
  return local ? localParents(local.directory, lineage?.parents ?? [], views) : [];
}

/** A planned hand-over promises its last manifest, whatever the lease says. */
function finalOf(replica: Replica | null, parent: Place | undefined): Position | null {
  const view = replica?.views.find(({ directory }) => directory === parent?.directory);
  if (!view || view.final === null) return null;
  return { directory: view.directory, seq: view.final, changes: 0, final: true };
}

async function restoreFirst(
  reader: ReplicaReader,
  places: readonly Place[],
  { stateDir, me, log, shard }: TakeRequest,
): Promise<{ place: Place; manifest: Manifest; bytes: number; path: string } | null> {
  const folder = dirname(stateDir);
  for (const name of await readdir(folder)) {
    // Left by a take that was interrupted, ours or an earlier one.
    if (name.startsWith("restoring-")) await removeTree(join(folder, name));
  }
  const path = join(folder, `restoring-${me.epoch}`);
  for (const place of places) {
    try {
      const { manifest, bytes } = await restoreManifest(reader, place, path);
      return { place, manifest, bytes, path };
    } catch (error) {
      if (!(error instanceof DamagedReplica)) throw error;
      log("error", `manifest ${placeKey(place)} cannot be restored: ${error.message}`, { shard });
    }
  }
  return null;
}

/** False: not yet, the target is away. Only local state may go on so. */
async function seal(
  request: TakeRequest,
  replica: Replica | null,
  parents: readonly Place[],
  required: boolean,
): Promise<boolean> {
  const { me, target } = request;
  if (!replica) return false;
  try {
    await putSeals(target, me, planSeals(me, replica.views, parents));
    return true;
  } catch (error) {
    if (required || !(error instanceof TargetUnavailable)) throw error;
    return false;
  }
}

async function sealNow(
  { me, target }: TakeRequest,
  reader: ReplicaReader,
  local: LocalMark | null,
  lineage: Lineage | null,
): Promise<Place[]> {
  const { views } = await reader.directories();
  const parents = parentsHere(local, lineage, views);
  await putSeals(target, me, planSeals(me, views, parents));
  return parents;
}

/** Writes a taker's seals, and makes sure that no later taker has come meanwhile. */
export async function putSeals(
  target: ReplicaTarget,
  me: Writer,
  seals: readonly { directory: string; seq: number }[],
): Promise<void> {
  const own = directoryOf(me);
  for (const { directory, seq } of seals) {
    await target.put(sealKey(directory, own), encodeSeq(seq), me.epoch);
  }
  const reader = new ReplicaReader(target, "", "");
  const highest = highestEpochOf((await reader.directories()).views);
  if (highest > me.epoch) throw new StaleEpoch(target.name, me.epoch, highest);
}

/** Puts restored state in place. What was there is moved aside, where it stays until it is discarded. */
export async function putInPlace(
  path: string,
  mark: Lineage,
  stateDir: string,
  aside: string,
): Promise<void> {
  await writeLineage(path, mark);
  const folder = dirname(stateDir);
  // A directory that is empty is nobody's state.
  const inside = await readdir(stateDir).catch(() => []);
  if (inside.length === 0) await removeTree(stateDir);
  else await rename(stateDir, join(folder, aside));
  await rename(path, stateDir);
  await syncPath(folder);
}

/** Removes what takes moved aside. Only when the shard is healthy on what replaced it. */
export async function discardAside(stateDir: string): Promise<number> {
  const folder = dirname(stateDir);
  let removed = 0;
  for (const name of await readdir(folder)) {
    if (!name.startsWith("aside-")) continue;
    await removeTree(join(folder, name));
    removed += 1;
  }
  return removed;
}
