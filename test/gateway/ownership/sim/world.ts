import type { NodeId, ShardId } from "../../../../gateway/contract.ts";
import type { NodeRecord, ShardReport } from "../../../../gateway/leases/store.ts";
import { type OwnershipState, TIMING, type Timing } from "../../../../gateway/ownership/state.ts";
import type { OwnershipEffect, OwnershipEvent } from "../../../../gateway/ownership/types.ts";
import { prefer } from "../../../../gateway/placement.ts";
import { Proc, Random, Timeline } from "./engine.ts";
import type { Keeper } from "./keeper.ts";
import { DRIFT, type Gateway, Laws } from "./laws.ts";
import type { Rules } from "./mutants.ts";
import { SimNode, type Supervisor } from "./node.ts";
import { SimStore } from "./store.ts";

/** The long waits shortened, so that a schedule sees them happen; the lease's own numbers are real. */
export const SIM_TIMING: Timing = {
  ...TIMING,
  homecomingMs: 15_000,
  stopMs: 5_000,
  failedRetryMs: 20_000,
};

export interface Setup {
  seed: number;
  /** All nodes on one machine (`local`), or each on its own. */
  sameMachine: boolean;
  nodes: number;
  shards: number;
  rules: Rules;
}

/** Machines, nodes, one store, and a clock that no one of them can read. */
export class World {
  readonly time = new Timeline();
  readonly random: Random;
  readonly laws = new Laws(this.time);
  readonly rules: Rules;
  readonly sameMachine: boolean;
  readonly nodes: SimNode[] = [];
  readonly supervisors = new Map<string, Supervisor>();
  /** Highest epoch written to each shard's disk. */
  readonly markers = new Map<ShardId, number>();
  readonly broken = new Set<string>();
  readonly cut = new Set<NodeId>();
  /** Lease threads to stop at their next renewal, and again right after its answer; ms. */
  readonly traps = new Map<NodeId, { first: number; second: number }>();
  /** How late the next acquisition or release is carried out, ms. */
  lateQuestion = 0;
  config: { shards: ShardId[]; bound: Record<ShardId, NodeId>; revision: string };
  store = new SimStore("store-0", true);
  oldCopy: SimStore | null = null;
  storeDown = false;
  /** Highest delay of a message or store call, ms; faults raise it. */
  lag = 10;
  /** Chance that a store call loses its request or its answer. */
  loss = 0;
  readonly lines: string[] = [];
  tracing = false;
  readonly #boots = new Map<string, number>();
  #id = 0;

  constructor(setup: Setup) {
    this.random = new Random(setup.seed);
    this.rules = setup.rules;
    this.sameMachine = setup.sameMachine;
    const shards = Array.from({ length: setup.shards }, (_, i) => `s${i + 1}`);
    this.config = { shards, bound: {}, revision: "r0" };
    for (let i = 0; i < setup.nodes; i++) this.addNode();
  }

  addNode(): SimNode {
    const id = `n${this.nodes.length + 1}`;
    const machine = this.sameMachine ? "m" : `m-${id}`;
    const drift = (this.random.unit() * 2 - 1) * DRIFT;
    const node = new SimNode(this, id, machine, drift);
    this.nodes.push(node);
    this.time.after(this.random.int(0, 3_000), () => node.boot());
    return node;
  }

  nextId(): number {
    return ++this.#id;
  }

  /** How long something takes between threads. */
  delay(): number {
    return this.random.chance(0.9) ? this.random.int(0, 5) : this.random.int(0, this.lag);
  }

  pipeDelay(): number {
    return this.random.int(0, 3);
  }

  bootOf(machine: string): string {
    return `${machine}-boot-${this.#boots.get(machine) ?? 0}`;
  }

  markerOf(shard: ShardId): number {
    return this.rules.readsMarkers ? (this.markers.get(shard) ?? 0) : 0;
  }

  isBroken(shard: ShardId, node: NodeId): boolean {
    return this.broken.has(`${shard}@${node}`);
  }

  /** Nothing of this incarnation can start or extend anything any more. */
  isGone(incarnation: string): boolean {
    const supervisor = this.supervisors.get(incarnation);
    if (!supervisor || supervisor.main.alive) return false;
    return !supervisor.keeper.proc.alive || supervisor.node.supervisor !== supervisor;
  }

  recordOf(by: Supervisor, shards: Record<ShardId, { state: string; epoch: number }>): NodeRecord {
    const rest: Omit<ShardReport, "state" | "epoch"> = {
      open: true,
      pid: null,
      startedAt: null,
      restarts: 0,
      memoryBytes: null,
      reason: null,
    };
    return {
      id: by.node.id,
      incarnation: by.incarnation,
      beat: 0,
      bootId: this.bootOf(by.node.machine),
      pid: 1,
      pidStart: "1",
      keeperPid: 1,
      keeperPidStart: "1",
      address: `${by.node.id}:1`,
      release: "r1",
      shards: Object.fromEntries(
        Object.entries(shards).map(([shard, report]) => [shard, { ...rest, ...report }]),
      ),
    };
  }

  /** A call to the store by `proc`: exactly one of `ok` and `fail` runs, if the process lives on. */
  call<T>(
    proc: Proc,
    node: SimNode,
    run: (store: SimStore) => T,
    ok: (value: T) => void,
    fail: () => void,
  ): void {
    const { time, random } = this;
    let settled = false;
    const settle = (then: () => void) => () => {
      if (settled) return;
      settled = true;
      then();
    };
    time.on(proc, 1_000, settle(fail));
    if (random.chance(this.loss)) return;
    // A write that the client gave up can still be carried out, long after.
    const stuck = this.loss > 0 && random.chance(0.05);
    const carry = (): void => {
      if (this.storeDown || this.cut.has(node.id)) return;
      const value = run(this.store);
      this.#trap(proc, node);
      if (!random.chance(this.loss))
        time.on(
          proc,
          this.delay(),
          settle(() => ok(value)),
        );
    };
    const usual = stuck ? random.int(1_000, 15_000) : this.delay();
    const delay = Math.max(usual, this.#late(proc, node));
    // A file is written by the caller's own thread, which can be paused right before it commits.
    if (this.sameMachine) time.on(proc, delay, carry);
    else time.after(delay, carry);
  }

  /** Stops the lease thread between the store's work and its answer: the worst moment there is. */
  #trap(proc: Proc, node: SimNode): void {
    const trap = this.traps.get(node.id);
    if (!trap || proc !== node.supervisor?.lease || proc.paused) return;
    this.traps.delete(node.id);
    proc.pause();
    this.time.after(trap.first, () => {
      this.time.resume(proc);
      this.time.after(20, () => proc.pause());
      this.time.after(20 + trap.second, () => this.time.resume(proc));
    });
  }

  /** The next question to the store waits, and meanwhile today's copy becomes an old one. */
  #late(proc: Proc, node: SimNode): number {
    const ms = this.lateQuestion;
    if (ms === 0 || proc !== node.supervisor?.main) return 0;
    this.lateQuestion = 0;
    const copy = this.store.copy(`store-${this.nextId()}`);
    this.time.after(ms, () => this.replaceStore(copy));
    return ms + 1;
  }

  spawn(keeper: Keeper, shard: ShardId, epoch: number): Gateway {
    const { node } = keeper;
    const incarnation = node.supervisor?.incarnation ?? "none";
    const gateway: Gateway = {
      shard,
      epoch,
      node: node.id,
      incarnation,
      machine: node.machine,
      proc: new Proc(`${shard}@${epoch}`),
      ready: false,
      excused: false,
      supersededAt: null,
      exposedMs: 0,
      exposedFrom: null,
    };
    this.laws.spawned(gateway);
    this.#supersededAtBirth(gateway);
    return gateway;
  }

  /** A gateway that starts after a later epoch was granted must end within the grace as well. */
  #supersededAtBirth(gateway: Gateway): void {
    if (this.laws.newestGrant(gateway.shard) <= gateway.epoch) return;
    gateway.supersededAt = this.time.now;
    this.laws.expose(gateway);
  }

  bury(gateway: Gateway): void {
    if (!gateway.proc.alive) return;
    gateway.proc.alive = false;
    this.laws.died(gateway);
  }

  gatewaysOf(node: NodeId): Gateway[] {
    return [...this.laws.gateways].filter((gateway) => gateway.node === node);
  }

  /** Everything of the node stops, and goes on after `ms`: exactly what was stopped. */
  pauseNode(node: SimNode, ms: number): void {
    const procs = node.procs();
    const gateways = this.gatewaysOf(node.id);
    for (const proc of procs) proc.pause();
    for (const gateway of gateways) this.pauseGateway(gateway);
    if (node.keeper) node.keeper.late = true;
    this.time.after(ms, () => {
      for (const proc of procs) this.time.resume(proc);
      for (const gateway of gateways) this.resumeGateway(gateway);
    });
  }

  pauseGateway(gateway: Gateway): void {
    gateway.excused = true;
    gateway.proc.pause();
    this.laws.cover(gateway);
  }

  resumeGateway(gateway: Gateway, all = false): void {
    if (!gateway.proc.paused) return;
    this.time.resume(gateway.proc, all);
    if (gateway.supersededAt !== null && !gateway.proc.paused) this.laws.expose(gateway);
  }

  /** Whatever is paused goes on. */
  resumeAll(): void {
    for (const node of this.nodes) {
      for (const proc of node.procs()) this.time.resume(proc, true);
    }
    for (const gateway of this.laws.gateways) this.resumeGateway(gateway, true);
  }

  killSupervisor(node: SimNode): void {
    const { supervisor, keeper } = node;
    if (!supervisor?.alive() || !keeper?.proc.alive) return;
    supervisor.die();
    keeper.supervisorGone();
  }

  /** The node's keeper, supervisor and gateways die; it is started again after `ms`. */
  killNode(node: SimNode, ms: number): void {
    node.keeper?.die();
    this.time.after(ms, () => node.boot());
  }

  reboot(machine: string, ms: number): void {
    this.#boots.set(machine, (this.#boots.get(machine) ?? 0) + 1);
    for (const node of this.nodes.filter((n) => n.machine === machine)) {
      if (node.keeper) node.keeper.proc.alive = false;
      node.supervisor?.die();
      for (const gateway of this.gatewaysOf(node.id)) this.bury(gateway);
      node.rebooted();
      this.time.after(ms + this.random.int(0, 2_000), () => node.boot());
    }
  }

  replaceStore(by: SimStore): void {
    this.laws.count("store replaced");
    this.store = by;
  }

  configure(change: Partial<World["config"]>): void {
    this.config = { ...this.config, ...change };
    for (const shard of this.laws.moving()) {
      if (!this.config.shards.includes(shard)) this.laws.homecomingOver(shard);
    }
    for (const node of this.nodes) {
      node.supervisor?.configure(this.random.int(0, 1_500));
    }
  }

  /** Laws about what the rules order, at the moment they order it. */
  check(by: Supervisor, effect: OwnershipEffect): void {
    const { shard, epoch } = { epoch: 0, ...effect };
    if (effect.do === "undrain" || effect.do === "kill") this.laws.homecomingOver(shard);
    if (effect.do !== "drain") return;
    if (effect.to !== null && !this.#canTake(by.state, effect.to)) {
      this.laws.broken("drain to a live node", `${by.incarnation} drains ${shard} to ${effect.to}`);
    }
    this.laws.count(`drain ${effect.why}`);
    if (effect.why === "homecoming") {
      this.laws.homecoming(shard, epoch, by.node.id, by.incarnation);
    } else this.laws.homecomingOver(shard);
  }

  #canTake(state: OwnershipState, node: NodeId): boolean {
    const watch = state.nodeWatch[node];
    if (!watch || !state.view || state.view.maintenance[node]) return false;
    return state.view.nodes[node] !== undefined && watch.since + state.timing.ttlMs > state.now;
  }

  /** Who should serve the shard once everything is calm; null: nobody can. */
  home(shard: ShardId): NodeId | null {
    const able = this.nodes
      .filter((node) => node.supervisor?.alive() && !node.retired)
      .map((node) => node.id)
      .filter((id) => !this.store.maintenance[id]);
    const wish = { pin: this.store.pins[shard], bound: this.config.bound[shard] };
    return prefer(shard, able, wish)[0] ?? null;
  }

  /** What is wrong with the calm that should be; null: every shard is served where it belongs. */
  unrest(anywhere: boolean): string | null {
    for (const shard of this.config.shards) {
      const up = [...this.laws.gateways].filter((g) => g.shard === shard);
      const one = up[0];
      if (up.length !== 1 || !one?.ready || one.proc.paused) return `${shard} is not served`;
      const home = this.home(shard);
      const avoided = this.supervisors.get(one.incarnation)?.state.holds[shard]?.avoid ?? [];
      const free = anywhere || (home !== null && avoided.includes(home));
      if (!free && one.node !== home) return `${shard} is on ${one.node}, not on ${home}`;
      if (this.store.maintenance[one.node] && home !== null) {
        return `${shard} is on ${one.node}, which is in maintenance`;
      }
    }
    const strays = [...this.laws.gateways].filter((g) => !this.config.shards.includes(g.shard));
    return strays[0] ? `${strays[0].shard} was removed and runs` : null;
  }

  trace(who: string, event: OwnershipEvent, effects: OwnershipEffect[]): void {
    if (!this.tracing || (event.type === "tick" && effects.length === 0)) return;
    const { view: _view, ...rest } = event as OwnershipEvent & { view?: unknown };
    const done = effects.map((effect) => JSON.stringify(effect)).join(" ");
    this.lines.push(`${this.time.now} ${who} ${JSON.stringify(rest)} ⇒ ${done}`);
  }
}
