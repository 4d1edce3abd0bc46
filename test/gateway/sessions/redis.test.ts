import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { StoreUnavailable } from "../../../gateway/leases/store.ts";
import { RedisSessionStore } from "../../../gateway/sessions/redis.ts";
import { REDIS_ACL } from "../../../gateway/sessions/redis-layout.ts";
import { parseRedisUrl } from "../../../gateway/sessions/redis-url.ts";
import { sessionStoreContract } from "../../contracts/session-store.ts";
import { selfSigned } from "../../support/certificate.ts";
import { eventually } from "../../support/eventually.ts";
import { ask } from "../../support/redis/groups.ts";
import { RedisServer } from "../../support/redis/server.ts";
import { KeptWarnings, type RedisWorld, redisWorld, well } from "./redis-world.ts";

const HOOK_MS = 240_000;
const ANSWER = { status: 200, headers: {}, body: "forty-two" };
let server: RedisServer;
const urlOf = (one: RedisServer) => `redis://${one.host}:${one.port}`;

beforeAll(async () => {
  server = await RedisServer.start();
}, HOOK_MS);
afterAll(() => server.close());

sessionStoreContract("One Redis", async () => redisWorld(urlOf(server), async () => [server]));

describe("one Redis that fails", { timeout: 120_000 }, () => {
  let own: RedisServer;
  let world: RedisWorld;
  let store: RedisSessionStore;
  beforeEach(async () => {
    own = await RedisServer.start();
    world = redisWorld(urlOf(own), async () => []);
    store = world.open();
  }, HOOK_MS);
  afterEach(async () => {
    await world.close();
    await own.close();
  });

  it("everything fails in time while it is dead, and works again once it is back", async () => {
    await store.assign("main", "x", "s1");
    const before = await store.generation();
    await own.kill();
    const answers = await Promise.allSettled([
      store.lookup("main", "x"),
      store.assign("main", "y", "s2"),
      store.claim("k", "h", "r", 1_000),
      store.finish("k", "r", ANSWER, 1_000),
      store.rebuild([{ agent: "main", session: "x", shard: "s1" }]),
      store.dropShard("s9"),
      store.counts(),
      store.generation(),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: "rejected", reason: { name: "StoreUnavailable" } });
    }
    expect(await store.ok()).toBe(false);
    await own.start();
    await well(store);
    expect(await store.lookup("main", "x")).toBeNull();
    expect(await store.generation()).not.toBe(before);
    expect(world.log.lines.join("\n")).toMatch(/away[\s\S]*is back/);
  });

  it("nothing waits for a server that hangs, and little is asked of it", async () => {
    await store.assign("main", "x", "s1");
    own.signal("SIGSTOP");
    await expect(store.lookup("main", "x")).rejects.toBeInstanceOf(StoreUnavailable);
    // Many requests do not queue up: they fail without being sent.
    const many = await Promise.allSettled(
      Array.from({ length: 5_000 }, () => store.lookup("main", "x")),
    );
    expect(many.every((one) => one.status === "rejected")).toBe(true);
    own.signal("SIGCONT");
    await well(store);
    expect(await store.lookup("main", "x")).toBe("s1");
  });

  it("a restart from an old dump is another generation, whose entries are believed", async () => {
    await store.assign("main", "x", "s1");
    await ask(own, "SAVE");
    await store.assign("main", "y", "s1");
    const before = await store.generation();
    await own.kill();
    await own.start();
    await well(store);
    expect(await store.generation()).not.toBe(before);
    expect(await store.lookup("main", "x")).toBe("s1");
    expect(await store.lookup("main", "y")).toBeNull();
  });

  it("a full server refuses with an error that a retry can heal, and still answers what it knows", async () => {
    const before = await store.generation();
    await store.assign("main", "x", "s1");
    await store.claim("k", "h", "run-1", 60_000);
    await store.finish("k", "run-1", ANSWER, 60_000);
    await ask(own, "CONFIG", "SET", "maxmemory-policy", "noeviction");
    await ask(own, "CONFIG", "SET", "maxmemory", "1mb");
    for (const refused of [
      () => store.assign("main", "y", "s1"),
      () => store.claim("k2", "h", "run-2", 60_000),
    ]) {
      await expect(refused()).rejects.toThrow(/Redis is full/);
      await expect(refused()).rejects.toBeInstanceOf(StoreUnavailable);
    }
    expect(await store.lookup("main", "x")).toBe("s1");
    expect(await store.claim("k", "h", "run-3", 60_000)).toMatchObject({ outcome: "done" });
    expect(await store.generation()).toBe(before);
    await ask(own, "CONFIG", "SET", "maxmemory", "0");
    expect(await store.assign("main", "y", "s1")).toBe("s1");
    expect((await store.claim("k2", "h", "run-2", 60_000)).outcome).toBe("claimed");
  });

  it("answers leave room for sessions and claims", async () => {
    const used = Number(/used_memory:(\d+)/.exec(String(await ask(own, "INFO", "memory")))?.[1]);
    await ask(own, "CONFIG", "SET", "maxmemory", String(Math.round(used * 1.3)));
    await store.claim("k", "h", "run-1", 60_000);
    await expect(store.finish("k", "run-1", ANSWER, 60_000)).rejects.toThrow(/not stored/);
    expect(await store.assign("main", "x", "s1")).toBe("s1");
    expect(await store.claim("k", "h", "run-2", 60_000)).toEqual({
      outcome: "running",
      runId: "run-1",
    });
  });

  it("every key ends by itself", async () => {
    await store.assign("main", "x", "s1");
    await store.rebuild([{ agent: "main", session: "y", shard: "s1" }]);
    await store.generation();
    await store.counts();
    await store.claim("k", "h", "run-1", 60_000);
    await store.claim("k2", "h", "run-2", 60_000);
    await store.finish("k2", "run-2", ANSWER, 60_000);
    const keys = (await ask(own, "KEYS", "*")) as string[];
    expect(keys.length).toBeGreaterThan(5);
    for (const key of keys) expect(Number(await ask(own, "PTTL", key)), key).toBeGreaterThan(0);
  });

  it("what a gateway still lists does not end", async () => {
    await store.assign("main", "x", "s1");
    const [key] = (await ask(own, "KEYS", "ocf:*:s:*")) as [string];
    await ask(own, "PEXPIRE", key, "60000");
    await store.rebuild([{ agent: "main", session: "x", shard: "s2" }]);
    expect(Number(await ask(own, "PTTL", key))).toBeGreaterThan(86_400_000);
    expect(await store.lookup("main", "x")).toBe("s1");
  });

  it("fleets on one server do not see each other", async () => {
    const other = new RedisSessionStore({
      target: parseRedisUrl(urlOf(own)),
      fleet: "other*",
      log: world.log,
    });
    try {
      await store.assign("main", "x", "s1");
      expect(await other.lookup("main", "x")).toBeNull();
      expect(await other.dropShard("s1")).toBe(0);
      expect(await other.counts()).toEqual({ byShard: {}, byAgent: {} });
      expect(await store.lookup("main", "x")).toBe("s1");
    } finally {
      await other.close();
    }
  });

  it("works on very many sessions in pages", async () => {
    const entries = Array.from({ length: 2_500 }, (_, n) => ({
      agent: n % 2 ? "main" : "other",
      session: `s-${n}`,
      shard: n % 5 ? "s1" : "s2",
    }));
    expect(await store.rebuild(entries)).toBe(2_500);
    expect(await store.counts()).toEqual({
      byShard: { s1: 2_000, s2: 500 },
      byAgent: { main: 1_250, other: 1_250 },
    });
    const drops = await Promise.all([store.dropShard("s2"), store.dropShard("s2")]);
    expect(drops).toEqual([500, 500]);
    expect(await store.lookup("other", "s-0")).toBeNull();
    expect(await store.lookup("main", "s-1")).toBe("s1");
  });

  it("says that it is closed", async () => {
    await store.lookup("main", "x");
    await store.close();
    await expect(store.lookup("main", "x")).rejects.toBeInstanceOf(StoreUnavailable);
  });
});

describe("access to Redis", { timeout: 120_000 }, () => {
  const password = `p@ss:${randomBytes(8).toString("hex")}/%`;
  const { key, cert } = selfSigned();
  const dir = mkdtempSync(join(tmpdir(), "redis-ca-"));
  const ca = join(dir, "ca.pem");
  writeFileSync(ca, cert);
  let guarded: RedisServer;
  beforeAll(async () => {
    guarded = await RedisServer.start({
      tls: { key, cert },
      config: [`user fleet on >${password} ~* &* ${REDIS_ACL}`, "user default off"],
    });
  }, HOOK_MS);
  afterAll(async () => {
    await guarded.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const open = (user: string, query: string) => {
    const log = new KeptWarnings();
    const url = `rediss://${user}@${guarded.host}:${guarded.port}${query}`;
    return { log, store: new RedisSessionStore({ target: parseRedisUrl(url), fleet: "f", log }) };
  };
  const known = `fleet:${encodeURIComponent(password)}`;

  it("encrypted, with the fleet's own authority, as a user who may do no harm", async () => {
    const { store, log } = open(known, `?ca=${ca}`);
    try {
      await well(store);
      expect(await store.assign("main", "x", "s1")).toBe("s1");
      expect(await store.dropShard("s1")).toBe(1);
      expect(await store.claim("k", "h", "r", 1_000)).toMatchObject({ outcome: "claimed" });
      expect(await store.finish("k", "r", ANSWER, 1_000)).toBe(true);
      expect(await store.counts()).toEqual({ byShard: {}, byAgent: {} });
      expect(log.lines).toEqual([]);
    } finally {
      await store.close();
    }
  });

  it.each([
    ["a wrong password", "fleet:wrong-secret", `?ca=${ca}`, /WRONGPASS/],
    ["an authority that nobody named", known, "", /self-signed/],
  ])("%s is refused, and no secret is told", async (_, user, query, why) => {
    const { store, log } = open(user, query);
    try {
      const error = (await store.lookup("main", "x").catch((each) => each)) as Error;
      expect(error).toBeInstanceOf(StoreUnavailable);
      await eventually(async () => {
        await store.lookup("main", "x").catch(() => {});
        expect(log.lines.join("\n")).toMatch(why);
      });
      const told = log.lines.join("\n") + error.message + String(error.stack);
      expect(told).not.toContain("wrong-secret");
      expect(told).not.toContain(password);
    } finally {
      await store.close();
    }
  });
});
