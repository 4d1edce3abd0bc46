import { expect, test } from "vitest";
import { DiskWatch, LOW_DISK_MIB } from "../../../gateway/node/disk-watch.ts";

test("a disk that gets full is told once, again after ten minutes, and its end", async () => {
  const told: string[] = [];
  let mib = LOW_DISK_MIB;
  let now = 0;
  const watch = new DiskWatch({
    dir: "/data",
    log: (level, message) => told.push(`${level} ${message}`),
    free: () => (mib < 0 ? Promise.reject(new Error("gone")) : Promise.resolve(mib * 2 ** 20)),
    now: () => now,
  });
  await watch.look();
  expect(told).toEqual([]);
  mib = LOW_DISK_MIB - 1;
  await watch.look();
  await watch.look();
  expect(told).toHaveLength(1);
  expect(told[0]).toMatch(/^error the disk of \/data is nearly full: 511 MiB free/);
  mib = -1;
  await watch.look();
  now = 600_000;
  mib = 0;
  await watch.look();
  expect(told).toHaveLength(2);
  mib = 9_000;
  await watch.look();
  await watch.look();
  expect(told.slice(2)).toEqual(["info the disk of /data has room again: 9000 MiB free"]);
});
