import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Release } from "../../../gateway/config.ts";
import type { Lease } from "../../../gateway/leases/store.ts";
import { failureReason } from "../../../gateway/ownership/failure.ts";
import {
  IN_USE_FILE,
  olderOpenClaw,
  ReleaseShelf,
  releaseFor,
} from "../../../gateway/supervisor/releases.ts";

const lease = (owner: string | null, release: string | null, failedOn: string[] = []): Lease => ({
  shard: "s1",
  owner,
  incarnation: owner && "i",
  epoch: 3,
  beat: 1,
  release,
  position: null,
  bootId: "boot",
  handTo: null,
  reason:
    failedOn.length > 0
      ? failureReason({ nodes: failedOn, revision: "r", pin: null, why: "it is broken" })
      : null,
});

describe("the release a taker starts", () => {
  const [old, same, newer] = ["2026.9.6+a", "2026.9.6+b", "2026.10.0+b"];
  const here = () => true;
  const gone = () => false;
  test.each([
    ["its own of a shard that never ran", undefined, same, here, same],
    ["after a crash what ran, also another build", lease("a", old), same, here, old],
    ["after a crash what ran, also when it is not here", lease("a", old), newer, gone, old],
    ["after a planned release its own build of what ran", lease(null, old), same, here, same],
    ["never a newer OpenClaw just because a shard moved", lease(null, old), newer, here, old],
    ["a newer one where the one that ran is not", lease(null, old), newer, gone, newer],
    ["what ran after one node failed", lease(null, old, ["a"]), newer, here, old],
    ["a newer one after two nodes failed", lease(null, old, ["a", "b"]), newer, here, newer],
    ["never an older one than ran", lease(null, newer), same, gone, newer],
  ])("%s", (_, previous, own, has, expected) => {
    expect(releaseFor(previous, own, has)).toBe(expected);
  });

  test("versions are compared by their numbers", () => {
    expect(olderOpenClaw("2026.9.6+z", "2026.10.0+a")).toBe(true);
    expect(olderOpenClaw("2026.10.0", "2026.9.6")).toBe(false);
    expect(olderOpenClaw("2026.9.6+a", "2026.9.6+b")).toBe(false);
    expect(olderOpenClaw("2026.9.6", "2026.9.6-3+a")).toBe(true);
    expect(olderOpenClaw("2026.9.6-beta.1", "2026.9.6")).toBe(true);
  });
});

describe("the shelf of releases", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "fleet-shelf-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  /** A release as it lies on a host. */
  function unpacked(folder: string, version: string, build: string): Release {
    const root = join(dir, "releases", folder);
    for (const sub of ["bin", "openclaw", "runtime"]) {
      mkdirSync(join(root, sub), { recursive: true });
    }
    writeFileSync(join(root, "bin/node"), "");
    writeFileSync(join(root, "openclaw/openclaw.mjs"), "");
    writeFileSync(join(root, "openclaw/package.json"), JSON.stringify({ version }));
    return {
      id: `${version}+${build}`,
      node: join(root, "bin/node"),
      openclaw: join(root, "openclaw/openclaw.mjs"),
      runtime: join(root, "runtime"),
    };
  }
  const shelf = (data: string, own?: Release) => {
    const made = new ReleaseShelf(join(dir, data));
    if (own) made.put(own);
    return made;
  };

  test("another node finds what one has run, and nothing else", () => {
    const release = unpacked("one", "2026.9.6", "1a2b");
    shelf("data", release);
    expect(shelf("data").find(release.id)).toEqual(release);
    expect(shelf("data").find("2026.9.7+ffff")).toBeNull();
  });

  test("what was noted and is gone is replaced by the same OpenClaw, never by another", () => {
    const old = unpacked("old", "2026.9.6", "aaaa");
    const own = unpacked("new", "2026.9.6", "bbbb");
    shelf("data", old);
    const made = shelf("data", own);
    rmSync(join(dir, "releases/old"), { recursive: true });
    expect(made.find(old.id)).toEqual({ ...own, id: old.id });
    expect(made.find("2026.8.1+aaaa")).toBeNull();
  });

  test("a host that never ran a release finds it among those that were put on it", () => {
    const own = unpacked("new", "2026.10.0", "bbbb");
    const other = unpacked("old", "2026.9.6", "aaaa");
    unpacked("half.partial", "2026.8.1", "cccc");
    const made = shelf("data", own);
    expect(made.find("2026.9.6+dddd")).toEqual({ ...other, id: "2026.9.6+dddd" });
    expect(made.find("2026.8.1+cccc")).toBeNull();
  });

  test("what shards run is noted as versions, again only when it is another, and never as nothing", () => {
    const made = shelf("data", unpacked("own", "2026.10.0", "bbbb"));
    const file = join(dir, "data", IN_USE_FILE);
    made.noteInUse([]);
    expect(existsSync(file)).toBe(false);
    made.noteInUse(["2026.10.0+a", "2026.9.6+a", "2026.9.6+b"]);
    expect(readFileSync(file, "utf8")).toBe("2026.10.0\n2026.9.6\n");
    rmSync(file);
    made.noteInUse(["2026.9.6+c", "2026.10.0+a"]);
    made.noteInUse([]);
    expect(existsSync(file)).toBe(false);
    made.noteInUse(["2026.10.0+a"]);
    expect(readFileSync(file, "utf8")).toBe("2026.10.0\n");
  });
});
