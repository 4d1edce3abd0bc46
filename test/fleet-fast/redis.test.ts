import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { rankShards } from "../../gateway/router/session-map.ts";
import { RedisSessionStore } from "../../gateway/sessions/redis.ts";
import { parseRedisUrl } from "../../gateway/sessions/redis-url.ts";
import { eventually } from "../support/eventually.ts";
import { ask } from "../support/redis/groups.ts";
import { RedisServer } from "../support/redis/server.ts";
import { FastFleet, ownerOf } from "./fleet.ts";

let redis: RedisServer;
let fleet: FastFleet;
const url = () => `redis://${redis.host}:${redis.port}`;

beforeEach(async () => {
  redis = await RedisServer.start();
  fleet = await FastFleet.start({ redisUrl: url() });
}, 180_000);

afterEach(async () => {
  await fleet?.remove();
  await redis?.close();
}, 60_000);

const SESSIONS = Array.from({ length: 8 }, (_, n) => `session-${n}`);
const keys = async () => ((await ask(redis, "KEYS", "ocf:*:s:main:*")) as string[]).length;

/** One turn with a key of its own choice. */
async function keyed(message: string, session: string, key: string) {
  const headers = { "idempotency-key": key };
  const response = await fleet.fetch("/api/v1/chat", { body: { message, session }, headers });
  const body = (await response.json()) as { reply: string };
  return { status: response.status, reply: body.reply, headers: response.headers };
}

test("conversations, keys and owners outlive every loss of Redis", {
  timeout: 240_000,
}, async () => {
  const home = new Map<string, string>();
  // Half of them live where no hashing would put them: only what is stored or listed tells.
  const store = new RedisSessionStore({ target: parseRedisUrl(url()), fleet: "fast" });
  for (const [n, session] of SESSIONS.entries()) {
    const ranked = rankShards(session, "main", fleet.shards);
    home.set(session, await store.assign("main", session, ranked[n % 2] as string));
  }
  await store.close();
  for (const session of SESSIONS) {
    expect((await fleet.chat("one", session)).shard).toBe(home.get(session));
  }
  expect(await keys()).toBe(SESSIONS.length);
  const key = randomBytes(8).toString("hex");
  expect(await keyed("two", "session-0", key)).toMatchObject({ status: 200, reply: "echo 2: two" });

  // Dead: nothing is refused, and each conversation goes on where it is, on every router.
  await redis.kill();
  for (const [n, session] of SESSIONS.entries()) {
    const { reply, shard } = await fleet.chat("next", session);
    expect({ session, reply, shard }).toEqual({
      session,
      reply: `echo ${n === 0 ? 3 : 2}: next`,
      shard: home.get(session),
    });
  }
  // The answer of a key is found in the conversation itself.
  expect(await keyed("two", "session-0", key)).toMatchObject({ status: 200, reply: "echo 2: two" });
  // A router that starts without it knows what the gateways know.
  const status = await fleet.status();
  expect(status.store).toEqual({ kind: "sqlite", ok: true });
  for (const node of fleet.nodes) process.kill(fleet.supervisorPid(node), "SIGKILL");
  await eventually(async () => {
    await fleet.served();
  }, 120_000);
  for (const session of SESSIONS) {
    expect((await fleet.chat("again", session)).shard, session).toBe(home.get(session));
  }

  // Back, and empty: the map is rebuilt.
  await redis.start();
  await eventually(async () => {
    await fleet.chat("more", `new-${randomBytes(4).toString("hex")}`);
    expect(await keys()).toBeGreaterThanOrEqual(SESSIONS.length);
  }, 60_000);
  for (const session of SESSIONS) {
    expect((await fleet.chat("last", session)).shard, session).toBe(home.get(session));
  }
  expect(fleet.faults()).toEqual([]);
});

test("a Redis that hangs or is full holds no request up", { timeout: 240_000 }, async () => {
  // After the test before, one node may have every shard.
  const session = "held";
  const { shard } = await fleet.chat("one", session);
  const epochs = async () => (await fleet.status()).shards.map(({ epoch }) => epoch);
  const before = await epochs();
  redis.signal("SIGSTOP");
  const first = await fleet.fetch("/api/v1/chat", { body: { message: "x", session: "unseen" } });
  expect(first.status).toBe(200);
  expect((await fleet.chat("two", session)).shard).toBe(shard);
  redis.signal("SIGCONT");
  await ask(redis, "CONFIG", "SET", "maxmemory", "1mb");
  const full = await fleet.chat("x", "unseen-2");
  expect((await fleet.chat("y", "unseen-2")).shard).toBe(full.shard);
  expect((await fleet.chat("three", session)).shard).toBe(shard);
  expect(await epochs()).toEqual(before);
  expect(ownerOf(await fleet.status(), shard).node).toBe("a");
  expect(fleet.logs()).toMatch(/session store is away/);
  expect(fleet.faults()).toEqual([]);
});
