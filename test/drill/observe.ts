import type { History } from "./history.ts";
import type { LeaseSight, World } from "./world.ts";

const LOOK_EVERY_MS = 250;
const HELD_EVERY_MS = 1_000;

/** Writes each change of a lease into the history, as the store's file has it, and the held requests. */
export class LeaseWatch {
  readonly #fleet: Pick<World, "leases" | "status">;
  readonly #history: History;
  readonly #seen = new Map<string, string>();
  #timers: NodeJS.Timeout[] = [];
  #lookedAt = 0;
  #held = -1;
  #looking = false;

  constructor(fleet: Pick<World, "leases" | "status">, history: History) {
    this.#fleet = fleet;
    this.#history = history;
  }

  start(): void {
    this.#lookedAt = this.#history.now();
    this.#timers = [
      setInterval(() => void this.look(), LOOK_EVERY_MS),
      setInterval(() => void this.#lookHeld(), HELD_EVERY_MS),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** One look at a time: a store that is away may take long to say so. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const leases = await Promise.resolve(this.#fleet.leases()).catch(() => null);
    this.#looking = false;
    if (leases === null) return;
    const now = this.#history.now();
    const gapMs = Math.round(now - this.#lookedAt);
    if (gapMs > 4 * LOOK_EVERY_MS) this.#history.add({ type: "looked", what: "leases", gapMs });
    this.#lookedAt = now;
    for (const lease of leases) this.#note(lease);
  }

  #note(lease: LeaseSight): void {
    const text = JSON.stringify(lease);
    if (this.#seen.get(lease.shard) === text) return;
    this.#seen.set(lease.shard, text);
    this.#history.add({ type: "lease", ...lease });
  }

  async #lookHeld(): Promise<void> {
    const held = await this.#fleet.status().then(
      (status) => status.heldRequests,
      () => this.#held,
    );
    if (held === this.#held || held < 0) return;
    this.#held = held;
    this.#history.add({ type: "held", requests: held });
  }
}
