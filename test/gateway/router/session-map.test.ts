import fc from "fast-check";
import { expect, test, vi } from "vitest";
import type { AgentConfig } from "../../../gateway/config.ts";
import { rankShards, SessionMap } from "../../../gateway/router/session-map.ts";
import { FakeFleet, FakeGateway, type FakeView, MemorySessions, ShardDisk } from "./fakes.ts";
import { KeptLog } from "./world.ts";

function setup() {
  const fleet = new FakeFleet();
  const view = fleet.view("a");
  for (const { id } of fleet.config.shards) {
    const gateway = new FakeGateway(fleet.disk(id));
    fleet.routes.set(id, { state: "owned", node: "a", epoch: 1, gateway, live: true });
  }
  const sessions = new MemorySessions();
  let now = 0;
  const listed: string[] = [];
  const make = () =>
    new SessionMap({
      view,
      sessions,
      clock: { now: () => now },
      log: new KeptLog(),
      listSessions: async (shard) => {
        listed.push(shard);
        return fleet.disk(shard).sessions;
      },
    });
  const agent = view.agent("main") as AgentConfig;
  const tick = (ms: number) => {
    now += ms;
  };
  return { fleet, sessions, map: make(), make, agent, listed, tick };
}

test("the stored shard wins over hashing", async () => {
  const { sessions, map, agent } = setup();
  const [first, second] = rankShards("x", "main", ["s1", "s2"]);
  sessions.map.set("main x", second as string);
  expect(await map.shardOf(agent, "x", false)).toBe(second);
  sessions.map.set("main x", first as string);
  expect(await map.shardOf(agent, "x", false)).toBe(second); // remembered
});

test("a shard that comes back with another state is asked again for its conversations", async () => {
  const { fleet, map, agent, listed } = setup();
  await map.shardOf(agent, "other", false);
  const [, second] = rankShards("adopted", "main", ["s1", "s2"]) as [string, string];
  listed.length = 0;
  const serving = fleet.routes.get(second);
  fleet.set(second, { state: "none" });
  fleet.disk(second).sessions = [{ agent: "main", session: "adopted" }];
  fleet.routes.set(second, serving as NonNullable<typeof serving>);
  fleet.changed(second);
  expect(await map.shardOf(agent, "adopted", false)).toBe(second);
  expect(listed).toEqual([second]);
});

test("after a loss, gateways are asked before an unknown session is placed", async () => {
  const { fleet, sessions, map, make, agent, listed, tick } = setup();
  const [, second] = rankShards("old", "main", ["s1", "s2"]);
  fleet.disk(second as string).sessions = [{ agent: "main", session: "old" }];
  expect(await map.shardOf(agent, "other", false)).toBeDefined();
  expect(listed.sort()).toEqual(["s1", "s2"]);
  listed.length = 0;
  sessions.lose();
  tick(2_000);
  const fresh = make();
  expect(await fresh.shardOf(agent, "old", false)).toBe(second);
  expect(await map.shardOf(agent, "older", false)).toBeDefined();
  expect(sessions.map.get("main other")).toBeDefined(); // remembered entries came back
  expect(listed.length).toBe(4);
});

test("an id made just now needs no list; a new session avoids a shard that is down when all is known", async () => {
  const { fleet, map, agent, listed } = setup();
  await map.shardOf(agent, "made-now", true);
  expect(listed).toEqual([]);
  await map.shardOf(agent, "seen", false);
  const name = ["p", "q", "r", "s", "t", "u"].find(
    (each) => rankShards(each, "main", ["s1", "s2"])[0] === "s1",
  ) as string;
  fleet.set("s1", { state: "none" });
  expect(await map.shardOf(agent, name, false)).toBe("s2");
});

test("a shard that could not be listed keeps what hashing gives it", async () => {
  const { fleet, map, agent } = setup();
  fleet.set("s1", { state: "none" });
  const name = ["p", "q", "r", "s", "t", "u"].find(
    (each) => rankShards(each, "main", ["s1", "s2"])[0] === "s1",
  ) as string;
  expect(await map.shardOf(agent, name, false)).toBe("s1");
});

test("a shard that left the fleet is forgotten, and its sessions are placed anew", async () => {
  const { sessions, map, agent, tick } = setup();
  sessions.map.set("main x", "gone");
  // Another router may know it already: nobody has its lease, but for how long?
  await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject({ code: "no_owner" });
  tick(20_000);
  await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject({ code: "no_owner" });
  expect(sessions.map.get("main x")).toBe("gone");
  tick(10_000);
  expect(["s1", "s2"]).toContain(await map.shardOf(agent, "x", false));
  expect([...sessions.map.values()]).not.toContain("gone");
});

test("a shard that these settings do not name yet keeps its sessions, and is asked when it serves", async () => {
  const { fleet, sessions, map, agent, tick } = setup();
  sessions.map.set("main x", "s3");
  const { assign } = sessions;
  sessions.assign = async (name, session) => assign.call(sessions, name, session, "s3"); // another router is first
  const refused = { code: "no_owner" };
  await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject(refused);
  await expect(map.shardOf(agent, "y", false)).rejects.toMatchObject(refused);
  // Its owner boots: the lease is held, and no route leads there.
  const view = fleet.views[0] as FakeView;
  const gateway = new FakeGateway(new ShardDisk());
  fleet.routes.set("s3", { state: "owned", node: "b", epoch: 1, gateway, live: true });
  view.beliefs.set("s3", { at: "none", epoch: 1, state: "starting" });
  for (let n = 0; n < 4; n += 1) {
    tick(20_000);
    await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject(refused);
  }
  view.beliefs.clear();
  expect(await map.shardOf(agent, "x", false)).toBe("s3");
  expect(await map.shardOf(agent, "y", false)).toBe("s3");
  expect([...sessions.map.values()]).toEqual(["s3", "s3"]);
  // While leases cannot be read, nothing is taken for gone.
  view.beliefs.set("s3", { at: "none", epoch: 1, state: "idle" });
  fleet.storeOk = false;
  for (let n = 0; n < 4; n += 1) {
    tick(20_000);
    await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject(refused);
  }
});

test("a session on a shard that these settings do not name stays there while the store is away", async () => {
  const { fleet, sessions, map, agent } = setup();
  sessions.map.set("main x", "s3");
  const gateway = new FakeGateway(new ShardDisk());
  fleet.routes.set("s3", { state: "owned", node: "b", epoch: 1, gateway, live: true });
  expect(await map.shardOf(agent, "x", false)).toBe("s3");
  sessions.down = true;
  expect(await map.shardOf(agent, "x", false)).toBe("s3");
  // Nobody serves it at this moment: what is on it is not begun anew elsewhere.
  const view = fleet.views[0] as FakeView;
  view.beliefs.set("s3", { at: "none", epoch: 1, state: "starting" });
  await expect(map.shardOf(agent, "x", false)).rejects.toMatchObject({ code: "no_owner" });
  view.beliefs.clear();
  expect(await map.shardOf(agent, "x", false)).toBe("s3");
});

test("without the store every router places a session on the same shard", async () => {
  const { sessions, map, make, agent } = setup();
  sessions.down = true;
  expect(await map.shardOf(agent, "x", false)).toBe(await make().shardOf(agent, "x", false));
});

/** A session whose first choice is not where it lives. */
function misplaced(fleet: FakeFleet): { name: string; lives: string; hashed: string } {
  const [hashed, lives] = rankShards("old", "main", ["s1", "s2"]) as [string, string];
  fleet.disk(lives).sessions = [{ agent: "main", session: "old" }];
  return { name: "old", lives, hashed };
}

test("a loss within the second since the last look is seen before a session is placed", async () => {
  const { fleet, sessions, map, agent } = setup();
  const { name, lives } = misplaced(fleet);
  await map.shardOf(agent, "other", false);
  sessions.lose();
  expect(await map.shardOf(agent, name, false)).toBe(lives);
});

test("lists are taken again long before entries that nobody uses end", async () => {
  const { fleet, sessions, map, agent, tick } = setup();
  await map.shardOf(agent, "other", false);
  const { name, lives } = misplaced(fleet);
  sessions.map.clear(); // by age: the generation stays
  tick(13 * 3_600_000);
  expect(await map.shardOf(agent, name, false)).toBe(lives);
});

test("without the store, gateways tell where a session lives", async () => {
  const { fleet, sessions, map, agent, listed } = setup();
  const { name, lives } = misplaced(fleet);
  sessions.down = true;
  expect(await map.shardOf(agent, name, false)).toBe(lives);
  expect(await map.shardOf(agent, name, false, true)).toBe(lives);
  expect(await map.shardOf(agent, "unknown to all", false, true)).toBeDefined();
  expect(listed.sort()).toEqual(["s1", "s2"]); // once each
});

test("without the store and a shard, only a request without a key is placed by guess", async () => {
  const { fleet, sessions, map, agent } = setup();
  const { name, lives, hashed } = misplaced(fleet);
  sessions.down = true;
  fleet.set(lives, { state: "none" });
  await expect(map.shardOf(agent, name, false, true)).rejects.toMatchObject({ code: "no_owner" });
  expect(await map.shardOf(agent, name, false)).toBe(hashed);
});

test("what was placed without the store goes into it when it is back, and what it says wins", async () => {
  const { sessions, map, agent, tick } = setup();
  await map.shardOf(agent, "before", false);
  sessions.down = true;
  const placed = await map.shardOf(agent, "x", false);
  const other = (await map.shardOf(agent, "y", false)) === "s1" ? "s2" : "s1";
  expect(await map.shardOf(agent, "before", false)).toBe(sessions.map.get("main before"));
  sessions.down = false;
  sessions.map.set("main y", other); // by another router
  tick(2_000);
  expect(await map.shardOf(agent, "y", false)).toBe(other);
  expect(sessions.map.get("main x")).toBe(placed);
});

test("after a loss every router goes by what is stored first", async () => {
  const { sessions, map, agent, tick } = setup();
  const mine = await map.shardOf(agent, "x", false);
  const other = mine === "s1" ? "s2" : "s1";
  sessions.lose();
  sessions.map.set("main x", other);
  tick(2_000);
  expect(await map.shardOf(agent, "x", false)).toBe(mine); // looks aside
  await vi.waitFor(async () => expect(await map.shardOf(agent, "x", false)).toBe(other));
});

test("a write whose answer is lost counts as written", async () => {
  const { fleet, sessions, map, agent } = setup();
  await map.shardOf(agent, "seen", false);
  const name = ["p", "q", "r", "s", "t", "u"].find(
    (each) => rankShards(each, "main", ["s1", "s2"])[0] === "s1",
  ) as string;
  fleet.set("s1", { state: "none" });
  const { assign } = sessions;
  sessions.assign = async (...args) => {
    await assign.apply(sessions, args);
    throw new Error("no answer");
  };
  expect(await map.shardOf(agent, name, false)).toBe("s2");
  expect(sessions.map.get(`main ${name}`)).toBe("s2");
});

test("law: one shard less moves only the sessions that were on it", () => {
  const shards = fc.uniqueArray(fc.stringMatching(/^s[0-9]{1,3}$/), { minLength: 2, maxLength: 8 });
  fc.assert(
    fc.property(shards, fc.string(), fc.nat(), (all, session, index) => {
      const removed = all[index % all.length] as string;
      const [before] = rankShards(session, "main", all);
      const [after] = rankShards(
        session,
        "main",
        all.filter((each) => each !== removed),
      );
      if (before !== removed) expect(after).toBe(before);
    }),
  );
});

test("active sessions are those of the last 15 minutes", async () => {
  const { map, agent, tick } = setup();
  await map.shardOf(agent, "x", false);
  tick(10 * 60_000);
  await map.shardOf(agent, "y", false);
  expect(map.active()).toEqual({ main: 2 });
  tick(6 * 60_000);
  expect(map.active()).toEqual({ main: 1 });
});
