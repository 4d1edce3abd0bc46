import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HOURS_A_MONTH, monthlyUsd, PRICE_REGIONS } from "../../../components/cost.ts";
import {
  DATABASE_CLASSES,
  DATABASE_PRICES,
  MAX_CONNECTIONS,
  PROXY_FROM_CONNECTIONS,
  STORAGE_GIB,
} from "../../../components/database/catalog.ts";
import {
  connectionsOf,
  type DatabaseNeed,
  type DatabasePlan,
  growthLimit,
  keepStorage,
  planDatabase,
  tierDatabase,
} from "../../../components/database/plan.ts";
import { databaseSettings } from "../../../components/database/settings.ts";

const settings = databaseSettings.parse({});
const plan = (need: Partial<DatabaseNeed> = {}): DatabasePlan =>
  planDatabase({
    users: 1000,
    connections: 60,
    multiAz: true,
    zones: 3,
    backupDays: 14,
    settings,
    ...need,
  });
const with_ = (set: object) => databaseSettings.parse(set);
const [micro, small] = DATABASE_CLASSES.map(connectionsOf) as [number, number];

describe("planDatabase", () => {
  it.each([
    [micro, "db.t4g.micro"],
    [micro + 1, "db.t4g.small"],
    [small, "db.t4g.small"],
    [small + 1, "db.t4g.medium"],
  ])("takes for %i connections the smallest class that takes them, %s", (connections, type) => {
    expect(plan({ connections }).instanceClass).toBe(type);
  });

  it("counts connections by RDS's own formula, a quarter of the memory kept for the system", () => {
    expect(micro).toBe(Math.floor((2 ** 30 * 0.75) / 9_531_392));
    expect(connectionsOf({ type: "x", memoryGiB: 1000, vcpus: 1 })).toBe(MAX_CONNECTIONS);
  });

  it("stands a proxy before the database from 300 connections on", () => {
    expect(plan({ connections: PROXY_FROM_CONNECTIONS - 1 }).proxy).toBe(false);
    expect(plan({ connections: PROXY_FROM_CONNECTIONS }).proxy).toBe(true);
    expect(plan({ connections: 10, settings: with_({ proxy: true }) }).proxy).toBe(true);
    expect(plan({ connections: 400, settings: with_({ proxy: false }) }).proxy).toBe(false);
  });

  it("says where a proxy for the version was not seen in AWS's list", () => {
    expect(plan({ connections: 300 }).notes.join()).toMatch(/PostgreSQL 18.*2026-11-21/);
    expect(plan({ connections: 300, version: "17" }).notes).toEqual([]);
  });

  it("refuses a proxy for a version that is not listed, wanted or needed", () => {
    expect(() => plan({ version: "19", settings: with_({ proxy: true }) })).toThrow(
      /database\.proxy is true, and RDS Proxy is not known to work with PostgreSQL 19/,
    );
    expect(() => plan({ version: "19", connections: 300 })).toThrow(/300 connections on/);
    expect(plan({ version: "19", connections: 299 }).proxy).toBe(false);
  });

  it("makes room for users' knowledge and its indexes, 20 GiB at least", () => {
    expect(plan({ users: 1 }).storageGiB).toBe(STORAGE_GIB.min);
    expect(plan({ users: 512 }).storageGiB).toBe(20); // exactly full
    expect(plan({ users: 513 }).storageGiB).toBe(21);
    expect(plan({ settings: with_({ storageGiB: 100 }) })).toMatchObject({
      storageGiB: 100,
      maxStorageGiB: 500,
    });
  });

  it("refuses more than a disk holds, saying which number makes it", () => {
    expect(() => plan({ users: 4_000_000 })).toThrow(/database\.knowledgeMiBPerUser is 20/);
  });

  it("keeps a larger disk that is there, and says so", () => {
    const previous = { storageGiB: 200, maxStorageGiB: 1000, version: "18" };
    const kept = plan({ previous });
    expect(kept).toMatchObject({ storageGiB: 200, maxStorageGiB: 1000 });
    expect(kept.notes.join()).toContain("keeps its 200 GiB");
    expect(plan({ previous: { ...previous, storageGiB: 40 } }).notes).toEqual([]);
  });

  it("refuses a disk set smaller than the one that is there", () => {
    const previous = { storageGiB: 200, maxStorageGiB: 1000, version: "18" };
    expect(() => plan({ previous, settings: with_({ storageGiB: 199 }) })).toThrow(
      /database\.storageGiB is 199, and the database has 200/,
    );
    expect(plan({ previous, settings: with_({ storageGiB: 200 }) }).storageGiB).toBe(200);
  });

  it("never lowers how far AWS may grow the disk: below its size RDS would refuse", () => {
    const previous = { storageGiB: 20, maxStorageGiB: 900, version: "18" };
    expect(plan({ users: 1, previous }).maxStorageGiB).toBe(900);
  });

  it("lets AWS grow a disk only where the limit is a tenth above its size, as RDS wants it", () => {
    const of = (storageGiB: number) => growthLimit(plan({ settings: with_({ storageGiB }) }));
    expect(of(20)).toBe(100);
    expect(of(59_578)).toBe(65_536);
    expect(of(59_579)).toBeUndefined();
    expect(of(STORAGE_GIB.max)).toBeUndefined();
  });

  it("refuses an older version than the database has", () => {
    const previous = { storageGiB: 20, maxStorageGiB: 100, version: "19" };
    expect(() => plan({ previous })).toThrow(/PostgreSQL 19, and 18 is older/);
  });

  it("says every fault at once, by the setting as it is written", () => {
    const bad = with_({ instanceClass: "db.huge", proxy: true });
    expect(() => plan({ settings: bad, zones: 1, version: "19" })).toThrow(
      /database\.instanceClass is db\.huge[\s\S]*database\.proxy is true[\s\S]*aws\.zones are 1/,
    );
    expect(() =>
      plan({ connections: micro + 1, settings: with_({ instanceClass: "db.t4g.micro" }) }),
    ).toThrow(/database\.instanceClass is db\.t4g\.micro, which takes 84 connections, and 85/);
    expect(() => plan({ connections: MAX_CONNECTIONS + 1 })).toThrow(/database\.connections/);
  });

  it("never shrinks, never costs less and keeps every limit as users and connections rise", () => {
    const size = fc.record({
      users: fc.nat(100_000),
      connections: fc.integer({ min: 1, max: 5000 }),
    });
    fc.assert(
      fc.property(size, size, fc.boolean(), (a, b, multiAz) => {
        const pick = (f: (x: number, y: number) => number) => ({
          users: f(a.users, b.users),
          connections: f(a.connections, b.connections),
        });
        const few = plan({ ...pick(Math.min), multiAz });
        const many = plan({ ...pick(Math.max), multiAz });
        const rank = (p: DatabasePlan) =>
          DATABASE_CLASSES.findIndex((c) => c.type === p.instanceClass);
        expect(rank(many)).toBeGreaterThanOrEqual(rank(few));
        expect(many.storageGiB).toBeGreaterThanOrEqual(few.storageGiB);
        expect(many.maxStorageGiB).toBeLessThanOrEqual(STORAGE_GIB.max);
        for (const region of PRICE_REGIONS) {
          const cost = (p: DatabasePlan) => monthlyUsd(tierDatabase(p, region).costs);
          expect(cost(many)).toBeGreaterThanOrEqual(cost(few));
        }
      }),
    );
  });

  it("never plans a disk below the one that is there, whatever came before", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(60_000), { minLength: 1 }), (users) => {
        let previous: DatabasePlan | null = null;
        for (const n of users) {
          const next: DatabasePlan = plan({ users: n, previous });
          expect(next.storageGiB).toBeGreaterThanOrEqual(previous?.storageGiB ?? 0);
          expect(next.maxStorageGiB).toBeGreaterThanOrEqual(previous?.maxStorageGiB ?? 0);
          expect(next.maxStorageGiB).toBeGreaterThanOrEqual(next.storageGiB);
          previous = next;
        }
      }),
    );
  });
});

describe("keepStorage", () => {
  it("takes what is wanted unless more is there", () => {
    expect(keepStorage(50, null)).toEqual({ storageGiB: 50 });
    expect(keepStorage(50, 50)).toEqual({ storageGiB: 50 });
    expect(keepStorage(49, 50).storageGiB).toBe(50);
    expect(keepStorage(49, 50).note).toBeDefined();
  });
});

describe("tierDatabase", () => {
  it("bills both zones, the disk twice, backups, the proxy's least, the secret and logs", () => {
    const one = plan({ connections: 300, settings: with_({ storageGiB: 100 }) });
    expect(tierDatabase(one, "us-east-1").costs.map((line) => [line.what, line.quantity])).toEqual([
      ["database instance hours", 2 * HOURS_A_MONTH],
      ["database storage", 200],
      ["database backups beyond the free size", 70],
      ["RDS Proxy vCPU hours", 2 * HOURS_A_MONTH],
      ["database secret", 1],
      ["database logs taken in", 1],
    ]);
  });

  it("bills a proxy by the instance's processors from the least on", () => {
    const big = plan({ connections: 5000 });
    const line = tierDatabase(big, "us-east-1").costs.find((l) => l.what.startsWith("RDS Proxy"));
    expect(line?.quantity).toBe(8 * HOURS_A_MONTH);
  });

  it("shows no cost where the price table has no such region", () => {
    expect(tierDatabase(plan(), "ap-south-2").costs).toEqual([]);
  });

  it("has a price for every listed class in every region", () => {
    for (const region of PRICE_REGIONS) {
      for (const { type } of DATABASE_CLASSES) {
        expect(DATABASE_PRICES.regions[region][type as never]).toBeGreaterThan(0);
      }
    }
  });
});
