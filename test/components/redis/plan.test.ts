import fc from "fast-check";
import { expect, test } from "vitest";
import { HOST_PATHS, HOST_PORTS } from "../../../components/host/types.ts";
import { CLUSTER, type RedisMode, redisLayout } from "../../../components/redis/layout.ts";
import {
  planRedis,
  redisAddresses,
  redisPasswords,
  redisUnit,
  redisUrl,
} from "../../../components/redis/plan.ts";
import { parseRedisUrl } from "../../../gateway/sessions/redis-url.ts";

const hostsOf = (count: number, witnesses = 0) =>
  Array.from({ length: count + witnesses }, (_, n) => ({
    name: `h${n}`,
    address: `10.0.0.${n + 1}`,
    ...(n < count ? {} : { witness: true }),
  }));
const context = (hosts: ReturnType<typeof hostsOf>, n = 0) => ({
  fleet: "prod",
  self: hosts[n] as (typeof hosts)[0],
  hosts,
  paths: { ...HOST_PATHS, release: `${HOST_PATHS.releases}/r1` },
  ports: HOST_PORTS,
});
const MODES: RedisMode[] = ["single", "sentinel", "cluster"];

test("one server is on the first host that runs shards", () => {
  const hosts = hostsOf(2, 1).reverse();
  const { servers, sentinels } = redisLayout(hosts, HOST_PORTS, "single");
  expect(servers.map(({ host }) => host.name)).toEqual(["h1"]);
  expect(sentinels).toEqual([]);
});

test("Sentinels are three, a witness among them when only two hosts run shards", () => {
  const { servers, sentinels } = redisLayout(hostsOf(2, 1), HOST_PORTS, "sentinel");
  expect(servers.map(({ host, first }) => [host.name, first])).toEqual([
    ["h0", true],
    ["h1", false],
  ]);
  expect(sentinels.map(({ name }) => name)).toEqual(["h0", "h1", "h2"]);
  expect(redisLayout(hostsOf(5), HOST_PORTS, "sentinel").servers).toHaveLength(3);
});

test.each([
  [1, 0, "sentinel", /needs 2/],
  [2, 0, "sentinel", /witness: true/],
  [2, 1, "cluster", /needs 3/],
  [0, 1, "single", /needs 1/],
] as const)("%i hosts with %i witnesses and mode %s are refused", (count, witnesses, mode, why) => {
  expect(() => redisLayout(hostsOf(count, witnesses), HOST_PORTS, mode)).toThrow(why);
});

test("in a cluster the copies of a part are on different hosts, the load is even, ports are the host's own", () => {
  fc.assert(
    fc.property(fc.integer({ min: 3, max: 12 }), fc.integer({ min: 0, max: 2 }), (count, more) => {
      const { servers } = redisLayout(hostsOf(count, more), HOST_PORTS, "cluster");
      const copies = 1 + Math.min(CLUSTER.replicas, count - 1);
      expect(servers).toHaveLength(CLUSTER.masters * copies);
      const loads = new Map<string, number>();
      for (const { host, index, port } of servers) {
        loads.set(host.name, Math.max(loads.get(host.name) ?? 0, index + 1));
        expect(port).toBe(HOST_PORTS.redis + index);
        expect(host.witness).toBeUndefined();
      }
      expect(new Set(servers.map(({ host, port }) => `${host.name}:${port}`)).size).toBe(
        servers.length,
      );
      for (let shard = 0; shard < CLUSTER.masters; shard++) {
        const own = servers.filter((server) => server.shard === shard);
        expect(new Set(own.map(({ host }) => host.name)).size).toBe(copies);
        expect(own.filter(({ first }) => first)).toHaveLength(1);
      }
      const heads = servers.filter(({ first }) => first).map(({ host }) => host.name);
      expect(new Set(heads).size).toBe(CLUSTER.masters);
      expect(Math.max(...loads.values())).toBeLessThanOrEqual(
        Math.ceil(servers.length / count) + 1,
      );
    }),
  );
});

test.each(MODES)(
  "the address of mode %s is one that nodes read, without a secret in it",
  (mode) => {
    const at = redisAddresses(context(hostsOf(3)), mode)?.join(",") ?? "";
    const url = redisUrl(context(hostsOf(3)), mode).replace("{redis}", at);
    const plain = url.replace(/\?ca=[^&]*&?/, "?").replace(/\{\{secret redis\.fleet\}\}/g, "pw_-1");
    expect(url.match(/\{\{secret redis\.fleet\}\}/g)?.length).toBe(mode === "sentinel" ? 2 : 1);
    const target = parseRedisUrl(plain.replace(/\?$/, ""));
    expect(target).toMatchObject({
      mode: mode === "single" ? "auto" : mode,
      username: "fleet",
      password: "pw_-1",
      tls: {},
    });
    expect(target.nodes.length).toBe({ single: 1, sentinel: 3, cluster: 9 }[mode]);
  },
);

test.each(MODES)("every secret of mode %s is one that is made, and the other way round", (mode) => {
  const hosts = hostsOf(3);
  const text = hosts.map((_, n) => JSON.stringify(planRedis(context(hosts, n), { mode }))).join("");
  const named = new Set(
    [...text.matchAll(/\{\{secret (redis\.[a-z]+)\}\}/g)].map(([, name]) => name),
  );
  expect(named).toEqual(new Set(redisPasswords(mode)));
});

test("users of a fleet whose name means something in a pattern touch no other fleet's keys", () => {
  const part = planRedis({ ...context(hostsOf(1)), fleet: "a*b" }, { mode: "single" });
  const users = part.files?.[`${HOST_PATHS.etc}/redis/users.acl`]?.content ?? "";
  expect(users).toContain("~ocf:{??}:a%42b:*");
});

test("a host with several servers has a unit, a file and a folder for each", () => {
  const part = planRedis(context(hostsOf(3)), { mode: "cluster" });
  for (const index of [0, 1, 2]) expect(part.units?.[redisUnit(index)]?.state).toBe("enabled");
  expect(redisUnit(2)).toBe("openclaw-fleet-redis-3.service");
  expect(planRedis(context(hostsOf(3, 1), 3), { mode: "cluster" })).toEqual({});
});

test("a public address may be another machine's, so only a private one is listened on", () => {
  const bound = (address: string) => {
    const hosts = [{ name: "a", address }];
    const part = planRedis(
      { ...context(hostsOf(1)), self: hosts[0] as never, hosts },
      { mode: "single" },
    );
    return /^bind (.*)$/m.exec(
      part.files?.[`${HOST_PATHS.etc}/redis/redis.conf`]?.content ?? "",
    )?.[1];
  };
  for (const own of ["10.1.2.3", "192.168.0.9", "172.16.0.1", "100.64.0.1", "fd00::1"]) {
    expect(bound(own)).toBe(own);
  }
  for (const other of ["203.0.113.4", "172.32.0.1", "2001:db8::1", "a.example.com", "11.0.0.1"]) {
    expect(bound(other)).toBe("* -::*");
  }
});
