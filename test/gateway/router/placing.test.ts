import { expect, test } from "vitest";
import type { AgentConfig } from "../../../gateway/config.ts";
import { HOLD } from "../../../gateway/contract.ts";
import { RouterError } from "../../../gateway/router/errors.ts";
import { Placing } from "../../../gateway/router/placing.ts";
import { eventually } from "../../support/eventually.ts";

const AGENT = { name: "main", shards: ["s1", "s2"] } as unknown as AgentConfig;
const unknown = () => new RouterError("no_owner", "where it lives cannot be told now", 5);

function setup() {
  let now = 0;
  const world = {
    answer: (): string => {
      throw unknown();
    },
    asked: 0,
    tick: (ms: number) => {
      now += ms;
    },
  };
  const map = {
    shardOf: async () => {
      world.asked += 1;
      return world.answer();
    },
  };
  const placing = new Placing(map, { now: () => now }, 1);
  const signal = new AbortController();
  const ask = (session = "x") => placing.exactly(AGENT, session, false, signal.signal);
  return { world, placing, ask, leave: () => signal.abort() };
}

test("a request is held until it can be told where its conversation lives", async () => {
  const { world, placing, ask } = setup();
  const asked = ask();
  await eventually(() => expect(world.asked).toBeGreaterThan(2));
  expect(placing.waiting).toBe(1);
  world.answer = () => "s2";
  expect(await asked).toBe("s2");
  expect(placing.waiting).toBe(0);
});

test("it is held no longer than one whose shard has no owner", async () => {
  const { world, placing, ask } = setup();
  const asked = ask();
  asked.catch(() => {});
  world.tick(HOLD.requestMs - 1);
  await eventually(() => expect(world.asked).toBeGreaterThan(2));
  expect(placing.waiting).toBe(1);
  world.tick(1);
  await expect(asked).rejects.toMatchObject({ code: "no_owner" });
  expect(placing.waiting).toBe(0);
});

test("no more are held than before a shard", async () => {
  const { world, placing, ask } = setup();
  const held = Array.from({ length: HOLD.maxRequests }, (_, n) => ask(`x${n}`));
  await eventually(() => expect(placing.waiting).toBe(HOLD.maxRequests));
  await expect(ask()).rejects.toMatchObject({ code: "overloaded" });
  world.answer = () => "s1";
  expect(new Set(await Promise.all(held))).toEqual(new Set(["s1"]));
});

test("nobody is held whose client left, or for any other error", async () => {
  const { world, placing, ask, leave } = setup();
  const asked = ask();
  leave();
  await expect(asked).rejects.toMatchObject({ name: "ClientGone" });
  world.answer = () => {
    throw new RouterError("internal", "a fault");
  };
  await expect(ask()).rejects.toMatchObject({ code: "internal" });
  expect(placing.waiting).toBe(0);
});
