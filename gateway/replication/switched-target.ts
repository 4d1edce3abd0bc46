import type { ReplicaTarget, StoredObject } from "./target.ts";

/** A target that is looked up for each call: the way to it may change. */
export function lookedUp(target: () => ReplicaTarget): ReplicaTarget {
  return {
    get name() {
      return target().name;
    },
    get refusesOldEpochs() {
      return target().refusesOldEpochs;
    },
    put: (...args) => target().put(...args),
    get: (...args) => target().get(...args),
    list: (...args) => target().list(...args),
    remove: (...args) => target().remove(...args),
  };
}

/** A target in whose place another one can be put while it is used. */
export class SwitchedTarget implements ReplicaTarget {
  #inner: ReplicaTarget;

  constructor(inner: ReplicaTarget) {
    this.#inner = inner;
  }

  /** From the next call on. False: it is the one that is used already. */
  use(target: ReplicaTarget): boolean {
    if (target === this.#inner) return false;
    this.#inner = target;
    return true;
  }

  get name(): string {
    return this.#inner.name;
  }

  get refusesOldEpochs(): boolean {
    return this.#inner.refusesOldEpochs;
  }

  put(key: string, bytes: Uint8Array, epoch: number): Promise<"stored" | "exists"> {
    return this.#inner.put(key, bytes, epoch);
  }

  get(key: string): Promise<Buffer | null> {
    return this.#inner.get(key);
  }

  list(prefix: string): Promise<StoredObject[]> {
    return this.#inner.list(prefix);
  }

  remove(keys: readonly string[], epoch: number): Promise<void> {
    return this.#inner.remove(keys, epoch);
  }
}
