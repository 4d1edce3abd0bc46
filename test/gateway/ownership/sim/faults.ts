import type { Random } from "./engine.ts";
import { Random as Numbers } from "./engine.ts";
import type { SimNode } from "./node.ts";
import { SimStore } from "./store.ts";
import type { World } from "./world.ts";

/** One fault of a schedule; `dice` seeds its own choices, so that leaving others out changes none. */
export interface Fault {
  at: number;
  kind: Kind;
  dice: number;
}

type Act = (world: World, dice: Random, node: SimNode) => void;

const ACTS = {
  pauseMain: (world, dice, node) => pauseFor(world, node, "main", dice.int(100, 20_000)),
  pauseLease: (world, dice, node) => pauseFor(world, node, "lease", dice.int(100, 20_000)),
  pauseAtRenewal: (world, dice, node) => {
    world.traps.set(node.id, { first: dice.int(1_000, 5_000), second: dice.int(500, 12_000) });
  },
  pauseSupervisor: (world, dice, node) => {
    const ms = dice.int(100, 25_000);
    pauseFor(world, node, "main", ms);
    pauseFor(world, node, "lease", ms);
  },
  pauseKeeper: (world, dice, node) => {
    const { keeper } = node;
    if (!keeper?.proc.alive || keeper.proc.paused) return;
    // Assumed of the machine: a keeper whose cage is overdue gets to run within the grace.
    const due = [...keeper.cages.values()].map((cage) => node.until(cage.deadline) + 200);
    for (const gateway of world.gatewaysOf(node.id)) gateway.excused = true;
    keeper.proc.pause();
    const ms = Math.min(dice.int(100, 6_000), ...due);
    world.time.after(ms, () => world.time.resume(keeper.proc));
  },
  pauseNode: (world, dice, node) => world.pauseNode(node, dice.int(500, 40_000)),
  hangGateway: (world, dice) => {
    const up = [...world.laws.gateways];
    if (up.length === 0) return;
    const gateway = dice.pick(up);
    world.pauseGateway(gateway);
    world.time.after(dice.int(500, 20_000), () => world.resumeGateway(gateway));
  },
  crashGateway: (world, dice) => {
    const up = [...world.laws.gateways];
    if (up.length === 0) return;
    const gateway = dice.pick(up);
    const keeper = world.nodes.find((n) => n.id === gateway.node)?.keeper;
    if (keeper?.proc.alive && !keeper.proc.paused) keeper.crash(gateway.shard, false);
  },
  killSupervisor: (world, _dice, node) => world.killSupervisor(node),
  killNode: (world, dice, node) => world.killNode(node, dice.int(500, 25_000)),
  reboot: (world, dice, node) => world.reboot(node.machine, dice.int(1_000, 10_000)),
  storeAway: (world, dice) => {
    world.storeDown = true;
    world.time.after(dice.int(500, 20_000), () => {
      world.storeDown = false;
    });
  },
  cutOff: (world, dice, node) => {
    world.cut.add(node.id);
    world.time.after(dice.int(500, 25_000), () => world.cut.delete(node.id));
  },
  slow: (world, dice) => {
    world.lag = dice.pick([300, 900, 1_500]);
    world.loss = dice.pick([0, 0.1, 0.4]);
    world.time.after(dice.int(2_000, 20_000), () => {
      world.lag = 10;
      world.loss = 0;
    });
  },
  storeLost: (world) => world.replaceStore(new SimStore(`store-${world.nextId()}`, false)),
  storeCopied: (world) => {
    world.oldCopy = world.store.copy("copy");
  },
  storeSwapped: (world, dice, node) => {
    const { oldCopy } = world;
    if (!oldCopy) return;
    world.replaceStore(oldCopy.copy(`store-${world.nextId()}`));
    // A supervisor that starts now has never seen another store.
    if (dice.chance(0.5)) world.killSupervisor(node);
  },
  lateQuestion: (world, dice) => {
    world.lateQuestion = dice.int(500, 6_000);
  },
  pin: (world, dice, node) => {
    world.store.pins = { ...world.store.pins, [dice.pick(world.config.shards)]: node.id };
  },
  unpin: (world) => {
    world.store.pins = {};
  },
  maintenance: (world, dice, node) => {
    world.store.maintenance = { ...world.store.maintenance, [node.id]: { since: "then" } };
    if (dice.chance(0.4)) return;
    world.time.after(dice.int(1_000, 30_000), () => {
      const { [node.id]: _over, ...rest } = world.store.maintenance;
      world.store.maintenance = rest;
    });
  },
  stopNode: (world, dice, node) => {
    node.supervisor?.post({ type: "stop" });
    world.time.after(dice.int(5_000, 25_000), () => node.boot());
  },
  resize: (world, dice) => {
    const shards = world.config.shards;
    const gone = dice.pick(shards);
    if (shards.length === 1) return;
    world.configure({ shards: shards.filter((s) => s !== gone) });
    world.time.after(dice.int(500, 20_000), () => {
      world.configure({ shards: [...new Set([...world.config.shards, gone])].sort() });
    });
  },
  bind: (world, dice, node) => {
    world.configure({ bound: { [dice.pick(world.config.shards)]: node.id } });
  },
  addNode: (world) => {
    if (world.nodes.length < 5) world.addNode();
  },
  breakShard: (world, dice, node) => {
    const shard = dice.pick(world.config.shards);
    const hosts = dice.chance(0.3) ? world.nodes : [node];
    for (const host of hosts) world.broken.add(`${shard}@${host.id}`);
    world.time.after(dice.int(5_000, 40_000), () => world.broken.clear());
    for (const gateway of world.laws.gateways) {
      if (gateway.shard !== shard || !hosts.some((h) => h.id === gateway.node)) continue;
      const keeper = world.nodes.find((n) => n.id === gateway.node)?.keeper;
      if (keeper?.proc.alive && !keeper.proc.paused) keeper.crash(shard, true);
    }
  },
} satisfies Record<string, Act>;

export type Kind = keyof typeof ACTS;
export const KINDS = Object.keys(ACTS) as Kind[];

function pauseFor(world: World, node: SimNode, which: "main" | "lease", ms: number): void {
  const proc = node.supervisor?.[which];
  if (!proc || proc.paused) return;
  proc.pause();
  world.time.after(ms, () => world.time.resume(proc));
}

/** A schedule: up to `most` faults within `spanMs`. */
export function planFaults(
  random: Random,
  most: number,
  spanMs: number,
  kinds: readonly Kind[] = KINDS,
): Fault[] {
  const faults: Fault[] = [];
  const count = random.int(1, most);
  for (let i = 0; i < count; i++) {
    const at = random.int(500, spanMs);
    faults.push({ at, kind: random.pick(kinds), dice: random.int(0, 2 ** 31) });
  }
  return faults.sort((a, b) => a.at - b.at);
}

export function inject(world: World, faults: readonly Fault[]): void {
  for (const { at, kind, dice } of faults) {
    world.time.after(at, () => {
      const numbers = new Numbers(dice);
      const node = numbers.pick(world.nodes);
      world.laws.count(kind);
      const act: Act = ACTS[kind];
      act(world, numbers, node);
    });
  }
}
