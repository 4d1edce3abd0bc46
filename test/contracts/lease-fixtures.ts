/** What tests of leases say again and again. Free of the test framework: child processes use it too. */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import type {
  AcquireRequest,
  Expected,
  HeldLease,
  NodeRecord,
} from "../../gateway/leases/store.ts";

export function nodeRecord(id: string): NodeRecord {
  return {
    id,
    incarnation: `inc-${id}`,
    beat: 0,
    bootId: "boot-1",
    pid: 10,
    pidStart: "11",
    keeperPid: 12,
    keeperPidStart: "13",
    address: "127.0.0.1:1",
    release: "r1",
    shards: {},
  };
}

export function acquireRequest(
  node: string,
  epoch: number,
  expected: Expected,
  shard = "s1",
): AcquireRequest {
  return {
    shard,
    expected,
    node,
    incarnation: `inc-${node}`,
    bootId: "boot-1",
    epoch,
    release: "r1",
  };
}

export function heldBy(epoch: number, position: string | null = null, shard = "s1"): HeldLease {
  return { shard, epoch, position };
}

/** Where a test's files cost no disk syncs, if there is such a place. */
export function memoryDisk(): string {
  return existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
}
