import { Random } from "./engine.ts";
import { type Fault, inject, type Kind, planFaults } from "./faults.ts";
import { LawBroken } from "./laws.ts";
import type { Rules } from "./mutants.ts";
import { World } from "./world.ts";

export interface Plan {
  seed: number;
  sameMachine: boolean;
  nodes: number;
  shards: number;
  /** New settings come when the faults end, which clears failures. */
  freshSettings: boolean;
  faults: Fault[];
}

export interface Outcome {
  broken: string | null;
  counts: Record<string, number>;
  lines: string[];
}

/** Faults come within this time, then everything is healed. */
const FAULTS_MS = 50_000;
/** By then every shard must be served where it belongs: stability, then one move after the other. */
const CALM_MS = 300_000;

/** Everything about a schedule follows from its seed. */
export function planFor(seed: number, sameMachine: boolean, kinds?: readonly Kind[]): Plan {
  const random = new Random(seed);
  return {
    seed,
    sameMachine,
    nodes: random.int(2, 4),
    shards: random.int(1, 5),
    freshSettings: random.chance(0.5),
    faults: planFaults(random, 14, FAULTS_MS, kinds),
  };
}

/** Runs one schedule: faults, then calm, with all laws watched. */
export function run(plan: Plan, rules: Rules, tracing = false): Outcome {
  const world = new World({ ...plan, rules });
  world.tracing = tracing;
  let broken: string | null = null;
  try {
    inject(world, plan.faults);
    world.time.runUntil(FAULTS_MS + 1_000);
    heal(world, plan.freshSettings);
    broken = settle(world);
  } catch (error) {
    if (!(error instanceof LawBroken)) throw error;
    broken = error.message;
  }
  return { broken, counts: world.laws.counts, lines: world.lines };
}

/** Ends every fault. Pins and bindings stay: they are wishes. */
function heal(world: World, freshSettings: boolean): void {
  world.storeDown = false;
  world.cut.clear();
  world.lag = 10;
  world.loss = 0;
  world.broken.clear();
  world.traps.clear();
  world.lateQuestion = 0;
  // Maintenance stays as well, unless nobody would be left to serve.
  if (world.nodes.every((node) => world.store.maintenance[node.id])) world.store.maintenance = {};
  world.resumeAll();
  for (const node of world.nodes) world.time.after(world.random.int(0, 2_000), () => node.boot());
  if (freshSettings) world.configure({ revision: "healed" });
}

function settle(world: World): string | null {
  const end = world.time.now + CALM_MS;
  let calmSince: number | null = null;
  while (world.time.now < end) {
    world.time.runUntil(world.time.now + 1_000);
    const unrest = world.unrest(false);
    if (unrest !== null) calmSince = null;
    else calmSince ??= world.time.now;
    // Calm must last: shards that go to and fro are not served.
    if (calmSince !== null && world.time.now - calmSince >= 30_000) return null;
  }
  return `liveness: ${world.unrest(false) ?? "calm never lasts"} (${CALM_MS} ms after the faults)`;
}

/** Leaves out faults one by one while the schedule still breaks a law. */
export function shrink(plan: Plan, rules: Rules): Plan {
  let least = plan;
  for (let i = least.faults.length - 1; i >= 0; i--) {
    const faults = least.faults.filter((_, at) => at !== i);
    const smaller = { ...least, faults };
    if (run(smaller, rules).broken !== null) least = smaller;
  }
  return least;
}
