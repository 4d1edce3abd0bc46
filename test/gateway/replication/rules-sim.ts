import {
  directoryOf,
  epochOf,
  type HistoryLost,
  manifestKey,
  type Place,
  type Position,
  sealKey,
  type Writer,
} from "../../../gateway/replication/manifest.ts";
import {
  carriedBy,
  localParents,
  lossOf,
  type ManifestFacts,
  placeKey,
  planSeals,
  planTake,
  viewDirectories,
} from "../../../gateway/replication/rules.ts";

/** Writes of a shard in order; each is made once in the history of a world. */
type Content = readonly number[];

interface Disk {
  lineage: {
    directory: string;
    parents: readonly Place[];
    lost: HistoryLost | null;
    boot: number;
  } | null;
  content: Content;
}

interface Owner {
  me: Writer;
  node: string;
  parents: readonly Place[];
  sealed: boolean;
  /** The lineage of the local state it went on from; null: of none. */
  continues: Disk["lineage"];
  seq: number;
  acknowledged: { seq: number; changes: number };
  lost: HistoryLost | null;
  /** Writes under this epoch. */
  changes: number;
}

interface Stored {
  content: Content;
  parents: readonly Place[];
  changes: number;
  lost: HistoryLost | null;
  damaged: boolean;
}

export class Broken extends Error {}

/** How the rules may be broken, to see that the laws notice. */
export interface Mutant {
  plan?: typeof planTake;
  seals?: typeof planSeals;
  loss?: typeof lossOf;
  carried?: typeof carriedBy;
}

const NODES = ["a", "b", "c"];

/**
 * A shard, three nodes, a lease, a target without memory of epochs (the worst kind), all in memory; every step of a
 * take is one of its own, and everything that can come between them does. The numbers decide what happens.
 */
export class ReplicaWorld {
  readonly #numbers: readonly number[];
  #at = 0;
  readonly #mutant: Mutant;
  #leaseEpoch = 0;
  #published: Position | null = null;
  readonly #disks = new Map<string, Disk>();
  readonly #boots = new Map<string, number>();
  readonly #manifests = new Map<string, Stored>();
  readonly #seals = new Map<string, number>();
  #owner: Owner | null = null;
  readonly #takes = new Map<string, Generator<void, void>>();
  /** Puts that were sent and have not arrived. */
  readonly #flying: { place: Place; stored: Stored }[] = [];
  /** The target cannot be reached. */
  #away = false;
  #damaged = false;
  #writes = 0;
  /** What the last epoch that served had in the end: all that anybody was ever answered. */
  #truth: Content = [];
  #served = 0;
  /** The epoch that served last began with commits that no manifest holds for sure. */
  #carries = false;
  /** What happened, for whoever has to find out why a law was broken. */
  readonly #trace: string[] = [];
  losses = 0;
  restores = 0;
  locals = 0;

  constructor(numbers: readonly number[], mutant: Mutant = {}) {
    this.#numbers = numbers;
    this.#mutant = mutant;
  }

  run(): void {
    try {
      while (this.#at < this.#numbers.length) this.#step();
    } catch (error) {
      if (error instanceof Broken) error.message += `\n${this.#trace.join("\n")}`;
      throw error;
    }
  }

  #next(): number {
    return this.#numbers[this.#at++] ?? 0;
  }

  #step(): void {
    const kind = this.#next() % 20;
    const node = NODES[this.#next() % NODES.length] ?? "a";
    const owner = this.#owner;
    if (kind <= 3) this.#write();
    else if (kind <= 6) this.#replicate();
    else if (kind <= 8) this.#arrive();
    else if (kind <= 10) this.#publish();
    else if (kind <= 15) this.#advance(node);
    else if (kind === 16) this.#take(node);
    // The taker's process dies, its disk stays as it is.
    else if (kind === 17 && this.#next() % 3 === 0) this.#takes.delete(node);
    else if (kind === 18) this.#trouble(node);
    else if (owner && this.#next() % 3 === 0) this.#die();
  }

  #write(): void {
    const owner = this.#owner;
    // The keeper kills an epoch before its lease is another's: it has no effect any more.
    if (!owner || owner.me.epoch !== this.#leaseEpoch) return;
    const disk = this.#disk(owner.node);
    disk.content = [...disk.content, ++this.#writes];
    owner.changes += 1;
    this.#truth = disk.content;
  }

  /** Captures and sends a manifest; also a deposed owner does that, until it notices. */
  #replicate(): void {
    const owner = this.#owner;
    if (!owner || this.#away) return;
    if (!owner.sealed) {
      const views = this.#views();
      const { continues } = owner;
      const parents = continues ? localParents(continues.directory, continues.parents, views) : [];
      this.#putSeals(owner.me, views, parents);
      if (this.#laterThan(owner.me)) {
        this.#die();
        return;
      }
      owner.parents = parents;
      owner.sealed = true;
    }
    const place = { directory: directoryOf(owner.me), seq: ++owner.seq };
    const { content } = this.#disk(owner.node);
    const { parents, changes, lost } = owner;
    this.#flying.push({ place, stored: { content, parents, changes, lost, damaged: false } });
  }

  /** One of the puts on their way arrives, or is lost. */
  #arrive(): void {
    const index = this.#next() % Math.max(1, this.#flying.length);
    const [put] = this.#flying.splice(index, 1);
    if (!put || this.#next() % 8 === 0) return;
    const key = placeKey(put.place);
    if (!this.#manifests.has(key)) this.#manifests.set(key, put.stored);
    const owner = this.#owner;
    // Its owner hears of it, unless that answer is lost, or a seal is there already.
    if (!owner || put.place.directory !== directoryOf(owner.me) || this.#next() % 8 === 0) return;
    if ([...this.#seals.keys()].some((seal) => seal.startsWith(`${put.place.directory} `))) return;
    if (put.place.seq > owner.acknowledged.seq) {
      owner.acknowledged = { seq: put.place.seq, changes: put.stored.changes };
    }
  }

  #publish(): void {
    const owner = this.#owner;
    if (!owner || owner.me.epoch !== this.#leaseEpoch) return;
    const { seq } = owner.acknowledged;
    this.#published = {
      directory: directoryOf(owner.me),
      seq,
      changes: owner.changes,
      final: false,
    };
  }

  #take(node: string): void {
    if (this.#takes.has(node) || this.#owner?.node === node) return;
    this.#takes.set(node, this.#taking(node));
  }

  #advance(preferred: string): void {
    const node = this.#takes.has(preferred) ? preferred : [...this.#takes.keys()][0];
    if (node === undefined) {
      // Nobody owns it: somebody takes it.
      if (!this.#owner) this.#take(preferred);
      return;
    }
    if (this.#takes.get(node)?.next().done) this.#takes.delete(node);
  }

  *#taking(node: string): Generator<void, void> {
    const before = this.#leaseEpoch;
    const published = this.#published;
    this.#leaseEpoch += 1;
    const me: Writer = { epoch: this.#leaseEpoch, node, incarnation: `i${this.#leaseEpoch}` };
    const mine = () => this.#leaseEpoch === me.epoch;
    yield;
    const disk = this.#disk(node);
    const lineage = disk.lineage;
    const local = lineage && {
      directory: lineage.directory,
      durable: lineage.boot === this.#boots.get(node),
    };
    const directories = this.#away ? null : this.#views();
    const manifests = this.#facts();
    yield;
    const plan = (this.#mutant.plan ?? planTake)({
      me,
      before,
      local,
      directories,
      manifests,
      published,
    });
    this.#trace.push(
      `${me.epoch} ${node}: ${JSON.stringify({ plan, local, published, directories })}`,
    );
    if (plan.use === "none") return;
    let restored: { place: Place; stored: Stored } | null = null;
    if (plan.use === "replica") {
      if (this.#away) return;
      for (const place of plan.candidates) {
        const stored = this.#manifests.get(placeKey(place));
        if (!stored || stored.damaged) continue;
        restored = { place, stored };
        break;
      }
      if (!restored && !plan.orLocal) return;
    }
    yield;
    const parents = restored
      ? [restored.place]
      : lineage
        ? localParents(lineage.directory, lineage.parents, directories)
        : [];
    let sealed = false;
    if (directories && !this.#away) {
      for (const seal of (this.#mutant.seals ?? planSeals)(me, directories, parents)) {
        this.#seals.set(`${seal.directory} ${directoryOf(me)}`, seal.seq);
        yield;
      }
      if (this.#laterThan(me)) return;
      sealed = true;
    } else if (restored) return;
    yield;
    // A process that lost its lease is killed before it puts anything in place.
    if (!mine()) return;
    if (restored) disk.content = restored.stored.content;
    const has = restored
      ? { ...restored.place, changes: restored.stored.changes, lost: restored.stored.lost }
      : local && {
          directory: local.directory,
          seq: Number.POSITIVE_INFINITY,
          changes: Number.POSITIVE_INFINITY,
          lost: lineage?.lost ?? null,
        };
    const lost = (this.#mutant.loss ?? lossOf)(published, has, directories ?? []);
    disk.lineage = { directory: directoryOf(me), parents, lost, boot: this.#boots.get(node) ?? 0 };
    this.#trace.push(`${me.epoch} has ${disk.content}`);
    this.#check(disk.content, published, lost);
    yield;
    if (!mine()) return;
    const carried =
      local && !restored
        ? (this.#mutant.carried ?? carriedBy)(
            local,
            parents,
            directories ?? [],
            manifests,
            published,
          )
        : 0;
    this.#owner = {
      me,
      node,
      parents,
      sealed,
      continues: restored ? null : lineage,
      seq: 0,
      acknowledged: { seq: 0, changes: 0 },
      changes: carried,
      lost,
    };
    this.#truth = disk.content;
    this.#served = me.epoch;
    this.#carries = carried > 0;
    this.#trace.push(`${me.epoch} serves`);
    if (restored) this.restores++;
    else this.locals++;
  }

  /** The laws, at the moment before a new epoch serves. */
  #check(content: Content, published: Position | null, lost: HistoryLost | null): void {
    const prefix = content.every((write, at) => this.#truth[at] === write);
    if (!prefix) throw new Broken(`serves ${content}, after ${this.#truth} was served`);
    const missing = this.#truth.length - content.length;
    // What was published of the epoch that served last: its changes were all answered.
    const known =
      published && epochOf(published.directory) === this.#served
        ? Math.max(0, missing - this.#unpublished(published))
        : 0;
    if (known > 0 && (lost === null || lost.changes < Math.min(known, published?.changes ?? 0))) {
      throw new Broken(`${known} published writes are missing, and ${lost?.changes ?? 0} reported`);
    }
    // More may be reported than is missing: until an epoch has published something, its successor reports
    // the losses before it once more; what local state carries is counted as not replicated while that
    // is not certain, and so is what a damaged manifest held. One stands for an older manifest than
    // the published epoch's own beginning.
    const certain =
      published &&
      epochOf(published.directory) === this.#served &&
      !this.#carries &&
      !this.#damaged;
    if (lost && missing === 0 && lost.changes > 1 && certain) {
      throw new Broken(`nothing is missing, and reported is ${JSON.stringify(lost)}`);
    }
    if (lost) this.losses++;
  }

  #unpublished(published: Position): number {
    return (this.#owner ?? this.#last)?.me.epoch === epochOf(published.directory)
      ? ((this.#owner ?? this.#last)?.changes ?? 0) - published.changes
      : 0;
  }

  #last: Owner | null = null;

  #die(): void {
    this.#last = this.#owner;
    this.#owner = null;
  }

  #trouble(node: string): void {
    const kind = this.#next() % 8;
    if (kind <= (this.#away ? 4 : 0)) this.#away = !this.#away;
    else if (kind === 5) {
      const all = [...this.#manifests.values()];
      const hit = all[this.#next() % Math.max(1, all.length)];
      if (hit) {
        hit.damaged = true;
        this.#damaged = true;
      }
    } else if (kind === 6) {
      // The machine boots: its processes are gone, what it has on its disk is not certain any more.
      this.#boots.set(node, (this.#boots.get(node) ?? 0) + 1);
      this.#takes.delete(node);
      if (this.#owner?.node === node) this.#die();
    } else if (kind === 7) {
      // The machine is lost, and its disk with it.
      this.#takes.delete(node);
      if (this.#owner?.node === node) this.#die();
      this.#disks.delete(node);
    }
  }

  #disk(node: string): Disk {
    const disk = this.#disks.get(node) ?? { lineage: null, content: [] };
    this.#disks.set(node, disk);
    return disk;
  }

  #views() {
    const keys = [...this.#manifests.keys()].map((key) => {
      const [directory = "", seq] = key.split("/");
      return manifestKey({ directory, seq: Number(seq) });
    });
    const numbers = new Map<string, number>();
    for (const [seal, seq] of this.#seals) {
      const [directory = "", by = ""] = seal.split(" ");
      numbers.set(sealKey(directory, by), seq);
    }
    return viewDirectories([...keys, ...numbers.keys()], (key) => numbers.get(key) ?? null);
  }

  #facts(): ManifestFacts {
    return new Map([...this.#manifests].filter(([, { damaged }]) => !damaged));
  }

  #putSeals(
    me: Writer,
    views: ReturnType<typeof viewDirectories>,
    parents: readonly Place[],
  ): void {
    for (const seal of (this.#mutant.seals ?? planSeals)(me, views, parents)) {
      this.#seals.set(`${seal.directory} ${directoryOf(me)}`, seal.seq);
    }
  }

  #laterThan(me: Writer): boolean {
    const names = this.#views().flatMap((view) => [view.directory, ...Object.keys(view.seals)]);
    return names.some((name) => epochOf(name) > me.epoch);
  }
}
