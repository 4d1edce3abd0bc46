import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RedisSessionStore } from "../../../../gateway/sessions/redis.ts";
import { parseRedisUrl } from "../../../../gateway/sessions/redis-url.ts";
import { sessionStoreContract } from "../../../contracts/session-store.ts";
import { KeptWarnings, redisWorld, well } from "../../../gateway/sessions/redis-world.ts";
import { ask } from "../../../support/redis/groups.ts";
import { PlannedRedis } from "../../../support/redis/planned.ts";

const UNIT = "openclaw-fleet-redis.service";
let redis: PlannedRedis;
beforeAll(async () => {
  redis = await PlannedRedis.start("single", 2);
});
afterAll(() => redis?.close());
const makeWorld = () => redisWorld(redis.url, async () => redis.servers(), "test");

sessionStoreContract("One planned Redis", async () => makeWorld());

describe("one planned Redis", () => {
  it("is on the first host alone, and its clients need nothing but its address", () => {
    expect(redis.units("a")).toEqual([UNIT]);
    expect(redis.plan("b")).toEqual({});
    expect(redis.url).toMatch(/^rediss:\/\/fleet:/);
  });

  it("keeps what it was told over a crash, as another generation", async () => {
    const world = makeWorld();
    const store = world.open();
    await well(store);
    await store.assign("main", "x", "s1");
    await store.claim("k", "h", "run-1", 600_000);
    const before = await store.generation();
    await redis.kill("a", UNIT);
    await expect(store.lookup("main", "x")).rejects.toMatchObject({ name: "StoreUnavailable" });
    await redis.startUnit("a", UNIT);
    await well(store);
    expect(await store.lookup("main", "x")).toBe("s1");
    expect((await store.claim("k", "h", "run-2", 600_000)).outcome).toBe("running");
    expect(await store.generation()).not.toBe(before);
    await world.close();
  });

  it("gives a fleet its own keys, and nobody more than they need", async () => {
    const server = redis.asked("a", UNIT);
    const as = (username: string, password: string) => ({
      ...server,
      access: { ...server.access, username, password },
    });
    const fleet = as("fleet", redis.hosts.secrets.get("redis.fleet") as string);
    const exporter = as("exporter", redis.hosts.secrets.get("redis.exporter") as string);
    const health = as("health", "anything");
    expect(await ask(fleet, "SET", "ocf:{6u}:test:s:main:x", "s1")).toBe("OK");
    for (const [who, ...command] of [
      [fleet, "SET", "ocf:{6u}:other:s:main:x", "s1"],
      [fleet, "SET", "x", "y"],
      [fleet, "FLUSHALL"],
      [fleet, "CONFIG", "GET", "maxmemory"],
      [fleet, "ACL", "LIST"],
      [fleet, "PUBLISH", "x", "y"],
      [exporter, "GET", "ocf:{6u}:test:s:main:x"],
      [health, "GET", "ocf:{6u}:test:s:main:x"],
      [health, "INFO"],
    ] as const) {
      await expect(ask(who, ...command), command.join(" ")).rejects.toThrow(/NOPERM|permissions/);
    }
    expect(await ask(exporter, "INFO", "memory")).toMatch(/maxmemory:67108864/);
    expect(await ask(health, "PING")).toBe("PONG");
    for (const stranger of [as("fleet", "wrong"), as("default", ""), as("nobody", "x")]) {
      await expect(ask(stranger, "PING")).rejects.toThrow(/WRONGPASS|NOAUTH|connection/i);
    }
    const { access: _, ...plain } = server;
    await expect(ask(plain, "PING")).rejects.toThrow();
  });

  it("refuses what does not fit, and forgets nothing for it", async () => {
    const server = redis.asked("a", UNIT);
    const asked = ["CONFIG", "GET", "maxmemory-policy"];
    expect(await ask(server, ...asked)).toEqual(["maxmemory-policy", "noeviction"]);
  });

  it("writes no secret anywhere but into its own files", () => {
    const secrets = [...redis.hosts.secrets].filter(([name]) => name.startsWith("redis."));
    const said = redis.said("a", UNIT);
    const plan = JSON.stringify(redis.plan("a"));
    for (const [, value] of secrets) {
      expect(said).not.toContain(value);
      expect(plan).not.toContain(value);
    }
    const store = new RedisSessionStore({
      target: parseRedisUrl(redis.url),
      fleet: "test",
      log: new KeptWarnings(),
    });
    expect(JSON.stringify(store)).not.toContain(secrets[0]?.[1]);
    void store.close();
  });
});
