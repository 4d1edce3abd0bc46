import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CHUNK_GRACE_MS,
  chunksToRemove,
  KEEP,
  KEEP_NEWEST,
  manifestsToRemove,
  type Point,
} from "../../../gateway/replication/retention.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const directory = "000000000001-n-i";
const NOW = 20_000 * DAY + 12_345_678;

/** Manifests in order, with pauses between them from under a second to days. */
const histories = fc
  .array(fc.oneof(fc.nat(5_000), fc.nat(10 * MINUTE), fc.nat(DAY)), { maxLength: 300 })
  .map((pauses): Point[] => {
    let atMs = NOW;
    const points = pauses.map((pause, at) => {
      atMs -= pause;
      return { place: { directory, seq: pauses.length - at }, atMs };
    });
    return points.reverse();
  });
const left = (points: readonly Point[], nowMs: number): Point[] => {
  const gone = new Set(manifestsToRemove(points, nowMs).map(({ seq }) => seq));
  return points.filter(({ place }) => !gone.has(place.seq));
};

describe("the manifests that stay", () => {
  it("hold a later point of the same period for each one that goes, within its age's precision", () => {
    fc.assert(
      fc.property(histories, (points) => {
        const kept = left(points, NOW);
        for (const { atMs } of points) {
          const rule = KEEP.find(({ upTo }) => NOW - atMs < upTo);
          if (!rule) continue;
          const near = kept.some((one) => one.atMs >= atMs && one.atMs < atMs + rule.every);
          expect(near, `${(NOW - atMs) / MINUTE} minutes old`).toBe(true);
        }
        expect(kept.slice(-KEEP_NEWEST)).toEqual(points.slice(-KEEP_NEWEST));
      }),
    );
  });

  it("are the same whether it is collected often or seldom", () => {
    fc.assert(
      fc.property(histories, fc.array(fc.nat(40 * DAY), { maxLength: 20 }), (points, times) => {
        let often = points;
        for (const age of times.sort((a, b) => b - a)) {
          // What came later was not there yet.
          const now = NOW - age;
          const then = often.filter(({ atMs }) => atMs <= now);
          const keep = new Set(left(then, now));
          often = often.filter((point) => point.atMs > now || keep.has(point));
        }
        const seldom = left(points, NOW);
        const after = left(often, NOW);
        // The newest ones may differ in number only; every point in time is there both ways.
        const newest = new Set(points.slice(-KEEP_NEWEST));
        const older = (kept: Point[]) => kept.filter((point) => !newest.has(point));
        expect(older(after)).toEqual(older(seldom));
      }),
    );
  });

  it("are few, whatever came", () => {
    const points = Array.from({ length: 60_000 }, (_, at) => ({
      place: { directory, seq: at + 1 },
      atMs: NOW - (60_000 - at) * MINUTE,
    }));
    const most = KEEP.reduce((sum, { upTo, every }) => sum + upTo / every, 0) + KEEP_NEWEST + 3;
    expect(left(points, NOW).length).toBeLessThanOrEqual(most);
    expect(left(points, NOW).length).toBeGreaterThan(100);
  });

  it("include those from a clock that was ahead, and are gone after a month", () => {
    const many = (atMs: number) =>
      Array.from({ length: 30 }, (_, seq) => ({ place: { directory, seq: seq + 1 }, atMs }));
    expect(manifestsToRemove(many(NOW + DAY), NOW)).toEqual([]);
    expect(manifestsToRemove(many(NOW - 31 * DAY), NOW)).toHaveLength(30 - KEEP_NEWEST);
  });
});

it("removes no chunk that is used, and none that is young", () => {
  const stored = [
    { hash: "used", storedAtMs: 0 },
    { hash: "old", storedAtMs: NOW - CHUNK_GRACE_MS },
    { hash: "young", storedAtMs: NOW - CHUNK_GRACE_MS + 1 },
  ];
  expect(chunksToRemove(stored, new Set(["used"]), NOW)).toEqual(["old"]);
});
