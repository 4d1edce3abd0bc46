import { comparePlaces, type Place } from "./manifest.ts";
import { placeKey } from "./rules.ts";
import type { KeepSettings } from "./settings.ts";

/** Points in time that are kept: up to an age, one a period. */
export interface Keep {
  /** Milliseconds. */
  upTo: number;
  every: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Every minute for an hour, hourly for a day, daily for a month. Each period divides the next one. */
export const KEEP: readonly Keep[] = [
  { upTo: HOUR_MS, every: MINUTE_MS },
  { upTo: DAY_MS, every: HOUR_MS },
  { upTo: 30 * DAY_MS, every: DAY_MS },
];

/** What the settings of a node say to keep. */
export function keepOf(settings: KeepSettings): Keep[] {
  return [
    { upTo: settings.minutesForHours * HOUR_MS, every: MINUTE_MS },
    { upTo: settings.hoursForDays * DAY_MS, every: HOUR_MS },
    { upTo: settings.daysForDays * DAY_MS, every: DAY_MS },
  ];
}

/** The newest ones are kept whatever their age: a restore falls back to them when a chunk is lost. */
export const KEEP_NEWEST = 10;

/** A chunk younger than this is never collected: its manifest may be on its way. */
export const CHUNK_GRACE_MS = HOUR_MS;

export interface Point {
  place: Place;
  /** Wall clock, milliseconds since 1970. */
  atMs: number;
}

/** Clocks of a target and of who asks differ by this without anything being wrong with them. */
const CLOCKS_DIFFER_MS = 5 * MINUTE_MS;

/**
 * What a target's clock says now, as far as it can be believed: when it stored the newest manifest, by its place. One
 * that was stored while the clock was ahead makes nothing older than it is, neither now nor later.
 * @param wallMs what the clock here says
 */
export function nowOf(points: readonly Point[], wallMs: number): number {
  const newest = [...points].sort((a, b) => comparePlaces(b.place, a.place))[0];
  return Math.min(newest?.atMs ?? 0, wallMs + CLOCKS_DIFFER_MS);
}

/**
 * The manifests to remove. Of each period, counted from 1970, the newest one stays, so collecting often
 * and collecting seldom end at the same; what is from the future (a clock was stepped) stays.
 */
export function manifestsToRemove(
  points: readonly Point[],
  nowMs: number,
  keep: readonly Keep[] = KEEP,
): Place[] {
  const sorted = [...points].sort((a, b) => b.atMs - a.atMs || comparePlaces(b.place, a.place));
  const newest = [...points]
    .sort((a, b) => comparePlaces(b.place, a.place))
    .slice(0, KEEP_NEWEST)
    .map(({ place }) => placeKey(place));
  const kept = new Set(newest);
  const filled = new Set<string>();
  for (const { place, atMs } of sorted) {
    const age = nowMs - atMs;
    const rule = keep.find(({ upTo }) => age < upTo);
    // The newest of each period of every longer kind is found first, since we come from the newest.
    const periods = keep.map(({ every }) => `${every}:${Math.floor(atMs / every)}`);
    const first =
      rule !== undefined && !filled.has(`${rule.every}:${Math.floor(atMs / rule.every)}`);
    if (age < 0 || first) kept.add(placeKey(place));
    for (const period of periods) filled.add(period);
  }
  return points.map(({ place }) => place).filter((place) => !kept.has(placeKey(place)));
}

/** The chunks to remove: in no tree of a manifest that stays, and not young. */
export function chunksToRemove(
  stored: readonly { hash: string; storedAtMs: number }[],
  used: ReadonlySet<string>,
  nowMs: number,
): string[] {
  return stored
    .filter(({ hash, storedAtMs }) => !used.has(hash) && nowMs - storedAtMs >= CHUNK_GRACE_MS)
    .map(({ hash }) => hash);
}
