import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RedisSessionStore } from "../../../../gateway/sessions/redis.ts";
import { REDIS_REPLICATED_SETTINGS } from "../../../../gateway/sessions/redis-layout.ts";
import { sessionStoreContract } from "../../../contracts/session-store.ts";
import { eventually } from "../../../support/eventually.ts";
import { ask, type SentinelGroup, sentinelGroup } from "../../../support/redis/groups.ts";
import { type RedisWorld, redisWorld, well } from "../redis-world.ts";

let group: SentinelGroup;
const makeWorld = () => {
  const hosts = group.sentinels.map(({ host, port }) => `${host}:${port}`).join(",");
  return redisWorld(`redis+sentinel://${hosts}/${group.name}`, async () => [await group.master()]);
};

beforeAll(async () => {
  group = await sentinelGroup(
    Object.entries(REDIS_REPLICATED_SETTINGS).map(([name, value]) => `${name} ${value}`),
  );
});
afterAll(() => group?.close());

sessionStoreContract("Redis with Sentinels", async () => makeWorld());

describe("Redis with Sentinels that fails", () => {
  let world: RedisWorld;
  let store: RedisSessionStore;
  beforeEach(() => {
    world = makeWorld();
    store = world.open();
  });
  afterEach(async () => {
    await world.close();
  });

  /** Every replica has what the master has. */
  const copied = () =>
    eventually(async () => {
      const sizes = await Promise.all(group.servers.map((server) => ask(server, "DBSIZE")));
      expect(new Set(sizes).size).toBe(1);
    }, 60_000);
  const another = (than: number) =>
    eventually(async () => {
      const master = await group.master();
      expect(master.port).not.toBe(than);
      return master;
    }, 60_000);

  it("another server takes over from a dead master, and the map is to be compared", async () => {
    await store.assign("main", "x", "s1");
    await store.claim("k", "h", "run-1", 600_000);
    const before = await store.generation();
    await copied();
    const master = await group.master();
    await master.kill();
    await another(master.port);
    await well(store);
    expect(await store.generation()).not.toBe(before);
    expect(await store.lookup("main", "x")).toBe("s1");
    expect(await store.claim("k", "h", "run-2", 600_000)).toEqual({
      outcome: "running",
      runId: "run-1",
    });
    expect(await store.assign("main", "y", "s2")).toBe("s2");
    await master.start();
    await copied();
  });

  it("a master that hangs is left, and is not believed when it wakes", async () => {
    await store.assign("main", "x", "s1");
    await store.generation();
    await copied();
    const master = await group.master();
    master.signal("SIGSTOP");
    await expect(store.lookup("main", "x")).rejects.toMatchObject({ name: "StoreUnavailable" });
    await another(master.port);
    await well(store);
    expect(await store.assign("main", "y", "s2")).toBe("s2");
    const now = await store.generation();
    master.signal("SIGCONT");
    await eventually(async () => {
      expect(String(await ask(master, "INFO", "replication"))).toMatch(/role:slave/);
    }, 60_000);
    const later = world.open();
    await well(later);
    expect(await later.lookup("main", "y")).toBe("s2");
    expect(await store.assign("main", "y", "s3")).toBe("s2");
    expect(await later.generation()).toBe(now);
    await copied();
  });

  it("goes on without any Sentinel", async () => {
    await well(store);
    for (const sentinel of group.sentinels) await sentinel.kill();
    expect(await store.assign("main", "z", "s1")).toBe("s1");
    expect(await store.ok()).toBe(true);
    for (const sentinel of group.sentinels) await sentinel.start();
  });
});
