import {
  comparePlaces,
  directoryOf,
  epochOf,
  type HistoryLost,
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
export type ManifestFacts = ReadonlyMap<
  string,
  { parents: readonly Place[]; changes: number; lost: HistoryLost | null }
>;

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
 * newest first, then what that epoch began from, and so on. A branch is dead when one of its parents
 * was sealed again by a later taker: that one did not see it, and went its own way.
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
    return facts.parents.every((parent) => {
      const from = byName.get(parent.directory);
      const successor = from ? successorOf(from) : null;
      return successor === null || epochOf(successor) <= epochOf(view.directory);
    });
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
    const parent = factsOf(view)?.parents.at(-1);
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
  return whole ? { use: "replica", candidates: [newest], orLocal: true } : { use: "local" };
}

/**
 * The seals a taker writes before it serves: its parents at what is in its state, what it passed over at 0, and
 * others that nobody sealed yet at what may be read of them. `parents`: the manifest that it restored, or
 * {@link localParents}; none: it begins with nothing.
 */
export function planSeals(
  me: Writer,
  directories: readonly DirectoryView[],
  parents: readonly Place[],
): Place[] {
  const own = directoryOf(me);
  const nearest = parents.at(-1);
  const others = directories
    .filter((view) => view.directory !== own)
    .filter((view) => !parents.some(({ directory }) => directory === view.directory))
    .flatMap((view) => {
      const { directory, manifests } = view;
      // Neither it nor what hangs on it, shown or not, is ever gone on from.
      if (nearest && directory > nearest.directory) return [{ directory, seq: 0 }];
      // Older, for going back in time; sealed before, its readers are bound already.
      return successorOf(view) === null ? [{ directory, seq: manifests.at(-1) ?? 0 }] : [];
    });
  return [...others, ...parents];
}

/** Parents kept while a target is away for many epochs; the oldest of the unseen ones are left out. */
const MOST_PARENTS = 50;

/**
 * What the branch of a local state hangs on, newest first: the epoch that ran on it last (`directory`), and what
 * that one began from (`earlier`), down to the first of which a manifest shows. Those that do not show have
 * number 0: something of them may be on its way, and a later taker who does not see it cuts it off by any of them.
 * @param directories Null: the target could not be read.
 */
export function localParents(
  directory: string,
  earlier: readonly Place[],
  directories: readonly DirectoryView[] | null,
): Place[] {
  const parents: Place[] = [];
  for (const place of [{ directory, seq: 0 }, ...earlier]) {
    const view = directories?.find((one) => one.directory === place.directory);
    const seq = view?.manifests.filter((number) => number <= readableTo(view)).at(-1);
    if (seq !== undefined) return [...parents, { directory: place.directory, seq }];
    parents.push(place);
  }
  return parents.length > MOST_PARENTS
    ? [...parents.slice(0, MOST_PARENTS - 1), ...parents.slice(-1)]
    : parents;
}

/** What a taker goes on with: a manifest that it restored, or the state on its machine. */
export interface GoesOnWith extends Place {
  changes: number;
  /** What was missing when that epoch began. */
  lost: HistoryLost | null;
}

/**
 * Null: everything that the owner before published is there. Until an epoch has published a position of its own, its
 * successors report the loss with which it began once more: it may have died before anybody heard.
 */
export function lossOf(
  published: Position | null,
  has: GoesOnWith | null,
  directories: readonly DirectoryView[],
): HistoryLost | null {
  if (!published) return null;
  const restored = has && { directory: has.directory, seq: has.seq };
  if (has && has.directory > published.directory) return has.lost;
  if (has?.directory === published.directory) {
    const changes = Math.max(0, published.changes - has.changes);
    const manifests = Math.max(0, published.seq - has.seq);
    return changes > 0 || manifests > 0 ? { published, restored, manifests, changes } : null;
  }
  // Nothing of that epoch is left; what it began from may be, or may be gone as well.
  const base = baseOf(published.directory, directories);
  const older = base !== null && (!restored || comparePlaces(restored, base) < 0) ? 1 : 0;
  const changes = published.changes + older;
  const manifests = published.seq + older;
  return changes > 0 || manifests > 0 ? { published, restored, manifests, changes } : null;
}

/** The manifest that a taker went on from, as its seals tell; null: they do not. */
function baseOf(taker: string, directories: readonly DirectoryView[]): Place | null {
  const sealed = directories.filter(({ seals }) => (seals[taker] ?? 0) > 0);
  // It sealed also what nobody had sealed before that, and what it passed over at 0.
  const view = sealed.at(-1);
  return view ? { directory: view.directory, seq: view.seals[taker] ?? 0 } : null;
}

/**
 * Commits in a local state that are not in its newest manifest, as far as is known; the taker counts its own on top of
 * them, so that a loss of the replica's only heir shows. One stands for an unknown number: only a
 * planned hand-over proves that there are none.
 */
export function carriedBy(
  local: LocalMark,
  parents: readonly Place[],
  directories: readonly DirectoryView[],
  manifests: ManifestFacts,
  published: Position | null,
): number {
  const own = parents.find(({ directory }) => directory === local.directory);
  const view = directories.find(({ directory }) => directory === local.directory);
  if (own && view?.final === own.seq) return 0;
  const replicated = own ? (manifests.get(placeKey(own))?.changes ?? 0) : 0;
  const counted = published?.directory === local.directory ? published.changes - replicated : 0;
  return Math.max(1, counted);
}

export function placeKey({ directory, seq }: Place): string {
  return `${directory}/${seq}`;
}
