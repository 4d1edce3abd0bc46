import fc from "fast-check";
import { expect, test } from "vitest";
import { RUNNING } from "../../../gateway/shard/states.ts";
import { World } from "./world.ts";

type Step = (world: World) => void | Promise<void>;

const steps: Record<string, Step> = {
  start: (world) => {
    if (["idle", "failed"].includes(world.state)) {
      world.runner.start(world.runner.report().epoch + 1, "i1");
    }
  },
  stop: (world) => world.runner.stop("stop"),
  kill: (world) => world.runner.kill("kill"),
  drain: (world) => {
    if (["starting", "serving", "draining"].includes(world.state))
      world.runner.drain({ why: "drain" });
  },
  undrain: (world) => world.runner.undrain(),
  restart: (world) => world.runner.restart("restart"),
  crash: (world) => {
    if (world.keeper.running) world.keeper.exit(1);
  },
  hopeless: (world) => {
    if (world.keeper.running) world.keeper.exit(78);
  },
  fence: (world) => {
    if (world.keeper.running) world.keeper.exit(null, { fenced: true });
  },
  busy: (world) => {
    if (world.gateway) world.gateway.active = 1;
  },
  quiet: (world) => {
    if (world.gateway) world.gateway.active = 0;
  },
  rude: (world) => {
    world.keeper.polite = !world.keeper.polite;
  },
  down: (world) => {
    world.probe = "down";
  },
  up: (world) => {
    world.probe = "started";
  },
  memory: (world) => {
    for (let n = 0; n < 3; n++) world.keeper.memory(2_000);
  },
  "pass 0": (world) => world.time.pass(0),
  "pass 3 s": (world) => world.time.pass(3_000),
  "pass 40 s": (world) => world.time.pass(40_000),
  "pass 11 min": (world) => world.time.pass(660_000),
};

test("whatever happens, the laws hold", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 30 }),
      async (names) => {
        const world = new World();
        for (const name of names) {
          await steps[name]?.(world);
          const report = world.runner.report();
          // A route exists only to a gateway that lives and admits.
          if (report.admissionOpen) {
            expect(["serving", "draining"]).toContain(report.state);
            expect(report.endpoint).not.toBeNull();
          }
          if (report.endpoint) expect(world.keeper.running).not.toBeNull();
          if (!RUNNING.includes(report.state)) expect(world.keeper.running).toBeNull();
        }
        // In the end everything can be ended, within the budget of a stop.
        world.runner.stop("the end");
        await world.time.pass(20_000);
        expect(world.keeper.running).toBeNull();
        expect(["idle", "failed"]).toContain(world.state);
        // A turn to recycle that was given came back.
        expect(world.recycleTurns.back).toBe(world.recycleTurns.given);
        // And nothing comes to life afterwards, nor is a boot slot still taken.
        const starts = world.keeper.started.length;
        await world.time.pass(700_000);
        expect(world.keeper.started).toHaveLength(starts);
        let free = false;
        world.slots.take(() => {
          free = true;
        });
        expect(free).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});
