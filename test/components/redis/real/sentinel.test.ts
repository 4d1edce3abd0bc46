import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { redisData, redisEtc } from "../../../../components/redis/config.ts";
import { SENTINEL_UNIT } from "../../../../components/redis/plan.ts";
import type { RedisSessionStore } from "../../../../gateway/sessions/redis.ts";
import { sessionStoreContract } from "../../../contracts/session-store.ts";
import { type RedisWorld, redisWorld, well } from "../../../gateway/sessions/redis-world.ts";
import { eventually } from "../../../support/eventually.ts";
import { ask } from "../../../support/redis/groups.ts";
import { PlannedRedis } from "../../../support/redis/planned.ts";

const UNIT = "openclaw-fleet-redis.service";
/** Longest wait for servers to agree, ms. */
const AGREE_MS = 120_000;
let redis: PlannedRedis;

/** The host of the master, as most Sentinels say. */
async function master(): Promise<string> {
  const said: string[] = [];
  for (const { name } of redis.hosts.hosts) {
    const asked = ["SENTINEL", "get-master-addr-by-name", "fleet"];
    const answer = (await ask(redis.asked(name, SENTINEL_UNIT), ...asked).catch(() => null)) as
      | string[]
      | null;
    if (answer) said.push(answer[0] as string);
  }
  const [most] = said.sort(
    (one, other) =>
      said.filter((each) => each === other).length - said.filter((each) => each === one).length,
  );
  const found = redis.hosts.hosts.find(({ address }) => address === most);
  if (!found) throw new Error(`no master among ${said}`);
  return found.name;
}

const info = async (name: string) =>
  String(await ask(redis.asked(name, UNIT), "INFO", "replication"));

/** One master with both replicas, all Sentinels know it and each other. */
const whole = () =>
  eventually(async () => {
    const name = await master();
    const seen = await info(name);
    expect(seen).toMatch(/role:master/);
    expect(seen.match(/state=online/g) ?? []).toHaveLength(2);
    for (const { name: each } of redis.hosts.hosts) {
      const sentinel = String(await ask(redis.asked(each, SENTINEL_UNIT), "INFO", "sentinel"));
      expect(sentinel).toMatch(/status=ok,.*slaves=2,sentinels=3/);
    }
  }, AGREE_MS);

const makeWorld = () =>
  redisWorld(redis.url, async () => [redis.asked(await master(), UNIT)], "test");

beforeAll(async () => {
  redis = await PlannedRedis.start("sentinel", 3);
  await whole();
});
afterAll(() => redis?.close());

sessionStoreContract("Planned Redis with Sentinels", async () => makeWorld());

describe("planned Redis with Sentinels that fails", () => {
  let world: RedisWorld;
  let store: RedisSessionStore;
  beforeEach(async () => {
    await whole();
    world = makeWorld();
    store = world.open();
    await well(store);
  });
  afterEach(async () => {
    await redis.restore();
    await whole();
    await world.close();
  });
  const copied = () =>
    eventually(async () => {
      const servers = redis.servers();
      const sizes = await Promise.all(servers.map((server) => ask(server, "DBSIZE")));
      expect(new Set(sizes).size).toBe(1);
    }, AGREE_MS);
  const another = (than: string) =>
    eventually(async () => expect(await master()).not.toBe(than), AGREE_MS);

  it("the host of the master is lost with its disk: another serves, and it comes back as a replica", async () => {
    await store.assign("main", "x", "s1");
    await copied();
    const before = await store.generation();
    const lost = await master();
    await redis.loseHost(lost, true);
    await another(lost);
    await well(store);
    expect(await store.lookup("main", "x")).toBe("s1");
    expect(await store.assign("main", "y", "s2")).toBe("s2");
    expect(await store.generation()).not.toBe(before);
    await redis.install(lost);
    // It asked before it started: at no moment was it an empty master.
    expect(await info(lost)).toMatch(/role:slave/);
    await whole();
    await copied();
    expect(await store.lookup("main", "y")).toBe("s2");
  });

  it("a master that comes back at once has what it had", async () => {
    await store.assign("main", "x", "s1");
    await copied();
    const name = await master();
    await redis.kill(name, UNIT);
    await redis.startUnit(name, UNIT);
    await well(store);
    await eventually(async () => expect(await store.lookup("main", "x")).toBe("s1"), AGREE_MS);
  });

  it("all of it is lost at once, and all comes back with its disks", async () => {
    await store.assign("main", "x", "s1");
    await copied();
    const before = await master();
    for (const { name } of redis.hosts.hosts) await redis.loseHost(name);
    await expect(store.lookup("main", "x")).rejects.toMatchObject({ name: "StoreUnavailable" });
    for (const { name } of redis.hosts.hosts) await redis.install(name);
    await whole();
    expect(await master()).toBe(before);
    await well(store);
    expect(await store.lookup("main", "x")).toBe("s1");
  });

  it("what the programs rewrite is no drift, and what the plan says counts at the next start", async () => {
    const replica = redis.hosts.hosts.find(({ name }) => name !== "a")?.name as string;
    for (const { name } of redis.hosts.hosts) {
      const { paths } = redis.hosts.context(name);
      const files = redis.plan(name).files ?? {};
      for (const [path, { content }] of Object.entries(files)) {
        if (path.endsWith(".acl")) continue; // one more user for tests
        expect(readFileSync(path, "utf8"), path).toBe(redis.hosts.revealed(content));
      }
      const live = readFileSync(`${redisData(paths)}/sentinel/sentinel.conf`, "utf8");
      expect(live).toMatch(/^sentinel myid /m);
      expect(live.match(/^sentinel known-sentinel /gm)).toHaveLength(2);
    }
    const { paths } = redis.hosts.context(replica);
    const id = (text: string) => /^sentinel myid (\S+)/m.exec(text)?.[1];
    const live = `${redisData(paths)}/sentinel/sentinel.conf`;
    const before = id(readFileSync(live, "utf8"));
    const planned = `${redisEtc(paths)}/sentinel.conf`;
    const text = readFileSync(planned, "utf8");
    const { writeFileSync } = await import("node:fs");
    writeFileSync(
      planned,
      text.replace("failover-timeout fleet 30000", "failover-timeout fleet 31000"),
    );
    await redis.kill(replica, SENTINEL_UNIT);
    await redis.startUnit(replica, SENTINEL_UNIT);
    writeFileSync(planned, text);
    const asked = ["SENTINEL", "MASTER", "fleet"];
    const fields = (await ask(redis.asked(replica, SENTINEL_UNIT), ...asked)) as string[];
    expect(fields[fields.indexOf("failover-timeout") + 1]).toBe("31000");
    await eventually(() => expect(id(readFileSync(live, "utf8"))).toBe(before));
  });
});
