import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { NodeId } from "../../../gateway/contract.ts";
import { DirectoryTarget } from "../../../gateway/replication/directory-target.ts";
import { type DrillOptions, drillRestore } from "../../../gateway/replication/history.ts";
import type { ReplicaTarget } from "../../../gateway/replication/target.ts";
import { FLEET, read, replicatorOn, Scratch, SHARD, Writer } from "./fixtures.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch.clean());

const DATABASE = "state/openclaw.sqlite";

/** A shard with one replica, and what is needed to try it. */
async function replicated(rows: number) {
  const target = new DirectoryTarget(scratch.path("target"));
  const { replicator } = replicatorOn(scratch, target);
  const writer = new Writer(scratch.path("state", DATABASE));
  scratch.after(() => writer.close());
  for (let n = 1; n <= rows; n++) writer.write(n);
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

it("takes at most half of what is free on the disk that others serve from", async () => {
  const { options, sites } = await replicated(1);
  const { point } = await drillRestore(sites, options);
  const freeBytes = async () => point.bytes * 2 - 1;
  await expect(drillRestore(sites, { ...options, freeBytes })).rejects.toThrow(/are free/);
  const enough = async () => point.bytes * 2;
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
