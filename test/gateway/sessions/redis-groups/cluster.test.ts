import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RedisSessionStore } from "../../../../gateway/sessions/redis.ts";
import { sessionStoreContract } from "../../../contracts/session-store.ts";
import { eventually } from "../../../support/eventually.ts";
import { ask, type ClusterGroup, clusterGroup } from "../../../support/redis/groups.ts";
import { type RedisWorld, redisWorld, well } from "../redis-world.ts";

let group: ClusterGroup;
const makeWorld = () => {
  const hosts = group.servers.map(({ host, port }) => `${host}:${port}`).join(",");
  return redisWorld(`redis+cluster://${hosts}`, () => group.masters());
};
/** Enough to have some in every part of the cluster. */
const SESSIONS = Array.from({ length: 90 }, (_, n) => ({
  agent: "main",
  session: `session-${n}`,
  shard: `s${n % 3}`,
}));

beforeAll(async () => {
  group = await clusterGroup();
});
afterAll(() => group?.close());

sessionStoreContract("A Redis cluster", async () => makeWorld());

describe("a Redis cluster that fails", () => {
  let world: RedisWorld;
  let store: RedisSessionStore;
  beforeEach(() => {
    world = makeWorld();
    store = world.open();
  });
  afterEach(async () => {
    await world.close();
  });

  const expectAll = async (client: RedisSessionStore) => {
    for (const { agent, session, shard } of SESSIONS) {
      expect(await client.lookup(agent, session), session).toBe(shard);
    }
  };
  /** Each part has its copies, and they hold the same. */
  const whole = () =>
    eventually(async () => {
      for (const master of await group.masters()) {
        const seen = String(await ask(master, "INFO", "replication"));
        expect(seen).toMatch(/slave0:.*state=online/);
        const replica = /slave0:ip=[^,]*,port=(\d+)/.exec(seen)?.[1];
        const copy = group.servers.find((server) => server.port === Number(replica));
        expect(await ask(copy as (typeof group.servers)[0], "DBSIZE")).toBe(
          await ask(master, "DBSIZE"),
        );
        expect(String(await ask(master, "CLUSTER", "INFO"))).toMatch(/cluster_state:ok/);
      }
    }, 90_000);

  it("is known as one from a single address", async () => {
    const [, , third] = group.servers as [unknown, unknown, (typeof group.servers)[0]];
    const alone = redisWorld(`redis://${third.host}:${third.port}`, async () => []);
    try {
      const client = alone.open();
      await well(client);
      expect(await client.rebuild(SESSIONS)).toBe(SESSIONS.length);
      expect((await client.counts()).byAgent).toEqual({ main: SESSIONS.length });
      expect(await client.dropShard("s0")).toBe(30);
    } finally {
      await alone.close();
    }
  });

  it("a replica takes over from a dead master, and the map is to be compared", async () => {
    expect(await store.rebuild(SESSIONS)).toBe(SESSIONS.length);
    await store.claim("k", "h", "run-1", 600_000);
    const before = await store.generation();
    await whole();
    const [master] = (await group.masters()) as [(typeof group.servers)[0]];
    await master.kill();
    await well(store);
    await eventually(() => expectAll(store), 60_000);
    expect(await store.generation()).not.toBe(before);
    expect((await store.claim("k", "h", "run-2", 600_000)).outcome).toBe("running");
    expect(await store.rebuild(SESSIONS)).toBe(0);
    await master.start();
    await whole();
  });

  it("a master that hangs is left, and is not believed when it wakes", async () => {
    await store.rebuild(SESSIONS);
    await store.generation();
    await whole();
    const [master] = (await group.masters()) as [(typeof group.servers)[0]];
    master.signal("SIGSTOP");
    expect(await store.ok()).toBe(false);
    await eventually(() => expectAll(store), 90_000);
    await well(store);
    const now = await store.generation();
    master.signal("SIGCONT");
    await whole();
    const later = world.open();
    await well(later);
    await expectAll(later);
    expect(await later.generation()).toBe(now);
    expect(await store.generation()).toBe(now);
  });

  it("comes back empty when all of it died, as another generation", async () => {
    await store.rebuild(SESSIONS);
    const before = await store.generation();
    await Promise.all(group.servers.map((server) => server.kill()));
    await expect(store.lookup("main", "session-1")).rejects.toMatchObject({
      name: "StoreUnavailable",
    });
    await Promise.all(group.servers.map((server) => server.start()));
    await whole();
    await well(store);
    await eventually(async () => expect(await store.lookup("main", "session-1")).toBeNull());
    expect(await store.generation()).not.toBe(before);
    expect(await store.rebuild(SESSIONS)).toBe(SESSIONS.length);
  });
});
