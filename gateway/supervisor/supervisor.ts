import type { Clock } from "../clock.ts";
import type { NodeId, ShardId } from "../contract.ts";
import { StoreUnavailable, type StoreView } from "../leases/store.ts";
import { refusalOf } from "../ownership/release.ts";
import { held } from "../ownership/report.ts";
import { initial, step } from "../ownership/rules.ts";
import type { OwnershipState, Self } from "../ownership/state.ts";
import type { OwnershipEffect, OwnershipEvent } from "../ownership/types.ts";
import type { RunnerEvent } from "../shard/types.ts";
import type { LeasePort } from "./leases.ts";
import type { ShardHost } from "./shard-host.ts";
import { startFor } from "./update-plan.ts";

export interface SupervisorDeps {
  self: Self;
  /** Release that new epochs run when the lease names none. */
  release: string;
  /** Whether a release is on this machine. */
  hasRelease: (release: string) => boolean;
  clock: Clock;
  leases: LeasePort;
  /** Leases that are held for something else than a shard. */
  alsoHeld: () => [ShardId, number][];
  host: ShardHost;
  /** Incarnations that the kernel says are gone, asked at each tick. */
  deadNodes: (view: StoreView) => { node: NodeId; incarnation: string }[];
  log: (
    level: "debug" | "info" | "warn" | "error",
    msg: string,
    fields?: Record<string, unknown>,
  ) => void;
  /** Something happened that people want to read later. */
  remember: (event: string, shard: ShardId, detail: string) => void;
  /** The shard was taken from an owner that had not released it; `since` on the clock. */
  tookOver: (shard: ShardId, reason: string, since: number) => void;
  /** State or reports changed: routes and the node's record follow. */
  onChange: () => void;
}

const TICK_MS = 250;
/** How long the end of an epoch is tried where it cannot be written, ms. */
const UNFINISHED_MS = 30_000;
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);
/** An epoch that no state is of. */
const UNKNOWN_EPOCH = -1;

/**
 * Carries out what the ownership rules say and tells them what came of it. It decides nothing: every
 * decision is in `ownership/`, every process in `shard/` and `keeper/`.
 */
export class Supervisor {
  readonly #deps: SupervisorDeps;
  #state: OwnershipState;
  #timer: NodeJS.Timeout | undefined;
  /** Effects of one shard happen in the order given. */
  readonly #queues = new Map<ShardId, Promise<void>>();
  /** Asked for, or acquired and not yet written to disk: the rules do not hold them yet. */
  readonly #arriving = new Map<ShardId, number>();
  /** Last positions of epochs that ended here, for their release. */
  readonly #positions = new Map<ShardId, { epoch: number; position: string | null }>();
  /** Since when the end of an epoch cannot be written here. */
  readonly #unfinished = new Map<ShardId, { epoch: number; since: number }>();
  readonly #stopped = Promise.withResolvers<void>();

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
    this.#state = initial(deps.self);
  }

  get state(): OwnershipState {
    return this.#state;
  }

  /** Resolves once a stop has emptied and released everything. */
  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  configure(shards: ShardId[], bound: Record<ShardId, NodeId>, revision: string): void {
    this.feed({ type: "configured", now: this.#deps.clock.now(), shards, bound, revision });
  }

  stop(): void {
    this.feed({ type: "stop", now: this.#deps.clock.now() });
  }

  #tick(): void {
    const view = this.#state.view;
    if (view) {
      for (const dead of this.#deps.deadNodes(view)) {
        this.feed({ type: "node-dead", now: this.#deps.clock.now(), ...dead });
      }
    }
    this.feed({ type: "tick", now: this.#deps.clock.now() });
  }

  /** One event through the rules; its effects are begun before this returns. */
  feed(event: OwnershipEvent): void {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    this.#dropUnheld();
    for (const effect of effects) this.#enqueue(effect);
    if (state.stopped) this.#stopped.resolve();
    this.#deps.onChange();
  }

  /** What the rules hold no longer is renewed no longer. What is on its way to them still is. */
  #dropUnheld(): void {
    const wanted = new Map([
      ...this.#arriving,
      ...held(this.#state).map(({ shard, epoch }) => [shard, epoch] as const),
      ...this.#deps.alsoHeld(),
    ]);
    for (const { shard, epoch } of this.#deps.leases.held()) {
      if (wanted.get(shard) !== epoch) this.#deps.leases.drop(shard);
    }
    this.#deps.host.keepOnly(wanted);
  }

  #enqueue(effect: OwnershipEffect): void {
    this.#deps.log("debug", `effect ${effect.do}`, { ...effect });
    // A kill never waits behind anything.
    if (effect.do === "kill") {
      this.#guard(effect, this.#kill(effect.shard, effect.epoch, effect.why));
      return;
    }
    const before = this.#queues.get(effect.shard) ?? Promise.resolve();
    const after = before.then(() => this.#guard(effect, this.#carryOut(effect)));
    this.#queues.set(effect.shard, after);
  }

  async #guard(effect: OwnershipEffect, done: Promise<void>): Promise<void> {
    try {
      await done;
    } catch (error) {
      const level = error instanceof StoreUnavailable ? "warn" : "error";
      this.#deps.log(level, `${effect.do} of ${effect.shard} failed: ${(error as Error).message}`, {
        shard: effect.shard,
      });
    }
  }

  async #carryOut(effect: Exclude<OwnershipEffect, { do: "kill" }>): Promise<void> {
    const { host, remember } = this.#deps;
    switch (effect.do) {
      case "acquire":
        await this.#acquire(effect);
        return;
      case "clear":
        await host.clear(effect.shard);
        this.#answer("cleared", effect.shard, effect.epoch);
        return;
      case "start":
        host.start(effect.shard, effect.epoch);
        return;
      case "drain":
        remember(
          "draining",
          effect.shard,
          effect.to ? `${effect.why}, to ${effect.to}` : effect.why,
        );
        host.drain(effect.shard, effect.epoch, effect.why);
        return;
      case "undrain":
        host.undrain(effect.shard, effect.epoch);
        return;
      case "stop":
        host.stop(effect.shard, effect.epoch);
        return;
      case "release":
        await this.#release(effect);
    }
  }

  async #acquire(effect: Extract<OwnershipEffect, { do: "acquire" }>): Promise<void> {
    const { leases, host, self, clock, log, remember } = this.#deps;
    const { shard, expected } = effect;
    // Asked for again while the one before was slow: that one has brought it.
    if (this.#state.holds[shard]) return;
    let known: number;
    try {
      known = await host.highestEpoch(shard);
    } catch (error) {
      this.feed({ type: "refused", now: clock.now(), shard });
      throw error;
    }
    if (effect.diskAtMost !== null && known > effect.diskAtMost) {
      // The disk knows a later owner than the store does: it may live, and has not written anew yet.
      log(
        "warn",
        `${shard} waits: epoch ${known} is on disk, the store knows ${effect.diskAtMost}`,
        { shard },
      );
      this.feed({ type: "refused", now: clock.now(), shard });
      return;
    }
    const epoch = 1 + Math.max(effect.epochAbove, known);
    const previous = this.#state.view?.leases[shard];
    const silentSince = this.#state.leaseWatch[shard]?.since;
    const { release, tries } = startFor(previous, this.#deps.release, this.#deps.hasRelease);
    let got: Awaited<ReturnType<LeasePort["acquire"]>>;
    host.note(shard, "acquire");
    this.#arriving.set(shard, epoch);
    try {
      got = await leases.acquire({
        shard,
        expected,
        node: self.node,
        incarnation: self.incarnation,
        bootId: self.bootId,
        epoch,
        release,
        storeId: effect.storeId,
      });
    } catch (error) {
      this.#arriving.delete(shard);
      host.note(shard, "refused");
      this.feed({ type: "refused", now: clock.now(), shard });
      throw error;
    }
    if (!got) {
      this.#arriving.delete(shard);
      host.note(shard, "refused");
      this.feed({ type: "refused", now: clock.now(), shard });
      return;
    }
    try {
      const { position: published } = got.lease;
      // Without a row in a store that may have lost some, nobody knows; 0 would mean that there never was an owner.
      const before = expected?.epoch ?? (this.#state.view?.pristine ? 0 : UNKNOWN_EPOCH);
      await host.opened(shard, epoch, { before, published, release }, tries);
    } catch (error) {
      // The epoch is not on disk, so it must never be used.
      this.#arriving.delete(shard);
      host.note(shard, "abort");
      this.feed({ type: "refused", now: clock.now(), shard });
      await this.#giveBack(shard, epoch, got.lease.position, (error as Error).message);
      throw error;
    }
    this.#arriving.delete(shard);
    if (previous?.owner) {
      const own = previous.owner === self.node;
      this.#deps.tookOver(
        shard,
        own ? "supervisor_restarted" : "owner_lost",
        silentSince ?? clock.now(),
      );
    }
    log("info", `acquired ${shard}`, { shard, epoch, from: previous?.owner ?? null });
    remember(
      "acquired",
      shard,
      previous?.owner ? `epoch ${epoch}, taken from ${previous.owner}` : `epoch ${epoch}`,
    );
    this.feed({ type: "acquired", now: clock.now(), sentAt: got.sentAt, shard, epoch });
  }

  /** A lease that nothing was begun under goes to the others, where there are any; else it runs out. */
  async #giveBack(
    shard: ShardId,
    epoch: number,
    position: string | null,
    why: string,
  ): Promise<void> {
    const { leases, self, log, remember } = this.#deps;
    const reason = refusalOf(this.#state, shard, why);
    if (reason === null) return;
    const { node, incarnation } = self;
    try {
      await leases.release({ shard, node, incarnation, epoch, position, handTo: null, reason });
      remember("gave up", shard, why);
    } catch (error) {
      log("warn", `${shard} was not given back: ${(error as Error).message}`, { shard, epoch });
    }
  }

  async #kill(shard: ShardId, epoch: number, why: string): Promise<void> {
    this.#deps.remember("killed", shard, why);
    this.#deps.log("warn", `killing ${shard}: ${why}`, { shard, epoch });
    await this.#deps.host.kill(shard, epoch, why);
  }

  async #release(effect: Extract<OwnershipEffect, { do: "release" }>): Promise<void> {
    const { leases, self } = this.#deps;
    const { shard, epoch, handTo, reason } = effect;
    const finished = await this.#finish(shard, epoch);
    // Repeated when an answer was lost: what was published then still holds.
    if (finished !== undefined) this.#positions.set(shard, { epoch, position: finished });
    const last = this.#positions.get(shard);
    await leases.release({
      shard,
      node: self.node,
      incarnation: self.incarnation,
      epoch,
      position: last?.epoch === epoch ? last.position : this.#publishedPosition(shard),
      handTo,
      reason,
    });
    this.#deps.remember("released", shard, handTo ? `${reason}, to ${handTo}` : reason);
    this.#answer("released", shard, epoch);
  }

  /**
   * A broken disk must not keep a shard whose state is elsewhere as well: after a while it is given up with what was
   * published last, as if this host were lost. On a full one everything is still there, and somebody makes room.
   */
  async #finish(shard: ShardId, epoch: number): Promise<string | null | undefined> {
    const { host, clock, log } = this.#deps;
    try {
      const finished = await host.finish(shard, epoch);
      this.#unfinished.delete(shard);
      return finished;
    } catch (error) {
      const known = this.#unfinished.get(shard);
      const since = known?.epoch === epoch ? known.since : clock.now();
      this.#unfinished.set(shard, { epoch, since });
      const { code = "" } = error as NodeJS.ErrnoException;
      const patient = FULL.has(code) || clock.now() - since < UNFINISHED_MS;
      if (patient || this.#publishedPosition(shard) === null) throw error;
      const why = (error as Error).message;
      log("error", `${shard} is given up without its last changes: ${why}`, { shard, epoch });
      this.#unfinished.delete(shard);
      return undefined;
    }
  }

  #publishedPosition(shard: ShardId): string | null {
    return this.#state.view?.leases[shard]?.position ?? null;
  }

  #answer(
    type: "cleared" | "emptied" | "released" | "serving" | "drained",
    shard: ShardId,
    epoch: number,
  ): void {
    this.feed({ type, now: this.#deps.clock.now(), shard, epoch });
  }

  /** What a shard runner tells, in the rules' words. */
  heard(shard: ShardId, event: RunnerEvent): void {
    const { remember, clock, onChange } = this.#deps;
    switch (event.type) {
      case "serving":
        remember("serving", shard, `epoch ${event.epoch}`);
        this.#answer("serving", shard, event.epoch);
        break;
      case "turns-cut":
        remember("turns cut", shard, `${event.turns} did not end in time`);
        break;
      case "drained":
        this.#answer("drained", shard, event.epoch);
        break;
      case "emptied":
        if (event.fenced)
          remember("fenced", shard, `epoch ${event.epoch}: its deadline had passed`);
        this.#answer("emptied", shard, event.epoch);
        break;
      case "gave-up": {
        const { epoch, reason } = event;
        remember("gave up", shard, reason);
        this.feed({ type: "gave-up", now: clock.now(), shard, epoch, reason });
        break;
      }
      case "restarted":
        remember("restarted", shard, `${event.reason}: ${event.detail}`);
        break;
      case "changed":
      case "started":
        onChange();
    }
  }
}
