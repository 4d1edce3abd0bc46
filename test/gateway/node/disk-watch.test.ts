import { expect, test } from "vitest";
import {
  DiskWatch,
  FULL_DISK_MIB,
  LOW_DISK_MIB,
  ROOM_AGAIN_MIB,
} from "../../../gateway/node/disk-watch.ts";

test("a disk that gets full is told once, again after ten minutes, and its end", async () => {
  const told: string[] = [];
  let mib = LOW_DISK_MIB;
  let now = 0;
  const watch = new DiskWatch({
    dir: "/data",
    log: (level, message) => told.push(`${level} ${message}`),
    free: () => (mib < 0 ? Promise.reject(new Error("gone")) : Promise.resolve(mib * 2 ** 20)),
    now: () => now,
    onRoomAgain: () => {},
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

test("only a disk that was full is said to have room again, once, and not before there is some", async () => {
  let mib = FULL_DISK_MIB;
  let times = 0;
  const watch = new DiskWatch({
    dir: "/data",
    log: () => {},
    free: () => Promise.resolve(mib * 2 ** 20),
    onRoomAgain: () => times++,
  });
  const seen = async (free: number) => {
    mib = free;
    await watch.look();
    return times;
  };
  expect(await seen(FULL_DISK_MIB)).toBe(0);
  expect(await seen(ROOM_AGAIN_MIB)).toBe(0);
  expect(await seen(FULL_DISK_MIB - 1)).toBe(0);
  expect(await seen(ROOM_AGAIN_MIB - 1)).toBe(0);
  expect(await seen(ROOM_AGAIN_MIB)).toBe(1);
  expect(await seen(ROOM_AGAIN_MIB)).toBe(1);
  expect(await seen(0)).toBe(1);
  expect(await seen(LOW_DISK_MIB)).toBe(2);
});
