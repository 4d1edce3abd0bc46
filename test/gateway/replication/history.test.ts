import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { NodeId } from "../../../gateway/contract.ts";
import { DirectoryTarget } from "../../../gateway/replication/directory-target.ts";
import {
  type DrillOptions,
  drillRestore,
  isPointInTime,
  pointsInTime,
} from "../../../gateway/replication/history.ts";
import {
  encodeManifest,
  encodeSeq,
  manifestKey,
  sealKey,
} from "../../../gateway/replication/manifest.ts";
import type { ReplicaTarget } from "../../../gateway/replication/target.ts";
import { FLEET, read, replicatorOn, Scratch, SHARD, Writer } from "./fixtures.ts";
import { MemoryTarget } from "./memory-target.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch.clean());

const DATABASE = "state/openclaw.sqlite";

/** A shard with one replica, and what is needed to try it. */
async function replicated(rows: number, more: () => void = () => {}) {
  const target = new DirectoryTarget(scratch.path("target"));
  const { replicator } = replicatorOn(scratch, target);
  const writer = new Writer(scratch.path("state", DATABASE));
  scratch.after(() => writer.close());
  for (let n = 1; n <= rows; n++) writer.write(n);
  more();
  await replicator.step();
  const options: DrillOptions = {
    fleet: FLEET,
    shard: SHARD,
    scratch: scratch.path("drill"),
    countSessions: () => 7,
    freeBytes: async () => 2 ** 40,
  };
  const sites: [NodeId | null, ReplicaTarget][] = [[null, target]];
  return { options, sites, writer, replicator };
}

it("restores the newest moment beside the live state, and leaves nothing", async () => {
  const { options, sites, writer, replicator } = await replicated(2);
  writer.write(3);
  await replicator.step();
  writer.write(4);
  const seen: number[][] = [];
  const drilled = await drillRestore(sites, {
    ...options,
    countSessions: (stateDir, databases) => {
      seen.push(read(join(stateDir, databases[0] as string)).rows);
      return 7;
    },
    now: () => Date.now() + 90_000,
  });
  expect(seen).toEqual([[1, 2, 3]]);
  expect(drilled).toMatchObject({ sessions: 7, point: { databases: 1, site: null } });
  expect(drilled.ageMs).toBeGreaterThanOrEqual(90_000);
  expect(drilled.bytes).toBeGreaterThan(0);
  expect(existsSync(options.scratch)).toBe(false);
  expect(read(scratch.path("state", DATABASE)).rows).toEqual([1, 2, 3, 4]);
});

it("says what is damaged, and leaves nothing then either", async () => {
  const { options, sites } = await replicated(2);
  for (const folder of readdirSync(scratch.path("target", "chunks"))) {
    rmSync(scratch.path("target", "chunks", folder), { recursive: true });
  }
  await expect(drillRestore(sites, options)).rejects.toThrow(/is not whole: the chunk .* is gone/);
  expect(existsSync(options.scratch)).toBe(false);
});

it("takes at most half of what is free on the disk that others serve from, files counted", async () => {
  const media = () => {
    mkdirSync(scratch.path("state", "media"), { recursive: true });
    writeFileSync(scratch.path("state", "media", "film"), "x".repeat(100_000));
  };
  const { options, sites } = await replicated(1, media);
  const { point, bytes } = await drillRestore(sites, options);
  expect(bytes).toBe(point.bytes + 100_000);
  const freeBytes = async () => bytes * 2 - 1;
  await expect(drillRestore(sites, { ...options, freeBytes })).rejects.toThrow(/are free/);
  const enough = async () => bytes * 2;
  await drillRestore(sites, { ...options, freeBytes: enough });
});

it("goes over what a killed drill left", async () => {
  const { options, sites, writer } = await replicated(1);
  writer.write(2);
  await expect(
    drillRestore(sites, {
      ...options,
      countSessions: (stateDir) => {
        writeFileSync(join(stateDir, "left"), "x");
        throw new Error("killed");
      },
    }),
  ).rejects.toThrow("killed");
  const drilled = await drillRestore(sites, options);
  expect(drilled.point.databases).toBe(1);
});

it("has nothing to restore where nothing was replicated", async () => {
  const { options } = await replicated(0);
  const target = new DirectoryTarget(scratch.path("other"));
  await expect(drillRestore([[null, target]], options)).rejects.toThrow("has no replica yet");
});

describe("the moments of a shard that writes all the time", () => {
  const MINUTE = 60_000;
  const NOW = 20_000 * 24 * 60 * MINUTE;
  const DIRECTORY = "000000000001-n1-i1";

  /** A manifest every 300 ms of the last ten minutes, since nothing was tidied up, and what is kept of before. */
  function target(): MemoryTarget {
    const target = new MemoryTarget();
    const ages = Array.from({ length: 2_000 }, (_, at) => at * 300);
    for (let minute = 10; minute < 60; minute++) ages.push(minute * MINUTE);
    for (let hour = 1; hour < 24; hour++) ages.push(hour * 60 * MINUTE);
    for (let day = 1; day < 30; day++) ages.push(day * 24 * 60 * MINUTE);
    for (const [at, age] of ages.reverse().entries()) {
      const place = { directory: DIRECTORY, seq: at + 1 };
      const manifest = { version: 1 as const, fleet: FLEET, shard: SHARD, place, parents: [] };
      const what = { lost: null, changes: 0, release: "r1", databases: [], files: null };
      const bytes = encodeManifest({
        ...manifest,
        ...what,
        at: new Date(NOW - age).toISOString(),
      });
      target.objects.set(manifestKey(place), { bytes, storedAtMs: NOW - age });
    }
    return target;
  }

  it("reach back as far as they are kept, and are read a few at a time", async () => {
    const there = target();
    let [reads, most] = [0, 0];
    const get = there.get.bind(there);
    there.get = async (key) => {
      most = Math.max(most, ++reads);
      await new Promise((resolve) => setImmediate(resolve));
      reads--;
      return get(key);
    };
    const points = await pointsInTime([[null, there]], FLEET, SHARD);
    const ages = points.map(({ at }) => NOW - Date.parse(at));
    expect(ages).toEqual([...ages].sort((a, b) => a - b));
    // All of the newest, to the instant; then each minute, hour and day.
    expect(ages.slice(0, 500)).toEqual(Array.from({ length: 500 }, (_, at) => at * 300));
    const hasEach = (from: number, to: number, period: number) => {
      for (let at = from; at < to; at++) {
        const near = ages.some((age) => age <= at * period && age > (at - 1) * period);
        expect(near, `${at} times ${period} ms ago`).toBe(true);
      }
    };
    hasEach(3, 59, MINUTE);
    hasEach(1, 24, 60 * MINUTE);
    hasEach(1, 30, 24 * 60 * MINUTE);
    expect(ages.length).toBeLessThan(650);
    expect(most).toBeLessThan(20);
  });

  it("can be gone back to also where they are not listed", async () => {
    const there = target();
    const sites: [NodeId | null, ReplicaTarget][] = [[null, there]];
    const listed = new Set((await pointsInTime(sites, FLEET, SHARD)).map(({ place }) => place));
    const isPoint = (place: string, site: NodeId | null = null) =>
      isPointInTime(sites, FLEET, SHARD, { place, site });
    const last = there.objects.size;
    const seq = last - 900;
    const place = `${DIRECTORY}/${seq}`;
    expect(listed.has(place)).toBe(false);
    expect(await isPoint(place)).toBe(true);
    for (const none of [
      `${DIRECTORY}/${last + 1}`,
      `${DIRECTORY}/x`,
      `../${place}`,
      place.slice(1),
      "",
    ]) {
      expect(await isPoint(none), none).toBe(false);
    }
    expect(await isPoint(place, "n2")).toBe(false);
    // Damaged, or after a seal.
    there.objects.set(manifestKey({ directory: DIRECTORY, seq }), {
      bytes: Buffer.from("?"),
      storedAtMs: NOW,
    });
    expect(await isPoint(place)).toBe(false);
    const seal = sealKey(DIRECTORY, "000000000002-n2-i2");
    there.objects.set(seal, { bytes: encodeSeq(seq + 1), storedAtMs: NOW });
    expect(await isPoint(`${DIRECTORY}/${seq + 1}`)).toBe(true);
    expect(await isPoint(`${DIRECTORY}/${seq + 2}`)).toBe(false);
  });
});
