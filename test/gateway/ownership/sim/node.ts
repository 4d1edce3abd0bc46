import type { NodeId, ShardId } from "../../../../gateway/contract.ts";
import {
  extendable,
  held,
  publishedState,
  standing,
} from "../../../../gateway/ownership/report.ts";
import type { OwnershipState } from "../../../../gateway/ownership/state.ts";
import type { OwnershipEffect, OwnershipEvent } from "../../../../gateway/ownership/types.ts";
import { Proc } from "./engine.ts";
import { Keeper } from "./keeper.ts";
import type { World } from "./world.ts";

type Unstamped = OwnershipEvent extends infer E
  ? E extends { now: number }
    ? Omit<E, "now">
    : never
  : never;

/** A node: a keeper that starts supervisors one after the other, as the real one does. */
export class SimNode {
  readonly id: NodeId;
  readonly machine: string;
  readonly world: World;
  readonly #drift: number;
  #origin: number;
  #bootedAt = 0;
  keeper: Keeper | null = null;
  supervisor: Supervisor | null = null;
  /** It was stopped on purpose and is not started again by itself. */
  retired = false;

  constructor(world: World, id: NodeId, machine: string, drift: number) {
    this.world = world;
    this.id = id;
    this.machine = machine;
    this.#drift = drift;
    this.#origin = world.random.int(0, 10_000_000);
  }

  /** Local clock; every node has its own origin and speed. */
  clock(): number {
    return this.#origin + (this.world.time.now - this.#bootedAt) * (1 + this.#drift);
  }

  /** True milliseconds, rounded up, until the local clock shows `local`. */
  until(local: number): number {
    return Math.ceil((local - this.clock()) / (1 + this.#drift) + 0.001);
  }

  rebooted(): void {
    this.#bootedAt = this.world.time.now;
    this.#origin = this.world.random.int(1_000, 20_000);
  }

  boot(): void {
    if (this.keeper?.proc.alive) return;
    this.retired = false;
    this.keeper = new Keeper(this);
    this.keeper.startSupervisor();
  }

  procs(): Proc[] {
    const own = this.supervisor ? [this.supervisor.main, this.supervisor.lease] : [];
    return this.keeper ? [this.keeper.proc, ...own] : own;
  }
}

/** A supervisor with its lease thread, carrying out what the rules say. */
export class Supervisor {
  readonly node: SimNode;
  readonly keeper: Keeper;
  readonly incarnation: string;
  readonly main: Proc;
  readonly lease: Proc;
  state: OwnershipState;
  readonly #world: World;
  /** What the main thread last told the lease thread. */
  #told = {
    version: 0,
    held: [] as { shard: ShardId; epoch: number }[],
    extend: {} as Record<ShardId, number>,
    shards: {} as Record<ShardId, { state: string; epoch: number }>,
  };
  #version = 0;
  readonly #runners = new Map<
    ShardId,
    { epoch: number; state: string; draining: boolean; failures: number; closed: boolean }
  >();
  readonly #effectAt = new Map<ShardId, number>();

  constructor(node: SimNode, keeper: Keeper, incarnation: string) {
    this.node = node;
    this.keeper = keeper;
    this.incarnation = incarnation;
    const world = node.world;
    this.#world = world;
    this.main = new Proc(`${incarnation} main`);
    this.lease = new Proc(`${incarnation} lease`);
    this.state = world.rules.initial({
      node: node.id,
      incarnation,
      bootId: world.bootOf(node.machine),
      sameMachine: world.sameMachine,
    });
    this.configure(0);
    world.time.on(this.lease, world.delay(), () => this.#renew());
    world.time.on(this.main, 100, () => this.#tick());
  }

  alive(): boolean {
    return this.main.alive;
  }

  die(): void {
    this.main.alive = false;
    this.lease.alive = false;
    this.#world.laws.supervisorDied(this.incarnation);
  }

  post(event: Unstamped, delay = this.#world.delay()): void {
    this.#world.time.on(this.main, delay, () =>
      this.#feed({ ...event, now: this.node.clock() } as OwnershipEvent),
    );
  }

  /** Reads the settings after `delay`: as they are then. */
  configure(delay: number): void {
    this.#world.time.on(this.main, delay, () =>
      this.#feed({ type: "configured", now: this.node.clock(), ...this.#world.config }),
    );
  }

  #feed(event: OwnershipEvent): void {
    const world = this.#world;
    const { state, effects } = world.rules.step(this.state, event);
    this.state = state;
    world.trace(this.incarnation, event, effects);
    for (const effect of effects) {
      // Carried out in order, each a little later than decided.
      const due = world.time.now + world.delay();
      const at = Math.max(due, this.#effectAt.get(effect.shard) ?? 0);
      this.#effectAt.set(effect.shard, at);
      world.check(this, effect);
      world.time.on(this.main, at - world.time.now, () => this.#carryOut(effect));
    }
    if (state.stopped && !this.node.retired) this.#retire();
    this.#tell();
  }

  #tell(): void {
    const version = ++this.#version;
    const told = {
      version,
      held: held(this.state),
      extend: extendable(this.state),
      shards: Object.fromEntries(
        [...this.#runners]
          .filter(([, r]) => !r.closed)
          .map(([shard, r]) => [
            shard,
            { state: publishedState(this.state, shard, r.state), epoch: r.epoch },
          ]),
      ),
    };
    this.#world.time.on(this.lease, this.#world.delay(), () => {
      if (told.version > this.#told.version) this.#told = told;
    });
  }

  #tick(): void {
    this.#reportDeaths();
    this.#feed({ type: "tick", now: this.node.clock() });
    this.#world.time.on(this.main, 250, () => this.#tick());
  }

  #reportDeaths(): void {
    if (!this.#world.sameMachine || !this.state.view) return;
    for (const record of Object.values(this.state.view.nodes)) {
      const { id, incarnation } = record;
      if (incarnation === this.incarnation || !this.#world.isGone(incarnation)) continue;
      if (this.state.dead.some((d) => d.incarnation === incarnation)) continue;
      this.post({ type: "node-dead", node: id, incarnation });
    }
  }

  // The lease thread.

  #renew(): void {
    const world = this.#world;
    const sentAt = this.node.clock();
    const { held: sent, extend, shards } = this.#told;
    const record = world.recordOf(this, shards);
    const renewal = { node: record, held: sent.map((h) => ({ ...h, position: null })) };
    world.call(
      this.lease,
      this.node,
      (store) => store.renew(renewal),
      (result) => {
        const deadline = world.rules.deadline(sentAt, this.node.clock());
        const kept = Object.entries(extend).filter(([shard]) => result.kept.includes(shard));
        this.keeper.extend(deadline, Object.fromEntries(kept));
        this.post({ type: "renewed", sentAt, held: renewal.held, ...result });
        world.time.on(this.lease, 2_000, () => this.#renew());
      },
      () => world.time.on(this.lease, 1_000, () => this.#renew()),
    );
  }

  // Effects.

  #carryOut(effect: OwnershipEffect): void {
    const { shard } = effect;
    const { laws, time, random } = this.#world;
    switch (effect.do) {
      case "acquire":
        this.#acquire(effect);
        return;
      case "release":
        this.#release(effect);
        return;
      case "clear":
        this.keeper.clear(shard, effect.epoch, () => {
          laws.cleared(shard, effect.epoch, this.incarnation);
          this.post({ type: "cleared", shard, epoch: effect.epoch });
        });
        return;
      case "start":
        laws.ordered(shard, effect.epoch, this.node.id, this.incarnation);
        this.#runners.set(shard, {
          epoch: effect.epoch,
          state: "starting",
          draining: false,
          failures: 0,
          closed: false,
        });
        this.#launch(shard, effect.epoch);
        return;
      case "drain": {
        const runner = this.#runnerOf(shard, effect.epoch);
        if (!runner) return;
        runner.draining = true;
        runner.state = "draining";
        this.#tell();
        time.on(this.main, random.chance(0.1) ? 8_000 : random.int(0, 2_000), () => {
          if (runner.draining && !runner.closed)
            this.post({ type: "drained", shard, epoch: effect.epoch });
        });
        return;
      }
      case "undrain": {
        const runner = this.#runnerOf(shard, effect.epoch);
        if (!runner) return;
        runner.draining = false;
        runner.state = "serving";
        return;
      }
      case "stop":
      case "kill": {
        laws.ended(shard, effect.epoch, this.incarnation);
        const runner = this.#runnerOf(shard, effect.epoch);
        if (runner) runner.closed = true;
        const slow = effect.do === "kill" ? 200 : random.chance(0.1) ? 20_000 : 1_500;
        const how = effect.do === "kill" ? "hard" : "politely";
        this.keeper.kill(shard, effect.epoch, random.int(0, slow), how);
        return;
      }
    }
  }

  #runnerOf(shard: ShardId, epoch: number) {
    const runner = this.#runners.get(shard);
    return runner?.epoch === epoch ? runner : undefined;
  }

  #launch(shard: ShardId, epoch: number): void {
    const now = standing(this.state, shard);
    if (now.at !== "here" || now.epoch !== epoch) return;
    this.keeper.start(shard, epoch, now.deadline);
  }

  #acquire(effect: Extract<OwnershipEffect, { do: "acquire" }>): void {
    const { shard, storeId: asked, expected, epochAbove, diskAtMost } = effect;
    const world = this.#world;
    const sentAt = this.node.clock();
    if (diskAtMost !== null && world.markerOf(shard) > diskAtMost) {
      world.laws.count("forgotten owner");
      this.post({ type: "refused", shard });
      return;
    }
    const epoch = 1 + Math.max(epochAbove, world.markerOf(shard));
    const { id } = this.node;
    const bootId = world.bootOf(this.node.machine);
    const { incarnation } = this;
    world.call(
      this.main,
      this.node,
      (store) => {
        const storeId = world.rules.namesStore ? asked : store.id;
        const lease = store.acquire({
          shard,
          storeId,
          expected,
          node: id,
          incarnation,
          bootId,
          epoch,
        });
        if (lease) world.laws.acquired(shard, epoch, id, incarnation);
        return lease;
      },
      (lease) => {
        if (!lease) {
          this.post({ type: "refused", shard });
          return;
        }
        world.markers.set(shard, Math.max(world.markers.get(shard) ?? 0, epoch));
        this.post({ type: "acquired", sentAt, shard, epoch });
      },
      () => {
        if (world.random.chance(0.7)) this.post({ type: "refused", shard });
      },
    );
  }

  #release(effect: Extract<OwnershipEffect, { do: "release" }>): void {
    const { shard, epoch, handTo, reason } = effect;
    const { incarnation } = this;
    const world = this.#world;
    world.laws.released(shard, epoch, incarnation);
    world.call(
      this.main,
      this.node,
      (store) => store.release({ shard, node: this.node.id, incarnation, epoch, handTo, reason }),
      () => this.post({ type: "released", shard, epoch }),
      () => {},
    );
  }

  // What the keeper says.

  onReady(shard: ShardId, epoch: number): void {
    const runner = this.#runnerOf(shard, epoch);
    if (!runner || runner.closed) return;
    if (!runner.draining) runner.state = "serving";
    this.#world.laws.serving(shard, epoch);
    this.post({ type: "serving", shard, epoch });
  }

  onExit(shard: ShardId, epoch: number, broken: boolean): void {
    const runner = this.#runnerOf(shard, epoch);
    if (!runner || runner.closed) return;
    runner.state = "starting";
    if (broken && ++runner.failures >= 2) {
      this.post({ type: "gave-up", shard, epoch, reason: "exit 78" });
    } else if (runner.draining) {
      this.post({ type: "drained", shard, epoch });
    } else {
      this.#world.time.on(this.main, this.#world.random.int(50, 500), () => {
        if (!runner.closed) this.#launch(shard, epoch);
      });
    }
  }

  onEmpty(shard: ShardId, epoch: number): void {
    const runner = this.#runnerOf(shard, epoch);
    if (runner) runner.closed = true;
    this.post({ type: "emptied", shard, epoch });
  }

  #retire(): void {
    for (const gateway of this.#world.laws.gateways) {
      if (gateway.incarnation === this.incarnation) {
        this.#world.laws.broken(
          "stopped is empty",
          `${this.incarnation} stopped beside ${gateway.shard}`,
        );
      }
    }
    this.#world.laws.count("stopped");
    this.node.retired = true;
    this.keeper.quit();
  }
}
