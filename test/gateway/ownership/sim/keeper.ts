import type { ShardId } from "../../../../gateway/contract.ts";
import { Proc } from "./engine.ts";
import type { Gateway } from "./laws.ts";
import { type SimNode, Supervisor } from "./node.ts";
import type { World } from "./world.ts";

interface Cage {
  epoch: number;
  deadline: number;
  gateway: Gateway | null;
  /** It is being emptied for good; politely: it may still be given time. */
  ending: "no" | "politely" | "hard";
}

/** The keeper: holds gateways in cages, kills what outlives its deadline, starts supervisors. */
export class Keeper {
  readonly node: SimNode;
  readonly proc: Proc;
  readonly cages = new Map<ShardId, Cage>();
  readonly #world: World;
  readonly #ended = new Set<string>();
  #quitting = false;
  /** It could not run for a while; until it has caught up, what it holds may live a little longer. */
  late = false;

  constructor(node: SimNode) {
    this.node = node;
    this.#world = node.world;
    this.proc = new Proc(`${node.id} keeper`);
  }

  startSupervisor(): void {
    if (!this.proc.alive || this.#quitting) return;
    const incarnation = `${this.node.id}#${this.#world.nextId()}`;
    const supervisor = new Supervisor(this.node, this, incarnation);
    this.#world.supervisors.set(incarnation, supervisor);
    this.node.supervisor = supervisor;
  }

  /** The supervisor is gone: end everything, then start another one. */
  supervisorGone(): void {
    const { time, random } = this.#world;
    time.on(this.proc, random.int(0, 50), () => {
      for (const [shard, cage] of this.cages) this.#end(shard, cage, random.int(0, 200));
      this.#restartWhenEmpty();
    });
  }

  #restartWhenEmpty(): void {
    const { time, random } = this.#world;
    if (this.cages.size > 0) time.on(this.proc, 100, () => this.#restartWhenEmpty());
    else time.on(this.proc, random.int(100, 2_000), () => this.startSupervisor());
  }

  quit(): void {
    this.#quitting = true;
    this.node.supervisor?.die();
    this.proc.alive = false;
  }

  extend(deadline: number, shards: Record<ShardId, number>): void {
    this.#world.time.on(this.proc, this.#world.pipeDelay(), () => {
      for (const [shard, epoch] of Object.entries(shards)) {
        const cage = this.cages.get(shard);
        if (cage?.epoch !== epoch || cage.ending === "hard" || deadline <= cage.deadline) continue;
        cage.deadline = deadline;
        this.#watch(shard, cage);
      }
    });
  }

  start(shard: ShardId, epoch: number, deadline: number): void {
    const { time, random } = this.#world;
    time.on(this.proc, this.#world.pipeDelay(), () => {
      if (this.#ended.has(`${shard}/${epoch}`) || this.node.clock() >= deadline) {
        this.#ended.add(`${shard}/${epoch}`);
        this.#tellEmpty(shard, epoch);
        return;
      }
      const before = this.cages.get(shard);
      if (before?.gateway) return;
      const cage: Cage = before ?? { epoch, deadline, gateway: null, ending: "no" as const };
      if (cage.epoch !== epoch || cage.ending !== "no") return;
      cage.deadline = Math.max(cage.deadline, deadline);
      this.cages.set(shard, cage);
      const gateway = this.#world.spawn(this, shard, epoch);
      cage.gateway = gateway;
      this.#watch(shard, cage);
      if (this.#world.isBroken(shard, this.node.id)) {
        time.on(gateway.proc, random.int(50, 300), () => this.crash(shard, true));
      } else {
        time.on(gateway.proc, random.int(300, 3_000), () => {
          gateway.ready = true;
          time.on(this.proc, this.#world.pipeDelay(), () =>
            this.node.supervisor?.onReady(shard, epoch),
          );
        });
      }
    });
  }

  /** The gateway's process ended by itself. */
  crash(shard: ShardId, broken: boolean): void {
    const cage = this.cages.get(shard);
    if (!cage?.gateway || cage.ending !== "no") return;
    this.#world.bury(cage.gateway);
    cage.gateway = null;
    this.#world.time.on(this.proc, this.#world.pipeDelay(), () =>
      this.node.supervisor?.onExit(shard, cage.epoch, broken),
    );
  }

  #watch(shard: ShardId, cage: Cage): void {
    const { time } = this.#world;
    time.on(this.proc, this.node.until(cage.deadline), () => {
      if (this.cages.get(shard) !== cage || cage.ending === "hard") return;
      if (this.node.clock() < cage.deadline) return;
      this.#world.laws.count("fenced");
      this.#end(shard, cage, this.late ? this.#world.random.int(0, 300) : 5);
    });
  }

  kill(shard: ShardId, epoch: number, slow: number, how: "politely" | "hard"): void {
    this.#world.time.on(this.proc, this.#world.pipeDelay(), () => {
      this.#ended.add(`${shard}/${epoch}`);
      const cage = this.cages.get(shard);
      if (cage?.epoch === epoch) this.#end(shard, cage, slow, how);
      else this.#tellEmpty(shard, epoch);
    });
  }

  #end(shard: ShardId, cage: Cage, slow: number, how: "politely" | "hard" = "hard"): void {
    if (cage.ending !== "hard") cage.ending = how;
    this.#ended.add(`${shard}/${cage.epoch}`);
    this.#world.time.on(this.proc, slow, () => {
      if (this.cages.get(shard) !== cage) return;
      if (cage.gateway) this.#world.bury(cage.gateway);
      this.cages.delete(shard);
      this.#tellEmpty(shard, cage.epoch);
    });
  }

  #tellEmpty(shard: ShardId, epoch: number): void {
    this.#world.time.on(this.proc, this.#world.pipeDelay(), () =>
      this.node.supervisor?.onEmpty(shard, epoch),
    );
  }

  /** Kills what any other epoch of the shard left on this machine; then calls back. */
  clear(shard: ShardId, epoch: number, done: () => void): void {
    const world = this.#world;
    const left = [...world.laws.gateways].filter(
      (g) => g.shard === shard && g.machine === this.node.machine && g.epoch !== epoch,
    );
    for (const gateway of left) {
      world.time.after(world.random.int(0, 300), () => world.bury(gateway));
    }
    const supervisor = this.node.supervisor;
    if (!supervisor) return;
    const wait = (): void => {
      if (left.some((gateway) => world.laws.gateways.has(gateway))) {
        world.time.on(supervisor.main, 20, wait);
      } else done();
    };
    world.time.on(supervisor.main, world.pipeDelay(), wait);
  }

  /** Killed from outside: its gateways lose their parent and follow within the wake grace. */
  die(): void {
    const { time, random } = this.#world;
    this.proc.alive = false;
    const supervisor = this.node.supervisor;
    time.after(random.int(0, 50), () => supervisor?.die());
    for (const cage of this.cages.values()) {
      const gateway = cage.gateway;
      if (!gateway) continue;
      gateway.excused = true;
      time.after(random.int(0, 900), () => this.#world.bury(gateway));
    }
  }
}
