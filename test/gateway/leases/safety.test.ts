/**
 * Nodes that follow the rules of ownership on a real store, while it is lost and replaced under them
 * and they are paused for any time: never two of them live on one shard.
 */
import { existsSync } from "node:fs";
import fc from "fast-check";
import { expect, it } from "vitest";
import { LEASE } from "../../../gateway/contract.ts";
import { SimulatedFleet, SimulatedNode } from "./simulated-node.ts";
import { sqliteLeaseWorld } from "./world.ts";

it("does not let a sleeper write itself back over a later owner in a lost store", async () => {
  const world = await sqliteLeaseWorld();
  try {
    const [a, b] = ["n1", "n2"].map((id) => new SimulatedNode(id, world.open()));
    expect(await a?.look(world.clock.now(), 0)).toBe(1);
    expect(await b?.look(world.clock.now(), 1)).toBeNull();
    world.clock.advance(LEASE.ttlMs);
    expect(await b?.look(world.clock.now(), 1)).toBe(2);
    await world.lose?.();
    await a?.renew(world.clock.now());
    expect(a?.held).toBeNull();
    await b?.renew(world.clock.now());
    expect(b?.live(world.clock.now())).toBe(true);
    expect((await world.open().read()).leases.s1).toMatchObject({ owner: "n2", epoch: 2 });
  } finally {
    await world.close();
  }
});

/** What happens in one second: at most one node falls asleep or wakes, and one fault. */
const second = fc.record({
  toggle: fc.option(fc.nat({ max: 2 }), { freq: 3 }),
  fault: fc.oneof(
    { weight: 8, arbitrary: fc.constant("none") },
    { weight: 2, arbitrary: fc.constant("lose") },
    { weight: 1, arbitrary: fc.constantFrom("save", "swap", "restore", "give up") },
  ),
  /** Who acts first. */
  first: fc.nat({ max: 2 }),
});

it("never has two live owners, whatever happens to the file", async () => {
  let acquired = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(second, { minLength: 100, maxLength: 200 }), async (seconds) => {
      const world = await sqliteLeaseWorld();
      const fleet = new SimulatedFleet(() => world.open());
      let saved = false;
      try {
        for (const { toggle, fault, first } of seconds) {
          world.clock.advance(1_000);
          fleet.toggle(toggle);
          if (fault === "lose") await world.lose?.();
          if (fault === "save" && existsSync(world.path)) {
            await world.save?.();
            saved = true;
          }
          if (fault === "swap" && saved) await world.swapOld?.();
          // In place only where it is noticed, whoever looks first: all must have seen newer content.
          if (fault === "restore" && saved) {
            await fleet.settle(world.clock, first);
            await world.restoreInPlace?.();
          }
          await fleet.second(world.clock.now, first, fault === "give up");
        }
      } finally {
        acquired += fleet.acquired;
        await world.close();
      }
    }),
    { numRuns: 25 },
  );
  expect(acquired).toBeGreaterThan(50);
}, 120_000);
