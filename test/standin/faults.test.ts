import { describe, expect, test } from "vitest";
import { dueFault, type Op, parseFault } from "./faults.ts";
import { World } from "./world.ts";

const URNS = Array.from({ length: 300 }, (_, i) => `urn:pulumi:test::p::t:i/T:T::thing-${i}`);
const call = (text: string, world: World, urn: string, op: Op = "create", seed = "1") =>
  dueFault(parseFault(text), { op, urn, seed }, world);

describe("a fault of the stand-in", () => {
  test("at the n-th call comes once, and for one kind of calls", () => {
    const world = new World();
    const fates = URNS.slice(0, 5).map((urn) => call("create:3:lost", world, urn));
    expect(fates).toEqual([null, null, "lost", null, null]);
    expect(URNS.slice(0, 5).map((urn) => call("create:3:lost", world, urn, "delete"))).toEqual(
      Array.from({ length: 5 }, () => null),
    );
  });

  test("at first calls comes once to everything, in each way that it can", () => {
    const world = new World();
    for (const [op, hows] of [
      ["create", ["half", "lost", "refused"]],
      ["update", ["lost", "refused"]],
      ["delete", ["lost", "refused"]],
    ] as const) {
      const fates = URNS.map((urn) => call("first:0/1", world, urn, op));
      expect([...new Set(fates)].sort()).toEqual(hows);
      expect(URNS.map((urn) => call("first:0/1", world, urn, op)).filter(Boolean)).toEqual([]);
    }
  });

  test("at a share's first calls leaves the others alone, and all shares are everything", () => {
    const hit = [0, 1, 2].map((part) => {
      const world = new World();
      return URNS.filter((urn) => call(`first:${part}/3`, world, urn));
    });
    expect(hit.flat().sort()).toEqual([...URNS].sort());
    for (const one of hit) expect(one.length).toBeGreaterThan(50);
  });

  test("written otherwise is said to be none", () => {
    expect(() => parseFault("create:lost")).toThrow("create:lost is no fault");
    expect(() => parseFault("first:1/0")).toThrow("is no fault");
    expect(parseFault("")).toBeNull();
  });
});
