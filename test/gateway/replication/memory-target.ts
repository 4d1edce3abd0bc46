import {
  type ReplicaTarget,
  StaleEpoch,
  type StoredObject,
  TargetUnavailable,
} from "../../../gateway/replication/target.ts";

/** What becomes of a call. `lost`: it never happens. `unheard`: it happens, the caller hears of a failure. */
export type Fate = "done" | "lost" | "unheard" | "late";

/** A target in memory, with every fault that a target may have. */
export class MemoryTarget implements ReplicaTarget {
  readonly name = "memory";
  readonly refusesOldEpochs: boolean;
  readonly objects = new Map<string, { bytes: Buffer; storedAtMs: number }>();
  /** Writes on their way; {@link deliver} lets them arrive. */
  readonly late: { key: string; bytes: Buffer }[] = [];
  fate: (call: string, key: string) => Fate = () => "done";
  nowMs = 0;
  highest = 0;
  puts: string[] = [];

  constructor(refusesOldEpochs = true) {
    this.refusesOldEpochs = refusesOldEpochs;
  }

  async put(key: string, bytes: Uint8Array, epoch: number): Promise<"stored" | "exists"> {
    this.#show(epoch);
    const fate = this.fate("put", key);
    if (fate === "late") this.late.push({ key, bytes: Buffer.from(bytes) });
    if (fate === "lost" || fate === "late") throw new TargetUnavailable("memory: no answer");
    const there = this.objects.has(key);
    if (!there) this.#store(key, Buffer.from(bytes));
    if (fate === "unheard") throw new TargetUnavailable("memory: no answer");
    this.puts.push(key);
    return there ? "exists" : "stored";
  }

  async get(key: string): Promise<Buffer | null> {
    if (this.fate("get", key) !== "done") throw new TargetUnavailable("memory: no answer");
    const found = this.objects.get(key);
    return found ? Buffer.from(found.bytes) : null;
  }

  async list(prefix: string): Promise<StoredObject[]> {
    if (this.fate("list", prefix) !== "done") throw new TargetUnavailable("memory: no answer");
    return [...this.objects]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, { bytes, storedAtMs }]) => ({ key, bytes: bytes.length, storedAtMs }));
  }

  async remove(keys: readonly string[], epoch: number): Promise<void> {
    this.#show(epoch);
    if (this.fate("remove", keys[0] ?? "") !== "done") {
      throw new TargetUnavailable("memory: no answer");
    }
    for (const key of keys) this.objects.delete(key);
  }

  deliver(): void {
    for (const { key, bytes } of this.late.splice(0)) {
      if (!this.objects.has(key)) this.#store(key, bytes);
    }
  }

  #store(key: string, bytes: Buffer): void {
    this.objects.set(key, { bytes, storedAtMs: this.nowMs });
  }

  #show(epoch: number): void {
    if (!this.refusesOldEpochs) return;
    if (epoch < this.highest) throw new StaleEpoch(this.name, epoch, this.highest);
    this.highest = epoch;
  }
}
