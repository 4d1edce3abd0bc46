import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BALANCER_ACCOUNTS, LEAST_DAYS } from "../../../components/buckets/catalog.ts";
import { type BucketsNeed, planBuckets, tierBuckets } from "../../../components/buckets/plan.ts";
import { bucketsSettings } from "../../../components/buckets/settings.ts";
import { monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";

const plan = (need: Partial<BucketsNeed> = {}, set: object = {}) =>
  planBuckets({
    region: "eu-central-1",
    turns: 1_500_000,
    shards: 20,
    shardDiskMiB: 60,
    accessLogs: true,
    logDays: 90,
    forceDestroy: false,
    settings: bucketsSettings.parse(set),
    ...need,
  });

describe("planBuckets", () => {
  it("keeps chat logs hot for three days, then in archives, for a year", () => {
    expect(plan().chatLogs.lifecycle[0]).toEqual({
      id: "archive",
      moves: [
        { days: 3, to: "GLACIER_IR" },
        { days: 93, to: "DEEP_ARCHIVE" },
      ],
      expireDays: 365,
    });
  });

  it.each([
    [3 + 90 + 180, 2],
    [3 + 90 + 179, 1],
  ])(
    "moves logs kept for %i days %i times: the deep archive bills half a year at least",
    (chatLogDays, moves) => {
      expect(plan({}, { chatLogDays }).chatLogs.lifecycle[0]?.moves).toHaveLength(moves);
    },
  );

  it("deletes old versions, lone markers and unfinished uploads in every bucket", () => {
    const { replicas, chatLogs, accessLogs } = plan();
    for (const bucket of [replicas, chatLogs, accessLogs]) {
      expect(bucket?.lifecycle.at(-1)).toMatchObject({ id: "clean-up", abortDays: 1 });
      expect(bucket?.lifecycle.at(-1)?.oldVersionDays).toBeGreaterThan(0);
    }
    expect(plan({}, { oldVersionDays: 30 }).replicas.lifecycle[0]?.oldVersionDays).toBe(30);
  });

  it("expires no replica by age: the replicator alone knows which are still needed", () => {
    expect(plan().replicas.lifecycle.every((rule) => rule.expireDays === undefined)).toBe(true);
  });

  it("keeps access logs as the environment keeps logs, and none without a balancer", () => {
    expect(plan({ logDays: 3 }).accessLogs?.lifecycle[0]).toEqual({ id: "expire", expireDays: 3 });
    expect(plan({ accessLogs: false }).accessLogs).toBeNull();
  });

  it("encrypts under the data key, but for access logs: balancers deliver to S3's own alone", () => {
    const { replicas, chatLogs, accessLogs } = plan();
    expect([replicas, chatLogs, accessLogs].map((b) => b?.encryption)).toEqual([
      "kms",
      "kms",
      "s3",
    ]);
  });

  it("locks replicas and chat logs where asked, never access logs", () => {
    const { replicas, chatLogs, accessLogs } = plan({}, { objectLockDays: 30 });
    expect([replicas, chatLogs, accessLogs].map((b) => b?.objectLockDays)).toEqual([30, 30, 0]);
    expect(plan().replicas.objectLockDays).toBe(0);
  });

  it("refuses a lock where the environment deletes its data", () => {
    expect(() => plan({ forceDestroy: true }, { objectLockDays: 1 })).toThrow(
      /buckets\.objectLockDays is 1, and this environment deletes/,
    );
  });

  it("says every fault at once, by the setting as it is written", () => {
    const set = { chatLogHotDays: 10, chatLogDays: 10, objectLockDays: 11 };
    expect(() => plan({ forceDestroy: true }, set)).toThrow(
      /objectLockDays is 11, and this[\s\S]*chatLogDays is 10[\s\S]*objectLockDays is 11, longer/,
    );
    expect(plan({}, { ...set, chatLogDays: 11 }).chatLogDays).toBe(11);
  });

  it("knows the account that delivered logs in regions opened before August 2022", () => {
    expect(plan().balancerAccount).toBe("054676820928");
    expect(plan({ region: "eu-central-2" }).balancerAccount).toBeNull();
    for (const account of Object.values(BALANCER_ACCOUNTS)) expect(account).toMatch(/^\d{12}$/);
    expect(new Set(Object.values(BALANCER_ACCOUNTS)).size).toBe(
      Object.keys(BALANCER_ACCOUNTS).length,
    );
  });

  it("never moves a log out of a class before its least days, whatever is set", () => {
    const set = fc.record({
      chatLogHotDays: fc.integer({ min: 1, max: 400 }),
      chatLogDays: fc.integer({ min: 402, max: 3000 }),
    });
    fc.assert(
      fc.property(set, (one) => {
        const [rule] = plan({}, one).chatLogs.lifecycle;
        const moves = rule?.moves ?? [];
        const ends = [...moves.slice(1).map((m) => m.days), rule?.expireDays as number];
        moves.forEach(({ days, to }, i) => {
          expect(ends[i]).toBeGreaterThan(days); // S3 refuses anything else
          if (i > 0) expect((ends[i] as number) - days).toBeGreaterThanOrEqual(LEAST_DAYS[to]);
        });
      }),
    );
  });
});

describe("tierBuckets", () => {
  it("bills replicas, every PUT of replication, and logs in each class", () => {
    const costs = tierBuckets(plan(), "us-east-1").costs;
    const turns = 1_500_000;
    const logGb = (turns * 16) / 2 ** 20;
    const quantities = Object.fromEntries(costs.map((line) => [line.what, line.quantity]));
    expect(quantities["PUTs of replication"]).toBe((turns * 30) / 1000);
    expect(quantities["replicas stored"]).toBeCloseTo((20 * 60 * 3) / 1024);
    expect(quantities["chat logs stored, hot"]).toBeCloseTo((logGb * 3) / 30);
    expect(quantities["chat logs stored, archived"]).toBeCloseTo((logGb * 90) / 30);
    expect(quantities["chat logs stored, deep archive"]).toBeCloseTo((logGb * 272) / 30);
    expect(quantities["access logs stored"]).toBeCloseTo((turns * 1e-6 * 90) / 30);
  });

  it("bills the archive's least days for logs that leave it earlier", () => {
    const short = tierBuckets(plan({}, { chatLogDays: 10 }), "us-east-1").costs;
    const archived = short.find((line) => line.what === "chat logs stored, archived");
    expect(archived?.quantity).toBeCloseTo(((1000 * 50 * 30 * 16) / 2 ** 20 / 30) * 90);
  });

  it("shows no cost where the price table has no such region", () => {
    expect(tierBuckets(plan(), "ap-south-2").costs).toEqual([]);
  });

  it("never costs less as users and shards rise", () => {
    const size = fc.record({
      turns: fc.nat(150_000_000),
      shards: fc.integer({ min: 1, max: 2000 }),
    });
    fc.assert(
      fc.property(size, size, (a, b) => {
        for (const region of PRICE_REGIONS) {
          const cost = (pick: (x: number, y: number) => number) =>
            monthlyUsd(
              tierBuckets(
                plan({ turns: pick(a.turns, b.turns), shards: pick(a.shards, b.shards) }),
                region,
              ).costs,
            );
          expect(cost(Math.max)).toBeGreaterThanOrEqual(cost(Math.min));
        }
      }),
    );
  });
});
