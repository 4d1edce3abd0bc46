import { afterEach, expect, test } from "vitest";
import type { StateControl } from "../../../gateway/router/view.ts";
import { ADMIN_TOKEN } from "../router/fakes.ts";
import { ask, World } from "../router/world.ts";

let world: World;
afterEach(() => world?.close());

/** Two nodes, of which each remembers what it was told to replace. */
async function start() {
  world = await World.start(["a", "b"]);
  const replaced: string[] = [];
  for (const [id, { control }] of world.nodes) {
    const state: Partial<StateControl> = {
      replace: async (shard) => void replaced.push(`${shard} at ${id}`),
    };
    Object.assign(control, { state });
  }
  const adopt = (shard: string, force = false) =>
    ask(world.node("a").port, "/api/v1/fleet/adopt", {
      token: ADMIN_TOKEN,
      method: "POST",
      body: { shard, directory: "/srv/alone", force },
    });
  return { replaced, adopt };
}

test.each(["a", "b"])(
  "a shard at %s takes nothing over while its gateway has conversations, known to the map or not",
  async (owner) => {
    const { adopt, replaced } = await start();
    await world.fleet.own("s1", owner);
    world.fleet.disk("s1").sessions = [{ agent: "main", session: "telegram:1" }];
    expect((await world.sessions.counts()).byShard.s1 ?? 0).toBe(0);
    const { status, json } = await adopt("s1");
    expect([status, json.error.message]).toEqual([
      409,
      expect.stringMatching(/^s1 has 1 conversations/),
    ]);
    expect(replaced).toEqual([]);
    expect((await adopt("s1", true)).status).toBe(200);
    world.fleet.disk("s1").sessions = [];
    expect((await adopt("s1")).status).toBe(200);
    expect(replaced).toEqual([`s1 at ${owner}`, `s1 at ${owner}`]);
  },
);

test("a gateway that cannot be asked, and a shard without an owner, are left alone", async () => {
  const { adopt, replaced } = await start();
  expect((await adopt("s1")).json.error.message).toMatch(/s1 does not serve now/);
  await world.fleet.own("s1", "a");
  Object.defineProperty(world.fleet.disk("s1"), "sessions", {
    get: () => {
      throw new Error("it hangs");
    },
  });
  const { status, json } = await adopt("s1");
  expect([status, json.error.message]).toEqual([
    409,
    expect.stringMatching(/could not be asked.*it hangs/),
  ]);
  expect(replaced).toEqual([]);
});
