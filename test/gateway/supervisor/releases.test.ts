import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Lease } from "../../../gateway/leases/store.ts";
import { ReleaseShelf, releaseFor } from "../../../gateway/supervisor/releases.ts";

const lease = (owner: string | null, release: string | null): Lease => ({
  shard: "s1",
  owner,
  incarnation: owner && "i",
  epoch: 3,
  beat: 1,
  release,
  position: null,
  bootId: "boot",
  handTo: null,
  reason: null,
});

describe("the release a taker starts", () => {
  test.each([
    ["a shard that never ran", undefined, "2026.9.6+b", "2026.9.6+b"],
    ["after a crash, what ran", lease("a", "2026.9.6+a"), "2026.9.6+b", "2026.9.6+a"],
    ["after a crash, also an older one", lease("a", "2026.8.1+a"), "2026.9.6+b", "2026.8.1+a"],
    ["after a planned release, its own", lease(null, "2026.9.6+a"), "2026.9.6+b", "2026.9.6+b"],
    [
      "after a planned release, a newer OpenClaw",
      lease(null, "2026.9.6+a"),
      "2026.10.0+b",
      "2026.10.0+b",
    ],
    ["never an older OpenClaw than ran", lease(null, "2026.10.0+a"), "2026.9.6+b", "2026.10.0+a"],
  ])("%s", (_, previous, own, expected) => {
    expect(releaseFor(previous, own)).toBe(expected);
  });
});

describe("the shelf of releases", () => {
  const dir = mkdtempSync(join(tmpdir(), "fleet-shelf-"));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("another node finds what one has run, and nothing else", () => {
    const release = { id: "2026.9.6+1a2b", node: "/n", openclaw: "/o", runtime: "/r" };
    new ReleaseShelf(dir).put(release);
    expect(new ReleaseShelf(dir).find(release.id)).toEqual(release);
    expect(new ReleaseShelf(dir).find("2026.9.7+ffff")).toBeNull();
  });
});
