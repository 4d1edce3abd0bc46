import type { Clock } from "../clock.ts";
import { HOLD, type ShardId } from "../contract.ts";
import { ClientGone, RouterError } from "./errors.ts";
import { type Held, HoldQueue } from "./hold.ts";
import type { FleetView, Route } from "./view.ts";

export type LiveRoute = Extract<Route, { at: "here" | "peer" }>;

export interface Admission {
  shard: ShardId;
  session: string | null;
  bytes: number;
  /** Longest wait for an owner, counted from now, ms. */
  waitMs: number;
  /** Fires when the client left. */
  signal: AbortSignal;
}

interface Entry extends Held {
  readonly shard: ShardId;
  readonly signal: AbortSignal;
  go: (() => void) | null;
  fail: ((error: Error) => void) | null;
}

/** Leave to talk to the owner of a shard, as it is known at this moment. */
export interface Slot {
  readonly route: LiveRoute;
  /** The request reached its gateway. */
  reached(): void;
  /**
   * The attempt came to nothing: waits in its old place for another chance. `afterMs`: the owner asked
   * for a pause; `waitMs`: another longest wait, counted from now.
   */
  again(why: string, afterMs?: number, waitMs?: number): Promise<Slot>;
  /** The request is over. Must be called once, whatever happened. */
  done(): void;
}

interface Line {
  queue: HoldQueue<Entry>;
  timer: NodeJS.Timeout | null;
  /** What the queue was last told. */
  epoch: number;
  serving: boolean;
}

/** Seconds in `Retry-After` of a request that waited in vain, or found the line full. */
const RETRY_AFTER_SECONDS = 5;
/** A shard that was given up is tried again every five minutes. */
const FAILED_RETRY_SECONDS = 60;

/** The lines before all shards; the only place where a request waits for an owner. */
export class Gate {
  readonly #view: FleetView;
  readonly #clock: Clock;
  readonly #lines = new Map<ShardId, Line>();
  readonly #off: () => void;
  #seq = 0;
  #closed = false;

  constructor(view: FleetView, clock: Clock) {
    this.#view = view;
    this.#clock = clock;
    this.#off = view.onRoute((shard) => this.#routeChanged(shard));
  }

  /** Requests waiting now. */
  held(): number {
    let sum = 0;
    for (const line of this.#lines.values()) sum += line.queue.size;
    return sum;
  }

  /**
   * Waits until the shard has an owner that serves. Throws RouterError (`no_owner`, `overloaded`,
   * `shard_failed`), or ClientGone.
   */
  async enter(admission: Admission): Promise<Slot> {
    if (admission.signal.aborted) throw new ClientGone("the client left");
    const now = this.#clock.now();
    this.#seq += 1;
    const entry: Entry = {
      seq: this.#seq,
      session: admission.session,
      bytes: admission.bytes,
      deadline: now + admission.waitMs,
      shard: admission.shard,
      signal: admission.signal,
      go: null,
      fail: null,
    };
    return this.#wait(entry, "enter");
  }

  close(): void {
    this.#closed = true;
    this.#off();
    for (const line of this.#lines.values()) {
      if (line.timer) clearTimeout(line.timer);
      for (const entry of line.queue.clear()) {
        entry.fail?.(new RouterError("no_owner", "the router is stopping", 1));
      }
    }
  }

  async #wait(entry: Entry, how: "enter" | "again"): Promise<Slot> {
    const line = this.#line(entry.shard);
    const route = this.#sync(entry.shard, line);
    if (route.at === "failed") throw failed(entry.shard, route.reason);
    if (this.#closed) throw new RouterError("no_owner", "the router is stopping", 1);
    if (how === "again") {
      if (entry.deadline <= this.#clock.now()) throw this.#late(entry.shard);
      line.queue.again(entry);
    } else {
      const verdict = line.queue.enter(entry, this.#clock.now());
      if (verdict === "pass") return this.#slot(entry, route as LiveRoute);
      if (verdict === "full") {
        throw new RouterError(
          "overloaded",
          `shard ${entry.shard} has no ready owner and ${line.queue.size} requests wait for it already`,
          RETRY_AFTER_SECONDS,
        );
      }
    }
    await this.#park(entry, line);
    const now = this.#view.route(entry.shard);
    if (now.at === "here" || now.at === "peer") return this.#slot(entry, now);
    line.queue.arrived(entry);
    return this.#wait(entry, "again");
  }

  #park(entry: Entry, line: Line): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        line.queue.remove(entry);
        entry.fail?.(new ClientGone("the client left"));
      };
      const settle = () => {
        entry.signal.removeEventListener("abort", onAbort);
        entry.go = null;
        entry.fail = null;
      };
      entry.go = () => {
        settle();
        resolve();
      };
      entry.fail = (error) => {
        settle();
        line.queue.arrived(entry);
        reject(error);
      };
      if (entry.signal.aborted) {
        onAbort();
        return;
      }
      entry.signal.addEventListener("abort", onAbort, { once: true });
      this.#pump(entry.shard, line);
    });
  }

  #slot(entry: Entry, route: LiveRoute): Slot {
    const line = this.#line(entry.shard);
    const arrived = () => {
      line.queue.arrived(entry);
      if (line.queue.size > 0) this.#pump(entry.shard, line);
    };
    return {
      route,
      reached: () => {
        line.queue.trust();
        arrived();
      },
      again: (_why, afterMs = 0, waitMs) => {
        // A route that has changed meanwhile deserves no doubt for what the old one did.
        if (sameOwner(this.#view.route(entry.shard), route)) {
          line.queue.doubt(this.#clock.now(), afterMs);
          this.#view.doubt(entry.shard);
        }
        if (entry.signal.aborted) {
          arrived();
          return Promise.reject(new ClientGone("the client left"));
        }
        line.queue.arrived(entry);
        if (waitMs === undefined) return this.#wait(entry, "again");
        return this.#wait({ ...entry, deadline: this.#clock.now() + waitMs }, "again");
      },
      done: arrived,
    };
  }

  #line(shard: ShardId): Line {
    let line = this.#lines.get(shard);
    if (!line) {
      const route = this.#view.route(shard);
      const serving = serves(route);
      line = { queue: new HoldQueue<Entry>(serving), timer: null, epoch: route.epoch, serving };
      this.#lines.set(shard, line);
    }
    return line;
  }

  /** Brings a line up to what the view knows now: it may know more than it has announced yet. */
  #sync(shard: ShardId, line: Line): Route {
    const route = this.#view.route(shard);
    const now = this.#clock.now();
    if (line.epoch !== route.epoch) {
      // Another owner: it starts as gently as after an outage, even if the gap was not seen.
      line.queue.setServing(false, now);
      line.queue.trust();
      line.epoch = route.epoch;
      line.serving = false;
    }
    if (line.serving !== serves(route)) {
      line.serving = serves(route);
      line.queue.setServing(line.serving, now);
    }
    return route;
  }

  #routeChanged(shard: ShardId): void {
    const line = this.#lines.get(shard);
    if (!line) return;
    const route = this.#sync(shard, line);
    if (route.at === "failed") {
      for (const entry of line.queue.clear()) entry.fail?.(failed(shard, route.reason));
    }
    this.#pump(shard, line);
  }

  #pump(shard: ShardId, line: Line): void {
    if (line.timer) clearTimeout(line.timer);
    line.timer = null;
    if (this.#closed) return;
    this.#sync(shard, line);
    const now = this.#clock.now();
    for (const entry of line.queue.expire(now)) entry.fail?.(this.#late(shard));
    for (const entry of line.queue.release(now)) entry.go?.();
    const wake = line.queue.nextWake(now);
    if (wake !== null) {
      line.timer = setTimeout(() => this.#pump(shard, line), Math.max(5, Math.ceil(wake - now)));
    }
  }

  #late(shard: ShardId): RouterError {
    const route = this.#view.route(shard);
    const state = route.at === "none" ? route.state : route.at;
    const why = serves(route)
      ? `shard ${shard} serves (epoch ${route.epoch}), but an earlier request of this conversation has not begun there yet`
      : `shard ${shard} had no ready owner in time (it is ${state}, epoch ${route.epoch})`;
    return new RouterError("no_owner", why, RETRY_AFTER_SECONDS);
  }
}

/** Same owner under the same epoch. */
export function sameOwner(a: Route, b: Route): boolean {
  return (
    a.at === b.at &&
    a.epoch === b.epoch &&
    (a.at === "here" || a.at === "peer") &&
    (b.at === "here" || b.at === "peer") &&
    a.incarnation === b.incarnation
  );
}

function serves(route: Route): boolean {
  return route.at === "here" || route.at === "peer";
}

function failed(shard: ShardId, reason: string): RouterError {
  return new RouterError(
    "shard_failed",
    `shard ${shard} is given up for now: ${reason}`,
    FAILED_RETRY_SECONDS,
  );
}

export const WEBHOOK_WAIT_MS = HOLD.webhookMs;
export const REQUEST_WAIT_MS = HOLD.requestMs;
