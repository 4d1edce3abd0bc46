import { expect, test } from "vitest";
import {
  channelChecksOf,
  fleetCheckOf,
  replicaChecksOf,
  storeCheckOf,
} from "../../../cli/doctor/fleet.ts";
import type { ChannelsReport, FleetStatus } from "../../../gateway/contract.ts";

const shard = (id: string, replica?: { lagMs: number; unreplicated: boolean }) =>
  ({ id, state: "serving", reason: null, ...(replica ? { replica } : {}) }) as never;
const status = (store: FleetStatus["store"], shards: never[] = []): FleetStatus => ({
  fleet: "x",
  nodes: [],
  shards,
  store,
  heldRequests: 0,
});

test("a store is well while it answers and nobody who votes is lost", () => {
  const etcd = (ok: boolean, lost: number) =>
    storeCheckOf(status({ kind: "etcd", ok, voters: { total: 3, lost } }));
  expect(etcd(true, 0)).toMatchObject({
    state: "ok",
    text: "etcd, 3 of 3 members on hosts that live",
  });
  expect(etcd(true, 1).state).toBe("warn");
  expect(etcd(false, 2)).toMatchObject({ state: "fail" });
  expect(etcd(false, 2).fix).toContain("journalctl -u openclaw-fleet-etcd");
  expect(storeCheckOf(status({ kind: "sqlite", ok: true })).state).toBe("ok");
});

test("replicas are told by shard, where there are any", () => {
  const of = (...shards: never[]) =>
    replicaChecksOf(status({ kind: "etcd", ok: true }, shards), "x");
  const current = { lagMs: 200, unreplicated: false };
  expect(of(shard("s1"))).toEqual([]);
  expect(of(shard("s1", current))).toMatchObject([{ state: "ok" }]);
  const [told] = of(
    shard("s1", current),
    shard("s2", { lagMs: 90_000, unreplicated: false }),
    shard("s3", { lagMs: 6_000, unreplicated: true }),
  );
  expect(told).toMatchObject({ state: "warn", text: "s2 is 90 s behind, s3 has none" });
  expect(told?.fix).toBe("./fleet logs s2 --stack x");
});

test("bots that are down are told with why and whose they are; no check where there is no bot", () => {
  const of = (...channels: (ChannelsReport | undefined)[]) => {
    const shards = channels.map((each, i) => ({
      id: `s${i + 1}`,
      agents: ["main", "bob"],
      ...(each ? { channels: each } : {}),
    }));
    return channelChecksOf(status({ kind: "etcd", ok: true }, shards as never[]), "x");
  };
  const well = { bots: 2, down: [] };
  expect(of(undefined, undefined)).toEqual([]);
  expect(of(undefined, { bots: 0, down: [] })).toEqual([]);
  expect(of(well, undefined, { bots: 1, down: [] })).toEqual([
    { id: "channels", state: "ok", text: "3 bots, none is down" },
  ]);
  const revoked = { bot: "telegram/bob", why: "Telegram bot token unauthorized" };
  expect(of(well, { bots: 1, down: [revoked] })).toEqual([
    {
      id: "channels",
      state: "fail",
      text: "1 of 3 bots down: telegram/bob",
      why: "telegram/bob: Telegram bot token unauthorized",
      fix: "mend channels.telegram of agent bob in Pulumi.x.yaml, ./fleet up --stack x; what it said: ./fleet logs s2 --stack x",
    },
  ]);
});

test("a lost host is no question of `up`", () => {
  const lost = { id: "b", state: "lost" } as never;
  const seen = { ...status({ kind: "etcd", ok: true }, [shard("s1")]), nodes: [lost] };
  expect(fleetCheckOf(seen, "x", "hosts").fix).toContain("power its host on");
  expect(fleetCheckOf(seen, "x").fix).toContain("./fleet up --stack x");
});
