import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseNodes, SLOTS } from "../../../../gateway/redis-cluster/steps.ts";
import type { RedisSessionStore } from "../../../../gateway/sessions/redis.ts";
import { sessionStoreContract } from "../../../contracts/session-store.ts";
import { type RedisWorld, redisWorld, well } from "../../../gateway/sessions/redis-world.ts";
import { eventually } from "../../../support/eventually.ts";
import { type Asked, ask } from "../../../support/redis/groups.ts";
import { PlannedRedis } from "../../../support/redis/planned.ts";

/** Longest wait for servers to agree, ms. */
const AGREE_MS = 180_000;
let redis: PlannedRedis;

const nodesOf = async (server: Asked) => parseNodes(String(await ask(server, "CLUSTER", "NODES")));

/** Masters by a server that answers, as hosts. */
async function masters(): Promise<(Asked & { name: string })[]> {
  for (const server of redis.servers()) {
    const nodes = await nodesOf(server).catch(() => null);
    if (!nodes) continue;
    const now = nodes.filter(({ slots, flags }) => slots.length > 0 && !flags.includes("fail"));
    return redis
      .servers()
      .filter(({ host, port }) => now.some((node) => node.host === host && node.port === port));
  }
  throw new Error("no server of the cluster answers");
}

/** Every server knows all, every slot has a master, every master its replicas, each on hosts of their own. */
const whole = () =>
  eventually(async () => {
    await redis.mend();
    const servers = redis.servers();
    for (const server of servers) {
      const nodes = await nodesOf(server);
      expect(nodes).toHaveLength(servers.length);
      expect(nodes.flatMap(({ flags }) => flags).filter((flag) => /fail/.test(flag))).toEqual([]);
      const covered = nodes
        .flatMap(({ slots }) => slots)
        .reduce((sum, [from, to]) => sum + to - from + 1, 0);
      expect(covered).toBe(SLOTS);
      const heads = nodes.filter(({ slots }) => slots.length > 0);
      expect(heads).toHaveLength(3);
      for (const head of heads) {
        const copies = nodes.filter(({ master }) => master === head.id);
        expect(copies).toHaveLength(servers.length / 3 - 1);
        expect(new Set([head, ...copies].map(({ host }) => host)).size).toBe(1 + copies.length);
      }
      expect(new Set(heads.map(({ host }) => host)).size).toBe(3);
    }
    for (const server of await masters()) {
      const seen = String(await ask(server, "INFO", "replication"));
      expect(seen.match(/state=online/g) ?? []).toHaveLength(servers.length / 3 - 1);
    }
  }, AGREE_MS);

const makeWorld = () => redisWorld(redis.url, masters, "test");
const SESSIONS = Array.from({ length: 90 }, (_, n) => ({
  agent: "main",
  session: `session-${n}`,
  shard: `s${n % 3}`,
}));

beforeAll(async () => {
  redis = await PlannedRedis.start("cluster", 3);
  await whole();
});
afterAll(() => redis?.close());

sessionStoreContract("A planned Redis cluster", async () => makeWorld());

describe("a planned Redis cluster that fails", () => {
  let world: RedisWorld;
  let store: RedisSessionStore;
  beforeEach(async () => {
    await whole();
    world = makeWorld();
    store = world.open();
    await well(store);
    await store.rebuild(SESSIONS);
  });
  afterEach(async () => {
    await redis.restore();
    await whole();
    await world.close();
  });
  const expectAll = async () => {
    for (const { session, shard } of SESSIONS) {
      expect(await store.lookup("main", session), session).toBe(shard);
    }
  };
  const copied = () =>
    eventually(async () => {
      const sizes = await Promise.all(redis.servers().map((server) => ask(server, "DBSIZE")));
      const total = sizes.reduce((sum: number, size) => sum + Number(size), 0);
      const held = await Promise.all((await masters()).map((server) => ask(server, "DBSIZE")));
      const once = held.reduce((sum: number, size) => sum + Number(size), 0);
      expect(total).toBe((once * redis.servers().length) / 3);
    }, AGREE_MS);

  it("is formed once: looking again changes nothing", async () => {
    expect(await redis.mend()).toEqual([]);
  });

  it("a host is lost with its disk: the others serve, and what comes in its place is taken in", async () => {
    await copied();
    await redis.loseHost("b", true);
    await eventually(expectAll, AGREE_MS);
    // Nobody gives slots away or forgets servers that may come back.
    const lines = await redis.mend("a", "c");
    expect(lines.join("\n")).not.toMatch(/ADDSLOTS|FORGET/);
    await redis.install("b");
    await whole();
    await expectAll();
  });

  it("all of it is lost at once, and all comes back with its disks", async () => {
    await copied();
    for (const { name } of redis.hosts.hosts) await redis.loseHost(name);
    for (const { name } of redis.hosts.hosts) await redis.install(name);
    await whole();
    await well(store);
    await eventually(expectAll, AGREE_MS);
  });
});
