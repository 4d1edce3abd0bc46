import { bootClock } from "../clock.ts";
import type { NodeId, ShardId } from "../contract.ts";
import type { StoreView } from "../leases/store.ts";
import { openclawOf } from "../supervisor/releases.ts";
import type { TrialEnd } from "../supervisor/trials.ts";
import type { FleetTurn } from "../supervisor/turn-taking.ts";
import { nextUpdate, refusalReason } from "../supervisor/update-plan.ts";

export interface UpdatesDeps {
  node: NodeId;
  /** This node's own release. */
  release: string;
  turn: FleetTurn;
  view: () => StoreView | null;
  /** Shards of the fleet. */
  shards: () => ShardId[];
  /** Shards that serve here. */
  serving: () => ShardId[];
  /** Of the settings in force. */
  revision: () => string;
  /** Is told what the fleet's shards run, by the ids of releases, at each look. */
  inUse: (releases: string[]) => void;
  /** Tries another release on a shard that serves here. */
  update: (shard: ShardId, release: string) => Promise<TrialEnd>;
  log: (level: "info" | "warn" | "error", msg: string, fields?: Record<string, unknown>) => void;
  /** Clock, ms. @default bootClock.now */
  now?: () => number;
}

const LOOK_MS = 1_000;
/**
 * After one that never began: what was in its way needs time. Others of this node do not wait for it. Twice as long
 * each time, up to the longest: to find that out takes a look at all of a state, and the fleet's only turn.
 */
const AGAIN_MS = 15_000;
const MOST_AGAIN_MS = 120_000;

/**
 * Brings the shards of this node to its own OpenClaw: one at a time in the whole fleet, the next one only after
 * the one before has answered. The first that fails stops all of them, and stands in the lease of the turn.
 */
export class Updates {
  readonly #deps: UpdatesDeps;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Shards that were called off. */
  readonly #later = new Map<ShardId, { at: number; waitMs: number; why: string }>();

  constructor(deps: UpdatesDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#next(LOOK_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #next(pauseMs: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#look().then(
        (pause) => this.#next(pause),
        (error: unknown) => {
          this.#deps.log("error", `updating OpenClaw: ${(error as Error).message}`);
          this.#next(AGAIN_MS);
        },
      );
    }, pauseMs);
  }

  /** Returns the pause until the next look, ms. */
  async #look(): Promise<number> {
    const { node, release, turn, view: seen, shards, serving, revision, update, log } = this.#deps;
    const view = seen();
    if (!view) return LOOK_MS;
    this.#deps.inUse(shards().flatMap((id) => view.leases[id]?.release ?? []));
    const facts = { view, shards: shards(), revision: revision(), node, release };
    const { now = () => bootClock.now() } = this.#deps;
    const due = serving().filter((id) => (this.#later.get(id)?.at ?? 0) <= now());
    const shard = nextUpdate({ ...facts, serving: due });
    if (shard === null) return LOOK_MS;
    // Compared with the very view that was judged: a refusal that came since makes this fail.
    const giveBack = await turn.tryTake();
    if (!giveBack) return LOOK_MS;
    // Whatever it throws: with the turn kept, no shard of the fleet would be updated.
    const how = await update(shard, release).catch(
      (error: unknown): TrialEnd => ({ end: "called off", why: (error as Error).message }),
    );
    const to = openclawOf(release);
    if (how.end === "updated") giveBack(`updated ${shard} to ${to}`);
    else if (how.end === "refused") {
      const pin = view.pins[shard] ?? null;
      giveBack(refusalReason({ to, shard, why: how.why, revision: facts.revision, pin }));
    } else {
      const { why } = how;
      // Said once, not at each try: it may last for days.
      const last = this.#later.get(shard);
      if (why !== last?.why) log("warn", `${shard} is updated later: ${why}`, { shard });
      const waitMs = last ? Math.min(2 * last.waitMs, MOST_AGAIN_MS) : AGAIN_MS;
      this.#later.set(shard, { at: now() + waitMs, waitMs, why });
      giveBack(`not updated: ${why}`);
      return LOOK_MS;
    }
    this.#later.delete(shard);
    return LOOK_MS;
  }
}
