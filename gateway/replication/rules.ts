import {
  comparePlaces,
  directoryOf,
  epochOf,
  type Place,
  type Position,
  parseEpochKey,
  type Writer,
} from "./manifest.ts";

/** One epoch's directory on a target, as a listing shows it. */
export interface DirectoryView {
  directory: string;
  /** Numbers of its manifests, rising. */
  manifests: number[];
  /** Taker's directory → number of the last manifest that may be read; null: the seal is unreadable. */
  seals: Record<string, number | null>;
  /** Number of the manifest of a planned hand-over; null: there was none. */
  final: number | null;
}

/** What a state directory on this machine says of itself (lineage.ts). */
export interface LocalMark {
  /** Directory of the epoch that last ran on it. */
  directory: string;
  /**
   * True when everything that epoch wrote is still there for sure: it ended cleanly, or on this boot.
   * After a power cut the youngest commits may be gone from the disk and still be in the replica.
   */
  durable: boolean;
}

/**
 * What manifests say, by {@link placeKey}: of each directory that may matter at least one. A directory
 * of which none is here could not be read.
 */
export type ManifestFacts = ReadonlyMap<string, { parent: Place | null; changes: number }>;

export interface TakeInput {
  /** The taker. */
  me: Writer;
  /** Epoch of the lease before the taker's; 0: the shard never had an owner. */
  before: number;
  local: LocalMark | null;
  /** Null: the target could not be read. */
  directories: readonly DirectoryView[] | null;
  manifests: ManifestFacts;
  /** What the owner before published last, with its lease. */
  published: Position | null;
}

export type TakePlan =
  /** The state on this machine is the newest. */
  | { use: "local" }
  /** Restore the first of these that proves to be whole; `orLocal`: none is, and the local state will do. */
  | { use: "replica"; candidates: Place[]; orLocal: boolean }
  /** The shard never had any state. */
  | { use: "nothing" }
  | { use: "none"; why: string };

/** Groups the keys below `epochs/` by directory, oldest first. Seals and finals come with their content. */
export function viewDirectories(
  keys: readonly string[],
  numberIn: (key: string) => number | null,
): DirectoryView[] {
  const views = new Map<string, DirectoryView>();
  for (const key of keys) {
    const parsed = parseEpochKey(key);
    if (!parsed) continue;
    const directory = parsed.kind === "manifest" ? parsed.place.directory : parsed.directory;
    const view = views.get(directory) ?? { directory, manifests: [], seals: {}, final: null };
    views.set(directory, view);
    if (parsed.kind === "manifest") view.manifests.push(parsed.place.seq);
    else if (parsed.kind === "seal") view.seals[parsed.by] = numberIn(key);
    else view.final = numberIn(key);
  }
  for (const view of views.values()) view.manifests.sort((a, b) => a - b);
  return [...views.values()].sort((a, b) => (a.directory < b.directory ? -1 : 1));
}

/**
 * Number of the last manifest of a directory that may be read: the lowest seal. Nothing after a seal is
 * ever read. A seal that cannot be read forbids nothing by itself: what came after it was never
 * acknowledged, and the branch of its taker is followed by {@link successorOf}.
 */
export function readableTo(view: DirectoryView): number {
  const seals = Object.values(view.seals).filter((seq) => seq !== null);
  return Math.min(Number.MAX_SAFE_INTEGER, ...seals);
}

/** The taker that last sealed a directory; null: nobody did. */
export function successorOf(view: DirectoryView): string | null {
  return Object.keys(view.seals).sort().at(-1) ?? null;
}

/** The highest epoch of which a target knows. */
export function highestEpochOf(directories: readonly DirectoryView[]): number {
  const names = directories.flatMap((view) => [view.directory, ...Object.keys(view.seals)]);
  return Math.max(0, ...names.map(epochOf));
}

/**
 * The manifests that a taker may restore, best first: those of the newest epoch that is no dead branch,
 * newest first, then what that epoch began from, and so on. A branch is dead when the directory it
 * began from was sealed again by a later taker: that one did not see it, and went its own way.
 */
export function candidates(
  directories: readonly DirectoryView[],
  manifests: ManifestFacts,
): Place[] {
  const byName = new Map(directories.map((view) => [view.directory, view]));
  const factsOf = ({ directory, manifests: seqs }: DirectoryView) =>
    seqs.map((seq) => manifests.get(placeKey({ directory, seq }))).find((facts) => facts);
  const alive = (view: DirectoryView): boolean => {
    const facts = factsOf(view);
    if (!facts) return false;
    const from = facts.parent && byName.get(facts.parent.directory);
    if (!from) return true;
    const successor = successorOf(from);
    return successor === null || epochOf(successor) <= epochOf(view.directory);
  };
  const readable = (view: DirectoryView): number[] => {
    const to = readableTo(view);
    return view.manifests.filter((seq) => seq <= to).reverse();
  };
  const tail = directories.filter((view) => readable(view).length > 0 && alive(view)).at(-1);
  const places: Place[] = [];
  let limit = Number.MAX_SAFE_INTEGER;
  for (let view = tail; view !== undefined; ) {
    const { directory } = view;
    for (const seq of readable(view)) if (seq <= limit) places.push({ directory, seq });
    const parent = factsOf(view)?.parent;
    // Parents are older, or the walk would not end.
    if (!parent || parent.directory >= directory) break;
    limit = parent.seq;
    view = byName.get(parent.directory);
  }
  return places;
}

/** What a taker does for the state of its shard. */
export function planTake(input: TakeInput): TakePlan {
  const { me, before, local, directories, published } = input;
  const localEpoch = local ? epochOf(local.directory) : 0;
  if (directories === null) {
    // Without the target only the lease can say that nobody came after the local state.
    if (local && localEpoch === before) return { use: "local" };
    if (!local && before === 0) return { use: "nothing" };
    return {
      use: "none",
      why: local
        ? `the state here is of epoch ${localEpoch}, the shard was last owned under epoch ${before}, and its replica cannot be read`
        : "there is no state here, and the shard's replica cannot be read",
    };
  }
  const known = highestEpochOf(directories);
  if (known >= me.epoch) {
    return { use: "none", why: `its replica has seen epoch ${known}, after ${me.epoch}` };
  }
  const places = candidates(directories, input.manifests);
  // Whoever serves without having been the tail itself seals first: no trace of a later epoch means
  // that nobody went on from an older state. A target that holds nothing at all may be another one, or
  // a disk that is not mounted: it proves nothing, and the lease has to.
  const tail = known > 0 ? localEpoch >= known : localEpoch === before;
  if (!local || !tail) {
    if (places.length > 0) return { use: "replica", candidates: places, orLocal: false };
    if (before === 0 && known === 0 && !local) return { use: "nothing" };
    return {
      use: "none",
      why: `its replica holds no manifest that may be read, and ${local ? `the state here is of epoch ${localEpoch}, not of ${before}` : "there is no state here"}`,
    };
  }
  if (local.durable) return { use: "local" };
  const newest = places[0];
  const changes = newest ? (input.manifests.get(placeKey(newest))?.changes ?? 0) : 0;
  const whole =
    newest?.directory === local.directory &&
    published?.directory === newest.directory &&
    published.changes <= changes;
  return whole ? { use: "replica", candidates: places, orLocal: true } : { use: "local" };
}

/**
 * The seals a taker writes before it serves: the directory it goes on from at what it restored, others
 * that nobody sealed yet at what may be read of them. `from`: the newest manifest that is in what the
 * taker goes on with; null: there is none.
 */
export function planSeals(
  me: Writer,
  directories: readonly DirectoryView[],
  from: Place | null,
): { directory: string; seq: number }[] {
  const own = directoryOf(me);
  return directories
    .filter(({ directory }) => directory !== own)
    .flatMap((view) => {
      if (view.directory === from?.directory) return [{ ...from }];
      // Sealed before, and not the one that goes on: its readers are bound already.
      if (successorOf(view) !== null) return [];
      return [{ directory: view.directory, seq: abandonedAt(view, from) }];
    });
}

/** An older directory stays readable for going back in time; a later one was passed over and is not. */
function abandonedAt(view: DirectoryView, from: Place | null): number {
  if (from && view.directory > from.directory) return 0;
  return view.manifests.at(-1) ?? 0;
}

/** What was published and is not in what a taker goes on with. */
export interface HistoryLost {
  published: Position;
  /** Null: it begins from nothing. */
  restored: Place | null;
  /** Manifests that had been put in place; null: of another epoch, their number is not known. */
  manifests: number | null;
  /** Commits to databases seen by the owner before, at least. */
  changes: number;
}

/**
 * Null: everything that the owner before published is there. `restored.changes` are those of the
 * manifest. Commits later than the last renewal were seen by nobody who is left.
 */
export function lossOf(
  published: Position | null,
  restored: (Place & { changes: number }) | null,
): HistoryLost | null {
  if (!published) return null;
  const place = restored && { directory: restored.directory, seq: restored.seq };
  if (restored && comparePlaces(restored, { ...published, seq: 0 }) > 0) {
    if (restored.directory !== published.directory) return null;
    const changes = Math.max(0, published.changes - restored.changes);
    const manifests = Math.max(0, published.seq - restored.seq);
    return changes > 0 || manifests > 0 ? { published, restored: place, manifests, changes } : null;
  }
  // An epoch of which nothing was replicated, or whose replica is gone.
  if (published.seq === 0 && published.changes === 0) return null;
  return { published, restored: place, manifests: published.seq, changes: published.changes };
}

export function placeKey({ directory, seq }: Place): string {
  return `${directory}/${seq}`;
}
